package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUSBKeyUnderWine: the program for Windows makes the same key in an image file, and refuses a
// device that is none.
func TestUSBKeyUnderWine(t *testing.T) {
	loader, compiler := wineOrSkip(t)
	w := newWine(t, loader, compiler)
	dir := t.TempDir()
	program := buildFor(t, "windows", filepath.Join(dir, "amtmedic.exe"))
	setup := []byte(docSetupBin(t))
	if err := os.WriteFile(filepath.Join(dir, "setup.bin"), setup, 0o600); err != nil {
		t.Fatal(err)
	}
	runIn := func(args ...string) outcome {
		c := exec.Command(w.loader, append([]string{program}, args...)...)
		c.Dir, c.Env = dir, append(w.env(), "AMTMEDIC_HOME="+filepath.Join(dir, "home"))
		return runProgram(t, c, "")
	}
	if o := runIn("usbkey", "prepare", "key.img", "--file", "setup.bin", "--size", "20"); o.code != exitOK {
		t.Fatalf("prepare: exit %d, %s", o.code, o.stderr)
	}
	e, stdout, stderr := testEnv(t)
	if code := run(e, []string{"usbkey", "inspect", filepath.Join(dir, "key.img")}); code != exitOK {
		t.Errorf("the key is not sound here: exit %d, %s %s", code, stdout.String(), stderr.String())
	}
	b, err := os.ReadFile(filepath.Join(dir, "key.img"))
	if err != nil || !bytes.Contains(b, setup) {
		t.Errorf("the file is not in the image, %v", err)
	}
	if o := runIn("usbkey", "repair", "key.img", "--yes"); o.code != exitOK || !strings.Contains(o.stderr, "nothing to repair") {
		t.Errorf("repair: exit %d, %s", o.code, o.stderr)
	}
	for _, device := range []string{`\\.\PhysicalDrive0`, `\\.\PhysicalDrive99`, `\\.\C:`} {
		if o := runIn("usbkey", "prepare", device, "--file", "setup.bin", "--device", "PhysicalDrive0"); o.code != exitFound || !strings.Contains(o.stderr, "error: open device") {
			t.Errorf("%s: exit %d, %s", device, o.code, o.stderr)
		}
	}
}
