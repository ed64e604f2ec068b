//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"amtmedic/amt/store/storetest"
)

// TestCorePages drives the pages of the provisioning core in a real terminal, over a database of
// 10,000 clients, from the first screen.
func TestCorePages(t *testing.T) {
	parallelFrames(t)
	needTool(t, "tmux")
	bin := buildBinary(t)
	dir := t.TempDir()
	if err := storetest.Fill(t.Context(), filepath.Join(dir, "core.db"), 10_000); err != nil {
		t.Fatal(err)
	}
	for name, look := range map[string]func(*testing.T, string){"80x24": coreLook(80, 24), "200x50": coreLook(200, 50), "small": coreLook(60, 15), "changes": coreChanges, "missing": coreMissing} {
		t.Run(name, func(t *testing.T) {
			own := t.TempDir()
			for _, end := range []string{"", ".key"} { // each has a database of its own
				raw, err := os.ReadFile(filepath.Join(dir, "core.db"+end))
				if err == nil {
					err = os.WriteFile(filepath.Join(own, "core.db"+end), raw, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			t.Parallel()
			look(t, "cd "+own+" && "+bin+" --db core.db")
		})
	}
}

// coreLook looks at every page at one size.
func coreLook(w, h int) func(t *testing.T, command string) {
	return func(t *testing.T, command string) {
		x := openTerminal(t, w, h, nil, command+" --mouse")
		x.until("What do you see?", "keys")
		x.keys("End")
		x.until("▸ The provisioning core")
		x.keys("Enter")
		x.until("1 of 10,000", "▸ ✓ provisioned")
		x.shows("clients")
		x.keys("End")
		x.until("10,000 of 10,000")
		x.keys("Home", "/", "type:pc-0000")
		frame := x.until("1 of 9", "/ pc-0000")
		x.keys("Enter")
		x.click(10, lineOf(t, frame, "pc-00004"))
		x.until("5 of 9")
		x.keys("End")
		x.until("9 of 9", "▸ ! delayed")
		x.shows("found")
		x.keys("Enter")
		x.until("esc to the list", "rc-pid-unknown")
		x.shows("client")
		x.keys("Escape")
		x.until("9 of 9", "▸ ! delayed")
		for _, p := range []struct{ name, until string }{{"queue", "1 of 2,000"}, {"delayed", "▸ Nov 25 09:00"}, {"keys", "· unused"}, {"log", "following"}, {"server", "15 settings"}} {
			x.keys("Tab")
			x.until(p.until)
			x.shows(p.name)
		}
		x.quits()
	}
}

// coreChanges brings a delayed client to the queue, and changes a setting, each with the word.
func coreChanges(t *testing.T, command string) {
	x := openTerminal(t, 80, 24, nil, command)
	x.until("What do you see?", "quit")
	x.keys("type::delayed", "Enter")
	x.until("1 of 2,000")
	x.keys("r")
	x.until("Look at the client again now", "Type yes to do it")
	x.shows("preview")
	x.keys("type:yes", "Enter")
	x.until("✓ done: the client is in the queue", "Delayed 1,999", "Queue 2,001")
	x.keys("Enter", "6")
	x.until("15 settings")
	x.keys("Down", "Down", "Down", "Down", "Down", "Down", "Down", "Down", "Down", "Enter", "type:db", "Enter")
	x.until("from      script", "Type yes")
	x.keys("type:yes", "Enter")
	x.until("✓ done: params_from is db")
	x.keys("Enter")
	x.until("params_from             db")
	x.quits()
}

// coreMissing sees that nothing is made by looking.
func coreMissing(t *testing.T, command string) {
	x := openTerminal(t, 80, 24, nil, strings.Replace(command, "--db core.db", "--db other.db", 1)+"; ls")
	x.until("What do you see?", "quit")
	x.keys("type::keys", "Enter")
	x.until("There is no database", "enter make it")
	x.shows("offer")
	x.keys("Enter")
	x.until("Make an empty database", "Type yes to do it")
	x.keys("Escape")
	x.until("There is no database")
	x.keys("q")
	if frame := x.until("exit 0"); strings.Contains(frame, "other.db") {
		t.Errorf("looking made something:\n%s", frame)
	}
}
