// Package evidence is the page of facts: those that decided, and all others, with where and when
// they were seen. The selected one is shown in full.
package evidence

import (
	"fmt"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
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

// detail is the height of the part that shows one fact in full.
const detail = 6

// maxWidth keeps what belongs together within one glance.
const maxWidth = 140

// Page is the evidence.
type Page struct {
	env    *page.Env
	w, h   int
	rows   list.List
	all    bool
	filter *input.Input
	typing bool
	find   find.Find
}

// New makes the page: the facts that decided when a verdict stands, else all.
func New(env *page.Env) *Page {
	return &Page{env: env, all: len(env.Snap.Judgement.DecidedBy) == 0}
}

// Name is "evidence".
func (p *Page) Name() string { return "evidence" }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = min(w, maxWidth), h }

// Road is there.
func (p *Page) Road() bool { return true }

// Typing reports whether a filter is being typed.
func (p *Page) Typing() bool { return p.typing || p.find.Typing() }

// Captures reports whether esc ends a search or clears the filter.
func (p *Page) Captures() bool { return p.filter != nil || p.find.On() }

// Status is the header.
func (p *Page) Status() (string, string) {
	return "evidence", fmt.Sprintf("%d facts · %d decided", len(p.env.Snap.Facts), len(p.env.Snap.Judgement.DecidedBy))
}

// Hints lists the keys.
func (p *Page) Hints() []keymap.Hint {
	if p.typing {
		return []keymap.Hint{keymap.Do(keymap.Enter, "keep"), keymap.Do(keymap.Back, "clear"), {Action: keymap.Up, Word: "move", Key: "↑ ↓"}}
	}
	if p.find.Typing() {
		return p.find.Hints()
	}
	word := "all facts"
	if p.all {
		word = "what decided"
	}
	hints := []keymap.Hint{keymap.Do(keymap.Panes, word), keymap.Do(keymap.Filter, "")}
	return append(append(hints, p.find.Hints()...), keymap.Do(keymap.Copy, ""), keymap.Do(keymap.Wire, ""), keymap.Do(keymap.Back, ""),
		keymap.Do(keymap.Up, ""), keymap.Do(keymap.Down, ""), keymap.Do(keymap.PageUp, ""), keymap.Do(keymap.PageDown, ""), keymap.Do(keymap.Top, ""), keymap.Do(keymap.Bottom, ""))
}

// list gives the facts that are shown, newest last.
func (p *Page) list() []diag.Fact {
	s := p.env.Snap
	all := slices.Concat(s.Facts, s.Judgement.Derived)
	var out []diag.Fact
	for _, f := range all {
		if !p.all && !slices.Contains(s.Judgement.DecidedBy, f.Key) {
			continue
		}
		if p.filter != nil && !start.Match(p.filter.Value(), f.Key, string(f.Vantage), f.Probe, facts.Value(f.Value)) {
			continue
		}
		out = append(out, f)
	}
	return out
}

// Update takes keys.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	k, ok := msg.(tea.KeyMsg)
	if !ok {
		return nil
	}
	m := p.env.Keys
	if p.typing && p.filter.Update(k) {
		p.rows.To(0)
		return nil
	}
	if !p.typing {
		if to, took := p.find.Key(k, m, p.searched(p.list())); took {
			p.rows.To(to)
			return nil
		}
	}
	switch {
	case m.Is(k, keymap.Up):
		p.rows.Move(-1)
	case m.Is(k, keymap.Down):
		p.rows.Move(1)
	case m.Is(k, keymap.PageUp):
		p.rows.Move(-p.rows.Page())
	case m.Is(k, keymap.PageDown):
		p.rows.Move(p.rows.Page())
	case m.Is(k, keymap.Back):
		p.filter, p.typing = nil, false
	case m.Is(k, keymap.Enter):
		p.typing = false
	case m.Is(k, keymap.Copy) && (!p.typing || k.Type != tea.KeyRunes):
		return p.copy()
	case p.typing:
	case m.Is(k, keymap.Panes):
		p.all = !p.all
		p.rows.To(0)
	case m.Is(k, keymap.Filter):
		p.typing = true
		if p.filter == nil {
			p.filter = &input.Input{}
		}
	case m.Is(k, keymap.Top):
		p.rows.To(0)
	case m.Is(k, keymap.Bottom):
		p.rows.Last()
	}
	return nil
}

// searched is what a search looks through: what the list says of each fact.
func (p *Page) searched(fs []diag.Fact) find.Lines {
	return find.Lines{N: len(fs), At: p.rows.Cursor(), Text: func(i int) string {
		f := fs[i]
		what, where := facts.Words(f)
		return strings.Join(append([]string{f.Key, string(f.Vantage), what, where, facts.Value(f.Value), f.Probe}, f.Evidence...), " ")
	}}
}

func (p *Page) copy() tea.Cmd {
	fs := p.list()
	if i := p.rows.Cursor(); i < len(fs) {
		f := fs[i]
		s := strings.Join([]string{f.Key, facts.Value(f.Value), string(f.Vantage), f.Probe, p.env.Clock(f.At)}, "  ")
		return page.Send(page.Copy{What: "the fact " + f.Key, Text: strings.Join(append([]string{s}, f.Evidence...), "\n")})
	}
	return nil
}

// View draws the list, and below it the selected fact.
func (p *Page) View() []string {
	fs := p.list()
	head := p.head(fs)
	down := detail
	if p.h < 14 {
		down = 3
	}
	room := max(1, p.h-1-down)
	p.rows.Set(len(fs), room)
	lines := []string{head}
	if len(fs) == 0 {
		return text.Block(append(lines, "", "   "+p.empty()), p.w, p.h)
	}
	from, to := p.rows.Window()
	for i := from; i < to; i++ {
		lines = append(lines, p.row(fs[i], i == p.rows.Cursor()))
	}
	for len(lines) < 1+min(room, max(len(fs), 3)) {
		lines = append(lines, "")
	}
	if i := p.rows.Cursor(); i < len(fs) {
		lines = append(lines, p.full(fs[i], down)...)
	}
	return text.Block(lines, p.w, p.h)
}

func (p *Page) head(fs []diag.Fact) string {
	title := "What decided"
	if p.all {
		title = "All facts"
	}
	head := "   " + p.env.Paint(theme.Title, title)
	if p.filter != nil {
		typed := p.filter.Value()
		if p.typing {
			typed = p.filter.View(p.env.Theme, max(8, p.w-40))
		}
		head += "  / " + typed
	}
	if p.find.On() {
		head += "  " + p.find.View(p.env.Theme, p.searched(fs), p.w-20)
	}
	return text.Sides(head, p.env.Paint(theme.Muted, fmt.Sprintf("%d shown", len(fs))), p.w-1)
}

func (p *Page) empty() string {
	switch {
	case p.filter != nil:
		return "Nothing fits the filter. esc clears it."
	case !p.all:
		return "No verdict stands yet. tab shows all facts."
	}
	return "No facts yet. The walk brings them."
}

func (p *Page) row(f diag.Fact, on bool) string {
	what, where := facts.Words(f)
	if where == "" {
		where = f.Probe
	}
	mark := " "
	if p.all && slices.Contains(p.env.Snap.Judgement.DecidedBy, f.Key) {
		mark = p.env.Paint(theme.Accent, "*")
	}
	room := p.w - 4
	if p.w >= 72 {
		room -= 19
	}
	left := text.Fit(p.env.Clock(f.At), 9) + text.Fit(string(f.Vantage), 7) + facts.Cut(what, room-16)
	switch {
	case on:
		left = p.env.Paint(theme.Selected, left)
	case p.find.On():
		left = p.env.Theme.Match(left, p.find.Value())
	case p.filter != nil:
		left = p.env.Theme.Match(left, p.filter.Value())
	}
	row := " " + p.env.Theme.Pointer(on) + mark + left
	if p.w < 72 {
		return text.Cut(row, p.w-1)
	}
	return text.Fit(row, p.w-20) + " " + p.env.Paint(theme.Muted, text.Cut(where, 18))
}

// full shows one fact: key, meaning, value, where from and the evidence.
func (p *Page) full(f diag.Fact, h int) []string {
	lines := []string{p.env.Paint(theme.Muted, text.Cut(" "+strings.Repeat("─", max(0, p.w-2)), p.w))}
	meaning := ""
	if k, ok := diag.Lookup(f.Key); ok {
		meaning = k.Meaning
	}
	lines = append(lines, text.Sides("   "+p.env.Paint(theme.Title, f.Key), p.env.Paint(theme.Muted, text.Cut(meaning, max(0, p.w-8-text.Width(f.Key)))), p.w-1))
	for _, l := range text.Wrap(facts.Value(f.Value), p.w-6) {
		lines = append(lines, "   "+l)
	}
	var from []string
	if f.Probe != "" {
		from = append(from, "by "+f.Probe)
	}
	from = append(from, f.Evidence...)
	if len(from) > 0 {
		last := "   " + p.env.Paint(theme.Muted, text.Cut(strings.Join(from, " · "), p.w-5))
		if len(lines) >= h {
			lines = lines[:h-1]
		}
		lines = append(lines, last)
	}
	return lines[:min(len(lines), h)]
}
