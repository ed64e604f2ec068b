package wire

import (
	"slices"
	"strings"
	"time"

	"amtmedic/diag/wire"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// late is how long after its time an attempt counts as due.
const late = 30 * time.Second

// mark is one point of a schedule.
type mark struct {
	at    time.Time
	glyph string
	word  string
	role  theme.Role
}

// schedule draws what may be expected of the client of the selected line, in three lines of w
// columns; nil when nothing may.
func (p *Page) schedule(w int) []string {
	l := p.selected()
	s, ok := p.store.schedule(l)
	if !ok {
		return nil
	}
	head := text.Sides("  Schedule of "+p.hide(addr(l.Client))+", form "+s.Form, p.env.Paint(theme.Muted, "an expected pattern, no proof"), w-1)
	marks := p.marks(s)
	for len(marks) > 2 && width(marks) > w-3 {
		i := len(marks) - 2 // the end is told, the gaps before it may go
		if marks[i].word != "" && !marks[i].at.After(p.env.Snap.Now) {
			i = 0
		}
		marks = slices.Delete(marks, i, i+1)
	}
	up, down := "  ", "  "
	for i, m := range marks {
		n := cell(m)
		down += text.Fit(m.label(p), n)
		up += p.env.Paint(m.role, m.glyph)
		if i < len(marks)-1 {
			up += p.env.Paint(theme.Muted, strings.Repeat("─", n-1))
		}
	}
	return []string{head, text.Cut(up, w), text.Cut(strings.TrimRight(down, " "), w)}
}

// label is the time of a mark, and what it is.
func (m mark) label(p *Page) string {
	return strings.TrimSpace(m.at.In(p.env.Zone).Format("15:04") + " " + m.word)
}

// cell is the width of a mark with its label and the line to the next.
func cell(m mark) int { return max(7, len("15:04 ")+len(m.word)+2) }

func width(marks []mark) int {
	n := 0
	for _, m := range marks {
		n += cell(m)
	}
	return n
}

// marks are the points: attempts that were seen, the next one, where the gaps grow, and the end.
func (p *Page) marks(s wire.Schedule) []mark {
	var out []mark
	for _, at := range s.Seen {
		out = append(out, mark{at, "●", "", theme.OK})
	}
	if s.Next.IsZero() {
		out[len(out)-1].word = "the last of the sequence"
		return out
	}
	next := mark{s.Next, "◐", "next", theme.Busy}
	if p.env.Snap.Now.After(s.Next.Add(late)) {
		next.word = "was due"
	}
	out = append(out, next)
	for _, at := range s.Later {
		if at.After(s.Next) {
			out = append(out, mark{at, "○", "", theme.Muted})
		}
	}
	switch {
	case !s.Ends.IsZero() && s.Ends.After(s.Next):
		return append(out, mark{s.Ends, "○", "window ends, at a first start " + s.First.In(p.env.Zone).Format("15:04"), theme.Muted})
	case !s.Ends.IsZero():
		return append(out, mark{s.First, "○", "window ends", theme.Muted})
	case s.Quiet.After(s.Next):
		return append(out, mark{s.Quiet, "○", "last, then silence", theme.Muted})
	}
	return out
}
