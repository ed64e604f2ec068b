package tui

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag/wire"
	"amtmedic/tui/page"
	wirepage "amtmedic/tui/page/wire"
)

// wired is what a walker may be besides: one whose packets can be looked at.
type wired interface{ Wire() *wire.Log }

// saveLimit bounds the reading and writing of packets that are saved.
const saveLimit = 10 * time.Minute

// packets are lines on their way from the log to the page that waits for them.
type packets struct {
	from  *feed
	to    *wirepage.Page
	batch wire.Batch
}

// openWire shows the page of packets, and lets the reading begin.
func (m *model) openWire() tea.Cmd {
	if m.feed == nil {
		return nil
	}
	p := wirepage.New(m.env)
	m.show(p)
	f := m.feed
	if f.wire == nil {
		return nil
	}
	ports := wire.Ports(m.veil.raw.snap.Facts)
	return func() tea.Msg {
		f.wire.Want(ports...)
		return packets{f, p, f.wire.Since(0)}
	}
}

// packets gives lines to their page, and waits for the next while the page is there.
func (m *model) packets(msg packets) tea.Cmd {
	if msg.from != m.feed {
		return nil
	}
	for _, p := range m.stack {
		if p == page.Page(msg.to) {
			return tea.Batch(p.Update(page.Wired{Batch: msg.batch}), m.wait(m.feed, msg.to, msg.batch.Cursor))
		}
	}
	return nil
}

// next waits until there is something to show: lines at once, within the pace; numbers that run by
// themselves twice a second.
func (f *feed) next(p *wirepage.Page, cursor int) tea.Msg {
	before := f.wire.Since(cursor)
	if len(before.Lines) > 0 && f.pace.rest(f.ctx) {
		return packets{f, p, f.wire.Since(cursor)}
	}
	tick := time.NewTicker(calm)
	defer tick.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return nil
		case <-f.wire.Changed():
			if !f.pace.rest(f.ctx) {
				return nil
			}
			return packets{f, p, f.wire.Since(cursor)}
		case <-tick.C:
			if b := f.wire.Since(cursor); len(b.Lines) > 0 || !reflect.DeepEqual(b.Sources, before.Sources) {
				return packets{f, p, b}
			}
		}
	}
}

// How often lines that come are drawn.
const (
	quick    = 150 * time.Millisecond // while few come
	bursts   = 8                      // as many times in a row
	regained = 2.0                    // a second
)

// pace lets lines be drawn at once while few come, and twice a second while they stream: the
// terminal at the other end may be slow.
type pace struct {
	mu     sync.Mutex
	last   time.Time
	tokens float64
}

// rest waits until the next drawing is due; false when ctx ended.
func (p *pace) rest(ctx context.Context) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.tokens = min(bursts, p.tokens+now.Sub(p.last).Seconds()*regained)
	gap := quick
	if p.tokens < 1 {
		gap = calm
	} else {
		p.tokens--
	}
	if wait := time.Until(p.last.Add(gap)); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		}
	}
	p.last = time.Now()
	return ctx.Err() == nil
}

// listener is what a walker may be besides: one that can listen on an interface for the screen.
type listener interface {
	Listen(ctx context.Context) error
}

// heard says that the listening besides the walk has ended.
type heard struct {
	from *feed
	err  error
}

// listen lets the case listen besides the walk, or ends that.
func (m *model) listen(l page.Listen) tea.Cmd {
	f := m.feed
	if f == nil {
		return nil
	}
	x, ok := f.w.(listener)
	switch {
	case f.hush != nil:
		f.hush()
		return nil
	case l.Live:
		m.note = "the walk listens already"
		return nil
	case !ok:
		m.note = "only a walk of a real client listens on an interface"
		return nil
	}
	var ctx context.Context
	ctx, f.hush = context.WithCancel(f.ctx)
	m.note = "listening; r ends it"
	return func() tea.Msg { return heard{f, x.Listen(ctx)} }
}

func (m *model) heard(h heard) tea.Cmd {
	if h.from != m.feed {
		return nil
	}
	h.from.hush()
	h.from.hush = nil
	m.note = outcome("the listening has ended", h.err)
	return nil
}

var errNoPackets = errors.New("save packets: this case has none")

// savePackets writes packets in a command.
func (m *model) savePackets(s page.SavePackets) tea.Cmd {
	f := m.feed
	if f == nil || f.wire == nil {
		return m.deliver(page.Saved{Path: s.Path, Err: errNoPackets})
	}
	m.note = "saving packets"
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(f.ctx, saveLimit)
		defer cancel()
		path, err := filepath.Abs(s.Path)
		n := 0
		if err == nil {
			n, err = f.wire.Save(ctx, path, s.Which)
		}
		return acted{page.Saved{Path: path, N: n, Err: err}, nil}
	}
}

// savedNote says what was written.
func (m *model) savedNote(s page.Saved) string {
	real := ""
	if m.veil.on {
		real = ", with the real names in them"
	}
	return fmt.Sprintf("%d packets saved%s: %s", s.N, real, s.Path)
}
