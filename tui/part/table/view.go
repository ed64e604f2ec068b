package table

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// Column is one column of a table.
type Column[R any] struct {
	Title string
	Width int  // columns that it takes at least
	Most  int  // columns that it takes where there is room; 0 is Width
	From  int  // width of the window from which it is shown
	Right bool // the text stands at the right edge
	// Cell gives the text of a row, fit for the screen, and what it is for.
	Cell func(R) (string, theme.Role)
}

// gap is what parts two columns in a window of w columns.
func gap(w int) int {
	if w < 100 {
		return 1
	}
	return 2
}

// layout chooses the columns that fit into w and their widths.
func layout[R any](cols []Column[R], window, w int) (shown []Column[R], widths []int) {
	gap := gap(window)
	used := -gap
	for _, c := range cols {
		if window < c.From || used+gap+c.Width > w {
			continue
		}
		shown, widths = append(shown, c), append(widths, c.Width)
		used += gap + c.Width
	}
	for room := w - used; room > 0; { // shared evenly among those that want more
		open := 0
		for i, c := range shown {
			if widths[i] < c.Most {
				open++
			}
		}
		if open == 0 {
			break
		}
		share := max(1, room/open)
		for i, c := range shown {
			more := min(share, c.Most-widths[i], room)
			if more > 0 {
				widths[i] += more
				room -= more
			}
		}
	}
	return shown, widths
}

// Look is how a table is drawn.
type Look struct {
	Theme *theme.Theme
	W, H  int    // columns; lines, the head included
	Top   int    // line of the body in which the head stands, for Click
	Match string // words that are marked
}

// View draws the head and the rows of the window.
func (t *Table[R]) View(cols []Column[R], l Look) []string {
	shown, widths := layout(cols, l.W, l.W-4)
	t.SetHeight(l.H - 1)
	t.at = list.Lines{}
	var head strings.Builder
	for i, c := range shown {
		cell(&head, c.Title, widths[i], l.gap(i, len(shown)), c.Right)
	}
	out := []string{"   " + l.Theme.Paint(theme.Muted, strings.TrimRight(head.String(), " "))}
	from, to := t.rows.Window()
	for k := range to - from {
		i := from + k
		if t.Newest {
			i = to - 1 - k
		}
		t.at[l.Top+len(out)] = i
		out = append(out, t.line(i, shown, widths, l))
	}
	return out
}

func (t *Table[R]) line(i int, cols []Column[R], widths []int, l Look) string {
	on := i == t.rows.Cursor()
	row, ok := t.Row(i)
	if !ok {
		return " " + l.Theme.Pointer(on) + " " + l.Theme.Paint(theme.Muted, "…")
	}
	var b strings.Builder
	for k, c := range cols {
		var one strings.Builder
		s, role := c.Cell(row)
		cell(&one, s, widths[k], l.gap(k, len(cols)), c.Right)
		whole := one.String()
		s = strings.TrimRight(whole, " ") // spaces are not painted: those at the end of a line go
		rest := whole[len(s):]
		switch {
		case on:
			s = l.Theme.Paint(theme.Selected, s)
		case l.Match != "" && l.Theme.Match(s, l.Match) != s:
			s = l.Theme.Match(s, l.Match)
		default:
			s = l.Theme.Paint(role, s)
		}
		b.WriteString(s + rest)
	}
	return " " + l.Theme.Pointer(on) + " " + strings.TrimRight(b.String(), " ")
}

// gap is what follows column i of n; nothing behind the last one.
func (l Look) gap(i, n int) int {
	if i == n-1 {
		return 0
	}
	return gap(l.W)
}

// cell writes a text into its column, and the gap behind it. The last column is not padded.
func cell(b *strings.Builder, s string, w, gap int, right bool) {
	switch {
	case right:
		b.WriteString(text.FitLeft(s, w))
	case gap == 0:
		b.WriteString(text.Cut(s, w))
	default:
		b.WriteString(text.Fit(s, w))
	}
	b.WriteString(strings.Repeat(" ", gap))
}

// Press moves the cursor when the key is one that moves it.
func (t *Table[R]) Press(k tea.KeyMsg, m *keymap.Map) bool {
	switch {
	case m.Is(k, keymap.Up):
		t.Move(-1)
	case m.Is(k, keymap.Down):
		t.Move(1)
	case m.Is(k, keymap.PageUp):
		t.Move(-t.Page())
	case m.Is(k, keymap.PageDown):
		t.Move(t.Page())
	case m.Is(k, keymap.Top) && t.Newest, m.Is(k, keymap.Bottom) && !t.Newest:
		t.End()
	case m.Is(k, keymap.Bottom), m.Is(k, keymap.Top):
		t.First()
	default:
		return false
	}
	return true
}
