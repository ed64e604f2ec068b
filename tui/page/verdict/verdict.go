// Package verdict is the page of the verdict: the sentence first, then what decided it, what follows
// from it, what would change it, and what to do.
package verdict

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// small is the height of a body that has no room for evidence.
const small = 12

// wide is the width from which on the page about the cause stands beside the verdict.
const wide = 132

// Page is the verdict.
type Page struct {
	env  *page.Env
	w, h int
	rows list.List // over the remedies
	at   list.Lines

	aboutID string // what the page beside it is about
	about   []string
}

// New makes the page.
func New(env *page.Env) *Page { return &Page{env: env} }

// Name is "verdict".
func (p *Page) Name() string { return "verdict" }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = w, h }

// Road is there.
func (p *Page) Road() bool { return true }

// Typing never happens here.
func (p *Page) Typing() bool { return false }

// Status leaves the header to the case.
func (p *Page) Status() (string, string) { return "", "" }

// Hints lists the keys.
func (p *Page) Hints() []keymap.Hint {
	j := &p.env.Snap.Judgement
	var hs []keymap.Hint
	switch {
	case len(j.Remedies) > 0:
		hs = append(hs, keymap.Do(keymap.Enter, "preview"))
	default:
		hs = append(hs, keymap.Do(keymap.Enter, "back to the walk"))
	}
	hs = append(hs, keymap.Do(keymap.Evidence, ""))
	if j.Verdict != "" {
		hs = append(hs, keymap.Do(keymap.Explain, ""))
	}
	if p.env.Bundles {
		hs = append(hs, keymap.Do(keymap.Bundle, ""))
	}
	return append(hs, keymap.Do(keymap.Recheck, ""), keymap.Do(keymap.Wire, ""), keymap.Do(keymap.Copy, "copy"), keymap.Do(keymap.Undo, "undo a repair"),
		keymap.Do(keymap.Log, ""), keymap.Do(keymap.Pick, ""), keymap.Do(keymap.Up, ""), keymap.Do(keymap.Down, ""), keymap.Do(keymap.Back, ""))
}

// Update takes keys.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	k, ok := msg.(tea.KeyMsg)
	if !ok {
		return nil
	}
	m, j := p.env.Keys, &p.env.Snap.Judgement
	p.rows.Set(len(j.Remedies), max(1, len(j.Remedies)))
	if n := m.Number(k); n >= 0 && n < len(j.Remedies) {
		p.rows.To(n)
		return p.preview()
	}
	switch {
	case m.Is(k, keymap.Up):
		p.rows.Move(-1)
	case m.Is(k, keymap.Down):
		p.rows.Move(1)
	case m.Is(k, keymap.Enter):
		return p.preview()
	case m.Is(k, keymap.Recheck):
		return tea.Sequence(page.Send(page.Goto{Name: "walk"}), page.Send(page.Recheck{}))
	case m.Is(k, keymap.Explain) && j.Verdict != "":
		return page.Send(page.Goto{Name: "explain", Arg: j.Verdict})
	case m.Is(k, keymap.Undo):
		return page.Send(page.UndoRemedy{})
	case m.Is(k, keymap.Copy):
		return page.Send(page.Copy{What: "the verdict", Text: p.plain()})
	}
	return nil
}

// Click chooses a remedy; the second click previews it.
func (p *Page) Click(line int) tea.Cmd {
	if again, ok := p.rows.Click(p.at, line); ok && again {
		return p.preview()
	}
	return nil
}

func (p *Page) preview() tea.Cmd {
	j := &p.env.Snap.Judgement
	if i := p.rows.Cursor(); i < len(j.Remedies) {
		return page.Send(page.Goto{Name: "remedy", Arg: j.Remedies[i].ID})
	}
	return page.Send(page.Goto{Name: "walk"})
}

// plain is the verdict as text for a message to a colleague.
func (p *Page) plain() string {
	j := &p.env.Snap.Judgement
	if j.Verdict == "" {
		return "no verdict yet"
	}
	var b strings.Builder
	b.WriteString(j.Sentence + "\n" + name(j) + "\n")
	for _, f := range p.decidedFacts() {
		what, where := p.words(f)
		b.WriteString(strings.Join([]string{string(f.Vantage), what, where, p.env.Clock(f.At)}, "  ") + "\n")
	}
	for _, r := range j.Remedies {
		b.WriteString("- " + r.Text + "\n")
	}
	return b.String()
}

// name is id, component and confidence in one line.
func name(j *diag.Judgement) string {
	s := j.Verdict
	for _, part := range []string{j.Component, string(j.Confidence)} {
		if part != "" {
			s += " · " + part
		}
	}
	return s
}

// View draws the page: head and remedies always, the evidence as far as the lines reach.
func (p *Page) View() []string {
	if p.w >= wide && p.env.Snap.Judgement.Verdict != "" {
		return p.columns()
	}
	return p.draw(min(p.w, 130))
}

// columns sets the page about the verdict beside it.
func (p *Page) columns() []string {
	left := wide * 3 / 4
	right := min(p.w-left-3, 90)
	var about []string
	if id := p.env.Snap.Judgement.Verdict; id != p.aboutID {
		p.aboutID, p.about = id, text.CleanLines(p.env.Explain(id))
	}
	for _, l := range p.about {
		if wrapped := text.Wrap(l, right-1); len(wrapped) > 0 {
			about = append(about, wrapped...)
		} else {
			about = append(about, "")
		}
	}
	if len(about) > p.h {
		about = append(about[:p.h-1], p.env.Paint(theme.Muted, p.env.Keys.Key(keymap.Explain)+" shows the rest"))
	}
	return text.Columns(" "+p.env.Paint(theme.Muted, "│")+" ", p.h, text.Column{Lines: p.draw(left), Width: left}, text.Column{Lines: about, Width: right})
}

// draw draws the page in w columns.
func (p *Page) draw(w int) []string {
	j := &p.env.Snap.Judgement
	if j.Verdict == "" {
		p.at = nil
		return text.Block(p.open(w), p.w, p.h)
	}
	head, actions := p.head(w), p.actions(w)
	if p.h < small {
		room := p.h - len(head) - 1
		if len(actions) > room {
			actions = p.compact(w, room)
		}
		return p.join(append(head, ""), actions)
	}
	room := p.h - len(head) - len(actions) - 2
	if len(p.middle(w, p.h)) > room { // evidence goes before the full words of a repair; its preview has them
		actions = p.short(w)
		room = p.h - len(head) - len(actions) - 2
	}
	if room < 4 && len(actions) > 4 {
		actions = p.compact(w, max(3, p.h-len(head)-7))
		room = p.h - len(head) - len(actions) - 2
	}
	lines := append(head, "")
	if mid := p.middle(w, room); len(mid) > 0 {
		lines = append(append(lines, mid...), "")
	}
	return p.join(lines, actions)
}

// join puts the remedies below the rest, and remembers where they stand.
func (p *Page) join(above, actions []string) []string {
	at := list.Lines{}
	for l, row := range p.at {
		at[len(above)+l] = row
	}
	p.at = at
	return text.Block(append(above, actions...), p.w, p.h)
}

// head is sentence and name; in a small window the name stands first.
func (p *Page) head(w int) []string {
	j := &p.env.Snap.Judgement
	light, role := diag.Broken, theme.Broken
	if j.Healthy() {
		light, role = diag.Good, theme.OK
	}
	var lines []string
	for _, l := range text.Wrap(j.Sentence, w-4) {
		lines = append(lines, "   "+p.env.Paint(theme.Title, l))
	}
	id := "   " + text.Cut(name(j), w-4)
	if p.h < small {
		return append([]string{" " + p.env.Theme.Glyph(light) + " " + p.env.Paint(role, text.Cut(name(j), w-4))}, lines...)
	}
	if len(lines) > 0 {
		lines[0] = " " + p.env.Theme.Glyph(light) + lines[0][2:]
	}
	return append(lines, id)
}

// actions draws "What to do" with every remedy.
func (p *Page) actions(w int) []string {
	j := &p.env.Snap.Judgement
	p.at = list.Lines{}
	if len(j.Remedies) == 0 {
		return p.afterwards(w)
	}
	lines := p.actionsHead(w)
	for i := range j.Remedies {
		p.at[len(lines)] = i
		lines = append(lines, p.remedyRow(i, w, false)...)
	}
	return lines
}

// short is actions with one line for each remedy.
func (p *Page) short(w int) []string {
	j := &p.env.Snap.Judgement
	if len(j.Remedies) == 0 {
		return p.actions(w)
	}
	lines := p.actionsHead(w)
	p.at = list.Lines{}
	for i := range j.Remedies {
		p.at[len(lines)] = i
		lines = append(lines, p.remedyRow(i, w, true)...)
	}
	return lines
}

func (p *Page) actionsHead(w int) []string {
	if p.h < small {
		return nil
	}
	right := ""
	if p.env.ReadOnly {
		right = "read-only: shown, not done"
	}
	return []string{"   " + text.Sides(p.env.Paint(theme.Title, "What to do"), p.env.Paint(theme.Muted, right), w-5)}
}

// compact draws the remedies around the cursor in h lines.
func (p *Page) compact(w, h int) []string {
	j := &p.env.Snap.Judgement
	lines := p.actionsHead(w)
	p.rows.Set(len(j.Remedies), max(1, h-len(lines)))
	from, to := p.rows.Window()
	p.at = list.Lines{}
	for i := from; i < to; i++ {
		p.at[len(lines)] = i
		lines = append(lines, p.remedyRow(i, w, true)...)
	}
	return lines
}

// remedyRow draws one remedy, in one line where there is no room for more.
func (p *Page) remedyRow(i, w int, short bool) []string {
	j := &p.env.Snap.Judgement
	r := j.Remedies[i]
	p.rows.Set(len(j.Remedies), max(1, len(j.Remedies)))
	on := i == p.rows.Cursor()
	kind := "by hand"
	if p.env.Automatic(r) {
		kind = "automatic"
	}
	bare := kind
	if r.Destructive {
		kind = text.Fit(kind, 10) + p.env.Paint(theme.Warn, "! loses data")
	}
	label := string(rune('1'+min(i, 8))) + "  "
	if alternative(j.Remedies, i) {
		label += "or "
	}
	right := w - 6 - 24
	if p.h < small {
		right = w - 6 - 12
		if r.Destructive {
			kind = p.env.Paint(theme.Warn, "!") + " " + bare
		}
	}
	lines := text.Indent(label, r.Text, len(label), right)
	if short {
		lines = []string{text.Cut(label+r.Text, right)}
	}
	for n, l := range lines {
		if on {
			l = p.env.Paint(theme.Selected, l)
		}
		l = " " + p.env.Theme.Pointer(on && n == 0) + " " + l
		if n == 0 {
			l = text.Fit(l, right+5) + kind
		}
		lines[n] = strings.TrimRight(l, " ")
	}
	return lines
}

// alternative reports whether remedy i stands in for an earlier one: same cause, a number behind.
func alternative(rs []diag.Remedy, i int) bool {
	for _, r := range rs[:i] {
		if strings.HasPrefix(rs[i].ID, r.ID+"-") && len(rs[i].ID) == len(r.ID)+2 {
			return true
		}
	}
	return false
}
