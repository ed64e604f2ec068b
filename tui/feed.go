package tui

import (
	"context"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
	"amtmedic/diag/wire"
	"amtmedic/tui/page"
)

// How often the screen follows a walk.
const (
	calm   = 500 * time.Millisecond // between two pictures of a walk that goes on by itself
	brisk  = 50 * time.Millisecond  // just after a key was pressed
	recent = 1500 * time.Millisecond
)

// asker is what a walker may be besides: one whose questions can be answered out of turn.
type asker interface{ Questions() []probe.Question }

// feed reads the snapshots of one walker, one at a time, so that an older one never follows a
// newer one.
type feed struct {
	w      flow.Walker
	ctx    context.Context
	cancel context.CancelFunc
	close  func() error
	live   atomic.Bool // numbers on the screen run by themselves
	wire   *wire.Log   // nil without packets
	pace   pace
	hush   context.CancelFunc // ends the listening besides the walk; nil without one

	mu     sync.Mutex
	n      int
	last   time.Time // of the last picture
	intent time.Time // of the last key that went to the walker
}

// picture is one snapshot on its way to the model.
type picture struct {
	from *feed
	n    int
	snap flow.Snapshot
	ask  []probe.Question
}

func newFeed(ctx context.Context, w flow.Walker, close func() error) *feed {
	f := &feed{w: w, close: close}
	if x, ok := w.(wired); ok {
		f.wire = x.Wire()
	}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f
}

// look takes a picture now.
func (f *feed) look() tea.Msg {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.last = time.Now()
	p := picture{from: f, n: f.n, snap: page.Clean(f.w.Snapshot())}
	if a, ok := f.w.(asker); ok {
		for _, q := range a.Questions() {
			p.ask = append(p.ask, page.CleanQuestion(q))
		}
	}
	return p
}

// follow waits for a change, or for the next tick while numbers run by themselves, and takes a
// picture then. It gives at most two pictures a second, unless a key was just pressed.
func (f *feed) follow() tea.Msg {
	tick := time.NewTicker(calm)
	defer tick.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return nil
		case <-tick.C:
			if !f.live.Load() {
				continue
			}
		case _, ok := <-f.w.Changed():
			if !ok {
				return nil
			}
		}
		if !f.rest() {
			return nil
		}
		return followed{f.look()}
	}
}

// followed is a picture after which the next one is waited for.
type followed struct{ picture tea.Msg }

// rest waits until the next picture is due. A key that is pressed meanwhile does not wait for it:
// it takes its own.
func (f *feed) rest() bool {
	f.mu.Lock()
	pause := calm
	if time.Since(f.intent) < recent {
		pause = brisk
	}
	wait := time.Until(f.last.Add(pause))
	f.mu.Unlock()
	if wait <= 0 {
		return f.ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-f.ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// do runs an intent and takes a picture after it.
func (f *feed) do(act func() tea.Msg) tea.Cmd {
	return func() tea.Msg {
		f.mu.Lock()
		f.intent = time.Now()
		f.mu.Unlock()
		msg := act()
		return acted{msg, f.look()}
	}
}

// acted carries the outcome of an intent with the picture after it.
type acted struct{ outcome, picture tea.Msg }

// lockedWriter lets the clipboard and the screen share an output without mixing their bytes.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write writes all of b at once.
func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// lockedFile is lockedWriter for a terminal, of which the library asks the size.
type lockedFile struct {
	*os.File
	mu sync.Mutex
}

// Write writes all of b at once.
func (l *lockedFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.File.Write(b)
}

// WriteString keeps the library from going around Write.
func (l *lockedFile) WriteString(s string) (int, error) { return l.Write([]byte(s)) }
