package store

import (
	"iter"
	"strings"
)

// rowSet is a list of rows that a statement takes as its input. SQLite gets them as VALUES, in which
// every value is an argument; PostgreSQL as one array for each column, so that the statement is the
// same whatever the number of rows.
type rowSet struct {
	types  []string
	arrays bool
	values []any
	count  int
}

func (e *engine) rows(types ...string) *rowSet { return &rowSet{types: types, arrays: e.arrays} }

// insert begins a statement that adds a group's rows. FAIL spares SQLite a journal of its own for every
// statement of many rows: what fails half-way is undone with the transaction anyway.
func (e *engine) insert() string {
	if e.arrays {
		return "INSERT INTO "
	}
	return "INSERT OR FAIL INTO "
}

// chunks cuts a group to the sizes of which each has one prepared statement: the largest, and powers
// of two below it.
func (e *engine) chunks(group []*recording) iter.Seq[[]*recording] {
	return func(yield func([]*recording) bool) {
		for n := e.chunk; len(group) > 0; {
			for !e.arrays && n > len(group) {
				n /= 2
			}
			n := min(n, len(group))
			if !yield(group[:n]) {
				return
			}
			group = group[n:]
		}
	}
}

func (r *rowSet) add(values ...any) {
	r.values = append(r.values, values...)
	r.count++
}

// source is the text that stands where a statement wants rows.
func (r *rowSet) source() string {
	var b strings.Builder
	if r.arrays {
		b.WriteString("SELECT * FROM unnest(")
		for i, t := range r.types {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString("?::" + t + "[]")
		}
		return b.String() + ")"
	}
	row := "(?" + strings.Repeat(",?", len(r.types)-1) + ")"
	b.WriteString("VALUES " + row)
	for range r.count - 1 {
		b.WriteString("," + row)
	}
	return b.String()
}

// args are the arguments that belong to source. A nil is a NULL of a text column.
func (r *rowSet) args() []any {
	if !r.arrays {
		return r.values
	}
	out := make([]any, len(r.types))
	for c, t := range r.types {
		numbers, texts := make([]int64, 0, r.count), make([]*string, 0, r.count)
		for i := c; i < len(r.values); i += len(r.types) {
			switch v := r.values[i].(type) {
			case int64:
				numbers = append(numbers, v)
			case string:
				texts = append(texts, &v)
			case nil:
				texts = append(texts, nil)
			}
		}
		if out[c] = texts; t == "bigint" {
			out[c] = numbers
		}
	}
	return out
}
