package lab

import (
	"context"
	"time"
)

// speed is how many seconds of the practice world pass in a real one. The first hello of a drained
// client is due within a minute (symptom-catalogue 5): here within a second.
const speed = 60

// clock is the time of the practice world: it begins at the real moment and runs faster.
type clock struct {
	begin time.Time // with monotonic part
}

// now gives the time of the world.
func (c clock) now() time.Time {
	return c.begin.Add(time.Since(c.begin) * speed).UTC().Round(0)
}

// real gives the real time that a span of the world takes.
func (c clock) real(d time.Duration) time.Duration { return d / speed }

// sleep waits for a span of the world.
func (c clock) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(c.real(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// within gives a context that ends when the span of the world is over.
func (c clock) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.real(d))
}
