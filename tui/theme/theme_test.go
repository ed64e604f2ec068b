package theme

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"amtmedic/diag"
)

var allLights = []diag.Light{diag.Unlooked, diag.Good, diag.Broken, diag.Busy, diag.Unknown, diag.NotApplicable, diag.Contradicted, diag.Suspect, diag.NotJudged}

// TestStatesDiffer: without colour, in ASCII, every state reads otherwise. Only what was not looked
// at and what is not judged share a glyph: neither says anything.
func TestStatesDiffer(t *testing.T) {
	th := New(Config{NoColor: true, ASCII: true})
	words, glyphs := map[string]diag.Light{}, map[string]diag.Light{}
	for _, l := range allLights {
		st := Of(l)
		g := th.Draw(th.Glyph(l))
		if len(g) != 1 || g[0] > 0x7e {
			t.Errorf("light %d: glyph %q is no ASCII character", l, g)
		}
		if o, ok := glyphs[g]; ok && (o != diag.Unlooked || l != diag.NotJudged) {
			t.Errorf("lights %d and %d share the glyph %q", o, l, g)
		}
		glyphs[g] = l
		if o, ok := words[st.Word]; ok {
			t.Errorf("lights %d and %d share the word %q", o, l, st.Word)
		}
		words[st.Word] = l
	}
	if p := th.Draw(th.Pointer(true)); p != ">" || glyphs[p] != 0 {
		t.Errorf("the mark of the selected row is %q", p)
	}
}

// TestOneRed: only the root cause is painted as broken.
func TestOneRed(t *testing.T) {
	for _, l := range allLights {
		if (Of(l).Role == Broken) != (l == diag.Broken) {
			t.Errorf("light %d has role %d", l, Of(l).Role)
		}
	}
}

func env(pairs ...string) func(string) string {
	return func(k string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == k {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestDetect(t *testing.T) {
	tests := map[string]struct {
		env  func(string) string
		goos string
		want Config
	}{
		"xterm":          {env("TERM", "xterm-256color", "LANG", "en_US.UTF-8"), "linux", Config{Dark: true, Colors: 256}},
		"sixteen":        {env("TERM", "xterm", "LANG", "C.UTF-8"), "linux", Config{Dark: true, Colors: 16}},
		"light":          {env("TERM", "xterm", "COLORFGBG", "0;15"), "linux", Config{Colors: 16}},
		"theme wins":     {env("TERM", "xterm", "COLORFGBG", "0;15", "AMTMEDIC_THEME", "dark"), "linux", Config{Dark: true, Colors: 16}},
		"no colour":      {env("TERM", "xterm", "NO_COLOR", "1"), "linux", Config{Dark: true, Colors: 16, NoColor: true}},
		"contrast":       {env("TERM", "xterm", "AMTMEDIC_THEME", "light-contrast"), "linux", Config{Contrast: true, Colors: 16}},
		"Linux console":  {env("TERM", "linux", "LANG", "C.UTF-8"), "linux", Config{Dark: true, Colors: 16, ASCII: true}},
		"serial line":    {env("TERM", "vt220"), "linux", Config{Dark: true, Colors: 16, ASCII: true}},
		"dumb":           {env("TERM", "dumb"), "linux", Config{Dark: true, ASCII: true}},
		"Latin locale":   {env("TERM", "xterm", "LANG", "de_DE"), "linux", Config{Dark: true, Colors: 16, ASCII: true}},
		"Windows":        {env(), "windows", Config{Dark: true, Colors: 16}},
		"Win. Terminal":  {env("WT_SESSION", "1"), "windows", Config{Dark: true, Colors: 256}},
		"locale by rank": {env("TERM", "xterm", "LC_ALL", "C.utf8", "LANG", "de_DE"), "linux", Config{Dark: true, Colors: 16}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Detect(tc.env, tc.goos); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// TestPaint: each palette paints, keeps the text, and stays within its colours.
func TestPaint(t *testing.T) {
	for name, c := range map[string]Config{"dark": {Dark: true, Colors: 256}, "light": {Colors: 256}, "sixteen": {Dark: true, Colors: 16}, "contrast": {Dark: true, Contrast: true, Colors: 16}} {
		th := New(c)
		for r := OK; r < roles; r++ {
			s := th.Paint(r, "text")
			if ansi.Strip(s) != "text" {
				t.Errorf("%s, role %d: %q", name, r, s)
			}
			if c.Colors == 16 && strings.Contains(s, "38;5;") {
				t.Errorf("%s, role %d: %q is no colour of sixteen", name, r, s)
			}
		}
		if th.Paint(OK, "x") == th.Paint(Broken, "x") {
			t.Errorf("%s: good and broken look alike", name)
		}
	}
	if s := New(Config{NoColor: true, Colors: 256}).Paint(Broken, "x"); s != "x" {
		t.Errorf("no colour: %q", s)
	}
}

func TestMatch(t *testing.T) {
	th := New(Config{Colors: 16, Dark: true})
	for _, tc := range [][2]string{{"The USB key", "usb key"}, {"Büro", "ro"}, {"nothing", "xyz"}, {"", "a"}, {"İstanbul", "i"}} {
		if got := ansi.Strip(th.Match(tc[0], tc[1])); got != tc[0] {
			t.Errorf("Match(%q, %q) changes the text: %q", tc[0], tc[1], got)
		}
	}
	if !strings.Contains(th.Match("The USB key", "usb"), "\x1b[") {
		t.Error("the place is not marked")
	}
	if got := New(Config{NoColor: true}).Match("The USB key", "usb"); got != "The USB key" {
		t.Errorf("without colour: %q", got)
	}
}
