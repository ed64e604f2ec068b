package store

import (
	"strings"
	"testing"
	"time"
)

// A delayed client goes to the queue when somebody asks for it, once, with its attempts; the log says
// why. A client without an entry stays as it is.
func TestPromoteNow(t *testing.T) {
	now := time.UnixMicro(1e15)
	s, u := freshAt(t, Options{Now: func() time.Time { return now }}), uuid(t, uuidText)
	if moved, err := s.PromoteNow(t.Context(), u, "nobody is there"); moved || err != nil {
		t.Errorf("a client that is not known: %v, %v", moved, err)
	}
	record(t, s, hello(t, 2, goodPID))
	if got := entries(t, s, u); got != "d" {
		t.Fatalf("entries %q before", got)
	}
	now = now.Add(time.Minute)
	if moved, err := s.PromoteNow(t.Context(), u, "the key is on its way"); !moved || err != nil {
		t.Errorf("promoted %v, %v", moved, err)
	}
	if q, ok, err := s.Queue(t.Context(), u); !ok || err != nil || !q.Enqueued.Equal(now) {
		t.Errorf("queue entry %+v, %v, %v", q, ok, err)
	}
	if moved, err := s.PromoteNow(t.Context(), u, "again"); moved || err != nil || entries(t, s, u) != "q" {
		t.Errorf("a second time: %v, %v, entries %q", moved, err, entries(t, s, u))
	}
	rows, err := s.Log(t.Context(), u, 10)
	if err != nil || !strings.Contains(rows[len(rows)-1].Text, "the key is on its way") {
		t.Errorf("log %+v, %v", rows, err)
	}
	if c, _, err := s.Client(t.Context(), u); err != nil || c.State != Unprovisioned || !c.Changed.Equal(now) {
		t.Errorf("client %+v, %v", c, err)
	}
}
