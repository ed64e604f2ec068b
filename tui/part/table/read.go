package table

import (
	"context"
)

// Read gives at most limit rows behind a place, in an order that does not change, and the place
// behind the last of them; empty at the end. The first place is empty.
type Read[R any] func(ctx context.Context, after string, limit int) (rows []R, next string, err error)

// Job is rows to be read. It is made by the table and run anywhere.
type Job[R any] struct {
	run    int
	first  int // chunk
	after  string
	limits []int // of the chunks that are read again
	need   int   // rows
	step   int   // limit of further chunks
	past   bool  // it reads on behind what is known
}

// Done is what a job read.
type Done[R any] struct {
	job    Job[R]
	chunks []chunk[R]
	Err    error
}

// Next gives the job that brings what the window lacks, or what the person asked for; false when
// nothing is lacking, or a job is under way.
func (t *Table[R]) Next() (Job[R], bool) {
	if t.reading {
		return Job[R]{}, false
	}
	job, ok := t.lacking()
	t.reading = ok
	return job, ok
}

func (t *Table[R]) lacking() (Job[R], bool) {
	if len(t.chunks) == 0 || t.fresh {
		return Job[R]{run: t.run, need: 1, step: few, past: true}, true
	}
	from, to := t.rows.Window()
	at := 0
	for c := range t.chunks { // forgotten ones in the window
		n := t.chunks[c].n
		if t.chunks[c].rows == nil && at < to && at+n > from {
			return Job[R]{run: t.run, first: c, after: t.chunks[c].after, limits: []int{n}, need: min(to, at+n) - at, step: few}, true
		}
		at += n
	}
	ahead := to + t.rows.Page() // so that moving on does not wait
	if t.Whole() || at >= ahead && !t.toEnd {
		return Job[R]{}, false
	}
	job := Job[R]{run: t.run, first: len(t.chunks), after: t.chunks[len(t.chunks)-1].next, need: ahead - at, step: few, past: true}
	if t.toEnd {
		job.need, job.step = many, many
	}
	return job, true
}

// Again gives the job that reads what is on the screen once more; false when another is under way.
func (t *Table[R]) Again() (Job[R], bool) {
	if t.reading {
		return Job[R]{}, false
	}
	if job, ok := t.lacking(); ok {
		t.reading = true
		return job, true
	}
	from, to := t.rows.Window()
	first, at := t.chunkOf(from)
	if first < 0 {
		first, at = 0, 0
	}
	job := Job[R]{run: t.run, first: first, after: t.chunks[first].after, need: to - at, step: few}
	for c, n := first, at; c < len(t.chunks) && n < to; c++ {
		job.limits = append(job.limits, max(1, t.chunks[c].n))
		n += t.chunks[c].n
	}
	t.reading = true
	return job, true
}

// Do reads. It may be run in any goroutine.
func (j Job[R]) Do(ctx context.Context, read Read[R]) Done[R] {
	d := Done[R]{job: j}
	after, n := j.after, 0
	for i := 0; i == 0 || n < max(1, j.need); i++ {
		limit := j.step
		if i < len(j.limits) {
			limit = j.limits[i]
		}
		if limit < few { // a short chunk at the end may have grown
			limit = few
		}
		rows, next, err := read(ctx, after, limit)
		if err != nil {
			d.Err = err
			return d
		}
		d.chunks = append(d.chunks, chunk[R]{after: after, next: next, n: len(rows), rows: rows})
		n += len(rows)
		if next == "" {
			break
		}
		after = next
	}
	return d
}

// Take takes in what a job read, and keeps the selected row selected and in its line. It reports
// false for a job of something that is not looked for any more.
func (t *Table[R]) Take(d Done[R]) bool {
	if d.job.run != t.run {
		return false
	}
	t.reading = false
	if d.Err != nil {
		t.toEnd = false
		return true
	}
	if t.fresh {
		t.chunks, t.fresh = nil, false
		t.rows.To(0)
	}
	first := min(d.job.first, len(t.chunks))
	selected, held := t.Selected()
	rest := t.follows(d, first)
	t.chunks = append(append(t.chunks[:first:first], d.chunks...), rest...)
	t.keep(selected, held, first)
	if t.toEnd {
		t.rows.Last()
		t.toEnd = !t.Whole()
	}
	t.forget()
	return true
}

// follows gives the chunks that still follow what was read: those that begin where it ends.
func (t *Table[R]) follows(d Done[R], first int) []chunk[R] {
	end := d.chunks[len(d.chunks)-1].next
	if end == "" || d.job.past {
		return nil
	}
	for c := first + 1; c < len(t.chunks); c++ {
		if t.chunks[c].after == end {
			return append([]chunk[R](nil), t.chunks[c:]...)
		}
	}
	return nil
}

// keep puts the cursor on the row that was selected, where that is among what was read.
func (t *Table[R]) keep(selected R, held bool, first int) {
	n := t.Len()
	if !held || t.Newest && t.rows.Cursor() == 0 { // a log follows its newest row
		t.rows.Shift(n, 0)
		return
	}
	key, at := t.Key(selected), 0
	for c := range t.chunks {
		if c >= first {
			for i, r := range t.chunks[c].rows {
				if t.Key(r) == key {
					t.rows.Shift(n, at+i-t.rows.Cursor())
					return
				}
			}
		}
		at += t.chunks[c].n
	}
	t.rows.Shift(n, 0)
}

// forget drops the rows that are far from the window.
func (t *Table[R]) forget() {
	held := 0
	for c := range t.chunks {
		held += len(t.chunks[c].rows)
	}
	here, _ := t.chunkOf(t.rows.Cursor())
	for lo, hi := 0, len(t.chunks)-1; held > hold && (lo < here-2 || hi > here+2); {
		c := lo
		if hi-here > here-lo {
			c = hi
			hi--
		} else {
			lo++
		}
		held -= len(t.chunks[c].rows)
		t.chunks[c].rows = nil
	}
}

// Fail gives what a job brings that could not be run.
func (j Job[R]) Fail(err error) Done[R] { return Done[R]{job: j, Err: err} }
