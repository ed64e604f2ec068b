package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/tui/page"
)

// A wait says since when, until when, and what for; one without an end says what for only.
func TestWalkWaiting(t *testing.T) {
	s := probing()
	d := newDriver(t, options(newFake(s)), 80, 24)
	d.want("◐ working 0:41", "until 1:12 at most", "for a SYN to port 9971", "██", "░░", "no SYN to 9971")
	newDriver(t, options(newFake(s)), 80, 40).want("Waiting costs nothing", "then press")
	full := strings.Count(d.frame(), "█")
	s.Now = t0.Add(71 * time.Second)
	d = newDriver(t, options(newFake(s)), 80, 24)
	if n := strings.Count(d.frame(), "█"); n <= full {
		t.Errorf("the bar had %d parts and has %d a minute later", full, n)
	}
	s.Now = t0.Add(time.Hour) // the world's clock ran on
	newDriver(t, options(newFake(s)), 80, 24).fits()
	s.Step.Until = time.Time{}
	d = newDriver(t, options(newFake(s)), 80, 24)
	d.want("working 1:00:00  for a SYN to port 9971")
	d.lacks("at most", "█", "Waiting costs nothing")
	s.Step.Seen = nil
	for i := range 40 {
		s.Step.Seen = append(s.Step.Seen, fmt.Sprintf("packet %02d", i))
	}
	d = newDriver(t, options(newFake(s)), 80, 24)
	d.want("Seen so far", "packet 39")
	d.lacks("packet 00")
	d.fits()
}

// When nothing is left to do, the page says what is open, what was skipped, and the ways on.
func TestWalkStuck(t *testing.T) {
	s := base()
	s.Step = flow.Step{Kind: flow.Stuck}
	s.Skipped = []string{"client.mebx_password", "names-client"}
	f := newFake(s, probing())
	d := newDriver(t, options(f), 80, 24)
	d.want("? Nothing is left to measure or to ask here", "does a hello leave the client?", "2 skipped: client.mebx_password, names-client",
		"walk the road once more", "take the last answer back", "what is known so far", "answer a question now")
	d.keys("enter")
	if d.m.top().Name() != "verdict" {
		t.Error("enter does not show what is known")
	}
	d.keys("esc", "r")
	if got := f.called(); got != "recheck()" {
		t.Errorf("calls %q", got)
	}
}

// A step of the plan is previewed, or left.
func TestWalkPlanned(t *testing.T) {
	s := planned()
	s.Step.Remedy.Destructive = true
	f := newFake(s, green())
	d := newDriver(t, options(f), 80, 24)
	d.want("The cause is repaired", "rm-restart-hello", "by hand · ! loses data", "s leaves it")
	d.keys("s")
	if got := f.called(); got != "skip" {
		t.Errorf("calls %q", got)
	}
}

// The list of checks explains, checks again and copies the one under the cursor.
func TestWalkList(t *testing.T) {
	f := newFake(split(), split())
	d := newDriver(t, options(f), 80, 24)
	d.keys("esc", "tab", "home").want("▸✓ product has AMT", "in order")
	for range 30 {
		d.keys("down")
	}
	d.want("▸· can be managed", "not judged, it lies behind the broken link")
	d.keys("G", "g", "down").want("▸✓ AMT enabled")
	if got := d.copies("y"); got != "chk-enabled AMT enabled: in order" {
		t.Errorf("copied %q", got)
	}
	d.keys("x").want("chk-enabled")
	d.keys("esc", "enter").want("chk-enabled")
	d.keys("esc", "r")
	if got := f.called(); got != "recheck(chk-enabled)" {
		t.Errorf("calls %q", got)
	}
	d = newDriver(t, options(newFake(split())), 80, 24)
	d.keys("esc", "tab", "home")
	for range 5 { // the check that does not apply is not in the list
		d.keys("down")
	}
	d.want("▸✗ resolves at the client", "rc-dns-split-horizon (rc-dns-split-horizon,", "proven)", "Seen", "NXDOMAIN")
	d.keys("esc").lacks("▸")
}

// In a narrow window the list takes the place of the step.
func TestWalkNarrow(t *testing.T) {
	d := newDriver(t, options(newFake(probing())), 60, 15)
	d.want("Does a hello leave the client?")
	d.keys("tab")
	d.lacks("Does a hello leave the client?")
	d.want("▸◐ hello leaves the client")
	d.keys("tab").want("Does a hello leave the client?")
}

// A wide window shows what is known beside the step, a practice PC in its place.
func TestWalkThreePanes(t *testing.T) {
	d := newDriver(t, options(newFake(practice())), 160, 40)
	d.want("Known so far: 3 facts", "AMT version: 3.2.1")
	d.keys("p").want("The practice PC's screen", "in Setup Mode", "drains it")
	d.lacks("Known so far")
	d.keys("p").want("Known so far")
	s := practice()
	s.Facts = nil
	newDriver(t, options(newFake(s)), 160, 40).want("nothing yet; the first probe brings it")
	real := newDriver(t, options(newFake(probing())), 160, 40)
	real.keys("p").lacks("practice PC")
}

// Stations that were not reached fold to a count; the one that is worked at is unfolded.
func TestWalkFolds(t *testing.T) {
	for _, h := range []int{15, 18, 24, 30, 50} {
		d := newDriver(t, options(newFake(probing())), 80, h)
		d.want("◐ hello leaves the client")
		d.fits()
	}
	d := newDriver(t, options(newFake(probing())), 80, 18)
	d.want("TLS … 1", "creds … 2")
	d.lacks("PID is known", "certificates")
	newDriver(t, options(newFake(probing())), 80, 50).want("PID is known", "certificates")
}

// A notice of the walk stands above the footer until a key is pressed, and comes again when it is
// given as an answer again.
func TestWalkNotice(t *testing.T) {
	s := probing()
	s.Notice = "drain the PC, then plug it in: the watch begins now"
	f := newFake(s, s)
	d := newDriver(t, options(f), 80, 24)
	d.want("the watch begins now")
	d.keys("tab").lacks("the watch begins now")
	d.send(d.m.feed.look())
	d.lacks("the watch begins now")
	d.keys("tab", "d").want("the watch begins now")
}

// Enter on a row of the start page opens once, however often it is pressed, and says why it could not.
func TestStartOpensOnce(t *testing.T) {
	n := 0
	o := options(nil)
	o.Open = func(_ context.Context, c Choice) (flow.Walker, func() error, error) {
		n++
		if c.Kind != FromSymptom || c.ID != "sym-none-provision" {
			t.Errorf("opened %+v", c)
		}
		return nil, nil, errors.New("make a case: the disk is full")
	}
	d := newDriver(t, o, 80, 24)
	d.keys("down")
	d.m.top().Update(keyOf("enter")) // its command is still on its way
	d.want("◐ opening")
	if cmd := d.m.top().Update(keyOf("enter")); cmd != nil {
		t.Error("a second enter opens once more")
	}
	d.send(page.Choose{Choice: Choice{Kind: FromSymptom, ID: "sym-none-provision"}})
	d.want("! make a case: the disk is full")
	if n != 1 {
		t.Errorf("opened %d times", n)
	}
	d.keys("up").lacks("the disk is full")
}

// The filter of the start page narrows while typing; what is cut, and where one would look, stands
// below.
func TestStartFilter(t *testing.T) {
	d := newDriver(t, options(nil), 80, 24)
	d.keys("/", "type:thing 1").want("/ thing 1", "of 70", "Looked at first: somewhere")
	d.keys("pgdown", "pgup", "type:3").want("1 of 70", "▸ Another thing that is seen, number 13")
	d.keys("type:zz").want("0 of 70", "Nothing fits. Use fewer words")
	d.keys("enter").want("0 of 70")
	d.keys("esc").want("/ to filter, enter to start the walk")
	d.keys("end").want("▸ Tools: keys")
	d.keys("home", "x").want("sym-no-systems")
	d.keys("esc", "c").want("To capture live", "sudo setcap")
	d.keys("esc").lacks("sudo setcap")
	d.keys("end", "up", "up", "up", "up", "enter").want("/ ", "70 of 70")
}

// Where nothing is missing, the key for missing rights is not offered.
func TestStartWithoutMissing(t *testing.T) {
	o := options(nil)
	o.Start.Missing = nil
	d := newDriver(t, o, 80, 24)
	d.lacks("Not yet")
	d.keys("c").lacks("sudo")
	o = options(nil)
	o.Start.Missing = append(o.Start.Missing, Missing{What: "ping", Needs: "needs root"})
	newDriver(t, o, 80, 24).want("capture live: needs one right, and 1 more")
}

// A fault that cannot be built here says what it needs, and is not opened.
func TestPracticeNeeds(t *testing.T) {
	o := options(nil)
	o.Open = func(context.Context, Choice) (flow.Walker, func() error, error) {
		t.Error("a world that cannot be built is opened")
		return nil, nil, errors.New("no")
	}
	d := newDriver(t, o, 80, 24)
	d.keys("p", "/", "type:rc-fw", "enter").want("root and nft")
	d.keys("enter").want("root and nft")
	if d.m.top().Name() != "practice" {
		t.Errorf("the page is %s", d.m.top().Name())
	}
}

// What is chosen for practice reaches the opener, a healthy world too.
func TestPracticeOpens(t *testing.T) {
	var got []Choice
	o := options(nil)
	o.Open = func(_ context.Context, c Choice) (flow.Walker, func() error, error) {
		got = append(got, c)
		return newFake(practice()), nil, nil
	}
	d := newDriver(t, o, 80, 24)
	d.keys("p", "/", "type:rc-pps", "enter", "enter")
	if len(got) != 1 || got[0].Kind != Practice || got[0].ID != "rc-pps-mismatch" {
		t.Errorf("opened %+v", got)
	}
	d.want("practice · method PSK")
}

// alternatives is a verdict with many remedies, the worst one last.
func alternatives(n int) flow.Snapshot {
	s := split()
	for i := range n {
		s.Judgement.Remedies = append(s.Judgement.Remedies, diag.Remedy{ID: fmt.Sprintf("rm-more-%d", i), Kind: "manual", Text: fmt.Sprintf("Another way, number %02d, that takes some words to be told in full and so has to be cut where there is no room", i)})
	}
	return s
}

// The selected remedy is always on the page, and previewed by enter or its number.
func TestVerdictManyRemedies(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 30}} {
		f := newFake(alternatives(9))
		d := newDriver(t, options(f), size[0], size[1])
		for range 20 {
			if !strings.Contains(d.frame(), "▸") {
				t.Fatalf("%v: the selected remedy is not shown:\n%s", size, d.frame())
			}
			d.fits()
			d.keys("down")
		}
		d.want("number 08")
		d.keys("enter")
		if !strings.Contains(f.called(), "preview(rm-more-8)") {
			t.Errorf("calls %q", f.called())
		}
	}
	f := newFake(alternatives(9))
	d := newDriver(t, options(f), 80, 24)
	d.keys("3")
	if !strings.Contains(f.called(), "preview(rm-restart-hello)") {
		t.Errorf("calls %q", f.called())
	}
}

// Alternatives are told apart from further steps, and what loses data says so.
func TestVerdictMarks(t *testing.T) {
	d := newDriver(t, options(newFake(split())), 120, 40)
	d.want("1  Add the CNAME", "2  or Enter the server's address", "3  Restart the hello", "4  or Reset the CMOS", "! loses data",
		"Because of it", "the setup window ran out (rc-hello-expired)", "Would change it", "an answer with 10.1.0.10")
	o := options(newFake(split()))
	o.ReadOnly = true
	newDriver(t, o, 80, 24).want("read-only: shown, not done")
	got := newDriver(t, options(newFake(split())), 80, 24).copies("y")
	for _, part := range []string{"The client asks a DNS server that does not know ProvisionServer\nrc-dns-split-horizon · name service · proven\n", "client  provisionserver.corp.example → NXDOMAIN  10.20.0.53  10:03:12", "- Restart the hello"} {
		if !strings.Contains(got, part) {
			t.Errorf("the copy lacks %q:\n%s", part, got)
		}
	}
}

// Without a verdict the page tells what is likely and what would decide; enter leads back.
func TestVerdictUndecided(t *testing.T) {
	d := newDriver(t, options(newFake(probing())), 80, 24)
	d.keys("v").want("does a hello leave the client?", "rc-dns-no-record", "rc-hello-expired", "The walk goes on")
	if got := d.copies("y"); got != "no verdict yet" {
		t.Errorf("copied %q", got)
	}
	d.keys("x")
	if d.m.top().Name() != "verdict" {
		t.Error("x explains a verdict that does not stand")
	}
	d.keys("enter")
	if d.m.top().Name() != "walk" {
		t.Error("enter does not lead back to the walk")
	}
}

// Checking again walks the road once more and shows it; u takes a repair back.
func TestVerdictAgain(t *testing.T) {
	f := newFake(split(), rechecking())
	d := newDriver(t, options(f), 80, 24)
	d.keys("u", "r")
	if got := f.called(); got != "undo-remedy recheck()" || d.m.top().Name() != "walk" {
		t.Errorf("calls %q on page %s", got, d.m.top().Name())
	}
}
