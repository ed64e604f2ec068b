package lab

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

func newRand(id identity) *rand.Rand { return rand.New(id.rand) }

func TestClock(t *testing.T) {
	c := newClock()
	begin := c.now()
	if d := time.Until(begin).Abs(); d > time.Second {
		t.Errorf("the world begins %v away from now", d)
	}
	c.hasten(begin.Add(time.Minute), speed)
	real := time.Now()
	if err := c.sleep(context.Background(), 30*time.Second); err != nil {
		t.Error(err)
	}
	if d := time.Since(real); d < 450*time.Millisecond || d > 900*time.Millisecond {
		t.Errorf("half a minute took %v", d)
	}
	if d := c.now().Sub(begin); d < 30*time.Second || d > 45*time.Second {
		t.Errorf("%v passed", d)
	}
	// A sleeper wakes in time although the pace changes while it sleeps.
	time.AfterFunc(50*time.Millisecond, func() { c.hasten(c.now().Add(2*time.Hour), 72000) })
	real = time.Now()
	if err := c.sleep(context.Background(), time.Hour); err != nil {
		t.Error(err)
	}
	if d := time.Since(real); d > time.Second {
		t.Errorf("the hour took %v", d)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := newClock().sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled sleep: %v", err)
	}
}

func TestClockNeverGoesBack(t *testing.T) {
	c := newClock()
	last := c.now()
	for i := range 2000 {
		switch i % 50 {
		case 0:
			c.hasten(last.Add(3*time.Second), speed)
		case 20:
			c.hasten(last.Add(-time.Hour), speed)
		case 30:
			c.hasten(last.Add(time.Minute), 20000)
		}
		now := c.now()
		if now.Before(last) {
			t.Fatalf("step %d: %v after %v", i, now, last)
		}
		last = now
	}
}
