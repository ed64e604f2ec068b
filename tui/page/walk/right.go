package walk

import (
	"fmt"
	"strings"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/tui/page/ask"
	"amtmedic/tui/part/facts"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// busy reports whether the step works on its check.
func (p *Page) busy() bool {
	k := p.env.Snap.Step.Kind
	return k == flow.Thinking || k == flow.Probing || k == flow.Asking
}

// right draws the one thing that is done now.
func (p *Page) right(w, h int) []string {
	s := p.env.Snap
	if p.client && p.env.Practice() && p.w < twoPanes {
		return p.screen(w, h)
	}
	if p.inList {
		if r, ok := p.selected(); ok {
			return p.check(r, w)
		}
	}
	switch s.Step.Kind {
	case flow.Asking:
		if p.form != nil {
			return p.form.View(w, h)
		}
	case flow.Probing:
		return p.probing(w, h)
	case flow.Planned:
		return p.planned(w)
	case flow.Provisioning:
		return p.provisioning(w)
	case flow.Decided:
		return p.decided(w)
	case flow.Stuck:
		return p.stuck(w)
	}
	what := s.Step.What
	if what == "" {
		what = "looking at what is known"
	}
	return []string{p.env.Theme.Glyph(diag.Busy) + " " + text.Cut(what, w-2)}
}

func (p *Page) heading(title, id string, w int) []string {
	lines := text.Wrap(title, w-text.Width(id)-3)
	for i := range lines {
		lines[i] = p.env.Paint(theme.Title, lines[i])
	}
	if len(lines) == 0 {
		lines = []string{""}
	}
	lines[0] = text.Sides(lines[0], p.env.Paint(theme.Muted, id), w)
	return lines
}

// probing draws a running probe: what for, what it does, how long it waits, what it saw.
func (p *Page) probing(w, h int) []string {
	st := p.env.Snap.Step
	title := st.Check.Title
	if title == "" {
		title = p.env.Title(st.Check.ID)
	}
	lines := append(p.heading(title, st.Check.ID, w), "")
	if why := ask.Labelled(p.env, "Why", st.Check.Why, w); len(why) > 0 && h >= 12 {
		lines = append(append(lines, why...), "")
	}
	what := st.What
	if what == "" {
		what = st.Check.How
	}
	if how := ask.Labelled(p.env, "How", what, w); len(how) > 0 {
		lines = append(lines, how...)
		if h >= 12 {
			lines = append(lines, "")
		}
	}
	lines = append(lines, p.waiting(w)...)
	tail := p.quicker(w)
	seen := p.seen(w, h-len(lines)-1)
	if len(lines)+len(seen)+len(tail)+2 > h {
		tail = nil
	}
	for _, block := range [][]string{seen, tail} {
		if len(block) > 0 {
			lines = append(append(lines, ""), block...)
		}
	}
	return lines
}

// seen draws what was seen so far in at most h lines, the newest at the end.
func (p *Page) seen(w, h int) []string {
	all := p.env.Snap.Step.Seen
	if len(all) == 0 || h < 2 {
		return nil
	}
	lines := []string{p.env.Paint(theme.Muted, "Seen so far")}
	for _, l := range all[max(0, len(all)-h+1):] {
		lines = append(lines, "  "+text.Cut(l, w-2))
	}
	return lines
}

// waiting says since when and until when, and draws the bar when there is an end.
func (p *Page) waiting(w int) []string {
	s := p.env.Snap
	st := s.Step
	gone := max(0, s.Now.Sub(st.Since))
	head := p.env.Theme.Glyph(diag.Busy) + " working " + Span(gone)
	if st.Until.IsZero() || st.Since.IsZero() {
		if st.WaitsFor != "" {
			head += "  for " + st.WaitsFor
		}
		return []string{text.Cut(head, w)}
	}
	whole := max(time.Second, st.Until.Sub(st.Since))
	lines := []string{text.Sides(head, "until "+Span(whole)+" at most", min(w, 50)), "  " + p.Bar(gone, whole, min(46, w-4))}
	if st.WaitsFor != "" {
		lines = append(lines, "  "+text.Cut("for "+st.WaitsFor, w-2))
	}
	return lines
}

// Bar draws how much of a whole has gone by.
func (p *Page) Bar(gone, whole time.Duration, w int) string {
	w = max(1, w)
	n := min(w, int(int64(w)*int64(gone)/int64(whole)))
	return p.env.Paint(theme.Busy, strings.Repeat("█", n)) + p.env.Paint(theme.Muted, strings.Repeat("░", w-n))
}

// Span gives a duration as minutes and seconds, with hours when there are any.
func Span(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// quicker names the quicker way out of a wait.
func (p *Page) quicker(w int) []string {
	st := p.env.Snap.Step
	if st.Until.IsZero() || st.Until.Sub(st.Since) < 30*time.Second || st.Check.Station > diag.Wire {
		return nil
	}
	tip := "Waiting costs nothing. To hear one sooner, cut the client from power and plug it in again, then press " + p.env.Keys.Key("drain") + "."
	if p.env.Practice() {
		tip = "Waiting costs nothing. To hear one sooner, " + p.env.Keys.Key("drain") + " drains the practice PC."
	}
	return text.Wrap(tip, w)
}

func (p *Page) decided(w int) []string {
	j := &p.env.Snap.Judgement
	light := diag.Broken
	if j.Healthy() {
		light = diag.Good
	}
	var lines []string
	for i, l := range text.Wrap(j.Sentence, w-2) {
		mark := " "
		if i == 0 {
			mark = p.env.Theme.Glyph(light)
		}
		lines = append(lines, mark+" "+p.env.Paint(theme.Title, l))
	}
	lines = append(lines, "  "+p.env.Paint(theme.Muted, text.Cut(j.Verdict+dot(j.Component)+dot(string(j.Confidence)), w-2)), "")
	return append(lines, text.Wrap(p.env.Keys.Key("enter")+" shows what decided, and what to do.", w)...)
}

// provisioning says that the core has the client, and where its steps stand.
func (p *Page) provisioning(w int) []string {
	lines := []string{p.env.Theme.Glyph(diag.Busy) + " " + p.env.Paint(theme.Title, text.Cut("The road is open: the core has the client", w-2)), ""}
	k := p.env.Keys
	return append(lines, text.Wrap(k.Key("enter")+" shows its steps; "+k.Key("skip")+" leaves it to the core, and the road is judged as it is.", w)...)
}

// planned says what the repair plan has next.
func (p *Page) planned(w int) []string {
	r := p.env.Snap.Step.Remedy
	if r == nil {
		return []string{p.env.Theme.Glyph(diag.Busy) + " looking at what is known"}
	}
	lines := append(p.heading("The cause is repaired", r.ID, w), "", "One step of the plan is left:")
	for i, l := range text.Wrap(r.Text, w-2) {
		if i == 0 {
			lines = append(lines, p.env.Theme.Pointer(true)+" "+p.env.Paint(theme.Selected, l))
			continue
		}
		lines = append(lines, "  "+p.env.Paint(theme.Selected, l))
	}
	kind := "by hand"
	if p.env.Automatic(*r) {
		kind = "automatic"
	}
	if r.Destructive {
		kind += " · ! loses data"
	}
	k := p.env.Keys
	lines = append(lines, "  "+p.env.Paint(theme.Muted, kind), "")
	return append(lines, text.Wrap(k.Key("enter")+" shows what it would do; "+k.Key("skip")+" leaves it, and the road is judged as it is.", w)...)
}

func dot(s string) string {
	if s == "" {
		return ""
	}
	return " · " + s
}

// stuck says that nothing is left to do here, and what would help.
func (p *Page) stuck(w int) []string {
	s, k := p.env.Snap, p.env.Keys
	lines := []string{p.env.Theme.Glyph(diag.Unknown) + " " + p.env.Paint(theme.Title, text.Cut("Nothing is left to measure or to ask here", w-2)), ""}
	if n := s.Judgement.Next; n != nil {
		lines = append(append(lines, ask.Labelled(p.env, "Open", n.Text+" ("+n.ID+")", w)...), "")
	}
	if n := len(s.Skipped); n > 0 {
		lines = append(append(lines, text.Wrap(fmt.Sprintf("%d skipped: %s", n, strings.Join(s.Skipped, ", ")), w)...), "")
	}
	ways := [][2]string{{k.Key("recheck"), "walk the road once more"}, {k.Key("undo"), "take the last answer back"}, {k.Key("enter"), "what is known so far"}}
	if len(p.env.Ask) > 0 {
		ways = append([][2]string{{k.Key("answer"), "answer a question now"}}, ways...)
	}
	for _, l := range ways {
		lines = append(lines, text.Cut(" "+text.Fit(p.env.Paint(theme.Accent, l[0]), 7)+l[1], w))
	}
	return lines
}

// check draws the result of the check under the cursor of the list.
func (p *Page) check(r diag.Result, w int) []string {
	st := theme.Of(r.Light)
	lines := append(p.heading(p.env.Title(r.Check), r.Check, w), "", p.env.Theme.Glyph(r.Light)+" "+st.Word)
	for _, c := range r.Causes {
		lines = append(lines, text.Indent("", p.env.Title(c.ID)+" ("+c.ID+", "+string(c.Confidence)+")", 2, w)...)
	}
	for _, n := range r.Notes {
		lines = append(lines, text.Indent("", n, 2, w)...)
	}
	var used []string
	for _, c := range r.Causes {
		used = append(used, c.Decided...)
	}
	if fs := facts.Latest(p.env.Snap.Facts, used); len(fs) > 0 {
		lines = append(lines, "", p.env.Paint(theme.Muted, "Seen"))
		for _, f := range fs {
			what, _ := facts.Words(f)
			lines = append(lines, "  "+facts.Cut(what, w-2))
		}
	}
	if len(r.Missing) > 0 {
		lines = append(lines, "", p.env.Paint(theme.Muted, "Not known yet"))
		for _, m := range r.Missing {
			lines = append(lines, "  "+text.Cut(m, w-2))
		}
	}
	return lines
}

// screen draws the practice PC.
func (p *Page) screen(w, h int) []string {
	s := p.env.Snap
	inner := max(1, w-4)
	edge := func(l, r string) string {
		return p.env.Paint(theme.Muted, l+strings.Repeat("─", inner+2)+r)
	}
	side := p.env.Paint(theme.Muted, "│")
	lines := []string{p.env.Paint(theme.Title, text.Cut("The practice PC's screen", w)), edge("┌", "┐")}
	var body []string
	for _, l := range s.Client {
		if l == "" {
			body = append(body, "")
		}
		for i, part := range text.Wrap(l, inner) {
			if i > 0 {
				part = text.FitLeft(part, inner) // what is left of a value stands at the right
			}
			body = append(body, part)
		}
	}
	for _, l := range body[:min(len(body), max(0, h-4))] {
		lines = append(lines, side+" "+text.Fit(l, inner)+" "+side)
	}
	return append(lines, edge("└", "┘"), p.env.Paint(theme.Muted, text.Cut(p.env.Keys.Key("drain")+" drains it; its hellos start again", w)))
}

// third is the column of wide windows: the practice PC, or the newest facts.
func (p *Page) third(w, h int) []string {
	if p.client && p.env.Practice() {
		return p.screen(w, h)
	}
	fs := p.env.Snap.Facts
	lines := []string{p.env.Paint(theme.Muted, fmt.Sprintf("Known so far: %d facts", len(fs)))}
	if len(fs) == 0 {
		return append(lines, "nothing yet; the first probe brings it")
	}
	room := max(1, h-1)
	for _, f := range fs[max(0, len(fs)-room):] {
		what, where := facts.Words(f)
		left := text.Fit(p.env.Clock(f.At), 9) + text.Fit(string(f.Vantage), 7)
		if room := w - text.Width(left) - text.Width(where) - 2; room < text.Width(what) {
			where = "" // what was seen goes before where
		}
		left += facts.Cut(what, w-text.Width(left))
		lines = append(lines, text.Sides(left, p.env.Paint(theme.Muted, where), w))
	}
	return lines
}
