package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A recording that is appended to slowly gives its events while it grows.
func TestCaptureFollow(t *testing.T) {
	b, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "grows.pcap")
	if err := os.WriteFile(name, b[:5000], 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var out, errs syncBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(&env{ctx: ctx, stdin: strings.NewReader(""), stdout: &out, stderr: &errs}, []string{"capture", "scan", "--json", "--follow", name})
	}()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	half := false
	for at := 5000; at < len(b); at += 1777 {
		if _, err := f.Write(b[at:min(len(b), at+1777)]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		half = half || at > len(b)/2 && at < len(b)*3/4 && strings.Contains(out.text(), `"hello"`)
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end) && strings.Count(out.text(), `"closed"`) < wantEvents["closed"]; {
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	if code := <-ended; code != exitOK || errs.text() != "" || !half {
		t.Errorf("exit %d, events before the end %v, stderr %q", code, half, errs.text())
	}
	if n := scanned(t, out.text(), name); !same(n, wantEvents) {
		t.Errorf("events %v, want %v", n, wantEvents)
	}
	start := time.Now()
	if code, out, errs := runHere(t, nil, "capture", "scan", "--follow", "--for", "200ms", name); code != exitOK || errs != "" || !strings.Contains(out, "4JA2-DDBV") || time.Since(start) > 3*time.Second {
		t.Errorf("--for: exit %d after %v, stderr %q", code, time.Since(start), errs)
	}
	if code, out, _ := runHere(t, b, "capture", "scan", "--follow", "-"); code != exitOK || !strings.Contains(out, "4JA2-DDBV") {
		t.Errorf("standard input: exit %d", code)
	}
	for _, args := range [][]string{{"--follow", name, name}, {"--for", "1s", name}, {"--follow", "--for", "-1s", name}, {"--follow", name + "x"}} {
		if code, _, errs := runHere(t, nil, append([]string{"capture", "scan"}, args...)...); code != exitUsage || errs == "" {
			t.Errorf("%v: exit %d, %q", args, code, errs)
		}
	}
}
