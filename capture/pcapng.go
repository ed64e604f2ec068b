package capture

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Block types of pcapng (https://www.ietf.org/archive/id/draft-tuexen-opsawg-pcapng-05.txt).
const (
	blockSection    = 0x0A0D0D0A
	blockInterface  = 1
	blockOldPacket  = 2
	blockSimple     = 3
	blockStatistics = 5
	blockEnhanced   = 6
	byteOrderMagic  = 0x1A2B3C4D
)

// maxBlock is the largest block length that is believed; maxInterfaces bounds a section.
const (
	maxBlock      = 16 << 20
	maxInterfaces = 4096
)

// ngInterface is one interface description of a section.
type ngInterface struct {
	link    LinkType
	snap    uint32
	resol   byte  // if_tsresol: bit 7 binary, else decimal, exponent below
	offset  int64 // if_tsoffset in seconds
	fcs     int   // if_fcslen in bytes
	ordinal int   // number over all sections
}

// ngFormat reads pcapng with any number of sections and interfaces.
type ngFormat struct {
	b      *blockReader
	s      *sieve
	name   string
	warn   func(string)
	order  binary.ByteOrder
	swap   bool // the section is big endian
	iface  []ngInterface
	seen   int // interfaces over all sections
	number int
	last   time.Time // of the packet before, for simple packet blocks, which have no time
	warned map[string]bool
}

func newPcapng(b *blockReader, name string, s *sieve, warn func(string)) (format, error) {
	return &ngFormat{b: b, s: s, name: name, warn: warn, order: binary.LittleEndian, warned: map[string]bool{}}, nil
}

// fault makes a FormatError at the block that is being read.
func (f *ngFormat) fault(format string, a ...any) error {
	return &FormatError{File: f.name, Offset: f.b.off, Reason: fmt.Sprintf(format, a...)}
}

// once warns about a kind of oddity the first time.
func (f *ngFormat) once(kind, format string, a ...any) {
	if !f.warned[kind] {
		f.warned[kind] = true
		f.warn(fmt.Sprintf("at byte %d: ", f.b.off) + fmt.Sprintf(format, a...))
	}
}

// pass goes over the enhanced packet blocks that the sieve refuses, as far as the buffer holds them
// whole. What is odd in any way stays for next.
func (f *ngFormat) pass() {
	b, at, swap, m := f.b.rest(), 0, f.swap, f.s.match
	var left leftOut
	var last *ngInterface
	var before int
	for len(b)-at >= 32 {
		h := b[at : at+32 : len(b)]
		n, id, size := int(word(h[4:], swap)), int(word(h[8:], swap)), int(word(h[20:], swap))
		end := at + n
		if word(h, swap) != blockEnhanced || n < 32 || n%4 != 0 || end > len(b) || uint(id) >= uint(len(f.iface)) ||
			uint(size) > maxPacket || size > n-32 || int(word(b[end-4:], swap)) != n {
			break
		}
		i, frame := &f.iface[id], b[at+28:at+28+size]
		if i.fcs != 0 || !f.s.takes(i.link) ||
			!(i.link == LinkEthernet && m.refuses(frame)) && !f.s.settled(i.link, frame) && m.Match(i.link, frame) {
			break
		}
		left.packet(size, int(word(h[24:], swap)))
		last, before, at = i, at, end
	}
	if last != nil {
		f.last = f.time(b[before+8:], last)
		f.s.until = f.last
	}
	f.number += left.packets
	f.s.left(left)
	f.b.use(at)
}

// time reads the two words of a time stamp.
func (f *ngFormat) time(b []byte, i *ngInterface) time.Time {
	return ngTime(uint64(f.order.Uint32(b[4:]))<<32|uint64(f.order.Uint32(b[8:])), i.resol, i.offset)
}

// next walks blocks until one holds a packet.
func (f *ngFormat) next(p *Packet) error {
	f.pass()
	for {
		typ, body, err := f.block()
		if err != nil {
			return err
		}
		found := false
		switch typ {
		case blockSection:
			f.iface = f.iface[:0]
		case blockInterface:
			err = f.describe(body)
		case blockEnhanced, blockOldPacket:
			found = f.packet(typ, body, p)
		case blockSimple:
			found = f.simple(body, p)
		}
		if err == nil {
			f.b.use(len(body) + 12)
		}
		if err != nil || found {
			return err
		}
	}
}

// block gives type and body of the next block without using it. A block that is too large for the
// buffer cannot hold a packet that is believed: it is skipped.
func (f *ngFormat) block() (uint32, []byte, error) {
	for {
		h, err := f.b.peek(12)
		if err != nil {
			return 0, nil, endOf(f.b, h, err)
		}
		if binary.LittleEndian.Uint32(h) == blockSection {
			if err := f.sectionOrder(h); err != nil {
				return 0, nil, err
			}
		}
		typ, n := f.order.Uint32(h), f.order.Uint32(h[4:])
		switch {
		case n < 12 || n%4 != 0 || n > maxBlock:
			return 0, nil, f.fault("a block of %d bytes is announced", n)
		case typ == blockSection && (n < 28 || n > blockSize):
			return 0, nil, f.fault("a section header of %d bytes is announced", n)
		case n > blockSize:
			f.once("large", "a block of %d bytes is skipped", n)
			if err := f.b.skip(int64(n)); err != nil {
				return 0, nil, endOf(f.b, []byte{0}, err)
			}
			continue
		}
		blk, err := f.b.peek(int(n))
		if err != nil {
			return 0, nil, endOf(f.b, blk, err)
		}
		if t := f.order.Uint32(blk[n-4:]); t != n {
			return 0, nil, f.fault("a block begins with the length %d and ends with %d", n, t)
		}
		return typ, blk[8 : n-4], nil
	}
}

// sectionOrder learns the byte order of the section that begins.
func (f *ngFormat) sectionOrder(h []byte) error {
	switch {
	case binary.LittleEndian.Uint32(h[8:]) == byteOrderMagic:
		f.order = binary.LittleEndian
	case binary.BigEndian.Uint32(h[8:]) == byteOrderMagic:
		f.order = binary.BigEndian
	default:
		return f.fault("a section header has no byte-order magic")
	}
	f.swap = f.order == binary.BigEndian
	return nil
}

// describe reads an interface description block.
func (f *ngFormat) describe(body []byte) error {
	if len(body) < 8 {
		return f.fault("an interface description of %d bytes is too short", len(body)+12)
	}
	i := ngInterface{
		link: LinkType(f.order.Uint16(body)), snap: f.order.Uint32(body[4:]),
		resol: 6, ordinal: f.seen,
	}
	for o := body[8:]; len(o) >= 4; {
		code, n := f.order.Uint16(o), int(f.order.Uint16(o[2:]))
		if o = o[4:]; code == 0 || n > len(o) {
			break
		}
		switch {
		case code == 9 && n >= 1:
			i.resol = o[0]
		case code == 13 && n >= 1:
			i.fcs = int(o[0] & 0x0F)
		case code == 14 && n >= 8:
			i.offset = int64(f.order.Uint64(o))
		}
		o = o[min(len(o), (n+3)&^3):]
	}
	if len(f.iface) == maxInterfaces {
		f.once("interfaces", "more than %d interfaces in a section, the others are left out", maxInterfaces)
		return nil
	}
	f.seen++
	f.iface = append(f.iface, i)
	return nil
}

// packet reads an enhanced packet block or the packet block of old writers. Every such block
// counts as a packet, so that numbers agree with those of other tools, also when it is unusable.
func (f *ngFormat) packet(typ uint32, body []byte, p *Packet) bool {
	f.number++
	if len(body) < 20 {
		f.once("short", "a packet block of %d bytes is left out", len(body)+12)
		return false
	}
	id := f.order.Uint32(body)
	if typ == blockOldPacket {
		id = uint32(f.order.Uint16(body))
	}
	n, orig := f.order.Uint32(body[12:]), f.order.Uint32(body[16:])
	switch {
	case int64(id) >= int64(len(f.iface)):
		f.once("iface", "a packet names interface %d, which is not described; it is left out", id)
		return false
	case n > maxPacket || int(n) > len(body)-20:
		f.once("caplen", "a packet of %d bytes is announced in a block of %d; it is left out", n, len(body)+12)
		return false
	}
	i := &f.iface[id]
	f.fill(p, i, body[20:20+n], orig)
	p.Time = f.time(body, i)
	f.last = p.Time
	return true
}

// simple reads a simple packet block: interface 0, no time, cut at the snap length.
func (f *ngFormat) simple(body []byte, p *Packet) bool {
	f.number++
	if len(body) < 4 || len(f.iface) == 0 {
		f.once("simple", "a simple packet block without interface is left out")
		return false
	}
	i := &f.iface[0]
	orig := f.order.Uint32(body)
	n := min(int64(orig), int64(len(body)-4), maxPacket)
	if i.snap > 0 {
		n = min(n, int64(i.snap))
	}
	f.fill(p, i, body[4:4+n], orig)
	p.Time = f.last
	return true
}

func (f *ngFormat) fill(p *Packet, i *ngInterface, data []byte, orig uint32) {
	*p = Packet{Data: data, OrigLen: int(min(orig, 1<<30)), Link: i.link, Iface: i.ordinal, Number: f.number}
	stripFCS(p, i.fcs)
}
