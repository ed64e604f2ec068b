package main

import (
	"context"
	"time"
)

// background is serve while a manager of services runs it.
type background struct {
	stop context.CancelFunc
	over chan struct{} // closed when it ended
	code int           // after over
	err  error         // after over
}

// inBackground begins. What it prints for people goes nowhere; the error is for the caller to tell.
func inBackground(e *env, run func(*env) (int, error)) *background {
	b := &background{over: make(chan struct{})}
	own := *e
	own.ctx, b.stop = context.WithCancel(context.WithoutCancel(e.ctx))
	go func() {
		defer close(b.over)
		b.code, b.err = run(&own)
	}()
	return b
}

// ended waits, and reports whether it ended meanwhile.
func (b *background) ended(within time.Duration) bool {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-b.over:
	case <-t.C:
	}
	select { // both may have come
	case <-b.over:
		return true
	default:
		return false
	}
}
