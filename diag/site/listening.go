package site

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
	"amtmedic/diag"
)

// Captures are the capture files that were named.
func (w *World) Captures() []Capture { return slices.Clone(w.o.Captures) }

// listenOn opens the live capture of a probe, and remembers it for who counts its packets.
func (w *World) listenOn(name string, ports []uint16) func(warn func(string)) (capture.Source, error) {
	return func(warn func(string)) (capture.Source, error) {
		l, err := capture.OpenLive(name, capture.LiveOptions{Ports: ports, Warn: warn})
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		w.listening = l
		w.mu.Unlock()
		return &prompt{Live: l, pause: promptly}, nil
	}
}

// Listening gives the counts of the live capture that runs or ran last; false before the first.
func (w *World) Listening() (capture.Stats, bool) {
	w.mu.Lock()
	l := w.listening
	w.mu.Unlock()
	if l == nil {
		return capture.Stats{}, false
	}
	return l.Stats(), true
}

// mostHeard bounds a recording of Listen, but for packets of hellos.
const mostHeard = 64 << 20

// Listen captures on the interface of the options into a file of the case until ctx ends, besides the
// probes; it makes no facts. It gives nil when ctx ended it.
func (w *World) Listen(ctx context.Context) error {
	fail := func(err error, hint string) error {
		return &amt.Error{Op: "listen", Err: err, Hint: hint}
	}
	if w.o.Interface == "" {
		return fail(errors.New("no interface is chosen"), "name one with --interface; the first page shows how to get the right to capture")
	}
	w.mu.Lock()
	v, keep := w.last, w.keep
	w.mu.Unlock()
	if keep == nil {
		return fail(errors.New("this case keeps no packets"), "")
	}
	if v == nil {
		v = diag.NewView(nil, w.Now())
	}
	side := w.standsAt(v)
	src, err := w.listenOn(w.o.Interface, ports(v))(nil)
	if err != nil {
		return err
	}
	p := src.(*prompt)
	defer func() { _ = p.Close() }()
	file, _, err := keep(string(side))
	if err != nil {
		return err
	}
	rec, err := capture.RecordTo(file, capture.RecordOptions{Limit: mostHeard, Ports: ports(v), KeepOn: true}, capture.RecordedInterface{Name: w.o.Interface, Link: p.Link()})
	if err != nil {
		return err
	}
	w.listens(1)
	defer w.listens(-1)
	err = capture.Record(src, rec).Run(ctx, func(*capture.Packet) error { return nil })
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// listens counts who listens besides the probes: what a probe hears meanwhile is kept already.
func (w *World) listens(n int) {
	w.mu.Lock()
	w.screens += n
	w.mu.Unlock()
}

// promptly is how long after a packet what was seen is handed on for good.
const promptly = 20 * time.Millisecond

// prompt is a live capture that lets a heartbeat follow soon after its packets. A recorder writes the
// packets of a burst at the next heartbeat at the latest, and a person at the screen does not wait a
// second for a hello.
type prompt struct {
	*capture.Live
	pause time.Duration
}

// Run hands on what the capture gives, one call of fn at a time.
func (s *prompt) Run(ctx context.Context, fn func(*capture.Packet) error) error {
	return promptRun(ctx, s.Live.Run, s.pause, fn)
}

// promptRun is Run around the Run of any source.
func promptRun(ctx context.Context, run func(context.Context, func(*capture.Packet) error) error, pause time.Duration, fn func(*capture.Packet) error) error {
	var (
		mu     sync.Mutex
		failed error // of fn at a heartbeat of ours
		over   bool
		armed  atomic.Bool
	)
	beat := time.AfterFunc(time.Hour, func() {
		mu.Lock()
		defer mu.Unlock()
		armed.Store(false)
		if !over && failed == nil {
			failed = fn(&capture.Packet{Time: time.Now()})
		}
	})
	defer func() {
		beat.Stop()
		mu.Lock()
		over = true
		mu.Unlock()
	}()
	return run(ctx, func(p *capture.Packet) error {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil {
			return failed
		}
		if p.Number > 0 && armed.CompareAndSwap(false, true) {
			beat.Reset(pause)
		}
		return fn(p)
	})
}
