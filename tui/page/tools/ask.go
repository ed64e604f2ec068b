package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/page/preview"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// yes is the word that is typed before a file is written. For a device it is the device's own name.
const yes = "yes"

// ask is a question to the person, or a preview with the word to type, and the work behind it.
type ask struct {
	p     *Page
	t     *tab
	title string
	rows  []askRow
	label string // of the text that is typed; empty asks for the word
	hint  string
	word  string // that is typed where label is empty
	in    *input.Input
	limit time.Duration // of the work
	run   func(ctx context.Context, typed string, m *meter) reply

	writes bool // something is being written: it is waited for, also after esc
	wipes  bool // it is a key
	note   string
	busy   bool
	ending bool // esc was pressed
	over   bool // it failed; only esc leads on
	stop   context.CancelFunc
	meter  *meter
	window preview.Window
}

// askRow is a line of what will be done.
type askRow = preview.Row

// reply is what came of it: the next thing to ask, or lines.
type reply struct {
	next  *ask
	out   []line
	of    string // what the lines are about
	err   error
	apply func() // done in the page's own goroutine
}

type answered struct {
	from  *ask
	reply reply
}

// meter says how far work is. It is safe for several goroutines.
type meter struct {
	mu          sync.Mutex
	done, total int64
	doing       string
	lines       []line
}

func (m *meter) set(done, total int64, doing string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done, m.total, m.doing = done, total, doing
}

func (m *meter) add(l line) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, l)
}

func (m *meter) look() (done, total int64, doing string, lines []line) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.done, m.total, m.doing, m.lines[:len(m.lines):len(m.lines)]
}

// How long reading, and writing of a file or a database, may take.
const (
	readLimit   = 30 * time.Second
	changeLimit = 10 * time.Minute
)

// question asks for a text.
func (p *Page) question(title, label, hint string, rows []askRow, run func(ctx context.Context, typed string, m *meter) reply) *ask {
	return &ask{p: p, t: p.tab(), title: title, label: label, hint: hint, rows: rows, in: &input.Input{}, limit: readLimit, run: run}
}

// confirm shows what will be done, and wants the word. Read-only nothing can be typed.
func (p *Page) confirm(title, word string, rows []askRow, run func(ctx context.Context, typed string, m *meter) reply) *ask {
	a := &ask{p: p, t: p.tab(), title: title, word: word, rows: rows, limit: changeLimit, writes: true, run: run}
	if !p.env.ReadOnly {
		a.in = &input.Input{}
	}
	return a
}

// work does something at once.
func (p *Page) work(title string, limit time.Duration, run func(ctx context.Context, typed string, m *meter) reply) *ask {
	return &ask{p: p, t: p.tab(), title: title, limit: limit, run: run}
}

func (a *ask) typing() bool { return a.in != nil && !a.busy && !a.over }

func (a *ask) hints() []keymap.Hint {
	back := keymap.Do(keymap.Back, "back, nothing is done")
	switch {
	case a.busy && a.ending:
		return nil
	case a.busy:
		return []keymap.Hint{keymap.Do(keymap.Back, "stop")}
	case a.over || a.in == nil:
		return []keymap.Hint{keymap.Do(keymap.Back, ""), keymap.Do(keymap.PageDown, ""), keymap.Do(keymap.PageUp, "")}
	case a.label != "":
		return []keymap.Hint{keymap.Do(keymap.Enter, "go on"), back}
	}
	return []keymap.Hint{{Action: keymap.Enter, Word: "do it", Key: a.word + " + enter"}, back, keymap.Do(keymap.PageDown, ""), keymap.Do(keymap.PageUp, "")}
}

func (a *ask) key(k tea.KeyMsg) tea.Cmd {
	m := a.p.env.Keys
	if a.typing() && a.in.Update(k) {
		a.note = ""
		return nil
	}
	switch {
	case m.Is(k, keymap.Back) && a.busy:
		a.ending = true
		a.stop()
	case m.Is(k, keymap.Back), a.over && m.Is(k, keymap.Enter):
		a.p.ask = nil
	case a.busy:
	case m.Is(k, keymap.PageDown), m.Is(k, keymap.Down):
		a.window.Turn(1)
	case m.Is(k, keymap.PageUp), m.Is(k, keymap.Up):
		a.window.Turn(-1)
	case a.typing() && m.Is(k, keymap.Enter):
		return a.enter()
	}
	return nil
}

// enter goes on when what was typed is a text, or the word.
func (a *ask) enter() tea.Cmd {
	typed := a.in.Value()
	if a.label == "" {
		a.p.View() // says whether all of it fits, also when no frame was drawn since the last key
		switch {
		case !a.window.Read():
			a.note = "read all of it first: " + a.p.env.Keys.Key(keymap.PageDown)
			return nil
		case strings.TrimSpace(typed) != a.word:
			a.note = "nothing is done yet: type " + a.word + ", then enter; esc goes back"
			return nil
		}
	}
	return a.start(typed)
}

// start does the work. What writes ends when its context does, and is waited for; reading of a file is
// not waited for then, because a dead network drive would hold it.
func (a *ask) start(typed string) tea.Cmd {
	ctx, stop := context.WithTimeout(a.p.ctx, a.limit)
	m := &meter{}
	a.busy, a.ending, a.note, a.stop, a.meter, a.p.end = true, false, "", stop, m, ""
	writes, run, p := a.writes, a.run, a.p
	return tea.Batch(func() tea.Msg {
		defer stop()
		if writes {
			p.world.begin()
			defer p.world.finish()
			return Msg{p, answered{a, run(ctx, typed, m)}}
		}
		done := make(chan reply, 1)
		go func() { done <- run(ctx, typed, m) }()
		select {
		case r := <-done:
			return Msg{p, answered{a, r}}
		case <-ctx.Done():
			select {
			case r := <-done:
				return Msg{p, answered{a, r}}
			case <-time.After(grace):
				return Msg{p, answered{a, reply{err: ctx.Err()}}}
			}
		}
	}, p.tick())
}

// grace is how long work that was stopped may take to say what it has.
const grace = 3 * time.Second

// answered takes a reply in.
func (p *Page) answered(r answered) tea.Cmd {
	if r.reply.apply != nil && r.reply.err == nil {
		r.reply.apply()
	}
	a := r.from
	a.busy = false
	switch {
	case r.reply.err == nil:
		p.end = a.title + ": it is done"
	default:
		p.end = text.Clean(a.title + ": " + p.errorText(r.reply.err, a))
	}
	if p.ask != a {
		return page.Send(page.Note{Text: p.end})
	}
	switch err := r.reply.err; {
	case err != nil && a.label != "" && !a.ending:
		a.note = p.errorText(err, a)
	case err != nil && a.ending && !a.writes:
		p.ask = nil
		return page.Send(page.Note{Text: "stopped; nothing was changed"})
	case err != nil:
		a.over, a.note = true, p.errorText(err, a)
	case r.reply.next != nil:
		p.ask = r.reply.next
	default:
		p.ask = nil
		if r.reply.out != nil {
			a.t.out, a.t.of, a.t.top = r.reply.out, r.reply.of, 0
		}
	}
	return nil
}

// errorText says what happened, and the next step.
func (p *Page) errorText(err error, a *ask) string {
	s := err.Error()
	var known *amt.Error
	if errors.As(err, &known) && known.Hint != "" && !strings.Contains(s, known.Hint) {
		s += "; " + known.Hint
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("it took longer than %s: %s; is the file on a drive that does not answer?", a.limit, s)
	case errors.Is(err, context.Canceled):
		return "stopped: " + s
	}
	return p.hide(s)
}

// view draws it in h lines.
func (a *ask) view(w, h int) []string {
	env, inner := a.p.env, min(w, 110)
	head := preview.Head(env, a.title, inner, h)
	if a.busy {
		return append(head, a.progress(inner, h-len(head))...)
	}
	return a.window.View(env, head, preview.Body(env, a.rows, a.p.hide, inner), a.foot(inner), h)
}

// progress draws how far the work is, and what it has found so far.
func (a *ask) progress(w, h int) []string {
	env := a.p.env
	done, total, doing, found := a.meter.look()
	if doing == "" {
		doing = "working"
	}
	if a.ending {
		doing = "stopping"
		if a.wipes {
			doing = "stopping: the key is left without a file system, so that no client takes it for one"
		}
	}
	lines := text.Wrap(doing, max(1, w-4))
	for i, l := range lines {
		mark := " "
		if i == 0 {
			mark = env.Theme.Glyph(diag.Busy)
		}
		lines[i] = " " + mark + " " + l
	}
	if total > 0 {
		cells := max(4, min(40, w-30))
		full := int(min(done, total) * int64(cells) / total)
		bar := env.Paint(theme.Busy, strings.Repeat("█", full)) + env.Paint(theme.Muted, strings.Repeat("░", cells-full))
		lines = append(lines, fmt.Sprintf("   %s %3d %%", bar, min(done, total)*100/total))
	}
	lines = append(lines, "")
	rows := a.p.draw(found, a.p.w)
	if room := h - len(lines); len(rows) > room { // the newest ones
		rows = rows[len(rows)-max(0, room):]
	}
	return append(lines, rows...)
}

// foot is what is typed, or what came of it.
func (a *ask) foot(w int) []string {
	switch {
	case a.over:
		return preview.Note(a.p.env, theme.Warn, "!", "not done: "+a.note, w)
	case a.in == nil:
		return preview.Note(a.p.env, theme.Warn, "!", "Read-only: nothing is written from here. Start without --read-only to do it.", w)
	}
	return preview.Typed(a.p.env, a.in, a.label, a.word, a.hint, a.note, w)
}
