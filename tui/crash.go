package tui

import (
	"fmt"
	"runtime/debug"

	tea "github.com/charmbracelet/bubbletea"
)

// Crash is a fault inside the program that was caught while the screen was open. Run gives it as its
// error after the terminal is as it was before.
type Crash struct {
	Value  any    // what was thrown
	Stack  []byte // where, as debug.Stack writes it
	CaseID string // of the case that was open; empty without one
}

// Error says what was thrown, in one line.
func (c *Crash) Error() string { return fmt.Sprintf("fault inside the program: %v", c.Value) }

// Caught makes a Crash of what recover gave, nil of nothing. It must be called by the deferred
// function itself, so that the stack is that of the fault.
func Caught(r any, caseID string) *Crash {
	switch r := r.(type) {
	case nil:
		return nil
	case *Crash:
		return r
	}
	return &Crash{Value: r, Stack: debug.Stack(), CaseID: caseID}
}

// guard keeps a panic of the model, or of one of its commands, from leaving the terminal as it is:
// the program ends in order, and Run reports the crash.
type guard struct {
	*model
	crash *Crash
	quit  func()
}

func (g *guard) caseID() string { return g.veil.raw.snap.CaseID }

// Init is the model's.
func (g *guard) Init() (cmd tea.Cmd) {
	defer func() { cmd = g.ended(recover(), cmd) }()
	return g.watched(g.model.Init())
}

// Update is the model's until it crashes.
func (g *guard) Update(msg tea.Msg) (m tea.Model, cmd tea.Cmd) {
	m = g
	if c, ok := msg.(*Crash); ok && g.crash == nil {
		g.crash = c
		return g, tea.Quit
	}
	if g.crash != nil {
		return g, nil
	}
	defer func() { cmd = g.ended(recover(), cmd) }()
	_, cmd = g.model.Update(msg)
	return g, g.watched(cmd)
}

// View is the model's until it crashes.
func (g *guard) View() (s string) {
	if g.crash != nil {
		return ""
	}
	defer func() {
		if c := Caught(recover(), g.caseID()); c != nil {
			g.crash, s = c, ""
			go g.quit() // it waits for the loop that is drawing now
		}
	}()
	return g.model.View()
}

// ended notes a crash, and ends the program then.
func (g *guard) ended(r any, cmd tea.Cmd) tea.Cmd {
	c := Caught(r, g.caseID())
	if c == nil {
		return cmd
	}
	g.crash = c
	return tea.Quit
}

// watched makes a crash of a command, or of those that it gives, a message.
func (g *guard) watched(cmd tea.Cmd) tea.Cmd { return watched(cmd, g.caseID()) }

func watched(cmd tea.Cmd, caseID string) tea.Cmd {
	if cmd == nil {
		return nil
	}
	return func() (msg tea.Msg) {
		defer func() {
			if c := Caught(recover(), caseID); c != nil {
				msg = c
			}
		}()
		msg = cmd()
		if batch, ok := msg.(tea.BatchMsg); ok {
			for i := range batch {
				batch[i] = watched(batch[i], caseID)
			}
		}
		return msg
	}
}
