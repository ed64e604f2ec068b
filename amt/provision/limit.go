package provision

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// table knows the open connections by their source address and keeps each source within its
// limits. When all places are taken, the source with the most connections loses its oldest: silent
// connections never keep the hellos of others out.
type table struct {
	limits  Limits
	lingers bool // connections are accepted with SO_LINGER 0

	mu      sync.Mutex
	open    int
	max     int
	sources map[netip.Addr]*source
}

// source is one address.
type source struct {
	conns  []*conn // oldest first
	tokens float64 // connections that it may open now
	at     time.Time

	noted   float64 // log rows about foreign bytes that it may still cause
	notedAt time.Time
	hushed  int // rows that were left out since the last one
}

// Log rows about foreign bytes of one source: so many at once, and one more every so often.
const (
	noteBurst = 10
	noteEvery = 10 * time.Second
)

// maxIdleSources is how many sources without a connection are remembered for their rate.
const maxIdleSources = 4096

func newTable(l Limits) *table {
	return &table{limits: l, max: l.Open, sources: map[netip.Addr]*source{}}
}

// admit takes a connection in, or refuses it when its source is above its limits.
func (t *table) admit(nc net.Conn, now time.Time) (*conn, bool) {
	c := newConn(nc, t.lingers)
	t.mu.Lock()
	defer t.mu.Unlock()
	src := t.source(c.from.Addr(), now)
	src.tokens = min(t.limits.Burst, src.tokens+now.Sub(src.at).Seconds()*t.limits.Rate)
	src.at = now
	if len(src.conns) >= t.limits.OpenPerSource || src.tokens < 1 {
		return nil, false
	}
	src.tokens--
	if t.open >= t.max {
		t.evict()
	}
	c.src = src
	src.conns = append(src.conns, c)
	t.open++
	return c, true
}

func (t *table) source(a netip.Addr, now time.Time) *source {
	if src := t.sources[a]; src != nil {
		return src
	}
	if len(t.sources) >= maxIdleSources+t.max {
		t.forget(now)
	}
	src := &source{tokens: t.limits.Burst, at: now, noted: noteBurst, notedAt: now}
	t.sources[a] = src
	return src
}

// forget drops sources without connections, those of the last seconds only when there is no room.
func (t *table) forget(now time.Time) {
	for _, age := range []time.Duration{10 * time.Second, 0} {
		for a, src := range t.sources {
			if len(src.conns) == 0 && now.Sub(src.at) >= age {
				delete(t.sources, a)
			}
		}
		if len(t.sources) < maxIdleSources {
			return
		}
	}
}

// evict ends the oldest connection of the source that has most. Its handler releases it.
func (t *table) evict() {
	var most *source
	for _, src := range t.sources {
		if most == nil || len(src.conns) > len(most.conns) {
			most = src
		}
	}
	if most != nil && len(most.conns) > 0 {
		c := most.conns[0]
		t.remove(c)
		c.hurry()
	}
}

// shed makes room after the system refused another connection, and remembers its limit.
func (t *table) shed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open > 16 {
		t.max = min(t.max, t.open*9/10)
		for t.open > t.max {
			t.evict()
		}
	}
}

func (t *table) release(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(c)
}

// remove takes a connection out of the table; a second time changes nothing.
func (t *table) remove(c *conn) {
	if i := slices.Index(c.src.conns, c); i >= 0 {
		c.src.conns = slices.Delete(c.src.conns, i, i+1)
		t.open--
	}
}

// mayNote reports whether a log row about foreign bytes of a source may be written, and how many
// were left out since the last one.
func (t *table) mayNote(src *source, now time.Time) (left int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	src.noted = min(noteBurst, src.noted+now.Sub(src.notedAt).Seconds()/noteEvery.Seconds())
	src.notedAt = now
	if src.noted < 1 {
		src.hushed++
		return 0, false
	}
	src.noted--
	left, src.hushed = src.hushed, 0
	return left, true
}

func (t *table) each(fn func(*conn)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, src := range t.sources {
		for _, c := range src.conns {
			fn(c)
		}
	}
}

func (t *table) hurry()    { t.each((*conn).hurry) }
func (t *table) closeAll() { t.each(func(c *conn) { reset(c.Conn) }) }
