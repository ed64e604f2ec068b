package verdict

import (
	"fmt"
	"slices"
	"strings"

	"amtmedic/diag"
	"amtmedic/tui/part/facts"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// wantedMax is the most keys of unknown facts that are named.
const wantedMax = 6

// labelWidth is the column of the labels in the middle part.
const labelWidth = 16

// decidedFacts gives the facts that decided, newest of each key, derived ones included.
func (p *Page) decidedFacts() []diag.Fact {
	s := p.env.Snap
	return facts.Latest(slices.Concat(s.Judgement.Derived, s.Facts), s.Judgement.DecidedBy)
}

func (p *Page) words(f diag.Fact) (what, where string) {
	what, where = facts.Words(f)
	if where == "" {
		where = f.Probe
	}
	return what, where
}

// middle draws the evidence in at most h lines. What decided goes before what follows.
func (p *Page) middle(w, h int) []string {
	after := p.context(w)
	decided := p.decided(w, max(2, h-len(after)-1))
	for len(after) > 0 && len(decided)+1+len(after) > h {
		after = after[:len(after)-1]
	}
	if len(decided) > h {
		decided = decided[:max(0, h)]
	}
	if len(after) == 0 {
		return decided
	}
	if len(decided) == 0 {
		return after
	}
	return append(append(decided, ""), after...)
}

// decided draws the facts that decided: vantage, what, where from, when.
func (p *Page) decided(w, h int) []string {
	fs := p.decidedFacts()
	if len(fs) == 0 || h < 2 {
		return nil
	}
	lines := []string{"   " + p.env.Paint(theme.Title, "Decided by")}
	room := h - 1
	cut := 0
	if len(fs) > room {
		cut = len(fs) - room + 1
		fs = fs[:len(fs)-cut]
	}
	wide := 0
	for _, f := range fs {
		_, where := p.words(f)
		wide = max(wide, min(text.Width(where), 24))
	}
	for _, f := range fs {
		what, where := p.words(f)
		vantage := string(f.Vantage)
		if vantage == "" {
			vantage = "case"
		}
		left := "   " + text.Fit(vantage, 8)
		right := p.env.Paint(theme.Muted, text.Fit(where, wide)+"  "+text.FitLeft(p.env.Clock(f.At), 8))
		left += facts.Cut(what, w-3-text.Width(left)-text.Width(right))
		lines = append(lines, text.Sides(left, right, w-1))
	}
	if cut > 0 {
		lines = append(lines, "   "+p.env.Paint(theme.Muted, fmt.Sprintf("and %d more: %s", cut, p.env.Keys.Key("evidence"))))
	}
	return lines
}

// context draws what is not the cause, what follows, what else is broken, and what would change it.
func (p *Page) context(w int) []string {
	j := &p.env.Snap.Judgement
	var lines []string
	add := func(label, s string) {
		if s == "" {
			return
		}
		for _, l := range text.Indent(label, s, labelWidth, w-4) {
			lines = append(lines, "   "+p.env.Paint(theme.Muted, l))
		}
	}
	if !j.Healthy() {
		add("Not the cause", p.inOrder())
	}
	add("Because of it", p.titles(j.Consequences))
	add("Also broken", p.titles(j.Further))
	if len(j.Contradictions) > 0 {
		var keys []string
		for _, c := range j.Contradictions {
			keys = append(keys, c.Key)
		}
		add("! Contradicted", strings.Join(keys, ", "))
	}
	if j.Healthy() && len(j.Remedies) > 0 {
		add("What is next", next[j.Verdict])
	}
	add("Would change it", j.Change)
	return lines
}

// inOrder names the stations that were looked at and are in order.
func (p *Page) inOrder() string {
	var words []string
	for st, l := range p.env.Snap.Judgement.Road {
		if l == diag.Good {
			words = append(words, diag.Station(st).String())
		}
	}
	if len(words) == 0 {
		return ""
	}
	return strings.Join(words, ", ") + ": looked at, in order"
}

// titles names causes in words, with their ids.
func (p *Page) titles(ids []string) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = id
		if t := p.env.Title(id); t != id && t != "" {
			parts[i] = t + " (" + id + ")"
		}
	}
	return strings.Join(parts, "; ")
}

// next says what comes after a verdict without fault.
var next = map[string]string{
	"ok-provisioned":   "Nothing is left to do on this road. The client can be managed.",
	"ok-cira-outside":  "Nothing is left to do. The client is managed through its tunnel; its ports on the LAN are closed by design.",
	"ok-in-progress":   "The service works on this client. Check again when its retry time has passed.",
	"ok-waiting-retry": "The road is open now. The client carries on with its next hello; restarting the hello makes it sooner.",
	"ok-not-started":   "Nobody has started setup on this client yet. The steps by hand, or One-Touch with a USB key, start it.",
}

// afterwards stands where a verdict has no remedy.
func (p *Page) afterwards(w int) []string {
	j := &p.env.Snap.Judgement
	s := next[j.Verdict]
	if s == "" {
		s = "The catalogue names no repair for this. Write a bundle and hand it on."
	}
	lines := []string{"   " + p.env.Paint(theme.Title, "What happens next")}
	for _, l := range text.Wrap(s, w-5) {
		lines = append(lines, "   "+l)
	}
	if j.Healthy() && !j.Complete {
		for _, l := range text.Wrap("Not everything was looked at; what is missing stands on the walk page.", w-5) {
			lines = append(lines, "   "+p.env.Paint(theme.Muted, l))
		}
	}
	return lines
}

// open is the page while no verdict stands: what fits so far, and what would decide.
func (p *Page) open(w int) []string {
	j := &p.env.Snap.Judgement
	lines := []string{" " + p.env.Theme.Glyph(diag.Unknown) + " " + p.env.Paint(theme.Title, "No verdict yet"), ""}
	add := func(label, s string) {
		for _, l := range text.Indent(label, s, labelWidth, w-4) {
			lines = append(lines, "   "+l)
		}
	}
	if j.Next != nil {
		add("Would decide", j.Next.Text+" ("+j.Next.ID+")")
	}
	add("In order", strings.TrimSuffix(p.inOrder(), ": looked at, in order"))
	if n := len(j.Wanted); n > 0 {
		s := strings.Join(j.Wanted[:min(n, wantedMax)], ", ")
		if n > wantedMax {
			s += fmt.Sprintf(", and %d more", n-wantedMax)
		}
		add("Not known", s)
	}
	if len(j.Possible) > 0 {
		lines = append(lines, "", "   "+p.env.Paint(theme.Title, "Would fit so far"))
		room := max(1, p.h-len(lines)-2)
		fitting := j.Possible
		if len(fitting) > room {
			fitting = fitting[:room-1]
		}
		for _, id := range fitting {
			t := p.env.Title(id)
			if t == id {
				t = ""
			}
			lines = append(lines, "   "+text.Cut(text.Sides(text.Cut(t, w-6-text.Width(id)), p.env.Paint(theme.Muted, id), w-5), w-4))
		}
		if n := len(j.Possible) - len(fitting); n > 0 {
			lines = append(lines, "   "+p.env.Paint(theme.Muted, fmt.Sprintf("and %d more", n)))
		}
	}
	return append(lines, "", "   "+p.env.Paint(theme.Muted, text.Cut("The walk goes on: "+p.env.Keys.Key("enter")+" leads back to it.", w-4)))
}
