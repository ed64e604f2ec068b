package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRepairLeavesASoundKeyAlone: where only the file is at fault, rebuilding the key mends nothing.
func TestRepairLeavesASoundKeyAlone(t *testing.T) {
	e, _, stderr := testEnv(t)
	dir := t.TempDir()
	setup, image := filepath.Join(dir, "bad.bin"), filepath.Join(dir, "key.img")
	b := []byte(docSetupBin(t))
	at := bytes.Index(b, []byte("admin"))
	copy(b[at:], "Admin")
	if err := os.WriteFile(setup, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(e, []string{"usbkey", "prepare", image, "--file", setup, "--size", "20"}); code != exitFound || !strings.Contains(stderr.String(), "not-admin") {
		t.Errorf("exit %d, %s", code, stderr.String())
	}
	if code := run(e, []string{"usbkey", "prepare", image, "--file", setup, "--size", "20", "--force"}); code != exitFound {
		t.Errorf("with --force: exit %d", code)
	}
	before, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if code := run(e, []string{"usbkey", "repair", image, "--yes"}); code != exitFound || !strings.Contains(stderr.String(), "the key is in order") {
		t.Errorf("repair: exit %d, %s", code, stderr.String())
	}
	if after, err := os.ReadFile(image); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the image was changed, %v", err)
	}
	if strings.Contains(stderr.String(), "Admin") {
		t.Error("a password was shown")
	}
	// Something is wrong with the key besides: then it is rebuilt, and the file still said to be at fault.
	copy(before[bytes.Index(before, []byte("SETUP   BIN")):], "SETUP_1 BIN")
	if err := os.WriteFile(image, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(e, []string{"usbkey", "repair", image, "--yes"}); code != exitFound || !strings.Contains(stderr.String(), "stays wrong") {
		t.Errorf("repair: exit %d, %s", code, stderr.String())
	}
	if b, err := os.ReadFile(image); err != nil || !bytes.Contains(b, []byte("SETUP   BIN")) {
		t.Errorf("not rebuilt, %v", err)
	}
}
