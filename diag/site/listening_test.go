package site

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
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
