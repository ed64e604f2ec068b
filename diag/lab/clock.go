package lab

import (
	"context"
	"sync"
	"time"
)

// speed is how many seconds of the practice world pass in a real one while something is waited
// for. The first hello of a drained client is due within a minute (symptom-catalogue 5): here
// within a second.
const speed = 60

// clock is the time of the practice world. It begins at the real moment and runs as fast as real
// time, so that what a person ponders over does not grow old; while the world waits for its client
// it runs faster. It never goes back.
type clock struct {
	mu      sync.Mutex
	world   time.Time // the world's time when the present pace began
	real    time.Time // the real moment of it, with monotonic part
	factor  float64   // pace until then
	then    time.Time // moment of the world from which on the pace is 1
	changed chan struct{}
}

func newClock() *clock {
	t := time.Now()
	return &clock{world: t.UTC().Round(0), real: t, factor: 1, then: t.UTC().Round(0), changed: make(chan struct{})}
}

// now gives the time of the world.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(time.Now())
}

func (c *clock) at(t time.Time) time.Time {
	passed := t.Sub(c.real)
	fast := c.then.Sub(c.world) // of the world
	hurried := time.Duration(float64(passed) * c.factor)
	if hurried <= fast {
		return c.world.Add(hurried)
	}
	return c.then.Add(passed - time.Duration(float64(fast)/c.factor))
}

// until gives the real time that is left until a moment of the world, and what tells that the pace
// has changed.
func (c *clock) until(t time.Time) (time.Duration, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.at(time.Now())
	hurried, rest := t.Sub(now), time.Duration(0)
	if t.After(c.then) {
		hurried = max(0, c.then.Sub(now))
		rest = t.Sub(now) - hurried
	}
	return time.Duration(float64(hurried)/c.factor) + rest, c.changed
}

// hasten lets the world run faster until a moment of it, or longer if that was asked before.
func (c *clock) hasten(until time.Time, factor float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := time.Now()
	now := c.at(t)
	if c.then.After(now) {
		factor = max(factor, c.factor)
		if c.then.After(until) {
			until = c.then
		}
	}
	c.world, c.real, c.factor, c.then = now, t, factor, until
	if until.Before(now) {
		c.then = now
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// relax lets the world run as fast as real time from now on: what was waited for is there.
func (c *clock) relax() {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := time.Now()
	now := c.at(t)
	c.world, c.real, c.factor, c.then = now, t, 1, now
	close(c.changed)
	c.changed = make(chan struct{})
}

// Now gives the time of the world, for the simulated client.
func (c *clock) Now() time.Time { return c.now() }

// sleep waits until a span of the world has passed.
func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	return c.SleepUntil(ctx, c.now().Add(d))
}

// SleepUntil waits for a moment of the world; the error is that of ctx.
func (c *clock) SleepUntil(ctx context.Context, t time.Time) error {
	for {
		left, changed := c.until(t)
		if left <= 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}
