// Package walk is the page on which the guided order is walked: where one is at the left, the one
// thing to do now at the right, and in wide windows what is known so far beside it.
package walk

import (
	"fmt"
	"slices"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/page/ask"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// Sizes of the panes in columns.
const (
	leftWidth  = 27  // the road as a list, at 80 columns
	twoPanes   = 72  // from here on the list stands beside the step
	threePanes = 132 // from here on what is known stands there too
	stepMax    = 84  // a wider step would be hard to read
)

// Page is the walk.
type Page struct {
	env    *page.Env
	w, h   int
	form   *ask.Form // while a question is asked
	client bool      // the practice PC's screen is shown
	inList bool      // the list has the keys
	checks list.List // cursor over the checks of the list
}

// New makes the page.
func New(env *page.Env) *Page {
	p := &Page{env: env}
	p.changed()
	return p
}

// Name is "walk".
func (p *Page) Name() string { return "walk" }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = w, h }

// Road is always there.
func (p *Page) Road() bool { return true }

// Status leaves the header to the case.
func (p *Page) Status() (string, string) { return "", "" }

// Typing reports whether an answer is being typed.
func (p *Page) Typing() bool { return p.form != nil && p.form.Typing() }

// changed follows the snapshot: a new question gets a new form.
func (p *Page) changed() {
	s := p.env.Snap
	p.checks.Set(len(shown(s.Judgement.Checks)), 1)
	if s.Step.Kind != flow.Asking || s.Step.Question == nil {
		p.form = nil
		return
	}
	if p.form == nil || p.form.ID() != s.Step.Question.ID {
		p.form = ask.NewForm(p.env, *s.Step.Question)
	}
}

// Update takes a key or a message of the root.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case page.Changed:
		p.changed()
	case page.Answered:
		if p.form != nil && p.form.ID() == msg.Question {
			p.form.Fail(msg.Err)
		}
	case tea.KeyMsg:
		return p.key(msg)
	}
	return nil
}

// Click chooses an answer.
func (p *Page) Click(line int) tea.Cmd {
	if p.form == nil || p.inList {
		return nil
	}
	return p.form.Click(line)
}

func (p *Page) key(k tea.KeyMsg) tea.Cmd {
	if p.Typing() {
		cmd, _ := p.form.Update(k)
		return cmd
	}
	m := p.env.Keys
	if m.Is(k, keymap.Panes) {
		p.toggleList()
		return nil
	}
	if p.inList {
		return p.listKey(k)
	}
	if p.form != nil {
		if cmd, taken := p.form.Update(k); taken {
			return cmd
		}
	}
	return p.stepKey(k)
}

// stepKey takes the keys that hold for every step.
func (p *Page) stepKey(k tea.KeyMsg) tea.Cmd {
	m, step := p.env.Keys, p.env.Snap.Step
	switch {
	case m.Is(k, keymap.Skip):
		return page.Send(page.Skip{})
	case m.Is(k, keymap.Undo):
		return page.Send(page.Undo{})
	case m.Is(k, keymap.Drain):
		return page.Send(page.Drain{})
	case m.Is(k, keymap.Client) && p.env.Practice():
		p.client = !p.client
	case m.Is(k, keymap.Answer) && len(p.env.Ask) > 0:
		return page.Send(page.Goto{Name: "answer"})
	case m.Is(k, keymap.Recheck):
		return page.Send(page.Recheck{Check: p.recheckWhat()})
	case m.Is(k, keymap.Explain):
		return page.Send(page.Goto{Name: "explain", Arg: step.Check.ID})
	case m.Is(k, keymap.Enter):
		if step.Kind == flow.Planned && step.Remedy != nil {
			return page.Send(page.Goto{Name: "remedy", Arg: step.Remedy.ID})
		}
		if step.Kind == flow.Provisioning {
			return page.Send(page.Goto{Name: "provisioning"})
		}
		if step.Kind == flow.Decided || step.Kind == flow.Stuck {
			return page.Send(page.Goto{Name: "verdict"})
		}
	}
	return nil
}

// recheckWhat gives the check of the step; a walk that has come to an end is checked as a whole.
func (p *Page) recheckWhat() string {
	s := p.env.Snap.Step
	if s.Kind == flow.Probing || s.Kind == flow.Asking {
		return s.Check.ID
	}
	return ""
}

func (p *Page) toggleList() {
	p.inList = !p.inList
	if !p.inList {
		return
	}
	for i, r := range shown(p.env.Snap.Judgement.Checks) {
		if r.Check == p.env.Snap.Step.Check.ID {
			p.checks.To(i)
		}
	}
}

func (p *Page) listKey(k tea.KeyMsg) tea.Cmd {
	m := p.env.Keys
	r, ok := p.selected()
	switch {
	case m.Is(k, keymap.Up):
		p.checks.Move(-1)
	case m.Is(k, keymap.Down):
		p.checks.Move(1)
	case m.Is(k, keymap.Top):
		p.checks.To(0)
	case m.Is(k, keymap.Bottom):
		p.checks.Last()
	case m.Is(k, keymap.Back):
		p.inList = false
	case m.Is(k, keymap.Recheck) && ok:
		p.inList = false
		return page.Send(page.Recheck{Check: r.Check})
	case (m.Is(k, keymap.Explain) || m.Is(k, keymap.Enter)) && ok:
		return page.Send(page.Goto{Name: "explain", Arg: r.Check})
	case m.Is(k, keymap.Copy) && ok:
		return page.Send(page.Copy{What: "the check", Text: r.Check + " " + p.env.Title(r.Check) + ": " + theme.Of(r.Light).Word})
	}
	return nil
}

// selected is the check under the cursor of the list.
func (p *Page) selected() (diag.Result, bool) {
	rs := shown(p.env.Snap.Judgement.Checks)
	if i := p.checks.Cursor(); i < len(rs) {
		return rs[i], true
	}
	return diag.Result{}, false
}

// Captures reports whether esc is for the page itself.
func (p *Page) Captures() bool { return p.inList || p.Typing() }

// Hints lists the keys for the present step, without what cannot be done now.
func (p *Page) Hints() []keymap.Hint {
	answered := slices.ContainsFunc(p.env.Snap.Facts, func(f diag.Fact) bool { return f.Probe == "person" })
	return slices.DeleteFunc(p.hints(), func(h keymap.Hint) bool {
		return h.Action == keymap.Answer && len(p.env.Ask) == 0 || h.Action == keymap.Undo && !answered
	})
}

func (p *Page) hints() []keymap.Hint {
	if p.Typing() {
		return []keymap.Hint{keymap.Do(keymap.Enter, "take it"), keymap.Do(keymap.Back, "back to the answers")}
	}
	if p.inList {
		return []keymap.Hint{keymap.Do(keymap.Enter, "explain"), {Action: keymap.Recheck}, keymap.Do(keymap.Up, "move"),
			keymap.Do(keymap.Copy, ""), keymap.Do(keymap.Panes, "to the step"), keymap.Do(keymap.Down, ""), keymap.Do(keymap.Top, ""), keymap.Do(keymap.Bottom, "")}
	}
	var hs []keymap.Hint
	more := []keymap.Hint{keymap.Do(keymap.Wire, ""), keymap.Do(keymap.Panes, "panes"), keymap.Do(keymap.Evidence, ""), keymap.Do(keymap.Explain, ""), keymap.Do(keymap.Recheck, ""),
		keymap.Do(keymap.Log, "")}
	practice := p.env.Practice()
	switch p.env.Snap.Step.Kind {
	case flow.Asking:
		n := 1
		if p.form != nil {
			n = p.form.Last()
		}
		hs = []keymap.Hint{{Action: keymap.Pick, Word: "answer", Key: fmt.Sprintf("1-%d", n)}, keymap.Do(keymap.Enter, "choose"),
			keymap.Do(keymap.Undo, "undo last answer"), keymap.Do(keymap.Skip, "")}
		if practice {
			hs = append(hs, keymap.Do(keymap.Client, ""), keymap.Do(keymap.Drain, ""))
		}
		return append(append(hs, keymap.Do(keymap.Answer, ""), keymap.Do(keymap.Verdict, "")), more...)
	case flow.Planned:
		hs = []keymap.Hint{keymap.Do(keymap.Enter, "preview"), keymap.Do(keymap.Skip, "leave it"), keymap.Do(keymap.Verdict, "verdict so far"), keymap.Do(keymap.Undo, ""), keymap.Do(keymap.Drain, "")}
	case flow.Provisioning:
		hs = []keymap.Hint{keymap.Do(keymap.Enter, "its steps"), keymap.Do(keymap.Skip, "leave it"), keymap.Do(keymap.Verdict, "verdict so far"), keymap.Do(keymap.Drain, "")}
	case flow.Decided, flow.Stuck:
		hs = []keymap.Hint{keymap.Do(keymap.Enter, "verdict"), keymap.Do(keymap.Undo, "undo last answer"), keymap.Do(keymap.Recheck, ""), keymap.Do(keymap.Answer, "")}
		more = []keymap.Hint{keymap.Do(keymap.Panes, "panes"), keymap.Do(keymap.Evidence, ""), keymap.Do(keymap.Wire, ""), keymap.Do(keymap.Drain, ""), keymap.Do(keymap.Log, ""), keymap.Do(keymap.Verdict, "")}
	default:
		hs = []keymap.Hint{keymap.Do(keymap.Drain, ""), keymap.Do(keymap.Skip, ""), keymap.Do(keymap.Answer, ""), keymap.Do(keymap.Verdict, "verdict so far"), keymap.Do(keymap.Undo, "")}
	}
	if practice {
		hs = append(hs[:2:2], append([]keymap.Hint{keymap.Do(keymap.Client, "")}, hs[2:]...)...)
	}
	return append(hs, more...)
}

// View draws the panes.
func (p *Page) View() []string {
	bar := " " + p.env.Paint(theme.Muted, "│") + " "
	switch {
	case p.w < twoPanes:
		if p.inList {
			return text.Block(p.left(p.w-2, p.h), p.w, p.h)
		}
		return pad(text.Block(p.right(p.w-2, p.h), p.w-2, p.h))
	case p.w < threePanes && p.client && p.env.Practice() && !p.inList:
		// The PC takes the place of the list: an answer is looked up beside its question.
		lw := p.w * 11 / 20
		return text.Columns(bar, p.h, text.Column{Lines: pad(p.screen(lw-2, p.h)), Width: lw - 1},
			text.Column{Lines: p.right(p.w-lw-2, p.h), Width: p.w - lw - 2})
	case p.w < threePanes:
		lw := leftWidth + (p.w-80)/6
		return text.Columns(bar, p.h, text.Column{Lines: p.left(lw-1, p.h), Width: lw - 1},
			text.Column{Lines: p.right(p.w-lw-2, p.h), Width: p.w - lw - 2})
	}
	lw := leftWidth + 9
	rest := p.w - lw - 5
	rw := min(stepMax, rest*3/5)
	return text.Columns(bar, p.h, text.Column{Lines: p.left(lw-1, p.h), Width: lw - 1},
		text.Column{Lines: p.right(rw, p.h), Width: rw}, text.Column{Lines: p.third(rest-rw, p.h), Width: rest - rw})
}

func pad(lines []string) []string {
	for i, l := range lines {
		if l != "" {
			lines[i] = " " + l
		}
	}
	return lines
}
