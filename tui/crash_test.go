//go:build unix

package tui

import (
	"context"
	"errors"
	"strings"
	"testing"

	"amtmedic/diag/flow"
)

// faulty is a walk with a fault of ours in one place.
type faulty struct {
	*fake
	in string
}

func (f faulty) Snapshot() flow.Snapshot {
	if f.in == "snapshot" && f.called() != "" {
		panic("injected: snapshot")
	}
	return f.fake.Snapshot()
}

func (f faulty) Skip() {
	if f.in == "skip" {
		panic("injected: skip")
	}
	f.fake.Skip()
}

// skipping does something else when it shall skip.
type skipping struct {
	*fake
	skip func()
}

func (s skipping) Skip() { s.skip() }

// crashing runs the workstation with a fault in one place, for the tests below.
func crashing(in string) {
	f := newFake(probing())
	o := realOptions(f)
	o.Walker = faulty{f, in}
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	switch in {
	case "view":
		o.Title = func(string) string { panic("injected: view") }
	case "walk":
		o.Walker = skipping{f, func() { end(&Crash{Value: "injected: walk", CaseID: "PC-0412"}) }}
	}
	err := Run(ctx, o)
	var c *Crash
	if errors.As(err, &c) {
		report(errors.New(c.CaseID + " crashed, " + c.Error()))
		if in != "walk" && !strings.Contains(string(c.Stack), "crash_test.go") {
			report(errors.New("the stack does not name the place:\n" + string(c.Stack)))
		}
		return
	}
	report(err)
}

// Wherever a fault of ours is, the terminal is restored and Run says what was thrown, in which case.
func TestCrashRestoresTheTerminal(t *testing.T) {
	for _, in := range []string{"skip", "snapshot", "view", "walk"} {
		t.Run(in, func(t *testing.T) {
			x := run(t, "crash-"+in)
			if in != "view" {
				x.sees("Does a hello leave the client?")
				x.press("s")
			}
			raw := x.ends()
			want := "PC-0412 crashed, fault inside the program: injected: " + in
			if in == "view" { // before the first frame: no case is known yet, or it is
				want = "crashed, fault inside the program: injected: " + in
			}
			if !strings.Contains(raw, want) || strings.Contains(raw, "does not name") {
				t.Errorf("it said %q", raw[max(0, len(raw)-2000):])
			}
			i, j := strings.LastIndex(raw, "\x1b[?1049l"), strings.LastIndex(raw, "ended:")
			if i < 0 || j < i || !strings.Contains(raw, "\x1b[?25h") {
				t.Errorf("the terminal was not restored before the words: %d, %d", i, j)
			}
			if strings.Contains(raw, "Caught panic") {
				t.Error("the screen library wrote its own report")
			}
		})
	}
}
