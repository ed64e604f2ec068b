package mei

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// payload reads the fields of an answer in their order. After the first one that is cut off everything
// reads as zero, and err says so. What stands behind the known fields is left: newer firmware may add some.
type payload struct {
	of  fmt.Stringer
	b   []byte
	at  int
	err error
}

func (p *payload) take(n int, what string) []byte {
	if p.err == nil && (n < 0 || n > len(p.b)-p.at) {
		p.err = garbled(p.of, "cut off in %s: %d bytes are left, it has %d", what, len(p.b)-p.at, n)
	}
	if p.err != nil {
		return make([]byte, min(max(n, 0), 512))
	}
	p.at += n
	return p.b[p.at-n : p.at]
}

func (p *payload) u8(what string) byte    { return p.take(1, what)[0] }
func (p *payload) u16(what string) uint16 { return binary.LittleEndian.Uint16(p.take(2, what)) }
func (p *payload) u32(what string) uint32 { return binary.LittleEndian.Uint32(p.take(4, what)) }
func (p *payload) yes(what string) bool   { return p.u32(what) != 0 }
func (p *payload) u8yes(what string) bool { return p.u8(what) != 0 }
func (p *payload) fixed(n int, what string) string {
	b := p.take(n, what)
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return text(b)
}

// ansi reads a text with its length of two bytes in front.
func (p *payload) ansi(what string) string { return text(p.take(int(p.u16("length of "+what)), what)) }

// list reads a count of at most limit.
func (p *payload) count(limit int, what string) int {
	n := p.u32("number of " + what)
	if p.err == nil && n > uint32(limit) {
		p.err = garbled(p.of, "%d %s are more than the %d that firmware has", n, what, limit)
	}
	if p.err != nil {
		return 0
	}
	return int(n)
}

// text takes what firmware gives as text: without the zeros behind it, and without what is not text.
func text(b []byte) string {
	return strings.ToValidUTF8(strings.TrimRight(string(b), "\x00"), "?")
}
