package ask

import (
	"fmt"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// Answers is the page on which any question can be answered out of turn.
type Answers struct {
	env  *page.Env
	w, h int
	rows list.List
	form *Form // the question chosen
}

// NewAnswers makes the page.
func NewAnswers(env *page.Env) *Answers { return &Answers{env: env} }

// Name is "answer".
func (p *Answers) Name() string { return "answer" }

// SetSize takes the size of the body.
func (p *Answers) SetSize(w, h int) { p.w, p.h = w, h }

// Road is there.
func (p *Answers) Road() bool { return true }

// Typing reports whether an answer is being typed.
func (p *Answers) Typing() bool { return p.form != nil && p.form.Typing() }

// Captures reports whether esc leads back to the list.
func (p *Answers) Captures() bool { return p.form != nil }

// Status is the header.
func (p *Answers) Status() (string, string) {
	return "answer out of turn", fmt.Sprintf("%d questions", len(p.env.Ask))
}

// Hints lists the keys.
func (p *Answers) Hints() []keymap.Hint {
	if p.form == nil {
		return []keymap.Hint{keymap.Do(keymap.Enter, "answer it"), keymap.Do(keymap.Back, ""), {Action: keymap.Up, Word: "move", Key: "↑ ↓"}, keymap.Do(keymap.Up, ""),
			keymap.Do(keymap.Down, ""), keymap.Do(keymap.PageUp, ""), keymap.Do(keymap.PageDown, "")}
	}
	if p.form.Typing() {
		return []keymap.Hint{keymap.Do(keymap.Enter, "take it"), keymap.Do(keymap.Back, "back to the answers")}
	}
	return []keymap.Hint{{Action: keymap.Pick, Word: "answer", Key: fmt.Sprintf("1-%d", p.form.Last())}, keymap.Do(keymap.Enter, "choose"),
		keymap.Do(keymap.Back, "other question"), keymap.Do(keymap.Up, ""), keymap.Do(keymap.Down, "")}
}

// Update takes keys and outcomes.
func (p *Answers) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case page.Answered:
		switch {
		case p.form == nil || p.form.ID() != msg.Question:
		case msg.Err != nil:
			p.form.Fail(msg.Err)
		default:
			return page.Send(page.Back{})
		}
	case tea.KeyMsg:
		return p.key(msg)
	}
	return nil
}

// Click chooses an answer, or a question.
func (p *Answers) Click(line int) tea.Cmd {
	if p.form != nil {
		return p.form.Click(line)
	}
	from, to := p.rows.Window()
	if i := from + line - 2; line >= 2 && i < to {
		if i == p.rows.Cursor() {
			p.form = NewForm(p.env, p.env.Ask[i])
		}
		p.rows.To(i)
	}
	return nil
}

func (p *Answers) key(k tea.KeyMsg) tea.Cmd {
	m := p.env.Keys
	if p.form != nil {
		cmd, taken := p.form.Update(k)
		if !taken && m.Is(k, keymap.Back) {
			p.form = nil
		}
		return cmd
	}
	p.rows.Set(len(p.env.Ask), max(1, p.h-2))
	switch {
	case m.Is(k, keymap.Up):
		p.rows.Move(-1)
	case m.Is(k, keymap.Down):
		p.rows.Move(1)
	case m.Is(k, keymap.PageUp):
		p.rows.Move(-p.rows.Page())
	case m.Is(k, keymap.PageDown):
		p.rows.Move(p.rows.Page())
	case m.Is(k, keymap.Enter):
		if i := p.rows.Cursor(); i < len(p.env.Ask) {
			p.form = NewForm(p.env, p.env.Ask[i])
		}
	}
	return nil
}

// View draws the list, or the question.
func (p *Answers) View() []string {
	w := min(p.w, 110)
	if p.form != nil {
		lines := p.form.View(w-3, p.h)
		for i, l := range lines {
			if l != "" {
				lines[i] = " " + l
			}
		}
		return text.Block(lines, p.w, p.h)
	}
	if len(p.env.Ask) == 0 {
		return text.Block([]string{"", "   No question can be answered out of turn here.", "   esc leads back to the walk."}, p.w, p.h)
	}
	p.rows.Set(len(p.env.Ask), max(1, p.h-2))
	lines := []string{"   " + p.env.Paint(theme.Title, "Which question do you want to answer?"), ""}
	from, to := p.rows.Window()
	for i := from; i < to; i++ {
		q, on := p.env.Ask[i], i == p.rows.Cursor()
		id := text.Clean(q.ID)
		title := text.Cut(q.Title, w-8-text.Width(id))
		if on {
			title = p.env.Paint(theme.Selected, title)
		}
		lines = append(lines, text.Sides(" "+p.env.Theme.Pointer(on)+" "+title, p.env.Paint(theme.Muted, id), w-2))
	}
	return text.Block(lines, p.w, p.h)
}
