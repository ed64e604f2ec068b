// Package server is the page on which this machine becomes the setup server: what would listen where
// and with what, the word that starts it, what happens while it runs, and its stop in order. It is never
// started unasked; leaving the page stops nothing, the end of the screen does.
package server

import (
	"context"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
)

// Plan is what a start would do. Refused says why there is none, Hint what to do then.
type Plan struct {
	Rows    []Row
	ByHand  string // the command that does the same
	Refused string
	Hint    string
}

// Row is one line of a Plan.
type Row struct{ Label, Text string }

// Event is something that happened at the running server.
type Event struct {
	At     time.Time
	Kind   Kind
	What   string // in a few words
	Client string // UUID; empty for none
	Detail string
}

// Kind sorts events for the counts of the page.
type Kind int

// The kinds.
const (
	Other Kind = iota
	Ready
	Hello
	HelloDelayed // one whose client is put off at once
	Provisioned
	Delayed
	Failed
)

// Control is the setup server of this machine. Neither function is called unasked.
type Control struct {
	// Plan looks at what a start would do; it changes nothing.
	Plan func(ctx context.Context) (Plan, error)
	// Run is the server until ctx ends; nil after a stop in order. report may be called from any goroutine.
	Run func(ctx context.Context, report func(Event)) error
	// Now is the time and Tick how it passes; nil is that of this machine.
	Now  func() time.Time
	Tick func(time.Duration, func(time.Time) tea.Msg) tea.Cmd
}

// Msg is a message of this page to itself.
type Msg struct{ body any }

type (
	planned struct {
		plan Plan
		err  error
	}
	ended struct{ err error }
	tick  struct{}
)

// state is how far the server is.
type state int

const (
	looking state = iota // at what a start would do
	ready
	starting
	running
	stopping
)

// The words that are typed before anything is done.
const (
	wordStart = "yes"
	wordStop  = "stop"
)

// kept is how many events the page holds.
const kept = 500

// Page is the page. There is one of it for the screen.
type Page struct {
	ctx  context.Context
	env  *page.Env
	c    *Control
	w, h int

	state  state
	plan   Plan
	err    error // of the last plan, start or run
	in     *input.Input
	note   string
	since  time.Time
	up     int // lines scrolled back in the list
	drawn  int // events that there were when it was drawn last
	cancel context.CancelFunc
	done   chan struct{} // closed when the server has stopped; nil before the first start

	mu     sync.Mutex
	events []Event
	counts tally
}

// tally is how often each kind of event happened.
type tally [Failed + 1]int

// New makes the page; c nil means that no server can be started from here.
func New(ctx context.Context, env *page.Env, c *Control) *Page {
	if c != nil && c.Now == nil {
		c.Now = time.Now
	}
	if c != nil && c.Tick == nil {
		c.Tick = tea.Tick
	}
	return &Page{ctx: ctx, env: env, c: c}
}

// Init looks at what a start would do.
func (p *Page) Init() tea.Cmd {
	if p.c == nil || p.state > ready {
		return nil
	}
	p.state, p.err = looking, nil
	return func() tea.Msg {
		plan, err := p.c.Plan(p.ctx)
		return Msg{planned{plan, err}}
	}
}

// Running reports whether the server is up, or on its way.
func (p *Page) Running() bool { return p.state >= starting }

// Close stops the server in order and waits for its end, at most limit.
func (p *Page) Close(limit time.Duration) {
	if p.cancel == nil {
		return
	}
	p.cancel()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
	}
}

// Name is "core".
func (p *Page) Name() string { return "core" }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = w, h }

// Road is not there: the server is not one client's.
func (p *Page) Road() bool { return false }

// Typing reports whether a word is being typed.
func (p *Page) Typing() bool { return p.in != nil }

// Captures reports whether esc leaves the stop that was asked for, and not the page.
func (p *Page) Captures() bool { return p.state == running && p.in != nil }

// Status is the header.
func (p *Page) Status() (string, string) {
	if p.c == nil {
		return "setup server", "not here"
	}
	words := map[state]string{looking: "looking", ready: "not running", starting: "starting", running: "running", stopping: "stopping"}[p.state]
	return "setup server", words
}

// Hints lists the keys.
func (p *Page) Hints() []keymap.Hint {
	scroll := []keymap.Hint{keymap.Do(keymap.Up, ""), keymap.Do(keymap.Down, ""), keymap.Do(keymap.Bottom, "newest")}
	switch {
	case p.state == running && p.in != nil:
		return []keymap.Hint{{Action: keymap.Enter, Word: "stop it", Key: wordStop + " + enter"}, keymap.Do(keymap.Back, "let it run")}
	case p.state == running:
		return append([]keymap.Hint{keymap.Do(keymap.Enter, "stop …"), keymap.Do(keymap.Back, "back (it carries on)"), keymap.Do(keymap.Goto, "go to clients, queue …")}, scroll...)
	case p.Running():
		words := "back (it carries on)"
		if p.state == stopping {
			words = "back (it stops)"
		}
		return []keymap.Hint{keymap.Do(keymap.Back, words)}
	case p.in != nil:
		return []keymap.Hint{{Action: keymap.Enter, Word: "start it", Key: wordStart + " + enter"}, keymap.Do(keymap.Back, "back, nothing is started")}
	}
	hints := []keymap.Hint{keymap.Do(keymap.Back, "back")}
	if p.c != nil {
		hints = append(hints, keymap.Do(keymap.Recheck, "look again"))
	}
	if p.plan.ByHand != "" {
		hints = append(hints, keymap.Do(keymap.Copy, "copy the command"))
	}
	return hints
}

// Update takes keys and what the server brings.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		return p.key(msg)
	case Msg:
		switch b := msg.body.(type) {
		case planned:
			p.planned(b)
		case ended:
			return p.ended(b.err)
		case tick:
			if p.state == starting && p.count(Ready) > 0 {
				p.state = running
			}
			if p.Running() {
				return p.again()
			}
		}
	}
	return nil
}

// again redraws twice a second while the server runs.
func (p *Page) again() tea.Cmd {
	return p.c.Tick(500*time.Millisecond, func(time.Time) tea.Msg { return Msg{tick{}} })
}

func (p *Page) planned(r planned) {
	if p.Running() {
		return
	}
	p.state, p.plan, p.err, p.in = ready, r.plan, r.err, nil
	if r.err == nil && r.plan.Refused == "" && !p.env.ReadOnly {
		p.in = &input.Input{}
	}
}

// ended is the end of a run; what a start would do now is looked at anew.
func (p *Page) ended(err error) tea.Cmd {
	p.state, p.in, p.cancel = ready, nil, nil
	p.note = "stopped in order; nothing is lost, and hellos that come now are not answered"
	if err != nil {
		p.note = ""
	}
	cmd := p.Init()
	p.err = err
	if err != nil { // it stands until somebody looks again
		p.state = ready
		return nil
	}
	return cmd
}

func (p *Page) key(k tea.KeyMsg) tea.Cmd {
	m := p.env.Keys
	if p.in != nil {
		switch {
		case m.Is(k, keymap.Enter):
			return p.enter(p.in.Value())
		case m.Is(k, keymap.Back): // captured while it runs
			p.in, p.note = nil, ""
		default:
			p.note = ""
			p.in.Update(k)
		}
		return nil
	}
	switch {
	case m.Is(k, keymap.Enter) && p.state == running && !p.env.ReadOnly:
		p.in = &input.Input{}
	case m.Is(k, keymap.Up):
		p.up = min(p.up+1, max(0, p.held()-1))
	case m.Is(k, keymap.Down):
		p.up = max(0, p.up-1)
	case m.Is(k, keymap.Bottom):
		p.up = 0
	case m.Is(k, keymap.Recheck) && !p.Running():
		p.note = ""
		return p.Init()
	case m.Is(k, keymap.Copy) && p.plan.ByHand != "":
		return page.Send(page.Copy{What: "the command", Text: p.plan.ByHand})
	}
	return nil
}

// enter takes the word that was typed.
func (p *Page) enter(typed string) tea.Cmd {
	switch {
	case p.state == ready && typed == wordStart:
		return p.start()
	case p.state == running && typed == wordStop:
		p.in, p.state = nil, stopping
		p.cancel()
	case p.state == running:
		p.note = "it runs on: type " + wordStop + " to stop it"
	default:
		p.note = "nothing is started: type " + wordStart
	}
	return nil
}

// start runs the server until it is stopped, or the screen ends.
func (p *Page) start() tea.Cmd {
	ctx, cancel := context.WithCancel(p.ctx)
	done := make(chan struct{})
	p.state, p.in, p.err, p.note, p.cancel, p.done, p.since, p.up = starting, nil, nil, "", cancel, done, p.c.Now(), 0
	p.mu.Lock()
	p.events, p.counts, p.drawn = nil, tally{}, 0
	p.mu.Unlock()
	return tea.Batch(p.again(), func() tea.Msg {
		defer close(done)
		defer cancel()
		return Msg{ended{p.c.Run(ctx, p.report)}}
	})
}

func (p *Page) report(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[e.Kind]++
	if p.events = append(p.events, e); len(p.events) > kept {
		p.events = p.events[len(p.events)-kept:]
	}
}

func (p *Page) count(k Kind) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[k]
}

func (p *Page) held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.events)
}
