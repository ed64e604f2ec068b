package lab

import (
	"context"
	"testing"
	"time"

	"amtmedic/capture"
)

func newWorld(t *testing.T, seed int64, ids ...string) *World {
	t.Helper()
	w, err := New(context.Background(), Options{Faults: ids, Seed: seed, Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		begin := time.Now()
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("closing took %v", d)
		}
	})
	return w
}

func TestX(t *testing.T) {
	w := newWorld(t, 1)
	time.Sleep(500 * time.Millisecond)
	for _, e := range []*ether{w.clientEther, w.serverEther} {
		ctx, c := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_ = capture.Scan(ctx, e.source(), capture.Options{}, func(e capture.Event) { b, _ := e.MarshalJSON(); t.Log(string(b)) })
		c()
	}
	q, ok, err := w.store.Queue(context.Background(), w.plan.id.uuid)
	t.Log(q, ok, err)
}
