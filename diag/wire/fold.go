package wire

import (
	"net/netip"

	"amtmedic/capture"
)

// maxOpen bounds the attempts whose lines can still grow. When it is reached all are let go: later
// repeats of theirs get lines of their own.
const maxOpen = 1 << 16

// key names an attempt: where it was seen, and between whom.
type key struct {
	tap            int
	client, server netip.AddrPort
}

// try is an attempt whose lines can still grow.
type try struct {
	first int // ID of its first line
	syn   int // ID of its SYN's line, -1 without one
}

// fold turns one event of a tap into a new line, or into the growth of one. The caller holds the
// lock.
func (l *Log) fold(t *tap, e capture.Event) {
	switch e.Kind {
	case capture.KindSYN:
		id := l.attempt(t, e, e.Src, e.Dst, synState{seen: true})
		l.openTry(key{t.n, e.Src, e.Dst}, try{id, id})
	case capture.KindSYNRetransmit:
		l.grow(t, e, e.Src, e.Dst, func(s *synState) { s.seen, s.repeats = true, e.Repeats })
	case capture.KindSYNACK:
		l.grow(t, e, e.Dst, e.Src, func(s *synState) { s.outcome = "connected" })
	case capture.KindRefused:
		l.grow(t, e, e.Dst, e.Src, func(s *synState) { s.outcome = "refused by " + host(e.Src.Addr()) })
	case capture.KindUnreachable:
		l.unreachable(t, e)
	case capture.KindHello:
		l.payload(t, e, helloWords(&e))
	case capture.KindPartial:
		l.payload(t, e, partialWords(&e))
	case capture.KindClosed:
		l.closed(t, e)
	case capture.KindBack:
		l.add(t, e, e.Dst.Addr(), backWords(&e))
	case capture.KindDNS:
		l.add(t, e, e.Src.Addr(), dnsWords(e.DNS))
	case capture.KindDHCP:
		client, _ := netip.ParseAddr(e.DHCP.Addr) // the zero value before there is a lease
		l.add(t, e, client, dhcpWords(e.DHCP))
	}
}

// openTry remembers an attempt.
func (l *Log) openTry(k key, t try) {
	if len(l.open) >= maxOpen {
		clear(l.open)
	}
	l.open[k] = t
}

// attempt adds the first line of an attempt.
func (l *Log) attempt(t *tap, e capture.Event, client, server netip.AddrPort, s synState) int {
	line := l.line(t, e, client.Addr(), s.words())
	line.From, line.To, line.Try, line.syn = client, server, line.ID, s
	return l.put(line)
}

// grow changes the SYN's line of an attempt, or adds one when its SYN was not captured.
func (l *Log) grow(t *tap, e capture.Event, client, server netip.AddrPort, change func(*synState)) {
	k := key{t.n, client, server}
	o, ok := l.open[k]
	old := l.at(o.syn)
	if !ok || old == nil {
		var s synState
		change(&s)
		id := l.attempt(t, e, client, server, s)
		if !ok {
			o.first = id
		}
		o.syn = id
		l.openTry(k, o)
		return
	}
	next := *old
	change(&next.syn)
	next.What = next.syn.words()
	l.replace(&next)
}

// unreachable takes an ICMP error about an attempt, or about a connection back, which is no attempt.
func (l *Log) unreachable(t *tap, e capture.Event) {
	words := icmpWords(e.ICMP) + " by " + e.By
	if isBack(e.Dst.Port()) {
		l.add(t, e, e.Dst.Addr(), "back: "+words)
		return
	}
	l.grow(t, e, e.Src, e.Dst, func(s *synState) { s.outcome = words })
}

// payload adds the line of a hello.
func (l *Log) payload(t *tap, e capture.Event, words string) {
	k := key{t.n, e.Src, e.Dst}
	line := l.line(t, e, e.Src.Addr(), words)
	o, ok := l.open[k]
	if !ok {
		o = try{line.ID, -1}
		l.openTry(k, o)
	}
	line.Try = o.first
	if e.Hello != nil {
		line.Retry = int(min(e.Hello.RetryCount, 1<<30))
	}
	l.put(line)
}

func (l *Log) closed(t *tap, e capture.Event) {
	k, client := key{t.n, e.Src, e.Dst}, e.Src
	if e.By == "server" {
		k, client = key{t.n, e.Dst, e.Src}, e.Dst
	}
	line := l.line(t, e, client.Addr(), closedWords(&e))
	if o, ok := l.open[k]; ok {
		line.Try = o.first
	}
	l.put(line)
}

// isBack reports whether a port is one of the firmware's, to which servers connect back.
func isBack(port uint16) bool { return port >= 16992 && port <= 16995 }

// add adds a line that belongs to no attempt.
func (l *Log) add(t *tap, e capture.Event, client netip.Addr, what string) {
	l.put(l.line(t, e, client, what))
}
