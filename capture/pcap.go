package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"time"
)

// maxPacket is the largest captured length that is believed, that of tcpdump and Wireshark.
const maxPacket = 262144

// Magic numbers of pcap, as read in the byte order of the writer.
const (
	magicMicro    = 0xA1B2C3D4
	magicNano     = 0xA1B23C4D
	magicModified = 0xA1B2CD34 // 24-byte record headers, from patched kernels
)

// format reads the packets of one file format. next fills p and gives io.EOF at a regular end, a
// cutError when the last record is incomplete, or a FormatError. It may go over packets that its
// sieve refuses.
type format interface {
	next(p *Packet) error
}

// cutError is a file that ends inside a record: normal while a capture runs or after a disk filled.
type cutError struct {
	offset int64
	bytes  int   // left of the incomplete record
	err    error // fault of the decompressor; nil for a plain end
}

func (e *cutError) Error() string {
	return fmt.Sprintf("the file is cut inside a record at byte %d, %d bytes of it are left", e.offset, e.bytes)
}

func (e *cutError) Unwrap() error { return e.err }

// pcapFormat reads classic pcap (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.txt).
type pcapFormat struct {
	b      *blockReader
	s      *sieve
	name   string
	swap   bool  // the writer was big endian
	record int   // length of a record header
	unit   int64 // nanoseconds of one unit of the fraction
	link   LinkType
	fcs    int // bytes of frame check sequence at the end of each frame
	number int
}

// pcapMagic tells a pcap file and its byte order from its first four bytes.
func pcapMagic(b []byte) (binary.ByteOrder, uint32, bool) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch m := order.Uint32(b); m {
		case magicMicro, magicNano, magicModified:
			return order, m, true
		}
	}
	return nil, 0, false
}

func newPcap(b *blockReader, name string, s *sieve) (format, error) {
	h, err := b.peek(24)
	if err != nil {
		return nil, endOf(b, h, err)
	}
	f := &pcapFormat{b: b, s: s, name: name}
	if major := f.begin(h); major != 2 {
		return nil, &FormatError{File: name, Offset: 4, Reason: fmt.Sprintf("pcap version %d is not known", major)}
	}
	b.use(24)
	return f, nil
}

// begin reads a file header and gives its major version.
func (f *pcapFormat) begin(h []byte) uint16 {
	order, magic, _ := pcapMagic(h)
	f.swap, f.record, f.unit, f.fcs = order == binary.BigEndian, 16, 1000, 0
	switch magic {
	case magicNano:
		f.unit = 1
	case magicModified:
		f.record = 24
	}
	word := order.Uint32(h[20:])
	f.link = LinkType(word & 0xFFFF)
	if word&0x04000000 != 0 {
		f.fcs = int(word>>28) * 2
	}
	return order.Uint16(h[4:])
}

// joined reads over the header of another pcap file that was put behind this one. It cannot be a
// packet: its length would be 0.
func (f *pcapFormat) joined(h []byte) bool {
	order, _, ok := pcapMagic(h)
	if !ok || order.Uint16(h[4:]) != 2 || order.Uint16(h[6:]) != 4 || order.Uint64(h[8:]) != 0 {
		return false
	}
	if h, err := f.b.peek(24); err == nil {
		f.begin(h)
		f.b.use(24)
		return true
	}
	return false
}

// word reads a number of a writer of either byte order without a call through an interface.
func word(b []byte, swap bool) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if swap {
		return bits.ReverseBytes32(v)
	}
	return v
}

func (f *pcapFormat) word(b []byte) uint32 { return word(b, f.swap) }

// pass goes over the records that the sieve refuses, as far as the buffer holds them whole. What is
// odd in any way stays for next.
func (f *pcapFormat) pass() {
	if f.fcs != 0 || !f.s.takes(f.link) {
		return
	}
	b, at, swap, record := f.b.rest(), 0, f.swap, f.record
	m, ether := f.s.match, f.link == LinkEthernet
	var left leftOut
	before := 0
	for len(b)-at >= record {
		h := b[at : at+16 : len(b)]
		n := int(word(h[8:], swap))
		end := at + record + n
		if uint(n-1) >= maxPacket || end > len(b) {
			break
		}
		frame := b[at+record : end]
		if !(ether && m.refuses(frame)) && !f.s.settled(f.link, frame) && m.Match(f.link, frame) {
			break
		}
		left.packet(n, int(word(h[12:], swap)))
		before, at = at, end
	}
	if at > 0 {
		f.s.until = f.time(b[before:])
	}
	f.number += left.packets
	f.s.left(left)
	f.b.use(at)
}

func (f *pcapFormat) next(p *Packet) error {
	f.pass()
	h, err := f.b.peek(f.record)
	for err == nil && f.word(h[8:]) == 0 && f.joined(h) {
		h, err = f.b.peek(f.record)
	}
	if err != nil {
		return endOf(f.b, h, err)
	}
	n := f.word(h[8:])
	if n > maxPacket {
		return &FormatError{File: f.name, Offset: f.b.off,
			Reason: fmt.Sprintf("a packet of %d bytes is announced, more than %d", n, maxPacket)}
	}
	rec, err := f.b.peek(f.record + int(n))
	if err != nil {
		return endOf(f.b, rec, err)
	}
	orig := f.word(rec[12:])
	f.number++
	*p = Packet{
		Data:    rec[f.record:],
		Time:    f.time(rec),
		OrigLen: int(min(orig, 1<<30)),
		Link:    f.link,
		Number:  f.number,
	}
	stripFCS(p, f.fcs)
	f.b.use(len(rec))
	return nil
}

// time reads the time of a record.
func (f *pcapFormat) time(b []byte) time.Time {
	return time.Unix(int64(f.word(b)), int64(f.word(b[4:]))*f.unit)
}

// stripFCS takes the frame check sequence off the captured bytes.
func stripFCS(p *Packet, fcs int) {
	if fcs > 0 && p.OrigLen >= fcs {
		p.OrigLen -= fcs
		p.Data = p.Data[:min(len(p.Data), p.OrigLen)]
	}
}

// endOf sorts what a short peek means: a regular end, a cut file, or a reader that broke.
func endOf(b *blockReader, rest []byte, err error) error {
	switch {
	case err == io.EOF && len(rest) == 0:
		return io.EOF
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		cut := &cutError{offset: b.off, bytes: len(rest)}
		if err != io.EOF {
			cut.err = err
		}
		return cut
	}
	return err
}
