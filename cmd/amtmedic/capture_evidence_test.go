package main

import (
	"archive/zip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCaptureFileInBundle follows a capture file from diagnose into the case and the bundle: the facts
// refer to packets that travel with them, and the bundle gives the same verdict without the file.
func TestCaptureFileInBundle(t *testing.T) {
	work := t.TempDir()
	t.Setenv("AMTMEDIC_HOME", filepath.Join(work, "cases"))
	b, err := os.ReadFile("../../capture/testdata/hellos.pcap")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(work, "days-pinned.pcap")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, out, errs := runHere(t, nil, "diagnose", "--json", "--capture", "server:"+file, "--resolver", "127.0.0.1:9", "--answer", "client.me_addr=10.20.0.7")
	var before, after struct{ Verdict, UUID string }
	if err := json.Unmarshal([]byte(out), &before); err != nil || before.UUID == "" {
		t.Fatalf("%v: %s %s", err, out, errs)
	}
	bundle := filepath.Join(work, "case.amtbundle")
	if code, _, errs := runHere(t, nil, "bundle", "create", bundle); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(bundle)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	kept, facts := filepath.Join(work, "server.pcapng"), ""
	for _, m := range z.File {
		r, err := m.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Base(m.Name) {
		case "server.pcapng":
			err = os.WriteFile(kept, b, 0o600)
		case "facts.jsonl":
			facts = string(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(facts, `"wire/server.pcapng#`) {
		t.Error("no fact refers to the packets in the case")
	}
	code, events, errs := runHere(t, nil, "capture", "scan", "--json", kept)
	if n := scanned(t, events, kept); code != exitOK || n["hello"] != 8 || n["refused"] != 1 || errs != "" {
		t.Errorf("exit %d, events %v, %s", code, n, errs)
	}
	if tshark, err := exec.LookPath("tshark"); err == nil {
		rows, err := exec.Command(tshark, "-r", kept, "-Y", `frame.comment contains "amtmedic: hello"`, "-T", "fields", "-e", "frame.number").Output()
		if n := strings.Count(string(rows), "\n"); err != nil || n != 8 {
			t.Errorf("tshark shows %d comments of hellos: %v", n, err)
		}
	}
	if _, out, errs := runHere(t, nil, "diagnose", "--json", bundle); json.Unmarshal([]byte(out), &after) != nil || after != before {
		t.Errorf("the bundle gives %+v, the case %+v: %s", after, before, errs)
	}
}
