package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// syncBuffer is a buffer that two goroutines may use.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// needsCapture skips where packets cannot be captured.
func needsCapture(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("root on Linux is needed to capture on lo")
		}
		t.Skip("root on Linux is needed to capture on lo")
	}
}

// liveRun watches lo while a client says one hello in two segments, and stops when that was seen or
// never will be. done says by the output that it was.
func liveRun(t *testing.T, done func(stdout string) bool, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	msg, err := hex.DecodeString("000002000300000044454c4c580010398059b7c04f4b5a31344b524736355154")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
	var out, errs syncBuffer
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ended := make(chan int, 1)
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	go func() {
		e := &env{ctx: ctx, stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
		ended <- run(e, append([]string{"capture", "live", "-i", "lo", "--port", port}, args...))
	}()
	until := func(ok func() bool) {
		for end := time.Now().Add(5 * time.Second); !ok() && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		}
	}
	until(func() bool { return strings.Contains(errs.text(), "watching lo") })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write(msg[:9])
	time.Sleep(20 * time.Millisecond)
	_, _ = c.Write(msg[9:])
	c.Close()
	until(func() bool { return done(out.text()) })
	cancel()
	stop := time.Now()
	code = <-ended
	if took := time.Since(stop); took > 300*time.Millisecond {
		t.Errorf("the stop took %v", took)
	}
	return code, out.text(), errs.text()
}

func TestCaptureLive(t *testing.T) {
	needsCapture(t)
	file := filepath.Join(t.TempDir(), "live.pcapng")
	code, out, errs := liveRun(t, func(s string) bool { return strings.Contains(s, `"closed"`) }, "--json", "-w", file)
	n := scanned(t, out, "")
	if want := map[string]int{"syn": 1, "synack": 1, "hello": 1, "closed": 1}; code != exitOK || !same(n, want) {
		t.Errorf("exit %d, events %v, stderr %q", code, n, errs)
	}
	if !strings.Contains(errs, " 0 lost") {
		t.Errorf("stderr does not tell of losses: %q", errs)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file of packets: %v %v", st, err)
	}
	port := out[strings.Index(out, `"dst_port":`)+11:]
	port = port[:strings.IndexByte(port, ',')]
	code, again, errs := runHere(t, nil, "capture", "scan", "--json", "--port", port, file)
	if n := scanned(t, again, file); code != exitOK || n["hello"] != 1 || n["syn"] != 1 || errs != "" {
		t.Errorf("the recording: exit %d, events %v, stderr %q", code, n, errs)
	}
	if tshark, err := exec.LookPath("tshark"); err == nil {
		rows, err := exec.Command(tshark, "-r", file, "-Y", "tcp.dstport=="+port+" && tcp.len>0").Output()
		if n := bytes.Count(rows, []byte("\n")); err != nil || n != 2 {
			t.Errorf("tshark sees %d segments with data, %v", n, err)
		}
	}
}

func TestCaptureLiveToOutput(t *testing.T) {
	needsCapture(t)
	start := "\x0a\x0d\x0d\x0a"
	code, out, errs := liveRun(t, func(s string) bool { return strings.Contains(s, "65QT") }, "-w", "-")
	if code != exitOK || !strings.HasPrefix(out, start) || strings.Contains(out, "  (packet ") {
		t.Errorf("exit %d, output %.80q, stderr %q", code, out, errs)
	}
}

func TestCaptureLiveErrors(t *testing.T) {
	if runtime.GOOS != "linux" {
		if code, _, errs := runHere(t, nil, "capture", "live", "-i", "lo"); code != exitUndecided || !strings.Contains(errs, "hint:") {
			t.Errorf("exit %d, %q", code, errs)
		}
		return
	}
	code, _, errs := runHere(t, nil, "capture", "live", "-i", "no-such-if")
	if code != exitUsage || !strings.Contains(errs, "no such interface") || !strings.Contains(errs, "hint: interfaces here: ") {
		t.Errorf("exit %d, %q", code, errs)
	}
	needsCapture(t)
	if code, _, errs := runHere(t, nil, "capture", "live", "-i", "lo", "-w", "/nowhere/x.pcapng"); code != exitFound || !strings.Contains(errs, "/nowhere") {
		t.Errorf("exit %d, %q", code, errs)
	}
	start := time.Now()
	if code, _, errs := runHere(t, nil, "capture", "live", "-i", "lo", "--port", "1", "--for", "200ms"); code != exitOK || time.Since(start) > 2*time.Second {
		t.Errorf("exit %d after %v, %q", code, time.Since(start), errs)
	}
}

// TestCaptureLiveRing keeps packets in a ring: its files and what is pinned give the hello again.
func TestCaptureLiveRing(t *testing.T) {
	needsCapture(t)
	base := filepath.Join(t.TempDir(), "days")
	code, out, errs := liveRun(t, func(s string) bool { return strings.Contains(s, `"closed"`) }, "--json", "-w", base+".pcapng", "--ring", "2MB", "--rotate", "1h")
	if code != exitOK {
		t.Fatalf("exit %d, stderr %q", code, errs)
	}
	port := out[strings.Index(out, `"dst_port":`)+11:]
	port = port[:strings.IndexByte(port, ',')]
	for _, name := range []string{base + "-00001.pcapng", base + "-pinned.pcapng"} {
		code, again, errs := runHere(t, nil, "capture", "scan", "--json", "--port", port, name)
		if n := scanned(t, again, name); code != exitOK || n["hello"] != 1 || n["syn"] != 1 || errs != "" {
			t.Errorf("%s: exit %d, events %v, stderr %q", name, code, n, errs)
		}
		if tshark, err := exec.LookPath("tshark"); err == nil {
			rows, err := exec.Command(tshark, "-r", name, "-T", "fields", "-e", "frame.comment").Output()
			if err != nil || !strings.Contains(string(rows), "amtmedic: hello: psk, version 2, retry 3") {
				t.Errorf("tshark shows the comments %q: %v", rows, err)
			}
		}
	}
	for _, flags := range [][]string{{base + ".pcapng", "--ring", "2MB"}, {base + "-00001.pcapng"}} {
		before, _ := os.ReadFile(base + "-00001.pcapng")
		code, _, errs := runHere(t, nil, append([]string{"capture", "live", "-i", "lo", "--for", "1s", "-w"}, flags...)...)
		after, _ := os.ReadFile(base + "-00001.pcapng")
		if code != exitFound || !strings.Contains(errs, "never written over") || !bytes.Equal(before, after) {
			t.Errorf("%v: exit %d, %q", flags, code, errs)
		}
	}
}

func TestCaptureLiveRecordingFlags(t *testing.T) {
	for _, args := range [][]string{{"--ring", "2MB"}, {"--ring", "2MB", "-w", "-"}, {"-w", "x", "--rotate", "1h"}, {"-w", "x", "--ring", "2MB", "--rotate", "-1s"},
		{"-w", "x", "--ring", "100"}, {"-w", "x", "--ring", "much"}, {"-w", "x", "--ring", "-5MB"}, {"-w", "x", "--ring", "NaN"}} {
		if code, _, errs := runHere(t, nil, append([]string{"capture", "live", "-i", "lo"}, args...)...); code != exitUsage || errs == "" {
			t.Errorf("%v: exit %d, %q", args, code, errs)
		}
	}
	for text, want := range map[string]byteSize{"500MB": 500e6, "2GiB": 2 << 30, "2 G": 2 << 30, "1.5k": 1536, "4096": 4096, "7b": 7} {
		if got := new(byteSize); got.Set(text) != nil || *got != want {
			t.Errorf("%s is %d", text, *got)
		}
	}
}

// TestCaptureLiveEmptyFile takes a file that is there and empty: nothing in it can be lost.
func TestCaptureLiveEmptyFile(t *testing.T) {
	needsCapture(t)
	name := filepath.Join(t.TempDir(), "made.pcapng")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{name, os.DevNull} {
		if code, _, errs := runHere(t, nil, "capture", "live", "-i", "lo", "--for", "200ms", "-w", file); code != exitOK {
			t.Errorf("%s: exit %d, %q", file, code, errs)
		}
	}
	if st, err := os.Stat(name); err != nil || st.Size() == 0 || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
}
