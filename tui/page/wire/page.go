// Package wire is the page of packets: every attempt and hello of the clients as lines, a hello taken
// apart with its fields and bytes linked, and when the next one may be expected. It shows what a
// diag/wire.Log read; it reads nothing itself.
package wire

import (
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/wire"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
)

// focus says what the keys move through.
type focus int

const (
	inList focus = iota
	inFields
	inBytes
)

// Page is the wire.
type Page struct {
	env  *page.Env
	w, h int

	store   *store
	rows    list.List
	sources []wire.Source
	sides   []diag.Vantage // of which there are captures
	chosen  bool           // a person chose which of them is shown
	began   bool           // where to begin was chosen: at the last hello of what was recorded
	follow  bool
	frozen  bool
	held    []wire.Batch // what came while frozen
	fresh   int          // how many lines those are

	filter *input.Input
	typing bool
	hidden bool         // names were hidden when the filter last looked
	saving *input.Input // path of the file that is to be written
	failed string       // why it could not be
	which  wire.Which   // what is to be saved
	whose  string       // the same in words

	focus  focus
	detail detail
	areas  areas

	pid    string // of the case, and what the map of the server says of it
	mapped string
}

// New makes the page.
func New(env *page.Env) *Page {
	p := &Page{env: env, follow: true, hidden: env.Hidden}
	p.store = newStore(p.searched)
	p.facts()
	return p
}

// Name is "wire".
func (p *Page) Name() string { return "wire" }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = w, h }

// Road is there.
func (p *Page) Road() bool { return true }

// Typing reports whether a filter or a path is typed.
func (p *Page) Typing() bool { return p.typing || p.saving != nil }

// Captures reports whether esc is for the page itself.
func (p *Page) Captures() bool { return p.filter != nil || p.saving != nil || p.focus != inList }

// Hints lists the keys.
func (p *Page) Hints() []keymap.Hint {
	moves := []keymap.Hint{keymap.Do(keymap.Up, ""), keymap.Do(keymap.Down, ""), keymap.Do(keymap.PageUp, ""), keymap.Do(keymap.PageDown, ""), keymap.Do(keymap.Top, "")}
	switch {
	case p.saving != nil:
		return []keymap.Hint{keymap.Do(keymap.Enter, "save"), keymap.Do(keymap.Back, "save nothing")}
	case p.typing:
		return []keymap.Hint{keymap.Do(keymap.Enter, "keep"), keymap.Do(keymap.Back, "clear"), {Action: keymap.Up, Word: "move", Key: "↑ ↓"}}
	}
	freeze := "freeze"
	if p.frozen {
		freeze = "go on"
	}
	common := []keymap.Hint{keymap.Do(keymap.Freeze, freeze), keymap.Do(keymap.Filter, ""), keymap.Do(keymap.FindNext, "next hello"),
		keymap.Do(keymap.Vantage, ""), keymap.Do(keymap.Save, ""), keymap.Do(keymap.Copy, "")}
	last := []keymap.Hint{keymap.Do(keymap.Wire, "back"), keymap.Do(keymap.Back, ""), keymap.Do(keymap.FindPrevious, "previous hello"), {Action: keymap.Bottom, Word: "follow"}}
	var first []keymap.Hint
	switch p.focus {
	case inFields:
		first = []keymap.Hint{{Action: keymap.Up, Word: "field", Key: "↑ ↓"}, keymap.Do(keymap.Panes, "bytes"), keymap.Do(keymap.Copy, ""), keymap.Do(keymap.Back, "to the lines")}
		common = common[:len(common)-1]
	case inBytes:
		first = []keymap.Hint{{Action: keymap.Right, Word: "byte", Key: "← →"}, {Action: keymap.Up, Word: "row", Key: "↑ ↓"},
			keymap.Do(keymap.Panes, "fields"), keymap.Do(keymap.Copy, "copy hex"), keymap.Do(keymap.Back, "to the lines")}
		common, moves = common[:len(common)-1], append(moves, keymap.Do(keymap.Left, ""))
	default:
		first = []keymap.Hint{keymap.Do(keymap.Enter, "fields"), keymap.Do(keymap.Panes, "to the bytes")}
		first, common = first[:1], append(common, first[1])
		last = append([]keymap.Hint{keymap.Do(keymap.Listen, "")}, last...)
	}
	return append(append(append(first, common...), last...), moves...)
}

// Update takes keys, and what the root brings.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case page.Wired:
		p.wired(msg.Batch)
	case page.Changed:
		p.facts()
		if p.hidden != p.env.Hidden { // the filter looks through what is shown
			p.hidden = p.env.Hidden
			p.store.retext()
			p.refilter()
		}
	case page.Saved:
		p.saved(msg)
	case tea.KeyMsg:
		return p.key(msg)
	}
	return nil
}

// facts reads what the case knows of the client's PID.
func (p *Page) facts() {
	v := diag.NewView(p.env.Snap.Facts, p.env.Snap.Now)
	p.pid, p.mapped = v.PID(), ""
	switch o := v.Obj("db.pid_map"); {
	case v.Str("db.pid_map") == diag.None:
		p.mapped = "not in the map"
	case o.Truth("used") == diag.Yes:
		p.mapped = "used in the map"
	case o.Truth("used") == diag.No:
		p.mapped = "unused in the map"
	}
	if pid, err := amt.ParsePID(p.pid); err == nil {
		p.pid = string(pid)
	}
}

// wired takes new lines in, or holds them back while frozen.
func (p *Page) wired(b wire.Batch) {
	if p.frozen {
		p.held = append(p.held, b)
		for _, l := range b.Lines {
			if p.store.at(l.ID) == nil {
				p.fresh++
			}
		}
		return
	}
	p.sources = b.Sources
	p.findSides(b)
	selected := p.selected()
	p.store.take(b)
	p.keep(selected)
	if p.follow && !p.began && p.read() {
		p.began, p.follow = true, false
		if row, ok := p.store.hello(-1, -1); ok {
			p.rows.To(row)
		}
	}
}

// read reports whether everything was read that will ever be.
func (p *Page) read() bool {
	return len(p.sources) > 0 && !slices.ContainsFunc(p.sources, func(s wire.Source) bool { return !s.Read })
}

// findSides notes of which sides there are captures, and shows one of them.
func (p *Page) findSides(b wire.Batch) {
	p.sides = nil
	for _, side := range []diag.Vantage{diag.AtClient, diag.AtServer, diag.AtThird} {
		for _, s := range b.Sources {
			if s.Side == side {
				p.sides = append(p.sides, side)
				break
			}
		}
	}
	if !p.chosen && len(p.sides) > 0 && !slices.Contains(p.sides, p.store.side) {
		p.store.show(p.sides[0], p.filterText())
	}
}

// keep keeps the selection on its line, and what is seen around it in its place, after lines came.
func (p *Page) keep(selected *wire.Line) {
	n := len(p.store.order)
	if p.follow || selected == nil {
		p.rows.Set(n, p.listHeight())
		p.rows.Last()
		return
	}
	row, _ := p.store.find(selected.ID)
	p.rows.Shift(n, row-p.rows.Cursor())
}

// selected is the line under the cursor, nil without one.
func (p *Page) selected() *wire.Line { return p.store.row(p.rows.Cursor()) }

// live reports whether a source of the side that is shown may still bring lines.
func (p *Page) live() bool {
	for _, s := range p.sources {
		if s.Live && (p.store.side == "" || s.Side == p.store.side) {
			return true
		}
	}
	return false
}

// freeze stops the lines, or lets those that came meanwhile in.
func (p *Page) freeze() {
	p.frozen = !p.frozen
	if p.frozen {
		return
	}
	held := p.held
	p.held, p.fresh = nil, 0
	for _, b := range held {
		p.wired(b)
	}
}

// searched is what the filter looks through: what the list and the hello say of a line.
func (p *Page) searched(l *wire.Line) string {
	return p.hide(strings.Join([]string{p.clock(l.At), string(l.Side), l.From.String(), l.To.String(), l.What, string(l.Kind), l.UUID(), l.PID()}, " "))
}

// hide gives text as it may stand on the screen: without control characters, and with pseudonyms
// where names are hidden.
func (p *Page) hide(s string) string {
	s = text.Clean(s)
	if p.env.Hide == nil {
		return s
	}
	return p.env.Hide(s)
}

// clock gives a time of day to the millisecond, empty for no time.
func (p *Page) clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(p.env.Zone).Format("15:04:05.000")
}
