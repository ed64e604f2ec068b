package keymap

import (
	"testing"

	tea "github.com/charmbracelet/bubbletea"
)

func plain(s string) string { return s }

func TestTable(t *testing.T) {
	seen := map[Action]bool{}
	for _, r := range Rows() {
		if seen[r.Action] {
			t.Errorf("%s stands twice", r.Action)
		}
		seen[r.Action] = true
		if len(r.Keys) == 0 || r.Short == "" || r.Help == "" {
			t.Errorf("%s: a row lacks keys or words: %+v", r.Action, r)
		}
	}
	// Keys that mean two things, and why nobody meets both: no page has both.
	shared := map[string]bool{"p": true, "v": true, "s": true, "r": true, " ": true}
	owner := map[string]Action{}
	for _, r := range Rows() {
		for _, k := range r.Keys {
			if o, ok := owner[k]; ok && !shared[k] {
				t.Errorf("key %q means %s and %s", k, o, r.Action)
			}
			owner[k] = r.Action
		}
	}
}

func TestNew(t *testing.T) {
	m, err := New(map[string][]string{"drain": {"ctrl+d"}})
	if err != nil {
		t.Fatal(err)
	}
	if m.Is(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("d")}, Drain) || !m.Is(tea.KeyMsg{Type: tea.KeyCtrlD}, Drain) {
		t.Error("the changed key does not hold")
	}
	for name, bad := range map[string]map[string][]string{"unknown action": {"fly": {"f"}}, "no key": {"drain": {}}} {
		if _, err := New(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNumber(t *testing.T) {
	m, _ := New(nil)
	for k, want := range map[string]int{"1": 0, "9": 8, "0": -1, "x": -1} {
		if got := m.Number(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}); got != want {
			t.Errorf("key %s: %d, want %d", k, got, want)
		}
	}
}

func TestFooter(t *testing.T) {
	m, _ := New(nil)
	many := []Hint{Do(Enter, "start"), Do(Filter, ""), Do(Open, ""), Do(Practice, ""), Do(Goto, ""), Do(Explain, ""), Do(Log, ""), Do(Bundle, ""), Do(Up, "")}
	tests := map[string]struct {
		hints  []Hint
		typing bool
		w      int
		want   string
	}{
		"seven keys at most":    {many, false, 200, " enter start   / filter   o open bundle   p practice   : go to   x explain   ? keys"},
		"quit where room":       {many[:2], false, 80, " enter start   / filter   ? keys   q quit"},
		"narrow":                {many, false, 40, " enter start   / filter   ? keys"},
		"very narrow":           {many, false, 9, " ? keys"},
		"nothing fits":          {many, false, 3, ""},
		"moving is not named":   {[]Hint{Do(Up, ""), Do(Down, ""), Do(Top, "")}, false, 80, " ? keys   q quit"},
		"letters are no keys":   {many[:1], true, 80, " enter start   f1 keys   ctrl+c quit"},
		"a key of a hint's own": {[]Hint{{Action: Pick, Word: "answer", Key: "1-5"}}, false, 80, " 1-5 answer   ? keys   q quit"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := m.Footer(tc.hints, tc.typing, tc.w, plain); got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}
