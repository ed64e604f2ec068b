// Package page says what a page of the workstation is, what it may know, and how it speaks with the
// root model: by messages that carry intents, never by calls. The pages themselves are in the
// packages below.
package page

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
	"amtmedic/diag/remedy"
	"amtmedic/diag/wire"
	"amtmedic/tui/keymap"
	"amtmedic/tui/theme"
)

// Page is one screen. The root owns size and stack; a page never blocks, and draws a body of
// exactly the size that it was given.
type Page interface {
	// Name is the word for ":".
	Name() string
	// SetSize gives columns and lines of the body, both at least 1.
	SetSize(w, h int)
	// Update takes keys and messages.
	Update(msg tea.Msg) tea.Cmd
	// View draws the body: at most h lines of at most w columns.
	View() []string
	// Hints lists the keys of the page, the most useful first, without help and quit.
	Hints() []keymap.Hint
	// Status is the middle and the right side of the header; empty texts mean the case's own.
	Status() (middle, right string)
	// Road reports whether the road stands above the body.
	Road() bool
	// Typing reports whether a text field has the keys: then letters are no commands.
	Typing() bool
}

// Clicker is a page whose rows can be chosen with the mouse. Click takes a line of the body, from 0:
// it selects the row there, or does what enter does when the row is selected already.
type Clicker interface{ Click(line int) tea.Cmd }

// SpotClicker is a page on which the column counts too, from 0.
type SpotClicker interface {
	ClickAt(column, line int) tea.Cmd
}

// Env is what all pages share. Only the root changes it, between updates.
type Env struct {
	Theme    *theme.Theme
	Keys     *keymap.Map
	Snap     *flow.Snapshot // of the open case; nil without one
	Ask      []probe.Question
	Title    func(id string) string // a check, cause or symptom in a few words; the id when unknown
	Explain  func(id string) string // its offline page; empty when there is none
	Zone     *time.Location
	ReadOnly bool
	Bundles  bool // a bundle can be written here
	Hidden   bool // names and addresses are hidden
	// Hide gives text as it may be shown; nil shows it as it is. What comes in Snap and Ask has been
	// through it.
	Hide func(string) string
}

// Paint is short for the theme's.
func (e *Env) Paint(r theme.Role, s string) string { return e.Theme.Paint(r, s) }

// Clock gives a time of day, empty for no time.
func (e *Env) Clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(e.Zone).Format("15:04:05")
}

// Practice reports whether the case is walked in a practice world with a simulated client.
func (e *Env) Practice() bool { return e.Snap != nil && len(e.Snap.Client) > 0 }

// Messages from the root to pages.
type (
	// Changed says that Env.Snap is new.
	Changed struct{}
	// Answered gives the outcome of Answer.
	Answered struct {
		Question string
		Err      error
	}
	// Previewed gives the outcome of Preview.
	Previewed struct {
		Remedy    string
		Plan      remedy.Plan
		Automatic bool
		Err       error
	}
	// Applied gives the outcome of Apply.
	Applied struct {
		Remedy string
		Done   string
		Err    error
	}
	// Undone gives the outcome of UndoRemedy.
	Undone struct{ Err error }
	// Wired brings what was seen on the wire.
	Wired struct{ Batch wire.Batch }
	// Saved gives the outcome of SavePackets: how many packets were written.
	Saved struct {
		Path string
		N    int
		Err  error
	}
	// OpenFailed says that a choice of the start page could not be opened.
	OpenFailed struct{ Err error }
)

// Intents from pages to the root.
type (
	// Choose opens a case.
	Choose struct{ Choice Choice }
	// Answer answers a question: with an option from 0, or with text and option -1.
	Answer struct {
		Question string
		Option   int
		Text     string
	}
	// Skip leaves the step for later.
	Skip struct{}
	// Undo takes the last answer back.
	Undo struct{}
	// Recheck runs a check once more, or the whole road.
	Recheck struct{ Check string }
	// Drain restarts a simulated client, or notes that the engineer did so.
	Drain struct{}
	// Preview plans a remedy.
	Preview struct{ Remedy diag.Remedy }
	// Apply does it.
	Apply struct {
		Remedy diag.Remedy
		Inputs map[string]string
	}
	// UndoRemedy takes the last repair back.
	UndoRemedy struct{}
	// Goto opens a page by its name. Arg is an id for "explain" and "remedy".
	Goto struct{ Name, Arg string }
	// Back leaves the page.
	Back struct{}
	// Copy puts text on the clipboard of the terminal. What says in words what it is.
	Copy struct{ What, Text string }
	// Note shows a line above the footer.
	Note struct{ Text string }
	// Listen captures besides the walk until it is sent again. Live says that lines come already.
	Listen struct{ Live bool }
	// SavePackets writes packets of the case into a new file.
	SavePackets struct {
		Path  string
		Which wire.Which
	}
	// Bundle writes the case into a file.
	Bundle struct{}
)

// Send gives the command that delivers an intent.
func Send(m tea.Msg) tea.Cmd { return func() tea.Msg { return m } }

// Automatic reports whether this program can do a remedy here by itself.
func (e *Env) Automatic(r diag.Remedy) bool {
	if can, known := e.Snap.Here[r.ID]; known {
		return can
	}
	return r.Kind == "automatic"
}
