// Package find searches the lines of a page: it moves from one that fits to the next, and leaves all
// the others where they are. It draws only the line in which the text is typed.
package find

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/part/input"
	"amtmedic/tui/theme"
)

// Find is a search. The zero value is none.
type Find struct {
	in     *input.Input
	typing bool
	from   int // where the cursor was when typing began
}

// On reports whether a search is typed or holds.
func (f *Find) On() bool { return f.in != nil }

// Typing reports whether the keys go into the text.
func (f *Find) Typing() bool { return f.typing }

// Value is the text that is searched for; empty without a search.
func (f *Find) Value() string {
	if f.in == nil {
		return ""
	}
	return f.in.Value()
}

// Lines says what is searched: how many lines there are, where the cursor is, and their texts.
type Lines struct {
	N, At int
	Text  func(i int) string
}

// Key takes a key. took says that it was for the search; to is where the cursor belongs then.
func (f *Find) Key(k tea.KeyMsg, m *keymap.Map, l Lines) (to int, took bool) {
	switch {
	case f.typing && m.Is(k, keymap.Back), !f.typing && f.On() && m.Is(k, keymap.Back):
		f.in, f.typing = nil, false
	case f.typing && m.Is(k, keymap.Enter):
		f.typing = false
		if f.Value() == "" {
			f.in = nil
		}
	case f.typing:
		if !f.in.Update(k) {
			return l.At, false
		}
		return f.seek(l, f.from, 1), true
	case m.Is(k, keymap.Find):
		f.in, f.typing, f.from = &input.Input{}, true, l.At
	case f.On() && m.Is(k, keymap.FindNext):
		return f.seek(l, l.At+1, 1), true
	case f.On() && m.Is(k, keymap.FindPrevious):
		return f.seek(l, l.At-1, -1), true
	default:
		return l.At, false
	}
	return l.At, true
}

// seek gives the first line that fits, from one on and around the end; the cursor's when none does.
func (f *Find) seek(l Lines, from, step int) int {
	if l.N == 0 || f.Value() == "" {
		return l.At
	}
	for i := range l.N {
		at := ((from+i*step)%l.N + l.N) % l.N
		if f.fits(l.Text(at)) {
			return at
		}
	}
	return l.At
}

// fits: every word stands in the line, in any order, whatever the case.
func (f *Find) fits(s string) bool {
	s = strings.ToLower(s)
	for _, w := range strings.Fields(strings.ToLower(f.Value())) {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// View is the search in words: what is typed, and which of how many fitting lines the cursor is on.
func (f *Find) View(t *theme.Theme, l Lines, w int) string {
	if !f.On() {
		return ""
	}
	s := "search: " + f.Value()
	if f.typing {
		s = "search: " + f.in.View(t, max(8, w-24))
	}
	if f.Value() == "" {
		return s
	}
	n, at := 0, 0
	for i := range l.N {
		if f.fits(l.Text(i)) {
			if n++; i <= l.At {
				at = n
			}
		}
	}
	if n == 0 {
		return s + "  nothing fits"
	}
	return s + fmt.Sprintf("  %d of %d", at, n)
}

// Hints are the keys of a search.
func (f *Find) Hints() []keymap.Hint {
	switch {
	case f.typing:
		return []keymap.Hint{keymap.Do(keymap.Enter, "keep"), keymap.Do(keymap.Back, "end search")}
	case f.On():
		return []keymap.Hint{keymap.Do(keymap.FindNext, ""), keymap.Do(keymap.FindPrevious, ""), keymap.Do(keymap.Back, "end search")}
	}
	return []keymap.Hint{keymap.Do(keymap.Find, "")}
}
