package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"amtmedic/diag/flow"
	"amtmedic/diag/remedy"
	"amtmedic/tui/page"
)

// longPlan has more rows than a window has lines.
func longPlan(n int) remedy.Plan {
	p := dnsPlan()
	p.Fields, p.Rows = nil, nil
	for i := range n {
		p.Rows = append(p.Rows, remedy.Row{Label: "adds", Text: fmt.Sprintf("record number %02d", i)})
	}
	return p
}

func previewing(t *testing.T, plan remedy.Plan, w, h int) (*driver, *fake) {
	f := newFake(split(), rechecking(), green())
	f.plan = plan
	d := newDriver(t, options(f), w, h)
	return d.keys("enter"), f
}

// A preview that is longer than the window has to be read to its end before the word counts.
func TestRemedyIsReadFirst(t *testing.T) {
	d, f := previewing(t, longPlan(60), 80, 24)
	d.want("more lines: pgdn", "record number 00")
	d.keys("type:yes", "enter").want("! read all of it first: pgdn")
	for range 10 {
		d.keys("pgdown")
		d.fits()
	}
	d.want("record number 59", "the end; pgup goes back up")
	d.keys("pgup").lacks("record number 59")
	d.keys("enter")
	if !strings.HasSuffix(f.called(), "apply(rm-dns-split-horizon,0 inputs)") {
		t.Errorf("calls %q", f.called())
	}
}

// A short preview needs no scrolling, at every size that is allowed.
func TestRemedyShortPreview(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {200, 50}} {
		d, f := previewing(t, longPlan(2), size[0], size[1])
		d.lacks("more lines")
		d.keys("type:yes", "enter")
		if !strings.Contains(f.called(), "apply(") {
			t.Errorf("%v: calls %q", size, f.called())
		}
	}
}

// The fields are gone through by enter, tab and arrows; a refused one keeps the cursor, and a secret
// is dots.
func TestRemedyFields(t *testing.T) {
	d, f := previewing(t, dnsPlan(), 80, 24)
	d.want("▸ key name:", "amtmedic-key", "enter next field")
	d.keys("type:k1", "enter").want("▸ key secret:")
	d.keys("type:abc").want("•••")
	d.keys("tab").want("▸ Type yes to do it:", "yes + enter do it")
	if !strings.Contains(d.frame(), "key secret: ••••••••") {
		t.Errorf("a secret tells its length:\n%s", d.frame())
	}
	d.keys("tab").want("▸ key name: k1")
	d.keys("up", "down").want("▸ key secret:")
	d.keys("backspace", "backspace", "backspace", "enter").want("! key secret: it is empty", "▸ key secret:")
	d.keys("type:s").lacks("it is empty")
	d.keys("down", "type:YES", "enter").want("nothing is done yet: type yes")
	if strings.Contains(f.called(), "apply") {
		t.Fatal("another word than yes was taken")
	}
	d.keys("backspace", "backspace", "backspace", "type:yes", "enter")
	if !strings.HasSuffix(f.called(), "apply(rm-dns-split-horizon,2 inputs)") {
		t.Errorf("calls %q", f.called())
	}
}

// The confirmation checks the fields before it, and leads to the one that lacks something.
func TestRemedyConfirmChecksAll(t *testing.T) {
	d, f := previewing(t, dnsPlan(), 80, 24)
	d.keys("tab", "tab", "type:yes", "enter").want("! key secret: it is empty", "▸ key secret:")
	if strings.Contains(f.called(), "apply") {
		t.Error("applied without the secret")
	}
}

// What is done by hand is copied, also while a field has the letters.
func TestRemedyCopies(t *testing.T) {
	d, _ := previewing(t, dnsPlan(), 80, 24)
	want := strings.Join(dnsPlan().ByHand, "\n")
	if got := d.copies("ctrl+y"); got != want {
		t.Errorf("copied %q", got)
	}
	d.keys("y").want("▸ key name: y") // a letter here
	p := dnsPlan()
	p.ByHand, p.Confirm = nil, ""
	f := newFake(split())
	f.plan, f.auto = p, false
	d = newDriver(t, options(f), 80, 24)
	if got := d.copies("2", "y"); got != "Enter the server's address in the MEBx" {
		t.Errorf("copied %q", got)
	}
}

// A preview that failed is asked for again, and so is a repair that was not done.
func TestRemedyLookAgain(t *testing.T) {
	f := newFake(split())
	f.planErr = errors.New("ask 10.20.0.53: no answer")
	d := newDriver(t, options(f), 80, 24).keys("enter")
	d.want("! It cannot be previewed", "enter look again")
	f.planErr = nil
	d.keys("enter").want("will send", "Type yes to do it")
	if n := strings.Count(f.called(), "preview("); n != 2 {
		t.Errorf("%d previews: %s", n, f.called())
	}
	f = newFake(split())
	f.plan.Fields, f.doErr = nil, errors.New("update zone corp.example: REFUSED")
	d = newDriver(t, options(f), 80, 24).keys("enter", "type:yes", "enter")
	d.want("! It was not done", "REFUSED", "by hand instead", "open the zone corp.example")
	d.keys("enter").want("Type yes to do it")
	d.keys("esc")
	if d.m.top().Name() != "verdict" {
		t.Error("esc does not lead back to the verdict")
	}
}

// What was done is taken back by u, where it can be.
func TestRemedyUndo(t *testing.T) {
	f := newFake(split(), rechecking())
	f.plan.Fields = nil
	d := newDriver(t, options(f), 80, 24).keys("enter", "type:yes", "enter")
	d.want("✓ done:", "u undo it")
	d.keys("u").want("taken back")
	if !strings.HasSuffix(f.called(), "undo-remedy") {
		t.Errorf("calls %q", f.called())
	}
	d.run(d.m.deliver(page.Undone{Err: errors.New("update zone corp.example: REFUSED")}))
	d.want("REFUSED")
	f = newFake(split(), rechecking())
	f.plan.Fields, f.plan.Undo = nil, ""
	d = newDriver(t, options(f), 80, 24).keys("enter", "type:yes", "enter")
	d.lacks("u undo it")
	d.keys("u")
	if strings.Contains(f.called(), "undo-remedy") {
		t.Error("something that cannot be taken back is taken back")
	}
}

// What destroys says so in the preview, before anything else.
func TestRemedyDestructive(t *testing.T) {
	f := newFake(split())
	f.auto, f.plan.Confirm = false, ""
	d := newDriver(t, options(f), 80, 24).keys("4")
	d.want("! This loses data on the client, and cannot be taken back.", "by hand, step by step")
	d.fits()
}

// Steps by hand are ticked and unticked; a long list stays around the cursor.
func TestRemedyTicks(t *testing.T) {
	f := newFake(split(), rechecking())
	f.auto, f.plan.Confirm, f.plan.Rows, f.plan.ByHand = false, "", nil, nil
	for i := range 30 {
		f.plan.ByHand = append(f.plan.ByHand, fmt.Sprintf("step by hand %02d", i))
	}
	d := newDriver(t, options(f), 80, 24).keys("2")
	d.want("▸ · 1  step by hand 00")
	d.keys(" ").want("▸ ✓ 1  step by hand 00")
	d.keys(" ").want("▸ · 1  step by hand 00")
	for i := range 29 {
		d.keys("enter")
		d.want(fmt.Sprintf("step by hand %02d", i+1))
		if !strings.Contains(d.selected(), fmt.Sprintf("step by hand %02d", i+1)) {
			t.Fatalf("after %d steps the cursor is on %q", i+1, d.selected())
		}
		d.fits()
	}
	if strings.Contains(f.called(), "apply") {
		t.Fatal("applied before the last step")
	}
	d.keys("enter")
	if !strings.Contains(f.called(), "apply(rm-dns-split-horizon-2,0 inputs)") {
		t.Errorf("calls %q", f.called())
	}
}

// An outcome for another remedy is not taken for this one's.
func TestRemedyOfAnother(t *testing.T) {
	d, _ := previewing(t, longPlan(2), 80, 24)
	d.run(d.m.deliver(page.Applied{Remedy: "rm-restart-hello", Done: "something else was done"}))
	d.run(d.m.deliver(page.Previewed{Remedy: "rm-restart-hello", Err: errors.New("another cannot be previewed")}))
	d.want("Type yes to do it")
	d.lacks("something else was done", "another cannot be previewed")
}

// The verdict may change while a preview is read: a remedy that is proposed no more is not opened.
func TestRemedyGone(t *testing.T) {
	f := newFake(split(), green())
	d := newDriver(t, options(f), 80, 24)
	f.next("time")
	d.send(d.m.feed.look())
	d.send(page.Goto{Name: "remedy", Arg: "rm-dns-split-horizon"})
	d.want("the verdict has changed; this remedy is no longer proposed")
}

// What the road says after a repair stands on its page: another fault, the same one, or a question.
func TestRemedyOutcome(t *testing.T) {
	other := split()
	other.Judgement.Verdict, other.Judgement.Sentence = "rc-pid-unknown", "The server does not know the PID of the client"
	for name, c := range map[string]struct {
		after flow.Snapshot
		want  []string
		key   string
		page  string
	}{
		"green":   {green(), []string{"the road was checked again", "✓ The client is provisioned", "(ok-provisioned)"}, "enter", "verdict"},
		"other":   {other, []string{"✗ The server does not know the PID", "(rc-pid-unknown)"}, "enter", "verdict"},
		"same":    {split(), []string{"and the verdict still stands"}, "enter", "verdict"},
		"asking":  {asking(passwordQuestion()), []string{"a question waits"}, "enter", "walk"},
		"planned": {planned(), []string{"one step of the plan is left"}, "enter", "remedy"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(split(), c.after)
			f.plan.Fields = nil
			d := newDriver(t, options(f), 80, 24).keys("enter", "type:yes", "enter")
			d.want(append([]string{"✓ done: the record is there"}, c.want...)...)
			d.keys(c.key)
			if d.m.top().Name() != c.page {
				t.Errorf("%s leads to %s, want %s", c.key, d.m.top().Name(), c.page)
			}
		})
	}
}

// A bundle's path is taken as typed, and a file that cannot be opened says why.
func TestOpenPage(t *testing.T) {
	var got []Choice
	o := options(nil)
	fail := errors.New("open bundle: no such file")
	o.Open = func(_ context.Context, c Choice) (flow.Walker, func() error, error) {
		got = append(got, c)
		if fail != nil {
			return nil, nil, fail
		}
		return newFake(split()), nil, nil
	}
	d := newDriver(t, o, 80, 24)
	d.keys("o", "enter")
	if len(got) != 0 {
		t.Error("an empty path was opened")
	}
	d.keys("type:/tmp/a b.zip", "enter").want("! open bundle: no such file")
	if len(got) != 1 || got[0].Kind != FromBundle || got[0].Path != "/tmp/a b.zip" {
		t.Errorf("opened %+v", got)
	}
	fail = nil
	d.keys("enter").want("rc-dns-split-horizon")
	d.keys("esc", "esc").want("What do you see?")
	if got := d.m.env.Snap; got != nil {
		t.Error("the case is still open")
	}
}

// Facts that the remedy page shows are those of the case: what Here says goes before the catalogue.
func TestRemedyKinds(t *testing.T) {
	s := split()
	s.Here = map[string]bool{"rm-dns-split-horizon": false, "rm-dns-split-horizon-2": true}
	d := newDriver(t, options(newFake(s)), 120, 40)
	for text, kind := range map[string]string{"Add the CNAME": "by hand", "Enter the server's address": "automatic", "Restart the hello": "automatic"} {
		for l := range strings.SplitSeq(d.frame(), "\n") {
			if strings.Contains(l, text) && !strings.Contains(l, kind) {
				t.Errorf("%q is not %s", l, kind)
			}
		}
	}
}
