package mei

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMissing: what sysfs shows says which of the two is not there, and hides nothing else behind it.
func TestMissing(t *testing.T) {
	put := func(sys, name, text string) {
		path := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	function := func(at, vendor, class string) func(string) {
		return func(sys string) {
			put(sys, "bus/pci/devices/"+at+"/vendor", vendor)
			put(sys, "bus/pci/devices/"+at+"/class", class)
		}
	}
	for name, c := range map[string]struct {
		build func(sys string)
		want  error
	}{
		"nothing known":           {func(string) {}, ErrNoDriver},
		"driver, no bus":          {func(sys string) { put(sys, "class/mei/version", "") }, ErrNoME},
		"function, no driver":     {function("0000:00:16.0", "0x8086\n", "0x078000\n"), ErrNoDriver},
		"function before 2008":    {function("0000:00:03.0", "0x8086\n", "0x078000\n"), ErrNoDriver},
		"bus without a function":  {function("0000:00:1f.0", "0x8086\n", "0x060100\n"), ErrNoME},
		"another maker's":         {function("0000:00:16.0", "0x1022\n", "0x078000\n"), ErrNoME},
		"Intel, another function": {function("0000:00:16.0", "0x8086\n", "0x020000\n"), ErrNoME},
	} {
		sys := t.TempDir()
		c.build(sys)
		o := Options{Device: filepath.Join(sys, "mei0"), Sys: sys, Patience: -1}
		if _, err := Open(t.Context(), AMTHI, o); !errors.Is(err, c.want) || c.want == ErrNoME && errors.Is(err, ErrNoDriver) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A node that is another device's has no such client; one that only others may open is denied.
func TestOpenOtherDevices(t *testing.T) {
	if _, err := Open(t.Context(), AMTHI, Options{Device: os.DevNull, Patience: -1}); !errors.Is(err, ErrNoClient) {
		t.Errorf("/dev/null: %v", err)
	}
	if os.Getuid() == 0 {
		return // may open everything
	}
	locked := filepath.Join(t.TempDir(), "mei0")
	if err := os.WriteFile(locked, nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), AMTHI, Options{Device: locked, Patience: -1}); !errors.Is(err, ErrDenied) {
		t.Errorf("a locked node: %v", err)
	}
}

func TestSystemErrors(t *testing.T) {
	for errno, want := range map[unix.Errno]error{unix.ENOTTY: ErrNoClient, unix.EBUSY: ErrBusy, unix.ENODEV: ErrReset, unix.EACCES: ErrDenied} {
		if err := connectError(errno); !errors.Is(err, want) || !errors.Is(err, errno) {
			t.Errorf("connect, %v: %v", errno, err)
		}
	}
	for errno, want := range map[unix.Errno]error{unix.ENODEV: ErrReset, unix.ENOTTY: ErrNotConnected, unix.EFBIG: ErrTooLong, unix.EBUSY: ErrBusy} {
		if err := transferError(errno); !errors.Is(err, want) {
			t.Errorf("transfer, %v: %v", errno, err)
		}
	}
	if err := openError("/dev/mei0", unix.EPERM); !errors.Is(err, ErrDenied) {
		t.Error(err)
	}
}

// pair is a connection over a socket that keeps messages apart as the driver does, and the firmware's end.
func pair(t *testing.T) (c *Conn, firmware int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	p, err := newFilePort(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.close(); _ = unix.Close(fds[1]) })
	return &Conn{port: p, client: AMTHI, max: 64, version: 1}, fds[1]
}

func TestConnCarriesMessages(t *testing.T) {
	c, fw := pair(t)
	if err := c.Write(t.Context(), []byte("question")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64)
	if n, err := unix.Read(fw, b); string(b[:n]) != "question" || err != nil {
		t.Errorf("%q, %v", b[:n], err)
	}
	if err := c.Write(t.Context(), bytes.Repeat([]byte{1}, 65)); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	for _, m := range []string{"an answer", ""} { // an empty message is one
		if err := unix.Send(fw, []byte(m), 0); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(t.Context(), b); string(b[:n]) != m || err != nil {
			t.Errorf("%q, %v", b[:n], err)
		}
	}
}

// A read ends with its context or with Close, and a context that ended before does not end the next read.
func TestConnReadEnds(t *testing.T) {
	c, fw := pair(t)
	b := make([]byte, 64)
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if _, err := c.Read(ctx, b); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deadline: %v", err)
		}
		cancel()
	}
	if err := unix.Send(fw, []byte("late"), 0); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(t.Context(), b); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	ended := make(chan error, 1)
	go func() { _, err := c.Read(context.Background(), b); ended <- err }()
	time.Sleep(5 * time.Millisecond) // it waits by then, mostly; it ends either way
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, ErrClosed) {
			t.Errorf("close: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a read outlives Close")
	}
	if err := c.Write(t.Context(), b[:1]); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}
