package core

import (
	"context"
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt/store"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/table"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// query is what a person looks for among the rows of a table.
type query struct {
	search string
	only   string // a state or severity; empty is all
}

// rows is a tab that shows a table of the database.
type rows[R any] struct {
	p           *Page
	word, words string // name for ":", title of the tab
	noun        string // of one row; the plural has an s
	table       table.Table[R]
	columns     []table.Column[R]
	choices     []string // values of query.only, without all
	counted     func(c *store.Counts) (int, bool)
	countedOnly func(c *store.Counts, only string) int
	read        func(ctx context.Context, st *store.Store, q query, after string, limit int) ([]R, string, error)
	about       func(r R) []field // the selected row in full
	empty       string            // what to do when there is none
	copied      func(r R) string
	press       func(k tea.KeyMsg) (tea.Cmd, bool) // further keys
	offers      func() []keymap.Hint               // and their hints
	open        func(r R) tea.Cmd                  // what enter does; nil for nothing
	follows     bool                               // it is a log: looked at again only while its newest row is selected

	search  *input.Input
	editing bool
	only    int // 0 is all, else a choice from 1
	stop    context.CancelFunc
}

// field is a label and a text below the table.
type field struct {
	label, text string
	role        theme.Role
}

// got is what a job of a table brought.
type got[R any] struct {
	of   *rows[R]
	done table.Done[R]
}

func (t *rows[R]) name() string                      { return t.word }
func (t *rows[R]) title() string                     { return t.words }
func (t *rows[R]) count(c *store.Counts) (int, bool) { return t.counted(c) }
func (t *rows[R]) typing() bool                      { return t.editing }
func (t *rows[R]) captures() bool                    { return t.search != nil || t.only != 0 }

func (t *rows[R]) query() query {
	q := query{}
	if t.search != nil {
		q.search = t.search.Value()
	}
	if t.only > 0 {
		q.only = t.choices[t.only-1]
	}
	return q
}

// narrowed reports whether not all rows are looked for.
func (t *rows[R]) narrowed() bool { return t.query() != query{} }

// status is the right side of the header: where one is among how many.
func (t *rows[R]) status() string {
	n := t.table.Len()
	switch {
	case !t.table.Known():
		return "reading"
	case t.table.Seeking():
		return "reading, " + thousands(n) + " so far"
	case n == 0:
		return ""
	}
	of := thousands(n)
	if !t.table.Whole() {
		of += "+"
		if all, ok := t.total(); ok && all >= n { // the counts are older than the rows
			of = thousands(all)
		}
	}
	at := t.table.Cursor() + 1
	if t.table.Newest {
		if at == 1 {
			return "following"
		}
		return fmt.Sprintf("%s back", thousands(at-1))
	}
	return thousands(at) + " of " + of
}

// total is how many rows fit what is looked for, where that was counted.
func (t *rows[R]) total() (int, bool) {
	q := t.query()
	switch {
	case t.p.counts == nil || q.search != "":
		return 0, false
	case q.only == "":
		return t.counted(t.p.counts)
	case t.countedOnly != nil:
		return t.countedOnly(t.p.counts, q.only), true
	}
	return 0, false
}

func (t *rows[R]) hints() []keymap.Hint {
	if t.editing {
		return []keymap.Hint{keymap.Do(keymap.Enter, "keep"), keymap.Do(keymap.Back, "clear"), {Action: keymap.Up, Word: "move", Key: "↑ ↓"}}
	}
	var hs []keymap.Hint
	if t.open != nil {
		hs = append(hs, keymap.Do(keymap.Enter, "open"))
	}
	hs = append(hs, keymap.Do(keymap.Filter, "search"))
	if t.offers != nil {
		hs = append(hs, t.offers()...)
	}
	if len(t.choices) > 0 {
		hs = append(hs, keymap.Do(keymap.Only, ""))
	}
	if t.copied != nil {
		hs = append(hs, keymap.Do(keymap.Copy, ""))
	}
	return hs
}

func (t *rows[R]) key(k tea.KeyMsg) tea.Cmd {
	m := t.p.env.Keys
	if t.editing {
		before := t.search.Value()
		if t.search.Update(k) {
			if t.search.Value() != before {
				t.reset()
			}
			return nil
		}
	}
	switch {
	case m.Is(k, keymap.Back):
		had := t.narrowed()
		t.search, t.editing, t.only = nil, false, 0
		if had {
			t.reset()
		}
	case t.editing && m.Is(k, keymap.Enter):
		t.editing = false
		if t.search.Value() == "" {
			t.search = nil
		}
	case t.editing && k.Type == tea.KeyRunes:
	case t.table.Press(k, m):
	case t.editing:
	case m.Is(k, keymap.Filter):
		t.editing = true
		if t.search == nil {
			t.search = &input.Input{}
		}
	case m.Is(k, keymap.Only) && len(t.choices) > 0:
		t.only = (t.only + 1) % (len(t.choices) + 1)
		t.reset()
	case m.Is(k, keymap.Copy) && t.copied != nil:
		if r, ok := t.table.Selected(); ok {
			return page.Send(page.Copy{What: "the " + t.noun, Text: t.copied(r)})
		}
	case m.Is(k, keymap.Enter):
		return t.enter()
	case t.press != nil:
		cmd, _ := t.press(k)
		return cmd
	}
	return nil
}

func (t *rows[R]) enter() tea.Cmd {
	if r, ok := t.table.Selected(); ok && t.open != nil {
		return t.open(r)
	}
	return nil
}

func (t *rows[R]) click(line int) tea.Cmd {
	if again, ok := t.table.Click(line); ok && again {
		return t.enter()
	}
	return nil
}

// reset looks for something else; what is being read for the old search ends.
func (t *rows[R]) reset() {
	if t.stop != nil {
		t.stop()
		t.stop = nil
	}
	t.table.Reset()
}

// run is a job as a function that may be run anywhere.
func (t *rows[R]) run(job table.Job[R]) func(ctx context.Context) (any, error) {
	q := t.query()
	mine, stop := context.WithCancel(t.p.ctx)
	t.stop = stop
	return func(context.Context) (any, error) {
		defer stop()
		done := job.Fail(nil)
		err := t.p.db.read(mine, func(ctx context.Context, st *store.Store) error {
			done = job.Do(ctx, func(ctx context.Context, after string, limit int) ([]R, string, error) {
				return t.read(ctx, st, q, after, limit)
			})
			return done.Err
		})
		if mine.Err() != nil {
			err = mine.Err()
		}
		if err != nil {
			done = job.Fail(err)
		}
		return got[R]{t, done}, err
	}
}

func (t *rows[R]) next() tea.Cmd {
	job, ok := t.table.Next()
	if !ok {
		return nil
	}
	run := t.run(job)
	return t.p.send(func(ctx context.Context) any {
		body, _ := run(ctx)
		return body
	})
}

func (t *rows[R]) again() func(context.Context) (any, error) {
	if t.follows && t.table.Known() && t.table.Cursor() > 0 {
		return nil
	}
	job, ok := t.table.Again()
	if !ok {
		return nil
	}
	return t.run(job)
}

// take takes what was read; false when it was for another tab.
func (t *rows[R]) take(body any) bool {
	g, ok := body.(got[R])
	if !ok || g.of != t {
		return false
	}
	if t.table.Take(g.done) && g.done.Err != nil {
		t.p.trouble(g.done.Err)
	}
	return true
}

// view draws the table, and the selected row in full below it.
func (t *rows[R]) view(w, h, top int) []string {
	var lines []string
	if t.narrowed() || t.search != nil {
		lines = append(lines, t.narrow(w))
	}
	var foot []string
	if r, ok := t.table.Selected(); ok && t.about != nil {
		foot = t.detail(r, w, h)
	}
	room := max(2, h-len(lines)-t.footHeight(h))
	if t.table.Known() && t.table.Len() == 0 {
		return append(lines, t.nothing(w)...)
	}
	lines = append(lines, t.table.View(t.columns, table.Look{Theme: t.p.env.Theme, W: w, H: room, Top: top + len(lines), Match: t.query().search})...)
	for len(lines) < h-t.footHeight(h) {
		lines = append(lines, "")
	}
	return append(lines, foot...)
}

// footHeight is that of the part below the table, rule included.
func (t *rows[R]) footHeight(h int) int {
	switch {
	case t.about == nil:
		return 0
	case h >= tall:
		return 5
	}
	return 2
}

func (t *rows[R]) nothing(w int) []string {
	s := t.empty
	if t.narrowed() {
		s = "No " + t.noun + " fits. esc shows all."
	}
	lines := []string{""}
	for _, l := range text.Wrap(s, min(w, 100)-6) {
		lines = append(lines, "   "+l)
	}
	return lines
}

// narrow says what is looked for.
func (t *rows[R]) narrow(w int) string {
	s := "  "
	if t.only > 0 {
		s += " only " + t.p.env.Paint(theme.Title, t.choices[t.only-1])
	}
	if t.search != nil {
		typed := t.search.Value()
		if t.editing {
			typed = t.search.View(t.p.env.Theme, max(8, w-40))
		}
		s += " / " + typed
	}
	found := ""
	if n := t.table.Len(); t.table.Known() {
		found = thousands(n)
		if all, ok := t.total(); ok && all >= n {
			found = thousands(all)
		} else if !t.table.Whole() {
			found += "+"
		}
		found += " found"
	}
	return text.Sides(s, t.p.env.Paint(theme.Muted, found), w-1)
}

// detail draws the selected row in full.
func (t *rows[R]) detail(r R, w, h int) []string {
	room := t.footHeight(h) - 1
	lines := []string{" " + t.p.env.Paint(theme.Muted, strings.Repeat("─", max(0, w-2)))}
	return append(lines, flow(t.p.env, t.about(r), w-4, room, "   ")...)
}

// flow sets fields one behind the other, in at most h lines.
func flow(env *page.Env, fields []field, w, h int, indent string) []string {
	var lines []string
	line, used := "", 0
	flush := func() {
		if used > 0 {
			lines = append(lines, indent+line)
		}
		line, used = "", 0
	}
	for _, f := range fields {
		if f.text == "" {
			continue
		}
		head := ""
		if f.label != "" {
			head = f.label + " "
		}
		size := text.Width(head) + text.Width(f.text)
		if used > 0 && used+3+size > w {
			flush()
		}
		if size > w { // a long text takes lines of its own
			for i, l := range text.Wrap(head+f.text, w) {
				if i == 0 && head != "" {
					l = env.Paint(theme.Muted, head) + env.Paint(f.role, strings.TrimPrefix(l, head))
				} else {
					l = env.Paint(f.role, l)
				}
				lines = append(lines, indent+l)
			}
			continue
		}
		if used > 0 {
			line, used = line+"   ", used+3
		}
		line, used = line+env.Paint(theme.Muted, head)+env.Paint(f.role, f.text), used+size
	}
	flush()
	if len(lines) > h {
		lines = lines[:h]
		lines[h-1] = text.Cut(lines[h-1]+" …", w)
	}
	return lines
}

func several(n int, noun string) string { return text.Several(n, noun) }

func thousands(n int) string { return text.Thousands(n) }
