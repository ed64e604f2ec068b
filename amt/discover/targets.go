package discover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// The most addresses of one target: a /8 of IPv4, a /112 of IPv6.
const (
	max4 = 1 << 24
	max6 = 1 << 16
)

// Targets are hosts to ask, by number from 0. They take the space of the words that named them,
// however many addresses these mean.
type Targets struct {
	words  []string
	parts  []part
	starts []int // number of the first host of each part
	total  int
}

// part is one word: a name, or count addresses from first.
type part struct {
	name  string
	first netip.Addr
	count int
}

// ParseTargets reads names, addresses, ranges A-B and CIDR blocks. Of an IPv4 block of 4 or more
// addresses the first and the last, network and broadcast, are left out.
func ParseTargets(words []string) (*Targets, error) {
	t := &Targets{words: words}
	for _, w := range words {
		p, err := parsePart(w)
		if err != nil {
			return nil, err
		}
		t.parts, t.starts = append(t.parts, p), append(t.starts, t.total)
		if t.total += p.count; t.total > max4 {
			return nil, fmt.Errorf("more than %d addresses are asked for", max4)
		}
	}
	return t, nil
}

func parsePart(w string) (part, error) {
	if a, err := netip.ParseAddr(strings.Trim(w, "[]")); err == nil {
		return part{first: a.Unmap(), count: 1}, nil
	}
	if strings.Contains(w, "/") {
		return parseBlock(w)
	}
	if from, to, ok := strings.Cut(w, "-"); ok {
		a, errA := netip.ParseAddr(strings.TrimSpace(from))
		b, errB := netip.ParseAddr(strings.TrimSpace(to))
		if errA == nil && errB == nil {
			return span(w, a, b)
		}
		if errA == nil {
			return part{}, fmt.Errorf("%q is no range: an address is expected behind the dash", w)
		}
	}
	if err := isName(w); err != nil {
		return part{}, err
	}
	return part{name: w, count: 1}, nil
}

func parseBlock(w string) (part, error) {
	p, err := netip.ParsePrefix(w)
	if err != nil {
		return part{}, fmt.Errorf("%q is no block such as 10.1.0.0/24", w)
	}
	first, free := p.Masked().Addr(), p.Addr().BitLen()-p.Bits()
	if free > 24 || first.Is6() && free > 16 {
		return part{}, fmt.Errorf("%s is too large: at most /8 for IPv4, /112 for IPv6", w)
	}
	if first.Is4() && free >= 2 {
		return part{first: first.Next(), count: 1<<free - 2}, nil
	}
	return part{first: first, count: 1 << free}, nil
}

// span is the range from a to b, both included.
func span(w string, a, b netip.Addr) (part, error) {
	a, b = a.Unmap(), b.Unmap()
	if a.BitLen() != b.BitLen() || a.Zone() != b.Zone() || b.Less(a) {
		return part{}, fmt.Errorf("%q is no range: the second address must follow the first", w)
	}
	x, y := a.As16(), b.As16()
	if binary.BigEndian.Uint64(x[:8]) != binary.BigEndian.Uint64(y[:8]) {
		return part{}, fmt.Errorf("%s is too large", w)
	}
	n := binary.BigEndian.Uint64(y[8:]) - binary.BigEndian.Uint64(x[8:])
	if n >= max4 || a.Is6() && n >= max6 {
		return part{}, fmt.Errorf("%s is too large: at most %d addresses of IPv4, %d of IPv6", w, max4, max6)
	}
	return part{first: a, count: int(n) + 1}, nil
}

func isName(w string) error {
	if w == "" || len(w) > 253 || strings.HasPrefix(w, "-") {
		return fmt.Errorf("%q is no name, address, range or block", w)
	}
	digits := true
	for _, c := range w {
		switch {
		case c >= '0' && c <= '9' || c == '.':
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c > 0x7f:
			digits = false
		default:
			return fmt.Errorf("%q is no name, address, range or block", w)
		}
	}
	if digits {
		return fmt.Errorf("%q is no address", w)
	}
	return nil
}

// Len is how many hosts there are, doubles included.
func (t *Targets) Len() int { return t.total }

// errTwice is a host that an earlier part has.
var errTwice = errors.New("asked already")

// at gives host i: a name, or an address. errTwice when an earlier part has the address.
func (t *Targets) at(i int) (name string, addr netip.Addr, err error) {
	n := len(t.parts) - 1
	for t.starts[n] > i {
		n--
	}
	p := t.parts[n]
	if p.name != "" {
		return p.name, addr, nil
	}
	addr = plus(p.first, i-t.starts[n])
	for _, q := range t.parts[:n] {
		if q.name == "" && q.first.BitLen() == addr.BitLen() && q.first.Zone() == addr.Zone() &&
			!addr.Less(q.first) && !plus(q.first, q.count-1).Less(addr) {
			return "", addr, errTwice
		}
	}
	return "", addr, nil
}

// plus gives the n-th address behind a.
func plus(a netip.Addr, n int) netip.Addr {
	if a.Is4() {
		b := a.As4()
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(n))
		return netip.AddrFrom4(b)
	}
	b := a.As16()
	binary.BigEndian.PutUint64(b[8:], binary.BigEndian.Uint64(b[8:])+uint64(n))
	return netip.AddrFrom16(b).WithZone(a.Zone())
}
