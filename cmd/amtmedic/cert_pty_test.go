//go:build unix

package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"amtmedic/amt/cert"
)

// The password of a PFX is asked for at the terminal, again when it is wrong, and never shown.
func TestCertAsksForPassword(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("openssl is missing: it makes the PFX")
	}
	dir := t.TempDir()
	e := &env{ctx: t.Context(), stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	if code, err := runCertCreateLab(e, []string{"--out", dir}); code != exitOK {
		t.Fatal(err)
	}
	pfx := filepath.Join(dir, "lab.pfx")
	if out, err := exec.Command(openssl, "pkcs12", "-export", "-in", filepath.Join(dir, "provisioning.pem"), "-out", pfx, "-passout", "pass:open-sesame").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := readCert(e, pfx, ""); err == nil { // no terminal
		t.Error("read without a password")
	}
	master, tty, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	defer tty.Close()
	shown := &safeBuffer{}
	go func() { _, _ = io.Copy(shown, master) }()
	e = &env{ctx: t.Context(), stdin: tty, stdout: tty, stderr: tty}
	type answer struct {
		f   *cert.File
		err error
	}
	got := make(chan answer, 1)
	go func() {
		f, err := readCert(e, pfx, "")
		got <- answer{f, err}
	}()
	waitFor(t, shown, "not shown as you type: ")
	_, _ = master.WriteString("wrong-sesame\n")
	waitFor(t, shown, "does not open it")
	for strings.Count(shown.String(), "not shown as you type: ") < 2 {
		waitFor(t, shown, "does not open it")
	}
	_, _ = master.WriteString("open-sesame\n")
	a := <-got
	if a.err != nil || a.f.Key == nil || len(a.f.Certificates) != 2 {
		t.Errorf("%+v, %v", a.f, a.err)
	}
	if strings.Contains(shown.String(), "sesame") {
		t.Errorf("the terminal showed %q", shown)
	}
}

// Waiting for a password ends with the context.
func TestCertPasswordInterrupted(t *testing.T) {
	master, tty, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	ctx, cancel := context.WithCancel(t.Context())
	shown := &safeBuffer{}
	go func() { _, _ = io.Copy(shown, master) }()
	done := make(chan bool, 1)
	go func() {
		_, ok := askPassword(&env{ctx: ctx, stdin: tty, stderr: tty}, "password")
		done <- ok
	}()
	waitFor(t, shown, "not shown as you type: ")
	cancel()
	if <-done {
		t.Error("an answer that nobody gave")
	}
}
