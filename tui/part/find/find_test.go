package find

import (
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/theme"
)

var texts = []string{"dns.client NXDOMAIN", "client.enabled yes", "dns.server 10.1.0.10", "wire.client.syn none"}

// session presses keys: single characters, "enter", "esc".
type session struct {
	f  Find
	m  *keymap.Map
	at int
}

func (s *session) lines() Lines {
	return Lines{N: len(texts), At: s.at, Text: func(i int) string { return texts[i] }}
}

func (s *session) press(keys ...string) (took bool) {
	for _, k := range keys {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
		switch k {
		case "enter":
			msg = tea.KeyMsg{Type: tea.KeyEnter}
		case "esc":
			msg = tea.KeyMsg{Type: tea.KeyEsc}
		case " ":
			msg = tea.KeyMsg{Type: tea.KeySpace, Runes: []rune(" ")}
		}
		s.at, took = s.f.Key(msg, s.m, s.lines())
	}
	return took
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		name string
		keys []string
		at   int
		view string
	}{
		{"while typing", []string{"f", "D", "N", "S"}, 0, "search: DNS\u2588  1 of 2"},
		{"kept", []string{"f", "d", "n", "s", "enter"}, 0, "search: dns  1 of 2"},
		{"next", []string{"f", "d", "n", "s", "enter", "n"}, 2, "search: dns  2 of 2"},
		{"around the end", []string{"f", "d", "n", "s", "enter", "n", "n"}, 0, "search: dns  1 of 2"},
		{"previous, around the start", []string{"f", "d", "n", "s", "enter", "N"}, 2, "search: dns  2 of 2"},
		{"two words in any order", []string{"f", "n", "o", "n", "e", " ", "s", "y", "n", "enter"}, 3, "search: none syn  1 of 1"},
		{"nothing fits", []string{"f", "x", "y", "z", "enter", "n"}, 0, "search: xyz  nothing fits"},
		{"ended", []string{"f", "s", "y", "n", "enter", "esc"}, 3, ""},
		{"nothing typed", []string{"f", "enter"}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := keymap.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			s := &session{m: m}
			s.press(c.keys...)
			v := s.f.View(theme.New(theme.Config{NoColor: true}), s.lines(), 60)
			if s.at != c.at || !s.f.Typing() && v != c.view || (v == "") != (c.view == "") {
				t.Errorf("at %d, %q; want %d, %q", s.at, v, c.at, c.view)
			}
		})
	}
}

// Keys of the page stay the page's unless a search is on.
func TestKeysOfThePage(t *testing.T) {
	m, _ := keymap.New(nil)
	s := &session{m: m}
	for _, k := range []string{"n", "N", "esc", "enter", "y"} {
		if s.press(k) {
			t.Errorf("%s was taken without a search", k)
		}
	}
	s.press("f", "d", "enter")
	if s.press("y") || s.press("/") {
		t.Error("copy or filter was taken")
	}
	if !s.press("esc") || s.f.On() {
		t.Error("esc does not end the search")
	}
}

// An empty page is no trouble.
func TestNoLines(t *testing.T) {
	m, _ := keymap.New(nil)
	var f Find
	for _, k := range []string{"f", "a", "n"} {
		if to, _ := f.Key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}, m, Lines{}); to != 0 {
			t.Errorf("at %d", to)
		}
	}
}
