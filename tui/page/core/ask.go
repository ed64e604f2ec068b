package core

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
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

	note     string
	busy     bool
	over     bool // it came to an end
	done     bool
	bad      bool
	top, all int // first line that is shown, and how many there are
	shown    int
	read     bool // the last line was shown
}

// askRow is a line of what would happen.
type askRow struct{ label, text string }

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
		a.scroll(max(1, a.shown-1))
	case m.Is(k, keymap.PageUp), m.Is(k, keymap.Up):
		a.scroll(-max(1, a.shown-1))
	case a.typing() && m.Is(k, keymap.Enter):
		return a.enter()
	}
	return nil
}

func (a *ask) scroll(d int) { a.top = max(0, min(a.top+d, a.all-a.shown)) }

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
		if !a.read {
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
	env := a.p.env
	inner := min(w, 110)
	var head []string
	if h >= 12 {
		head = append(head, "")
	}
	for _, l := range text.Wrap(a.title, inner-2) {
		head = append(head, " "+env.Paint(theme.Title, l))
	}
	if h >= 12 {
		head = append(head, "")
	}
	foot := a.foot(inner)
	body := a.body(inner)
	room := max(1, h-len(head)-len(foot)-1)
	a.all, a.shown = len(body), room
	if len(body) <= room {
		a.top, a.read = 0, true
	} else {
		a.shown = max(1, room-1)
		a.scroll(0)
		left := len(body) - a.top - a.shown
		a.read = a.read || left <= 0
		more := "the end; " + env.Keys.Key(keymap.PageUp) + " goes back up"
		if left > 0 {
			more = fmt.Sprintf("%d more lines: %s", left, env.Keys.Key(keymap.PageDown))
		}
		body = append(body[a.top:a.top+a.shown:a.top+a.shown], "   "+env.Paint(theme.Accent, more))
	}
	return append(append(append(head, body...), ""), foot...)
}

func (a *ask) body(w int) []string {
	wide := 0
	for _, r := range a.rows {
		wide = max(wide, text.Width(r.label))
	}
	wide += 3
	var lines []string
	for _, r := range a.rows {
		for i, l := range text.Wrap(a.p.hide(r.text), w-4-wide) {
			label := r.label
			if i > 0 {
				label = ""
			}
			lines = append(lines, "   "+a.p.env.Paint(theme.Muted, text.Fit(label, wide))+l)
		}
	}
	return lines
}

// foot is what is typed, or what came of it.
func (a *ask) foot(w int) []string {
	env := a.p.env
	var lines []string
	note := func(role theme.Role, mark, s string) {
		for i, l := range text.Wrap(s, w-4) {
			if i > 0 {
				mark = " "
			}
			lines = append(lines, " "+env.Paint(role, mark)+" "+l)
		}
	}
	switch {
	case a.busy:
		note(theme.Busy, theme.Of(diag.Busy).Glyph, "it is being done")
	case a.over && a.bad:
		note(theme.Warn, "!", "not done: "+a.note)
	case a.over && !a.done:
		note(theme.Muted, theme.Of(diag.NotApplicable).Glyph, a.note)
	case a.over:
		note(theme.OK, theme.Of(diag.Good).Glyph, "done: "+a.note)
	case a.in == nil && a.only != "":
		note(theme.Muted, theme.Of(diag.NotApplicable).Glyph, a.only)
	case a.in == nil:
		note(theme.Warn, "!", "Read-only: nothing is changed from here. Start without --read-only to do it.")
	default:
		label := a.label + ":"
		if a.label == "" {
			label = "Type " + yes + " to do it:"
		}
		line := " " + env.Theme.Pointer(true) + " " + env.Paint(theme.Selected, label) + " " + a.in.View(env.Theme, max(8, w-text.Width(label)-6))
		if a.in.Value() == "" && a.hint != "" {
			line += "  " + env.Paint(theme.Muted, a.hint)
		}
		lines = append(lines, text.Cut(line, w))
		if a.note != "" {
			note(theme.Warn, "!", a.note)
		}
	}
	return lines
}
