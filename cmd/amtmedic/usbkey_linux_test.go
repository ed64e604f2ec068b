package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"amtmedic/amt/usbkey"
)

// withKeys puts a system in place in which sda is a fixed disk and sdb a removable key of 20 MiB, and
// gives a setup.bin.
func withKeys(t *testing.T) (dev, setup string) {
	t.Helper()
	root := t.TempDir()
	usbSystem = usbkey.System{Dev: filepath.Join(root, "dev"), Sys: filepath.Join(root, "sys"), Proc: filepath.Join(root, "proc")}
	t.Cleanup(func() { usbSystem = usbkey.ThisSystem() })
	for name, text := range map[string]string{
		"sys/block/sda/removable": "0", "sys/block/sda/size": "40960", "sys/block/sda/dev": "8:0", "dev/sda": "",
		"sys/block/sdb/removable": "1", "sys/block/sdb/size": "40960", "sys/block/sdb/dev": "8:16", "dev/sdb": "",
		"proc/self/mountinfo": "", "proc/swaps": "", "setup.bin": docSetupBin(t),
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dev = filepath.Join(root, "dev")
	for _, d := range []string{"sda", "sdb"} {
		if err := os.WriteFile(filepath.Join(dev, d), bytes.Repeat([]byte("work"), 20<<20/4), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dev, filepath.Join(root, "setup.bin")
}

// TestDevicesAreAskedFor: a device is only written to when its exact name was given.
func TestDevicesAreAskedFor(t *testing.T) {
	for _, c := range []struct {
		name, device string
		args         []string
		typed        string // on a terminal; empty: there is none
		code         int
		says         string
		written      bool
	}{
		{name: "fixed disk", device: "sda", args: []string{"--device", "sda", "--yes"}, code: exitFound, says: "not removable"},
		{name: "yes is for images", device: "sdb", args: []string{"--yes"}, code: exitFound, says: "no terminal to ask on"},
		{name: "other name", device: "sdb", args: []string{"--device", "sda"}, code: exitFound, says: "--device says sda, the device is sdb"},
		{name: "its name", device: "sdb", args: []string{"--device", "sdb"}, code: exitOK, says: "100 %", written: true},
		{name: "typed", device: "sdb", typed: "sdb\n", code: exitOK, says: "Type the device's name, sdb", written: true},
		{name: "typed wrong", device: "sdb", typed: "yes\n", code: exitFound, says: "not agreed to"},
		{name: "unknown device", device: "sdz", args: []string{"--device", "sdz"}, code: exitFound, says: "file does not exist"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			dev, setup := withKeys(t)
			e, _, stderr := testEnv(t)
			if c.typed != "" {
				ptmx, tty, err := pty.Open()
				if err != nil {
					t.Fatal(err)
				}
				defer ptmx.Close()
				defer tty.Close()
				if _, err := ptmx.WriteString(c.typed); err != nil {
					t.Fatal(err)
				}
				e.stdin = tty
			}
			path := filepath.Join(dev, c.device)
			code := run(e, append([]string{"usbkey", "prepare", path, "--file", setup}, c.args...))
			if code != c.code || !strings.Contains(stderr.String(), c.says) {
				t.Errorf("exit %d, %s", code, stderr.String())
			}
			b, err := os.ReadFile(path)
			if c.device == "sdz" {
				if err == nil {
					t.Error("a file was made below /dev")
				}
				return
			}
			if err != nil || (string(b[:4]) != "work") != c.written {
				t.Errorf("begins with %q, %v", b[:4], err)
			}
			if c.written {
				if code := run(e, []string{"usbkey", "inspect", path}); code != exitOK {
					t.Errorf("the key is not sound: exit %d", code)
				}
			}
		})
	}
}

// TestKeyInterrupted: a run that is interrupted before it began writes nothing and exits 130.
func TestKeyInterrupted(t *testing.T) {
	dev, setup := withKeys(t)
	e, _, _ := testEnv(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.ctx = ctx
	path := filepath.Join(dev, "sdb")
	if code := run(e, []string{"usbkey", "prepare", path, "--file", setup, "--device", "sdb"}); code != exitInterrupt {
		t.Errorf("exit %d", code)
	}
	image := filepath.Join(t.TempDir(), "new.img")
	if code := run(e, []string{"usbkey", "prepare", image, "--file", setup}); code != exitInterrupt {
		t.Errorf("exit %d", code)
	}
	if _, err := os.Stat(image); err == nil {
		t.Error("half an image was left behind")
	}
	if b, err := os.ReadFile(path); err != nil || string(b[:4]) != "work" {
		t.Error("the device was written to")
	}
}

// TestRepairKeepsWhatItTakes: a repair that fails in its middle leaves the setup.bin beside the cases.
func TestRepairKeepsWhatItTakes(t *testing.T) {
	dev, setup := withKeys(t)
	e, _, stderr := testEnv(t)
	path := filepath.Join(dev, "sdb")
	if code := run(e, []string{"usbkey", "prepare", path, "--file", setup, "--device", "sdb"}); code != exitOK {
		t.Fatalf("exit %d, %s", code, stderr.String())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[bytes.Index(b, []byte("SETUP   BIN")):], "SETUP2  BIN")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	stop := &stopper{safeBuffer: stderr, at: "writing"}
	e.ctx, stop.cancel = context.WithCancel(context.Background())
	e.stderr = stop
	if code := run(e, []string{"usbkey", "repair", path, "--device", "sdb"}); code != exitInterrupt || !strings.Contains(stderr.String(), "is safe in") {
		t.Errorf("exit %d, %s", code, stderr.String())
	}
	e.ctx, e.stderr = context.Background(), stderr
	if code := run(e, []string{"usbkey", "inspect", path}); code != exitFound {
		t.Errorf("after the interruption: exit %d", code)
	}
	kept, err := filepath.Glob(filepath.Join(os.Getenv("AMTMEDIC_HOME"), "rescued-*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%q was kept, %v", kept, err)
	}
	want, _ := os.ReadFile(setup)
	if got, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(got, want) {
		t.Errorf("other bytes were kept, %v", err)
	}
	if err := os.Remove(kept[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(e, []string{"usbkey", "repair", path, "--device", "sdb", "--save", filepath.Join(dev, "saved")}); code != exitOK {
		t.Errorf("exit %d, %s", code, stderr.String())
	}
	left, err := filepath.Glob(filepath.Join(os.Getenv("AMTMEDIC_HOME"), "rescued-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%q was left behind, %v", left, err)
	}
	if code := run(e, []string{"usbkey", "inspect", path}); code != exitOK {
		t.Errorf("after the repair: exit %d", code)
	}
}

// stopper ends a run when it reads a word.
type stopper struct {
	*safeBuffer
	at     string
	cancel context.CancelFunc
}

func (s *stopper) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.at) {
		s.cancel()
	}
	return s.safeBuffer.Write(p)
}
