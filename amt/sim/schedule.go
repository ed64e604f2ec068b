package sim

import (
	"context"
	"time"
)

// Step is a number of tries with the same time before each.
type Step struct {
	Tries int
	Every time.Duration // of the client's time
}

// Schedule is when a client tries. Public statements disagree about it, so it is a parameter
// (provisioning-protocol 2.1). The first try comes at once: the time before it is left out.
type Schedule []Step

// SchedulePSK is schedule A: five tries a minute apart, five ten minutes apart, five an hour apart.
func SchedulePSK() Schedule {
	return Schedule{{5, time.Minute}, {5, 10 * time.Minute}, {5, time.Hour}}
}

// SchedulePKI is schedule B: each minute for 5 minutes, each 5 minutes for an hour, hourly for 23 hours.
func SchedulePKI() Schedule {
	return Schedule{{5, time.Minute}, {12, 5 * time.Minute}, {23, time.Hour}}
}

// At gives when try n (from 0) is due, counted from the first; false when there is none.
func (s Schedule) At(n int) (time.Duration, bool) {
	if len(s) == 0 || n < 0 {
		return 0, false
	}
	at := -s[0].Every
	for _, step := range s {
		if n < step.Tries {
			return at + time.Duration(n+1)*step.Every, true
		}
		n -= step.Tries
		at += time.Duration(step.Tries) * step.Every
	}
	return 0, false
}

// window is how long a schedule lasts when nothing else is said: the six hours of the PSK clients,
// the 24 of the others (provisioning-protocol 2.1).
func (s Schedule) window() time.Duration {
	n := 0
	for _, step := range s {
		n += step.Tries
	}
	if n == 0 {
		return 0
	}
	last, _ := s.At(n - 1)
	return min(last.Truncate(time.Hour)+time.Hour, 24*time.Hour)
}

// Clock is the time of a client. A practice world has one that runs faster than the wall's.
type Clock interface {
	Now() time.Time
	// SleepUntil waits for a moment of this clock; the error is that of ctx.
	SleepUntil(ctx context.Context, t time.Time) error
}

// ScaledClock runs scale times as fast as the wall clock: with 60 a minute takes a second.
func ScaledClock(scale float64) Clock {
	now := time.Now()
	return scaledClock{now, scale}
}

type scaledClock struct {
	start time.Time
	scale float64
}

func (c scaledClock) Now() time.Time {
	return c.start.Add(time.Duration(float64(time.Since(c.start)) * c.scale))
}

func (c scaledClock) SleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Duration(float64(t.Sub(c.Now())) / c.scale))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
