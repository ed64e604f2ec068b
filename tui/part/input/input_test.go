package input

import (
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

func runes(s string) tea.KeyMsg    { return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(s)} }
func key(k tea.KeyType) tea.KeyMsg { return tea.KeyMsg{Type: k} }

func TestUpdate(t *testing.T) {
	tests := map[string]struct {
		keys []tea.KeyMsg
		want string
	}{
		"typed":            {[]tea.KeyMsg{runes("a"), {Type: tea.KeySpace, Runes: []rune(" ")}, runes("ü")}, "a ü"},
		"pasted lines":     {[]tea.KeyMsg{{Type: tea.KeyRunes, Runes: []rune("a\r\nb\x1b[31m"), Paste: true}}, "a b"},
		"backspace":        {[]tea.KeyMsg{runes("abc"), key(tea.KeyBackspace)}, "ab"},
		"at the start":     {[]tea.KeyMsg{key(tea.KeyBackspace), key(tea.KeyDelete), key(tea.KeyLeft), runes("x")}, "x"},
		"in the middle":    {[]tea.KeyMsg{runes("ac"), key(tea.KeyLeft), runes("b")}, "abc"},
		"delete":           {[]tea.KeyMsg{runes("abc"), key(tea.KeyHome), key(tea.KeyDelete)}, "bc"},
		"word":             {[]tea.KeyMsg{runes("one two "), key(tea.KeyCtrlW)}, "one "},
		"to the start":     {[]tea.KeyMsg{runes("abc"), key(tea.KeyLeft), key(tea.KeyCtrlU)}, "c"},
		"home, end":        {[]tea.KeyMsg{runes("b"), key(tea.KeyHome), runes("a"), key(tea.KeyEnd), runes("c")}, "abc"},
		"alt is no text":   {[]tea.KeyMsg{{Type: tea.KeyRunes, Runes: []rune("x"), Alt: true}}, ""},
		"enter is no text": {[]tea.KeyMsg{runes("a"), key(tea.KeyEnter)}, "a"},
		"bounded":          {[]tea.KeyMsg{runes(strings.Repeat("x", 2*maxLen)), runes("y")}, strings.Repeat("x", maxLen)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var i Input
			for _, k := range tc.keys {
				i.Update(k)
			}
			if i.Value() != tc.want {
				t.Errorf("got %q, want %q", i.Value(), tc.want)
			}
		})
	}
}

func TestView(t *testing.T) {
	th := theme.New(theme.Config{NoColor: true})
	var i Input
	i.Set("provisionserver")
	for w, want := range map[int]string{30: "provisionserver▌", 8: "nserver▌", 1: "▌"} {
		if got := i.View(th, w); got != want {
			t.Errorf("width %d: %q, want %q", w, got, want)
		}
	}
	i.Update(key(tea.KeyHome))
	if got := i.View(th, 8); got != "▌provis…" || text.Width(got) != 8 {
		t.Errorf("at the start: %q", got)
	}
	s := Input{Secret: true}
	s.Set("pps")
	if got := s.View(th, 20) + s.Still(); strings.Contains(got, "p") || got != "•••▌••••••••" {
		t.Errorf("a secret is shown as %q", got)
	}
}
