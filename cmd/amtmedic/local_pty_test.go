//go:build unix

package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// At a terminal the password is asked for without being shown, and changes are made after a typed yes
// only.
func TestLocalSetAtTheTerminal(t *testing.T) {
	t.Setenv("AMTMEDIC_HOME", t.TempDir())
	t.Setenv("AMTMEDIC_AMT_PASSWORD", "")
	_ = os.Unsetenv("AMTMEDIC_AMT_PASSWORD")
	p := newLocalPC(t, "9.0.0")
	for _, c := range []struct {
		answer string
		code   int
	}{{"no", exitFound}, {"y", exitFound}, {"yes", exitOK}} {
		ptmx, tty, err := pty.Open()
		if err != nil {
			t.Skip(err)
		}
		var stdout, stderr safeBuffer
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		e := &env{ctx: ctx, stdin: tty, stdout: &stdout, stderr: &stderr}
		done := make(chan int, 1)
		go func() {
			code, err := runLocalIn(e, p.tunnel, []string{"set", "--name", "pc99.corp.example"})
			done <- report(e, code, err)
		}()
		for _, step := range [][2]string{{"AMT password of admin", p.password}, {"Type yes", c.answer}} {
			for end := time.Now().Add(30 * time.Second); !strings.Contains(stderr.String(), step[0]); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%s is not asked: %s", step[0], stderr.String())
				}
			}
			if _, err := ptmx.WriteString(step[1] + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		if code := <-done; code != c.code || strings.Contains(stdout.String(), "is pc99") != (c.code == exitOK) {
			t.Errorf("%s: exit %d\n%s%s", c.answer, code, stdout.String(), stderr.String())
		}
		if strings.Contains(stdout.String()+stderr.String(), p.password) {
			t.Error("the password is told")
		}
		cancel()
		_ = ptmx.Close()
		_ = tty.Close()
	}
}
