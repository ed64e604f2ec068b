package wire

import tea "github.com/charmbracelet/bubbletea"

// ClickAt selects what stands at a column and line of the body: a line of the log, a field, or a
// byte. A line that is selected already is taken apart.
func (p *Page) ClickAt(column, line int) tea.Cmd {
	switch {
	case p.saving != nil:
		return nil
	case p.typing: // what was typed stays, as after enter
		p.typing = false
		if p.filter.Value() == "" {
			p.filter = nil
		}
	}
	if column < p.areas.listTo {
		if again, ok := p.rows.Click(p.areas.rows, line); ok {
			p.follow = p.live() && p.rows.Cursor() >= p.rows.Len()-1
			p.focus = inList
			if again {
				p.focus = inFields
			} else {
				p.detail.reset()
			}
			return nil
		}
	}
	if !p.areas.detail {
		return nil
	}
	d := &p.detail
	d.load(p)
	if n := d.perRow(); d.hello != nil && line >= p.areas.hexAt && line < p.areas.hexTo && column >= p.areas.hexCol+6 {
		if at := (p.areas.hexFrom+line-p.areas.hexAt)*n + (column-p.areas.hexCol-6)/3; (column-p.areas.hexCol-6)/3 < n {
			p.focus = inBytes
			d.toByte(at)
			return nil
		}
	}
	if i, ok := p.areas.items[line-p.areas.itemsAt]; ok && column >= p.areas.fromCol {
		p.focus = inFields
		d.toItem(i)
	}
	return nil
}
