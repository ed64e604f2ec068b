// Package start holds the pages without a case: what do you see, practice, and opening a bundle.
package start

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// featured is the number of symptoms that stand on the page before a filter is typed, at 24 lines.
const featured = 6

// Page is the start page.
type Page struct {
	env     *page.Env
	data    *page.Start
	w, h    int
	rows    list.List
	at      list.Lines
	filter  *input.Input // not nil while a filter is typed or holds
	typing  bool
	command bool // the commands of what is missing are shown
	err     string
	opening bool
}

// New makes the page.
func New(env *page.Env, data *page.Start) *Page { return &Page{env: env, data: data} }

// Name is "start".
func (p *Page) Name() string { return "start" }

// SetSize takes the size of the body.
func (p *Page) SetSize(w, h int) { p.w, p.h = w, h }

// Road is not there: no case is open.
func (p *Page) Road() bool { return false }

// Typing reports whether a filter is being typed.
func (p *Page) Typing() bool { return p.typing }

// Captures reports whether esc is for the page: it clears the filter.
func (p *Page) Captures() bool { return p.filter != nil || p.command }

// Status is the header without a case.
func (p *Page) Status() (string, string) {
	right := ""
	if p.data.Machine != "" {
		right = "this machine: " + p.data.Machine
	}
	return "no case open", right
}

// Hints lists the keys.
func (p *Page) Hints() []keymap.Hint {
	if p.typing {
		return []keymap.Hint{keymap.Do(keymap.Enter, "start"), {Action: keymap.Back, Word: "clear"}, {Action: keymap.Up, Word: "move", Key: "↑ ↓"}}
	}
	hs := []keymap.Hint{keymap.Do(keymap.Enter, "start"), keymap.Do(keymap.Filter, "filter"), keymap.Do(keymap.Open, ""),
		keymap.Do(keymap.Practice, ""), keymap.Do(keymap.Goto, ""), keymap.Do(keymap.Explain, ""), keymap.Do(keymap.Up, ""), keymap.Do(keymap.Down, "")}
	if len(p.data.Missing) > 0 {
		hs = append(hs, keymap.Do(keymap.Command, ""))
	}
	return hs
}

// row is one line that can be chosen.
type row struct {
	text, right string
	hint        string // where one would look
	id          string // symptom
	do          tea.Msg
	filter      bool // it starts the filter
	gap         bool // an empty line stands above it
}

func (p *Page) choices() []row {
	if p.filter != nil {
		return p.matches()
	}
	var rows []row
	n := min(len(p.data.Symptoms), featured+max(0, p.h-20))
	for _, s := range p.data.Symptoms[:n] {
		rows = append(rows, symptomRow(s))
	}
	if n < len(p.data.Symptoms) {
		rows = append(rows, row{text: fmt.Sprintf("Something else: search %d symptoms …", len(p.data.Symptoms)), filter: true})
	}
	rows = append(rows,
		row{text: "Walk the whole road, from firmware to provisioned", do: page.Choose{Choice: page.Choice{Kind: page.WholeRoad}}, gap: true},
		row{text: "Practice: break something on this machine and find it", do: page.Goto{Name: "practice"}},
		row{text: "Open a bundle from a colleague …", do: page.Goto{Name: "open"}},
		row{text: "Tools: keys, setup.bin, USB key, discovery, this PC …", do: page.Goto{Name: "tools"}})
	if p.data.Core {
		rows = append(rows, row{text: "The provisioning core: clients, queue, keys, log …", do: page.Goto{Name: "clients"}})
	}
	return rows
}

func symptomRow(s page.Symptom) row {
	return row{text: text.Clean(s.Text), right: text.Clean(s.Part), hint: text.Clean(s.Hint), id: s.ID,
		do: page.Choose{Choice: page.Choice{Kind: page.FromSymptom, ID: s.ID}}}
}

// matches gives the symptoms that hold every word of the filter.
func (p *Page) matches() []row {
	var rows []row
	for _, s := range p.data.Symptoms {
		if Match(p.filter.Value(), s.ID, s.Text, s.Part, s.Hint) {
			rows = append(rows, symptomRow(s))
		}
	}
	return rows
}

// Match reports whether every word of the filter stands in one of the texts, in any case.
func Match(filter string, texts ...string) bool {
	all := strings.ToLower(strings.Join(texts, "\x00"))
	for _, w := range strings.Fields(strings.ToLower(filter)) {
		if !strings.Contains(all, w) {
			return false
		}
	}
	return true
}

// Update takes a key or a message of the root.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case page.OpenFailed:
		p.opening, p.err = false, text.Clean(msg.Err.Error())
	case tea.KeyMsg:
		p.err = ""
		return p.key(msg)
	}
	return nil
}

func (p *Page) key(k tea.KeyMsg) tea.Cmd {
	m := p.env.Keys
	if p.typing && p.typed(k) {
		return nil
	}
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
		return p.enter()
	case m.Is(k, keymap.Back):
		p.clear()
	case p.typing:
	case m.Is(k, keymap.Top):
		p.rows.To(0)
	case m.Is(k, keymap.Bottom):
		p.rows.Last()
	case m.Is(k, keymap.Filter):
		p.startFilter()
	case m.Is(k, keymap.Command):
		p.command = !p.command && len(p.data.Missing) > 0
	case m.Is(k, keymap.Open):
		return page.Send(page.Goto{Name: "open"})
	case m.Is(k, keymap.Practice):
		return page.Send(page.Goto{Name: "practice"})
	case m.Is(k, keymap.Explain):
		if rows := p.choices(); p.rows.Cursor() < len(rows) && rows[p.rows.Cursor()].id != "" {
			return page.Send(page.Goto{Name: "explain", Arg: rows[p.rows.Cursor()].id})
		}
	}
	return nil
}

// typed takes a key for the filter. Keys that move the cursor are not for it.
func (p *Page) typed(k tea.KeyMsg) bool {
	before := p.filter.Value()
	if !p.filter.Update(k) {
		return false
	}
	if p.filter.Value() != before {
		p.rows.To(0)
	}
	return true
}

func (p *Page) startFilter() {
	if p.filter == nil {
		p.filter = &input.Input{}
		p.rows.To(0)
	}
	p.typing, p.command = true, false
}

func (p *Page) clear() {
	if p.filter != nil {
		p.filter, p.typing = nil, false
		p.rows.To(0)
	}
	p.command = false
}

// Click chooses the row on a line.
func (p *Page) Click(line int) tea.Cmd {
	if again, ok := p.rows.Click(p.at, line); ok && again {
		return p.enter()
	}
	return nil
}

func (p *Page) enter() tea.Cmd {
	rows := p.choices()
	i := p.rows.Cursor()
	if i >= len(rows) || p.opening {
		return nil
	}
	if rows[i].filter {
		p.startFilter()
		return nil
	}
	if _, ok := rows[i].do.(page.Choose); ok {
		p.opening = true
	}
	return page.Send(rows[i].do)
}

// View draws the page.
func (p *Page) View() []string {
	rows := p.choices()
	foot := p.foot()
	room := p.h - 3 - len(foot)
	if p.h < 16 { // a small window has no room for air
		room = p.h - 2 - len(foot)
	}
	lines := p.head(len(rows))
	body := p.list(rows, max(1, room), len(lines))
	lines = append(lines, body...)
	for len(lines) < p.h-len(foot)-1 {
		if len(lines) >= len(body)+4 {
			break
		}
		lines = append(lines, "")
	}
	return text.Block(append(lines, foot...), p.w, p.h)
}

func (p *Page) head(n int) []string {
	title := p.env.Paint(theme.Title, "What do you see?")
	right := p.env.Paint(theme.Muted, p.env.Keys.Key(keymap.Filter)+" to filter, enter to start the walk")
	if p.filter != nil {
		right = p.env.Paint(theme.Muted, fmt.Sprintf("%d of %d", n, len(p.data.Symptoms)))
		if p.typing {
			title += "  / " + p.filter.View(p.env.Theme, max(8, p.w-40))
		} else {
			title += "  / " + p.filter.Value()
		}
	}
	if p.opening {
		right = p.env.Theme.Pointer(false) + "◐ opening"
	}
	line := text.Sides("   "+title, right, min(p.w, 110)-2)
	if p.h < 16 {
		return []string{line}
	}
	return []string{"", line, ""}
}

// list draws the rows that are shown; the first one stands in line top of the body.
func (p *Page) list(rows []row, h, top int) []string {
	p.at = list.Lines{}
	gaps := 0
	for _, r := range rows {
		if r.gap && p.h >= 16 {
			gaps++
		}
	}
	p.rows.Set(len(rows), h-gaps)
	if len(rows) == 0 {
		return []string{"   Nothing fits. Use fewer words, or esc and walk the whole road."}
	}
	var lines []string
	from, to := p.rows.Window()
	w, column := min(p.w, 110), 0
	for _, r := range rows {
		column = max(column, min(partWidth, text.Width(r.right)))
	}
	for i := from; i < to; i++ {
		r := rows[i]
		if r.gap && p.h >= 16 {
			lines = append(lines, "")
		}
		on := i == p.rows.Cursor()
		p.at[top+len(lines)] = i
		left := text.Cut(r.text, w-4)
		part := ""
		if w >= 72 && r.right != "" {
			part = text.Cut(r.right, partWidth)
			left = text.Cut(r.text, w-6-column)
		}
		switch {
		case on:
			left = p.env.Paint(theme.Selected, left)
		case p.filter != nil:
			left = p.env.Theme.Match(left, p.filter.Value())
		}
		line := " " + p.env.Theme.Pointer(on) + " " + left
		if part != "" {
			line = text.Fit(line, w-1-column) + p.env.Paint(theme.Muted, part)
		}
		lines = append(lines, line)
	}
	return lines
}

// partWidth is the column of the part of the system that a symptom belongs to, at 80 columns.
const partWidth = 23

// foot says what works here and what does not yet.
func (p *Page) foot() []string {
	var lines []string
	if l := p.whole(); len(l) > 0 {
		return l
	}
	label := func(s string) string { return " " + p.env.Paint(theme.Muted, text.Fit(s, 16)) }
	if p.err != "" {
		for _, l := range text.Wrap(p.err, p.w-5) {
			lines = append(lines, " "+p.env.Paint(theme.Warn, "! ")+l)
		}
		return append(lines, "")
	}
	if p.h < 16 {
		return nil
	}
	if p.command {
		for _, m := range p.data.Missing {
			lines = append(lines, label("To "+m.What)+m.Needs)
			for _, l := range text.Wrap(m.Command, p.w-18) {
				lines = append(lines, strings.Repeat(" ", 17)+p.env.Paint(theme.Accent, l))
			}
		}
		return append(lines, "")
	}
	for i, l := range text.Wrap(strings.Join(p.data.Can, " · "), p.w-19) {
		head := label("Here you can")
		if i > 0 {
			head = label("")
		}
		lines = append(lines, head+l)
	}
	if n := len(p.data.Missing); n > 0 {
		m := p.data.Missing[0]
		s := m.What + ": " + m.Needs
		if n > 1 {
			s += fmt.Sprintf(", and %d more", n-1)
		}
		lines = append(lines, label("Not yet")+s+"  "+p.env.Paint(theme.Accent, p.env.Keys.Key(keymap.Command))+" shows how")
	}
	if len(p.data.Recent) > 0 {
		lines = append(lines, label("Recent")+strings.Join(p.data.Recent, " · "))
	}
	return lines
}

// whole shows the selected symptom in full when its line had to be cut, and where one would look.
func (p *Page) whole() []string {
	rows := p.choices()
	i := p.rows.Cursor()
	if p.err != "" || p.command || p.filter == nil || i >= len(rows) || p.h < 16 {
		return nil
	}
	var lines, show []string
	if text.Width(rows[i].text) > min(p.w, 110)-6-min(partWidth, text.Width(rows[i].right)) {
		show = append(show, rows[i].text)
	}
	if rows[i].hint != "" {
		show = append(show, "Looked at first: "+rows[i].hint)
	}
	for _, s := range show {
		for _, l := range text.Wrap(s, min(p.w, 100)-6) {
			lines = append(lines, "   "+p.env.Paint(theme.Muted, l))
		}
	}
	return lines
}
