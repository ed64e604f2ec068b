package tui

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/page/core"
	"amtmedic/tui/page/server"
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

// openServer shows the page on which this machine becomes the setup server. There is one of it for the
// screen: what runs goes on while other pages are shown.
func (m *model) openServer() tea.Cmd {
	if m.serve == nil {
		m.serve = server.New(m.ctx, m.env, m.o.Serve)
	}
	m.show(m.serve)
	return m.serve.Init()
}

// serverMsg brings a message of the server to its page, also while another one is shown: then the note
// says that it has ended.
func (m *model) serverMsg(msg server.Msg) tea.Cmd {
	if m.serve == nil {
		return nil
	}
	up := m.serve.Running()
	cmd := m.serve.Update(msg)
	if up && !m.serve.Running() && m.top() != m.serve {
		m.note = "the setup server of this machine has ended; :core says why"
	}
	return cmd
}

// quit ends the screen. A setup server that runs behind another page is shown first: it ends with it,
// and somebody may rely on it.
func (m *model) quit() tea.Cmd {
	if m.serve == nil || !m.serve.Running() || m.top() == m.serve {
		return tea.Quit
	}
	cmd := m.openServer()
	m.note = "the setup server of this machine still runs; quit again ends it too"
	return cmd
}

// stopTime is how long the end of the screen waits for sessions to come to theirs.
const stopTime = 12 * time.Second

// closeServer stops a server that was started from this screen, in order.
func (m *model) closeServer() {
	if m.serve != nil {
		m.serve.Close(stopTime)
	}
}
