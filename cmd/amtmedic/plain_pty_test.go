//go:build unix

package main

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// What is secret is not shown while it is typed, and what follows is.
func TestPlainHidesSecrets(t *testing.T) {
	master, tty, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	defer tty.Close()
	shown := &safeBuffer{}
	go func() { _, _ = io.Copy(shown, master) }()
	p := &plainWalk{in: readLines(t.Context(), tty), out: tty, tty: tty}
	got := make(chan string)
	go func() {
		l, _ := p.field(t.Context(), secretField)
		got <- l
		l, _ = p.line(t.Context(), "next: ")
		got <- l
	}()
	waitFor(t, shown, "not shown as you type: ")
	if _, err := master.WriteString("hush-hush\n"); err != nil {
		t.Fatal(err)
	}
	if l := <-got; l != "hush-hush" {
		t.Errorf("read %q", l)
	}
	waitFor(t, shown, "next: ")
	if _, err := master.WriteString("seen\n"); err != nil {
		t.Fatal(err)
	}
	<-got
	waitFor(t, shown, "next: seen")
	if strings.Contains(shown.String(), "hush") {
		t.Errorf("the terminal showed %q", shown)
	}
}

func waitFor(t *testing.T, b *safeBuffer, want string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(b.String(), want); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the terminal does not show %q:\n%s", want, b)
		}
	}
}

// On a terminal too the walk in scrolling text writes no escape byte.
func TestPlainOnATerminal(t *testing.T) {
	t.Parallel()
	c := exec.Command("amtmedic", "lab", "--plain", "--fault", "rc-amt-disabled", "--seed", "5")
	c.Env = append(c.Environ(), "AMTMEDIC_HOME="+t.TempDir(), "TERM=xterm-256color")
	tty, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	limit := time.AfterFunc(30*time.Second, func() { _ = c.Process.Kill() })
	defer limit.Stop()
	var out bytes.Buffer
	buf := make([]byte, 4096)
	for quit := false; ; {
		n, err := tty.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			break
		}
		if !quit && bytes.HasSuffix(out.Bytes(), []byte("q to quit: ")) {
			quit = true
			if _, err := tty.WriteString("q\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = c.Wait() // its exit code is that of what is known so far
	if code := c.ProcessState.ExitCode(); code != exitFound && code != exitUndecided || bytes.ContainsRune(out.Bytes(), '\x1b') {
		t.Errorf("exit %d, %q", code, out.String())
	}
}
