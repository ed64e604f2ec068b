package lab

import (
	"context"
	"errors"
	"sync"
	"time"
)

// speed is how many seconds of the practice world pass in a real one. The first hello of a drained
// client is due within a minute (symptom-catalogue 5): here within a second.
const speed = 60

// clock is the time of the practice world: it begins at the real moment and runs faster. It never
// goes back.
type clock struct {
	mu      sync.Mutex
	world   time.Time // the world's time when the present speed began
	real    time.Time // the real moment of it, with monotonic part
	factor  float64
	changed chan struct{} // closed when the speed changes
}

func newClock() *clock {
	t := time.Now()
	return &clock{world: t.UTC().Round(0), real: t, factor: speed, changed: make(chan struct{})}
}

// now gives the time of the world.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(time.Now())
}

func (c *clock) at(t time.Time) time.Time {
	return c.world.Add(time.Duration(float64(t.Sub(c.real)) * c.factor))
}

// until gives the real time that is left until a moment of the world at the present speed, and
// what tells that the speed has changed.
func (c *clock) until(t time.Time) (time.Duration, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(float64(t.Sub(c.at(time.Now()))) / c.factor), c.changed
}

// setSpeed changes how fast the world runs from now on.
func (c *clock) setSpeed(factor float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := time.Now()
	c.world, c.real, c.factor = c.at(t), t, factor
	close(c.changed)
	c.changed = make(chan struct{})
}

// errWoken ends a sleep before its time.
var errWoken = errors.New("woken")

// sleep waits until a span of the world has passed, or wake is closed.
func (c *clock) sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	return c.sleepUntil(ctx, c.now().Add(d), wake)
}

// sleepUntil waits for a moment of the world.
func (c *clock) sleepUntil(ctx context.Context, t time.Time, wake <-chan struct{}) error {
	for {
		left, changed := c.until(t)
		if left <= 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-changed:
		case <-wake:
			timer.Stop()
			return errWoken
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// lapse lets a span of the world pass within a short real time: nobody wants to sit for an hour
// before a client that says nothing. Everything in the world sees all of the time pass.
func (c *clock) lapse(ctx context.Context, d, within time.Duration) error {
	end := c.now().Add(d)
	c.setSpeed(float64(d) / float64(within))
	err := c.sleepUntil(ctx, end, nil)
	c.setSpeed(speed)
	return err
}
