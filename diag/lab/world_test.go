package lab

import (
	"context"
	"sync"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/probe"
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

// notes collects the facts of a walk, as the journal of a case does.
type notes struct {
	t     *testing.T
	w     *World
	mu    sync.Mutex
	facts []diag.Fact
	probe string
}

func (n *notes) Fact(f diag.Fact) {
	if f.At.IsZero() {
		f.At = n.w.Now()
	}
	f.Probe = n.probe
	made, err := diag.Make(f)
	if err != nil {
		n.t.Errorf("probe %s: %v", n.probe, err)
		return
	}
	if _, known := diag.Lookup(f.Key); !known {
		n.t.Errorf("probe %s gives the unknown key %s", n.probe, f.Key)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.facts = append(n.facts, made)
}

func (n *notes) Saw(text string) { n.t.Logf("%s: %s", n.probe, text) }
func (n *notes) Until(at time.Time, _ string) {
	if now := n.w.Now(); at.Before(now.Add(-3*time.Hour)) || at.After(now.Add(3*time.Hour)) {
		n.t.Errorf("probe %s waits until %v, the world has %v", n.probe, at, now)
	}
}

// walk runs every probe that can run and answers every question, until nothing new can run. It
// stands for the walk, which chooses; here all of it is done.
func walk(t *testing.T, w *World) *notes {
	t.Helper()
	n := &notes{t: t, w: w}
	for _, q := range w.Questions(diag.NewView(nil, w.Now())) {
		n.probe = "person"
		i, text, ok := w.Client().Answer(q)
		switch {
		case !ok:
		case i >= 0:
			for _, f := range q.Options[i].Facts {
				n.Fact(f)
			}
		default:
			facts, err := q.Field.Facts(text)
			if err != nil {
				t.Errorf("question %s, answer %q: %v", q.ID, text, err)
			}
			for _, f := range facts {
				n.Fact(f)
			}
		}
	}
	done := map[string]bool{}
	for again := true; again; {
		again = false
		for _, p := range w.Probes(diag.NewView(n.facts, w.Now())) {
			if p.Needs != "" || done[p.ID+p.What] {
				continue
			}
			again, done[p.ID+p.What] = true, true
			n.run(p)
		}
	}
	return n
}

func (n *notes) run(p probe.Probe) {
	n.t.Helper()
	n.probe = p.ID
	ctx, cancel := context.WithTimeout(context.Background(), p.Limit)
	defer cancel()
	if err := p.Run(ctx, n); err != nil {
		n.t.Errorf("probe %s: %v", p.ID, err)
	}
}
