package capture

import (
	"encoding/binary"
	"slices"
	"time"

	"amtmedic/amt/hello"
)

// judge reports the hello of an attempt as soon as its bytes are complete, or gives up when no more
// can come.
func (a *attempts) judge(e *epoch) {
	if e.reported || e.reversed {
		return
	}
	b := e.asm.buf[:e.asm.prefix()]
	if n, complete := hello.Need(b); complete && len(b) > 0 {
		// Without a SYN the bytes may begin in the middle: only what is sound by itself is believed
		// at once.
		if e.sure || (n == len(b) && sound(b)) {
			a.hello(e, b)
			return
		}
	}
	if c := e.afterKeepAlive(); c != nil {
		if n, complete := hello.Need(c); complete && n == len(c) && sound(c) {
			a.dropFirst(e)
			a.hello(e, e.asm.buf[:e.asm.prefix()])
			return
		}
	}
	if e.sure && e.fin >= 0 && len(b) >= e.fin {
		a.conclude(e)
	}
}

// sound reports whether b is a hello of a known type without a problem.
func sound(b []byte) bool {
	m, err := hello.Decode(b)
	return err == nil && m.Type != hello.Unknown && m.Sound()
}

// conclude decides about an attempt that gets no more bytes: hello, partial, or nothing said.
func (a *attempts) conclude(e *epoch) {
	if e.reported || e.reversed {
		return
	}
	b := e.asm.buf[:e.asm.prefix()]
	missing := e.missing(len(b))
	if c := e.afterKeepAlive(); c != nil && !e.isHello(b, missing) {
		if _, complete := hello.Need(c); complete && hello.Foreign(c) != hello.ForeignBinary {
			a.dropFirst(e)
			b = e.asm.buf[:e.asm.prefix()]
			missing = e.missing(len(b))
		}
	}
	switch {
	case len(b) == 0 && !missing:
		return
	case len(b) == 1 && !e.sure && e.lone && !missing: // a keep-alive of a connection from before
		return
	case e.isHello(b, missing):
		a.hello(e, b)
	default:
		a.partial(e, b)
	}
}

// isHello decides, at the end, whether the bytes are a message: complete by their own counts, or of
// a kind that has no count and with nothing missing.
func (e *epoch) isHello(b []byte, missing bool) bool {
	if _, complete := hello.Need(b); complete {
		return e.sure || hello.Foreign(b) != hello.ForeignBinary
	}
	if missing || len(b) == 0 {
		return false
	}
	admin := uint16(b[0])
	if len(b) >= 2 {
		admin = binary.LittleEndian.Uint16(b)
	}
	if len(b) < 4 {
		return e.sure && admin > 1
	}
	v := binary.LittleEndian.Uint16(b[2:])
	if v == hello.VersionPSK || v == hello.VersionPKI {
		return false
	}
	// bytes that may begin anywhere need the look of a header
	return e.sure || (len(b) >= hello.HeaderLen && admin <= 1 && v >= 1 && v < 16)
}

// hello reports the message.
func (a *attempts) hello(e *epoch, b []byte) {
	m, _ := hello.Decode(slices.Clone(b)) // the error stands in the message's problems
	a.report(e.gained, KindHello, e.flow.client, e.flow.server, func(v *Event) {
		v.Hello, v.Bytes, v.Way = &m, len(b), e.way(false)
	})
	a.done(e)
}

// partial reports bytes that will not become a message.
func (a *attempts) partial(e *epoch, b []byte) {
	at := e.gained
	if at.packet == 0 {
		at = e.last
	}
	a.report(at, KindPartial, e.flow.client, e.flow.server, func(v *Event) {
		v.Bytes, v.Way = len(b), e.way(e.missing(len(b)))
		if len(b) >= hello.HeaderLen {
			m, _ := hello.Decode(slices.Clone(b))
			v.Hello = &m
		}
		if n, _ := hello.Need(b); n > len(b) {
			v.Missing = n - len(b)
		}
	})
	a.done(e)
}

// way says what happened to the bytes.
func (e *epoch) way(gap bool) []string {
	var w []string
	if e.syns == 0 {
		w = append(w, WayNoSYN)
	}
	if e.conflict {
		w = append(w, WayConflict)
	}
	if e.cut {
		w = append(w, WayCut)
	}
	if gap {
		w = append(w, WayGap)
	}
	return w
}

// done frees the bytes but for the first, by which repeats are known.
func (a *attempts) done(e *epoch) {
	e.reported = true
	a.buffered -= e.size()
	e.end = e.asm.end()
	e.head = slices.Clone(e.asm.buf[:min(e.asm.prefix(), headLen)])
	e.asm = assembly{}
}

// tick moves packet time on and settles what has waited long enough.
func (a *attempts) tick(now time.Time) {
	if now.Before(a.now) && a.now.Sub(now) < time.Hour {
		return
	}
	a.now = now
	every := time.Second + time.Duration(a.active.n)*100*time.Microsecond
	if d := now.Sub(a.swept); d >= 0 && d < every {
		return
	}
	a.swept = now
	for e := a.active.oldest; e != nil; {
		next := e.newer
		idle := now.Sub(e.last.time)
		if idle < settleTime {
			return
		}
		if e.heard && (e.settle || idle > e.patience()) {
			a.conclude(e) // of whom only answers were seen: the file may have the rest behind them
		}
		if idle > e.patience() {
			a.retire(e)
		}
		e = next
	}
}

// retire moves an attempt to those of the past; the oldest of them is forgotten.
func (a *attempts) retire(e *epoch) {
	a.active.unlink(e)
	a.past.push(e)
	if a.past.n > maxPast {
		a.giveUp(a.past.oldest)
	}
}

// evict gives up the oldest attempts while there are too many, or too many bytes wait.
func (a *attempts) evict() {
	for a.active.oldest != nil && (a.active.n > maxEpochs || a.buffered > maxBuffered) {
		a.giveUp(a.active.oldest)
	}
}

// giveUp decides about an attempt early and forgets it.
func (a *attempts) giveUp(e *epoch) {
	if !e.reported && !e.reversed && !e.settle && e.in == &a.active {
		a.evicted++
	}
	a.conclude(e)
	a.remove(e)
}

// end settles everything: the capture is over.
func (a *attempts) end() {
	for _, q := range []*queue{&a.past, &a.active} {
		for q.oldest != nil {
			e := q.oldest
			a.conclude(e)
			a.remove(e)
		}
	}
	a.table = table{byFlow: map[flow]*epoch{}}
}
