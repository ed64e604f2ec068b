package wire

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"amtmedic/diag/wire"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// detail is the selected line taken apart: its fields, and the bytes of a hello. The field that is
// pointed at marks its bytes; the byte that is pointed at marks its field.
type detail struct {
	line    *wire.Line
	hidden  bool
	hello   *wire.Hello
	items   []item
	item    int // pointed at
	byte    int
	rows    list.List // lines of the fields that are shown
	hex     list.List
	columns int // bytes in a row
}

// item is one field, or one remark about the hello.
type item struct {
	label, text string
	from, to    int // bytes; to is 0 for none
	role        theme.Role
}

// reset points at the beginning again: another line is selected.
func (d *detail) reset() { d.item, d.byte = 0, 0 }

// load takes the selected line apart, unless that was done.
func (d *detail) load(p *Page) {
	l := p.selected()
	if l == d.line && d.hidden == p.env.Hidden && l != nil {
		return
	}
	if l == nil || d.line == nil || l.ID != d.line.ID {
		d.reset()
	}
	d.line, d.hidden, d.hello, d.items = l, p.env.Hidden, nil, nil
	if l == nil {
		return
	}
	if d.hello = l.Hello(); d.hello == nil {
		for _, f := range l.Details() {
			d.items = append(d.items, item{label: f.Label, text: p.hide(f.Text)})
		}
	} else {
		d.takeApart(p, l)
	}
	d.toItem(d.item)
}

// takeApart lists fields and remarks of a hello.
func (d *detail) takeApart(p *Page, l *wire.Line) {
	for _, f := range d.hello.Fields {
		x := item{label: f.Label, text: p.hide(f.Text), from: f.From, to: f.To}
		if f.Label == "PID" && l.PID() == p.pid && p.mapped != "" {
			x.text += "  " + p.mapped
		}
		d.items = append(d.items, x)
	}
	for _, r := range d.hello.Remarks {
		x := item{label: "note", text: p.hide(r.Text), role: theme.Muted}
		if !r.Note {
			x.label, x.role = "! problem", theme.Warn
		}
		if r.At >= 0 {
			x.text = fmt.Sprintf("byte %d: %s", r.At, x.text)
			x.from, x.to = r.At, r.At+1
			for _, f := range d.hello.Fields {
				if f.From == r.At {
					x.to = f.To
				}
			}
			if x.from >= len(d.hello.Bytes) {
				x.from, x.to = 0, 0
			}
		}
		d.items = append(d.items, x)
	}
	if d.hello.Lost > 0 {
		d.items = append(d.items, item{label: "not kept", text: fmt.Sprintf("%d more bytes", d.hello.Lost), role: theme.Muted})
	}
	for _, f := range l.Way() {
		d.items = append(d.items, item{label: f.Label, text: p.hide(f.Text), role: theme.Muted})
	}
}

// toItem points at a field, and at its first byte.
func (d *detail) toItem(i int) {
	d.item = max(0, min(i, len(d.items)-1))
	if d.item < len(d.items) && d.items[d.item].to > 0 {
		d.byte = d.items[d.item].from
	}
}

// toByte points at a byte, and at the field in which it stands.
func (d *detail) toByte(i int) {
	if d.hello == nil {
		return
	}
	d.byte = max(0, min(i, len(d.hello.Bytes)-1))
	if at := slices.IndexFunc(d.items, func(x item) bool { return x.from <= d.byte && d.byte < x.to }); at >= 0 {
		d.item = at
	}
}

func (d *detail) perRow() int { return max(1, d.columns) }

// marked gives the bytes of the field that is pointed at.
func (d *detail) marked() (from, to int) {
	if d.item < len(d.items) {
		return d.items[d.item].from, d.items[d.item].to
	}
	return 0, 0
}

// telling gives the bytes by which a hello is known while nobody points at one: those of its PID.
func (d *detail) telling() (from, to int) {
	for _, x := range d.items {
		if x.label == "PID" {
			return x.from, x.to
		}
	}
	return 0, 0
}

// title names the line.
func (d *detail) title(p *Page) string {
	name := "Line"
	switch {
	case d.hello != nil:
		name = "Hello"
	case d.line != nil:
		name = map[string]string{"dns": "DNS", "dhcp": "DHCP", "back": "Connection back", "closed": "End"}[string(d.line.Kind)]
		if name == "" {
			name = "Attempt"
		}
	}
	out := p.env.Paint(theme.Title, name)
	if d.line != nil && d.line.Packet > 0 {
		out += p.env.Paint(theme.Muted, "  packet "+thousands(uint64(d.line.Packet)))
	}
	return out
}

// labelWidth is the column of the values.
const labelWidth = 12

// fields draws the fields in w columns and h lines.
func (d *detail) fields(p *Page, w, h int) []string {
	var lines []string
	owner := []int{}
	first, last := 0, 0
	for i, x := range d.items {
		on := p.focus != inList && i == d.item
		value := wrap(x.text, max(4, w-labelWidth-2))
		if len(value) == 0 {
			value = []string{""}
		}
		if on {
			first = len(lines)
		}
		for k, v := range value {
			label := ""
			if k == 0 {
				label = x.label
			}
			s := text.Fit(label, labelWidth) + v
			switch {
			case on:
				s = p.env.Paint(theme.Selected, s)
			case x.role != theme.Plain:
				s = p.env.Paint(x.role, s)
			default:
				s = p.env.Paint(theme.Muted, text.Fit(label, labelWidth)) + v
			}
			lines = append(lines, p.env.Theme.Pointer(on && k == 0)+" "+s)
			owner = append(owner, i)
		}
		if on {
			last = len(lines) - 1
		}
	}
	d.rows.Set(len(lines), h)
	d.rows.To(last)
	d.rows.To(first)
	from, to := d.rows.Window()
	p.areas.items = map[int]int{}
	for i := from; i < to; i++ {
		p.areas.items[i-from] = owner[i]
	}
	return lines[from:to]
}

// wrap breaks a value into lines; a UUID that is too long breaks between its groups.
func wrap(s string, w int) []string {
	if len(s) <= w || strings.Count(s, "-") != 4 || strings.Contains(s, " ") {
		return text.Wrap(s, w)
	}
	var out []string
	line := ""
	for _, g := range strings.SplitAfter(s, "-") {
		if line != "" && len(line)+len(g) > w {
			out, line = append(out, line), ""
		}
		line += g
	}
	out = append(out, line)
	if slices.ContainsFunc(out, func(l string) bool { return text.Width(l) > w }) {
		return text.Wrap(s, w)
	}
	return out
}

// bytes draws the bytes of a hello in h lines: offset, and so many bytes in hex as fit.
func (d *detail) bytes(p *Page, w, h int) []string {
	if d.hello == nil {
		return nil
	}
	d.columns = 8
	if w >= 7+3*16 {
		d.columns = 16
	}
	n := d.columns
	d.hex.Set((len(d.hello.Bytes)+n-1)/n, h)
	from, to := d.marked()
	switch p.focus {
	case inBytes:
		from, to = d.byte, d.byte+1
	case inList:
		from, to = d.telling()
	}
	if to > 0 {
		d.hex.To((to - 1) / n)
	}
	d.hex.To(from / n)
	a, b := d.hex.Window()
	p.areas.hexFrom = a
	var out []string
	for r := a; r < b; r++ {
		out = append(out, d.hexRow(p, r*n, from, to))
	}
	return out
}

// hexRow draws one row. Marks stand around the bytes from, up to and without to.
func (d *detail) hexRow(p *Page, at, from, to int) string {
	left, right := "▐", "▌"
	if p.env.Theme.ASCII {
		left, right = "[", "]"
	}
	var b strings.Builder
	b.WriteString(p.env.Paint(theme.Muted, fmt.Sprintf("%04x", at)) + " ")
	fieldFrom, fieldTo := from, to
	if p.focus == inBytes {
		fieldFrom, fieldTo = d.marked()
	}
	end := min(at+d.columns, len(d.hello.Bytes))
	for i := at; i <= end; i++ {
		in := func(k int) bool { return k >= at && k < end && k >= from && k < to }
		gap := " "
		switch {
		case in(i) && !in(i-1):
			gap = p.env.Paint(theme.Selected, left)
		case !in(i) && in(i-1):
			gap = p.env.Paint(theme.Selected, right)
		}
		b.WriteString(gap)
		if i == end {
			break
		}
		s := d.hexByte(i)
		switch {
		case in(i):
			s = p.env.Paint(theme.Selected, s)
		case i >= fieldFrom && i < fieldTo:
			s = p.env.Paint(theme.Accent, s)
		}
		b.WriteString(s)
	}
	return strings.TrimRight(b.String(), " ")
}

// hexByte gives a byte in hex. While names are hidden the UUID is not told.
func (d *detail) hexByte(i int) string {
	if d.hidden && slices.ContainsFunc(d.hello.Fields, func(f wire.Field) bool { return f.Label == "UUID" && i >= f.From && i < f.To }) {
		return "··"
	}
	return hex.EncodeToString(d.hello.Bytes[i : i+1])
}

// copied and text are what is copied while the detail is looked at.
func (d *detail) copied() string {
	if d.hello != nil {
		return "the hello in hex"
	}
	return "the fields"
}

func (d *detail) text(p *Page) string {
	var out []string
	if d.hello == nil {
		for _, x := range d.items {
			out = append(out, x.label+": "+x.text)
		}
		return strings.Join(out, "\n")
	}
	for i := range d.hello.Bytes {
		out = append(out, d.hexByte(i))
	}
	return strings.ReplaceAll(strings.Join(out, " "), "··", "..")
}
