package start

import (
	"fmt"
	"slices"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// Faults is the page on which a fault for practice is chosen.
type Faults struct {
	env    *page.Env
	faults []page.Fault
	w, h   int
	rows   list.List
	at     list.Lines
	filter *input.Input
	typing bool
	state  string // what happens, or went wrong
	failed bool
}

// healthy are the worlds in which nothing is broken.
var healthy = []page.Fault{
	{ID: "none", Text: "nothing broken: a client that is just being provisioned", Available: true},
	{ID: "none-pki", Text: "nothing broken: a client that is set up by certificate", Available: true},
}

// NewFaults makes the page. The healthy worlds stand first.
func NewFaults(env *page.Env, data *page.Start) *Faults {
	return &Faults{env: env, faults: append(slices.Clone(healthy), data.Faults...)}
}

// Name is "practice".
func (p *Faults) Name() string { return "practice" }

// SetSize takes the size of the body.
func (p *Faults) SetSize(w, h int) { p.w, p.h = w, h }

// Road is not there.
func (p *Faults) Road() bool { return false }

// Typing reports whether a filter is being typed.
func (p *Faults) Typing() bool { return p.typing }

// Captures reports whether esc clears the filter.
func (p *Faults) Captures() bool { return p.filter != nil }

// Status is the header.
func (p *Faults) Status() (string, string) {
	n := 0
	for _, f := range p.faults[len(healthy):] {
		if f.Available {
			n++
		}
	}
	return "practice", fmt.Sprintf("%d faults, %d can be built here", len(p.faults)-len(healthy), n)
}

// Hints lists the keys.
func (p *Faults) Hints() []keymap.Hint {
	if p.typing {
		return []keymap.Hint{keymap.Do(keymap.Enter, "break it"), {Action: keymap.Back, Word: "clear"}, {Action: keymap.Up, Word: "move", Key: "↑ ↓"}}
	}
	return []keymap.Hint{keymap.Do(keymap.Enter, "break it"), keymap.Do(keymap.Filter, ""), keymap.Do(keymap.Explain, ""), keymap.Do(keymap.Back, ""),
		keymap.Do(keymap.Up, ""), keymap.Do(keymap.Down, ""), keymap.Do(keymap.Top, ""), keymap.Do(keymap.Bottom, "")}
}

func (p *Faults) matches() []page.Fault {
	if p.filter == nil {
		return p.faults
	}
	var out []page.Fault
	for _, f := range p.faults {
		if Match(p.filter.Value(), f.ID, f.Text, f.Needs) {
			out = append(out, f)
		}
	}
	return out
}

// Update takes a key or a message of the root.
func (p *Faults) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case page.OpenFailed:
		p.state, p.failed = text.Clean(msg.Err.Error()), true
	case tea.KeyMsg:
		return p.key(msg)
	}
	return nil
}

func (p *Faults) key(k tea.KeyMsg) tea.Cmd {
	m := p.env.Keys
	if p.typing && p.filter.Update(k) {
		p.rows.To(0)
		return nil
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
	case m.Is(k, keymap.Enter):
		return p.enter()
	case m.Is(k, keymap.Back):
		p.filter, p.typing = nil, false
	case p.typing:
	case m.Is(k, keymap.Top):
		p.rows.To(0)
	case m.Is(k, keymap.Bottom):
		p.rows.Last()
	case m.Is(k, keymap.Filter):
		p.typing = true
		if p.filter == nil {
			p.filter = &input.Input{}
		}
	case m.Is(k, keymap.Explain):
		if fs := p.matches(); p.rows.Cursor() < len(fs) {
			return page.Send(page.Goto{Name: "explain", Arg: fs[p.rows.Cursor()].ID})
		}
	}
	return nil
}

// Click chooses the fault on a line.
func (p *Faults) Click(line int) tea.Cmd {
	if again, ok := p.rows.Click(p.at, line); ok && again {
		return p.enter()
	}
	return nil
}

func (p *Faults) enter() tea.Cmd {
	fs := p.matches()
	i := p.rows.Cursor()
	switch {
	case i >= len(fs) || (p.state != "" && !p.failed):
		return nil
	case !fs[i].Available:
		p.state, p.failed = fs[i].ID+" cannot be built here: it needs "+text.Clean(fs[i].Needs), true
		return nil
	}
	p.state, p.failed = "building the practice world", false
	return page.Send(page.Choose{Choice: page.Choice{Kind: page.Practice, ID: fs[i].ID}})
}

// View draws the list.
func (p *Faults) View() []string {
	head := p.env.Paint(theme.Title, "What shall be broken?")
	if p.filter != nil {
		typed := p.filter.Value()
		if p.typing {
			typed = p.filter.View(p.env.Theme, max(8, p.w-30))
		}
		head += "  / " + typed
	}
	lines := []string{"   " + head}
	if p.h >= 16 {
		lines = []string{"", lines[0], "   " + p.env.Paint(theme.Muted, text.Cut("Real sockets and a simulated PC, on this machine. Nothing else is touched.", p.w-4)), ""}
	}
	fs := p.matches()
	var foot []string
	for _, l := range text.Wrap(p.state, p.w-5) {
		mark := p.env.Paint(theme.Busy, "◐ ")
		if p.failed {
			mark = p.env.Paint(theme.Warn, "! ")
		}
		foot = append(foot, "   "+mark+l)
	}
	if i := p.rows.Cursor(); len(foot) == 0 && i < len(fs) {
		foot = append(foot, "")
		for _, l := range text.Wrap(about(fs[i]), min(p.w, 100)-5) {
			foot = append(foot, "   "+p.env.Paint(theme.Muted, l))
		}
	}
	p.rows.Set(len(fs), p.h-len(lines)-len(foot))
	if len(fs) == 0 {
		lines = append(lines, "   Nothing fits. Use fewer words, or esc.")
	}
	from, to := p.rows.Window()
	p.at = list.Lines{}
	for i := from; i < to; i++ {
		p.at[len(lines)] = i
		lines = append(lines, p.row(fs[i], i == p.rows.Cursor()))
	}
	return text.Block(append(lines, foot...), p.w, p.h)
}

func (p *Faults) row(f page.Fault, on bool) string {
	w := min(p.w, 120)
	what := text.Clean(f.Text)
	if p.w < 72 { // the text of the selected one stands below
		what = ""
	}
	what = text.Cut(what, max(10, w-33))
	id := text.Fit(f.ID, 27)
	switch {
	case on:
		what, id = p.env.Paint(theme.Selected, what), p.env.Paint(theme.Selected, id)
	case p.filter != nil:
		what, id = p.env.Theme.Match(what, p.filter.Value()), p.env.Theme.Match(id, p.filter.Value())
	}
	left := " " + p.env.Theme.Pointer(on) + " " + id + " " + what
	if f.Available {
		return text.Cut(left, w-1)
	}
	needs := p.env.Paint(theme.Muted, "needs "+text.Cut(text.Clean(f.Needs), 20))
	return text.Sides(text.Cut(left, w-2-text.Width(needs)), needs, w-1)
}

// about is everything about one fault.
func about(f page.Fault) string {
	s := text.Clean(f.Text)
	if !f.Available {
		s += "; cannot be built here: it needs " + text.Clean(f.Needs)
	}
	return s
}
