//go:build unix

package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// screenStep is one step of a person at the keyboard: keys to press, what to wait for, and the name
// of the golden frame when the frame is one to keep.
type screenStep struct {
	keys  []string
	until []string
	keep  string
}

// workstationCases are roads from a broken world to the green road, by keys alone. The seeds are
// ones whose worlds live at addresses of one width.
var workstationCases = []struct {
	fault, seed string
	steps       []screenStep
}{
	{"rc-dns-split-horizon", "277", []screenStep{
		{nil, []string{"rc-dns-split-horizon · name service · proven"}, "verdict"},
		{[]string{"Enter"}, []string{"DNS update (RFC 2136)", "Type yes to do it"}, "preview"},
		{[]string{"type:no", "Enter"}, []string{"nothing is done yet"}, ""},
		{[]string{"BSpace", "BSpace", "type:yes", "Enter"}, []string{"✓ done:", "one step of the plan is left"}, "done"},
		{[]string{"Enter"}, []string{"next step of the repair", "1  shut the PC down"}, "next"},
		{[]string{"Enter", "Enter", "Enter"}, []string{"The client is provisioned", "11 of 11 steps"}, ""},
		{[]string{"Enter"}, []string{"ok-provisioned · proven"}, ""},
	}},
	{"rc-pid-unknown", "331", []screenStep{
		{nil, []string{"rc-pid-unknown · credentials · proven"}, "verdict"},
		{[]string{"Enter"}, []string{"oem-keys.csv", "Type yes to do it"}, "preview"},
		{[]string{"type:yes", "Enter"}, []string{"The client is provisioned", "11 of 11 steps", "✓ ━━━ ✓\n"}, "provisioned"},
		{[]string{"Enter"}, []string{"ok-provisioned · proven"}, ""},
	}},
	{"rc-amtconfig-stopped", "345", []screenStep{
		{nil, []string{"rc-amtconfig-stopped · server application · proven"}, "verdict"},
		{[]string{"Enter"}, []string{"will start", "Type yes to do it"}, "preview"},
		{[]string{"type:yes", "Enter"}, []string{"✓ done: the service is running", "one step of the plan is left"}, ""},
		{[]string{"Enter"}, []string{"next step of the repair"}, ""},
		{[]string{"Enter", "Enter", "Enter"}, []string{"Provisioning runs", "it carries on"}, ""},
		{nil, []string{"The client is provisioned", "11 of 11 steps"}, ""},
		{[]string{"Enter"}, []string{"ok-provisioned · proven"}, ""},
		{[]string{"Escape"}, []string{"firmware  ", "│", "enter shows what decided"}, "walk"},
	}},
	{"rc-amt-disabled", "225", []screenStep{
		{nil, []string{"Which provisioning state has it?"}, "question"},
		{[]string{"p"}, []string{"The practice PC's screen", "[Disabled]"}, "pc"},
		{[]string{"4"}, []string{"Is AMT switched on?"}, ""},
		{[]string{"p", "Down", "Enter"}, []string{"rc-amt-disabled · client · proven"}, "verdict"},
		{[]string{"Enter"}, []string{"by hand, step by step"}, ""},
		{[]string{"Enter", "Enter", "Enter"}, []string{"✓ done: AMT is enabled", "a question waits"}, ""},
		{[]string{"Enter"}, []string{"Is AMT switched on?"}, ""},
		{[]string{"1"}, []string{"The client is provisioned", "11 of 11 steps"}, ""},
		{[]string{"Enter"}, []string{"ok-provisioned · proven"}, ""},
	}},
}

// greenRoad is the road once the client is provisioned: nothing broken or unknown on it.
var greenRoad = regexp.MustCompile(`(?m)^ +(✓ ━+ ){9}✓$`)

// TestWorkstation drives the built binary in a real terminal: from the first screen to the green
// road, for faults of four kinds, and in terminals of other kinds.
func TestWorkstation(t *testing.T) {
	parallelFrames(t)
	needTool(t, "tmux")
	bin := buildBinary(t)
	t.Run("start", func(t *testing.T) { lookStart(t, bin) }) // its frame is the measure of others
	for _, c := range workstationCases {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			walkToGreen(t, openTerminal(t, 80, 24, nil, bin+" --seed "+c.seed), c.fault, c.steps)
		})
	}
	for name, look := range map[string]func(t *testing.T, bin string){
		"wide": lookWide, "colours": lookColours, "mouse": lookMouse, "resize": lookResize, "lab": lookLab,
		"waiting": lookWaiting, "port": lookPort, "password": lookPassword, "bundle": lookBundle,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			look(t, bin)
		})
	}
}

// walkToGreen breaks a world by keys, and takes the steps to its green road.
func walkToGreen(t *testing.T, x *terminal, fault string, steps []screenStep) {
	x.until("What do you see?")
	x.keys("p")
	x.until("What shall be broken?")
	x.keys("/", "type:"+fault)
	x.until("/ "+fault, "esc clear")
	x.keys("Enter")
	for _, s := range steps {
		x.keys(s.keys...)
		x.until(s.until...)
		if s.keep != "" {
			x.shows(s.keep)
		}
	}
	if frame := x.frame(); !greenRoad.MatchString(frame) {
		t.Errorf("the road is not green at the end:\n%s", frame)
	}
	x.quits()
}

func lookStart(t *testing.T, bin string) {
	x := openTerminal(t, 80, 24, nil, bin+" --seed 97")
	x.until("What do you see?", "quit")
	x.shows("first")
	x.keys("/", "type:9971")
	x.until("/ 9971", "4 of 70")
	x.shows("symptoms")
	x.keys("Escape") // alone: with a key behind it in one read it would be alt and that key
	x.until("/ to filter")
	x.keys("p")
	x.until("What shall be broken?")
	x.keys("/", "type:dns")
	x.until("/ dns")
	x.shows("practice")
	x.keys("Escape")
	x.until("enter break it   / filter")
	x.keys("Escape")
	x.until("What do you see?", "quit")
	x.quits()
}

func lookWide(t *testing.T, bin string) {
	x := openTerminal(t, 200, 50, nil, bin+" lab --seed 97 --fault rc-dns-split-horizon")
	x.until("rc-dns-split-horizon · name service · proven")
	x.shows("verdict")
	x.quits()
}

// colour is a colour in what tmux keeps of a screen; bold, reverse and underline are none.
var colour = regexp.MustCompile("\x1b\\[[0-9;]*\\b(3[0-7]|38|4[0-7]|48|9[0-7])\\b[0-9;]*m")

func lookColours(t *testing.T, bin string) {
	for _, c := range []struct {
		env      string
		coloured bool
	}{{"AMTMEDIC_THEME=dark", true}, {"AMTMEDIC_THEME=light", true}, {"NO_COLOR=1", false}} {
		x := openTerminal(t, 80, 24, []string{c.env}, bin+" --seed 97")
		x.until("What do you see?", "quit")
		x.looksLike(filepath.Join("testdata", "TestWorkstation", "start", "first.golden"))
		if got := colour.MatchString(x.tmux("capture-pane", "-p", "-e", "-t", "t")); got != c.coloured {
			t.Errorf("%s: colours on the screen: %v", c.env, got)
		}
		x.quits()
	}
}

// lineOf gives the number of the line with a text, from 1 as mouse reports count.
func lineOf(t *testing.T, frame, text string) int {
	t.Helper()
	for i, l := range strings.Split(frame, "\n") {
		if strings.Contains(l, text) {
			return i + 1
		}
	}
	t.Fatalf("no line with %q:\n%s", text, frame)
	return 0
}

// click sends what a terminal sends for a press and a release of the left button.
func (x *terminal) click(column, line int) {
	x.t.Helper()
	x.keys(fmt.Sprintf("type:\x1b[<0;%d;%dM", column, line), fmt.Sprintf("type:\x1b[<0;%d;%dm", column, line))
}

func lookMouse(t *testing.T, bin string) {
	x := openTerminal(t, 80, 24, nil, bin+" --mouse --seed 97")
	frame := x.until("▸ The PC does not appear", "quit")
	x.click(10, lineOf(t, frame, "It appears, but stays unprovisioned"))
	x.until("▸ It appears, but stays unprovisioned")
	at := lineOf(t, frame, "Practice: break something")
	x.click(10, at)
	x.until("▸ Practice: break something")
	x.click(10, at)
	frame = x.until("What shall be broken?", "rc-not-in-setup-factory")
	x.click(10, lineOf(t, frame, "rc-not-in-setup-factory"))
	x.until("▸ rc-not-in-setup-factory")
	x.quits()
}

func lookResize(t *testing.T, bin string) {
	x := openTerminal(t, 80, 24, nil, bin+" --seed 97")
	x.until("What do you see?", "quit")
	x.tmux("resize-window", "-t", "t", "-x", "40", "-y", "10")
	x.until("window too small, need 60x15")
	if frame := strings.TrimRight(x.still(), "\n"); frame != "window too small, need 60x15" {
		t.Errorf("a small window shows\n%s", frame)
	}
	x.tmux("resize-window", "-t", "t", "-x", "80", "-y", "24")
	x.looksLike(filepath.Join("testdata", "TestWorkstation", "start", "first.golden"))
	x.quits()
}

func lookLab(t *testing.T, bin string) {
	x := openTerminal(t, 80, 24, nil, bin+" lab --seed 97 --fault rc-amt-disabled")
	frame := x.until("◐ state known", "│", "Which provisioning state has it?")
	if lineOf(t, frame, " firmware   wire   name") != 3 {
		t.Errorf("the road is not above the walk:\n%s", frame)
	}
	x.quits()
}

// lookWaiting sees a walk that waits for a packet, and the time when the waiting ends.
func lookWaiting(t *testing.T, bin string) {
	x := openTerminal(t, 80, 24, nil, bin+" lab --seed 97 --fault rc-hello-expired")
	x.until("working", "at most", "█")
	x.shows("walk")
	x.quits()
}

func lookPort(t *testing.T, bin string) {
	x := openTerminal(t, 80, 24, nil, bin+" lab --seed 97 --fault rc-port-mismatch")
	x.until("rc-port-mismatch · server application · proven")
	x.shows("verdict")
	x.quits()
}

func lookPassword(t *testing.T, bin string) {
	x := openTerminal(t, 80, 24, nil, bin+" lab --seed 97 --fault rc-not-in-setup-pw-changed")
	x.until("Which provisioning state has it?")
	x.keys("1")
	x.until("Is AMT switched on?")
	x.keys("1")
	x.until("Which password does the MEBx take?")
	x.shows("question")
	x.quits()
}

// lookBundle writes the case into a file with one key.
func lookBundle(t *testing.T, bin string) {
	x := openTerminal(t, 80, 24, nil, bin+" lab --seed 97 --fault rc-pid-unknown")
	x.until("rc-pid-unknown · credentials · proven")
	x.keys("b")
	x.until("bundle written: ", ".zip ")
	x.shows("written")
	x.quits()
}
