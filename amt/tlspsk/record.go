package tlspsk

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"io"
)

// Types of records (RFC 5246 6.2.1).
const (
	recordCCS       = 20
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

const headerSize = 5 // type, version, length

// guard protects the records of one direction from its ChangeCipherSpec on. A nil guard leaves
// records as they are.
type guard struct {
	seq        uint64
	mac        hash.Hash
	cbc        cbcMode       // nil for a stream cipher
	stream     cipher.Stream // nil for CBC
	explicitIV bool          // TLS 1.1 and later: every CBC record begins with its own IV
}

// sum gives the MAC of a record and counts it. rest is hashed behind it and has no influence: it
// evens out the time.
func (g *guard) sum(typ byte, version uint16, data, rest []byte) []byte {
	var head [13]byte
	binary.BigEndian.PutUint64(head[:], g.seq)
	g.seq++
	head[8] = typ
	binary.BigEndian.PutUint16(head[9:], version)
	binary.BigEndian.PutUint16(head[11:], uint16(len(data)))
	g.mac.Reset()
	g.mac.Write(head[:])
	g.mac.Write(data)
	out := g.mac.Sum(nil)
	if len(rest) > 0 {
		g.mac.Write(rest)
	}
	return out
}

// seal appends to dst one record with data, at most maxPlaintext bytes.
func (g *guard) seal(dst []byte, typ byte, version uint16, data []byte, random io.Reader) ([]byte, error) {
	start := len(dst)
	dst = append(dst, typ, byte(version>>8), byte(version), 0, 0)
	body := len(dst)
	switch {
	case g == nil:
		dst = append(dst, data...)
	case g.stream != nil:
		dst = append(dst, data...)
		dst = append(dst, g.sum(typ, version, data, nil)...)
		g.stream.XORKeyStream(dst[body:], dst[body:])
	default:
		size := g.cbc.BlockSize()
		if g.explicitIV {
			dst = append(dst, make([]byte, size)...)
			if _, err := io.ReadFull(random, dst[body:]); err != nil {
				return nil, err
			}
			g.cbc.SetIV(dst[body:])
			body += size
		}
		dst = append(dst, data...)
		dst = append(dst, g.sum(typ, version, data, nil)...)
		pad := size - (len(dst)-body)%size
		for range pad {
			dst = append(dst, byte(pad-1))
		}
		g.cbc.CryptBlocks(dst[body:], dst[body:])
	}
	binary.BigEndian.PutUint16(dst[start+3:], uint16(len(dst)-start-headerSize))
	return dst, nil
}

// open gives the data of a record's body, which it overwrites; false when the record was not sealed
// by the holder of the key. Bad padding and a bad MAC take the same path and the same work, to the
// degree that crypto/tls does: the place of the MAC is still looked up by a secret offset.
func (g *guard) open(typ byte, version uint16, body []byte) ([]byte, bool) {
	if g == nil {
		return body, true
	}
	good, cut := 1, 0
	if g.stream != nil {
		if len(body) < macSize {
			return nil, false
		}
		g.stream.XORKeyStream(body, body)
	} else {
		// Lengths are public, so these refusals may be quick.
		size := g.cbc.BlockSize()
		if g.explicitIV && len(body) >= size {
			g.cbc.SetIV(body[:size])
			body = body[size:]
		}
		if len(body)%size != 0 || len(body) < macSize+1 {
			return nil, false
		}
		g.cbc.CryptBlocks(body, body)
		cut, good = padding(body)
	}
	n := len(body) - macSize - cut
	n = subtle.ConstantTimeSelect(int(uint32(n)>>31), 0, n) // padding may leave no room for a MAC
	want := g.sum(typ, version, body[:n], body[n+macSize:])
	good &= subtle.ConstantTimeCompare(want, body[n:n+macSize])
	return body[:n], good == 1
}

// padding gives how many bytes at the end of a CBC record are padding, its length byte included, and
// 1 if all of them are right. It reads the same bytes whatever their values are, and counts one byte
// when they are wrong, so that everything else goes into the MAC.
func padding(body []byte) (cut, good int) {
	last := body[len(body)-1]
	good = subtle.ConstantTimeLessOrEq(int(last)+1, len(body))
	for i := range min(256, len(body)) {
		outside := 1 ^ subtle.ConstantTimeLessOrEq(i, int(last))
		good &= outside | subtle.ConstantTimeByteEq(body[len(body)-1-i], last)
	}
	return subtle.ConstantTimeSelect(good, int(last), 0) + 1, good
}
