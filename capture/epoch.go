package capture

import (
	"net/netip"
	"time"
)

// Bounds and times of attempts. Times are packet times.
const (
	window      = 66000                  // bytes from the ISN within which a segment can belong to a hello
	otherWindow = 16384                  // beyond which bytes belong to another attempt when its SYN is missing
	doubledTime = 900 * time.Microsecond // a repeat as close as this was doubled by a mirror port
	settleTime  = 5 * time.Second        // after a close, for packets that were captured late
	rememberFor = 30 * time.Second       // after which a repeat must also have the same bytes
	forgetAfter = 130 * time.Second      // beyond the longest pause between two TCP retransmissions
	waitFor     = 15 * time.Minute       // for the rest of a message on a connection that stands open
	maxEpochs   = 16384
	maxPast     = 8192     // attempts that are remembered although nothing more is expected
	maxLives    = 128      // attempts that are remembered of one flow
	maxBuffered = 32 << 20 // bytes over all attempts
	headLen     = 64       // bytes of a finished attempt that are kept to know repeats
)

// flow is the 4-tuple of a hello, seen from the client.
type flow struct{ client, server netip.AddrPort }

// mark is the packet that something is attributed to.
type mark struct {
	time   time.Time
	packet int
	vlan   []uint16
}

// epoch is one attempt: one initial sequence number on one flow. A client sends every hello from
// the same port, so several epochs of a flow live side by side.
type epoch struct {
	flow  flow
	older *epoch // attempt before this one on the same flow

	base     uint32 // sequence number of the first byte
	sure     bool   // base is known from SYN or SYN/ACK; else it is the lowest number seen
	reversed bool   // the connection was opened by the other side: no hello at all

	asm      assembly
	head     []byte // first bytes, kept after the hello was reported
	end      int    // offset behind the bytes that joined on, after the hello was reported
	fin      int    // offset of the client's FIN, -1 while unknown
	acked    int    // how far the bytes went according to acknowledgements and bare segments
	sent     int    // how far they went according to segments with data, captured in full or not
	reach    int    // how far the connection went, also where the bytes are too many for a hello
	lone     bool   // the first byte came by itself: it may be that of a keep-alive
	cut      bool   // a packet was captured in part
	conflict bool

	syns     int
	lastSYN  mark
	lastID   uint16
	heard    bool // the client was seen, not only the answers to it
	answered bool // SYN/ACK seen
	refused  bool
	closed   bool
	settle   bool // no more bytes are expected: closed or superseded
	reported bool // hello or partial was given

	last   mark // last packet
	gained mark // last packet that brought new bytes

	in           *queue // active or past
	newer, elder *epoch // by last activity in the queue: elder was active before
}

// size is what the epoch costs, roughly, in buffered bytes.
func (e *epoch) size() int { return e.asm.size() }

// offset gives where seq lies relative to the first byte.
func (e *epoch) offset(seq uint32) int { return int(int32(seq - e.base)) }

// extend moves the base of an unsure epoch down by n bytes.
func (t *table) extend(e *epoch, n int) {
	t.buffered -= e.size()
	defer func() { t.buffered += e.size() }()
	e.base -= uint32(n)
	e.asm.shift(n)
	e.lone = false
	if e.sent > 0 {
		e.sent += n
	}
	if e.fin >= 0 {
		e.fin += n
	}
}

// afterKeepAlive gives the bytes without the first, where that may come from a keep-alive: a segment
// one below the next byte, with or without a byte that means nothing. Only an attempt whose SYN was
// not captured can mistake it for the first byte.
func (e *epoch) afterKeepAlive() []byte {
	if e.sure || len(e.asm.known) == 0 {
		return nil
	}
	switch first := e.asm.known[0]; {
	case first.from == 1, first.from == 0 && e.lone && first.to > 1:
		return e.asm.buf[1:first.to]
	}
	return nil
}

// dropFirst takes the byte of a keep-alive away.
func (t *table) dropFirst(e *epoch) {
	t.buffered -= e.size()
	defer func() { t.buffered += e.size() }()
	e.base++
	e.asm.dropFirst()
	e.lone = false
	e.sent--
	if e.fin > 0 {
		e.fin--
	}
}

// missing says whether bytes of the client are known to be missing behind the first n.
func (e *epoch) missing(n int) bool {
	if n >= window { // more than that is kept of no message
		return false
	}
	return e.fin > n || e.asm.end() > n || e.sent > n || e.acked > n+1
}

// queue is a list of epochs in order of activity.
type queue struct {
	oldest, newest *epoch
	n              int
}

func (q *queue) push(e *epoch) {
	e.in, e.elder, e.newer = q, q.newest, nil
	if q.newest != nil {
		q.newest.newer = e
	} else {
		q.oldest = e
	}
	q.newest = e
	q.n++
}

func (q *queue) unlink(e *epoch) {
	if e.elder != nil {
		e.elder.newer = e.newer
	} else {
		q.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.elder = e.elder
	} else {
		q.newest = e.elder
	}
	e.in, e.elder, e.newer = nil, nil, nil
	q.n--
}

// table holds the epochs by flow. Those that have been silent for long go from active to past, where
// they are still known when a file holds the packets of one direction behind those of the other.
type table struct {
	byFlow       map[flow]*epoch // newest first
	active, past queue
	buffered     int
}

// add makes e the newest epoch of its flow.
func (t *table) add(e *epoch) {
	e.older = t.byFlow[e.flow]
	t.byFlow[e.flow] = e
	t.active.push(e)
}

// touch notes that e was active now.
func (t *table) touch(e *epoch, m mark) {
	e.last = m
	if t.active.newest != e {
		e.in.unlink(e)
		t.active.push(e)
	}
}

// remove forgets e.
func (t *table) remove(e *epoch) {
	e.in.unlink(e)
	t.buffered -= e.size()
	if head := t.byFlow[e.flow]; head == e {
		if e.older == nil {
			delete(t.byFlow, e.flow)
		} else {
			t.byFlow[e.flow] = e.older
		}
		return
	}
	for o := t.byFlow[e.flow]; o != nil; o = o.older {
		if o.older == e {
			o.older = e.older
			return
		}
	}
}

// stale reports whether a packet at now is too far from the last one of e to belong to it. Files that
// were joined can go back in time.
func (e *epoch) stale(now time.Time) bool { return now.Sub(e.last.time).Abs() > e.patience() }

// patience is how long e may be silent before nothing more is expected of it: longer while a
// connection that was seen to open has not said all it has to say.
func (e *epoch) patience() time.Duration {
	if e.sure && !e.reported && !e.settle && (e.answered || e.asm.end() > 0) {
		return waitFor
	}
	return forgetAfter
}

// goesOn reports whether off lies too far on for a hello, but where the bytes of e have gone already.
func (e *epoch) goesOn(off int) bool {
	return off > window && e.reach > otherWindow && off <= e.reach+otherWindow
}

// pick finds the attempt that a segment at seq belongs to: the one whose first byte lies closest
// below. An unsure attempt may also begin before what was seen of it; a finished one takes what does
// not join on only when nothing else fits.
func (t *table) pick(f flow, seq uint32, now time.Time) *epoch {
	var best, above, far, loose *epoch
	bestOff, aboveOff := window+1, -window-1
	for e := t.byFlow[f]; e != nil; e = e.older {
		if e.reversed || e.stale(now) {
			continue
		}
		switch off := e.offset(seq); {
		case e.reported && off > e.end+1 && off <= window: // nothing that joins on
			if loose == nil {
				loose = e
			}
		case off >= 0 && off < bestOff:
			best, bestOff = e, off
		case e.goesOn(off):
			if far == nil {
				far = e
			}
		case off < 0 && off > aboveOff && (!e.sure || off >= -16):
			above, aboveOff = e, off
		}
	}
	switch {
	case best != nil:
		return best
	case above != nil:
		return above
	case far != nil:
		return far
	}
	return loose
}
