// Package read holds pages of text to scroll: the offline page of an id, and the keys.
package read

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/find"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// Page is a text to scroll.
type Page struct {
	env   *page.Env
	name  string
	title string
	road  bool
	raw   string               // the text to copy
	lines func(w int) []string // the text for a width
	w, h  int
	top   int
	find  find.Find
	at    int // line that the search found
}

// maxWidth keeps lines readable.
const maxWidth = 90

// NewExplain makes the page of an id.
func NewExplain(env *page.Env, id string, road bool) *Page {
	raw := strings.Join(text.CleanLines(env.Explain(id)), "\n")
	p := &Page{env: env, name: "explain", title: id, road: road, raw: raw}
	p.lines = func(w int) []string {
		if raw == "" {
			return []string{"There is no page about " + text.Clean(id) + "."}
		}
		var out []string
		for _, l := range strings.Split(raw, "\n") {
			out = append(out, hang(l, w)...)
		}
		return out
	}
	return p
}

// hang wraps a line; what follows stands a little further in than its start.
func hang(l string, w int) []string {
	rest := strings.TrimLeft(l, " ")
	in := min(len(l)-len(rest), w/2)
	if text.Width(rest) <= w-in {
		return []string{strings.Repeat(" ", in) + rest}
	}
	further := 2 * min(in, 1) // a paragraph at the margin has none
	lines := text.Wrap(rest, w-in-further)
	for i := range lines {
		lines[i] = strings.Repeat(" ", in+min(i, 1)*further) + lines[i]
	}
	return lines
}

// NewHelp makes the key page of another page.
func NewHelp(env *page.Env, of page.Page, road bool) *Page {
	p := &Page{env: env, name: "help", title: "keys of the page " + of.Name(), road: road}
	hints := of.Hints()
	p.lines = func(w int) []string { return keyLines(env, hints, w) }
	p.raw = strings.Join(p.lines(maxWidth), "\n")
	return p
}

// keyLines lists the keys of a page, then those that hold everywhere.
func keyLines(env *page.Env, hints []keymap.Hint, w int) []string {
	seen := map[keymap.Action]bool{}
	var lines []string
	add := func(h keymap.Hint, word string) {
		if seen[h.Action] {
			return
		}
		seen[h.Action] = true
		keys, help := env.Keys.Line(h)
		if word != "" {
			help = word + ": " + help
		}
		lines = append(lines, text.Indent(" "+env.Paint(theme.Accent, keys), help, 16, w)...)
	}
	for _, h := range hints {
		add(h, h.Word)
	}
	lines = append(lines, "", env.Paint(theme.Title, "On every page"))
	for _, a := range []keymap.Action{keymap.Enter, keymap.Back, keymap.Up, keymap.Down, keymap.PageUp, keymap.PageDown, keymap.Privacy, keymap.Goto, keymap.Help, keymap.Quit} {
		add(keymap.Hint{Action: a}, "")
	}
	lines = append(lines, "", env.Paint(theme.Title, "The signs"))
	return append(lines, legend(env, w)...)
}

// legend explains the glyphs.
func legend(env *page.Env, w int) []string {
	var lines []string
	line := ""
	for _, l := range theme.Lights() {
		part := env.Theme.Glyph(l) + " " + text.Fit(theme.Of(l).Short, 16)
		if line != "" && text.Width(line)+text.Width(part) > w {
			lines, line = append(lines, line), ""
		}
		line += " " + part
	}
	return append(lines, line)
}

// Name is the word for ":".
func (p *Page) Name() string { return p.name }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = w, h }

// Road stands above when a case is open.
func (p *Page) Road() bool { return p.road }

// Typing reports whether a search is being typed.
func (p *Page) Typing() bool { return p.find.Typing() }

// Captures reports whether esc ends a search.
func (p *Page) Captures() bool { return p.find.On() }

// text gives the lines for the width of the page.
func (p *Page) text() []string { return p.lines(max(1, min(p.w, maxWidth)-2)) }

// searched is what a search looks through.
func (p *Page) searched() find.Lines {
	lines := p.text()
	return find.Lines{N: len(lines), At: min(p.at, max(0, len(lines)-1)), Text: func(i int) string { return lines[i] }}
}

// search takes a key for the search; it brings the line that was found into the window.
func (p *Page) search(k tea.KeyMsg) bool {
	if !p.find.On() {
		p.at = p.top
	}
	to, took := p.find.Key(k, p.env.Keys, p.searched())
	if took {
		p.at = to
		if to < p.top || to >= p.top+p.h {
			p.top = to - p.h/3
		}
		p.clamp()
	}
	return took
}

// Status is the header.
func (p *Page) Status() (string, string) {
	n := len(p.lines(min(p.w, maxWidth) - 2))
	right := ""
	if p.find.On() {
		right = p.find.View(p.env.Theme, p.searched(), 44)
	} else if n > p.h {
		right = fmt.Sprintf("line %d of %d", p.top+1, n)
	}
	return p.title, right
}

// Hints lists the keys.
func (p *Page) Hints() []keymap.Hint {
	if p.find.Typing() {
		return p.find.Hints()
	}
	hints := append([]keymap.Hint{{Action: keymap.Down, Word: "scroll", Key: "↑ ↓"}, keymap.Do(keymap.PageDown, "")}, p.find.Hints()...)
	return append(hints, keymap.Do(keymap.Copy, ""), keymap.Do(keymap.Back, ""),
		keymap.Do(keymap.Up, ""), keymap.Do(keymap.PageUp, ""), keymap.Do(keymap.Top, ""), keymap.Do(keymap.Bottom, ""))
}

// Update takes keys.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	k, ok := msg.(tea.KeyMsg)
	if !ok {
		return nil
	}
	m := p.env.Keys
	if p.search(k) {
		return nil
	}
	switch {
	case m.Is(k, keymap.Up):
		p.top--
	case m.Is(k, keymap.Down):
		p.top++
	case m.Is(k, keymap.PageUp):
		p.top -= max(1, p.h-1)
	case m.Is(k, keymap.PageDown):
		p.top += max(1, p.h-1)
	case m.Is(k, keymap.Top):
		p.top = 0
	case m.Is(k, keymap.Bottom):
		p.top = 1 << 30
	case m.Is(k, keymap.Enter):
		return page.Send(page.Back{})
	case m.Is(k, keymap.Copy):
		return page.Send(page.Copy{What: "the page", Text: p.raw})
	}
	p.clamp()
	return nil
}

func (p *Page) clamp() {
	n := len(p.text())
	p.top = max(0, min(p.top, n-p.h))
}

// View draws the part of the text that is in the window.
func (p *Page) View() []string {
	p.clamp()
	lines := p.text()
	lines = lines[p.top:min(len(lines), p.top+p.h)]
	out := make([]string, len(lines))
	for i, l := range lines {
		mark := " "
		switch {
		case !p.find.On() || p.find.Value() == "":
		case p.top+i == p.at:
			mark, l = p.env.Theme.Pointer(true), p.env.Paint(theme.Selected, l)
		case p.raw != "" && p.name == "explain":
			l = p.env.Theme.Match(l, p.find.Value())
		}
		out[i] = strings.TrimRight(mark+l, " ")
	}
	return text.Block(out, p.w, p.h)
}
