package capture

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrFeedClosed is given by Push after Close or after the end of Run.
var ErrFeedClosed = errors.New("feed is closed")

// Feed is a Source in memory: other code pushes frames, Run hands them on. It lets a practice world
// show real exchanges of its own sockets without the right to capture.
type Feed struct {
	link     LinkType
	in       chan *Packet
	done     chan struct{} // closed when Run has ended
	closed   chan struct{}
	once     sync.Once
	received atomic.Uint64
	number   atomic.Int64
}

// NewFeed makes a feed of frames of one link type, with room for size frames (at least one).
func NewFeed(link LinkType, size int) *Feed {
	return &Feed{link: link, in: make(chan *Packet, max(1, size)), done: make(chan struct{}), closed: make(chan struct{})}
}

// Push hands on one frame, which the feed keeps: do not change it afterwards. It waits while the
// feed is full, until ctx ends.
func (f *Feed) Push(ctx context.Context, at time.Time, frame []byte) error {
	p := &Packet{Data: frame, Time: at, OrigLen: len(frame), Link: f.link}
	select {
	case <-f.closed:
		return ErrFeedClosed
	default:
	}
	select {
	case f.in <- p:
		return nil
	case <-f.done:
		return ErrFeedClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the feed: Run returns nil once everything that was pushed before is handed on. It must
// not be called at the same time as Push.
func (f *Feed) Close() { f.once.Do(func() { close(f.closed) }) }

// Run hands on frames until Close, an error of fn or the end of ctx. Numbers count from 1.
func (f *Feed) Run(ctx context.Context, fn func(*Packet) error) error {
	defer close(f.done)
	hand := func(p *Packet) error {
		f.received.Add(1)
		p.Number = int(f.number.Add(1))
		return fn(p)
	}
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	for {
		select {
		case p := <-f.in:
			if err := hand(p); err != nil {
				return err
			}
		case now := <-beat.C:
			if err := fn(&Packet{Time: now}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-f.closed:
			for {
				select {
				case p := <-f.in:
					if err := hand(p); err != nil {
						return err
					}
				default:
					return nil
				}
			}
		}
	}
}

// Stats counts the frames that were handed on.
func (f *Feed) Stats() Stats { return Stats{Received: f.received.Load()} }
