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

// datagram is one that is being joined.
type datagram struct {
	key   fragKey
	first time.Time
	asm   assembly
	total int // -1 until the last fragment came
}

// defrag joins IP fragments. It keeps at most maxDatagrams, the oldest give way.
type defrag struct {
	open map[fragKey]*datagram
	age  []*datagram // in order of opening
}

func newDefrag() *defrag { return &defrag{open: map[fragKey]*datagram{}} }

// add takes one fragment and gives the whole payload once nothing is missing, else nil. Of bytes
// that come twice the first copy stays.
func (d *defrag) add(key fragKey, at time.Time, off int, more bool, b []byte) []byte {
	if off+len(b) > maxDatagramSize || (more && len(b)%8 != 0) {
		return nil
	}
	g := d.open[key]
	if g != nil && at.Sub(g.first) > fragmentLife {
		d.drop(g)
		g = nil
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
	d.drop(g)
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
