package wire

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"amtmedic/diag"
	"amtmedic/diag/wire"
)

// store holds the lines that came, and those of them that are shown, in the order of time. What it
// does with one key is done with the lines that it concerns, however many there are.
type store struct {
	base   int
	lines  []*wire.Line // by ID, the first one has the ID base
	low    []string     // what the filter looks through, empty until it does
	shown  []bool       // by ID
	order  []int        // IDs that are shown
	hellos []int        // those of hellos among them
	tries  map[owner][]wire.Try
	ids    map[owner][]int // of the tries
	count  map[diag.Vantage]int

	side  diag.Vantage // empty: both
	words []string     // of the filter, in lower case
	text  func(*wire.Line) string
}

// owner is a client as one side saw it.
type owner struct {
	side   diag.Vantage
	client netip.Addr
}

func newStore(text func(*wire.Line) string) *store {
	return &store{tries: map[owner][]wire.Try{}, ids: map[owner][]int{}, count: map[diag.Vantage]int{}, text: text}
}

// at gives a line by its ID; nil when it is not there.
func (s *store) at(id int) *wire.Line {
	if i := id - s.base; i >= 0 && i < len(s.lines) {
		return s.lines[i]
	}
	return nil
}

// row gives the line of a row that is shown; nil for no row.
func (s *store) row(i int) *wire.Line {
	if i < 0 || i >= len(s.order) {
		return nil
	}
	return s.at(s.order[i])
}

// take adds what came.
func (s *store) take(b wire.Batch) {
	s.forget(b.First)
	var fresh, hellos []int
	for _, l := range b.Lines {
		i := l.ID - s.base
		if i < 0 {
			continue
		}
		for len(s.lines) <= i { // lines come in the order of their IDs
			s.lines, s.low, s.shown = append(s.lines, nil), append(s.low, ""), append(s.shown, false)
		}
		known := s.lines[i] != nil
		s.lines[i], s.low[i] = l, ""
		if !known {
			s.count[l.Side]++
			s.try(l)
		}
		if s.shown[i] || !s.fits(l) {
			continue
		}
		s.shown[i] = true
		fresh = append(fresh, l.ID)
		if l.IsHello() {
			hellos = append(hellos, l.ID)
		}
	}
	s.order, s.hellos = s.merge(s.order, fresh), s.merge(s.hellos, hellos)
}

// forget drops the lines that the log keeps no more.
func (s *store) forget(first int) {
	n := min(first-s.base, len(s.lines))
	if n <= 0 {
		return
	}
	for _, l := range s.lines[:n] {
		if l != nil {
			s.count[l.Side]--
		}
	}
	s.lines, s.low, s.shown, s.base = s.lines[n:], s.low[n:], s.shown[n:], s.base+n
	gone := func(id int) bool { return id < s.base }
	s.order, s.hellos = slices.DeleteFunc(s.order, gone), slices.DeleteFunc(s.hellos, gone)
}

// try notes an attempt of a client, or what the hello of one tells about it.
func (s *store) try(l *wire.Line) {
	if l.Try < 0 || !l.Client.IsValid() {
		return
	}
	o := owner{l.Side, l.Client}
	tries, ids := s.tries[o], s.ids[o]
	i, found := slices.BinarySearch(ids, l.Try)
	switch {
	case found && l.IsHello():
		tries[i].Retry, tries[i].Method = l.Retry, l.Method()
	case !found && l.Try == l.ID:
		s.tries[o] = slices.Insert(tries, i, wire.Try{At: l.At, Retry: l.Retry, Method: l.Method()})
		s.ids[o] = slices.Insert(ids, i, l.ID)
	}
}

// fits reports whether a line is of the side that is shown and passes the filter.
func (s *store) fits(l *wire.Line) bool {
	if s.side != "" && l.Side != s.side {
		return false
	}
	if len(s.words) == 0 {
		return true
	}
	i := l.ID - s.base
	if s.low[i] == "" {
		s.low[i] = strings.ToLower(s.text(l))
	}
	return !slices.ContainsFunc(s.words, func(w string) bool { return !strings.Contains(s.low[i], w) })
}

// show changes side and filter.
func (s *store) show(side diag.Vantage, filter string) {
	words := strings.Fields(strings.ToLower(filter))
	s.side, s.words = side, words
	s.order, s.hellos = nil, nil
	clear(s.shown)
	var fresh, hellos []int
	for i, l := range s.lines {
		if l == nil || !s.fits(l) {
			continue
		}
		s.shown[i] = true
		fresh = append(fresh, l.ID)
		if l.IsHello() {
			hellos = append(hellos, l.ID)
		}
	}
	s.order, s.hellos = s.merge(nil, fresh), s.merge(nil, hellos)
}

// total is how many lines the side that is shown has.
func (s *store) total() int {
	n := 0
	for side, k := range s.count {
		if s.side == "" || s.side == side {
			n += k
		}
	}
	return n
}

// retext forgets what the filter looked through: names are shown in another way now.
func (s *store) retext() { clear(s.low) }

// compare orders two lines by time; of one moment the client's come first, and those of one side in
// the order in which they came. Captures are read side by side, so their order tells nothing.
func (s *store) compare(a, b int) int {
	x, y := s.at(a), s.at(b)
	return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Side, y.Side), cmp.Compare(a, b))
}

// merge puts new IDs into an ordered list. They mostly belong to its end.
func (s *store) merge(list, fresh []int) []int {
	if len(fresh) == 0 {
		return list
	}
	slices.SortFunc(fresh, s.compare)
	from, _ := slices.BinarySearchFunc(list, fresh[0], s.compare)
	tail := slices.Clone(list[from:])
	list = list[:from]
	for len(tail) > 0 && len(fresh) > 0 {
		if s.compare(tail[0], fresh[0]) <= 0 {
			list, tail = append(list, tail[0]), tail[1:]
		} else {
			list, fresh = append(list, fresh[0]), fresh[1:]
		}
	}
	return append(append(list, tail...), fresh...)
}

// find gives the row of a line, or the one where it would stand.
func (s *store) find(id int) (row int, there bool) {
	if s.at(id) == nil {
		return 0, false
	}
	return slices.BinarySearchFunc(s.order, id, s.compare)
}

// hello gives the row of the next hello from a line on, or of the one before it with step -1, around
// the ends; false when none is shown.
func (s *store) hello(id, step int) (row int, ok bool) {
	n := len(s.hellos)
	if n == 0 {
		return 0, false
	}
	i := 0
	if step < 0 {
		i = n - 1
	}
	if s.at(id) != nil {
		at, there := slices.BinarySearchFunc(s.hellos, id, s.compare)
		switch {
		case step < 0:
			i = at - 1
		case there:
			i = at + 1
		default:
			i = at
		}
	}
	row, _ = s.find(s.hellos[(i+n)%n])
	return row, true
}

// schedule gives what may be expected of the client of a line, from its attempts at the side of the
// line, else at the other one.
func (s *store) schedule(l *wire.Line) (wire.Schedule, bool) {
	if l == nil || !l.Client.IsValid() {
		return wire.Schedule{}, false
	}
	for _, side := range []diag.Vantage{l.Side, diag.AtClient, diag.AtServer} {
		o := owner{side, l.Client}
		if s.onlyKnocked(o) {
			continue
		}
		if x, ok := wire.Expect(s.tries[o]); ok {
			return x, true
		}
	}
	return wire.Schedule{}, false
}

// onlyKnocked reports whether all that is known of somebody is one connection without a hello, as
// whoever tries the port makes it.
func (s *store) onlyKnocked(o owner) bool {
	tries := s.tries[o]
	if len(tries) != 1 || tries[0].Retry >= 0 {
		return false
	}
	l := s.at(s.ids[o][0])
	return l != nil && strings.HasSuffix(l.What, "connected")
}
