package wire

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/capture"
	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/wire"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/theme"
)

// crowd is a source of n attempts of many clients, each a SYN and what refuses it.
type crowd struct{ n int }

func (c crowd) Run(_ context.Context, fn func(*capture.Packet) error) error {
	server := netip.MustParseAddrPort("10.1.0.10:9971")
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for i := range c.n {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, byte(i / 97 % 250), byte(i%250 + 1)}), uint16(1024+i%60000))
		b, err := capture.Frame(from, server, capture.SYN, uint32(i), 0, nil)
		if err != nil {
			return err
		}
		at = at.Add(37 * time.Millisecond)
		if err := fn(&capture.Packet{Data: b, OrigLen: len(b), Link: capture.LinkEthernet, Time: at, Number: i + 1}); err != nil {
			return err
		}
	}
	return nil
}

func (c crowd) Stats() capture.Stats { return capture.Stats{} }

// many is what a log says of that many attempts.
var many = sync.OnceValue(func() wire.Batch {
	l := wire.New(wire.Tap{Side: diag.AtClient, Name: "crowd", Open: func(bool) (capture.Source, error) { return crowd{100_000}, nil }})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go l.Run(ctx)
	l.Want()
	for {
		if b := l.Since(0); b.Sources[0].Read {
			return b
		}
		time.Sleep(5 * time.Millisecond)
	}
})

func newPage(t testing.TB) *Page {
	t.Helper()
	keys, err := keymap.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := New(&page.Env{Theme: theme.New(theme.Config{Dark: true, Colors: 256}), Keys: keys, Zone: time.UTC, Snap: &flow.Snapshot{Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}})
	p.SetSize(120, 42)
	return p
}

var (
	up   = tea.KeyMsg{Type: tea.KeyUp}
	down = tea.KeyMsg{Type: tea.KeyDown}
)

// BenchmarkKey is one key and the frame after it, among a hundred thousand lines.
func BenchmarkKey(b *testing.B) {
	p := newPage(b)
	p.Update(page.Wired{Batch: many()})
	p.View()
	for i := 0; b.Loop(); i++ {
		k := up
		if i%2 == 1 {
			k = down
		}
		p.Update(k)
		p.View()
	}
}

// BenchmarkBatch is one line that comes to a hundred thousand, and the frame after it.
func BenchmarkBatch(b *testing.B) {
	p := newPage(b)
	all := many()
	p.Update(page.Wired{Batch: all})
	last := *all.Lines[len(all.Lines)-1]
	for b.Loop() {
		last.ID++
		last.At = last.At.Add(time.Millisecond)
		next := last
		p.Update(page.Wired{Batch: wire.Batch{Lines: []*wire.Line{&next}, First: all.First, Sources: all.Sources}})
		p.View()
	}
}

// BenchmarkFilter is one character of a filter over a hundred thousand lines.
func BenchmarkFilter(b *testing.B) {
	p := newPage(b)
	p.Update(page.Wired{Batch: many()})
	for b.Loop() {
		p.store.show("", "10.20.7")
	}
}

// A key does the work of what is seen, not of all that is there: it takes as long among a hundred
// thousand lines as among a thousand. The bound is wide, for machines that are busy.
func TestKeysStayQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds 100,000 lines")
	}
	all := many()
	took := func(n int) time.Duration {
		p := newPage(t)
		b := all
		b.Lines = b.Lines[:n]
		p.Update(page.Wired{Batch: b})
		p.View()
		best := time.Hour
		for range 15 {
			start := time.Now()
			for range 20 {
				p.Update(up)
				p.View()
				p.Update(down)
				p.View()
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	few, lots := took(1000), took(len(all.Lines))
	t.Logf("20 times up and down: %v among 1,000 lines, %v among %d", few, lots, len(all.Lines))
	if lots > 20*few+20*time.Millisecond {
		t.Errorf("keys take %v among %d lines and %v among 1,000", lots, len(all.Lines), few)
	}
}

// However lines come, they stand in the order of time, each once, and the hellos among them can be
// found.
func TestStoreKeepsOrder(t *testing.T) {
	all := many().Lines[:2000]
	s := newStore(func(l *wire.Line) string { return l.What })
	for from := 0; from < len(all); from += 100 {
		chunk := slices.Clone(all[from:min(from+100, len(all))])
		for i, l := range chunk {
			c := *l
			if i%7 == 0 { // some came late
				c.At = c.At.Add(-20 * time.Second)
			}
			chunk[i] = &c
		}
		s.take(wire.Batch{Lines: chunk})
		s.take(wire.Batch{Lines: chunk[:3]}) // they changed
	}
	if len(s.order) != len(all) || s.total() != len(all) {
		t.Fatalf("%d of %d lines are shown", len(s.order), len(all))
	}
	for i := range s.order[1:] {
		if s.compare(s.order[i], s.order[i+1]) >= 0 {
			t.Fatalf("row %d does not come before the next", i)
		}
	}
	for i, id := range s.order {
		if row, ok := s.find(id); !ok || row != i {
			t.Fatalf("line %d is found in row %d, it stands in %d", id, row, i)
		}
	}
	s.take(wire.Batch{First: 500})
	if len(s.order) != 1500 || s.at(499) != nil || s.at(500) == nil || s.total() != 1500 {
		t.Errorf("%d lines are left", len(s.order))
	}
}

// The schedule of a client says what it is, at every width, and never goes beyond it.
func TestScheduleFits(t *testing.T) {
	p := newPage(t)
	b := many()
	b.Lines = b.Lines[:300]
	p.Update(page.Wired{Batch: b})
	for w := 30; w < 180; w += 7 {
		lines := p.schedule(w)
		if len(lines) != 3 || !strings.Contains(lines[0], "form A or B") && w > 40 {
			t.Fatalf("width %d: %q", w, lines)
		}
		for _, l := range lines {
			if n := len([]rune(stripped(l))); n > w {
				t.Errorf("width %d: %d columns: %q", w, n, l)
			}
		}
	}
}

func stripped(s string) string {
	for {
		a := strings.Index(s, "\x1b[")
		if a < 0 {
			return s
		}
		s = s[:a] + s[a+strings.IndexByte(s[a:], 'm')+1:]
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1204331: "1,204,331"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
	if got := span(12*time.Minute + 44*time.Second); got != "0:12:44" {
		t.Error(got)
	}
}

func TestUUIDBreaksBetweenGroups(t *testing.T) {
	got := strings.Join(wrap("4c4c4544-0058-3910-8059-b7c04f4b5a31", 17), "|")
	if got != "4c4c4544-0058-|3910-8059-|b7c04f4b5a31" {
		t.Error(got)
	}
	if got := wrap("4c4c4544-0058-3910-8059-b7c04f4b5a31", 6); len(got) < 6 {
		t.Error(got)
	}
}

// TestClickWhileFiltering: a click on a line ends the typing, as enter does, and selects it; the filter stays.
func TestClickWhileFiltering(t *testing.T) {
	p := newPage(t)
	p.Update(page.Wired{Batch: many()})
	p.View()
	for _, k := range "/10.20" {
		p.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{k}})
	}
	p.View()
	if !p.Typing() || p.filterText() != "10.20" {
		t.Fatalf("typing %v, filter %q", p.Typing(), p.filterText())
	}
	before := p.selected()
	line := -1
	for at, row := range p.areas.rows {
		if row == p.rows.Cursor()-2 {
			line = at
		}
	}
	p.ClickAt(10, line)
	if p.Typing() || p.filterText() != "10.20" || p.selected() == before {
		t.Errorf("typing %v, filter %q, selected %v as before", p.Typing(), p.filterText(), p.selected())
	}
	p.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{' '}}) // it freezes again, and is not typed
	if p.filterText() != "10.20" || !p.frozen {
		t.Errorf("filter %q, frozen %v", p.filterText(), p.frozen)
	}
}
