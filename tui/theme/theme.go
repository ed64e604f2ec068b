// Package theme gives roles their looks. Pages name roles, never colours, and every state has a
// glyph and a word of its own, so that nothing is said by colour alone. The default palette keeps
// apart for red-green weakness: what is in order is cyan, what is broken is red.
package theme

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	"amtmedic/diag"
	"amtmedic/tui/background"
)

// Role is what a piece of text is for.
type Role int

// The roles.
const (
	Plain Role = iota
	OK
	Broken // the root cause only
	Busy
	Warn // contradictions, what destroys, what could not be done
	Unknown
	Muted
	Accent
	Selected
	Title
	roles
)

// Config says what the terminal can do and what the person wants.
type Config struct {
	Dark     bool
	Contrast bool // no muted text, everything bold that matters
	ASCII    bool // no character beyond ASCII is drawn
	NoColor  bool
	Colors   int // 0, 16, 256 or more
}

// Theme is a palette ready to paint. It holds no global state.
type Theme struct {
	ASCII  bool
	styles [roles]lipgloss.Style
}

// Detect reads the environment, and never asks the terminal.
func Detect(getenv func(string) string, goos string) Config {
	words := getenv("AMTMEDIC_THEME")
	c := Config{
		Dark:     background.Dark(getenv),
		Contrast: strings.Contains(words, "contrast"),
		NoColor:  getenv("NO_COLOR") != "" || strings.Contains(words, "mono"),
		Colors:   16,
	}
	term := getenv("TERM")
	switch {
	case term == "dumb" || (term == "" && goos != "windows"):
		c.Colors = 0
	case strings.Contains(term, "256color"), strings.Contains(term, "truecolor"), getenv("COLORTERM") != "", getenv("WT_SESSION") != "":
		c.Colors = 256
	}
	// The fonts of the Linux console and of serial terminals lack most of the glyphs.
	c.ASCII = strings.Contains(words, "ascii") || term == "linux" || term == "dumb" || strings.HasPrefix(term, "vt") ||
		(goos != "windows" && !speaksUTF8(getenv))
	return c
}

func speaksUTF8(getenv func(string) string) bool {
	for _, k := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := getenv(k); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	// Nothing set: every present-day terminal takes UTF-8.
	return true
}

// New makes a theme.
func New(c Config) *Theme {
	r := lipgloss.NewRenderer(io.Discard)
	switch {
	case c.NoColor || c.Colors == 0:
		r.SetColorProfile(termenv.Ascii)
	case c.Colors < 256:
		r.SetColorProfile(termenv.ANSI)
	default:
		r.SetColorProfile(termenv.ANSI256)
	}
	r.SetHasDarkBackground(c.Dark)
	t := &Theme{ASCII: c.ASCII}
	color := func(dark, light string) lipgloss.Style {
		if c.Dark {
			return r.NewStyle().Foreground(lipgloss.Color(dark))
		}
		return r.NewStyle().Foreground(lipgloss.Color(light))
	}
	t.styles = [roles]lipgloss.Style{
		Plain:    r.NewStyle(),
		OK:       color("14", "6"),
		Broken:   color("9", "1").Bold(true),
		Busy:     color("11", "5"),
		Warn:     color("11", "5").Bold(true),
		Unknown:  color("13", "5"),
		Muted:    color(pick(c, "245", "7"), pick(c, "242", "8")),
		Accent:   color("12", "4"),
		Selected: color("12", "4").Bold(true),
		Title:    r.NewStyle().Bold(true),
	}
	if c.Contrast {
		t.styles[Muted] = r.NewStyle()
		for _, i := range []Role{OK, Busy, Unknown, Accent} {
			t.styles[i] = t.styles[i].Bold(true)
		}
	}
	return t
}

func pick(c Config, many, few string) string {
	if c.Colors >= 256 {
		return many
	}
	return few
}

// Paint gives text the look of a role. It takes one line.
func (t *Theme) Paint(r Role, s string) string {
	if r == Plain || s == "" {
		return s
	}
	return t.styles[r].Inline(true).Render(s)
}

// Match paints the places where a word of the filter stands, so that a person sees why a row fits.
func (t *Theme) Match(s, filter string) string {
	words := strings.Fields(strings.ToLower(filter))
	low := strings.ToLower(s)
	if len(words) == 0 || len(low) != len(s) { // lower case of other length: places would not agree
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		n := 0
		for _, w := range words {
			if strings.HasPrefix(low[i:], w) {
				n = max(n, len(w))
			}
		}
		if n == 0 {
			_, n = utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+n])
		} else {
			b.WriteString(t.styles[Accent].Inline(true).Underline(true).Render(s[i : i+n]))
		}
		i += n
	}
	return b.String()
}

// State is how one light looks and reads.
type State struct {
	Glyph string
	Short string // for the legend
	Word  string
	Role  Role
}

var states = map[diag.Light]State{
	diag.Unlooked:      {"·", "not looked at", "not looked at", Muted},
	diag.Good:          {"✓", "good", "in order", OK},
	diag.Broken:        {"✗", "broken", "broken", Broken},
	diag.Busy:          {"◐", "busy", "in progress", Busy},
	diag.Unknown:       {"?", "not known", "looked, not known", Unknown},
	diag.NotApplicable: {"–", "not here", "does not apply", Muted},
	diag.Contradicted:  {"!", "contradiction", "facts contradict each other", Warn},
	diag.Suspect:       {"~", "perhaps", "perhaps at fault", Unknown},
	diag.NotJudged:     {"·", "behind it", "not judged, it lies behind the broken link", Muted},
}

// Lights lists the lights for the legend. What lies behind the broken link looks like what was not
// looked at: neither is judged.
func Lights() []diag.Light {
	return []diag.Light{diag.Good, diag.Broken, diag.Busy, diag.Unlooked, diag.Unknown, diag.NotApplicable, diag.Contradicted, diag.Suspect}
}

// Of gives the state of a light.
func Of(l diag.Light) State {
	s, ok := states[l]
	if !ok {
		return states[diag.Unknown]
	}
	return s
}

// Glyph paints the glyph of a light.
func (t *Theme) Glyph(l diag.Light) string {
	s := Of(l)
	return t.Paint(s.Role, s.Glyph)
}

// Pointer is the mark of the selected row, or the room that it takes elsewhere.
func (t *Theme) Pointer(on bool) string {
	if on {
		return t.Paint(Selected, "▸")
	}
	return " "
}

// ascii maps every glyph of ours to one character of the same width, so that the layout stays.
var ascii = strings.NewReplacer("✓", "+", "✗", "x", "◐", "o", "·", ".", "–", "-", "—", "-", "▸", ">", "━", "=", "╌", "-", "─", "-",
	"│", "|", "┌", "+", "┐", "+", "└", "+", "┘", "+", "┼", "+", "┴", "+", "┬", "+", "█", "#", "░", ".", "▌", "_", "…", "~", "→", ">", "←", "<", "•", "*", "●", "*", "○", ".", "↑", "^", "↓", "v", "≤", "<", "“", `"`, "”", `"`, "’", "'")

// Draw gives the finished frame: in ASCII where that was asked for.
func (t *Theme) Draw(frame string) string {
	if !t.ASCII {
		return frame
	}
	return ascii.Replace(frame)
}
