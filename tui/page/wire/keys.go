package wire

import (
	"fmt"
	"net/netip"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
	"amtmedic/diag/wire"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
)

func (p *Page) key(k tea.KeyMsg) tea.Cmd {
	switch {
	case p.saving != nil:
		return p.savingKey(k)
	case p.typing && p.filter.Update(k):
		p.refilter()
		return nil
	}
	m := p.env.Keys
	switch {
	case m.Is(k, keymap.Back):
		p.back()
	case p.typing && m.Is(k, keymap.Enter):
		p.typing = false
		if p.filter.Value() == "" {
			p.filter = nil
		}
	case p.typing:
		p.listKey(k)
	case m.Is(k, keymap.Freeze):
		p.freeze()
	case m.Is(k, keymap.Filter):
		p.focus, p.typing = inList, true
		if p.filter == nil {
			p.filter = &input.Input{}
		}
	case m.Is(k, keymap.FindNext):
		p.nextHello(1)
	case m.Is(k, keymap.FindPrevious):
		p.nextHello(-1)
	case m.Is(k, keymap.Vantage):
		return p.vantage()
	case m.Is(k, keymap.Save):
		return p.askPath()
	case m.Is(k, keymap.Copy):
		return p.copy()
	case m.Is(k, keymap.Listen) && p.focus == inList:
		return page.Send(page.Listen{Live: p.live()})
	case p.focus == inList:
		p.listKey(k)
	default:
		p.detailKey(k)
	}
	return nil
}

// back leaves what is in front: the detail, then the filter.
func (p *Page) back() {
	switch {
	case p.focus != inList && !p.typing:
		p.focus = inList
	default:
		p.filter, p.typing = nil, false
		p.refilter()
	}
}

// refilter shows what fits now. The selection stays on its line where that fits.
func (p *Page) refilter() {
	selected := p.selected()
	p.store.show(p.store.side, p.filterText())
	p.keep(selected)
}

func (p *Page) filterText() string {
	if p.filter == nil {
		return ""
	}
	return p.filter.Value()
}

// listKey moves through the lines.
func (p *Page) listKey(k tea.KeyMsg) {
	m := p.env.Keys
	move := func(d int) {
		p.rows.Move(d)
		p.follow = p.rows.Cursor() >= p.rows.Len()-1
		p.detail.reset()
	}
	switch {
	case m.Is(k, keymap.Up):
		move(-1)
	case m.Is(k, keymap.Down):
		move(1)
	case m.Is(k, keymap.PageUp):
		move(-p.rows.Page())
	case m.Is(k, keymap.PageDown):
		move(p.rows.Page())
	case m.Is(k, keymap.Top):
		move(-p.rows.Len())
	case m.Is(k, keymap.Bottom):
		move(p.rows.Len())
	case m.Is(k, keymap.Enter) && p.selected() != nil:
		p.focus = inFields
	case m.Is(k, keymap.Panes) && p.selected() != nil:
		p.focus = inFields
		if p.selected().IsHello() {
			p.focus = inBytes
		}
	}
}

// detailKey moves through the fields or the bytes of the selected line.
func (p *Page) detailKey(k tea.KeyMsg) {
	m, d := p.env.Keys, &p.detail
	d.load(p)
	if m.Is(k, keymap.Panes) && d.hello != nil {
		p.focus = inFields + inBytes - p.focus
		return
	}
	if p.focus == inBytes {
		row := d.perRow()
		step := 0
		switch {
		case m.Is(k, keymap.Left):
			step = -1
		case m.Is(k, keymap.Right):
			step = 1
		case m.Is(k, keymap.Up):
			step = -row
		case m.Is(k, keymap.Down):
			step = row
		case m.Is(k, keymap.Top):
			step = -len(d.hello.Bytes)
		case m.Is(k, keymap.Bottom):
			step = len(d.hello.Bytes)
		case m.Is(k, keymap.PageUp):
			step = -4 * row
		case m.Is(k, keymap.PageDown):
			step = 4 * row
		case m.Is(k, keymap.Enter):
			p.focus = inFields
		}
		d.toByte(d.byte + step)
		return
	}
	switch {
	case m.Is(k, keymap.Up):
		d.toItem(d.item - 1)
	case m.Is(k, keymap.Down):
		d.toItem(d.item + 1)
	case m.Is(k, keymap.PageUp):
		d.toItem(d.item - 5)
	case m.Is(k, keymap.PageDown):
		d.toItem(d.item + 5)
	case m.Is(k, keymap.Top):
		d.toItem(0)
	case m.Is(k, keymap.Bottom):
		d.toItem(len(d.items) - 1)
	case m.Is(k, keymap.Enter) && d.hello != nil:
		p.focus = inBytes
	}
}

// nextHello goes to the next hello, or the one before.
func (p *Page) nextHello(step int) {
	id := -1
	if l := p.selected(); l != nil {
		id = l.ID
	}
	if row, ok := p.store.hello(id, step); ok {
		p.rows.To(row)
		p.follow = p.live() && row >= p.rows.Len()-1
		p.detail.reset()
		if p.focus == inBytes {
			p.focus = inFields
		}
	}
}

// vantage goes on to the next side, and to both where there are two.
func (p *Page) vantage() tea.Cmd {
	if len(p.sides) < 2 {
		only := "there is no capture"
		if len(p.sides) == 1 {
			only = "there is a capture of the " + string(p.sides[0]) + " only"
		}
		return page.Send(page.Note{Text: only})
	}
	all := append(append([]diag.Vantage{}, p.sides...), "")
	next := all[0]
	for i, s := range all {
		if s == p.store.side {
			next = all[(i+1)%len(all)]
		}
	}
	selected := p.selected()
	p.chosen = true
	p.store.show(next, p.filterText())
	p.keep(selected)
	p.detail.reset()
	return nil
}

// askPath asks where the packets of the shown client shall go.
func (p *Page) askPath() tea.Cmd {
	l := p.selected()
	if l == nil {
		return page.Send(page.Note{Text: "there is nothing to save yet"})
	}
	p.which = wire.Which{Side: p.store.side, Client: l.Client}
	p.whose = "all packets"
	name := p.env.Snap.CaseID
	if name == "" {
		name = "packets"
	}
	if l.Client.IsValid() {
		p.whose = "packets of " + p.hide(addr(l.Client))
		name += "-" + strings.ReplaceAll(p.hide(addr(l.Client)), ":", "-")
	}
	p.saving, p.failed = &input.Input{}, ""
	p.saving.Set(strings.ReplaceAll(name, "/", "-") + ".pcapng")
	return nil
}

func (p *Page) savingKey(k tea.KeyMsg) tea.Cmd {
	m := p.env.Keys
	switch {
	case m.Is(k, keymap.Back):
		p.saving = nil
	case m.Is(k, keymap.Enter):
		path := strings.TrimSpace(p.saving.Value())
		if path == "" {
			p.failed = "give the file a name"
			return nil
		}
		p.failed = ""
		return page.Send(page.SavePackets{Path: path, Which: p.which})
	case p.saving.Update(k):
		p.failed = ""
	}
	return nil
}

// saved takes the outcome of saving.
func (p *Page) saved(s page.Saved) {
	if s.Err != nil {
		p.failed = s.Err.Error()
		return
	}
	p.saving = nil
}

// copy copies the selected line, or the bytes of its hello while the hello is looked at.
func (p *Page) copy() tea.Cmd {
	l := p.selected()
	if l == nil {
		return nil
	}
	if p.focus != inList {
		p.detail.load(p)
		return page.Send(page.Copy{What: p.detail.copied(), Text: p.detail.text(p)})
	}
	cells := []string{p.clock(l.At), string(l.Side), l.From.String() + " → " + l.To.String(), p.hide(l.What)}
	if u := l.UUID(); u != "" {
		cells = append(cells, u)
	}
	if l.Packet > 0 {
		cells = append(cells, fmt.Sprintf("packet %d of %s", l.Packet, p.hide(l.Source)))
	}
	return page.Send(page.Copy{What: "the line", Text: strings.Join(cells, "  ")})
}

// addr gives an address as text.
func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}
