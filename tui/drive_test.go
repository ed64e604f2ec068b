package tui

import (
	"context"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	wirepage "amtmedic/tui/page/wire"
	"amtmedic/tui/part/text"
)

// driver runs the root model without a program: every command is run at once and its message
// handed back, so that frames come out the same each time.
type driver struct {
	t    *testing.T
	m    *model
	quit bool
}

func options(w *fake) Options {
	o := Options{Start: startData(), Title: title, Zone: time.UTC, Getenv: func(string) string { return "" }, NoColor: true,
		Theme: "dark", // TERM is unset in these tests: no colour, Unicode glyphs
		Explain: func(id string) string {
			return id + "\n\nWhat it means\n\n" + strings.Repeat("A long line about the cause, told once more in other words. ", 5) + strings.Repeat("\nline", 30)
		},
		Bundle: func(context.Context, string) (string, error) { return "PC-0412.amtmedic", nil }}
	o.Tools = testTools()
	if w != nil {
		o.Walker = w
	}
	return o
}

func newDriver(t *testing.T, o Options, w, h int) *driver {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	if o.Core == nil {
		o.Core = testCore()
	}
	m, err := newModel(ctx, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.closeCore() })
	m.clip.Out, m.clip.GOOS = io.Discard, "linux" // and no display: through the terminal
	m.follow = func(*feed) tea.Cmd { return nil } // it would wait
	m.wait = func(*feed, *wirepage.Page, int) tea.Cmd { return nil }
	d := &driver{t: t, m: m}
	d.send(tea.WindowSizeMsg{Width: w, Height: h})
	d.run(m.Init())
	return d
}

func (d *driver) send(msg tea.Msg) {
	_, cmd := d.m.Update(msg)
	d.run(cmd)
}

// run runs a command and what follows from it.
func (d *driver) run(cmd tea.Cmd) {
	if cmd != nil {
		d.message(cmd())
	}
}

func (d *driver) message(msg tea.Msg) {
	if msg == nil {
		return
	}
	if v := reflect.ValueOf(msg); v.Kind() == reflect.Slice && v.Type().Elem() == reflect.TypeFor[tea.Cmd]() {
		for i := range v.Len() {
			d.run(v.Index(i).Interface().(tea.Cmd))
		}
		return
	}
	if _, quit := msg.(tea.QuitMsg); quit {
		d.quit = true
		return
	}
	d.send(msg)
}

// keys presses keys: names such as "enter", or single characters; "type:abc" types a text.
func (d *driver) keys(names ...string) *driver {
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, "type:"); ok {
			for _, r := range rest {
				d.send(keyOf(string(r)))
			}
			continue
		}
		d.send(keyOf(n))
	}
	return d
}

func keyOf(n string) tea.KeyMsg {
	named := map[string]tea.KeyType{"enter": tea.KeyEnter, "esc": tea.KeyEsc, "up": tea.KeyUp, "down": tea.KeyDown, "tab": tea.KeyTab,
		"ctrl+c": tea.KeyCtrlC, "f2": tea.KeyF2, "ctrl+y": tea.KeyCtrlY, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace, "left": tea.KeyLeft, "right": tea.KeyRight}
	if t, ok := named[n]; ok {
		return tea.KeyMsg{Type: t}
	}
	if n == " " {
		return tea.KeyMsg{Type: tea.KeySpace, Runes: []rune{' '}}
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(n)}
}

func (d *driver) frame() string { return d.m.View() }

// fits checks the frame against the window.
func (d *driver) fits() {
	d.t.Helper()
	lines := strings.Split(d.frame(), "\n")
	if len(lines) > d.m.h {
		d.t.Errorf("%d lines in a window of %d", len(lines), d.m.h)
	}
	for i, l := range lines {
		if n := text.Width(l); n > d.m.w {
			d.t.Errorf("line %d has %d columns in a window of %d: %q", i+1, n, d.m.w, l)
		}
	}
}

func (d *driver) want(parts ...string) {
	d.t.Helper()
	f := d.frame()
	for _, p := range parts {
		if !strings.Contains(f, p) {
			d.t.Errorf("frame lacks %q:\n%s", p, f)
		}
	}
}
