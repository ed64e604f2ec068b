// Package log is the page of what happened, in order: repairs, and the facts between them. It
// follows the newest line until the cursor is moved up.
package log

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/page/start"
	"amtmedic/tui/part/facts"
	"amtmedic/tui/part/find"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// detail is the height of the part that shows a line in full that had to be cut.
const detail = 3

// Page is the log.
type Page struct {
	env     *page.Env
	w, h    int
	rows    list.List
	follow  bool
	actions bool // only what was changed
	filter  *input.Input
	typing  bool
	find    find.Find
}

// New makes the page.
func New(env *page.Env) *Page { return &Page{env: env, follow: true} }

// Name is "log".
func (p *Page) Name() string { return "log" }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = w, h }

// Road is there.
func (p *Page) Road() bool { return true }

// Typing reports whether a filter is being typed.
func (p *Page) Typing() bool { return p.typing || p.find.Typing() }

// Captures reports whether esc ends a search or clears the filter.
func (p *Page) Captures() bool { return p.filter != nil || p.find.On() }

// Status is the header.
func (p *Page) Status() (string, string) {
	s := "following"
	if !p.follow {
		s = "held"
	}
	return "log", fmt.Sprintf("%d changes · %d facts · %s", len(p.env.Snap.Actions), len(p.env.Snap.Facts), s)
}

// Hints lists the keys.
func (p *Page) Hints() []keymap.Hint {
	if p.typing {
		return []keymap.Hint{keymap.Do(keymap.Enter, "keep"), keymap.Do(keymap.Back, "clear")}
	}
	if p.find.Typing() {
		return p.find.Hints()
	}
	word := "changes only"
	if p.actions {
		word = "everything"
	}
	hints := []keymap.Hint{keymap.Do(keymap.Panes, word), keymap.Do(keymap.Filter, "")}
	return append(append(hints, p.find.Hints()...), keymap.Do(keymap.Copy, ""), keymap.Hint{Action: keymap.Bottom, Word: "follow"}, keymap.Do(keymap.Back, ""), keymap.Do(keymap.Wire, ""),
		keymap.Do(keymap.Up, ""), keymap.Do(keymap.Down, ""), keymap.Do(keymap.PageUp, ""), keymap.Do(keymap.PageDown, ""), keymap.Do(keymap.Top, ""))
}

// line is one entry.
type line struct {
	at         time.Time
	kind, text string
	change     bool
	failed     bool
}

func (p *Page) lines() []line {
	s := p.env.Snap
	var out []line
	for _, a := range s.Actions {
		t := a.Title
		if a.Detail != "" {
			t += ": " + a.Detail
		}
		out = append(out, line{a.At, a.Stage, t + " (" + a.Remedy + ")", true, a.Stage == "failed"})
	}
	if !p.actions {
		for _, f := range s.Facts {
			what, where := facts.Words(f)
			if where != "" {
				what += " (" + where + ")"
			}
			out = append(out, line{at: f.At, kind: string(f.Vantage), text: what})
		}
	}
	slices.SortStableFunc(out, func(a, b line) int { return a.at.Compare(b.at) })
	if p.filter != nil {
		out = slices.DeleteFunc(out, func(l line) bool { return !start.Match(p.filter.Value(), l.kind, l.text) })
	}
	return out
}

// searched is what a search looks through.
func (p *Page) searched(ls []line) find.Lines {
	return find.Lines{N: len(ls), At: p.rows.Cursor(), Text: func(i int) string { return p.env.Clock(ls[i].at) + " " + ls[i].kind + " " + ls[i].text }}
}

// Update takes keys.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	k, ok := msg.(tea.KeyMsg)
	if !ok {
		return nil
	}
	m := p.env.Keys
	if p.typing && p.filter.Update(k) {
		return nil
	}
	if !p.typing {
		if to, took := p.find.Key(k, m, p.searched(p.lines())); took {
			if to != p.rows.Cursor() {
				p.rows.To(to)
				p.follow = false
			}
			return nil
		}
	}
	move := func(d int) {
		p.rows.Move(d)
		p.follow = p.rows.Cursor() >= p.rows.Len()-1
	}
	switch {
	case m.Is(k, keymap.Up):
		move(-1)
	case m.Is(k, keymap.Down):
		move(1)
	case m.Is(k, keymap.PageUp):
		move(-p.rows.Page())
	case m.Is(k, keymap.PageDown):
		move(p.rows.Page())
	case m.Is(k, keymap.Back):
		p.filter, p.typing = nil, false
	case m.Is(k, keymap.Enter):
		p.typing = false
	case p.typing:
	case m.Is(k, keymap.Top):
		move(-p.rows.Len())
	case m.Is(k, keymap.Bottom):
		move(p.rows.Len())
	case m.Is(k, keymap.Panes):
		p.actions, p.follow = !p.actions, true
	case m.Is(k, keymap.Filter):
		p.typing = true
		if p.filter == nil {
			p.filter = &input.Input{}
		}
	case m.Is(k, keymap.Copy):
		if ls := p.lines(); p.rows.Cursor() < len(ls) {
			l := ls[p.rows.Cursor()]
			return page.Send(page.Copy{What: "the line", Text: strings.Join([]string{p.env.Clock(l.at), l.kind, l.text}, "  ")})
		}
	}
	return nil
}

// View draws the lines.
func (p *Page) View() []string {
	ls := p.lines()
	var out []string
	h := p.h
	if p.filter != nil {
		typed := p.filter.Value()
		if p.typing {
			typed = p.filter.View(p.env.Theme, max(8, p.w-10))
		}
		out, h = append(out, "   / "+typed), h-1
	}
	if p.find.On() {
		out, h = append(out, "   "+p.find.View(p.env.Theme, p.searched(ls), p.w-6)), h-1
	}
	detail := detail
	if p.h < 12 {
		detail = 0
	}
	h -= detail
	p.rows.Set(len(ls), max(1, h))
	if p.follow {
		p.rows.Last()
	}
	if len(ls) == 0 {
		s := "Nothing happened yet. The walk measures, and repairs are noted here before they are done."
		if p.actions {
			s = "Nothing was changed in this case."
		}
		out = append(out, "")
		for _, l := range text.Wrap(s, p.w-6) {
			out = append(out, "   "+l)
		}
		return text.Block(out, p.w, p.h)
	}
	from, to := p.rows.Window()
	for i := from; i < to; i++ {
		l, on := ls[i], i == p.rows.Cursor()
		mark := " "
		switch {
		case l.failed:
			mark = p.env.Paint(theme.Warn, "!")
		case l.change:
			mark = p.env.Paint(theme.Accent, "*")
		}
		s := text.Cut(text.Fit(p.env.Clock(l.at), 10)+text.Fit(l.kind, 10)+l.text, p.w-5)
		switch {
		case on:
			s = p.env.Paint(theme.Selected, s)
		case p.find.On():
			s = p.env.Theme.Match(s, p.find.Value())
		}
		out = append(out, " "+p.env.Theme.Pointer(on)+mark+" "+s)
	}
	for len(out) < p.h-detail {
		out = append(out, "")
	}
	if i := p.rows.Cursor(); detail > 0 && text.Width(ls[i].text) > p.w-25 {
		out = append(out, "")
		for _, l := range text.Wrap(ls[i].text, p.w-6) {
			out = append(out, "   "+p.env.Paint(theme.Muted, l))
		}
	}
	return text.Block(out, p.w, p.h)
}
