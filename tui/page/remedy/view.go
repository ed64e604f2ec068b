package remedy

import (
	"fmt"
	"slices"
	"strings"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/tui/keymap"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// View draws the stage.
func (p *Page) View() []string {
	w := min(p.w, 110)
	title := p.plan.Title
	if title == "" {
		title = p.r.Text
	}
	var head []string
	for _, l := range text.Wrap(title, w-2) {
		head = append(head, " "+p.env.Paint(theme.Title, l))
	}
	if p.r.Destructive {
		head = append(head, " "+p.env.Paint(theme.Warn, "! This loses data on the client, and cannot be taken back."))
	}
	if p.h >= 12 {
		head = append(head, "")
	}
	room := max(1, p.h-len(head))
	var body []string
	switch p.stage {
	case planning:
		body = []string{"   " + p.env.Theme.Glyph(diag.Busy) + " looking at what it would change; nothing is changed by looking"}
	case refused:
		body = p.trouble("It cannot be previewed", w)
	case filling:
		body = p.preview(w, room)
	case byHand:
		body = p.hand(w, room)
	case applying:
		body = append(p.planRows(w, room-2), "", "   "+p.env.Theme.Glyph(diag.Busy)+" it is being done, then the road is checked again")
	case done:
		body = p.outcome(w)
	case failed:
		body = append(p.trouble("It was not done", w), "", "   "+p.env.Paint(theme.Muted, "by hand instead"))
		for _, s := range p.steps() {
			for _, l := range text.Wrap(s, w-8) {
				body = append(body, "     "+l)
			}
		}
	}
	return text.Block(append(head, body...), p.w, p.h)
}

// planRows draws the rows of the plan, in at most h lines.
func (p *Page) planRows(w, h int) []string {
	wide := 12
	for _, r := range p.plan.Rows {
		wide = max(wide, min(20, text.Width(r.Label)))
	}
	wide += 3
	row := func(label, s string) []string {
		lines := text.Wrap(s, w-4-wide)
		for i, l := range lines {
			lines[i] = "   " + p.env.Paint(theme.Muted, text.Fit(label, wide)) + l
			label = ""
		}
		return lines
	}
	var lines []string
	for _, r := range p.plan.Rows {
		lines = append(lines, row(r.Label, r.Text)...)
	}
	undo := p.plan.Undo
	if undo == "" {
		undo = "none"
	}
	if !hasRow(p, "undo") {
		lines = append(lines, row("undo", undo)...)
	}
	p.lines, p.shown = len(lines), h
	if len(lines) <= h {
		p.top, p.read = 0, true
		return lines
	}
	p.shown = max(1, h-1)
	p.scroll(0)
	left := len(lines) - p.top - p.shown
	p.read = p.read || left <= 0
	lines = slices.Clone(lines[p.top : p.top+p.shown])
	more := "the end; " + p.env.Keys.Key(keymap.PageUp) + " goes back up"
	if left > 0 {
		more = fmt.Sprintf("%d more lines: %s", left, p.env.Keys.Key(keymap.PageDown))
	}
	return append(lines, "   "+p.env.Paint(theme.Accent, more))
}

func hasRow(p *Page, label string) bool {
	for _, r := range p.plan.Rows {
		if strings.HasPrefix(r.Label, label) {
			return true
		}
	}
	return false
}

// preview draws the plan, then the inputs and the word to type.
func (p *Page) preview(w, h int) []string {
	var foot []string
	if len(p.plan.ByHand) > 0 && h >= 11 {
		key := "y"
		if p.Typing() {
			key = "ctrl+y"
		}
		foot = append(foot, "   "+p.env.Paint(theme.Muted, "by hand instead")+"  "+key+" copies the steps", "")
	}
	switch {
	case p.env.ReadOnly:
		foot = append(foot, " "+p.env.Paint(theme.Warn, "! ")+"Read-only: nothing is changed from here. Start without --read-only to do it.")
	default:
		foot = append(foot, p.inputs(w)...)
	}
	for _, l := range text.Wrap(p.note, w-4) {
		foot = append(foot, " "+p.env.Paint(theme.Warn, "! "+l))
	}
	if h < 11 {
		return append(p.planRows(w, max(2, h-len(foot))), foot...)
	}
	lines := p.planRows(w, max(2, h-len(foot)-1))
	return append(append(lines, ""), foot...)
}

func (p *Page) inputs(w int) []string {
	var lines []string
	for i, in := range p.fields {
		label := "Type " + p.plan.Confirm + " to do it:"
		hint := ""
		if i < len(p.plan.Fields) {
			label, hint = p.plan.Fields[i].Label+":", p.plan.Fields[i].Hint
		}
		on := i == p.focus
		shown := in.Still()
		if on {
			shown = in.View(p.env.Theme, max(8, w-len(label)-6))
			label = p.env.Paint(theme.Selected, label)
			if in.Value() == "" && hint != "" {
				shown += "  " + p.env.Paint(theme.Muted, hint)
			}
		}
		lines = append(lines, text.Cut(" "+p.env.Theme.Pointer(on)+" "+label+" "+shown, w))
	}
	return lines
}

// hand draws the steps by hand with their ticks.
func (p *Page) hand(w, h int) []string {
	var lines []string
	if len(p.plan.Rows) > 0 {
		lines = append(p.planRows(w, max(2, h/2)), "")
	}
	lines = append(lines, "   "+p.env.Paint(theme.Muted, "by hand, step by step; when the last one is done the road is checked again"))
	steps := p.steps()
	p.rows.Set(len(steps), len(steps))
	at := 0
	var body []string
	for i, s := range steps {
		on := i == p.rows.Cursor()
		mark := p.env.Theme.Glyph(diag.Unlooked)
		if i < len(p.ticked) && p.ticked[i] {
			mark = p.env.Theme.Glyph(diag.Good)
		}
		if on {
			at = len(body)
		}
		for n, l := range text.Indent(fmt.Sprintf("%d", i+1), s, 3, w-8) {
			if on {
				l = p.env.Paint(theme.Selected, l)
			}
			if n > 0 {
				mark = " "
			}
			body = append(body, " "+p.env.Theme.Pointer(on && n == 0)+" "+mark+" "+l)
		}
	}
	room := max(1, h-len(lines)-2)
	from := max(0, min(at-room/2, len(body)-room))
	lines = append(lines, body[from:min(len(body), from+room)]...)
	for _, l := range text.Wrap(p.note, w-4) {
		lines = append(lines, " "+p.env.Paint(theme.Warn, "! "+l))
	}
	return lines
}

func (p *Page) trouble(what string, w int) []string {
	lines := []string{" " + p.env.Paint(theme.Warn, "! "+what)}
	for _, l := range text.Wrap(p.note, w-5) {
		lines = append(lines, "   "+l)
	}
	return lines
}

// outcome says what was done, and what the road says since.
func (p *Page) outcome(w int) []string {
	var lines []string
	for i, l := range text.Wrap("done: "+p.note, w-5) {
		mark := " "
		if i == 0 {
			mark = p.env.Theme.Glyph(diag.Good)
		}
		lines = append(lines, " "+mark+" "+l)
	}
	s := p.env.Snap
	lines = append(lines, "")
	switch s.Step.Kind {
	case flow.Decided:
		light := diag.Broken
		if s.Judgement.Healthy() {
			light = diag.Good
		}
		head := "the road was checked again"
		if s.Judgement.Verdict == p.was {
			head = "the road was checked again, and the verdict still stands"
		}
		lines = append(lines, "   "+head)
		for i, l := range text.Wrap(s.Judgement.Sentence+" ("+s.Judgement.Verdict+")", w-5) {
			mark := " "
			if i == 0 {
				mark = p.env.Theme.Glyph(light)
			}
			lines = append(lines, " "+mark+" "+l)
		}
	case flow.Planned:
		lines = append(lines, " "+p.env.Theme.Glyph(diag.Good)+" the cause is repaired; one step of the plan is left")
		if s.Step.Remedy != nil {
			for _, l := range text.Wrap(s.Step.Remedy.Text, w-5) {
				lines = append(lines, "   "+l)
			}
		}
	case flow.Asking:
		lines = append(lines, " "+p.env.Theme.Glyph(diag.Busy)+" the road is being checked again; a question waits on the walk page")
	case flow.Stuck:
		lines = append(lines, " "+p.env.Theme.Glyph(diag.Unknown)+" the road was checked again, and no verdict stands")
	default:
		what := s.Step.What
		if what == "" {
			what = s.Step.Check.Title
		}
		lines = append(lines, " "+p.env.Theme.Glyph(diag.Busy)+" the road is being checked again", "   "+p.env.Paint(theme.Muted, text.Cut(what, w-4)))
	}
	if p.plan.Undo != "" {
		lines = append(lines, "", "   "+p.env.Paint(theme.Muted, text.Cut(p.env.Keys.Key("undo")+"  "+p.plan.Undo, w-4)))
	}
	return lines
}
