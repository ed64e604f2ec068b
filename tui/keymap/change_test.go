package keymap

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
)

var update = flag.Bool("update", false, "rewrite the page that is made from the table")

// docs/keys.md is what the table says.
func TestKeysDoc(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "keys.md")
	if *update {
		if err := os.WriteFile(path, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(got), "\r\n", "\n") != Markdown() {
		t.Error("docs/keys.md is not what the table gives: run go test ./tui/keymap -run Doc -update")
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "space": " ", "pgdn": "pgdown", "ctrl+y": "ctrl+y", "alt+x": "alt+x", "alt+enter": "alt+enter", "f12": "f12", "ä": "ä", "shift+tab": "shift+tab"} {
		if got, err := Parse(in); err != nil || got != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "ab", "crtl+y", "runes", "alt+"} {
		if got, err := Parse(bad); err == nil {
			t.Errorf("%q is taken as %q", bad, got)
		}
	}
}

// What the table itself holds can be written in the configuration.
func TestDefaultsCanBeWritten(t *testing.T) {
	for _, r := range Rows() {
		for _, k := range r.Keys {
			if k == " " {
				k = "space"
			}
			if _, err := Parse(k); err != nil {
				t.Errorf("%s: %v", r.Action, err)
			}
		}
	}
}

func TestClash(t *testing.T) {
	var c *Clash
	if _, err := New(map[string][]string{"drain": {"l"}}); !errors.As(err, &c) || c.Key != "l" || c.Action != Drain || c.Other != Log {
		t.Errorf("a key of another action: %v", err)
	}
	if _, err := New(map[string][]string{"drain": {"l"}, "log": {"d"}}); err != nil {
		t.Errorf("two actions swap their keys: %v", err)
	}
	if _, err := New(map[string][]string{"client": {"c"}}); !errors.As(err, &c) {
		t.Errorf("client takes the key of command: %v", err)
	}
}

// Footer and key page name the keys that hold now, also where a page says them in its own way.
func TestChangedKeysAreShown(t *testing.T) {
	m, err := New(map[string][]string{"down": {"t"}, "up": {"e"}, "evidence": {"E"}, "help": {"h"}, "quit": {"Q"}})
	if err != nil {
		t.Fatal(err)
	}
	hints := []Hint{{Action: Down, Word: "scroll", Key: "↑ ↓"}, {Action: Evidence}}
	if f := m.Footer(hints, false, 80, plain); f != " t scroll   E evidence   h keys   Q quit" {
		t.Errorf("footer %q", f)
	}
	if f := m.Footer(hints[:1], true, 80, plain); strings.Contains(f, "keys") || !strings.Contains(f, "ctrl+c quit") {
		t.Errorf("footer while typing %q", f)
	}
	if keys, _ := m.Line(Hint{Action: Down}); keys != "t" {
		t.Errorf("key page %q", keys)
	}
	if !m.Is(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("Q")}, Quit) {
		t.Error("the new key does not quit")
	}
}
