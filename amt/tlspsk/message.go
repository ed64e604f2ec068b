package tlspsk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Types of handshake messages (RFC 5246 7.4).
const (
	messageHelloRequest      = 0
	messageClientHello       = 1
	messageServerHello       = 2
	messageServerKeyExchange = 12
	messageServerHelloDone   = 14
	messageClientKeyExchange = 16
	messageFinished          = 20
)

// extRenegotiation is renegotiation_info (RFC 5746), the one extension that is used here.
const extRenegotiation = 0xFF01

// message puts the header before a body.
func message(typ byte, body []byte) []byte {
	n := len(body)
	return append([]byte{typ, byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// clientHello is what a server needs of a ClientHello.
type clientHello struct {
	version uint16
	random  []byte
	suites  []uint16
	secure  bool // the client knows RFC 5746
}

// body has no extensions: nothing here needs one, and old firmware may not expect any.
func (h *clientHello) body() []byte {
	b := binary.BigEndian.AppendUint16(nil, h.version)
	b = append(b, h.random...)
	b = append(b, 0) // no session to resume
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(h.suites)+2))
	for _, id := range h.suites {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	b = binary.BigEndian.AppendUint16(b, scsv)
	return append(b, 1, 0) // one compression method: none
}

// serverHello is what a client needs of a ServerHello.
type serverHello struct {
	version uint16
	random  []byte
	suite   uint16
	secure  bool
}

func (h *serverHello) body() []byte {
	b := binary.BigEndian.AppendUint16(nil, h.version)
	b = append(b, h.random...)
	b = append(b, 0) // no session to resume
	b = binary.BigEndian.AppendUint16(b, h.suite)
	b = append(b, 0)
	if h.secure {
		b = append(b, 0, 5, extRenegotiation>>8, extRenegotiation&0xFF, 0, 1, 0)
	}
	return b
}

// cursor reads fields one after the other; after the first that is too long everything is empty and
// ok is false.
type cursor struct {
	b  []byte
	ok bool
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.b, c.ok = nil, false
		return nil
	}
	part := c.b[:n:n]
	c.b = c.b[n:]
	return part
}

// uint reads a big-endian number of n bytes.
func (c *cursor) uint(n int) (v int) {
	for _, b := range c.take(n) {
		v = v<<8 | int(b)
	}
	return v
}

// vector reads bytes behind a length of n bytes.
func (c *cursor) vector(n int) []byte { return c.take(c.uint(n)) }

var errMalformed = errors.New("malformed message")

// parseClientHello reads the body of a ClientHello with any extensions.
func parseClientHello(body []byte) (*clientHello, error) {
	c := &cursor{body, true}
	h := &clientHello{version: uint16(c.uint(2)), random: c.take(randomSize)}
	session, list, compression := c.vector(1), c.vector(2), c.vector(1)
	if !c.ok || len(session) > 32 || len(list) == 0 || len(list)%2 != 0 || len(compression) == 0 {
		return nil, fmt.Errorf("client hello: %w", errMalformed)
	}
	for i := 0; i < len(list); i += 2 {
		h.suites = append(h.suites, binary.BigEndian.Uint16(list[i:]))
	}
	exts, ok := extensions(c)
	if !ok || !slices.Contains(compression, 0) {
		return nil, fmt.Errorf("client hello: %w", errMalformed)
	}
	h.secure = slices.Contains(h.suites, scsv)
	for _, e := range exts {
		if e.id == extRenegotiation {
			if len(e.body) != 1 || e.body[0] != 0 {
				return nil, errors.New("client hello: continues a session that does not exist")
			}
			h.secure = true
		}
	}
	return h, nil
}

// parseServerHello reads the body of a ServerHello.
func parseServerHello(body []byte) (h *serverHello, exts []extension, err error) {
	c := &cursor{body, true}
	h = &serverHello{version: uint16(c.uint(2)), random: c.take(randomSize)}
	session := c.vector(1)
	h.suite = uint16(c.uint(2))
	compression := c.uint(1)
	exts, ok := extensions(c)
	if !c.ok || !ok || len(session) > 32 {
		return nil, nil, fmt.Errorf("server hello: %w", errMalformed)
	}
	if compression != 0 {
		return nil, nil, fmt.Errorf("server hello: compression method %d", compression)
	}
	return h, exts, nil
}

// extension is one of a hello.
type extension struct {
	id   uint16
	body []byte
}

// extensions reads what follows the compression methods: nothing, or a list without doubles.
func extensions(c *cursor) (list []extension, ok bool) {
	if !c.ok || len(c.b) == 0 {
		return nil, c.ok
	}
	block := &cursor{c.vector(2), true}
	for len(block.b) > 0 {
		e := extension{id: uint16(block.uint(2))}
		e.body = block.vector(2)
		if slices.ContainsFunc(list, func(o extension) bool { return o.id == e.id }) {
			return nil, false
		}
		list = append(list, e)
	}
	return list, c.ok && block.ok && len(c.b) == 0
}

// only reads a body that is one vector behind a length of two bytes, at most limit bytes.
func only(body []byte, limit int) (string, error) {
	c := &cursor{body, true}
	v := c.vector(2)
	if !c.ok || len(c.b) > 0 {
		return "", errMalformed
	}
	if len(v) > limit {
		return "", fmt.Errorf("%d bytes, at most %d are allowed", len(v), limit)
	}
	return string(v), nil
}
