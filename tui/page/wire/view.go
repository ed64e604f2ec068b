package wire

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/wire"
	"amtmedic/tui/part/facts"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// Widths from which on the page is laid out otherwise.
const (
	besideFrom = 110 // the detail stands beside the list
	portsFrom  = 84  // of the list: addresses with ports, times to the millisecond
	toFrom     = 70  // of the list: where a packet goes
	wideFrom   = 150 // sixteen bytes in a row
	tallFrom   = 14  // lines: the schedule is shown
)

// areas remembers what stands where, for the mouse.
type areas struct {
	rows    list.Lines  // line of the body -> row of the list
	listTo  int         // the list ends at this column
	items   map[int]int // line of the fields -> item
	itemsAt int         // line of the body where the fields begin
	fromCol int         // column where they begin
	hexAt   int         // line of the body where the bytes begin, and column
	hexCol  int
	hexFrom int // first row of the bytes that is shown
	hexTo   int // line behind the last
	detail  bool
}

// beside reports whether the detail stands beside the list.
func (p *Page) beside() bool { return p.w >= besideFrom }

// detailWidth is that of the pane at the right.
func (p *Page) detailWidth() int {
	if p.w >= wideFrom {
		return 62
	}
	return 32
}

// listHeight is how many lines of the log are shown.
func (p *Page) listHeight() int {
	h := p.h - 1
	if p.tall() {
		h -= 4
	}
	if !p.beside() {
		h -= 1
	}
	return max(1, h)
}

func (p *Page) tall() bool { return p.h >= tallFrom }

// View draws the page.
func (p *Page) View() []string {
	p.detail.load(p)
	p.rows.Set(len(p.store.order), p.listHeight())
	p.areas = areas{rows: list.Lines{}, listTo: p.w}
	switch {
	case p.beside():
		dw := p.detailWidth()
		lw := p.w - dw - 3
		p.areas.listTo = lw
		left, right := p.list(lw), p.pane(dw, p.h, 0, lw+3)
		sep := " " + p.env.Paint(theme.Muted, "│") + " "
		return text.Columns(sep, p.h, text.Column{Lines: left, Width: lw}, text.Column{Lines: right, Width: dw})
	case p.focus != inList && p.saving == nil && !p.typing:
		return text.Block(p.full(), p.w, p.h)
	}
	return text.Block(p.list(p.w), p.w, p.h)
}

// list draws the lines and what stands below them.
func (p *Page) list(w int) []string {
	out := []string{p.head(w)}
	if len(p.sources) == 0 && p.filter == nil {
		out = nil
	}
	if len(p.store.order) == 0 {
		out = append(out, "")
		for _, s := range p.empty() {
			for _, l := range text.Wrap(s, w-6) {
				out = append(out, "   "+l)
			}
		}
		return out
	}
	from, to := p.rows.Window()
	for i := from; i < to; i++ {
		p.areas.rows[len(out)] = i
		out = append(out, p.row(p.store.row(i), i == p.rows.Cursor(), w))
	}
	for len(out) < 1+p.listHeight() {
		out = append(out, "")
	}
	if !p.beside() {
		out = append(out, p.summary(w))
	}
	if p.tall() {
		out = append(append(out, ""), p.schedule(w)...)
	}
	return out
}

// head names the columns, or shows what is typed.
func (p *Page) head(w int) string {
	switch {
	case p.saving != nil:
		line := "   save " + p.whose + " as "
		line += p.saving.View(p.env.Theme, max(8, w-text.Width(line)-2))
		if p.failed != "" {
			return "   " + p.env.Paint(theme.Warn, "! "+text.Cut(p.failed, w-6))
		}
		return line
	case p.filter != nil:
		typed := p.filter.Value()
		if p.typing {
			typed = p.filter.View(p.env.Theme, max(8, w-30))
		}
		return text.Sides("   / "+typed, p.env.Paint(theme.Muted, fmt.Sprintf("%s of %s", thousands(uint64(len(p.store.order))), thousands(uint64(p.store.total())))), w-1)
	}
	c := p.columns(w)
	s := text.Fit("time", c.time)
	if c.side > 0 {
		s += text.Fit("seen at", c.side)
	}
	s += text.Fit("from", c.addr)
	if c.to {
		s += text.Fit("to", c.addr)
	}
	return "  " + p.env.Paint(theme.Muted, s+"what")
}

// columns are the widths of a row.
type columns struct {
	time, side, addr int
	to, ports        bool
}

func (p *Page) columns(w int) columns {
	c := columns{time: 10, addr: 17, to: w >= toFrom}
	if w >= portsFrom {
		c.time, c.addr, c.ports = 14, 21, true
	}
	if w >= portsFrom+20 {
		c.addr = 24
	}
	if p.store.side == "" {
		c.side = 8
	}
	return c
}

// row draws one line of the log.
func (p *Page) row(l *wire.Line, on bool, w int) string {
	c := p.columns(w)
	at := p.clock(l.At)
	if c.time < 14 && at != "" {
		at = at[:8]
	}
	end := func(a interface{ String() string }, host string) string {
		s := host
		if c.ports {
			s = a.String()
		}
		return text.Fit(text.Cut(p.hide(s), c.addr-1), c.addr)
	}
	s := text.Fit(at, c.time)
	if c.side > 0 {
		s += text.Fit(string(l.Side), c.side)
	}
	s += end(l.From, addr(l.From.Addr()))
	if c.to {
		s += end(l.To, addr(l.To.Addr()))
	}
	what := p.hide(l.What)
	what = facts.Cut(what, max(0, w-2-text.Width(s)))
	switch {
	case on:
		s = p.env.Paint(theme.Selected, s+what)
	case len(p.store.words) > 0:
		s = p.env.Theme.Match(s+what, p.filterText())
	default:
		s += p.env.Paint(role(l), what)
	}
	return p.env.Theme.Pointer(on) + " " + s
}

// role is how the words of a line are painted.
func role(l *wire.Line) theme.Role {
	switch {
	case l.IsHello() && (l.Kind == "partial" || l.Method() == ""):
		return theme.Warn
	case l.IsHello():
		return theme.Accent
	case l.Kind == "closed" || l.Kind == "dhcp":
		return theme.Muted
	}
	return theme.Plain
}

// empty says why there are no lines, and what to do.
func (p *Page) empty() []string {
	switch {
	case p.filter != nil:
		return []string{"Nothing fits the filter. esc clears it."}
	case len(p.sources) == 0:
		return []string{"No packets are kept in this case yet. They come while the walk listens on an interface, or from a capture file:", "", "amtmedic --capture FILE"}
	}
	for _, s := range p.sources {
		if s.Failed != nil {
			return []string{p.hide(s.Failed.Error())}
		}
	}
	if p.store.side != "" && len(p.store.lines) > 0 {
		return []string{"Nothing was seen " + place(p.store.side) + ". v shows the other side."}
	}
	if p.live() {
		return []string{"Nothing was seen yet. An attempt stands here as soon as its first packet comes."}
	}
	return []string{"Nothing of a client stands in these packets: no attempt to say hello, no question for a name, no lease."}
}

// summary is the selected line in one line below the list, where no pane shows it.
func (p *Page) summary(w int) string {
	l := p.selected()
	if l == nil {
		return ""
	}
	s := l.From.String() + " → " + l.To.String()
	if u := l.UUID(); u != "" {
		s = u
		if l.PID() != "" && l.PID() == p.pid && p.mapped != "" {
			s += "  PID " + p.mapped
		}
	}
	left := ""
	if l.Packet > 0 {
		left = "packet " + thousands(uint64(l.Packet)) + "  "
	}
	return "  " + p.env.Paint(theme.Muted, text.Cut(left+p.hide(s), w-3))
}

// pane draws the detail beside the list.
func (p *Page) pane(w, h, line, column int) []string {
	if p.detail.line == nil {
		return nil
	}
	out := []string{p.detail.title(p)}
	hexRows := 0
	if p.detail.hello != nil {
		n := 8
		if w >= 7+3*16 {
			n = 16
		}
		hexRows = min((len(p.detail.hello.Bytes)+n-1)/n, max(4, (h-3)*2/5))
	}
	room := h - 1 - hexRows
	if hexRows > 0 {
		room--
	}
	fields := p.detail.fields(p, w, max(1, room))
	p.areas.itemsAt, p.areas.fromCol = line+len(out), column
	out = append(out, fields...)
	if hexRows > 0 {
		out = append(out, "")
		p.areas.hexAt, p.areas.hexCol = line+len(out), column
		out = append(out, p.detail.bytes(p, w, hexRows)...)
		p.areas.hexTo = line + len(out)
	}
	p.areas.detail = true
	return out
}

// full draws the detail instead of the list, fields and bytes side by side.
func (p *Page) full() []string {
	d := &p.detail
	if d.line == nil {
		return nil
	}
	l := d.line
	where := p.hide(strings.Join([]string{p.clock(l.At), l.From.String(), "→", l.To.String()}, " "))
	head := text.Sides(" "+d.title(p), p.env.Paint(theme.Muted, where), p.w-1)
	p.areas.detail, p.areas.itemsAt, p.areas.fromCol = true, 1, 1
	h := p.h - 1
	if d.hello == nil {
		return append([]string{head}, indent(d.fields(p, p.w-2, h))...)
	}
	const hexWidth = 30
	fw := p.w - hexWidth - 2
	p.areas.hexAt, p.areas.hexCol = 1, fw+1
	fields, hexes := indent(d.fields(p, fw-1, h)), d.bytes(p, hexWidth, h)
	p.areas.hexTo = 1 + len(hexes)
	return append([]string{head}, text.Columns(" ", h, text.Column{Lines: fields, Width: fw}, text.Column{Lines: hexes, Width: hexWidth})...)
}

func indent(lines []string) []string {
	for i, l := range lines {
		lines[i] = " " + l
	}
	return lines
}

// Status is the header: the vantage, and how the capture goes.
func (p *Page) Status() (string, string) {
	middle := "wire"
	switch {
	case p.store.side != "" && len(p.sides) > 0:
		middle += ", " + place(p.store.side)
	case len(p.sides) > 1:
		middle += ", both sides"
	}
	name := p.env.Snap.CaseID
	if name == "" {
		name = p.env.Snap.World
	}
	room := p.w - 16 - min(text.Width(name), p.w/3) - len(middle)
	if p.env.Hidden {
		room -= len("[names hidden] ")
	}
	return middle, p.state(room)
}

// place says where a side is.
func place(side diag.Vantage) string {
	if side == diag.AtThird {
		return "elsewhere"
	}
	return "at the " + string(side)
}

// state tells as much of the capture as there is room for: whether lines come, what was lost, how
// many packets, from where and for how long.
func (p *Page) state(room int) string {
	var s tally
	for _, x := range p.sources {
		if p.store.side == "" || x.Side == p.store.side {
			s.add(x)
		}
	}
	last := "held"
	switch {
	case len(p.sources) == 0:
		return "no packets"
	case p.frozen:
		last = "frozen"
		if p.fresh > 0 {
			last += fmt.Sprintf(", %s more", thousands(uint64(p.fresh)))
		}
	case !s.live:
		last = "not listening"
		if s.files {
			last = "recorded"
		}
	case p.follow:
		last = "following"
	}
	parts := []string{last}
	put := func(part string) bool {
		fits := part != "" && text.Width(strings.Join(append([]string{part}, parts...), " · ")) <= room
		if fits {
			parts = append([]string{part}, parts...)
		}
		return fits
	}
	if s.known && (s.dropped > 0 || p.w >= besideFrom) {
		put(thousands(s.dropped) + " dropped")
	}
	word := " packets"
	if s.packets == 1 {
		word = " packet"
	}
	put(thousands(s.packets) + word)
	if !put(p.hide(s.name(p.env.Practice()))) && s.live {
		put("live")
	}
	return strings.Join(parts, " · ")
}

// tally is the state of all sources that are shown.
type tally struct {
	live, known, files bool
	packets, dropped   uint64
	first, last        time.Time
	names              []string
}

func (t *tally) add(s wire.Source) {
	t.live = t.live || s.Live
	t.files = t.files || s.File
	t.known = t.known || s.Known
	t.packets, t.dropped = t.packets+s.Packets, t.dropped+s.Dropped
	if t.first.IsZero() || !s.First.IsZero() && s.First.Before(t.first) {
		t.first = s.First
	}
	if s.Last.After(t.last) {
		t.last = s.Last
	}
	name := filepath.Base(s.Name)
	for _, n := range t.names {
		if n == name {
			return
		}
	}
	t.names = append(t.names, name)
}

func (t *tally) name(practice bool) string {
	if len(t.names) == 0 {
		return ""
	}
	out := t.names[0]
	if len(t.names) > 1 {
		out = fmt.Sprintf("%d captures", len(t.names))
	}
	if practice && len(t.names) == 1 {
		out = "practice"
	}
	if t.live {
		out += " live"
	}
	if d := t.last.Sub(t.first); !t.first.IsZero() && d >= 0 {
		out += " " + span(d)
	}
	return out
}

// span writes a time as hours, minutes and seconds.
func span(d time.Duration) string {
	s := int(d.Seconds())
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// thousands parts a number at its thousands.
func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
