//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/wire"
)

// TestWirePage drives the page of packets in a real terminal: live in a practice world, and replayed
// from a bundle.
func TestWirePage(t *testing.T) {
	parallelFrames(t)
	needTool(t, "tmux")
	bin := buildBinary(t)
	for name, look := range map[string]func(*testing.T, string){"live": wireLive, "replay": wireReplay} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			look(t, bin)
		})
	}
}

// wireLive goes by keys from the first screen into a practice world, to its packets, and back.
func wireLive(t *testing.T, bin string) {
	x := openTerminal(t, 120, 30, nil, bin+" --mouse --seed 331")
	x.until("What do you see?")
	x.keys("p")
	x.until("What shall be broken?")
	x.keys("/", "type:rc-pid-unknown")
	x.until("/ rc-pid-unknown", "esc clear")
	x.keys("Enter")
	x.until("rc-pid-unknown · credentials · proven")
	x.keys("w")
	x.until("wire, at the client", "practice live", "HELLO psk", "DHCP lease", "Schedule of")
	x.keys("Space")
	x.until("frozen", "space go on")
	x.keys("Home", "n", "Enter")
	x.until("▸ admin set", "▐01 00▌", "not in")
	x.keys("Tab", "Down")
	x.until("▸ UUID", "← → byte")
	x.keys("Escape")
	x.until("enter fields")
	x.keys("Space", "v")
	x.until("wire, at the server", "HELLO psk")
	x.keys("v")
	x.until("both sides", "seen at")
	x.keys("/", "type:hello")
	x.until("/ hello")
	x.keys("Enter")
	x.until("enter fields")
	x.keys("Escape")
	x.until("closed in order")
	x.keys("Space") // the lines stand still for the mouse
	frame := x.until("closed in order", "frozen")
	x.click(10, lineOf(t, frame, "HELLO psk"))
	x.until("Hello  packet")
	x.keys("s")
	x.until("save packets of 127.", ".pcapng")
	x.keys("Enter")
	x.until("packets saved: ")
	x.keys("w")
	x.until("rc-pid-unknown · credentials · proven")
	x.keys("type::wire", "Enter")
	x.until("practice live")
	x.keys("Escape")
	x.until("rc-pid-unknown · credentials · proven")
	x.quits()
}

// caseName is what differs in a replay from run to run: the packets and their times are recorded.
var caseName = regexp.MustCompile(`case-\d{8}-(\d{4}-\w\w|\d…)`)

// showsPackets compares the screen with the golden frame of a name, with the times that stand in it.
func (x *terminal) showsPackets(name string) {
	x.t.Helper()
	file := filepath.Join("testdata", x.t.Name(), name+".golden")
	frame := func() string {
		s := caseName.ReplaceAllStringFunc(x.frame(), func(s string) string {
			return "case-20261125-1004-k7"[:len("case-20261125-")] + map[bool]string{true: "1…", false: "1004-k7"}[strings.HasSuffix(s, "…")]
		})
		return regexp.MustCompile(`(?m) +$`).ReplaceAllString(s, "")
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			x.t.Fatal(err)
		}
		last, since := "", time.Now()
		for time.Since(since) < time.Second {
			if f := frame(); f != last {
				last, since = f, time.Now()
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err := os.WriteFile(file, []byte(last), 0o644); err != nil {
			x.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		x.t.Fatalf("%v: write it with go test -update", err)
	}
	var got string
	for end := time.Now().Add(patience / 2); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = frame(); got == string(want) {
			return
		}
	}
	x.t.Errorf("%s is\n%sbut the screen stays\n%s", file, want, got)
}

// wireReplay opens a bundle whose packets tcpdump captured.
func wireReplay(t *testing.T, bin string) {
	home, work := t.TempDir(), t.TempDir()
	command := func(args ...string) {
		t.Helper()
		c := exec.Command(bin, args...)
		c.Env, c.Dir = append(os.Environ(), "AMTMEDIC_HOME="+home), work
		if out, err := c.CombinedOutput(); err != nil && c.ProcessState.ExitCode() != exitFound {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	command("lab", "--headless", "--seed", "97", "--fault", "rc-pid-unknown")
	cases, err := filepath.Glob(filepath.Join(home, "*", "facts.jsonl"))
	if err != nil || len(cases) != 1 {
		t.Fatalf("cases %v, %v", cases, err)
	}
	for _, side := range []string{"client", "server"} {
		if err := os.Remove(filepath.Join(filepath.Dir(cases[0]), side+".pcapng")); err != nil {
			t.Fatal(err)
		}
	}
	log := wire.New(wire.File(diag.AtServer, filepath.Join("..", "..", "capture", "testdata", "hellos.pcap")))
	if _, err := log.Save(t.Context(), filepath.Join(filepath.Dir(cases[0]), "server.pcapng"), wire.Which{}); err != nil {
		t.Fatal(err)
	}
	command("bundle", "create", filepath.Join(work, "case.zip"))
	open := bin + " bundle open " + filepath.Join(work, "case.zip")

	x := openTerminal(t, 80, 24, nil, open)
	x.until("rc-pid-unknown")
	x.keys("w")
	x.until("recorded", "HELLO pki, 8 hashes")
	x.keys("Home", "n")
	x.until("packet 26")
	x.showsPackets("lines")
	x.keys("Enter", "Down", "Down", "Down")
	x.until("▸ UUID")
	x.showsPackets("hello")
	x.keys("Escape") // alone: with a key behind it in one read it would be alt and that key
	x.until("enter fields")
	x.keys("w")
	x.until("rc-pid-unknown · ")
	x.quits()

	wide := openTerminal(t, 120, 30, []string{"AMTMEDIC_THEME=light"}, open)
	wide.until("rc-pid-unknown")
	wide.keys("w")
	wide.until("recorded", "HELLO pki, 8 hashes")
	wide.keys("Home", "n", "Enter", "End", "Up", "Up", "Up")
	wide.showsPackets("wide")
	wide.quits()

	plain := openTerminal(t, 80, 24, []string{"NO_COLOR=1", "TERM=linux"}, "TERM=linux "+open+" --ascii")
	plain.until("rc-pid-unknown")
	plain.keys("w")
	plain.until("recorded", "HELLO pki, 8 hashes")
	plain.keys("Home", "n", "Enter")
	frame := plain.until("> admin set", "[")
	if strings.ContainsFunc(frame, func(r rune) bool { return r > 0x7e }) {
		t.Errorf("characters beyond ASCII:\n%s", frame)
	}
	plain.quits()
}
