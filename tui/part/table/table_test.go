package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"amtmedic/tui/theme"
)

// rows is a database of numbers in order; places are the numbers themselves.
type rows struct {
	all   []int
	reads int
	err   error
}

func numbers(n int) *rows {
	r := &rows{}
	for i := range n {
		r.all = append(r.all, 10*i)
	}
	return r
}

func (r *rows) read(_ context.Context, after string, limit int) ([]int, string, error) {
	r.reads++
	if r.err != nil {
		return nil, "", r.err
	}
	from := 0
	if after != "" {
		n, _ := strconv.Atoi(after)
		from, _ = slices.BinarySearch(r.all, n+1)
	}
	out := slices.Clone(r.all[from:min(len(r.all), from+limit)])
	if from+limit < len(r.all) {
		return out, strconv.Itoa(out[len(out)-1]), nil
	}
	return out, "", nil
}

func newTable(h int) *Table[int] {
	t := &Table[int]{Key: strconv.Itoa}
	t.SetHeight(h)
	return t
}

// settle reads until nothing is lacking.
func settle(t *testing.T, tab *Table[int], r *rows) {
	t.Helper()
	for i := 0; ; i++ {
		job, ok := tab.Next()
		if !ok {
			return
		}
		if i > 1000 {
			t.Fatal("it reads for ever")
		}
		tab.Take(job.Do(t.Context(), r.read))
	}
}

func again(t *testing.T, tab *Table[int], r *rows) {
	t.Helper()
	job, ok := tab.Again()
	if !ok {
		t.Fatal("no second look")
	}
	tab.Take(job.Do(t.Context(), r.read))
}

// screen is the numbers in the window, and the selected one.
func screen(tab *Table[int]) (shown []string, selected string) {
	cols := []Column[int]{{Title: "n", Width: 8, Cell: func(n int) (string, theme.Role) { return strconv.Itoa(n), theme.Plain }}}
	for _, l := range tab.View(cols, Look{Theme: theme.New(theme.Config{NoColor: true}), W: 40, H: 11})[1:] {
		s := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(ansi.Strip(l)), "▸"))
		if strings.Contains(l, "▸") {
			selected = s
		}
		shown = append(shown, s)
	}
	return shown, selected
}

func TestScroll(t *testing.T) {
	r, tab := numbers(100_000), newTable(10)
	settle(t, tab, r)
	if n := tab.Len(); n != few || tab.Whole() {
		t.Errorf("at first %d rows are known, whole %v", n, tab.Whole())
	}
	for range 300 {
		tab.Move(7)
		settle(t, tab, r)
	}
	if _, sel := screen(tab); sel != "21000" {
		t.Errorf("300 times 7 rows down: %s", sel)
	}
	tab.End()
	if !tab.Seeking() {
		t.Error("the end is known too early")
	}
	settle(t, tab, r)
	if shown, sel := screen(tab); sel != "999990" || len(shown) != 10 || shown[0] != "999900" || tab.Len() != 100_000 || !tab.Whole() {
		t.Errorf("the end: %v, selected %s, %d rows", shown, sel, tab.Len())
	}
	held := 0
	for _, c := range tab.chunks {
		held += len(c.rows)
	}
	if held > hold+many {
		t.Errorf("%d rows are held", held)
	}
	tab.Move(-50_000)
	screen(tab)
	settle(t, tab, r)
	if shown, sel := screen(tab); sel != "499990" || slices.Contains(shown, "…") {
		t.Errorf("50,000 rows back: %v", shown)
	}
	tab.First()
	screen(tab)
	settle(t, tab, r)
	if shown, _ := screen(tab); shown[0] != "0" || shown[9] != "90" {
		t.Errorf("first: %v", shown)
	}
}

// Rows come and go before, behind and on the screen: the selected row stays selected, in its line.
func TestAgainKeepsTheSelectedRow(t *testing.T) {
	r, tab := numbers(1000), newTable(10)
	settle(t, tab, r)
	for range 55 {
		tab.Move(9)
		settle(t, tab, r)
	}
	before, sel := screen(tab)
	line := slices.Index(before, sel)
	for name, change := range map[string]func(){
		"ten rows came before":    func() { r.all = append([]int{-9, -8, -7, -6, -5, -4, -3, -2, -1}, r.all...) },
		"rows came on the screen": func() { r.all = append(r.all, 4941, 4942, 4943); slices.Sort(r.all) },
		"rows before it went":     func() { r.all = slices.DeleteFunc(r.all, func(n int) bool { return n > 4000 && n < 4900 }) },
		"rows behind it went":     func() { r.all = slices.DeleteFunc(r.all, func(n int) bool { return n > 6000 }) },
		"the first hundred went":  func() { r.all = r.all[100:] },
		"many came behind":        func() { r.all = append(r.all, 100_000, 100_001) },
	} {
		change()
		again(t, tab, r)
		settle(t, tab, r)
		shown, now := screen(tab)
		if now != sel || slices.Index(shown, now) != line {
			t.Errorf("%s: %s was selected in line %d; now %s in line %d", name, sel, line, now, slices.Index(shown, now))
		}
		if slices.Contains(shown, "…") {
			t.Errorf("%s: a row is missing: %v", name, shown)
		}
	}
	n, _ := strconv.Atoi(sel)
	at := slices.Index(r.all, n)
	r.all = slices.Delete(r.all, at, at+1)
	again(t, tab, r)
	if _, now := screen(tab); now != strconv.Itoa(r.all[at]) {
		t.Errorf("the selected row went: %s is selected, want the one behind it, %d", now, r.all[at])
	}
	r.all = nil
	again(t, tab, r)
	settle(t, tab, r)
	for range 10 { // whatever was read before goes as it is seen
		again(t, tab, r)
	}
	tab.First()
	again(t, tab, r)
	if shown, _ := screen(tab); len(shown) != 0 {
		t.Errorf("all rows went: %v", shown)
	}
}

func TestReset(t *testing.T) {
	r, tab := numbers(1000), newTable(10)
	settle(t, tab, r)
	tab.Move(5)
	old, _ := tab.Again()
	tab.Reset()
	if shown, _ := screen(tab); len(shown) != 10 {
		t.Errorf("the old rows are gone before the new ones come: %v", shown)
	}
	if tab.Take(old.Do(t.Context(), r.read)) || tab.Known() {
		t.Error("an old job is taken in")
	}
	r.all = r.all[500:503]
	settle(t, tab, r)
	if shown, sel := screen(tab); fmt.Sprint(shown) != "[5000 5010 5020]" || sel != "5000" || !tab.Whole() {
		t.Errorf("after a reset: %v, %s selected", shown, sel)
	}
}

// An error leaves the rows where they are, and the next job may follow.
func TestError(t *testing.T) {
	r, tab := numbers(1000), newTable(10)
	settle(t, tab, r)
	r.err = errors.New("disk full")
	tab.End()
	job, _ := tab.Next()
	d := job.Do(t.Context(), r.read)
	if !tab.Take(d) || d.Err == nil || tab.Len() != few || tab.Seeking() {
		t.Errorf("error %v, %d rows, seeking %v", d.Err, tab.Len(), tab.Seeking())
	}
	r.err = nil
	again(t, tab, r)
	if shown, _ := screen(tab); len(shown) != 10 {
		t.Errorf("after the error: %v", shown)
	}
}

// A log stands with its newest row at the bottom, and follows it until the cursor is moved.
func TestNewest(t *testing.T) {
	r := &rows{}
	for i := range 500 {
		r.all = append(r.all, -10*(500-i)) // the newest has the least number here
	}
	tab := newTable(10)
	tab.Newest = true
	settle(t, tab, r)
	shown, sel := screen(tab)
	if sel != "-5000" || shown[9] != sel {
		t.Errorf("%v, %s selected", shown, sel)
	}
	r.all = append([]int{-5020, -5010}, r.all...)
	again(t, tab, r)
	if shown, sel = screen(tab); sel != "-5020" || shown[9] != sel || shown[7] != "-5000" {
		t.Errorf("two more: %v, %s selected", shown, sel)
	}
	tab.Move(-3)
	if _, sel = screen(tab); sel != "-4990" {
		t.Errorf("three up: %s", sel)
	}
	tab.End()
	settle(t, tab, r)
	if shown, sel = screen(tab); sel != "-10" || shown[0] != sel {
		t.Errorf("the oldest: %v, %s selected", shown, sel)
	}
}

func TestLayout(t *testing.T) {
	cols := []Column[int]{{Title: "a", Width: 10, Most: 30}, {Title: "b", Width: 5}, {Title: "c", Width: 20, From: 100}, {Title: "d", Width: 10, Most: 500}}
	for w, want := range map[int]string{40: "a=17 b=5 d=16", 80: "a=30 b=5 d=43", 120: "a=30 b=5 c=20 d=59", 12: "a=12"} {
		shown, widths := layout(cols, w, w)
		var got []string
		for i, c := range shown {
			got = append(got, fmt.Sprintf("%s=%d", c.Title, widths[i]))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%d columns: %s, want %s", w, s, want)
		}
	}
}
