package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCaptureThroughPipe is the tap of a remote machine without the remote machine: the packets of
// one program are the input of the other, as with
//
//	ssh host amtmedic capture live -w - | amtmedic capture scan -
//
// Each hello must be told while both run.
func TestCaptureThroughPipe(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("the pipe of two programs belongs to the long set: AMTMEDIC_LONG=1")
	}
	program := buildFor(t, "linux", filepath.Join(t.TempDir(), "amtmedic"))
	for _, iface := range []string{"lo", "any"} {
		t.Run(iface, func(t *testing.T) {
			inNamespace(t, func(t *testing.T) { throughPipe(t, program, iface) })
		})
	}
}

func throughPipe(t *testing.T, program, iface string) {
	l, err := net.Listen("tcp", "127.0.0.1:9971")
	if err != nil {
		t.Error(err)
		return
	}
	defer l.Close()
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() {
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}()
	tap, reader := exec.Command(program, "capture", "live", "-i", iface, "-w", "-"), exec.Command(program, "capture", "scan", "--json", "-")
	var out, said, errs syncBuffer
	pipe, err := tap.StdoutPipe()
	if err != nil {
		t.Error(err)
		return
	}
	tap.Stderr, reader.Stdin, reader.Stdout, reader.Stderr = &said, pipe, &out, &errs
	for _, c := range []*exec.Cmd{tap, reader} {
		if err := c.Start(); err != nil {
			t.Error(err)
			return
		}
		defer time.AfterFunc(time.Minute, func() { _ = c.Process.Kill() }).Stop()
	}
	until := func(ok func() bool) bool {
		for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
			if ok() {
				return true
			}
		}
		return false
	}
	if !until(func() bool { return strings.Contains(said.text(), "watching") }) {
		t.Errorf("the tap does not start: %s", said.text())
	}
	const hellos = 5
	var slowest time.Duration
	for n := range hellos {
		c, err := net.Dial("tcp", "127.0.0.1:9971")
		if err != nil {
			t.Error(err)
			break
		}
		sent := time.Now()
		_, _ = io.WriteString(c, "\x00\x00\x02\x00\x03\x00\x00\x00DELLX\x00\x109\x80Y\xb7\xc0OKZ14KRG65QT")
		if !until(func() bool { return strings.Count(out.text(), `"event":"hello"`) == n+1 }) {
			t.Errorf("hello %d is not told: %s", n+1, out.text())
		}
		slowest = max(slowest, time.Since(sent))
		c.Close()
	}
	fmt.Printf("perf: live | hello to event through a pipe, %s: slowest of %d | %d ms | - | - | 200 ms or less\n", iface, hellos, slowest.Milliseconds())
	if slowest > 2*time.Second {
		t.Errorf("a hello came to its event after %v", slowest)
	}
	_ = tap.Process.Signal(os.Interrupt)
	readerErr := reader.Wait() // its input ends with the tap
	if tapErr := tap.Wait(); tapErr != nil || readerErr != nil || errs.text() != "" {
		t.Errorf("ends: %v %v, said %q, %q", tapErr, readerErr, said.text(), errs.text())
	}
	if n := scanned(t, out.text(), "-"); n["hello"] != hellos || n["syn"] != hellos || n["synack"] != hellos {
		t.Errorf("events %v", n)
	}
}
