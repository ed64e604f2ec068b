//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestToolPages drives the tools in a real terminal: keys are made, a setup.bin is read, a key image is
// prepared, broken by another program, and repaired; discovery finds nobody on a silent address.
func TestToolPages(t *testing.T) {
	parallelFrames(t)
	needTool(t, "tmux")
	needTool(t, "mcopy")
	bin := buildBinary(t)
	for name, size := range map[string][2]int{"80x24": {80, 24}, "200x50": {200, 50}, "small": {60, 15}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			x := openTerminal(t, size[0], size[1], nil, "cd "+dir+" && "+bin+" --mouse --db core.db")
			x.until("What do you see?", "keys")
			x.keys("type::tools", "Enter")
			x.until("▸ Make new pairs")
			x.shows("first")
			toolKeys(t, x, dir, bin)
			toolUSB(t, x, dir, size[1] < 24)
			x.keys("4", "Enter")
			x.until("▸ targets:")
			x.keys("type:127.0.9.9", "Enter")
			x.until("1 host asked, 0 with AMT")
			x.shows("discover")
			x.quits()
		})
	}
}

// toolKeys makes a file of keys, and looks at the setup.bin that is made of it.
func toolKeys(t *testing.T, x *terminal, dir, bin string) {
	x.keys("Enter")
	x.until("▸ number of pairs:")
	x.keys("type:3", "Enter")
	x.until("▸ file:")
	x.keys("type:keys.csv", "Enter")
	x.until("Make new PID/PPS pairs", "mode 0600")
	x.keys("PageDown", "PageDown", "PageDown")
	x.until("Type yes to do it")
	x.keys("type:yes", "Enter")
	x.until("3 pairs written", "▸ Make new pairs")
	if fi, err := os.Stat(filepath.Join(dir, "keys.csv")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", fi, err)
	}
	if out, err := exec.Command(bin, "setupbin", "write", "--version", "2.1", "--keys", filepath.Join(dir, "keys.csv"), "--out", filepath.Join(dir, "setup.bin")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	frame := x.until("▸ Make new pairs")
	x.click(10, lineOf(t, frame, "Check a pair"))
	x.until("▸ Check a pair")
	x.keys("Enter")
	x.until("▸ PID:")
	x.keys("type:0000-037M", "Enter")
	x.until("▸ PPS:")
	x.keys("type:NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XJ", "Enter")
	x.until("✓ the pair is sound")
	x.shows("pair")
	x.keys("2", "Enter")
	x.until("▸ file:")
	x.keys("type:setup.bin", "Enter")
	x.until("✓ sound: firmware takes this file")
}

// toolUSB prepares an image, lets another program put a file before it, and repairs it.
func toolUSB(t *testing.T, x *terminal, dir string, small bool) {
	x.keys("3")
	x.until("▸ Look at a key")
	x.keys("Down", "Enter")
	x.until("▸ setup.bin:")
	x.keys("type:setup.bin", "Enter")
	x.until("▸ image file or device:")
	x.keys("C-u", "type:key.img", "Enter")
	x.until("▸ file system:")
	x.keys("Enter")
	x.until("key.img is made")
	x.keys("PageDown", "PageDown", "PageDown", "PageDown")
	x.until("Type yes to do it")
	if !small {
		x.shows("prepare")
	}
	x.keys("type:yes", "Enter")
	x.until("the key is prepared", "sound: firmware should take")
	x.shows("prepared")
	img, other := filepath.Join(dir, "key.img"), filepath.Join(dir, "A.TXT")
	if err := os.WriteFile(other, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"mdel", "-i", img, "::SETUP.BIN"}, {"mcopy", "-i", img, other, "::A.TXT"}, {"mcopy", "-i", img, filepath.Join(dir, "setup.bin"), "::SETUP.BIN"}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", args, err, out)
		}
	}
	x.keys("Up", "Enter")
	x.until("▸ image file or device: key.img")
	x.keys("Enter")
	x.until("unfit: firmware would not take it", "A.TXT stands before it")
	x.shows("unfit")
	x.keys("Down", "Down", "Enter")
	x.until("Repair a USB key", "▸ image file or device: key.img")
	x.keys("Enter")
	x.until("folder for copies:")
	x.keys("type:saved", "Enter")
	x.until("is wrong")
	x.keys("PageDown", "PageDown", "PageDown", "PageDown", "PageDown")
	x.until("Type yes to do it")
	x.keys("type:yes", "Enter")
	x.until("the key is repaired")
	if b, err := os.ReadFile(filepath.Join(dir, "saved", "A.TXT")); err != nil || string(b) != "another" {
		t.Errorf("saved %q, %v", b, err)
	}
}
