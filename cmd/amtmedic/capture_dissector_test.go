package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The line that the command prints is run as it stands, and shows the hellos of the recorded file.
func TestCaptureDissector(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's here")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lua := filepath.Join(dir, "my hello.lua")
	for range 2 { // an older dissector is written over
		if code, out, errs := runHere(t, nil, "capture", "dissector", "--out", lua); code != exitOK || out != "" || strings.Count(errs, "reassemble_out_of_order:TRUE") != 2 {
			t.Fatalf("exit %d: %q %q", code, out, errs)
		}
	}
	written, err := os.ReadFile(lua)
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := runHere(t, nil, "capture", "dissector")
	if code != exitOK || out != string(written) || !strings.Contains(errs, "lua_script:amthello.lua ") {
		t.Errorf("exit %d, %d bytes, %q", code, len(out), errs)
	}
	if code, out, _ := runHere(t, nil, "capture", "dissector", "--port", "9972", "--port", "9971"); code != exitOK || !strings.Contains(out, "\nlocal ports = { [9972] = true, [9971] = true }\n") {
		t.Errorf("exit %d: %.900s", code, out)
	}
	other := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(other, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := runHere(t, nil, "capture", "dissector", "--out", other); code != exitFound || !strings.Contains(errs, "hint:") {
		t.Errorf("exit %d: %q", code, errs)
	}
	if b, _ := os.ReadFile(other); string(b) != "mine" {
		t.Errorf("another file was written over: %.40q", b)
	}
	if code, _, _ := runHere(t, nil, "capture", "dissector", dir+"/no/such/folder.lua", "x"); code != exitUsage {
		t.Errorf("operands: exit %d", code)
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("tshark is not installed")
	}
	_, _, errs = runHere(t, nil, "capture", "dissector", "--out", lua)
	line := errs[strings.Index(errs, "tshark -X"):]
	line = strings.Replace(line, "FILE", recorded, 1)
	rows, err := exec.Command("sh", "-c", line).Output()
	if n := strings.Count(string(rows), "AMT hello, p"); err != nil || n != 7 {
		t.Errorf("%s: %d hellos, %v\n%s", line, n, err, rows)
	}
}
