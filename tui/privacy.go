package tui

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
	"amtmedic/diag/privacy"
	"amtmedic/tui/page"
	"amtmedic/tui/part/text"
)

// veil hides names and addresses. Pages get what it lets through, so that they lay it out and copy
// it as they do everything; each frame goes through it once more, for what a page had before.
type veil struct {
	on   bool
	mask privacy.Mask
	raw  picture // the last picture as it came
}

// hide gives pseudonyms to what one text names, when that is wanted.
func (m *model) hide(s string) string {
	if !m.veil.on {
		return s
	}
	return m.veil.mask.Text(s)
}

// unveiled takes a picture in as the pages may see it.
func (m *model) unveiled(p picture) {
	m.veil.raw = p
	m.veil.mask.LearnFacts(p.snap.Facts)
	if m.veil.on {
		hide := page.Rewrite(m.veil.mask.Text)
		p.snap = hide.Snapshot(p.snap)
		p.snap.CaseID = m.veil.raw.snap.CaseID // our own word, by which the case is found again
		p.ask = slices.Clone(p.ask)
		for i, q := range p.ask {
			p.ask[i] = hide.Question(q)
		}
	}
	*m.env.Snap, m.env.Ask = p.snap, p.ask
}

// togglePrivacy hides names and addresses, or shows them again.
func (m *model) togglePrivacy() tea.Cmd {
	m.veil.on = !m.veil.on
	m.env.Hidden = m.veil.on
	m.note = "names and addresses are shown"
	if m.veil.on {
		m.note = "names and addresses are hidden, also in copies; a bundle keeps them"
	}
	if m.feed == nil || m.seen == 0 {
		return nil
	}
	m.unveiled(m.veil.raw)
	return m.deliver(page.Changed{})
}

// hideIn hides in what the walk answers to an intent.
func (m *model) hideIn(msg tea.Msg) tea.Msg {
	if !m.veil.on {
		return msg
	}
	hide := page.Rewrite(m.veil.mask.Text)
	failed := func(err error) error {
		if err == nil {
			return nil
		}
		return errors.New(hide(err.Error()))
	}
	switch msg := msg.(type) {
	case page.Answered:
		msg.Err = failed(msg.Err)
		return msg
	case page.Previewed:
		msg.Plan, msg.Err = hide.Plan(msg.Plan), failed(msg.Err)
		return msg
	case page.Applied:
		msg.Done, msg.Err = hide(msg.Done), failed(msg.Err)
		return msg
	case page.Undone:
		msg.Err = failed(msg.Err)
		return msg
	case page.Saved:
		msg.Err = failed(msg.Err)
		return msg
	case page.OpenFailed:
		msg.Err = failed(msg.Err)
		return msg
	}
	return msg
}

// realRemedy gives a remedy as the walk knows it.
func (m *model) realRemedy(r diag.Remedy) diag.Remedy {
	s := &m.veil.raw.snap
	if s.Step.Remedy != nil && s.Step.Remedy.ID == r.ID {
		return *s.Step.Remedy
	}
	for _, x := range s.Judgement.Remedies {
		if x.ID == r.ID {
			return x
		}
	}
	return r
}

// paint is what colours text on the screen.
var paint = regexp.MustCompile("\x1b\\[[0-9;:]*m")

// hideLines hides in finished lines, between their colours.
func (m *model) hideLines(lines []string) {
	if !m.veil.on {
		return
	}
	for i, l := range lines {
		var b strings.Builder
		from := 0
		for _, c := range paint.FindAllStringIndex(l, -1) {
			b.WriteString(m.hide(l[from:c[0]]) + l[c[0]:c[1]])
			from = c[1]
		}
		b.WriteString(m.hide(l[from:]))
		if s := b.String(); s != l {
			lines[i] = text.Cut(s, m.w)
		}
	}
}
