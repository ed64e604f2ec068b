package capture

import (
	"net/netip"
	"time"
)

// Bounds of the table of unfinished datagrams.
const (
	maxDatagrams    = 256
	maxDatagramSize = 65535
	fragmentLife    = 30 * time.Second
)

// fragKey names a datagram: addresses, identification, and for IPv4 the protocol.
type fragKey struct {
	src, dst netip.Addr
	id       uint32
	proto    byte
}

// datagram is one that is being joined, or was: a whole one is kept for a while, so that the copies
// of a mirror port do not begin it anew.
type datagram struct {
	key   fragKey
	first time.Time
	asm   assembly
	total int // -1 until the last fragment came
	whole bool
}

// differs reports whether a fragment cannot belong to g: it has other bytes at the same place, or
// another end. Some senders use one identification for everything.
func (g *datagram) differs(off int, more bool, b []byte) bool {
	if !more && g.total >= 0 && off+len(b) != g.total {
		return true
	}
	if g.total >= 0 && off+len(b) > g.total {
		return true
	}
	for _, s := range g.asm.known {
		if lo, hi := max(s.from, off), min(s.to, off+len(b)); lo < hi && string(g.asm.buf[lo:hi]) != string(b[lo-off:hi-off]) {
			return true
		}
	}
	return false
}

// defrag joins IP fragments. It keeps at most maxDatagrams, the oldest give way.
type defrag struct {
	open map[fragKey]*datagram
	age  []*datagram // in order of opening
}

func newDefrag() *defrag { return &defrag{open: map[fragKey]*datagram{}} }

// add takes one fragment and gives the whole payload once nothing is missing, else nil. A fragment
// that comes twice changes nothing; one that contradicts begins another datagram.
func (d *defrag) add(key fragKey, at time.Time, off int, more bool, b []byte) []byte {
	if off+len(b) > maxDatagramSize || (more && len(b)%8 != 0) {
		return nil
	}
	g := d.open[key]
	if g != nil && (at.Sub(g.first) > fragmentLife || g.differs(off, more, b)) {
		d.drop(g)
		g = nil
	}
	if g != nil && g.whole {
		return nil
	}
	if g == nil {
		if len(d.age) == maxDatagrams {
			d.drop(d.age[0])
		}
		g = &datagram{key: key, first: at, total: -1}
		d.open[key] = g
		d.age = append(d.age, g)
	}
	if !more {
		g.total = off + len(b)
	}
	g.asm.insert(off, b)
	if g.total < 0 || g.asm.prefix() < g.total {
		return nil
	}
	g.whole = true
	return g.asm.buf[:g.total]
}

func (d *defrag) drop(g *datagram) {
	delete(d.open, g.key)
	for i, o := range d.age {
		if o == g {
			d.age = append(d.age[:i], d.age[i+1:]...)
			return
		}
	}
}
