// Package core holds the pages of the provisioning core: its clients, its queue and delayed entries,
// its keys, its log and its settings, read from a database while a server may be working on it.
// Nothing here waits: every look at the database is a command with a deadline. Looking never makes
// or changes anything; what changes something is previewed and confirmed first.
package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// How often the database is looked at. A slow one is left in peace for longer.
const (
	calm     = 500 * time.Millisecond // between two looks at what is on the screen
	counting = 2 * time.Second        // between two counts of all rows
	patience = 4                      // a look that took long is followed by this many times as long a rest
)

// Names are the words for ":" of all pages of the core, in the order of their tabs.
func Names() []string {
	return []string{"clients", "queue", "delayed", "keys", "serverlog", "settings"}
}

// Msg is a message of the core's pages to themselves. The root delivers it.
type Msg struct {
	to   *Page
	body any
}

// state is how far the database is open.
type state int

const (
	opening state = iota
	open
	missing // there is no database; one can be made
	broken  // it cannot be read now; problem says why
)

// tab is one of the pages.
type tab interface {
	name() string
	title() string
	count(c *store.Counts) (int, bool)
	hints() []keymap.Hint
	status() string
	typing() bool
	captures() bool
	key(k tea.KeyMsg) tea.Cmd
	click(line int) tea.Cmd
	view(w, h, top int) []string
	next() tea.Cmd                             // reads what is lacking; nil when nothing is
	again() func(context.Context) (any, error) // reads what is on the screen once more; nil when that is under way
	take(body any) (took bool)
}

// Page is all pages of the core; one of its tabs is shown.
type Page struct {
	env  *page.Env
	db   *Database
	ctx  context.Context
	w, h int

	tabs []tab
	at   int
	one  *client // the client that is looked at; nil for the list
	ask  *ask    // what is to be confirmed; nil when nothing is

	state   state
	problem string
	hint    string
	counts  *store.Counts
	counted time.Time
	held    bool // nothing is looked at by itself
	now     func() time.Time
}

// New makes the pages and shows the one with this name. Init begins to read; ctx ends with the screen.
func New(ctx context.Context, env *page.Env, db *Database, name string) *Page {
	p := &Page{env: env, db: db, ctx: ctx, now: time.Now}
	p.tabs = []tab{newClients(p), newQueue(p), newDelayed(p), newKeys(p), newLog(p), newSettings(p)}
	p.Show(name)
	return p
}

// Show shows the page with this name.
func (p *Page) Show(name string) {
	for i, t := range p.tabs {
		if t.name() == name {
			p.at, p.one, p.ask = i, nil, nil
		}
	}
}

// Open shows one client. Its UUID is taken as a person writes it.
func (p *Page) Open(uuid string) tea.Cmd {
	u, err := amt.ParseUUID(uuid)
	if err != nil {
		return page.Send(page.Note{Text: err.Error()})
	}
	p.Show("clients")
	return p.openClient(u)
}

// Init begins to look.
func (p *Page) Init() tea.Cmd { return p.look() }

// Refresh reads what the tab that is shown lacks.
func (p *Page) Refresh() tea.Cmd { return p.then(nil) }

// Name is the word for ":" of the tab that is shown.
func (p *Page) Name() string { return p.tabs[p.at].name() }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = w, h }

// Road is not there: these pages belong to no case.
func (p *Page) Road() bool { return false }

// Typing reports whether a text field has the keys.
func (p *Page) Typing() bool {
	return p.ask != nil && p.ask.typing() || p.ask == nil && p.ready() && p.front().typing()
}

// Captures reports whether esc is for the page itself.
func (p *Page) Captures() bool {
	return p.ask != nil || p.one != nil || p.ready() && p.front().captures()
}

// ready reports whether there are rows to look at: those that were read stay when reading fails.
func (p *Page) ready() bool { return p.state == open || p.state == broken && p.counts != nil }

// front is what has the keys: the client that is looked at, else the tab.
func (p *Page) front() tab {
	if p.one != nil {
		return p.one
	}
	return p.tabs[p.at]
}

// Status is the header: which database, and how it is.
func (p *Page) Status() (string, string) {
	name := p.db.Label()
	if text.Width(name) > p.w/2 {
		name = p.db.short()
	}
	right := ""
	switch {
	case p.state == opening:
		right = "opening"
	case p.state == missing:
		right = "no database"
	case p.state == broken:
		right = "cannot be read"
	case p.held:
		right = "held"
	default:
		right = p.front().status()
	}
	return "core " + p.hide(name), right
}

// Hints lists the keys.
func (p *Page) Hints() []keymap.Hint {
	switch {
	case p.ask != nil:
		return p.ask.hints()
	case p.state == missing && p.db.file() && !p.env.ReadOnly:
		return []keymap.Hint{keymap.Do(keymap.Enter, "make it"), keymap.Do(keymap.Again, "look again"), keymap.Do(keymap.Back, "")}
	case !p.ready():
		return []keymap.Hint{keymap.Do(keymap.Again, "look again"), keymap.Do(keymap.Back, "")}
	}
	hs := p.front().hints()
	if p.front().typing() {
		return hs
	}
	hold := "hold"
	if p.held {
		hold = "go on"
	}
	if p.one == nil { // among the first, so that the footer names it
		hs = slices.Insert(hs, min(2, len(hs)), keymap.Do(keymap.Panes, "next page"))
	}
	if p.one == nil {
		hs = append(hs, keymap.Do(keymap.Back, ""))
	}
	return append(hs, keymap.Do(keymap.Freeze, hold), keymap.Do(keymap.Pick, ""),
		keymap.Do(keymap.Up, ""), keymap.Do(keymap.Down, ""), keymap.Do(keymap.PageUp, ""), keymap.Do(keymap.PageDown, ""), keymap.Do(keymap.Top, ""), keymap.Do(keymap.Bottom, ""))
}

// Update takes keys, and what was read.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case Msg:
		if msg.to == p {
			return p.take(msg.body)
		}
	case tea.KeyMsg:
		return p.key(msg)
	}
	return nil
}

func (p *Page) key(k tea.KeyMsg) tea.Cmd {
	m := p.env.Keys
	switch {
	case p.ask != nil:
		return p.ask.key(k)
	case !p.ready():
		return p.closedKey(k)
	case p.front().typing():
		return p.then(p.front().key(k))
	case m.Is(k, keymap.Panes):
		p.one, p.at = nil, (p.at+1)%len(p.tabs)
	case p.one == nil && m.Number(k) >= 0 && m.Number(k) < len(p.tabs):
		p.at = m.Number(k)
	case m.Is(k, keymap.Freeze):
		p.held = !p.held
	default:
		return p.then(p.front().key(k))
	}
	return p.then(nil)
}

// closedKey takes keys while there is nothing to look at.
func (p *Page) closedKey(k tea.KeyMsg) tea.Cmd {
	m := p.env.Keys
	switch {
	case m.Is(k, keymap.Again):
		p.state, p.problem = opening, ""
		return p.lookOnce()
	case m.Is(k, keymap.Enter) && p.state == missing && p.db.file() && !p.env.ReadOnly:
		p.ask = p.askCreate()
	}
	return nil
}

// then adds the reading of what is lacking to a command.
func (p *Page) then(cmd tea.Cmd) tea.Cmd {
	if !p.ready() {
		return cmd
	}
	p.View() // the window says what is lacking
	next := p.front().next()
	switch {
	case next == nil:
		return cmd
	case cmd == nil:
		return next
	}
	return tea.Batch(cmd, next)
}

// Click selects what stands on a line.
func (p *Page) Click(line int) tea.Cmd {
	if p.ask != nil || !p.ready() || p.front().typing() {
		return nil
	}
	return p.then(p.front().click(line))
}

// send gives the command that runs fn and brings what it gives to this page.
func (p *Page) send(fn func(ctx context.Context) any) tea.Cmd {
	return func() tea.Msg { return Msg{p, fn(p.ctx)} }
}

// looked is what one look at the database gave.
type looked struct {
	body   any // for the tab; nil without one
	counts *store.Counts
	at     time.Time
	took   time.Duration
	once   bool // nothing follows it
	err    error
}

// look reads what is on the screen once more, and the counts when they are old; the next look
// follows by itself.
func (p *Page) look() tea.Cmd {
	l := p.lookOnce()
	return func() tea.Msg {
		m := l().(Msg)
		got := m.body.(looked)
		got.once = false
		m.body = got
		return m
	}
}

func (p *Page) lookOnce() tea.Cmd {
	var again func(context.Context) (any, error)
	if p.ready() {
		again = p.front().again()
	}
	count := p.now().Sub(p.counted) >= counting
	return p.send(func(ctx context.Context) any {
		began := time.Now()
		got := looked{at: began, once: true}
		if again != nil {
			got.body, got.err = again(ctx)
		}
		if count && got.err == nil {
			got.err = p.db.read(ctx, func(ctx context.Context, st *store.Store) error {
				c, err := st.Counts(ctx)
				got.counts = &c
				return err
			})
		}
		got.took = time.Since(began)
		return got
	})
}

// tick is the moment for the next look.
type tick struct{}

func (p *Page) take(body any) tea.Cmd {
	switch body := body.(type) {
	case looked:
		return p.looked(body)
	case tick:
		if p.held || p.ask != nil && p.ask.busy {
			return p.rest(calm)
		}
		return p.look()
	case asked:
		return p.asked(body)
	}
	p.absorb(body)
	return p.then(nil)
}

// absorb gives what was read to whom it belongs.
func (p *Page) absorb(body any) {
	if p.one != nil && p.one.take(body) {
		return
	}
	for _, t := range p.tabs {
		if t.take(body) {
			return
		}
	}
}

func (p *Page) looked(l looked) tea.Cmd {
	if l.body != nil {
		p.absorb(l.body)
	}
	if l.err != nil {
		p.trouble(l.err)
	} else {
		p.state, p.problem, p.hint = open, "", ""
		if l.counts != nil {
			p.counts, p.counted = l.counts, p.now()
		}
	}
	if l.once {
		return p.then(nil)
	}
	rest := max(calm, patience*l.took)
	if l.err != nil {
		rest = max(counting, rest)
	}
	return tea.Batch(p.then(nil), p.rest(rest))
}

func (p *Page) rest(d time.Duration) tea.Cmd {
	return p.db.Tick(d, func(time.Time) tea.Msg { return Msg{p, tick{}} })
}

// trouble keeps what went wrong, in words. Rows that were read stay on the screen.
func (p *Page) trouble(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	p.state, p.problem, p.hint = broken, text.Clean(err.Error()), ""
	if errors.Is(err, store.ErrNotFound) {
		p.state, p.counts = missing, nil
	}
	var known *amt.Error
	if errors.As(err, &known) {
		p.hint = text.Clean(known.Hint)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		p.hint = "another program may hold the database, or the line to it is slow"
	}
}

// View draws the page.
func (p *Page) View() []string {
	switch {
	case p.ask != nil:
		return text.Block(append([]string{p.bar()}, p.ask.view(p.w, p.h-1)...), p.w, p.h)
	case !p.ready():
		return text.Block(append([]string{p.bar()}, p.closed()...), p.w, p.h)
	}
	lines := []string{p.bar()}
	if p.h >= tall {
		lines = append(lines, "")
	}
	var foot []string
	if p.state == broken {
		foot = p.stale()
	}
	lines = append(lines, p.front().view(p.w, p.h-len(lines)-len(foot), len(lines))...)
	for len(lines) < p.h-len(foot) {
		lines = append(lines, "")
	}
	return text.Block(append(lines, foot...), p.w, p.h)
}

// tall is the number of lines from which the page has room for air.
const tall = 16

// bar draws the names of the pages, with how many rows each has.
func (p *Page) bar() string {
	draw := func(counts bool) string {
		line := " "
		for i, t := range p.tabs {
			s := t.title()
			if n, ok := p.countOf(t); counts && ok {
				s += " " + thousands(n)
			}
			if i == p.at {
				line += p.env.Paint(theme.Selected, "["+s+"]")
			} else {
				line += " " + p.env.Paint(theme.Muted, s) + " "
			}
		}
		return line
	}
	if line := draw(true); text.Width(line) <= p.w {
		return line
	}
	return draw(false)
}

func (p *Page) countOf(t tab) (int, bool) {
	if p.counts == nil {
		return 0, false
	}
	return t.count(p.counts)
}

// stale says that what is shown could not be read again.
func (p *Page) stale() []string {
	s := "not read again: " + p.hide(p.problem)
	if p.hint != "" {
		s += "; " + p.hide(p.hint)
	}
	lines := text.Wrap(s, p.w-4)
	for i, l := range lines {
		mark := "  "
		if i == 0 {
			mark = p.env.Paint(theme.Warn, "! ")
		}
		lines[i] = " " + mark + l
	}
	return lines[:min(len(lines), max(1, p.h/4))]
}

// closed says why there is nothing to look at, and what to do.
func (p *Page) closed() []string {
	var lines []string
	say := func(role theme.Role, mark, s string) {
		for i, l := range text.Wrap(s, min(p.w, 100)-6) {
			if i > 0 {
				mark = " "
			}
			lines = append(lines, " "+p.env.Paint(role, mark)+" "+l)
		}
	}
	lines = append(lines, "")
	name := p.hide(p.db.Label())
	switch p.state {
	case opening:
		say(theme.Busy, "◐", "opening "+name)
	case missing:
		say(theme.Unknown, "?", "There is no database of a provisioning core yet.")
		lines = append(lines, "")
		say(theme.Plain, " ", name)
		lines = append(lines, "")
		if p.db.file() {
			say(theme.Plain, " ", "amtmedic serve makes one when it starts. To put keys and names in before that, enter makes an empty one.")
		}
		say(theme.Plain, " ", "If the core runs on another place: start amtmedic with --db FILE, or the postgres:// URL. This page opens by itself when the database is there.")
	default:
		say(theme.Warn, "!", p.hide(p.problem))
		lines = append(lines, "")
		if p.hint != "" {
			say(theme.Plain, " ", p.hide(p.hint))
		}
		say(theme.Plain, " ", fmt.Sprintf("It is tried again every few seconds; %s tries at once.", p.env.Keys.Key(keymap.Again)))
	}
	return lines
}

// hide gives text as it may stand on the screen.
func (p *Page) hide(s string) string {
	s = text.Clean(s)
	if p.env.Hide == nil {
		return s
	}
	return p.env.Hide(s)
}
