// Package input is a line of text being typed. It draws its own cursor mark, because a cursor that
// is only an attribute disappears without colour, and it never blinks.
package input

import (
	"strings"
	"unicode"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// maxLen bounds what can be typed or pasted, in characters.
const maxLen = 4096

// Input is one field. The zero value is an empty field that shows what is typed.
type Input struct {
	Secret bool // shows dots
	v      []rune
	at     int
}

// Value is what was typed.
func (i *Input) Value() string { return string(i.v) }

// Set replaces the text and puts the cursor behind it.
func (i *Input) Set(s string) {
	i.v, i.at = nil, 0
	i.insert([]rune(s))
}

// insert takes runes at the cursor. Control characters are left out, so that a paste of several
// lines becomes one.
func (i *Input) insert(rs []rune) {
	rs = []rune(text.Clean(string(rs)))
	rs = rs[:min(len(rs), maxLen-len(i.v))]
	i.v = append(i.v[:i.at:i.at], append(rs, i.v[i.at:]...)...)
	i.at += len(rs)
}

// Update takes a key, and reports whether it was one for the field.
func (i *Input) Update(k tea.KeyMsg) bool {
	switch k.Type {
	case tea.KeyRunes, tea.KeySpace:
		if k.Alt {
			return false
		}
		i.insert(k.Runes)
	case tea.KeyBackspace:
		i.cut(i.at - 1)
	case tea.KeyDelete:
		if i.at < len(i.v) {
			i.v = append(i.v[:i.at], i.v[i.at+1:]...)
		}
	case tea.KeyCtrlU:
		i.cut(0)
	case tea.KeyCtrlW:
		i.cut(i.wordStart())
	case tea.KeyLeft:
		i.at = max(0, i.at-1)
	case tea.KeyRight:
		i.at = min(len(i.v), i.at+1)
	case tea.KeyHome, tea.KeyCtrlA:
		i.at = 0
	case tea.KeyEnd, tea.KeyCtrlE:
		i.at = len(i.v)
	default:
		return false
	}
	return true
}

// cut removes what stands between from and the cursor.
func (i *Input) cut(from int) {
	from = max(0, from)
	i.v = append(i.v[:from], i.v[i.at:]...)
	i.at = from
}

func (i *Input) wordStart() int {
	n := i.at
	for n > 0 && unicode.IsSpace(i.v[n-1]) {
		n--
	}
	for n > 0 && !unicode.IsSpace(i.v[n-1]) {
		n--
	}
	return n
}

// View gives the text with its cursor in at most w columns; the part around the cursor is shown.
func (i *Input) View(t *theme.Theme, w int) string {
	v := i.v
	if i.Secret {
		v = []rune(strings.Repeat("•", len(i.v)))
	}
	before, after := v[:i.at], string(v[i.at:])
	for len(before) > 0 && text.Width(string(before)) > max(0, w-1) {
		before = before[1:]
	}
	rest := max(0, w-1-text.Width(string(before)))
	return string(before) + t.Paint(theme.Accent, "▌") + text.Cut(after, rest)
}

// Still gives the text of a field that is not being typed in; a secret one does not tell its length.
func (i *Input) Still() string {
	if i.Secret && len(i.v) > 0 {
		return "••••••••"
	}
	return string(i.v)
}
