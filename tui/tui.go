// Package tui is the workstation: the screen on which a case is opened, walked, judged and
// repaired. Run draws it. It knows nothing of its own: what it shows comes from a flow.Walker, and
// what the person wants goes back there.
package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag/flow"
	"amtmedic/tui/clip"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/page/core"
	"amtmedic/tui/page/server"
	"amtmedic/tui/page/tools"
	wirepage "amtmedic/tui/page/wire"
	"amtmedic/tui/theme"
)

// The words of the start page, for the caller.
type (
	// Start is what the start page shows.
	Start = page.Start
	// Symptom is one line of "What do you see?".
	Symptom = page.Symptom
	// Fault is one thing that can be broken for practice.
	Fault = page.Fault
	// Missing is something that does not work here yet.
	Missing = page.Missing
	// Choice is what the person wants to open.
	Choice = page.Choice
)

// The kinds of choices.
const (
	WholeRoad   = page.WholeRoad
	FromSymptom = page.FromSymptom
	Practice    = page.Practice
	FromBundle  = page.FromBundle
)

// Options is what the workstation needs.
type Options struct {
	// Walker is a case that is open already: the screen opens on its walk. Its owner closes it.
	Walker flow.Walker
	// First is opened at once instead: the screen shows its road while Open works on it. When it
	// cannot be opened, Run ends with that error.
	First *Choice
	// Start is what the start page shows when there is neither Walker nor First.
	Start Start
	// Open opens what was chosen; close (may be nil) is called when the case is left. The context
	// ends with the case. Without Open the start page opens nothing.
	Open func(ctx context.Context, c Choice) (w flow.Walker, close func() error, err error)
	// Core is the database of a provisioning core, for its pages; nil when there are none here. The
	// screen closes it.
	Core *core.Database
	// Serve starts the setup server on this machine; nil when none can be started from here.
	Serve *server.Control
	// Tools is where the tools work; nil is this machine.
	Tools *tools.World
	// Title names a check, cause or symptom in a few words; Explain gives its offline page.
	Title   func(id string) string
	Explain func(id string) string
	// Bundle writes a case into a file and gives its path; nil when it cannot be done here.
	Bundle func(ctx context.Context, caseID string) (path string, err error)

	Parting  bool // leave the verdict on the terminal when the screen closes
	ReadOnly bool
	ASCII    bool   // no character beyond ASCII
	NoColor  bool   // as NO_COLOR
	Theme    string // words of AMTMEDIC_THEME: light, dark, contrast, mono, ascii
	Mouse    bool   // the wheel scrolls; the terminal's own selection then needs shift
	Keys     map[string][]string
	Privacy  bool     // begin with names and addresses hidden
	Names    []string // further names to hide then: of this machine, of its user

	In     io.Reader           // standard input when nil
	Out    io.Writer           // standard output when nil
	Getenv func(string) string // os.Getenv when nil
	Zone   *time.Location      // time.Local when nil
}

// framesPerSecond bounds how often the screen is drawn, and with it how long the first frame and the
// answer to a key take. What changes by itself is held to two pictures a second by the feed.
const framesPerSecond = 20

// Run shows the workstation until the person quits or ctx ends, and restores the terminal. It
// gives ctx's error when that ended it.
func Run(ctx context.Context, o Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m, err := newModel(ctx, &o)
	if err != nil {
		return err
	}
	out := o.Out
	if out == nil {
		out = os.Stdout
	}
	if f, ok := out.(*os.File); ok {
		lf := &lockedFile{File: f}
		m.clip.Out, out = lf, lf
	} else {
		lw := &lockedWriter{w: out}
		m.clip.Out, out = lw, lw
	}
	opts := []tea.ProgramOption{tea.WithContext(ctx), tea.WithAltScreen(), tea.WithFPS(framesPerSecond), tea.WithOutput(out), tea.WithoutSignalHandler()}
	if o.In != nil {
		opts = append(opts, tea.WithInput(o.In))
	}
	if o.Mouse {
		opts = append(opts, tea.WithMouseCellMotion())
	}
	g := &guard{model: m}
	p := tea.NewProgram(g, opts...)
	g.quit = p.Quit
	_, err = p.Run()
	cause := context.Cause(ctx)
	stop()
	m.closeServer()
	o.Tools.Wait(partingTime)
	if cerr := errors.Join(m.leave(), m.closeCore()); err == nil {
		err = cerr
	}
	if m.failed != nil {
		err = m.failed
	}
	var crash *Crash
	switch {
	case g.crash != nil:
		return g.crash
	case errors.As(cause, &crash): // of the walk behind the screen
		return crash
	case o.Parting:
		fmt.Fprint(out, m.parting())
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tea.ErrProgramPanic):
		return fmt.Errorf("draw the workstation: %w", err)
	case ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled):
		return cause
	}
	return err
}

// parting is the verdict in one line, for the terminal after the screen; empty without one.
func (m *model) parting() string {
	if m.env.Snap == nil || m.env.Snap.Judgement.Verdict == "" {
		return ""
	}
	j := &m.env.Snap.Judgement
	return m.env.Theme.Draw(m.hide(fmt.Sprintf("%s: %s (case %s)", j.Verdict, j.Sentence, m.env.Snap.CaseID))) + "\n"
}

func newModel(ctx context.Context, o *Options) (*model, error) {
	getenv := o.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	if o.Theme != "" {
		inner := getenv
		getenv = func(k string) string {
			if k == "AMTMEDIC_THEME" {
				return o.Theme
			}
			return inner(k)
		}
	}
	conf := theme.Detect(getenv, runtime.GOOS)
	conf.ASCII = conf.ASCII || o.ASCII
	conf.NoColor = conf.NoColor || o.NoColor
	keys, err := keymap.New(o.Keys)
	if err != nil {
		return nil, err
	}
	env := &page.Env{Theme: theme.New(conf), Keys: keys, Title: o.Title, Explain: o.Explain, Zone: o.Zone, ReadOnly: o.ReadOnly, Bundles: o.Bundle != nil}
	if env.Zone == nil {
		env.Zone = time.Local
	}
	if env.Title == nil {
		env.Title = func(id string) string { return id }
	}
	if env.Explain == nil {
		env.Explain = func(string) string { return "" }
	}
	m := &model{ctx: ctx, o: o, env: env, core: o.Core, clip: clip.New(nil, getenv), follow: func(f *feed) tea.Cmd { return f.follow }}
	m.wait = func(f *feed, p *wirepage.Page, cursor int) tea.Cmd {
		return func() tea.Msg { return f.next(p, cursor) }
	}
	m.veil.on = o.Privacy
	env.Hidden, env.Hide = o.Privacy, m.hide
	m.veil.mask.Learn(o.Names...)
	m.begin()
	return m, nil
}
