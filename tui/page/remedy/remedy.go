// Package remedy is the page of one repair: the preview is read first, then the inputs are given,
// then the word is typed; a repair by hand is a list of steps that are ticked off.
package remedy

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/remedy"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
)

// stage is where the page is.
type stage int

const (
	planning stage = iota // the plan is being made
	refused               // there is no plan
	filling               // inputs, then the confirmation
	byHand                // steps are ticked off
	applying              // it is being done
	done
	failed
)

// Page is one repair.
type Page struct {
	env    *page.Env
	r      diag.Remedy
	n, of  int // its place among the remedies of the verdict, 0 for the next step of a plan
	w, h   int
	stage  stage
	plan   remedy.Plan
	fields []*input.Input // the plan's fields, then the confirmation
	focus  int
	ticked []bool
	rows   list.List
	top    int // first line of the preview that is shown
	lines  int // lines that the preview has, and that are shown
	shown  int
	read   bool   // its last line was shown
	note   string // what is wrong with an input, or what came out
	was    string // the verdict before the repair
}

// New makes the page; Init asks for the preview.
func New(env *page.Env, r diag.Remedy, n, of int) *Page {
	return &Page{env: env, r: r, n: n, of: of, was: env.Snap.Judgement.Verdict}
}

// Init asks for the preview.
func (p *Page) Init() tea.Cmd { return page.Send(page.Preview{Remedy: p.r}) }

// Name is "remedy".
func (p *Page) Name() string { return "remedy" }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = w, h }

// Road is there.
func (p *Page) Road() bool { return true }

// Typing reports whether a field has the keys.
func (p *Page) Typing() bool { return p.stage == filling && len(p.fields) > 0 }

// Finished reports whether the repair is done.
func (p *Page) Finished() bool { return p.stage == done }

// Status is the header.
func (p *Page) Status() (string, string) {
	if p.n == 0 {
		return "next step of the repair", p.r.ID
	}
	return fmt.Sprintf("remedy %d of %d", p.n, p.of), p.r.ID
}

// Hints lists the keys of the stage.
func (p *Page) Hints() []keymap.Hint {
	esc := func(w string) keymap.Hint { return keymap.Do(keymap.Back, w) }
	copyHint := keymap.Do(keymap.Copy, "copy")
	switch p.stage {
	case filling:
		if len(p.fields) == 0 {
			return []keymap.Hint{copyHint, keymap.Do(keymap.Explain, ""), esc("back")}
		}
		enter := keymap.Do(keymap.Enter, "next field")
		if p.focus == len(p.fields)-1 {
			enter = keymap.Hint{Action: keymap.Enter, Word: "do it", Key: p.plan.Confirm + " + enter"}
		}
		return []keymap.Hint{enter, {Action: keymap.Copy, Word: "copy", Key: "ctrl+y"}, esc("back, nothing is done"),
			keymap.Do(keymap.PageDown, ""), keymap.Do(keymap.PageUp, "")}
	case byHand:
		return []keymap.Hint{keymap.Do(keymap.Enter, "this step is done"), keymap.Do(keymap.Tick, "tick"), copyHint, keymap.Do(keymap.Explain, ""), esc("back"),
			keymap.Do(keymap.Up, ""), keymap.Do(keymap.Down, "")}
	case applying:
		return []keymap.Hint{esc("back (it carries on)")}
	case done:
		hs := []keymap.Hint{keymap.Do(keymap.Enter, "go on")}
		if p.plan.Undo != "" {
			hs = append(hs, keymap.Do(keymap.Undo, "undo it"))
		}
		return append(hs, keymap.Do(keymap.Log, ""), esc("back"))
	case failed, refused:
		return []keymap.Hint{keymap.Do(keymap.Enter, "look again"), copyHint, keymap.Do(keymap.Explain, ""), keymap.Do(keymap.Log, ""), esc("back")}
	}
	return []keymap.Hint{esc("back")}
}

// Update takes keys and the outcomes of what was asked for.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case page.Previewed:
		if msg.Remedy == p.r.ID {
			p.planned(msg)
		}
	case page.Applied:
		if msg.Remedy != p.r.ID {
			break
		}
		p.stage, p.note = done, text.Clean(msg.Done)
		if msg.Err != nil {
			p.stage, p.note = failed, text.Clean(msg.Err.Error())
		}
	case page.Undone:
		p.note = "taken back"
		if msg.Err != nil {
			p.note = text.Clean(msg.Err.Error())
		}
	case tea.KeyMsg:
		return p.key(msg)
	}
	return nil
}

// planned takes the plan and makes its fields.
func (p *Page) planned(m page.Previewed) {
	if m.Err != nil {
		p.stage, p.note = refused, text.Clean(m.Err.Error())
		return
	}
	p.plan, p.note, p.fields, p.focus = page.CleanPlan(m.Plan), "", nil, 0
	if !m.Automatic || p.plan.Confirm == "" {
		p.stage = byHand
		p.ticked = make([]bool, max(1, len(p.plan.ByHand)))
		return
	}
	p.stage = filling
	if p.env.ReadOnly {
		return
	}
	for _, f := range p.plan.Fields {
		p.fields = append(p.fields, &input.Input{Secret: f.Secret})
	}
	p.fields = append(p.fields, &input.Input{})
}

func (p *Page) key(k tea.KeyMsg) tea.Cmd {
	m := p.env.Keys
	if p.Typing() {
		if !m.Is(k, keymap.Copy) || k.Type == tea.KeyRunes {
			return p.typing(k)
		}
	}
	switch {
	case m.Is(k, keymap.Copy):
		return page.Send(page.Copy{What: "the steps by hand", Text: strings.Join(p.steps(), "\n")})
	case m.Is(k, keymap.Explain):
		return page.Send(page.Goto{Name: "explain", Arg: p.was})
	case p.stage == byHand:
		return p.tick(k)
	case m.Is(k, keymap.Undo) && p.stage == done && p.plan.Undo != "":
		return page.Send(page.UndoRemedy{})
	case m.Is(k, keymap.Enter) && p.stage == done:
		switch s := p.env.Snap.Step; {
		case s.Kind == flow.Provisioning, s.Kind == flow.Decided && p.env.Snap.Provisioning != nil:
			return page.Send(page.Goto{Name: "provisioning"})
		case s.Kind == flow.Decided:
			return page.Send(page.Goto{Name: "verdict"})
		case s.Kind == flow.Planned && s.Remedy != nil:
			return page.Send(page.Goto{Name: "remedy", Arg: s.Remedy.ID})
		}
		return page.Send(page.Goto{Name: "walk"})
	case m.Is(k, keymap.Enter) && (p.stage == failed || p.stage == refused):
		p.stage = planning
		return p.Init()
	}
	return nil
}

// typing takes a key for the focused field. Enter goes to the next one; at the last one it does the
// repair when the word stands there.
func (p *Page) typing(k tea.KeyMsg) tea.Cmd {
	m := p.env.Keys
	if p.fields[p.focus].Update(k) {
		p.note = ""
		return nil
	}
	switch {
	case m.Is(k, keymap.PageDown):
		p.scroll(max(1, p.shown-1))
	case m.Is(k, keymap.PageUp):
		p.scroll(-max(1, p.shown-1))
	case m.Is(k, keymap.Up):
		p.focus = max(0, p.focus-1)
	case m.Is(k, keymap.Down), m.Is(k, keymap.Panes):
		p.focus = (p.focus + 1) % len(p.fields)
	case m.Is(k, keymap.Enter):
		if !p.valid() {
			return nil
		}
		if p.focus < len(p.fields)-1 {
			p.focus++
			return nil
		}
		return p.confirm()
	}
	return nil
}

// valid checks the focused input; the confirmation has no check of its own.
func (p *Page) valid() bool {
	if p.focus >= len(p.plan.Fields) {
		return true
	}
	f := p.plan.Fields[p.focus]
	if f.Check == nil {
		return true
	}
	if err := f.Check(p.fields[p.focus].Value()); err != nil {
		p.note = f.Label + ": " + text.Clean(err.Error())
		return false
	}
	return true
}

func (p *Page) confirm() tea.Cmd {
	for i := range p.plan.Fields {
		p.focus = i
		if !p.valid() {
			return nil
		}
	}
	p.focus = len(p.fields) - 1
	p.View() // says whether all of the preview fits, also when no frame was drawn since the last key
	if !p.read {
		p.note = "read all of it first: " + p.env.Keys.Key(keymap.PageDown)
		return nil
	}
	if strings.TrimSpace(p.fields[p.focus].Value()) != p.plan.Confirm {
		p.note = "nothing is done yet: type " + p.plan.Confirm + ", then enter; esc goes back"
		return nil
	}
	return p.apply()
}

// scroll moves the preview.
func (p *Page) scroll(d int) {
	p.top = max(0, min(p.top+d, p.lines-p.shown))
}

// apply sends the intent with the inputs, and forgets them here.
func (p *Page) apply() tea.Cmd {
	inputs := map[string]string{}
	for i, f := range p.plan.Fields {
		if i < len(p.fields) {
			inputs[f.Name] = p.fields[i].Value()
		}
	}
	p.stage, p.note, p.fields = applying, "", nil
	return page.Send(page.Apply{Remedy: p.r, Inputs: inputs})
}

// steps are what is to be done by hand; the remedy's own text when the plan has none.
func (p *Page) steps() []string {
	if len(p.plan.ByHand) > 0 {
		return p.plan.ByHand
	}
	return []string{p.r.Text}
}

func (p *Page) tick(k tea.KeyMsg) tea.Cmd {
	m := p.env.Keys
	i := min(p.rows.Cursor(), len(p.ticked)-1)
	switch {
	case m.Is(k, keymap.Up):
		p.rows.Move(-1)
	case m.Is(k, keymap.Down):
		p.rows.Move(1)
	case m.Is(k, keymap.Tick):
		p.ticked[i] = !p.ticked[i]
	case m.Is(k, keymap.Enter) && p.env.ReadOnly:
		p.note = "read-only: do it by hand, then check again"
	case m.Is(k, keymap.Enter):
		p.ticked[i] = true
		for n, t := range p.ticked {
			if !t {
				p.rows.To(n)
				return nil
			}
		}
		return p.apply()
	}
	return nil
}
