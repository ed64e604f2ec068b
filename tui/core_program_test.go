//go:build unix

package tui

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/amt/store/storetest"
)

// TestCoreOnTerminal counts bytes of a page of the core: 1 kB/s at most while nothing changes; while a
// server writes a log row every 10 ms, 8 kB/s at most, and the page follows.
func TestCoreOnTerminal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "core.db")
	if err := storetest.Fill(t.Context(), path, 2000); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	x := run(t, "core", "AMTMEDIC_TEST_CORE="+path)
	x.sees("? keys")
	x.press(":serverlog\r")
	x.sees("Log 2,000", "following")
	time.Sleep(500 * time.Millisecond)
	rate := func() float64 {
		before := x.bytes()
		time.Sleep(3 * time.Second)
		return float64(x.bytes()-before) / 3
	}
	if r := rate(); r > 1000 {
		t.Errorf("%.0f B/s while nothing changes", r)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- hellos(st, stop) }()
	if r := rate(); r > 8000 || r == 0 {
		t.Errorf("%.0f B/s while hellos come", r)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := st.AppendLog(t.Context(), store.LogRow{Code: "test", Text: "the last word"}); err != nil {
		t.Fatal(err)
	}
	x.sees("the last word")
	x.press("1")
	x.sees("[Clients 2,")
	x.press("q")
	x.ends()
}

// hellos records hellos of new clients until stop is closed.
func hellos(st *store.Store, stop <-chan struct{}) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		h := store.Hello{From: netip.MustParseAddrPort("10.9.9.9:16994"), Version: 3, UUID: amt.UUID{0xff, byte(i >> 8), byte(i)}}
		if _, err := st.RecordHello(context.Background(), h); err != nil {
			return err
		}
	}
}
