package core

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt/store"
	"amtmedic/amt/store/storetest"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// many is the size of the database of most tests.
const many = 10_000

// full is a database of many clients that all tests share; those that change something copy it.
var full string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "core")
	if err == nil {
		full = filepath.Join(dir, "core.db")
		err = storetest.Fill(context.Background(), full, many)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// copied gives a database of a test's own.
func copied(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "core.db")
	for _, end := range []string{"", ".key"} {
		raw, err := os.ReadFile(full + end)
		if err == nil {
			err = os.WriteFile(path+end, raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// driver runs a page without a program: commands are run at once, and their messages handed back.
type driver struct {
	t     *testing.T
	p     *Page
	clock time.Time
	sent  []tea.Msg // what the page asked of the root
	ticks int
}

func drive(t *testing.T, path, name string) *driver {
	t.Helper()
	return driveAt(t, path, name, 80, 20)
}

func driveAt(t *testing.T, path, name string, w, h int) *driver {
	t.Helper()
	keys, err := keymap.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	env := &page.Env{Theme: theme.New(theme.Config{NoColor: true}), Keys: keys, Zone: time.UTC}
	db := NewDatabase(path, store.Options{})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &driver{t: t, clock: time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)}
	db.Tick = func(time.Duration, func(time.Time) tea.Msg) tea.Cmd { d.ticks++; return nil }
	d.p = New(t.Context(), env, db, name)
	d.p.now = func() time.Time { return d.clock }
	d.p.SetSize(w, h)
	d.run(d.p.Init())
	return d
}

// again is the next look: as the tick brings it.
func (d *driver) again() *driver {
	d.t.Helper()
	d.clock = d.clock.Add(3 * time.Second)
	d.run(d.p.Update(Msg{d.p, tick{}}))
	return d
}

func (d *driver) run(cmd tea.Cmd) {
	if cmd != nil {
		d.message(cmd())
	}
}

func (d *driver) message(msg tea.Msg) {
	switch v := reflect.ValueOf(msg); {
	case msg == nil:
	case v.Kind() == reflect.Slice && v.Type().Elem() == reflect.TypeFor[tea.Cmd]():
		for i := range v.Len() {
			d.run(v.Index(i).Interface().(tea.Cmd))
		}
	default:
		if _, ok := msg.(Msg); ok {
			d.run(d.p.Update(msg))
			return
		}
		d.sent = append(d.sent, msg)
	}
}

// keys presses keys: names such as "enter", or single characters; "type:abc" types a text.
func (d *driver) keys(names ...string) *driver {
	named := map[string]tea.KeyType{"enter": tea.KeyEnter, "esc": tea.KeyEsc, "up": tea.KeyUp, "down": tea.KeyDown, "tab": tea.KeyTab,
		"pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace}
	press := func(n string) {
		k := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(n)}
		if t, ok := named[n]; ok {
			k = tea.KeyMsg{Type: t}
		}
		if n == " " {
			k.Type = tea.KeySpace
		}
		d.p.View()
		d.run(d.p.Update(k))
	}
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, "type:"); ok {
			for _, r := range rest {
				press(string(r))
			}
			continue
		}
		press(n)
	}
	return d
}

func (d *driver) frame() string { return strings.Join(d.p.View(), "\n") }

func (d *driver) want(parts ...string) *driver {
	d.t.Helper()
	_, right := d.p.Status()
	f := d.frame() + "\n" + right
	for _, p := range parts {
		if !strings.Contains(f, p) {
			d.t.Errorf("the page lacks %q:\n%s", p, f)
		}
	}
	return d
}

func (d *driver) lacks(parts ...string) *driver {
	d.t.Helper()
	f := d.frame()
	for _, p := range parts {
		if strings.Contains(f, p) {
			d.t.Errorf("the page has %q:\n%s", p, f)
		}
	}
	return d
}

// selected is the line with the pointer.
func (d *driver) selected() string {
	for _, l := range d.p.View() {
		if strings.Contains(l, "▸") {
			return l
		}
	}
	return ""
}

// fits checks that the page keeps to its size.
func (d *driver) fits() {
	d.t.Helper()
	lines := d.p.View()
	if len(lines) > d.p.h {
		d.t.Errorf("%d lines on a page of %d", len(lines), d.p.h)
	}
	for i, l := range lines {
		if n := text.Width(l); n > d.p.w {
			d.t.Errorf("line %d has %d columns on a page of %d: %q", i+1, n, d.p.w, l)
		}
	}
}

// note gives the last note that the page sent.
func (d *driver) note() string {
	for i := len(d.sent) - 1; i >= 0; i-- {
		if n, ok := d.sent[i].(page.Note); ok {
			return n.Text
		}
	}
	return ""
}

// change does something to a database as a server would.
func change(t *testing.T, path string, fn func(st *store.Store) error) {
	t.Helper()
	st, err := store.Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := fn(st); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}
