package site

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/capture"
)

// A burst whose last packets come within the recorder's pause is in the file soon, though nothing
// follows it.
func TestBurstIsWrittenSoon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.pcapng")
	rec, err := capture.CreateRecorder(path, capture.RecordOptions{}, capture.RecordedInterface{Name: "eth0", Link: capture.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	b, err := capture.Frame(netip.MustParseAddrPort("10.20.0.7:16994"), netip.MustParseAddrPort("10.1.0.10:9971"), capture.SYN, 1, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	const packets = 50
	silent := func(ctx context.Context, fn func(*capture.Packet) error) error {
		for n := range packets {
			if err := fn(&capture.Packet{Data: b, OrigLen: len(b), Link: capture.LinkEthernet, Time: time.Now(), Number: n + 1}); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return ctx.Err()
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- promptRun(ctx, silent, promptly, rec.Packet) }()
	defer func() { stop(); <-done }()
	want := int64(packets * (32 + len(b)))
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if fi, err := os.Stat(path); err == nil && fi.Size() >= want {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the end of the burst is not written though a heartbeat was due")
		}
	}
}

// An error at a heartbeat ends the run with the next packet.
func TestPromptPassesErrorsOn(t *testing.T) {
	bad := errors.New("disk full")
	give := func(_ context.Context, fn func(*capture.Packet) error) error {
		for {
			if err := fn(&capture.Packet{Number: 1, Data: []byte{1}}); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}
	err := promptRun(t.Context(), give, time.Millisecond, func(p *capture.Packet) error {
		if p.Number == 0 {
			return bad
		}
		return nil
	})
	if !errors.Is(err, bad) {
		t.Errorf("got %v", err)
	}
}

// Listening needs an interface and a place for the packets, and says which of them is missing.
func TestListenSaysWhatIsMissing(t *testing.T) {
	if err := New(Options{}).Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "no interface") {
		t.Errorf("got %v", err)
	}
	if err := New(Options{Interface: "lo"}).Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "keeps no packets") {
		t.Errorf("got %v", err)
	}
	w := New(Options{Interface: "no-such-interface"})
	w.KeepPackets(func(string) (io.WriteCloser, string, error) { t.Error("a file was made"); return nil, "", nil })
	if err := w.Listen(t.Context()); err == nil {
		t.Error("it listens on nothing")
	}
	if _, ok := w.Listening(); ok {
		t.Error("a capture that was not opened has counts")
	}
}

// What is heard besides the walk goes into a file of the case, and ends with its context.
func TestListenKeepsPackets(t *testing.T) {
	l, err := capture.OpenLive("lo", capture.LiveOptions{})
	if err != nil {
		if os.Getenv("CI") != "" && errors.Is(err, capture.ErrPermission) {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "server.pcapng")
	w := New(Options{Interface: "lo"})
	sides := make(chan string, 1)
	w.KeepPackets(func(side string) (io.WriteCloser, string, error) {
		sides <- side
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		return f, "wire/server.pcapng", err
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Listen(ctx) }()
	side := <-sides
	for end := time.Now().Add(20 * time.Second); ; { // the address is this test's own
		if c, err := net.DialTimeout("tcp", "127.77.3.9:9971", time.Second); err == nil {
			_ = c.Close()
		}
		if s, ok := w.Listening(); ok && s.Received > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nothing was heard")
		}
	}
	stop()
	if err := <-done; err != nil || side != "client" && side != "server" {
		t.Errorf("heard at the %s: %v", side, err)
	}
	f, err := capture.OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	err = capture.Scan(t.Context(), f, capture.Options{}, func(e capture.Event) {
		if e.Dst.Addr() == netip.MustParseAddr("127.77.3.9") {
			n++
		}
	})
	if err != nil || n == 0 {
		t.Errorf("%d events are kept: %v", n, err)
	}
	if p := w.recordAt("server"); p == nil {
		t.Error("after the end the probes keep no packets")
	}
	w.listens(1)
	if p := w.recordAt("server"); p != nil {
		t.Error("while somebody listens the packets are kept twice")
	}
}
