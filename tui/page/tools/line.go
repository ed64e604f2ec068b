package tools

import (
	"fmt"
	"strings"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/tui/page/preview"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// line is one thing that a tool tells. It is wrapped where it has to be.
type line struct {
	light diag.Light // drawn before it when mark is set
	mark  bool
	label string
	text  string
	role  theme.Role
	fixed bool // a row of a table: cut, not wrapped
}

func plainLine(s string) line             { return line{text: s} }
func mutedLine(s string) line             { return line{text: s, role: theme.Muted} }
func fieldLine(label, s string) line      { return line{label: label, text: s} }
func rowLine(r theme.Role, s string) line { return line{text: s, role: r, fixed: true} }
func lit(l diag.Light, s string) line     { return line{light: l, mark: true, text: s} }

// verdict is the sentence on top: sound, or what stands against it.
func verdict(problems []amt.Problem, sound, unfit string) line {
	if len(problems) == 0 {
		return lit(diag.Good, sound)
	}
	return lit(diag.Contradicted, unfit+"; "+several(len(problems), "problem"))
}

// judged gives problems and notes as lines.
func judged(problems, notes []amt.Problem) []line {
	var out []line
	for _, x := range problems {
		out = append(out, lit(diag.Contradicted, problemText(x)))
	}
	for _, x := range notes {
		out = append(out, line{label: "note", text: problemText(x), role: theme.Muted})
	}
	return out
}

// problemText gives a problem with its place.
func problemText(x amt.Problem) string {
	if x.Where == "" {
		return x.Text
	}
	return x.Where + ": " + x.Text
}

// labelWidth is the column of the texts behind labels.
const labelWidth = 14

// draw gives lines as they stand on the screen, w columns wide.
func (p *Page) draw(all []line, w int) []string {
	var out []string
	for _, l := range all {
		s := p.hide(l.text)
		switch {
		case l.fixed:
			out = append(out, "   "+p.env.Paint(l.role, text.Cut(s, w-4)))
			continue
		case s == "" && l.label == "":
			out = append(out, "")
			continue
		}
		head, indent := "   ", "   "
		if l.mark {
			st := theme.Of(l.light)
			head = " " + p.env.Paint(st.Role, st.Glyph) + " "
		}
		if l.label != "" {
			head += p.env.Paint(theme.Muted, text.Fit(l.label, labelWidth))
			indent += strings.Repeat(" ", labelWidth)
		}
		for i, part := range text.Wrap(s, max(1, w-1-text.Width(indent))) {
			if i > 0 {
				head = indent
			}
			out = append(out, head+p.env.Paint(l.role, part))
		}
	}
	return out
}

// more says how much lies below.
func (p *Page) more(to, all int) string { return preview.More(p.env, all-to) }

// copied gives lines as text for the clipboard.
func copied(all []line) string {
	var b strings.Builder
	for _, l := range all {
		if l.mark {
			b.WriteString(theme.Of(l.light).Glyph + " ")
		}
		if l.label != "" {
			b.WriteString(l.label + ": ")
		}
		b.WriteString(text.Clean(l.text) + "\n")
	}
	return b.String()
}

func several(n int, noun string) string { return text.Several(n, noun) }

func thousands(n int) string { return text.Thousands(n) }

// mib writes a size in bytes in MiB.
func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
