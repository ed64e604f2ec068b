package start

import (
	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// Open is the page that asks for the file of a bundle.
type Open struct {
	env   *page.Env
	w, h  int
	path  input.Input
	state string
	bad   bool
}

// NewOpen makes the page.
func NewOpen(env *page.Env) *Open { return &Open{env: env} }

// Name is "open".
func (p *Open) Name() string { return "open" }

// SetSize takes the size of the body.
func (p *Open) SetSize(w, h int) { p.w, p.h = w, h }

// Road is not there.
func (p *Open) Road() bool { return false }

// Typing is always so: the page is a text field.
func (p *Open) Typing() bool { return true }

// Status is the header.
func (p *Open) Status() (string, string) { return "open a bundle", "" }

// Hints lists the keys.
func (p *Open) Hints() []keymap.Hint {
	return []keymap.Hint{keymap.Do(keymap.Enter, "open"), {Action: keymap.Back, Word: "back"}}
}

// Update takes a key or a message of the root.
func (p *Open) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case page.OpenFailed:
		p.state, p.bad = text.Clean(msg.Err.Error()), true
	case tea.KeyMsg:
		if p.path.Update(msg) {
			p.state, p.bad = "", false
			return nil
		}
		if p.env.Keys.Is(msg, keymap.Enter) && (p.state == "" || p.bad) {
			if p.path.Value() == "" {
				p.state, p.bad = "type the path of a bundle, such as pc-0412.amtmedic", true
				return nil
			}
			p.state, p.bad = "opening "+p.path.Value(), false
			return page.Send(page.Choose{Choice: page.Choice{Kind: page.FromBundle, Path: p.path.Value()}})
		}
	}
	return nil
}

// View draws the field.
func (p *Open) View() []string {
	lines := []string{"", "   " + p.env.Paint(theme.Title, "Which bundle?"), "",
		"   file  " + p.path.View(p.env.Theme, max(1, p.w-10)), ""}
	for i, l := range text.Wrap(p.state, p.w-6) {
		mark := "  "
		switch {
		case i > 0:
		case p.bad:
			mark = p.env.Paint(theme.Warn, "! ")
		default:
			mark = p.env.Paint(theme.Busy, "◐ ")
		}
		lines = append(lines, "   "+mark+l)
	}
	lines = append(lines, "")
	for _, l := range text.Wrap("The case opens as your colleague saw it: same facts, same verdict. Nothing is measured and nothing can be changed.", min(72, p.w-6)) {
		lines = append(lines, "   "+p.env.Paint(theme.Muted, l))
	}
	return text.Block(lines, p.w, p.h)
}
