package lab

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"amtmedic/capture"
)

// ether keeps what a tap saw from the beginning of the world, so that every look at it starts
// there. keep, when set, gets every frame too.
type ether struct {
	now func() time.Time

	mu    sync.Mutex
	seen  []sighting
	grown chan struct{} // closed when something was added
	ended bool
	keep  *keeper // nil: nothing is kept
	lost  error   // why keeping failed
}

// heartbeat is how often, in real time, a silent source says that it is alive.
const heartbeat = 40 * time.Millisecond

type sighting struct {
	at    time.Time
	frame []byte
}

func newEther(now func() time.Time) *ether { return &ether{now: now, grown: make(chan struct{})} }

// add notes a frame.
func (e *ether) add(at time.Time, frame []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return
	}
	if n := len(e.seen); n > 0 && at.Before(e.seen[n-1].at) {
		at = e.seen[n-1].at // two sockets wrote at once
	}
	e.seen = append(e.seen, sighting{at, frame})
	if e.keep != nil && e.lost == nil {
		e.lost = e.keep.frame(at, frame)
	}
	close(e.grown)
	e.grown = make(chan struct{})
}

// end says that nothing more comes, and whether everything was kept.
func (e *ether) end() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return nil
	}
	e.ended = true
	close(e.grown)
	if e.keep == nil {
		return e.lost
	}
	return errors.Join(e.lost, e.keep.close(capture.Stats{Received: uint64(len(e.seen))}))
}

// after gives what was added behind the first n frames, and what tells that there is more.
func (e *ether) after(n int) (more []sighting, ended bool, grown <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.seen[n:]), e.ended, e.grown
}

// source gives what was seen from a moment on, and what comes, until the source is cancelled.
func (e *ether) source(from time.Time) capture.Source { return &replay{e: e, from: from} }

// excerpt gives what was seen between two moments, as a capture that began and ended then.
func (e *ether) excerpt(from, to time.Time) capture.Source { return &replay{e: e, from: from, to: to} }

// replay is one run over an ether. Packets keep the numbers that they have in the whole capture.
type replay struct {
	e        *ether
	from, to time.Time // to is zero: goes on

	mu    sync.Mutex
	stats capture.Stats
}

// Run gives the frames until ctx, the excerpt or the world ends.
func (r *replay) Run(ctx context.Context, fn func(*capture.Packet) error) error {
	beat := func(at time.Time) error { return fn(&capture.Packet{Time: at, Link: capture.LinkEthernet}) }
	if err := beat(r.from); err != nil {
		return err
	}
	for n := 0; ; {
		more, ended, grown := r.e.after(n)
		if err := r.give(more, n, fn); err != nil {
			return err
		}
		n += len(more)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !r.to.IsZero():
			return beat(r.to)
		case ended && len(more) == 0:
			return nil
		case len(more) > 0:
			continue
		}
		pulse := time.NewTimer(heartbeat)
		select {
		case <-grown:
		case <-ctx.Done():
		case <-pulse.C: // silence is an observation too: time moves on
			if err := beat(r.e.now()); err != nil {
				return err
			}
		}
		pulse.Stop()
	}
}

// give hands on the frames of the wanted time; seen is how many came before.
func (r *replay) give(frames []sighting, seen int, fn func(*capture.Packet) error) error {
	for i, s := range frames {
		if s.at.Before(r.from) || (!r.to.IsZero() && s.at.After(r.to)) {
			continue
		}
		r.mu.Lock()
		r.stats.Received++
		r.stats.Bytes += uint64(len(s.frame))
		r.mu.Unlock()
		if err := fn(&capture.Packet{Data: s.frame, Time: s.at, OrigLen: len(s.frame), Link: capture.LinkEthernet, Number: seen + i + 1}); err != nil {
			return err
		}
	}
	return nil
}

// Stats counts the frames so far.
func (r *replay) Stats() capture.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}
