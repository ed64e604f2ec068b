package tui

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/part/text"
)

// TestSizes draws every page at every size: no panic, no line wider than the window, no more lines.
func TestSizes(t *testing.T) {
	sizes := [][2]int{{1, 1}, {1, 60}, {200, 1}, {2, 2}, {10, 3}, {20, 6}, {59, 15}, {60, 14}, {60, 15}, {61, 16}, {71, 17}, {72, 18}, {79, 24}, {80, 24},
		{93, 15}, {100, 30}, {120, 40}, {131, 20}, {132, 20}, {160, 24}, {200, 60}}
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			d := s.open(t, 80, 24, nil)
			for _, size := range sizes {
				d.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				d.fits()
			}
		})
	}
}

// TestTooSmall shows the one line below 60x15; no key but quit and help acts.
func TestTooSmall(t *testing.T) {
	f := newFake(asking(passwordQuestion()), probing())
	d := newDriver(t, options(f), 59, 15)
	if got := d.frame(); got != tooSmall {
		t.Errorf("frame %q", got)
	}
	d.keys("1", "enter", "s", "u", ":", "esc", "d", "v", "tab")
	if f.called() != "" || d.m.top().Name() != "walk" {
		t.Errorf("keys acted in a small window: %q, page %s", f.called(), d.m.top().Name())
	}
	d.keys("?")
	d.want(tooSmall, "q quit")
	if _, cmd := d.m.Update(keyOf("q")); cmd == nil {
		t.Error("q does not quit a small window")
	}
	d.keys("?")
	d.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	d.want("Which password does the MEBx take?")
}

// TestResizeFuzz changes size and presses keys at random; a seed makes a failure repeatable.
func TestResizeFuzz(t *testing.T) {
	keys := []string{"enter", "esc", "up", "down", "tab", "pgdn", "pgup", "home", "end", "/", ":", "?", "e", "x", "l", "v", "a", "p", "r", "y", "b", "c", "o", "g", "G", "1", "2", "9", " ", "type:yes", "backspace", "left", "s", "u", "d", "w", "n", "N", "right", "H"}
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 1))
			all := scenes()
			d := all[rnd.IntN(len(all))].open(t, 80, 24, ownCore(t))
			for range 250 {
				if rnd.IntN(3) == 0 {
					d.m.Update(tea.WindowSizeMsg{Width: rnd.IntN(210), Height: rnd.IntN(70)})
				} else {
					d.keys(keys[rnd.IntN(len(keys))])
				}
				if d.m.w > 0 && d.m.h > 0 {
					d.fits()
				}
			}
		})
	}
}

// TestASCII draws every page without a character beyond ASCII, in the same layout.
func TestASCII(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			plain := s.open(t, 80, 24, nil).frame()
			ascii := s.open(t, 80, 24, func(o *Options) { o.ASCII = true }).frame()
			for i, r := range ascii {
				if r > 0x7e || (r < 0x20 && r != '\n') {
					t.Fatalf("character %q at %d:\n%s", r, i, ascii)
				}
			}
			a, p := strings.Split(ascii, "\n"), strings.Split(plain, "\n")
			for i := range a {
				if text.Width(a[i]) != text.Width(p[i]) {
					t.Errorf("line %d: %q is laid out otherwise than %q", i+1, a[i], p[i])
				}
			}
		})
	}
}

// TestNoColor asks for no colour on a terminal that has it: no escape sequence is left, and nothing
// but the colour is lost.
func TestNoColor(t *testing.T) {
	strip := func(s string) string {
		for {
			i := strings.IndexByte(s, 0x1b)
			if i < 0 {
				return s
			}
			j := strings.IndexByte(s[i:], 'm')
			s = s[:i] + s[i+j+1:]
		}
	}
	term := func(extra string) func(string) string {
		return func(k string) string {
			switch k {
			case "TERM":
				return "xterm-256color"
			case "NO_COLOR":
				return extra
			}
			return ""
		}
	}
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			colour := s.open(t, 80, 24, func(o *Options) { o.NoColor, o.Getenv = false, term("") }).frame()
			plain := s.open(t, 80, 24, func(o *Options) { o.NoColor, o.Getenv = false, term("1") }).frame()
			if !strings.Contains(colour, "\x1b[") {
				t.Error("no colour on a terminal that has it")
			}
			if strings.Contains(plain, "\x1b") {
				t.Error("NO_COLOR leaves an escape sequence")
			}
			if strip(colour) != plain {
				t.Errorf("without colour the frame reads otherwise:\n%s\n---\n%s", strip(colour), plain)
			}
		})
	}
}
