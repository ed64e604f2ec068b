// Package text does the width arithmetic of the screen: cutting, padding, wrapping and joining by
// columns, not bytes. It also takes control characters out of foreign text. Text that is given to
// it may carry colour, except to Clean.
package text

import (
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// Ellipsis marks text that was cut.
const Ellipsis = "…"

// Width is the number of columns that s takes.
func Width(s string) int { return ansi.StringWidth(s) }

// Clean makes foreign text harmless: a host name, a log line or a packet must not be able to send
// escape sequences, start a new line, or turn the direction of writing. Line ends and tabs become
// spaces.
func Clean(s string) string {
	if isPlain(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r == unicode.ReplacementChar:
			return '?'
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}, ansi.Strip(strings.ReplaceAll(s, "\r\n", "\n")))
}

// CleanLines is Clean for text of several lines.
func CleanLines(s string) []string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n"), "\n")
	for i, l := range lines {
		lines[i] = Clean(strings.ReplaceAll(l, "\t", "    "))
	}
	return lines
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// Cut shortens s to w columns, with an ellipsis where something is missing.
func Cut(s string, w int) string {
	if w <= 0 {
		return ""
	}
	if Width(s) <= w {
		return s
	}
	return ansi.Truncate(s, w, Ellipsis)
}

// Fit cuts or pads s to exactly w columns.
func Fit(s string, w int) string {
	s = Cut(s, w)
	if n := w - Width(s); n > 0 {
		s += strings.Repeat(" ", n)
	}
	return s
}

// FitLeft is Fit with the text at the right edge.
func FitLeft(s string, w int) string {
	s = Cut(s, w)
	return strings.Repeat(" ", max(0, w-Width(s))) + s
}

// Sides puts left and right at the edges of w columns. Right gives way when there is no room for
// both.
func Sides(left, right string, w int) string {
	gap := w - Width(left) - Width(right)
	if right == "" || gap < 1 {
		return Cut(left, w)
	}
	return left + strings.Repeat(" ", gap) + right
}

// noBreak stands for a hyphen while lines are broken: an id must not fall apart at one.
const noBreak = "\u2011"

// Wrap breaks s into lines of at most w columns, at spaces where it can.
func Wrap(s string, w int) []string {
	if s == "" {
		return nil
	}
	w = max(1, w)
	var lines []string
	whole := ansi.Wrap(strings.ReplaceAll(s, "-", noBreak), w, "")
	for _, l := range strings.Split(strings.ReplaceAll(whole, noBreak, "-"), "\n") {
		l = strings.TrimRight(l, " ")
		if Width(l) > w { // a space before a long word is not counted there
			lines = append(lines, strings.Split(ansi.Hardwrap(l, w, true), "\n")...)
			continue
		}
		lines = append(lines, l)
	}
	return lines
}

// Indent wraps s behind a label of a fixed column width; further lines start below the first.
func Indent(label, s string, labelWidth, w int) []string {
	lines := Wrap(s, w-labelWidth)
	for i, l := range lines {
		head := ""
		if i == 0 {
			head = label
		}
		lines[i] = Fit(head, labelWidth) + l
	}
	return lines
}

// Block cuts lines to w columns and gives exactly h of them.
func Block(lines []string, w, h int) []string {
	out := make([]string, max(0, h))
	for i := range out {
		if i < len(lines) {
			out[i] = Cut(lines[i], w)
		}
	}
	return out
}

// Columns sets blocks side by side, each padded to its width and parted by sep. The last one is not
// padded: trailing spaces would only cost bytes on the wire.
func Columns(sep string, h int, blocks ...Column) []string {
	out := make([]string, max(0, h))
	for i := range out {
		var b strings.Builder
		for j, c := range blocks {
			line := ""
			if i < len(c.Lines) {
				line = c.Lines[i]
			}
			if j > 0 {
				b.WriteString(sep)
			}
			if j == len(blocks)-1 {
				b.WriteString(Cut(line, c.Width))
			} else {
				b.WriteString(Fit(line, c.Width))
			}
		}
		out[i] = strings.TrimRight(b.String(), " ")
	}
	return out
}

// Column is one block of lines with its width.
type Column struct {
	Lines []string
	Width int
}
