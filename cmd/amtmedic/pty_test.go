//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// onSilentTerminal runs a command on a terminal that never answers a query, and gives what the
// terminal received. Programs that ask a terminal for its colours wait five seconds here.
func onSilentTerminal(t *testing.T, args ...string) (out []byte, took time.Duration) {
	t.Helper()
	c := exec.Command("amtmedic", args...) // TestMain put it into the path
	start := time.Now()
	tty, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	limit := time.AfterFunc(20*time.Second, func() { _ = c.Process.Kill() })
	defer limit.Stop()
	out, err = io.ReadAll(tty)
	if err != nil && !errors.Is(err, syscall.EIO) { // EIO: the other end is closed
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Fatalf("%v: %v\n%q", args, err, out)
	}
	return out, time.Since(start)
}

// Commands without a screen ask a terminal nothing and colour nothing; the version comes at once.
func TestNoEscapeByteOnSilentTerminal(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}, {"help"}, {"keys", "check", "0000-037M"}} {
		out, took := onSilentTerminal(t, args...)
		if bytes.ContainsRune(out, '\x1b') || len(out) == 0 {
			t.Errorf("%v wrote %q", args, out)
		}
		// Half a second is the promise; the rest is for a machine that is busy with other tests.
		if took > 3*time.Second {
			t.Errorf("%v took %v on a terminal that does not answer", args, took)
		}
		if strings.Contains(args[0], "version") && bytes.Count(out, []byte("\n")) != 1 {
			t.Errorf("%v wrote not one line: %q", args, out)
		}
	}
}
