//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// Promises about a terminal that answers no queries: the first text comes within half a second, and
// a screen on which nothing changes writes next to nothing.
const (
	firstFrameLimit = 500 * time.Millisecond
	idleBytes       = 1000 // in a second
)

// silent is the built binary on a terminal that never answers.
type silent struct {
	cmd *exec.Cmd
	tty *os.File

	mu  sync.Mutex
	out bytes.Buffer
}

func openSilent(t *testing.T, bin string, args ...string) *silent {
	t.Helper()
	s := &silent{cmd: exec.Command(bin, args...)}
	s.cmd.Env = append(os.Environ(), "AMTMEDIC_HOME="+t.TempDir(), "TERM=xterm-256color")
	var err error
	if s.tty, err = pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, err := s.tty.Read(b)
			s.mu.Lock()
			s.out.Write(b[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *silent) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Contains(s.out.Bytes(), []byte(text))
}

// until gives the time that a text took to come, or false after limit.
func (s *silent) until(text string, limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if s.has(text) {
			return true
		}
	}
	return false
}

func (s *silent) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Len()
}

// close quits, and ends a program that does not.
func (s *silent) close(t *testing.T) {
	t.Helper()
	limit := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer limit.Stop()
	_, _ = s.tty.WriteString("q")
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("quit: %v", err)
	}
	_ = s.tty.Close()
}

// TestSilentTerminal measures the built binary on a terminal that answers no queries.
func TestSilentTerminal(t *testing.T) {
	bin := buildBinary(t)
	t.Run("first frame", func(t *testing.T) { firstFrames(t, bin) })
	t.Run("idle", func(t *testing.T) { idleScreens(t, bin) })
}

// firstFrames takes the best of a few starts, since other tests keep the machine busy.
func firstFrames(t *testing.T, bin string) {
	for _, c := range []struct {
		name, text string
		args       []string
	}{
		{"start", "What do you see?", nil},
		{"lab", "firmware", []string{"lab", "--seed", "11"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			best := time.Hour
			for range 6 {
				start := time.Now()
				s := openSilent(t, bin, c.args...)
				if !s.until(c.text, patience) {
					t.Fatalf("%q never came: %q", c.text, s.out.String())
				}
				best = min(best, time.Since(start))
				s.close(t)
				if best <= firstFrameLimit {
					break
				}
			}
			t.Logf("first text after %v", best)
			if best > firstFrameLimit {
				t.Errorf("the first text came after %v, limit %v", best, firstFrameLimit)
			}
		})
	}
}

func idleScreens(t *testing.T, bin string) {
	for _, c := range []struct {
		name, text string
		args       []string
	}{
		{"start", "What do you see?", nil},
		{"verdict", "What to do", []string{"lab", "--seed", "97", "--fault", "rc-dns-split-horizon"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := openSilent(t, bin, c.args...)
			defer s.close(t)
			if !s.until(c.text, patience) {
				t.Fatalf("%q never came: %q", c.text, s.out.String())
			}
			last, since := s.written(), time.Now()
			for end := time.Now().Add(patience); time.Since(since) < 300*time.Millisecond && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if n := s.written(); n != last {
					last, since = n, time.Now()
				}
			}
			const span = 3 * time.Second
			time.Sleep(span) // what is measured is a rate
			n := s.written() - last
			t.Logf("%d bytes in %v", n, span)
			if limit := int(span.Seconds()) * idleBytes; n > limit {
				t.Errorf("%d bytes in %v while nothing changes, limit %d", n, span, limit)
			}
		})
	}
}
