package tui

import (
	"slices"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/page/tools"
)

// partingTime is how long the end of the screen waits for a key that is being written.
const partingTime = 10 * time.Second

// openTools shows a tool. There is one page of tools for the screen, so that what was found stays.
func (m *model) openTools(name string) tea.Cmd {
	if m.tools == nil {
		if m.o.Tools == nil {
			m.o.Tools = &tools.World{}
		}
		m.tools = tools.New(m.ctx, m.env, m.o.Tools)
	}
	m.tools.Show(name)
	for i, q := range m.stack {
		if q == m.tools {
			m.stack = m.stack[:i]
			break
		}
	}
	m.push(m.tools)
	return m.tools.Refresh()
}

// isTool reports whether a name for ":" is that of a tool.
func isTool(name string) bool { return name == "tools" || slices.Contains(tools.Names(), name) }

// toolsMsg brings a message of the tools to them, also while another page is shown: then the note says
// how work has ended.
func (m *model) toolsMsg(msg tools.Msg) tea.Cmd {
	if m.tools == nil {
		return nil
	}
	busy := m.tools.Busy()
	cmd := m.tools.Update(msg)
	if busy && !m.tools.Busy() && m.top() != m.tools {
		m.note = m.tools.Last()
	}
	return cmd
}
