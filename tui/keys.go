package tui

import (
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/text"
)

// typedAhead is what was typed behind a key whose command has to be carried out first.
type typedAhead tea.KeyMsg

// typed takes keys apart that came in one read, as over a slow line: each is a key of its own.
// Pasted text is one.
func (m *model) typed(k tea.KeyMsg) tea.Cmd {
	if k.Type != tea.KeyRunes || k.Paste || len(k.Runes) < 2 {
		return m.key(k)
	}
	for i := range k.Runes {
		one, rest := k, k
		one.Runes, rest.Runes = k.Runes[i:i+1], k.Runes[i+1:]
		if one.Runes[0] == ' ' {
			one.Type = tea.KeySpace
		}
		if cmd := m.key(one); cmd != nil {
			if len(rest.Runes) == 0 {
				return cmd
			}
			return tea.Sequence(cmd, page.Send(typedAhead(rest)))
		}
	}
	return nil
}

// key takes a key: those that hold everywhere first, then the page's.
func (m *model) key(k tea.KeyMsg) tea.Cmd {
	if k.Type == tea.KeyCtrlC {
		return tea.Quit
	}
	if k.Type == tea.KeyCtrlZ {
		return tea.Suspend
	}
	m.note = ""
	if m.small() {
		return m.smallKey(k)
	}
	if m.to != nil {
		return m.gotoKey(k)
	}
	m.top().View() // lists take their length from the layout, and a key may come before the first frame
	switch {
	case m.is(k, keymap.Quit):
		return m.quit()
	case m.is(k, keymap.Help):
		if m.top().Name() == "help" {
			return m.back()
		}
		m.help()
		return nil
	case m.is(k, keymap.Privacy):
		return m.togglePrivacy()
	case m.is(k, keymap.Goto):
		m.to = &input.Input{}
		return nil
	case m.is(k, keymap.Back) && !captures(m.top()):
		return m.back()
	}
	if !m.top().Typing() && m.feed != nil {
		if done, cmd := m.caseKey(k); done {
			return cmd
		}
	}
	return m.top().Update(k)
}

// captures reports whether a page takes esc for itself now.
func captures(p page.Page) bool {
	c, ok := p.(interface{ Captures() bool })
	return ok && c.Captures()
}

// caseKey takes the keys that mean the same on every page of a case that offers them.
func (m *model) caseKey(k tea.KeyMsg) (bool, tea.Cmd) {
	offers := func(a keymap.Action) bool {
		return m.env.Keys.Is(k, a) && slices.ContainsFunc(m.top().Hints(), func(h keymap.Hint) bool { return h.Action == a })
	}
	switch {
	case offers(keymap.Verdict):
		return true, m.goTo("verdict", "")
	case offers(keymap.Evidence):
		return true, m.goTo("evidence", "")
	case offers(keymap.Wire) && m.top().Name() == "wire":
		return true, m.back()
	case offers(keymap.Wire):
		return true, m.goTo("wire", "")
	case offers(keymap.Log):
		return true, m.goTo("log", "")
	case offers(keymap.Bundle):
		return true, m.bundle()
	}
	return false, nil
}

// smallKey takes keys while the window is too small: only quit and help act.
func (m *model) smallKey(k tea.KeyMsg) tea.Cmd {
	switch {
	case m.is(k, keymap.Quit):
		return tea.Quit
	case m.is(k, keymap.Help) && m.top().Name() == "help":
		return m.back()
	case m.is(k, keymap.Help):
		m.help()
	}
	return nil
}

// gotoKey takes keys for the line after ":".
func (m *model) gotoKey(k tea.KeyMsg) tea.Cmd {
	switch {
	case k.Type == tea.KeyEsc:
		m.to = nil
	case k.Type == tea.KeyTab:
		if names := m.fitting(); len(names) > 0 {
			m.to.Set(names[0])
		}
	case k.Type == tea.KeyEnter:
		typed := m.to.Value()
		name, arg, _ := strings.Cut(strings.TrimSpace(typed), " ")
		names := m.fitting()
		m.to = nil
		if name == "" {
			return nil
		}
		if name == "q" || name == "quit" {
			return m.quit()
		}
		if len(names) > 0 {
			name = names[0]
		}
		return m.goTo(name, strings.TrimSpace(arg))
	default:
		m.to.Update(k)
	}
	return nil
}

// fitting gives the pages whose name begins with what was typed.
func (m *model) fitting() []string {
	typed, _, _ := strings.Cut(strings.TrimSpace(m.to.Value()), " ")
	var out []string
	for _, p := range places {
		if strings.HasPrefix(p.name, typed) && (!p.open || m.feed != nil) {
			out = append(out, p.name)
		}
	}
	return out
}

// mouse makes the wheel move by three lines, and a click choose a row.
func (m *model) mouse(e tea.MouseMsg) tea.Cmd {
	if m.small() || m.to != nil || e.Action != tea.MouseActionPress {
		return nil
	}
	line := e.Y - (m.h - 2 - m.bodyHeight(m.top().Road()))
	if c, ok := m.top().(page.SpotClicker); ok && e.Button == tea.MouseButtonLeft {
		return c.ClickAt(e.X, line)
	}
	if c, ok := m.top().(page.Clicker); ok && e.Button == tea.MouseButtonLeft {
		return c.Click(line)
	}
	if m.top().Typing() {
		return nil
	}
	k := tea.KeyMsg{Type: tea.KeyDown}
	switch e.Button {
	case tea.MouseButtonWheelUp:
		k.Type = tea.KeyUp
	case tea.MouseButtonWheelDown:
	default:
		return nil
	}
	var cmds []tea.Cmd
	for range 3 {
		cmds = append(cmds, m.top().Update(k))
	}
	return tea.Batch(cmds...)
}

// gotoLine draws the line after ":" with the names that fit.
func (m *model) gotoLine(w int) string {
	line := " :" + m.to.View(m.env.Theme, 30)
	return text.Cut(line+"   "+m.env.Paint(muted, strings.Join(m.fitting(), "  ")), w)
}
