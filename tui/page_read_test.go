package tui

import (
	"fmt"
	"strings"
	"testing"

	"amtmedic/diag/probe"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
)

// explaining opens the page of the verdict's id with a text.
func explaining(t *testing.T, body string, w, h int) *driver {
	o := options(newFake(split()))
	o.Explain = func(string) string { return body }
	d := newDriver(t, o, w, h)
	return d.keys("x")
}

// A long page is scrolled between its ends, and the header says where one is.
func TestReadScrolls(t *testing.T) {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "line %02d of the page\n", i)
	}
	d := explaining(t, b.String(), 80, 24)
	d.want("rc-dns-split-horizon", "line 1 of 100", "line 00")
	for _, step := range []struct{ key, first string }{{"up", "line 00"}, {"down", "line 01"}, {"j", "line 02"}, {"k", "line 01"}, {"pgdown", "line 18"}, {"pgup", "line 01"},
		{"end", "line 82"}, {"down", "line 82"}, {"home", "line 00"}, {"G", "line 82"}, {"g", "line 00"}} {
		d.keys(step.key)
		if got := strings.TrimSpace(strings.Split(d.frame(), "\n")[4]); !strings.HasPrefix(got, step.first) {
			t.Errorf("%s leads to %q, want %q", step.key, got, step.first)
		}
	}
	if got := d.copies("y"); got != strings.TrimSpace(b.String()) {
		t.Errorf("copied %d bytes of %d", len(got), b.Len())
	}
	d.keys("enter")
	if d.m.top().Name() != "verdict" {
		t.Error("enter does not lead back")
	}
}

// A list keeps its indent where it is wrapped, and no line is wider than the window.
func TestReadWraps(t *testing.T) {
	body := "Heading\n\n  an item that is " + strings.Repeat("long ", 40) + "\nplain " + strings.Repeat("words ", 40)
	for _, w := range []int{60, 80, 200} {
		d := explaining(t, body, w, 24)
		d.fits()
		lines := strings.Split(d.frame(), "\n")
		indented := 0
		for _, l := range lines {
			if strings.HasPrefix(l, "     ") && strings.Contains(l, "long") {
				indented++
			}
		}
		if indented < 2 {
			t.Errorf("width %d: %d lines stand under their item:\n%s", w, indented, d.frame())
		}
	}
}

// An id without a page, and foreign characters in one, do no harm.
func TestReadWithoutText(t *testing.T) {
	explaining(t, "", 80, 24).want("There is no page about rc-dns-split-horizon.")
	d := explaining(t, "a\x1b]0;own\x07b\ttab \u202eturned", 80, 24)
	d.want("ab    tab turned")
	if strings.ContainsAny(d.frame(), "\x1b\u202e") {
		t.Errorf("control characters are drawn: %q", d.frame())
	}
}

// A search brings what it finds into the window, both ways and around the end.
func TestReadSearch(t *testing.T) {
	var b strings.Builder
	for i := range 200 {
		word := "hay"
		if i%50 == 49 {
			word = "needle"
		}
		fmt.Fprintf(&b, "line %03d %s\n", i, word)
	}
	d := explaining(t, b.String(), 80, 24)
	d.keys("f", "type:needle")
	d.want("search: needle", "line 049 needle")
	d.keys("enter", "n")
	d.want("line 099 needle", "2 of 4")
	d.keys("N", "N")
	d.want("line 199 needle", "4 of 4")
	d.keys("n").want("line 049 needle")
	d.keys("esc")
	d.lacks("search:")
	if d.m.top().Name() != "explain" {
		t.Error("esc leaves the page with the search")
	}
	d.keys("f", "type:straw").want("nothing fits")
}

// The key page of every page names every key that the page offers, and nothing twice.
func TestHelpIsWhole(t *testing.T) {
	for _, s := range scenes() {
		d := s.open(t, 120, 60, nil)
		if d.m.top().Typing() || d.m.top().Name() == "help" {
			continue
		}
		hints := append([]keymap.Hint{}, d.m.top().Hints()...)
		d.keys("?")
		if d.m.top().Name() != "help" {
			continue // ":" has the keys
		}
		f := d.frame()
		for _, h := range hints {
			keys, help := d.m.env.Keys.Line(h)
			if !strings.Contains(f, " "+keys) {
				t.Errorf("%s: the keys %q are not on the key page", s.name, keys)
			}
			if words := strings.Fields(help); !strings.Contains(f, words[0]) {
				t.Errorf("%s: %q is not on the key page", s.name, help)
			}
		}
		seen := map[string]int{}
		for _, r := range keymap.Rows() {
			if n := strings.Count(f, r.Help); n > 1 {
				seen[string(r.Action)] = n
			}
		}
		if len(seen) > 0 {
			t.Errorf("%s: named more than once: %v", s.name, seen)
		}
	}
}

// manyQuestions is a walk in which many questions can be answered out of turn.
type manyQuestions struct {
	*fake
	n int
}

func (m manyQuestions) Questions() []probe.Question {
	var out []probe.Question
	for i := range m.n {
		q := passwordQuestion()
		q.ID, q.Title = fmt.Sprintf("client.q%02d", i), fmt.Sprintf("Question number %02d?", i)
		out = append(out, q)
	}
	return out
}

func answering(t *testing.T, n int) (*driver, *fake) {
	f := newFake(probing(), probing())
	o := options(nil)
	o.Walker = manyQuestions{f, n}
	return newDriver(t, o, 80, 24), f
}

// Any question is found in the list, and answered; the walk is shown again then.
func TestAnswersList(t *testing.T) {
	d, f := answering(t, 40)
	d.keys("a").want("Which question do you want to answer?", "40 questions", "▸ Question number 00?")
	d.keys("pgdown", "down").want("▸ Question number 16?")
	d.fits()
	d.keys("pgup", "up").want("▸ Question number 00?")
	for range 50 {
		d.keys("down")
	}
	d.want("▸ Question number 39?")
	d.keys("enter").want("Question number 39?", "What follows", "esc other question")
	d.keys("esc").want("▸ Question number 39?")
	d.keys("enter", "4")
	if got := f.called(); got != "answer(client.q39,3,)" {
		t.Errorf("calls %q", got)
	}
	if d.m.top().Name() != "walk" {
		t.Errorf("after the answer the page %s is shown", d.m.top().Name())
	}
}

// Without questions the page says so, and the key does not lead to it.
func TestAnswersEmpty(t *testing.T) {
	d, _ := answering(t, 0)
	d.keys("a")
	if d.m.top().Name() != "walk" {
		t.Error("a leads to a page without questions")
	}
	d.lacks("a other question")
	d.keys(":", "type:answer", "enter").want("No question can be answered out of turn here.")
	d.keys("enter", "down", "pgdown", "esc")
	if d.m.top().Name() != "walk" {
		t.Error("esc does not lead back")
	}
}

// What the walk refuses is said at the question, and the typed text can be given again.
func TestAnswersRefused(t *testing.T) {
	f := newFake(probing())
	d := newDriver(t, options(f), 80, 24)
	d.keys("a", "down", "enter").want("Which AMT version has the client?")
	d.keys("2", "type:bad", "enter").want("! read version")
	d.keys("backspace", "backspace", "backspace", "type:4.1", "enter")
	if got := f.called(); !strings.Contains(got, "answer(client.amt_version,-1,4.1)") {
		t.Errorf("calls %q", got)
	}
	d = newDriver(t, options(newFake(probing())), 80, 24)
	d.keys("a", "down", "enter")
	d.run(d.m.deliver(page.Answered{Question: "another", Err: fmt.Errorf("not this one")}))
	d.lacks("not this one")
}

// A question fits every window: its answers are always there.
func TestQuestionFits(t *testing.T) {
	q := passwordQuestion()
	q.Title = "Which of the many passwords that your site has ever used does the MEBx of this PC take now?"
	q.How = append(q.How, strings.Repeat("look at every label on the PC and its box, ", 4))
	for w := leastWidth; w <= 200; w += 35 {
		for _, h := range []int{15, 18, 24, 40} {
			d := newDriver(t, options(newFake(asking(q))), w, h)
			d.fits()
			for i, o := range q.Options {
				if h >= 18 || i < 3 {
					d.want(fmt.Sprintf("%d  %s", i+1, o.Label[:14]))
				}
			}
		}
	}
}
