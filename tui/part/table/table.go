// Package table is a list of rows that stand in a database and may be many. It holds the rows around
// the window only, and says which ones have to be read next; whoever has the database reads them, in
// a command, and hands them back. What is drawn never waits for a row.
package table

import (
	"amtmedic/tui/part/list"
)

// How many rows are read at once: while a person moves, and on the way to the end.
const (
	few  = 200
	many = 1000
)

// hold is how many rows are kept; those far from the window are forgotten beyond it.
const hold = 6000

// Table is a list of rows R. Key tells them apart; it must be set before the first row comes.
// The zero value is an empty table of which nothing has been read.
type Table[R any] struct {
	Key func(R) string
	// Newest draws the first row at the bottom and the last one at the top, as a log is read: the
	// database gives the newest first.
	Newest bool

	chunks  []chunk[R]
	rows    list.List
	at      list.Lines
	run     int  // one more with every Reset
	fresh   bool // Reset came after the rows that are shown
	reading bool
	toEnd   bool // the person wants the last row
}

// chunk is a stretch of rows as it was read.
type chunk[R any] struct {
	after string // where reading it begins
	next  string // where reading behind it begins; empty at the end
	n     int
	rows  []R // nil when it was forgotten
}

// Len is the number of rows that are known so far.
func (t *Table[R]) Len() int {
	n := 0
	for i := range t.chunks {
		n += t.chunks[i].n
	}
	return n
}

// Whole reports whether Len is all there are.
func (t *Table[R]) Whole() bool {
	return len(t.chunks) > 0 && t.chunks[len(t.chunks)-1].next == ""
}

// Known reports whether anything was read since the last Reset.
func (t *Table[R]) Known() bool { return len(t.chunks) > 0 && !t.fresh }

// Cursor is the place of the selected row, from 0.
func (t *Table[R]) Cursor() int { return t.rows.Cursor() }

// Seeking reports whether the last row is on its way.
func (t *Table[R]) Seeking() bool { return t.toEnd }

// Row gives a row by its place; false when it is not held.
func (t *Table[R]) Row(i int) (row R, ok bool) {
	c, from := t.chunkOf(i)
	if c < 0 || t.chunks[c].rows == nil {
		return row, false
	}
	return t.chunks[c].rows[i-from], true
}

// Selected gives the row under the cursor; false without one.
func (t *Table[R]) Selected() (R, bool) { return t.Row(t.rows.Cursor()) }

// chunkOf gives the chunk of a row, and the place of its first; -1 when there is none.
func (t *Table[R]) chunkOf(i int) (c, from int) {
	if i < 0 {
		return -1, 0
	}
	for c := range t.chunks {
		if i < from+t.chunks[c].n {
			return c, from
		}
		from += t.chunks[c].n
	}
	return -1, from
}

// Reset begins anew, because something else is looked for. The rows that are shown stay until the
// first new ones come.
func (t *Table[R]) Reset() {
	t.run++
	t.fresh, t.reading, t.toEnd = true, false, false
}

// SetHeight gives the number of rows that are shown.
func (t *Table[R]) SetHeight(h int) { t.rows.Set(t.Len(), max(1, h)) }

// Move moves the cursor by d rows on the screen.
func (t *Table[R]) Move(d int) {
	t.toEnd = false
	if t.Newest {
		d = -d
	}
	t.rows.Move(d)
}

// First goes to the first row, End to the last one, however far it is.
func (t *Table[R]) First() {
	t.toEnd = false
	t.rows.To(0)
}

// End goes to the last row.
func (t *Table[R]) End() {
	t.rows.Last()
	t.toEnd = !t.Whole()
}

// Page is the number of rows by which a page key moves.
func (t *Table[R]) Page() int { return t.rows.Page() }

// Click selects the row on a line of what View drew last; again says that it was selected already.
func (t *Table[R]) Click(line int) (again, ok bool) {
	again, ok = t.rows.Click(t.at, line)
	if ok {
		t.toEnd = false
	}
	return again, ok
}
