package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestRecordAndReadBack(t *testing.T) {
	s := newScript(t)
	s.up().c(0, 0, psk(t, 0)).c(FIN, 32, nil)
	f := NewFeed(LinkEthernet, len(s.packets))
	for _, p := range s.packets {
		if err := f.Push(context.Background(), p.Time, p.Data); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	if err := f.Push(context.Background(), s.now, nil); !errors.Is(err, ErrFeedClosed) {
		t.Errorf("push after close gives %v", err)
	}
	var file bytes.Buffer
	rec, err := NewRecorder(&file, RecordedInterface{Name: "lab", Link: LinkEthernet, Filter: "none"})
	if err != nil {
		t.Fatal(err)
	}
	var live []string
	if err := Scan(context.Background(), Record(f, rec), Options{}, func(e Event) { live = append(live, short(e)) }); err != nil {
		t.Fatal(err)
	}
	var again []string
	if err := Scan(context.Background(), NewFile(bytes.NewReader(file.Bytes()), "f", nil), Options{}, func(e Event) { again = append(again, short(e)) }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(live) != "[syn@1 synack@2 hello@4 psk closed@5 client fin]" || !slices.Equal(live, again) {
		t.Errorf("live %v, from the file %v", live, again)
	}
	for n := 200; n < file.Len(); n++ { // what is left after a kill
		got, _, err := read(bytes.NewReader(file.Bytes()[:n]))
		if err != nil || len(got) > len(s.packets) {
			t.Fatalf("cut at %d: %d packets, %v", n, len(got), err)
		}
	}
}

// TestRecorderFlushes checks that a packet reaches the writer within a second or so, without a Close.
func TestRecorderFlushes(t *testing.T) {
	var file bytes.Buffer
	rec, err := NewRecorder(&file, RecordedInterface{Name: "lab", Link: LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	before := file.Len()
	if before == 0 {
		t.Error("the section is not written at once")
	}
	rec.flushed = time.Now().Add(-flushEvery)
	if err := rec.Packet(&Packet{Data: []byte{1}, OrigLen: 1, Number: 1, Time: time.Now()}); err != nil || file.Len() == before {
		t.Errorf("a packet after a second is not written: %v", err)
	}
	before = file.Len()
	if err := rec.Packet(&Packet{Data: []byte{2}, OrigLen: 1, Number: 2, Time: time.Now()}); err != nil || file.Len() != before {
		t.Errorf("every packet is written by itself: %v", err)
	}
	if err := rec.Packet(&Packet{Time: time.Now()}); err != nil || file.Len() == before {
		t.Errorf("the heartbeat does not flush: %v", err)
	}
}

func TestRecorderRefuses(t *testing.T) {
	if _, err := NewRecorder(&bytes.Buffer{}); err == nil {
		t.Error("no interface was taken")
	}
	if _, err := NewRecorder(&bytes.Buffer{}, RecordedInterface{Link: 1 << 16}); err == nil {
		t.Error("link type 65536 was taken")
	}
}

func TestFeedCancel(t *testing.T) {
	f := NewFeed(LinkEthernet, 1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, func(*Packet) error { return nil }) }()
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(time.Second):
		t.Fatal("Run does not end")
	}
}
