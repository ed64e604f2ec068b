package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/page/core"
)

// openCore shows a page of the provisioning core: in the one that is in the stack already, so that
// each keeps its place, or in a new one. arg is the UUID of a client, or empty.
func (m *model) openCore(name, arg string) tea.Cmd {
	if m.core == nil {
		m.note = "there is no provisioning core here"
		return nil
	}
	var p *core.Page
	var cmds []tea.Cmd
	for i, q := range m.stack {
		if found, ok := q.(*core.Page); ok {
			p = found
			m.stack = m.stack[:i+1]
			p.Show(name)
			cmds = append(cmds, p.Refresh())
			break
		}
	}
	if p == nil {
		p = core.New(m.ctx, m.env, m.core, name)
		m.stack = append(m.stack, p)
		cmds = append(cmds, p.Init())
	}
	m.resize()
	if arg != "" {
		cmds = append(cmds, p.Open(arg))
	}
	return tea.Batch(cmds...)
}

// closeCore closes the database of the core.
func (m *model) closeCore() error {
	if m.core == nil {
		return nil
	}
	return m.core.Close()
}
