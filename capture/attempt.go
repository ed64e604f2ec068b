package capture

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/google/gopacket/layers"

	"amtmedic/amt/hello"
)

// attempts follows the connections of clients to the hello ports and reports what happens on them.
type attempts struct {
	table
	emit    func(Event)
	swept   time.Time
	now     time.Time // largest packet time
	evicted uint64    // attempts given up because there were too many
}

func newAttempts(emit func(Event)) *attempts {
	return &attempts{table: table{byFlow: map[flow]*epoch{}}, emit: emit}
}

// segment is one TCP segment on a hello flow.
type segment struct {
	flow    flow
	seq     uint32
	ack     uint32
	syn     bool
	isAck   bool
	fin     bool
	rst     bool
	payload []byte
	lost    int // bytes behind payload that were not captured
	id      uint16
	at      mark
}

// fill makes s the segment of a packet.
func (s *segment) fill(m *meta, t *layers.TCP, f flow, payload []byte) *segment {
	lost := m.lost
	if t.RST { // what a reset carries are words about its reason (RFC 9293 3.5.3)
		payload, lost = nil, 0
	}
	*s = segment{
		flow: f, seq: t.Seq, ack: t.Ack, syn: t.SYN, isAck: t.ACK, fin: t.FIN, rst: t.RST,
		payload: payload, lost: lost, id: m.ipID,
		at: mark{time: m.time, packet: m.packet, vlan: m.vlan},
	}
	return s
}

// keep copies what is borrowed.
func (m mark) keep() mark {
	m.vlan = slices.Clone(m.vlan)
	return m
}

// report gives an event at a packet.
func (a *attempts) report(m mark, kind Kind, src, dst netip.AddrPort, more func(*Event)) {
	e := Event{Time: m.time, Packet: m.packet, VLAN: slices.Clone(m.vlan), Kind: kind, Src: src, Dst: dst}
	if more != nil {
		more(&e)
	}
	a.emit(e)
}

// open begins an epoch.
func (a *attempts) open(s *segment, base uint32, sure bool) *epoch {
	if newest := a.byFlow[s.flow]; newest != nil {
		newest.settle = true // superseded
		lives, last := 1, newest
		for ; last.older != nil; last = last.older {
			lives++
		}
		if lives >= maxLives {
			a.giveUp(last)
		}
	}
	e := &epoch{flow: s.flow, base: base, sure: sure, fin: -1, last: s.at.keep()}
	a.add(e)
	a.evict()
	return e
}

// client takes a segment that goes to a hello port.
func (a *attempts) client(s *segment) {
	if s.syn {
		if s.isAck { // an answer: the other side opened this connection
			a.reverse(s)
			return
		}
		a.clientSYN(s)
		s.seq++
		if len(s.payload) == 0 && !s.fin {
			return
		}
	}
	e := a.belongs(s)
	if e == nil {
		return
	}
	a.touch(e, s.at.keep())
	e.heard = true
	off := e.offset(s.seq)
	switch {
	case e.reported:
		if off <= e.end || e.reach > otherWindow && off <= e.reach+otherWindow { // far on, a loss is no new beginning
			e.end = max(e.end, off+len(s.payload))
		}
	case len(s.payload) > 0:
		a.data(e, off, s)
		off = e.offset(s.seq)
	case off < 0 && !e.sure && off >= -window:
		a.extend(e, -off) // a bare ACK tells where the bytes begin
		off = 0
	}
	end := off + len(s.payload) + s.lost
	if off <= e.reach+otherWindow {
		e.reach = max(e.reach, end)
	}
	switch {
	case e.reported:
	case len(s.payload)+s.lost > 0 && end <= window:
		e.cut = e.cut || s.lost > 0
		e.sent = max(e.sent, end)
	case e.sure && !s.rst && off <= window: // what it counts from was sent before
		e.acked = max(e.acked, off)
	}
	if s.fin && end >= 0 && (e.fin < 0 || end < e.fin) {
		e.fin = end
	}
	a.judge(e)
	switch {
	case s.fin:
		a.close(e, s, "client", "fin")
	case s.rst && off >= 0:
		a.close(e, s, "client", "rst")
	}
}

// belongs finds the epoch of a client's segment, or opens one whose SYN was not seen.
func (a *attempts) belongs(s *segment) *epoch {
	if newest := a.byFlow[s.flow]; newest != nil && newest.reversed && !newest.stale(s.at.time) {
		a.touch(newest, s.at.keep())
		return nil
	}
	e := a.pick(s.flow, s.seq, s.at.time)
	switch {
	case e == nil && s.rst:
		return nil
	case e == nil:
		return a.open(s, s.seq, false)
	case len(s.payload) > 0 && a.otherLife(e, s):
		return a.open(s, s.seq, false)
	}
	return e
}

// otherLife reports whether data near an attempt belongs to a later one whose SYN was not
// captured: it lies behind the FIN, or it is a sound hello that does not join, or it repeats after a
// long time with other bytes. A sound hello that does not join begins another attempt also while the
// earlier one still misses bytes.
func (a *attempts) otherLife(e *epoch, s *segment) bool {
	off := e.offset(s.seq)
	if e.fin >= 0 && off > e.fin {
		return true
	}
	known := e.end
	if !e.reported {
		known = e.asm.end()
	}
	if (off < -1 && e.reported) || off > known {
		if n, complete := hello.Need(s.payload); complete && n == len(s.payload) && sound(s.payload) {
			return true
		}
	}
	if !e.reported {
		silent := s.at.time.Sub(e.last.time).Abs() > forgetAfter
		return silent && off >= 0 && off < e.asm.prefix() && !bytes.HasPrefix(e.asm.buf[off:e.asm.prefix()], s.payload[:min(len(s.payload), e.asm.prefix()-off)])
	}
	if off > e.end {
		return off > e.end+otherWindow
	}
	if len(s.payload) == 1 && off+1 == e.end { // a keep-alive, whose byte means nothing
		return false
	}
	return s.at.time.Sub(e.last.time).Abs() > rememberFor && !repeats(e, off, s.payload)
}

// repeats reports whether b agrees with what is known of a finished attempt.
func repeats(e *epoch, off int, b []byte) bool {
	if off < 0 {
		b = b[min(len(b), -off):]
		off = 0
	}
	for i := 0; i < len(b) && off+i < len(e.head); i++ {
		if b[i] != e.head[off+i] {
			return false
		}
	}
	return true
}

// clientSYN takes a SYN: a repeat, one that follows its data, or a new attempt.
func (a *attempts) clientSYN(s *segment) {
	base := s.seq + 1
	for e := a.byFlow[s.flow]; e != nil; e = e.older {
		idle := s.at.time.Sub(e.last.time).Abs()
		if e.reversed || idle > forgetAfter || (e.reported && idle > rememberFor) {
			continue
		}
		ahead := int(int32(e.base - base))
		switch {
		case e.sure && ahead == 0, !e.sure && ahead == 0:
		case !e.sure && ahead > 0 && ahead <= otherWindow && !e.reported && idle <= rememberFor:
			a.extend(e, ahead)
		default:
			continue
		}
		a.againSYN(e, s)
		return
	}
	e := a.open(s, base, true)
	e.heard, e.syns, e.lastSYN, e.lastID = true, 1, s.at.keep(), s.id
	a.report(s.at, KindSYN, s.flow.client, s.flow.server, nil)
}

// againSYN takes a SYN whose attempt is known already.
func (a *attempts) againSYN(e *epoch, s *segment) {
	a.touch(e, s.at.keep())
	e.sure, e.heard = true, true
	if e.syns == 0 {
		e.syns, e.lastSYN, e.lastID = 1, s.at.keep(), s.id
		a.report(s.at, KindSYN, s.flow.client, s.flow.server, nil)
		a.judge(e)
		return
	}
	gap := s.at.time.Sub(e.lastSYN.time)
	if s.id == e.lastID && gap >= 0 && gap < doubledTime {
		return
	}
	e.syns++
	e.lastSYN, e.lastID = s.at.keep(), s.id
	e.refused = false // it tries again after a reset
	a.report(s.at, KindSYNRetransmit, s.flow.client, s.flow.server, func(v *Event) { v.Repeats = e.syns - 1 })
}

// data puts the bytes of a segment in their place.
func (a *attempts) data(e *epoch, off int, s *segment) {
	b := s.payload
	if off < 0 {
		switch {
		case e.sure: // a keep-alive, or bytes from before
			b = b[min(len(b), -off):]
			off = 0
		case off >= -window:
			a.extend(e, -off)
			off = 0
		default:
			return
		}
	}
	if off > window {
		return
	}
	if over := off + len(b) - window; over > 0 {
		b = b[:len(b)-over]
	}
	if off == 0 {
		e.lone = len(b) == 1 && (e.lone || e.asm.prefix() == 0)
	}
	keepAlive := len(b) == 1 && off+1 == e.asm.prefix() // its byte means nothing
	before := e.size()
	added, conflict := e.asm.insert(off, b)
	a.buffered += e.size() - before
	e.conflict = e.conflict || (conflict && !keepAlive)
	if added > 0 {
		e.gained = s.at.keep()
	}
	if a.buffered > maxBuffered {
		a.evict()
	}
}

// reverse remembers that a flow was opened by the side that has the hello port as its own.
func (a *attempts) reverse(s *segment) {
	if e := a.byFlow[s.flow]; e != nil && e.reversed && !e.stale(s.at.time) {
		a.touch(e, s.at.keep())
		return
	}
	e := a.open(s, s.seq, false)
	e.reversed = true
}

// server takes a segment that comes from a hello port.
func (a *attempts) server(s *segment) {
	if s.syn && !s.isAck {
		a.reverse(s)
		return
	}
	if e := a.byFlow[s.flow]; e != nil && e.reversed && !e.stale(s.at.time) {
		return
	}
	if s.syn {
		a.serverSYN(s)
		return
	}
	e := a.byFlow[s.flow]
	if e != nil && e.stale(s.at.time) {
		e = nil
	}
	if s.isAck {
		e = a.pick(s.flow, s.ack, s.at.time)
	}
	if s.rst {
		a.serverRST(e, s)
		return
	}
	if e == nil {
		return
	}
	a.touch(e, s.at.keep())
	if s.isAck {
		if off := e.offset(s.ack); e.sure && off <= window {
			e.acked = max(e.acked, off)
		}
	}
	if s.fin {
		a.close(e, s, "server", "fin")
	}
}

// serverSYN takes a SYN/ACK. Its acknowledgement tells where the client's bytes begin.
func (a *attempts) serverSYN(s *segment) {
	var e *epoch
	for o := a.byFlow[s.flow]; o != nil && e == nil; o = o.older {
		ahead := int(int32(o.base - s.ack))
		switch {
		case o.stale(s.at.time):
		case ahead == 0, o.syns > 0 && ahead < 0 && -ahead <= max(o.asm.prefix(), o.end): // data in the SYN
			e = o
		case !o.sure && ahead > 0 && ahead <= otherWindow && !o.reported:
			a.extend(o, ahead)
			e = o
		}
	}
	if e == nil {
		e = a.open(s, s.ack, true)
	}
	e.sure = true
	a.touch(e, s.at.keep())
	if !e.answered {
		e.answered = true
		a.report(s.at, KindSYNACK, s.flow.server, s.flow.client, nil)
	}
	a.judge(e)
}

// serverRST takes a reset of the server's side: a refusal before the SYN/ACK, a close after it.
func (a *attempts) serverRST(e *epoch, s *segment) {
	if e == nil {
		if !s.isAck || s.seq != 0 { // not the answer of a closed port to a SYN
			return
		}
		e = a.open(s, s.ack, true)
	}
	a.touch(e, s.at.keep())
	if e.answered || e.asm.end() > 0 || e.reported {
		a.close(e, s, "server", "rst")
		a.judge(e)
		return
	}
	e.settle = true
	if !e.refused {
		e.refused = true
		a.report(s.at, KindRefused, s.flow.server, s.flow.client, nil)
	}
}

// close notes the first end of an attempt.
func (a *attempts) close(e *epoch, s *segment, by, how string) {
	if how == "rst" || (by == "client" && e.asm.prefix() >= e.fin) {
		e.settle = true
	}
	if e.closed {
		return
	}
	e.closed = true
	src, dst := e.flow.client, e.flow.server
	if by == "server" {
		src, dst = dst, src
	}
	a.report(s.at, KindClosed, src, dst, func(v *Event) { v.By, v.How = by, how })
}

// unreachable takes an ICMP error that quotes a segment of a client.
func (a *attempts) unreachable(at mark, f flow, seq uint32, by netip.Addr, icmp ICMP) {
	e := a.pick(f, seq+1, at.time)
	if e == nil {
		e = a.pick(f, seq, at.time)
	}
	if e != nil {
		a.touch(e, at.keep())
	}
	a.report(at, KindUnreachable, f.client, f.server, func(v *Event) { v.By, v.ICMP = by.String(), &icmp })
}
