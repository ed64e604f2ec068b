// Package wire keeps what was seen on the wire of a case as lines that a person reads: every attempt
// of a client with its repeats and what answered it, every hello byte for byte, connections back, and
// the names and leases around them. Log is the entry point: captures go in as Taps, Lines come out in
// batches. It judges nothing; facts are made from the same packets by package probe.
package wire

import (
	"net/netip"
	"time"

	"amtmedic/capture"
	"amtmedic/diag"
)

// Line is one line of the log. A Line is never changed: one whose attempt went on is replaced by
// another with the same ID.
type Line struct {
	ID     int // place in the order in which lines came, from 0
	At     time.Time
	Side   diag.Vantage
	Kind   capture.Kind // of the event that began it
	From   netip.AddrPort
	To     netip.AddrPort
	Client netip.Addr // whose line it is; the zero value while that cannot be told
	What   string     // in words; names in it are foreign text
	// Try is the ID of the first line of the connection attempt, -1 for what is none.
	Try int
	// Retry is the retry count of a hello, -1 elsewhere.
	Retry  int
	Packet int    // number in its file, from 1
	Source string // name of the file or interface

	syn   synState
	event capture.Event
}

// IsHello reports whether the line is a hello, complete or not.
func (l *Line) IsHello() bool {
	return l.event.Hello != nil && (l.Kind == capture.KindHello || l.Kind == capture.KindPartial)
}

// Method is "psk" or "pki" for a hello of that kind, else empty.
func (l *Line) Method() string {
	if l.IsHello() && (l.event.Hello.Type == "psk" || l.event.Hello.Type == "pki") {
		return string(l.event.Hello.Type)
	}
	return ""
}

// UUID and PID are those of a hello in text, else empty.
func (l *Line) UUID() string {
	if !l.IsHello() || l.event.Hello.Foreign != "" || l.event.Hello.UUID.IsZero() {
		return ""
	}
	return l.event.Hello.UUID.String()
}

// PID is that of a psk hello, without the dash, else empty.
func (l *Line) PID() string {
	if !l.IsHello() {
		return ""
	}
	return string(l.event.Hello.PID)
}

// synState is what became of an attempt before its first byte.
type synState struct {
	seen    bool // the SYN was captured
	repeats int
	outcome string
}
