package walk

import (
	"fmt"
	"slices"

	"amtmedic/diag"
	"amtmedic/tui/part/road"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// shown gives the checks that stand in the list, in the order of the road: those that apply to this
// client.
func shown(rs []diag.Result) []diag.Result {
	var out []diag.Result
	for _, r := range rs {
		if r.Light != diag.NotApplicable {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b diag.Result) int { return int(a.Station) - int(b.Station) })
	return out
}

// left draws the road as a list: stations with their checks, or folded: those not
// reached to a count, the others to their state.
func (p *Page) left(w, h int) []string {
	s := p.env.Snap
	rs := shown(s.Judgement.Checks)
	var lines []string
	cursorLine := 0
	open := p.unfold(rs, h)
	for st := diag.Firmware; int(st) < diag.Stations; st++ {
		n := count(rs, st)
		head := road.Word(st, p.w)
		if p.w >= 80 {
			head = road.Word(st, max(80, p.w))
		}
		switch {
		case n == 0:
			lines = append(lines, " "+p.stationWord(st, head)+p.env.Paint(theme.Muted, " –"))
		case open[st]:
			lines = append(lines, " "+p.stationWord(st, head))
		case s.Judgement.Road[st] == diag.Unlooked || s.Judgement.Road[st] == diag.NotJudged:
			lines = append(lines, " "+p.stationWord(st, head)+p.env.Paint(theme.Muted, fmt.Sprintf(" … %d", n)))
		default:
			lines = append(lines, " "+p.stationWord(st, head)+" "+p.env.Theme.Glyph(s.Judgement.Road[st]))
		}
		if !open[st] {
			continue
		}
		var part []string
		at := 0
		for i, r := range rs {
			if r.Station != st {
				continue
			}
			on := p.inList && i == p.checks.Cursor()
			if on || (!p.inList && r.Check == s.Step.Check.ID) {
				at = len(part)
				cursorLine = len(lines) + at
			}
			part = append(part, p.checkLine(r, on, w))
		}
		lines = append(lines, p.fewer(part, at, max(3, h-diag.Stations-others(rs, open, st)))...)
	}
	return slide(lines, cursorLine, h)
}

// fewer cuts the checks of one station to room lines around line at, and counts the rest.
func (p *Page) fewer(part []string, at, room int) []string {
	if len(part) <= room {
		return part
	}
	room--
	from := max(0, min(at-room/2, len(part)-room))
	return append(slices.Clone(part[from:from+room]), p.env.Paint(theme.Muted, fmt.Sprintf("   … %d more", len(part)-room)))
}

// others counts the lines of checks that stand under other stations.
func others(rs []diag.Result, open [diag.Stations]bool, but diag.Station) int {
	n := 0
	for _, r := range rs {
		if open[r.Station] && r.Station != but {
			n++
		}
	}
	return n
}

func (p *Page) stationWord(st diag.Station, word string) string {
	switch p.env.Snap.Judgement.Road[st] {
	case diag.Unlooked, diag.NotJudged, diag.NotApplicable:
		return p.env.Paint(theme.Muted, word)
	}
	return p.env.Paint(theme.Title, word)
}

func (p *Page) checkLine(r diag.Result, on bool, w int) string {
	light := r.Light
	if r.Check == p.env.Snap.Step.Check.ID && light != diag.Broken && p.busy() {
		light = diag.Busy
	}
	title := text.Cut(p.env.Title(r.Check), w-3)
	switch {
	case on:
		title = p.env.Paint(theme.Selected, title)
	case light == diag.Unlooked || light == diag.NotJudged:
		title = p.env.Paint(theme.Muted, title)
	}
	return p.env.Theme.Pointer(on) + p.env.Theme.Glyph(light) + " " + title
}

// unfold says which stations show their checks: the one of the step, then those with something to
// say, then the ones before it, then the ones after it, as far as the lines reach.
func (p *Page) unfold(rs []diag.Result, h int) [diag.Stations]bool {
	var open [diag.Stations]bool
	here := p.here(rs)
	room := h - diag.Stations
	try := func(st diag.Station, force bool) bool {
		n := count(rs, st)
		if n > room && !force {
			return false
		}
		if !open[st] && n > 0 {
			open[st], room = true, room-n
		}
		return true
	}
	try(here, true)
	for st, l := range p.env.Snap.Judgement.Road {
		if l == diag.Broken || l == diag.Contradicted {
			try(diag.Station(st), false)
		}
	}
	for st := here - 1; st >= diag.Firmware && try(st, false); st-- {
	}
	for st := here + 1; int(st) < diag.Stations && try(st, false); st++ {
	}
	return open
}

// here is the station where one is: that of the cursor, of the step, or of the broken link.
func (p *Page) here(rs []diag.Result) diag.Station {
	if i := p.checks.Cursor(); p.inList && i < len(rs) {
		return rs[i].Station
	}
	s := p.env.Snap
	if s.Step.Check.ID != "" {
		return s.Step.Check.Station
	}
	for st, l := range s.Judgement.Road {
		if l == diag.Broken {
			return diag.Station(st)
		}
	}
	return diag.Firmware
}

func count(rs []diag.Result, st diag.Station) int {
	n := 0
	for _, r := range rs {
		if r.Station == st {
			n++
		}
	}
	return n
}

// slide cuts lines to h so that line at is among them.
func slide(lines []string, at, h int) []string {
	from := max(0, min(at-h/2, len(lines)-h))
	return lines[from:min(len(lines), from+h)]
}
