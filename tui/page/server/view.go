package server

import (
	"errors"
	"fmt"
	"strings"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/tui/page/walk"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// labelWidth holds the longest label of a plan.
const labelWidth = 15

// View draws the page.
func (p *Page) View() []string {
	switch {
	case p.c == nil:
		return text.Block([]string{"", "   No setup server can be started from here: a practice world has its own."}, p.w, p.h)
	case p.Running():
		return text.Block(p.live(), p.w, p.h)
	}
	return text.Block(p.before(), p.w, p.h)
}

// wide is how far lines go: long ones are hard to read.
func (p *Page) wide() int { return min(p.w, 110) }

// before is what a start would do. What hinders it, and where the word is typed, always fit.
func (p *Page) before() []string {
	lines := []string{" " + p.env.Paint(theme.Title, "Let this machine be the setup server"), ""}
	switch {
	case p.err != nil:
		lines = append(append(lines, p.failure(p.err)...), "")
	case p.state == looking:
		return append(lines, " "+p.env.Theme.Glyph(diag.Busy)+" looking at ports and database")
	case p.plan.Refused != "":
		lines = append(append(lines, p.refusal(p.plan.Refused, p.plan.Hint)...), "")
	}
	foot := p.said()
	switch {
	case p.env.ReadOnly:
		foot = append([]string{"", " This screen is read-only: nothing is started."}, foot...)
	case p.in != nil:
		foot = append([]string{"", " Type " + wordStart + " to start it:  " + p.in.View(p.env.Theme, 12)}, foot...)
	}
	var rows []string
	for _, r := range p.plan.Rows {
		rows = append(rows, p.labelled(r.Label, r.Text)...)
	}
	if room := p.h - len(lines) - len(foot); p.plan.ByHand != "" && p.plan.Refused == "" && p.err == nil {
		if hand := p.labelled("by hand instead", p.plan.ByHand); len(rows)+len(hand)+1 <= room {
			rows = append(append(rows, ""), hand...)
		}
	}
	rows = rows[:min(len(rows), max(0, p.h-len(lines)-len(foot)))]
	return append(append(lines, rows...), foot...)
}

// labelled is one thing in as many lines as it needs.
func (p *Page) labelled(label, words string) []string {
	var out []string
	for _, l := range text.Wrap(p.hide(words), p.wide()-labelWidth-3) {
		out = append(out, " "+p.env.Paint(theme.Muted, text.Fit(label, labelWidth))+" "+l)
		label = ""
	}
	return out
}

// said is the note under the rest.
func (p *Page) said() []string {
	if p.note == "" {
		return nil
	}
	out := []string{""}
	for _, l := range text.Wrap(p.note, p.wide()-4) {
		out = append(out, "   "+l)
	}
	return out
}

// failure says why there is no server, and what to do.
func (p *Page) failure(err error) []string {
	var e *amt.Error
	hint := ""
	if errors.As(err, &e) {
		hint = e.Hint
	}
	return p.refusal(err.Error(), hint)
}

func (p *Page) refusal(why, hint string) []string {
	var out []string
	for i, l := range text.Wrap(p.hide(text.Clean(why)), p.wide()-4) {
		mark := "   "
		if i == 0 {
			mark = " " + p.env.Theme.Glyph(diag.Broken) + " "
		}
		out = append(out, mark+l)
	}
	for _, l := range text.Wrap(p.hide(text.Clean(hint)), p.wide()-4) {
		out = append(out, "   "+p.env.Paint(theme.Muted, l))
	}
	return out
}

// live is the running server: its counts, and what happened, the newest last.
func (p *Page) live() []string {
	p.mu.Lock()
	events, counts := p.events, p.counts
	p.mu.Unlock()
	words := map[state]string{starting: "The setup server is starting.", running: "This machine is the setup server.", stopping: "It stops in order: sessions come to their end, nothing is lost."}[p.state]
	lines := []string{" " + p.env.Theme.Glyph(diag.Busy) + " " + p.env.Paint(theme.Title, words), ""}
	for _, r := range p.plan.Rows {
		if len(lines) < 4 { // where it listens, and on which database
			lines = append(lines, "   "+p.env.Paint(theme.Muted, text.Fit(r.Label, labelWidth))+" "+text.Cut(p.hide(r.Text), p.w-labelWidth-5))
		}
	}
	lines = append(lines, fmt.Sprintf("   %s running   %s   %d provisioned   %d put off", walk.Span(p.c.Now().Sub(p.since)), counted(counts[Hello]+counts[HelloDelayed], "hello"), counts[Provisioned], counts[Delayed]+counts[HelloDelayed]), "")
	foot := p.said()
	if p.in != nil {
		foot = append([]string{"", " Type " + wordStop + " to stop it:  " + p.in.View(p.env.Theme, 12)}, foot...)
	}
	room := max(1, p.h-len(lines)-len(foot))
	if p.up > 0 { // who has scrolled back keeps the lines that are read
		p.up += counts.total() - p.drawn
	}
	p.drawn, p.up = counts.total(), min(p.up, max(0, len(events)-room))
	to := len(events) - p.up
	for _, e := range events[max(0, to-room):to] {
		lines = append(lines, p.row(e))
	}
	if len(events) == 0 {
		lines = append(lines, "   Nothing has happened yet. A client that is drained or restarted says hello within a minute.")
	}
	return append(lines, foot...)
}

// total is how many events there were.
func (c tally) total() (n int) {
	for _, k := range c {
		n += k
	}
	return n
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// row is one event.
func (p *Page) row(e Event) string {
	light := map[Kind]diag.Light{Ready: diag.Good, Hello: diag.Busy, HelloDelayed: diag.Broken, Provisioned: diag.Good, Delayed: diag.Broken, Failed: diag.Broken}[e.Kind]
	line := " " + p.env.Theme.Glyph(light) + " " + p.env.Clock(e.At) + "  " + text.Fit(e.What, 16) + "  "
	rest := strings.TrimSpace(e.Client + "  " + e.Detail)
	if p.w < 110 && len(e.Client) > 8 { // the first group of a UUID is enough to know it again
		rest = strings.TrimSpace(e.Client[:8] + "…  " + e.Detail)
	}
	return line + text.Cut(p.hide(text.Clean(rest)), max(1, p.w-text.Width(line)-1))
}

func (p *Page) hide(s string) string {
	if p.env.Hide == nil {
		return s
	}
	return p.env.Hide(s)
}
