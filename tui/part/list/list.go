// Package list keeps the cursor and the window of a list that may be longer than its place. It
// draws nothing.
package list

// List is a cursor over n rows of which h are shown. The zero value is an empty list.
type List struct {
	n, h   int
	cursor int
	top    int
}

// Cursor is the selected row; 0 for an empty list.
func (l *List) Cursor() int { return l.cursor }

// Len is the number of rows.
func (l *List) Len() int { return l.n }

// Set gives the number of rows and of those shown, and keeps the cursor inside.
func (l *List) Set(n, h int) {
	l.n, l.h = max(0, n), max(1, h)
	l.To(l.cursor)
}

// To moves the cursor to a row.
func (l *List) To(i int) {
	l.cursor = max(0, min(i, l.n-1))
	h := max(1, l.h)
	l.top = min(l.top, l.cursor)
	l.top = max(l.top, l.cursor-h+1)
	l.top = max(0, min(l.top, l.n-h))
}

// Move moves the cursor by d rows.
func (l *List) Move(d int) { l.To(l.cursor + d) }

// Shift follows the selected row, which has moved by d because rows came or went before it: the
// window moves with it, so that nothing jumps.
func (l *List) Shift(n, d int) {
	l.n = max(0, n)
	l.cursor, l.top = l.cursor+d, l.top+d
	l.To(l.cursor)
}

// Page is the number of rows by which a page key moves.
func (l *List) Page() int { return max(1, l.h-1) }

// Last moves the cursor to the end.
func (l *List) Last() { l.To(l.n - 1) }

// Window gives the rows that are shown: from, up to and without to.
func (l *List) Window() (from, to int) { return l.top, min(l.n, l.top+max(1, l.h)) }

// Lines remembers which line of the screen shows which row, for the mouse.
type Lines map[int]int

// Click gives the row on a line; again says that it was selected already.
func (l *List) Click(at Lines, line int) (again, ok bool) {
	row, ok := at[line]
	if !ok {
		return false, false
	}
	again = row == l.cursor
	l.To(row)
	return again, true
}
