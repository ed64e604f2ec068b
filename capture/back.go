package capture

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Bounds of the table of connections back.
const (
	maxBacks     = 4096
	maxHandshake = 65536            // bytes of a direction that are looked at
	backIdle     = 30 * time.Second // after which an undecided connection is decided
	silentAfter  = 3 * time.Second  // a SYN without answer this long is a time-out
	loginWait    = 3 * time.Second  // after which no log-in follows an answer that asks for one
	maxHello     = 16 << 10         // bytes of a handshake message that are looked at

	statusUnauthorized = 401
)

// Outcomes of a connection back.
const (
	OutcomeOK        = "ok"        // the TLS handshake ended well, or plain data came back
	OutcomeConnected = "connected" // TCP stood, nothing was said
	OutcomeRefused   = "refused"
	OutcomeTimeout   = "timeout"
	OutcomeAlert     = "tls-alert"
	OutcomeTLSClosed = "tls-closed" // the firmware ended it during the handshake without an alert
	OutcomeClosed    = "closed"     // the server ended it during the handshake without an alert
	OutcomeUnknown   = "unknown"    // the capture ended too early
)

// TLS record types (RFC 5246 6.2.1).
const (
	tlsChangeCipher = 20
	tlsAlert        = 21
	tlsHandshake    = 22
	tlsData         = 23
)

// back is one connection to the firmware's ports. In flow, client is the firmware.
type back struct {
	flow     flow
	base     [2]uint32 // sequence numbers of the first bytes: server, firmware
	known    [2]bool
	asm      [2]assembly
	walked   [2]int // bytes of each direction that are understood
	cipher   [2]bool
	data     [2]bool
	version  [2]string // of TLS, as each side said it
	status   int       // of HTTP in clear
	more     bool      // another answer is waited for: the first one asked for a log-in
	tls      bool
	plain    bool
	answered bool
	first    time.Time
	last     mark
	done     bool
}

// backs follows the connections of servers to firmware.
type backs struct {
	open  map[flow]*back
	emit  func(Event)
	swept time.Time
	begun uint32 // how many began
}

func newBacks(emit func(Event)) *backs { return &backs{open: map[flow]*back{}, emit: emit} }

// side tells the directions apart.
const (
	fromServer   = 0
	fromFirmware = 1
)

// segment takes a segment of a connection between a server and the firmware.
func (b *backs) segment(s *segment, side int) {
	c := b.open[s.flow]
	if s.syn && !s.isAck && side == fromServer {
		if c == nil || c.base[side] != s.seq+1 {
			b.begin(s)
		}
		return
	}
	if c == nil || c.done {
		return
	}
	if !s.rst || side == fromServer {
		c.last = s.at.keep()
	}
	switch {
	case s.syn:
		if side == fromFirmware && s.ack == c.base[fromServer] {
			c.base[side], c.known[side], c.answered = s.seq+1, true, true
		}
		return
	case s.rst && side == fromFirmware && !c.answered && s.ack == c.base[fromServer]:
		c.last = s.at.keep()
		b.decide(c, OutcomeRefused, 0, "client")
		return
	}
	b.take(c, s, side)
	if !c.done && (s.fin || s.rst) {
		b.ended(c, s, side)
	}
}

// begin opens an attempt; one that it replaces is decided first.
func (b *backs) begin(s *segment) {
	if old := b.open[s.flow]; old != nil {
		b.settle(old, s.at.time)
	} else if len(b.open) >= maxBacks {
		b.dropOldest()
	}
	c := &back{flow: s.flow, first: s.at.time, last: s.at.keep()}
	c.base[fromServer], c.known[fromServer] = s.seq+1, true
	b.begun++
	b.open[s.flow] = c
}

// take adds bytes of a direction and walks the TLS records in them.
func (b *backs) take(c *back, s *segment, side int) {
	if len(s.payload) == 0 || !c.known[side] {
		return
	}
	off, p := int(int32(s.seq-c.base[side])), s.payload
	if off < 0 {
		p, off = p[min(len(p), -off):], 0
	}
	if off+len(p) > maxHandshake {
		return
	}
	c.asm[side].insert(off, p)
	buf := c.asm[side].buf[:c.asm[side].prefix()]
	if c.walked[side] == 0 && len(buf) > 0 && !c.tls {
		c.tls = buf[0] == tlsHandshake
		c.plain = !c.tls
	}
	if c.plain {
		b.clear(c, buf, side)
		return
	}
	b.records(c, buf, side)
}

// clear looks at HTTP without TLS. A first answer of 401 only asks for the log-in (RFC 7616 3.3):
// the next one counts, when there is one.
func (b *backs) clear(c *back, buf []byte, side int) {
	if side == fromServer {
		if c.more && len(buf) > c.walked[side] {
			c.walked[fromFirmware] = c.asm[fromFirmware].prefix()
			c.more = false
		}
		c.walked[side] = len(buf)
		return
	}
	answer := buf[min(c.walked[side], len(buf)):]
	if len(answer) == 0 || c.more {
		return
	}
	first := c.status == 0
	c.data[side] = true
	whole := len(answer) >= 13 || bytes.IndexByte(answer, '\n') >= 0
	if n := httpStatus(answer); n > 0 {
		c.status = n
	} else if !whole && bytes.HasPrefix([]byte("HTTP/1."), answer[:min(7, len(answer))]) {
		return
	}
	if c.status == statusUnauthorized && first {
		c.more = true
		return
	}
	b.decide(c, OutcomeOK, 0, "")
}

// records walks whole TLS record headers. An alert in clear ends the handshake badly; data after
// both sides changed the cipher means that it ended well.
func (b *backs) records(c *back, buf []byte, side int) {
	for at := c.walked[side]; len(buf) >= at+5 && !c.done; at = c.walked[side] {
		n := int(binary.BigEndian.Uint16(buf[at+3:]))
		switch buf[at] {
		case tlsChangeCipher:
			c.cipher[side] = true
		case tlsHandshake:
			if len(buf) < at+5+min(n, maxHello) {
				return
			}
			if c.version[side] == "" && !c.cipher[side] {
				c.version[side] = helloVersion(buf[at+5 : at+5+min(n, maxHello)])
			}
		case tlsData:
			c.data[side] = true
			if c.data[1-side] || (c.cipher[0] && c.cipher[1]) {
				b.decide(c, OutcomeOK, 0, "")
			}
		case tlsAlert:
			if len(buf) < at+7 {
				return
			}
			// close_notify (0) is an end, not a complaint; longer alerts are encrypted
			if n == 2 && buf[at+6] != 0 {
				b.decide(c, OutcomeAlert, int(buf[at+6]), who(side))
			}
		}
		c.walked[side] = at + 5 + n
	}
}

// ended decides a connection that one side ends.
func (b *backs) ended(c *back, s *segment, side int) {
	switch {
	case !c.answered && !c.known[fromFirmware]:
		if side == fromServer {
			b.decide(c, OutcomeTimeout, 0, who(side))
		}
	case c.plain && c.data[fromFirmware]:
		b.decide(c, OutcomeOK, 0, "")
	case !c.tls:
		b.decide(c, OutcomeConnected, 0, who(side))
	case side == fromFirmware:
		b.decide(c, OutcomeTLSClosed, 0, who(side))
	default:
		b.decide(c, OutcomeClosed, 0, who(side))
	}
}

func who(side int) string {
	if side == fromServer {
		return "server"
	}
	return "client"
}

// decide reports the outcome, once.
func (b *backs) decide(c *back, outcome string, alert int, by string) {
	if c.done {
		return
	}
	c.done = true
	c.asm = [2]assembly{}
	b.emit(Event{Time: c.last.time, Packet: c.last.packet, VLAN: c.last.vlan, Kind: KindBack,
		Src: c.flow.server, Dst: c.flow.client, Outcome: outcome, Alert: alert, By: by,
		TLS: cmp.Or(c.version[fromFirmware], c.version[fromServer]), HTTP: c.status})
}

// settle decides what is known at a time when nothing more is waited for.
func (b *backs) settle(c *back, now time.Time) {
	switch {
	case c.plain && c.data[fromFirmware]:
		b.decide(c, OutcomeOK, 0, "")
	case c.answered && !c.tls:
		b.decide(c, OutcomeConnected, 0, "")
	case c.answered:
		b.decide(c, OutcomeUnknown, 0, "")
	case now.Sub(c.first) >= silentAfter:
		b.decide(c, OutcomeTimeout, 0, "")
	default:
		b.decide(c, OutcomeUnknown, 0, "")
	}
}

// unreachable takes an ICMP error about a connection back: no answer will come.
func (b *backs) unreachable(at mark, f flow, by netip.Addr, icmp ICMP) {
	if c := b.open[f]; c != nil && !c.answered && !c.done {
		b.emit(Event{Time: at.time, Packet: at.packet, VLAN: at.keep().vlan, Kind: KindUnreachable,
			Src: f.server, Dst: f.client, By: by.String(), ICMP: &icmp})
	}
}

// tick settles connections that are idle.
func (b *backs) tick(now time.Time) {
	if d := now.Sub(b.swept); d >= 0 && d < time.Second {
		return
	}
	b.swept = now
	for f, c := range b.open {
		if c.more && now.Sub(c.last.time) > loginWait {
			b.settle(c, now)
		}
		if now.Sub(c.last.time) > backIdle {
			b.settle(c, now)
			delete(b.open, f)
		}
	}
}

func (b *backs) dropOldest() {
	var oldest *back
	for _, c := range b.open {
		if oldest == nil || c.last.packet < oldest.last.packet {
			oldest = c
		}
	}
	b.settle(oldest, oldest.last.time)
	delete(b.open, oldest.flow)
}

// end settles all, in the order of their last packets.
func (b *backs) end(now time.Time) {
	for len(b.open) > 0 {
		var oldest *back
		for _, c := range b.open {
			if oldest == nil || c.last.packet < oldest.last.packet {
				oldest = c
			}
		}
		b.settle(oldest, now)
		delete(b.open, oldest.flow)
	}
}

// backWords is the outcome of a connection back in words.
func (e Event) backWords() string {
	s := e.Outcome
	if e.Alert > 0 {
		s = fmt.Sprintf("%s %d %s by the %s", s, e.Alert, AlertText(e.Alert), e.By)
	}
	if e.TLS != "" {
		s += ", TLS " + e.TLS
	}
	if e.HTTP > 0 {
		s += fmt.Sprintf(", HTTP status %d", e.HTTP)
	}
	return s
}
