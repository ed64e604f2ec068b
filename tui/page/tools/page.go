// Package tools holds the tools of the engineer at the client: files of keys, setup.bin, the USB key,
// discovery on the network, this computer, certificates. The pages call the packages below amt that the
// command line calls too; nothing is judged here. Looking changes nothing; what writes is previewed and
// confirmed first. All work is a command with a deadline that esc ends, and no secret reaches a frame.
package tools

import (
	"context"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// Names are the words for ":" of all tools, in the order of their tabs.
func Names() []string {
	return []string{"pairs", "setupbin", "usbkey", "discover", "thispc", "certificate"}
}

// Msg is a message of the tools to themselves. The root delivers it.
type Msg struct {
	to   *Page
	body any
}

// act is one thing that a tool does.
type act struct {
	name, about string
	do          func() *ask
	run         func() *ask // begins at once, without a question; nil when do asks first
}

// tab is one tool.
type tab struct {
	word, title string
	intro       string // what stands there before anything was done
	acts        func() []act
	rows        list.List
	at          list.Lines
	out         []line // what came of the last act
	of          string // what it is about
	top         int    // first line of it that is shown
	shown, all  int
}

// Page is all tools; one of its tabs is shown.
type Page struct {
	env   *page.Env
	world *World
	ctx   context.Context
	w, h  int
	tabs  []*tab
	at    int
	ask   *ask   // what is asked or done; nil when nothing is
	end   string // how the last work ended, in a line
	usb   usbTool
	host  hostTool
	net   netTool
}

// New makes the tools. ctx ends with the screen.
func New(ctx context.Context, env *page.Env, w *World) *Page {
	p := &Page{env: env, world: w.filled(), ctx: ctx}
	p.tabs = []*tab{p.pairsTab(), p.setupTab(), p.usbTab(), p.netTab(), p.hostTab(), p.certTab()}
	return p
}

// Show shows the tool with this name; "tools" shows the one that was shown last.
func (p *Page) Show(name string) {
	for i, t := range p.tabs {
		if t.word == name && (p.ask == nil || !p.ask.busy) {
			p.at, p.ask = i, nil
		}
	}
}

// Refresh reads what the tab that is shown lacks.
func (p *Page) Refresh() tea.Cmd {
	if p.tab().word == "usbkey" && !p.usb.listed {
		return p.listDevices()
	}
	return nil
}

// Last says how the last work ended, for a page that was left meanwhile; empty when it goes on.
func (p *Page) Last() string { return p.end }

func (p *Page) tab() *tab { return p.tabs[p.at] }

// Name is the word for ":" of the tool that is shown.
func (p *Page) Name() string { return p.tab().word }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = w, h }

// Road is not there: the tools belong to no case.
func (p *Page) Road() bool { return false }

// Typing reports whether a text field has the keys. While a key is being written letters are no
// commands either: q must not leave it half done.
func (p *Page) Typing() bool { return p.ask != nil && (p.ask.typing() || p.ask.busy && p.ask.writes) }

// Captures reports whether esc is for the page itself.
func (p *Page) Captures() bool { return p.ask != nil || p.tab().out != nil }

// Busy reports whether work is under way.
func (p *Page) Busy() bool { return p.ask != nil && p.ask.busy }

// Status is the header.
func (p *Page) Status() (string, string) {
	right := p.tab().of
	if p.Busy() {
		right = "working"
	}
	return "tools", p.hide(right)
}

// Hints lists the keys.
func (p *Page) Hints() []keymap.Hint {
	if p.ask != nil {
		return p.ask.hints()
	}
	t := p.tab()
	hs := []keymap.Hint{keymap.Do(keymap.Enter, "choose"), keymap.Do(keymap.Panes, "next tool")}
	if t.word == "usbkey" {
		hs = append(hs, keymap.Do(keymap.Again, "look for devices"))
	}
	if t.out != nil {
		hs = append(hs, keymap.Do(keymap.Copy, ""), keymap.Do(keymap.PageDown, ""), keymap.Do(keymap.PageUp, ""), keymap.Do(keymap.Back, "clear"))
	} else {
		hs = append(hs, keymap.Do(keymap.Back, ""))
	}
	return append(hs, keymap.Do(keymap.Pick, ""), keymap.Do(keymap.Up, ""), keymap.Do(keymap.Down, ""))
}

// Update takes keys, and what came of work.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case Msg:
		if msg.to == p {
			return p.take(msg.body)
		}
	case tea.KeyMsg:
		if p.ask != nil {
			return p.ask.key(msg)
		}
		return p.key(msg)
	}
	return nil
}

func (p *Page) key(k tea.KeyMsg) tea.Cmd {
	m, t := p.env.Keys, p.tab()
	p.View() // says how much of the result is shown, also when no frame was drawn since the last key
	switch {
	case m.Is(k, keymap.Panes):
		p.at = (p.at + 1) % len(p.tabs)
		return p.Refresh()
	case m.Number(k) >= 0 && m.Number(k) < len(p.tabs):
		p.at = m.Number(k)
		return p.Refresh()
	case m.Is(k, keymap.Up):
		t.rows.Move(-1)
	case m.Is(k, keymap.Down):
		t.rows.Move(1)
	case m.Is(k, keymap.PageDown):
		t.scroll(max(1, t.shown-1))
	case m.Is(k, keymap.PageUp):
		t.scroll(-max(1, t.shown-1))
	case m.Is(k, keymap.Top):
		t.scroll(-t.all)
	case m.Is(k, keymap.Bottom):
		t.scroll(t.all)
	case m.Is(k, keymap.Again) && t.word == "usbkey":
		return p.listDevices()
	case m.Is(k, keymap.Enter):
		return p.enter()
	case m.Is(k, keymap.Back):
		t.out, t.of, t.top = nil, "", 0
	case m.Is(k, keymap.Copy) && t.out != nil:
		return page.Send(page.Copy{What: "what came of it", Text: p.hide(copied(t.out))})
	}
	return nil
}

func (t *tab) scroll(d int) { t.top = max(0, min(t.top+d, t.all-t.shown)) }

// enter begins the selected act.
func (p *Page) enter() tea.Cmd {
	t := p.tab()
	acts := t.acts()
	i := t.rows.Cursor()
	if i >= len(acts) {
		return nil
	}
	if acts[i].run != nil {
		p.ask = acts[i].run()
		return p.ask.start("")
	}
	p.ask = acts[i].do()
	return nil
}

// Click selects what stands on a line.
func (p *Page) Click(line int) tea.Cmd {
	if p.ask != nil {
		return nil
	}
	t := p.tab()
	if again, ok := t.rows.Click(t.at, line); ok && again {
		return p.enter()
	}
	return nil
}

// tick is the moment for the next look at work that is under way.
type tick struct{ of *ask }

func (p *Page) take(body any) tea.Cmd {
	switch body := body.(type) {
	case answered:
		return p.answered(body)
	case tick:
		if p.ask == body.of && p.Busy() {
			return p.tick()
		}
	case listed:
		p.usb.devices, p.usb.listed = body.devices, true
	}
	return nil
}

// tick brings the next look at work that is under way.
func (p *Page) tick() tea.Cmd {
	a := p.ask
	return p.world.Tick(500*time.Millisecond, func(time.Time) tea.Msg { return Msg{p, tick{a}} })
}

// airy is the number of lines from which the page has room for air.
const airy = 16

// View draws the page.
func (p *Page) View() []string {
	lines := []string{p.bar()}
	if p.ask != nil {
		return text.Block(append(lines, p.ask.view(p.w, p.h-1)...), p.w, p.h)
	}
	if p.h >= airy {
		lines = append(lines, "")
	}
	t := p.tab()
	lines = append(lines, p.actLines(t, len(lines))...)
	room := p.h - len(lines) - 1
	lines = append(lines, " "+p.env.Paint(theme.Muted, strings.Repeat("─", max(0, p.w-2))))
	return text.Block(append(lines, p.result(t, room)...), p.w, p.h)
}

// bar draws the names of the tools.
func (p *Page) bar() string {
	line := " "
	for i, t := range p.tabs {
		if i == p.at {
			line += p.env.Paint(theme.Selected, "["+t.title+"]")
		} else {
			line += " " + p.env.Paint(theme.Muted, t.title) + " "
		}
	}
	return line
}

// actLines draws what the tool does.
func (p *Page) actLines(t *tab, top int) []string {
	acts := t.acts()
	t.rows.Set(len(acts), max(1, min(len(acts), p.h/3)))
	t.at = list.Lines{}
	wide := 0
	for _, a := range acts {
		wide = max(wide, text.Width(p.hide(a.name)))
	}
	wide = min(wide, p.w*3/5)
	var lines []string
	from, to := t.rows.Window()
	for i := from; i < to; i++ {
		on := i == t.rows.Cursor()
		t.at[top+len(lines)] = i
		name := text.Fit(p.hide(acts[i].name), wide)
		if on {
			name = p.env.Paint(theme.Selected, name)
		}
		lines = append(lines, " "+p.env.Theme.Pointer(on)+" "+name+"   "+p.env.Paint(theme.Muted, text.Cut(p.hide(acts[i].about), max(0, p.w-wide-7))))
	}
	return lines
}

// result draws what came of the last act, or what the tool is for.
func (p *Page) result(t *tab, h int) []string {
	if t.out == nil {
		var lines []string
		if p.h >= airy {
			lines = append(lines, "")
		}
		for _, l := range text.Wrap(t.intro, min(p.w, 100)-6) {
			lines = append(lines, "   "+p.env.Paint(theme.Muted, l))
		}
		return lines
	}
	all := p.draw(t.out, min(p.w, 160))
	t.all, t.shown = len(all), max(1, h)
	if len(all) <= h {
		t.top = 0
		return all
	}
	t.shown = max(1, h-1)
	t.scroll(0)
	return append(all[t.top:t.top+t.shown:t.top+t.shown], "   "+p.env.Paint(theme.Accent, p.more(t.top+t.shown, t.all)))
}

// hide gives text as it may stand on the screen.
func (p *Page) hide(s string) string {
	s = text.Clean(s)
	if p.env.Hide == nil {
		return s
	}
	return p.env.Hide(s)
}
