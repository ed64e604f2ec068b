// Package provisioning is the page of a client that is being provisioned behind the open road: its
// steps as the core takes them, and what became of it. Leaving it stops nothing.
package provisioning

import (
	"fmt"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
	"amtmedic/diag/probe"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/page/walk"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// Page is the provisioning of the case's client.
type Page struct {
	env  *page.Env
	w, h int
}

// New makes the page.
func New(env *page.Env) *Page { return &Page{env: env} }

// Name is "provisioning".
func (p *Page) Name() string { return "provisioning" }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = w, h }

// Road is there.
func (p *Page) Road() bool { return true }

// Typing never happens here.
func (p *Page) Typing() bool { return false }

// Status names the client, its profile and the core.
func (p *Page) Status() (string, string) {
	g := p.env.Snap.Provisioning
	if g == nil {
		return "", ""
	}
	right := g.Core
	if g.Profile != "" {
		right = "profile " + g.Profile + " · " + right
	}
	return g.FQDN, right
}

// Hints lists the keys.
func (p *Page) Hints() []keymap.Hint {
	hs := []keymap.Hint{keymap.Do(keymap.Enter, "verdict")}
	back := keymap.Do(keymap.Back, "back")
	if g := p.env.Snap.Provisioning; g != nil {
		switch g.State {
		case probe.ProgressDelayed:
			hs = []keymap.Hint{keymap.Do(keymap.Enter, "explain the reason"), keymap.Do(keymap.Verdict, "verdict")}
		case probe.ProgressWaiting, probe.ProgressRunning:
			hs, back = []keymap.Hint{keymap.Do(keymap.Verdict, "verdict so far")}, keymap.Do(keymap.Back, "back (it carries on)")
		}
	}
	return append(hs, keymap.Do(keymap.Wire, ""), back, keymap.Do(keymap.Evidence, ""), keymap.Do(keymap.Log, ""), keymap.Do(keymap.Recheck, ""))
}

// Update takes keys.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	k, ok := msg.(tea.KeyMsg)
	if !ok {
		return nil
	}
	g := p.env.Snap.Provisioning
	switch m := p.env.Keys; {
	case m.Is(k, keymap.Enter) && g != nil && g.State == probe.ProgressDelayed && g.Cause != "":
		return page.Send(page.Goto{Name: "explain", Arg: g.Cause})
	case m.Is(k, keymap.Enter) && (g == nil || !g.Ended.IsZero()):
		return page.Send(page.Goto{Name: "verdict"})
	case m.Is(k, keymap.Recheck):
		return tea.Sequence(page.Send(page.Goto{Name: "walk"}), page.Send(page.Recheck{}))
	}
	return nil
}

// View draws the page.
func (p *Page) View() []string {
	g := p.env.Snap.Provisioning
	if g == nil {
		return text.Block(append([]string{"", "   Nothing is being provisioned in this case."},
			indent(text.Wrap("When the road is open behind a repair, the core's work on this client stands here, step by step. Where no setup server is there to do it, this machine can be one: :core shows what would start, and asks first.", p.w-6))...), p.w, p.h)
	}
	lines := p.head(g)
	room := p.h - len(lines) - len(p.tail(g)) - 1
	lines = append(append(lines, p.steps(g, max(3, room))...), "")
	return text.Block(append(lines, p.tail(g)...), p.w, p.h)
}

func indent(lines []string) []string {
	for i, l := range lines {
		lines[i] = "   " + l
	}
	return lines
}

// head is the sentence.
func (p *Page) head(g *probe.Progress) []string {
	words, light := "The road is open. Provisioning runs.", diag.Busy
	switch g.State {
	case probe.ProgressWaiting:
		words = "The road is open. The core waits for the client's hello."
		if len(g.Steps) > 0 && g.Steps[0].Light == diag.Good {
			words = "The road is open. The client stands in the queue."
		}
	case probe.ProgressDone:
		words, light = "The client is provisioned, and by this server.", diag.Good
	case probe.ProgressDelayed:
		words, light = "The core put the client off: "+g.Cause, diag.Broken
	}
	return []string{" " + p.env.Theme.Glyph(light) + " " + p.env.Paint(theme.Title, text.Cut(words, p.w-4)), ""}
}

// titleWidth holds the longest title of a step.
const titleWidth = 28

// steps draws the lines, those around the present one when there is no room for all.
func (p *Page) steps(g *probe.Progress, room int) []string {
	var out []string
	for _, s := range g.Steps {
		at := text.Fit(p.env.Clock(s.At), 8)
		title, detail := text.Fit(s.Title, titleWidth), s.Detail
		if s.Light == diag.Unlooked {
			title, detail = p.env.Paint(theme.Muted, s.Title), "" // no blank behind it, painted or not
		}
		out = append(out, strings.TrimRight(" "+p.env.Theme.Glyph(s.Light)+" "+at+"  "+title+"  "+text.Cut(detail, max(1, p.w-titleWidth-16)), " "))
	}
	from := max(0, min(g.Done()-room/2, len(out)-room))
	return out[from:min(len(out), from+room)]
}

// tail says how far it is, and what would happen if the line dropped now.
func (p *Page) tail(g *probe.Progress) []string {
	end := g.Ended
	if end.IsZero() {
		end = p.env.Snap.Now
	}
	whole, done := max(1, len(g.Steps)), g.Done()
	n := 28 * done / whole
	bar := p.env.Paint(theme.Busy, strings.Repeat("█", n)) + p.env.Paint(theme.Muted, strings.Repeat("░", 28-n))
	lines := []string{fmt.Sprintf("   elapsed %s    %s    %d of %d steps", walk.Span(max(0, end.Sub(g.Since))), bar, done, whole), ""}
	var words string
	switch g.State {
	case probe.ProgressDone:
		words = "A log-in with the new password was seen. The password is sealed in csti_amts."
	case probe.ProgressDelayed:
		words = g.Reason + ". The core tries again at " + p.again(g.Again) + ", or with the next hello."
	default:
		words = "If the line drops now, nothing is lost: the next hello carries on at " + present(g) + "."
	}
	return append(lines, indent(text.Wrap(words, p.w-4))...)
}

func (p *Page) again(t time.Time) string {
	if t.IsZero() {
		return "its own time"
	}
	return p.env.Clock(t)
}

// present names the step that is due.
func present(g *probe.Progress) string {
	for _, s := range g.Steps {
		if s.Light != diag.Good {
			return s.Title
		}
	}
	return "the end"
}

// Lights turns the last stations of the road green as the steps come.
func Lights(l [diag.Stations]diag.Light, g *probe.Progress) [diag.Stations]diag.Light {
	if g == nil || g.State == probe.ProgressDelayed {
		return l
	}
	l[diag.Provisioned] = diag.Busy
	for _, s := range g.Steps {
		switch {
		case s.Name == "session" && s.Light == diag.Good:
			l[diag.TLS] = diag.Good
		case s.Name == "provisioned" && s.Light == diag.Good:
			l[diag.Provisioned] = diag.Good
		}
	}
	return l
}
