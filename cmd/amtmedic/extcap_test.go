package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// The sentences follow the grammar of extcap(4).
func TestExtcapText(t *testing.T) {
	sentence := regexp.MustCompile(`^(extcap|interface|dlt|arg) (\{[a-z]+=[^{}]*\})+$`)
	code, out, errs := runHere(t, nil, "--extcap-interfaces", "--extcap-version=4.0")
	if code != exitOK || errs != "" || !strings.HasPrefix(out, "extcap {version=") {
		t.Fatalf("exit %d, %q %q", code, out, errs)
	}
	names := regexp.MustCompile(`(?m)^interface \{value=(amtmedic-[^}]+)\}`).FindAllStringSubmatch(out, -1)
	all, err := net.Interfaces()
	if err != nil || len(names) != len(all) || len(all) == 0 {
		t.Fatalf("%d interfaces of %d, %v", len(names), len(all), err)
	}
	for _, args := range [][]string{{"--extcap-dlts"}, {"--extcap-config"}} {
		code, text, errs := runHere(t, nil, append(args, "--extcap-interface", names[0][1])...)
		if code != exitOK || errs != "" || text == "" {
			t.Errorf("%v: exit %d, %q", args, code, errs)
		}
		out += text
	}
	for line := range strings.Lines(out) {
		if !sentence.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("no sentence: %q", line)
		}
	}
	for _, args := range [][]string{
		{"--extcap-interface", names[0][1]}, {"--capture", "--extcap-interface", names[0][1]}, {"--extcap-nonsense"},
		{"--extcap-interface", "lo", "--extcap-dlts"}, {"--extcap-interface", "amtmedic-none", "--capture", "--fifo", "x"},
		{"--extcap-interfaces", "more"},
	} {
		if code, _, errs := runHere(t, nil, args...); code != exitUsage || errs == "" {
			t.Errorf("%v: exit %d, %q", args, code, errs)
		}
	}
	for _, args := range [][]string{{"--capture", "file.pcap"}, {"diagnose", "--", "--extcap-interfaces"}, nil} {
		if isExtcap(args) {
			t.Errorf("%v is no call of Wireshark", args)
		}
	}
}

// tshark finds the interfaces in its extcap folder and captures through one.
func TestExtcapInTshark(t *testing.T) {
	needsCapture(t)
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("tshark is not installed")
	}
	home := t.TempDir()
	folder := filepath.Join(home, ".config", "wireshark", "extcap")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	buildFor(t, runtime.GOOS, filepath.Join(folder, "amtmedic"))
	run := func(args ...string) *exec.Cmd {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		t.Cleanup(cancel)
		c := exec.CommandContext(ctx, tshark, args...)
		c.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, ".config"))
		c.WaitDelay = time.Second
		return c
	}
	list, err := run("-D").Output()
	if err != nil || !bytes.Contains(list, []byte("amtmedic-lo (AMT hellos on lo)")) {
		t.Fatalf("%v\n%s", err, list)
	}
	file := filepath.Join(home, "packets.pcapng")
	c := run("-i", "amtmedic-lo", "-w", file)
	var said syncBuffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.97.16.5:9971")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	var seen string
	for limit := time.Now().Add(60 * time.Second); !strings.Contains(seen, "4KRG-65QT"); { // others may talk on lo too
		if code, _, errs := runHere(t, nil, "hello", "send", "--to", l.Addr().String(), "--uuid", "4c4c4544-0058-3910-8059-b7c04f4b5a31", "--pid", "4KRG-65QT"); code != exitOK {
			t.Fatalf("hello send: %d %s", code, errs)
		}
		select {
		case err := <-ended:
			t.Fatalf("tshark ended: %v\n%s", err, said.text())
		case <-time.After(500 * time.Millisecond):
		}
		if _, seen, _ = runHere(t, nil, "capture", "scan", file); time.Now().After(limit) {
			t.Fatalf("tshark has no hello: %s\ntshark said %s", seen, said.text())
		}
	}
	_ = c.Process.Signal(os.Interrupt)
	if err := <-ended; err != nil {
		t.Fatalf("tshark: %v\n%s", err, said.text())
	}
	rows, err := exec.Command(tshark, "-r", file, "-T", "fields", "-e", "frame.comment").Output()
	if err != nil || !strings.Contains(string(rows), "amtmedic: hello: psk") {
		t.Errorf("the packets have the comments %q: %v", rows, err)
	}
}
