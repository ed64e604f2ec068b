package tools

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// driver runs a page without a program: commands are run at once, and their messages handed back.
type driver struct {
	t    *testing.T
	p    *Page
	dir  string
	sent []tea.Msg // what the page asked of the root
}

func drive(t *testing.T, name string, w *World) *driver {
	t.Helper()
	keys, err := keymap.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	env := &page.Env{Theme: theme.New(theme.Config{NoColor: true}), Keys: keys, Zone: time.UTC}
	d := &driver{t: t, dir: t.TempDir()}
	if w == nil {
		w = &World{}
	}
	w.Tick = func(time.Duration, func(time.Time) tea.Msg) tea.Cmd { return nil }
	w.Now = func() time.Time { return time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC) }
	w.Folder = filepath.Join(d.dir, "kept")
	d.p = New(t.Context(), env, w)
	d.p.Show(name)
	d.p.SetSize(80, 20)
	d.run(d.p.Refresh())
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

func press(n string) tea.KeyMsg {
	named := map[string]tea.KeyType{"enter": tea.KeyEnter, "esc": tea.KeyEsc, "up": tea.KeyUp, "down": tea.KeyDown, "tab": tea.KeyTab,
		"pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "home": tea.KeyHome, "end": tea.KeyEnd, "ctrl+u": tea.KeyCtrlU}
	if t, ok := named[n]; ok {
		return tea.KeyMsg{Type: t}
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(n)}
}

// keys presses keys: names such as "enter", or single characters; "type:abc" types a text.
func (d *driver) keys(names ...string) *driver {
	for _, n := range names {
		rest, typed := strings.CutPrefix(n, "type:")
		if !typed {
			d.run(d.p.Update(press(n)))
			continue
		}
		for _, r := range rest {
			d.run(d.p.Update(press(string(r))))
		}
	}
	return d
}

// choose goes to the act with this name, and begins it.
func (d *driver) choose(name string) *driver {
	d.t.Helper()
	for i, a := range d.p.tab().acts() {
		if strings.HasPrefix(a.name, name) {
			d.p.View()
			d.p.tab().rows.To(i)
			return d.keys("enter")
		}
	}
	d.t.Fatalf("there is no act %q:\n%s", name, d.frame())
	return d
}

func (d *driver) frame() string { return strings.Join(d.p.View(), "\n") }

func (d *driver) want(parts ...string) *driver {
	d.t.Helper()
	_, right := d.p.Status()
	f := d.frame() + "\n" + right
	for _, p := range parts {
		if !strings.Contains(f, p) && !strings.Contains(flat(f), flat(p)) {
			d.t.Errorf("the page lacks %q:\n%s", p, f)
		}
	}
	return d
}

// flat undoes the wrapping of lines.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

func (d *driver) lacks(parts ...string) *driver {
	d.t.Helper()
	for _, p := range parts {
		if strings.Contains(flat(d.frame()), flat(p)) {
			d.t.Errorf("the page has %q:\n%s", p, d.frame())
		}
	}
	return d
}

// fits checks that the page keeps to its size, whatever that is.
func (d *driver) fits() *driver {
	d.t.Helper()
	for _, size := range [][2]int{{1, 1}, {10, 3}, {60, 11}, {80, 20}, {200, 46}} {
		d.p.SetSize(size[0], size[1])
		lines := d.p.View()
		if len(lines) > size[1] {
			d.t.Errorf("%d lines on a page of %d", len(lines), size[1])
		}
		for _, l := range lines {
			if n := text.Width(l); n > size[0] {
				d.t.Errorf("%d columns on a page of %d: %q", n, size[0], l)
			}
		}
	}
	d.p.SetSize(80, 20)
	return d
}

func (d *driver) file(name, content string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// The tools are reached by tab, by number and by click; each says what it is for, and fits everywhere.
func TestTabs(t *testing.T) {
	d := drive(t, "tools", nil)
	var seen []string
	for range d.p.tabs {
		seen = append(seen, d.p.Name())
		d.fits().keys("tab")
	}
	if got, want := strings.Join(seen, " "), strings.Join(Names(), " "); got != want || d.p.Name() != Names()[0] {
		t.Errorf("tab leads to %s, want %s", got, want)
	}
	d.keys("2").want("[setup.bin]")
	d.p.Show("certificate")
	d.want("[Certificate]")
	d.keys("1")
	d.p.View()
	for line := range d.p.h {
		if strings.Contains(d.p.View()[line], "Look into a key file") {
			d.run(d.p.Click(line))
			d.want("▸ Look into a key file")
			d.run(d.p.Click(line))
			d.want("▸ file:")
			break
		}
	}
	d.keys("esc").want("▸ Look into a key file")
}

// Nothing that needs a word is written read-only.
func TestReadOnly(t *testing.T) {
	d := drive(t, "pairs", nil)
	d.p.env.ReadOnly = true
	path := filepath.Join(d.dir, "keys.csv")
	d.choose("Make new pairs").keys("type:3", "enter", "type:"+path, "enter").want("Read-only").keys("type:yes", "enter")
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written")
	}
}

// What takes too long, or was stopped, is left: the page comes back, and what was asked stays possible.
func TestStopped(t *testing.T) {
	d := drive(t, "pairs", nil)
	a := d.p.work("Wait", time.Millisecond, nil)
	a.run = func(_ context.Context, _ string, _ *meter) reply { select {} }
	d.p.ask = a
	d.run(a.start(""))
	d.want("not done:", "longer than 1ms").keys("esc").want("Make new pairs")

	a = d.p.work("Wait", time.Minute, nil)
	a.run = func(ctx context.Context, _ string, _ *meter) reply { <-ctx.Done(); return reply{err: ctx.Err()} }
	d.p.ask = a
	cmd := a.start("")
	d.want("◐ working").keys("esc").want("stopping")
	d.run(cmd)
	d.want("Make new pairs")
	if n, ok := d.sent[len(d.sent)-1].(page.Note); !ok || !strings.Contains(n.Text, "nothing was changed") {
		t.Errorf("sent %v", d.sent)
	}
}
