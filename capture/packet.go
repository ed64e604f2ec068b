// Package capture reads packets from an interface or a file and turns them into what an engineer
// asks about: every attempt of a client to say hello, every hello, what answered, and the DNS and
// DHCP traffic around it. Scan is the entry: a Source in, Events out. It judges nothing and changes
// nothing; facts and verdicts are made from its events elsewhere.
package capture

import (
	"context"
	"fmt"
	"time"
)

// LinkType is a LINKTYPE_ number of https://www.tcpdump.org/linktypes.html : how a frame begins.
type LinkType uint32

// The link types that amtmedic reads.
const (
	LinkNull     LinkType = 0   // 4 bytes address family in the writer's byte order, then IP
	LinkEthernet LinkType = 1   // Ethernet with or without VLAN tags
	LinkRaw12    LinkType = 12  // IP without a header, number of some BSD writers
	LinkRaw      LinkType = 101 // IP without a header
	LinkWiFi     LinkType = 105 // IEEE 802.11; of what is not protected
	LinkLoop     LinkType = 108 // as null, family in network byte order
	LinkSLL      LinkType = 113 // Linux "any", 16 bytes
	LinkRadiotap LinkType = 127 // a radiotap header, then IEEE 802.11
	LinkIPv4     LinkType = 228
	LinkIPv6     LinkType = 229
	LinkSLL2     LinkType = 276 // Linux "any" of newer tools, 20 bytes
)

// Known reports whether packets of this link type can be taken apart.
func (l LinkType) Known() bool {
	switch l {
	case LinkNull, LinkEthernet, LinkRaw12, LinkRaw, LinkLoop, LinkSLL, LinkIPv4, LinkIPv6, LinkSLL2, LinkWiFi, LinkRadiotap:
		return true
	}
	return false
}

// Packet is one packet as a source hands it on. Data is borrowed: it is valid only until the
// callback returns. A packet with Number 0 and no data is a heartbeat of a live source: it only
// moves time on.
type Packet struct {
	Data    []byte    // captured bytes, beginning with the link header
	Time    time.Time // zero when the file has no time at all
	OrigLen int       // length on the wire in bytes; larger than len(Data) when the packet was cut
	Link    LinkType
	Iface   int // number of the interface inside its source, from 0
	Dir     Direction
	Number  int // number of the packet inside its source, from 1
}

// heartbeat tells that p only moves time on.
func (p *Packet) heartbeat() bool { return p.Number == 0 && p.Data == nil }

// Direction says which way a packet passed its interface, seen from this machine.
type Direction uint8

// The directions. Only live captures of Linux know them.
const (
	DirUnknown Direction = iota
	DirIn
	DirOut
)

// Stats counts what a source or a scan saw. Every number only grows while it runs.
type Stats struct {
	Received    uint64 // packets that came in
	Dropped     uint64 // packets that the kernel lost because reading was too slow
	Filtered    uint64 // packets that the matcher refused, or that can tell nothing new
	Undecodable uint64 // packets that passed the matcher and made no sense
	Truncated   uint64 // packets of which only a part was captured
	Bytes       uint64 // file bytes read so far, before decompression
	Evicted     uint64 // attempts given up early because too many were open
}

// Source gives packets in the order of capture. Run calls fn for each until the source ends, ctx
// ends or fn gives an error, and returns nil at a regular end, ctx.Err() after a cancel (within
// 100 ms for a live source), and fn's error unchanged. A source runs once.
type Source interface {
	Run(ctx context.Context, fn func(*Packet) error) error
	Stats() Stats
}

// FormatError says where a capture file stops making sense. What stands before Offset was read.
type FormatError struct {
	File   string // name as given, "-" for standard input
	Offset int64  // bytes from the beginning of the uncompressed capture
	Reason string
	Err    error // cause of the reader below; may be nil
}

// Error gives file, offset and reason.
func (e *FormatError) Error() string {
	s := fmt.Sprintf("read capture: %s: at byte %d: %s", e.File, e.Offset, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *FormatError) Unwrap() error { return e.Err }
