package capture

import "slices"

// maxSpans bounds how many separate pieces an assembly keeps: enough for the longest usual hello
// byte by byte in any order.
const maxSpans = 4096

// span is a range of known bytes, end exclusive.
type span struct{ from, to int }

// assembly collects bytes that come in any order, with gaps and repeats. Of a byte that comes twice
// the first copy stays. The zero value is empty; bounds on offsets are the caller's.
type assembly struct {
	buf   []byte
	known []span // sorted, disjoint, never touching
}

// insert puts b at offset off. added is the number of bytes that were not known before; conflict
// says that a byte that was known came again with another value.
func (a *assembly) insert(off int, b []byte) (added int, conflict bool) {
	if len(b) == 0 {
		return 0, false
	}
	to := off + len(b)
	i, _ := slices.BinarySearchFunc(a.known, off, func(s span, o int) int { return s.to - o })
	j := i
	for j < len(a.known) && a.known[j].from <= to {
		j++
	}
	if i == j && len(a.known) == maxSpans {
		return 0, false
	}
	a.grow(to)
	at, merged := off, span{off, to}
	for _, s := range a.known[i:j] { // spans that touch [off, to]
		if s.from > at {
			added += copy(a.buf[at:s.from], b[at-off:])
		}
		if lo, hi := max(s.from, off), min(s.to, to); lo < hi && string(a.buf[lo:hi]) != string(b[lo-off:hi-off]) {
			conflict = true
		}
		at = max(at, s.to)
		merged = span{min(merged.from, s.from), max(merged.to, s.to)}
	}
	if at < to {
		added += copy(a.buf[at:to], b[at-off:])
	}
	a.known = slices.Replace(a.known, i, j, merged)
	return added, conflict
}

// grow makes the buffer reach offset to.
func (a *assembly) grow(to int) {
	if to <= len(a.buf) {
		return
	}
	if to <= cap(a.buf) {
		a.buf = a.buf[:to]
		return
	}
	n := make([]byte, to, max(to, min(2*cap(a.buf), to+4096)))
	copy(n, a.buf)
	a.buf = n
}

// prefix gives how many bytes are known without a gap from offset 0.
func (a *assembly) prefix() int {
	if len(a.known) > 0 && a.known[0].from == 0 {
		return a.known[0].to
	}
	return 0
}

// end gives the offset behind the last known byte.
func (a *assembly) end() int {
	if len(a.known) == 0 {
		return 0
	}
	return a.known[len(a.known)-1].to
}

// size is what the assembly holds in memory, in bytes.
func (a *assembly) size() int { return cap(a.buf) + 16*cap(a.known) }

// dropFirst takes the byte at offset 0 away, known or not: offset 1 becomes offset 0.
func (a *assembly) dropFirst() {
	if len(a.buf) == 0 {
		return
	}
	a.buf = a.buf[1:]
	for i := range a.known {
		a.known[i].from = max(0, a.known[i].from-1)
		a.known[i].to--
	}
	if a.known[0].to == 0 {
		a.known = a.known[1:]
	}
}

// shift makes room for n bytes in front: offset 0 becomes offset n.
func (a *assembly) shift(n int) {
	if old := len(a.buf); old > 0 {
		a.grow(old + n)
		copy(a.buf[n:], a.buf[:old])
	}
	for i := range a.known {
		a.known[i].from += n
		a.known[i].to += n
	}
}
