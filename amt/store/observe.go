package store

import (
	"sync/atomic"
	"time"
)

// Observer is told how the store works, for metrics. Its functions are called from several goroutines
// and must return quickly; either may be nil.
type Observer struct {
	GroupCommit func(requests int)       // that shared a commit
	HelloCommit func(took time.Duration) // from RecordHello until the hello is durable
}

// Observe names the observer of this store; it may be called at any time.
func (s *Store) Observe(o Observer) {
	if s.w != nil {
		s.w.observer.Store(&o)
	}
}

// watched holds the observer of a writer.
type watched struct{ atomic.Pointer[Observer] }

func (w *watched) committed(n int) {
	if o := w.Load(); o != nil && o.GroupCommit != nil {
		o.GroupCommit(n)
	}
}

func (w *watched) hello(begun time.Time) {
	if o := w.Load(); o != nil && o.HelloCommit != nil {
		o.HelloCommit(time.Since(begun))
	}
}
