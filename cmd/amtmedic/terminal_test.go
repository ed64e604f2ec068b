//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a frame may take on a machine that is busy with other tests.
const patience = 30 * time.Second

// terminal is a real terminal (tmux) with the built binary in it.
type terminal struct {
	t      *testing.T
	socket string
}

// needTool skips a test without its foreign program; in CI the program must be there.
func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing, and CI installs it", name)
		}
		t.Skipf("%s is not installed", name)
	}
}

// built is the program as a user would build it, once for all tests.
var built = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(suiteDir, "amtmedic")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
})

// buildBinary gives the built program.
func buildBinary(t *testing.T) string {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// parallelFrames lets a test run beside others, unless its frames are written anew: the pages that
// show them come after it then.
func parallelFrames(t *testing.T) {
	t.Helper()
	if !*update {
		t.Parallel()
	}
}

// openTerminal starts a shell command in a terminal of a size. When it has ended, its exit code
// stands on the screen. The command runs in an empty folder, with its cases in a folder beside it.
func openTerminal(t *testing.T, width, height int, env []string, command string) *terminal {
	t.Helper()
	needTool(t, "tmux")
	dir, err := os.MkdirTemp("", "amtmedic-tmux-") // short: the name of a socket has at most 104 bytes
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, socket: filepath.Join(dir, "tmux")}
	args := []string{"-u", "-f", os.DevNull, "new-session", "-d", "-s", "t", "-c", dir, "-x", fmt.Sprint(width), "-y", fmt.Sprint(height)}
	for _, e := range append([]string{"AMTMEDIC_HOME=" + filepath.Join(dir, "home"), "TZ=UTC"}, env...) {
		args = append(args, "-e", e)
	}
	t.Cleanup(func() {
		_ = exec.Command("tmux", "-S", x.socket, "kill-server").Run()
		if err := removeSoon(dir); err != nil {
			t.Error(err)
		}
	})
	x.tmux(append(args, command+`; echo "exit $?"; exec cat`)...)
	return x
}

// removeSoon removes a folder in which a program that was ended may still write for a moment.
func removeSoon(dir string) (err error) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
	}
	return err
}

// tmux runs one command of tmux, and gives what it says. What the developer's own shell asks of
// screens stays out.
func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	c := exec.Command("tmux", append([]string{"-S", x.socket}, args...)...)
	c.Env = slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "AMTMEDIC_") || strings.HasPrefix(s, "NO_COLOR=") || strings.HasPrefix(s, "COLORTERM=") || strings.HasPrefix(s, "TMUX")
	})
	c.Env = append(c.Env, "LC_ALL=C.UTF-8")
	out, err := c.CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (x *terminal) frame() string { x.t.Helper(); return x.tmux("capture-pane", "-p", "-t", "t") }

// keys presses keys by their names in tmux; "type:..." types a text.
func (x *terminal) keys(keys ...string) {
	x.t.Helper()
	for _, k := range keys {
		if text, ok := strings.CutPrefix(k, "type:"); ok {
			x.tmux("send-keys", "-t", "t", "-l", text)
			continue
		}
		x.tmux("send-keys", "-t", "t", k)
	}
}

// until waits until every text stands on the screen, and gives the frame.
func (x *terminal) until(texts ...string) string {
	x.t.Helper()
	var frame string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		frame = x.frame()
		if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(frame, s) }) {
			return frame
		}
	}
	x.t.Fatalf("%q never came; the screen shows\n%s", texts, frame)
	return ""
}

// shows compares the screen with the golden frame of a name, as soon as it stands still. Parts of a
// frame may come late, so one that is not the golden one yet gets the time to become it.
func (x *terminal) shows(name string) {
	x.t.Helper()
	file := filepath.Join("testdata", x.t.Name(), name+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			x.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(x.still()), 0o644); err != nil {
			x.t.Fatal(err)
		}
		return
	}
	x.looksLike(file)
}

// looksLike waits until the screen is a golden frame.
func (x *terminal) looksLike(file string) {
	x.t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		x.t.Fatalf("%v: write it with go test -update", err)
	}
	var frame string
	for end := time.Now().Add(patience / 2); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if frame = masked(x.frame()); frame == string(want) {
			return
		}
	}
	x.t.Errorf("%s is\n%sbut the screen stays\n%s", file, want, frame)
}

// still gives the screen when it has not changed for a second.
func (x *terminal) still() string {
	x.t.Helper()
	var frame string
	since := time.Now()
	for end := time.Now().Add(patience / 2); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if f := masked(x.frame()); f != frame {
			frame, since = f, time.Now()
		}
		if time.Since(since) > time.Second {
			break
		}
	}
	return frame
}

// quits presses q, and looks whether the program ended well and left the terminal as it was.
func (x *terminal) quits() {
	x.t.Helper()
	x.keys("q")
	x.until("exit 0")
	state := x.tmux("display-message", "-p", "-t", "t", "alternate #{alternate_on} cursor #{cursor_flag} mouse #{mouse_any_flag}")
	if want := "alternate 0 cursor 1 mouse 0\n"; state != want {
		x.t.Errorf("the terminal is left in the state %q, want %q", state, want)
	}
}

// masks are what differs from run to run and from machine to machine, with something of the same
// width that reads like the real thing.
var masks = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`case-\d{8}-\d{4}-\w\w`), "case-20261125-1004-k7"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d\b`), "10:04:31"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d\b`), "2026-11-25"},
	{regexp.MustCompile(`\b127\.\d{3}\.\d{3}\.`), "127.120.140."}, // the seeds of these tests give such widths only
	{regexp.MustCompile(`(127\.120\.140\.5[34]):\d+`), "$1:53"},   // another port where 53 is not given away
	{regexp.MustCompile(`(?m)^── (127\.120\.140\.53:53 answers with ).*`), "── ${1}provisionserver.lyon.corp.example.  300  C… ──"},
	{regexp.MustCompile(`/\S*/amtmedic-practice-[\d-]+/`), "/tmp/amtmedic-practice/"},
	{regexp.MustCompile(`(?m)^( amtmedic  no case open) +this machine: .*`), "$1                   this machine: linux · kim · eth0, lo"},
	{regexp.MustCompile(`(?m)^ Here you can.*(\n.+)*\n`), " Here you can    probe names and ports · read captures · receive hellos ·\n                 capture live\n"},
	{regexp.MustCompile(`(\d+ faults,) \d+ can`), "$1 23 can"},
	{regexp.MustCompile(`◐ working +[\d:]+ +until [\d:]+ at most`), "◐ working 22:22              until 1:05:00 at most"},
	{regexp.MustCompile(`bundle written: \S+ ─+`), "bundle written: /var/tmp/case-20261125-1004-k7.zip ───────────────────────────"},
	{regexp.MustCompile(`elapsed \d:\d\d`), "elapsed 0:02"},
	{regexp.MustCompile(`█+░+`), "███████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░"},
	{regexp.MustCompile(`(?m) +$`), ""},
}

func masked(frame string) string {
	for _, m := range masks {
		frame = m.what.ReplaceAllString(frame, m.with)
	}
	return frame
}
