package tui

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/flow"
)

// copies runs keys and gives what they put on the clipboard last.
func (d *driver) copies(keys ...string) string {
	d.t.Helper()
	var out bytes.Buffer
	d.m.clip.Out = &out
	d.keys(keys...)
	all := regexp.MustCompile(`52;c;([^\a\x1b]+)`).FindAllStringSubmatch(out.String(), -1)
	if len(all) == 0 {
		d.t.Fatalf("nothing was copied: %q", out.String())
	}
	b, err := base64.StdEncoding.DecodeString(all[len(all)-1][1])
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

// lacks checks that texts do not stand in the frame.
func (d *driver) lacks(parts ...string) {
	d.t.Helper()
	f := d.frame()
	for _, p := range parts {
		if strings.Contains(f, p) {
			d.t.Errorf("frame has %q:\n%s", p, f)
		}
	}
}

// selected is the line with the mark of the cursor, wherever it stands in the line.
func (d *driver) selected() string {
	for l := range strings.SplitSeq(d.frame(), "\n") {
		if strings.Contains(l, "▸") {
			return strings.TrimSpace(l)
		}
	}
	return ""
}

// What decided stands first; tab shows all, with a mark at what decided.
func TestEvidenceShowsWhatDecided(t *testing.T) {
	d := newDriver(t, options(newFake(split())), 80, 24)
	d.keys("e")
	d.want("What decided", "3 shown", "6 facts · 3 decided", "tab all facts")
	d.lacks("AMT version")
	d.keys("tab")
	d.want("All facts", "6 shown", "tab what decided")
	if n := strings.Count(d.frame(), "*10:"); n != 3 {
		t.Errorf("%d facts are marked as those that decided:\n%s", n, d.frame())
	}
	d.keys("tab")
	d.want("What decided")
}

// The selected fact is shown in full: key, meaning, value, and where it comes from.
func TestEvidenceShowsOneInFull(t *testing.T) {
	s := split()
	long := strings.Repeat("a very long value ", 20)
	s.Facts = append(s.Facts, diag.Fact{At: t0.Add(30 * time.Second), Vantage: diag.AtServer, Key: "case.report", Value: long, Probe: "person", Evidence: diag.Evidence{"answers.txt line 9"}})
	for _, size := range [][2]int{{60, 15}, {80, 24}, {200, 50}} {
		d := newDriver(t, options(newFake(s)), size[0], size[1])
		d.keys("e", "tab", "end")
		d.fits()
		d.want("case.report", "by person · answers.txt line 9")
		d.keys("home")
		d.want("client.amt_version")
		d.lacks("answers.txt line 9")
	}
}

// The cursor stays in the list, however it is moved.
func TestEvidenceMoves(t *testing.T) {
	s := split()
	for i := range 60 {
		s.Facts = append(s.Facts, diag.Fact{At: t0.Add(time.Duration(30+i) * time.Second), Vantage: diag.AtClient, Key: "case.note", Value: fmt.Sprintf("note %02d", i), Probe: "person"})
	}
	d := newDriver(t, options(newFake(s)), 80, 24)
	d.keys("e", "tab")
	for _, step := range []struct{ key, at string }{{"end", "note 59"}, {"down", "note 59"}, {"up", "note 58"}, {"pgup", "note 48"}, {"pgdown", "note 58"}, {"home", "3.2.1"}, {"up", "3.2.1"}, {"j", "in"}, {"k", "3.2.1"}, {"G", "note 59"}, {"g", "3.2.1"}} {
		d.keys(step.key)
		if !strings.Contains(d.selected(), step.at) {
			t.Errorf("%s leads to %q, want %q", step.key, d.selected(), step.at)
		}
		d.fits()
	}
}

// A filter takes key, side, probe and value, and a search leaves all lines where they are.
func TestEvidenceFilterAndSearch(t *testing.T) {
	for filter, n := range map[string]int{"dns": 2, "third vantage": 0, "local-me": 2, "10.1.0.10": 1, "PERSON": 1} {
		d := newDriver(t, options(newFake(split())), 80, 24)
		d.keys("e", "tab", "/", "type:"+filter)
		d.want(fmt.Sprintf("%d shown", n))
		if n == 0 {
			d.want("Nothing fits the filter. esc clears it.")
		}
		d.keys("enter", "esc")
		d.want("6 shown")
	}
	d := newDriver(t, options(newFake(split())), 80, 24)
	d.keys("e", "tab", "f", "type:dns", "enter")
	d.want("search: dns", "6 shown", "1 of 2")
	first := d.selected()
	d.keys("n")
	d.want("2 of 2")
	if d.selected() == first {
		t.Error("n does not move on")
	}
	d.keys("N", "esc")
	if d.selected() != first || strings.Contains(d.frame(), "search:") {
		t.Errorf("back at %q", d.selected())
	}
}

func TestEvidenceCopy(t *testing.T) {
	d := newDriver(t, options(newFake(split())), 80, 24)
	d.keys("e")
	got := d.copies("y")
	if !strings.HasPrefix(got, "dns.client  ") || !strings.HasSuffix(got, "client  names-client  10:03:12\nnames.txt line 3") {
		t.Errorf("copied %q", got)
	}
	d.want("copied: the fact dns.client")
	d.keys("/", "type:nothing")
	before := d.frame()
	d.send(keyOf("ctrl+y"))
	if d.frame() != before {
		t.Error("a copy of nothing changed the frame")
	}
}

// Empty lists say what to do.
func TestEvidenceEmpty(t *testing.T) {
	d := newDriver(t, options(newFake(asking(passwordQuestion()))), 80, 24)
	d.keys("e")
	d.want("No facts yet. The walk brings them.")
	d.keys("tab")
	d.want("No verdict stands yet. tab shows all facts.")
}

func actions(n int) []flow.Action {
	var out []flow.Action
	for i := range n {
		out = append(out, flow.Action{At: t0.Add(time.Duration(i) * 3 * time.Second), Remedy: "rm-restart-hello", Stage: "done", Title: fmt.Sprintf("Restart number %02d", i)})
	}
	return out
}

// Changes and facts stand in the order of time; what failed has a mark of its own.
func TestLogOrder(t *testing.T) {
	s := rechecking()
	s.Actions = append(s.Actions, flow.Action{At: t0.Add(time.Second), Remedy: "rm-restart-hello", Stage: "failed", Title: "Restart the hello", Detail: "the PC does not answer"})
	d := newDriver(t, options(newFake(s)), 80, 24)
	d.keys("l")
	d.want("3 changes", "! 10:03:01  failed", "* 10:03:31  done", "the PC does not answer")
	f := d.frame()
	at := -1
	for _, text := range []string{"10:03:00", "10:03:01", "10:03:02", "10:03:12", "10:03:30", "10:03:31"} {
		i := strings.Index(f, text)
		if i <= at {
			t.Errorf("%s does not stand behind the line before it:\n%s", text, f)
		}
		at = i
	}
	d.keys("tab")
	d.want("tab everything")
	d.lacks("AMT version", "NXDOMAIN")
	if n := strings.Count(d.frame(), "10:03:"); n != 3 {
		t.Errorf("%d lines of changes:\n%s", n, d.frame())
	}
}

// The log follows what comes until the cursor goes up.
func TestLogFollows(t *testing.T) {
	first, then := rechecking(), rechecking()
	first.Facts, then.Facts = nil, nil
	first.Actions, then.Actions = actions(30), actions(50)
	f := newFake(first, then)
	d := newDriver(t, options(f), 80, 24)
	d.keys("l").want("following", "Restart number 29")
	d.keys("up", "up").want("held")
	at := d.selected()
	f.next("time")
	d.send(d.m.feed.look())
	if d.selected() != at {
		t.Errorf("the cursor went to %q", d.selected())
	}
	d.lacks("Restart number 49")
	d.keys("end").want("following", "Restart number 49")
	d.keys("home")
	if !strings.Contains(d.selected(), "Restart number 00") {
		t.Error(d.selected())
	}
	d.keys("pgdown", "pgup")
	if !strings.Contains(d.selected(), "Restart number 00") {
		t.Error(d.selected())
	}
}

func TestLogFilterSearchCopy(t *testing.T) {
	s := rechecking()
	s.Actions = actions(20)
	d := newDriver(t, options(newFake(s)), 80, 24)
	d.keys("l", "/", "type:number 07", "enter")
	d.want("/ number 07", "Restart number 07")
	d.lacks("number 08")
	if got := d.copies("y"); got != "10:03:21  done  Restart number 07 (rm-restart-hello)" {
		t.Errorf("copied %q", got)
	}
	d.keys("esc")
	d.keys("home", "f", "type:number 19", "enter")
	d.want("search: number 19", "1 of 1", "held")
	if !strings.Contains(d.selected(), "Restart number 19") {
		t.Error(d.selected())
	}
	d.fits()
}

// A line that is cut in the list is shown in full below it, and an empty log says so.
func TestLogFullAndEmpty(t *testing.T) {
	s := rechecking()
	s.Facts = nil
	s.Actions = actions(1)
	s.Actions[0].Detail = strings.Repeat("and then something else happened, ", 2) + "the end"
	d := newDriver(t, options(newFake(s)), 80, 24)
	d.keys("l").want("the end (rm-restart-hello)")
	d.fits()
	s.Actions = nil
	d = newDriver(t, options(newFake(s)), 80, 24)
	d.keys("l").want("Nothing happened yet.")
	d.keys("tab").want("Nothing was changed in this case.")
}
