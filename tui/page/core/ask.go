package core

import (
	"context"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/page/preview"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// yes is the word that is typed before something is changed or shown.
const yes = "yes"

// ask is something that needs a person's word: it says what would happen, takes the word, does it,
// and says what came of it.
type ask struct {
	p     *Page
	title string
	rows  []askRow
	label string // of the text that is typed; empty asks for the word
	hint  string
	in    *input.Input // nil when nothing can be typed: only to be read
	check func(s string) error
	run   func(ctx context.Context, typed string) reply
	only  string // why nothing can be typed; empty is that the program changes nothing

	note   string
	busy   bool
	over   bool // it came to an end
	done   bool
	bad    bool
	window preview.Window
}

// askRow is a line of what would happen.
type askRow = preview.Row

// reply is what came of it: the next thing to ask, or an end in words.
type reply struct {
	next  *ask
	done  string // what was done
	said  string // why there was nothing to do
	err   error
	apply func() // done in the page's own goroutine
}

// asked brings a reply to the page.
type asked struct {
	from  *ask
	reply reply
}

// confirm makes an ask that wants the word.
func (p *Page) confirm(title string, rows []askRow, run func(ctx context.Context) reply) *ask {
	a := &ask{p: p, title: title, rows: rows, run: func(ctx context.Context, _ string) reply { return run(ctx) }}
	if !p.env.ReadOnly {
		a.in = &input.Input{}
	}
	return a
}

func (a *ask) typing() bool { return a.in != nil && !a.busy && !a.over }

func (a *ask) hints() []keymap.Hint {
	back := keymap.Do(keymap.Back, "back, nothing is done")
	switch {
	case a.busy:
		return []keymap.Hint{keymap.Do(keymap.Back, "back (it carries on)")}
	case a.over:
		return []keymap.Hint{keymap.Do(keymap.Enter, "go on"), keymap.Do(keymap.Back, "")}
	case a.in == nil:
		return []keymap.Hint{keymap.Do(keymap.Back, ""), keymap.Do(keymap.PageDown, ""), keymap.Do(keymap.PageUp, "")}
	case a.label != "":
		return []keymap.Hint{keymap.Do(keymap.Enter, "go on"), back}
	}
	return []keymap.Hint{{Action: keymap.Enter, Word: "do it", Key: yes + " + enter"}, back, keymap.Do(keymap.PageDown, ""), keymap.Do(keymap.PageUp, "")}
}

func (a *ask) key(k tea.KeyMsg) tea.Cmd {
	m := a.p.env.Keys
	if a.typing() && a.in.Update(k) {
		a.note = ""
		return nil
	}
	switch {
	case m.Is(k, keymap.Back), a.over && m.Is(k, keymap.Enter):
		a.p.ask = nil
		if a.over {
			return a.p.lookOnce()
		}
	case m.Is(k, keymap.PageDown), m.Is(k, keymap.Down):
		a.window.Turn(1)
	case m.Is(k, keymap.PageUp), m.Is(k, keymap.Up):
		a.window.Turn(-1)
	case a.typing() && m.Is(k, keymap.Enter):
		return a.enter()
	}
	return nil
}

// enter does it when the word stands there.
func (a *ask) enter() tea.Cmd {
	typed := strings.TrimSpace(a.in.Value())
	switch {
	case a.label != "" && a.check != nil:
		if err := a.check(typed); err != nil {
			a.note = text.Clean(err.Error())
			return nil
		}
	case a.label == "":
		a.p.View() // says whether all of it fits, also when no frame was drawn since the last key
		if !a.window.Read() {
			a.note = "read all of it first: " + a.p.env.Keys.Key(keymap.PageDown)
			return nil
		}
		if typed != yes {
			a.note = "nothing is done yet: type " + yes + ", then enter; esc goes back"
			return nil
		}
	}
	a.busy, a.note = true, ""
	return a.p.send(func(ctx context.Context) any { return asked{a, a.run(ctx, typed)} })
}

// asked takes a reply in. When its ask was left meanwhile, the end is told in a note.
func (p *Page) asked(r asked) tea.Cmd {
	if r.reply.apply != nil && r.reply.err == nil {
		r.reply.apply()
	}
	p.counted = time.Time{} // whatever was done, the numbers of before are old
	if p.ask != r.from {
		switch {
		case r.reply.err != nil:
			return page.Send(page.Note{Text: "not done: " + r.reply.err.Error()})
		case r.reply.done != "": // what was only said is of no use any more
			return tea.Batch(page.Send(page.Note{Text: r.reply.done}), p.lookOnce())
		}
		return nil
	}
	a := p.ask
	a.busy = false
	switch {
	case r.reply.err != nil && a.label != "":
		a.note = p.hide(errorText(r.reply.err))
	case r.reply.err != nil:
		a.over, a.bad, a.note = true, true, p.hide(errorText(r.reply.err))
	case r.reply.next != nil:
		p.ask = r.reply.next
	case r.reply.said != "":
		a.over, a.note = true, p.hide(r.reply.said)
	case r.reply.done == "":
		p.ask = nil
	default:
		a.done = true
		a.over, a.note = true, p.hide(r.reply.done)
	}
	return p.lookOnce()
}

// view draws it in h lines.
func (a *ask) view(w, h int) []string {
	env, inner := a.p.env, min(w, 110)
	return a.window.View(env, preview.Head(env, a.title, inner, h), preview.Body(env, a.rows, a.p.hide, inner), a.foot(inner), h)
}

// foot is what is typed, or what came of it.
func (a *ask) foot(w int) []string {
	note := func(role theme.Role, mark, s string) []string { return preview.Note(a.p.env, role, mark, s, w) }
	switch {
	case a.busy:
		return note(theme.Busy, theme.Of(diag.Busy).Glyph, "it is being done")
	case a.over && a.bad:
		return note(theme.Warn, "!", "not done: "+a.note)
	case a.over && !a.done:
		return note(theme.Muted, theme.Of(diag.NotApplicable).Glyph, a.note)
	case a.over:
		return note(theme.OK, theme.Of(diag.Good).Glyph, "done: "+a.note)
	case a.in == nil && a.only != "":
		return note(theme.Muted, theme.Of(diag.NotApplicable).Glyph, a.only)
	case a.in == nil:
		return note(theme.Warn, "!", "Read-only: nothing is changed from here. Start without --read-only to do it.")
	}
	return preview.Typed(a.p.env, a.in, a.label, yes, a.hint, a.note, w)
}
