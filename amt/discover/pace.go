package discover

import (
	"context"
	"sync"
	"time"
)

// pace hands out moments at which a connection may be opened, evenly spread. It may be used by
// several goroutines.
type pace struct {
	mu   sync.Mutex
	step time.Duration
	next time.Time
}

// lag is how far the pace makes up for time in which nobody asked: timers are coarse.
const lag = 20 * time.Millisecond

func newPace(rate int) *pace { return &pace{step: time.Second / time.Duration(rate)} }

// take reserves the next moment and says how long it is until then.
func (p *pace) take(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if early := now.Add(-lag); p.next.Before(early) {
		p.next = early
	}
	at := p.next
	p.next = at.Add(p.step)
	return at.Sub(now)
}

func (p *pace) wait(ctx context.Context) error {
	d := p.take(time.Now())
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
