package wire

import (
	"io"
	"sync/atomic"
	"time"

	"amtmedic/capture"
	"amtmedic/diag"
)

// Tap is one place where packets of the case are seen: a capture file, a recording that still grows,
// a member of a bundle.
type Tap struct {
	Side diag.Vantage
	Name string // of the file or interface, for the screen
	Live bool   // more may come
	// Open gives the packets from the first one on. With follow it waits for more at the end of what
	// is there, until its context ends; without it ends there. A source that can be closed is closed.
	Open func(follow bool) (capture.Source, error)
	// Now is the clock of the packets, for captures of practice worlds, whose time runs faster; nil is
	// that of the source.
	Now func() time.Time
	// Counts gives what a live capture counted, false while it counted nothing; nil: the packets that
	// are read are all that is known.
	Counts func() (capture.Stats, bool)
}

// File gives the tap of a capture file.
func File(side diag.Vantage, path string) Tap {
	return Tap{Side: side, Name: path, Open: func(bool) (capture.Source, error) { return capture.OpenFile(path, nil) }}
}

// Growing gives the tap of a recording that is still written.
func Growing(side diag.Vantage, name, path string) Tap {
	return Tap{Side: side, Name: name, Live: true, Open: func(follow bool) (capture.Source, error) {
		if follow {
			return capture.FollowFile(path, nil)
		}
		return capture.OpenFile(path, nil)
	}}
}

// tap is a Tap that is being read.
type tap struct {
	Tap
	n       int
	packets atomic.Uint64
	first   atomic.Int64 // times of packets in Unix nanoseconds, 0 for none
	last    atomic.Int64
	done    atomic.Bool // nothing is written any more
	read    atomic.Bool // to its end
	failed  error       // guarded by the log
}

// Source is the state of one tap.
type Source struct {
	Side    diag.Vantage
	Name    string
	Live    bool // it is being captured now
	File    bool // it was recorded before
	Read    bool // to its end; nothing more will come
	Packets uint64
	Dropped uint64
	Known   bool      // how many were dropped is known
	First   time.Time // of the packets; zero without any
	Last    time.Time // of a live one: now
	Failed  error
}

func (t *tap) source() Source {
	s := Source{Side: t.Side, Name: t.Name, File: !t.Live, Live: t.Live && !t.done.Load() && t.failed == nil, Read: t.read.Load(), Packets: t.packets.Load(), Failed: t.failed}
	s.First, s.Last = moment(t.first.Load()), moment(t.last.Load())
	if now := t.now(); s.Live && now.After(s.Last) {
		s.Last = now
	}
	if t.Counts != nil && s.Live {
		if c, ok := t.Counts(); ok {
			s.Packets, s.Dropped, s.Known = c.Received, c.Dropped, true
		}
	}
	return s
}

// now is the clock of the tap's packets.
func (t *tap) now() time.Time {
	if t.Now != nil {
		return t.Now()
	}
	return time.Now()
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// see counts a packet, and gives it the time of the tap's clock when it is a heartbeat.
func (t *tap) see(p *capture.Packet) {
	if p.Number == 0 && p.Data == nil {
		if t.Now != nil {
			p.Time = t.Now()
		}
		return
	}
	t.packets.Add(1)
	if p.Time.IsZero() {
		return
	}
	if t.first.Load() == 0 {
		t.first.Store(p.Time.UnixNano())
	}
	if ns := p.Time.UnixNano(); ns > t.last.Load() {
		t.last.Store(ns)
	}
}

// shut closes a source that can be closed.
func shut(s capture.Source) {
	if c, ok := s.(io.Closer); ok {
		_ = c.Close() // it was only read
	}
}
