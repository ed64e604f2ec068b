package main

import (
	"bytes"
	"encoding/csv"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// servedAs serves a header Server on 16992 of loopback addresses.
func servedAs(t *testing.T, server string, addresses ...string) {
	t.Helper()
	for _, a := range addresses {
		l, err := net.Listen("tcp", a+":16992")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", server)
			w.WriteHeader(http.StatusUnauthorized)
		})}
		go func() { _ = s.Serve(l) }()
		t.Cleanup(func() { _ = s.Close() })
	}
}

// A scan that a signal stops goes on where it stopped: hosts found before are told again, none twice.
func TestDiscoverGoesOn(t *testing.T) {
	t.Parallel()
	servedAs(t, "Intel(R) Active Management Technology 7.1.91", "127.0.76.2", "127.0.76.250")
	state := filepath.Join(t.TempDir(), "state")
	args := []string{"discover", "127.0.76.1-127.0.76.254", "--csv", "--resume", state}
	var first bytes.Buffer
	c := exec.Command("amtmedic", append(args, "--rate", "100")...) // 762 connections and pings: 7.6 s
	c.Stdout = &first
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill() }()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		b, _ := os.ReadFile(state)
		if bytes.Contains(b, []byte("127.0.76.2")) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nothing was found: %s", b)
		}
	}
	_ = c.Process.Signal(syscall.SIGINT)
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != exitInterrupt && code != exitOK { // a machine under load may be through
		t.Fatalf("exit %d", code)
	}
	cmd := exec.Command("amtmedic", append(args, "--rate", "5000")...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if len(rows) == 3 { // in the order of answers
		slices.SortFunc(rows[1:], func(a, b []string) int { return len(a[0]) - len(b[0]) })
	}
	if err != nil || len(rows) != 3 || rows[0][0] != "host" || rows[1][0] != "127.0.76.2" || rows[2][0] != "127.0.76.250" || rows[2][1] != "7.1.91" {
		t.Errorf("%v, %v", rows, err)
	}
	amtmedic(t, exitUsage, "discover", "127.0.76.1", "--resume", state) // other targets
}

// The bar is drawn on a terminal, without an escape byte, and on nothing else.
func TestDiscoverBar(t *testing.T) {
	t.Parallel()
	c := exec.Command("amtmedic", "discover", "127.0.77.1-127.0.77.60", "--rate", "100", "--json")
	var stdout bytes.Buffer
	ptmx, tty, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer ptmx.Close()
	c.Stdout, c.Stderr = &stdout, tty
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	_ = tty.Close()
	var drawn bytes.Buffer
	_ = ptmx.SetReadDeadline(time.Now().Add(30 * time.Second))
	_, _ = drawn.ReadFrom(ptmx) // ends with the program
	_ = c.Wait()
	if !strings.Contains(drawn.String(), "of 60") || !strings.Contains(drawn.String(), "[") || strings.ContainsRune(drawn.String(), '\x1b') || stdout.Len() != 0 {
		t.Errorf("%q, %q", drawn.String(), stdout.String())
	}
	var quiet bytes.Buffer
	c = exec.Command("amtmedic", "discover", "127.0.77.1-127.0.77.60", "--rate", "200", "--json")
	c.Stderr = &quiet
	if err := c.Run(); err != nil || strings.Contains(quiet.String(), "[") {
		t.Errorf("%v, %q", err, quiet.String())
	}
}
