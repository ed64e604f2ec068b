package tui

import (
	"strings"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/tui/page/provisioning"
	"amtmedic/tui/part/facts"
	"amtmedic/tui/part/road"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

const muted = theme.Muted

// The smallest window that can be used.
const (
	leastWidth  = 60
	leastHeight = 15
)

// tooSmall is all that a smaller window shows.
const tooSmall = "window too small, need 60x15"

func (m *model) small() bool { return m.w < leastWidth || m.h < leastHeight }

// Lines around the body: header, two rules, footer; and the road.
const (
	frameLines = 4
	roadLines  = 2
)

// resize gives every page its size.
func (m *model) resize() {
	for _, p := range m.stack {
		p.SetSize(max(1, m.w), max(1, m.bodyHeight(p.Road())))
	}
}

func (m *model) bodyHeight(withRoad bool) int {
	h := m.h - frameLines
	if withRoad {
		h -= roadLines
	}
	return h
}

// View draws the frame. Before the size is known nothing is drawn.
func (m *model) View() string {
	if m.w < 1 || m.h < 1 {
		return ""
	}
	if m.small() {
		return m.env.Theme.Draw(m.smallView())
	}
	p := m.top()
	lines := make([]string, 0, m.h)
	lines = append(lines, m.header())
	if p.Road() && m.env.Snap != nil {
		lines = append(lines, road.Draw(m.env.Theme, m.lights(), m.w)...)
	}
	lines = append(lines, m.env.Paint(muted, strings.Repeat("─", m.w)))
	body := text.Block(p.View(), m.w, m.h-len(lines)-2)
	for i := range body { // spaces at the end would only cost bytes
		body[i] = strings.TrimRight(body[i], " ")
	}
	lines = append(lines, body...)
	lines = append(lines, m.ruleWithNote(), m.footer())
	m.hideLines(lines)
	return m.env.Theme.Draw(strings.Join(lines, "\n"))
}

// smallView is one line, and with help open the two keys that act.
func (m *model) smallView() string {
	lines := []string{text.Cut(tooSmall, m.w)}
	if m.top().Name() == "help" {
		lines = append(lines, text.Cut("q quit", m.w), text.Cut("? this help", m.w))
	}
	return strings.Join(lines[:min(len(lines), m.h)], "\n")
}

// lights gives the road; the station of the present step is busy unless something is broken there.
func (m *model) lights() [diag.Stations]diag.Light {
	s := m.env.Snap
	l := s.Judgement.Road
	if s.Step.Kind == flow.Provisioning {
		l = provisioning.Lights(l, s.Provisioning)
	}
	working := s.Step.Kind == flow.Probing || s.Step.Kind == flow.Asking
	if st := s.Step.Check.Station; working && s.Step.Check.ID != "" && l[st] != diag.Broken && l[st] != diag.Contradicted {
		l[st] = diag.Busy
	}
	return l
}

// header is name, case and what is known of the client; parts give way from the middle.
func (m *model) header() string {
	middle, right := m.top().Status()
	left := " " + m.env.Paint(theme.Accent, "amtmedic")
	if m.veil.on {
		left += " " + m.env.Paint(theme.Warn, "[names hidden]")
	}
	s := m.env.Snap
	if s == nil {
		return text.Sides(left+"  "+middle, m.env.Paint(muted, right), m.w-1)
	}
	name := s.CaseID
	if name == "" {
		name = s.World
	}
	left += "  " + m.env.Paint(theme.Title, text.Cut(name, m.w/3))
	if middle == "" {
		middle = s.Judgement.UUID
		if middle == "" {
			middle = "UUID not known yet"
		}
		if m.w < 80 {
			middle = ""
		}
	}
	if right == "" {
		right = m.client()
	}
	if middle != "" && text.Width(left)+2+text.Width(middle)+2+text.Width(right) <= m.w {
		left += "  " + middle
	}
	return text.Sides(left, m.env.Paint(muted, right), m.w-1)
}

// client is method and version, as far as they are known.
func (m *model) client() string {
	s := m.env.Snap
	method := "method not known"
	if w, ok := map[string]string{"psk": "PSK", "rcfg": "Remote Configuration", "local": "local", "manual": "by hand"}[s.Judgement.Method]; ok {
		method = w
		if m.w >= 80 {
			method = "method " + w
		}
	}
	if w := s.World; w != "" && w != "this machine" && w != s.CaseID {
		method = w + " · " + method
	}
	if m.o.ReadOnly {
		method = "read-only · " + method
	}
	if fs := facts.Latest(s.Facts, []string{"client.amt_version"}); len(fs) > 0 {
		method += " · AMT " + facts.Value(fs[0].Value)
	}
	return method
}

// ruleWithNote is the lower rule; what just happened stands in it.
func (m *model) ruleWithNote() string {
	if m.note == "" {
		return m.env.Paint(muted, strings.Repeat("─", m.w))
	}
	note := " " + text.Cut(m.hide(m.note), m.w-6) + " "
	rest := max(0, m.w-2-text.Width(note))
	return m.env.Paint(muted, "──") + m.env.Paint(theme.Accent, note) + m.env.Paint(muted, strings.Repeat("─", rest))
}

func (m *model) footer() string {
	if m.to != nil {
		return m.gotoLine(m.w)
	}
	return m.env.Keys.Footer(m.top().Hints(), m.top().Typing(), m.w, func(k string) string { return m.env.Paint(theme.Accent, k) })
}
