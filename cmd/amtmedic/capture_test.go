package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const recorded = "../../capture/testdata/hellos.pcap"

// runHere runs a command in this process.
func runHere(t *testing.T, stdin []byte, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(&env{ctx: context.Background(), stdin: bytes.NewReader(stdin), stdout: &out, stderr: &errs}, args)
	return code, out.String(), errs.String()
}

// scanned counts the events of JSON lines and checks what every line must have.
func scanned(t *testing.T, out, file string) map[string]int {
	t.Helper()
	n := map[string]int{}
	for line := range strings.Lines(out) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for _, key := range []string{"time", "src", "dst", "src_port", "dst_port", "event", "hello", "file", "packet"} {
			if _, ok := m[key]; !ok {
				t.Errorf("no %s in %s", key, line)
			}
		}
		if m["file"] != file {
			t.Errorf("file %v, want %s", m["file"], file)
		}
		if h, ok := m["hello"].(map[string]any); ok {
			for _, key := range []string{"type", "version", "admin_credentials_set", "retry_count", "uuid", "pid", "hashes", "problems"} {
				if h[key] == nil {
					t.Errorf("no %s in the hello of %s", key, line)
				}
			}
		}
		n[m["event"].(string)]++
	}
	return n
}

// wantEvents is what record.py did, by its table of attempts.
var wantEvents = map[string]int{"syn": 15, "syn_retransmit": 2, "synack": 12, "refused": 1, "unreachable": 1,
	"hello": 9, "partial": 2, "closed": 12, "back": 1, "dns": 1}

func same(a, b map[string]int) bool {
	for k := range a {
		if a[k] != b[k] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestCaptureScan(t *testing.T) {
	b, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := runHere(t, nil, "capture", "scan", recorded, "--json")
	if n := scanned(t, out, recorded); code != exitOK || errs != "" || !same(n, wantEvents) {
		t.Errorf("exit %d, events %v, stderr %q", code, n, errs)
	}
	code, out, errs = runHere(t, b, "capture", "scan", "--json", "-")
	if n := scanned(t, out, "-"); code != exitOK || errs != "" || !same(n, wantEvents) {
		t.Errorf("standard input: exit %d, events %v, stderr %q", code, n, errs)
	}
	code, out, _ = runHere(t, nil, "capture", "scan", "--json", "--port", "9972", recorded)
	if n := scanned(t, out, recorded); code != exitOK || n["hello"] != 0 || n["dns"] != 1 {
		t.Errorf("another port: exit %d, events %v", code, n)
	}
}

func TestCaptureScanFaults(t *testing.T) {
	b, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	var z bytes.Buffer
	gz := gzip.NewWriter(&z)
	if _, err := gz.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	text := write("text", []byte("this is a text"))
	tests := []struct {
		name  string
		files []string
		code  int
		says  string
		some  bool
	}{
		{"cut", []string{write("cut", b[:20000])}, exitOK, "cut inside a record", true},
		{"cut gzip", []string{write("cut.gz", z.Bytes()[:z.Len()*2/3])}, exitOK, "cut inside a record", true},
		{"only a header", []string{write("header", b[:24])}, exitOK, "", false},
		{"half a header", []string{write("half", b[:12])}, exitOK, "cut", false},
		{"damaged", []string{write("damaged", append(bytes.Clone(b[:20000]), bytes.Repeat([]byte{0xff}, 5000)...))}, exitUsage, "at byte", true},
		{"no capture, then a good one", []string{text, recorded}, exitUsage, "no capture file", true},
		{"a good one, then a missing one", []string{recorded, filepath.Join(dir, "none")}, exitUsage, "none", true},
		{"a folder", []string{dir, recorded}, exitUsage, "this is a folder", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := runHere(t, nil, append([]string{"capture", "scan"}, tt.files...)...)
			if code != tt.code || !strings.Contains(errs, tt.says) || (tt.says == "" && errs != "") || strings.Contains(out, " hello ") != tt.some {
				t.Errorf("exit %d, stderr %q, stdout %.300q", code, errs, out)
			}
			if code != exitOK && !strings.Contains(errs, "hint:") {
				t.Errorf("no next step: %q", errs)
			}
		})
	}
}

func TestCaptureInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs bytes.Buffer
	if code := run(&env{ctx: ctx, stdout: &out, stderr: &errs}, []string{"capture", "scan", recorded}); code != exitInterrupt {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}

func TestCaptureHumanLines(t *testing.T) {
	_, out, _ := runHere(t, nil, "capture", "scan", recorded)
	for _, want := range []string{"refused", "ICMP type 3 code 13", "pid 4JA2-DDBV", "12 hashes", "no hello: HTTP", "20 bytes are there", "provisionserver.corp.example A: NOERROR 10.20.0.10"} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("an escape byte was written")
	}
}
