package discover

import (
	"encoding/binary"
	"errors"
	"fmt"

	"amtmedic/amt"
)

// Lengths of ping and pong in bytes.
const (
	pingLen = 12
	pongLen = 28
)

// Fields of RMCP and ASF 2.0 (DSP0136, section 3.2).
const (
	rmcpVersion = 0x06
	classASF    = 0x06
	ianaASF     = 4542
	ianaIntel   = 343
	typePing    = 0x80
	typePong    = 0x40
)

// errForeign is a pong of another maker: baseboard controllers answer the same ping.
var errForeign = errors.New("the pong is not of Intel firmware")

// ping makes an RMCP presence ping; the tag comes back in the pong.
func ping(tag byte) []byte {
	b := make([]byte, pingLen)
	b[0], b[3], b[8], b[9] = rmcpVersion, classASF, typePing, tag
	binary.BigEndian.PutUint32(b[4:], ianaASF)
	return b
}

// Pong is what firmware says of itself without a log-in.
type Pong struct {
	Tag     byte
	Version amt.Version // major and minor; zero when the firmware does not name it (newer ones)
	State   string      // pre, in, post or unknown
	Port    int         // TCP port of the management service, 16992 or 16993
}

// ParsePong reads a presence pong. Pongs of other makers and of firmware that does not offer
// management (byte 21, bit 5) are errors.
func ParsePong(b []byte) (Pong, error) {
	if len(b) < pongLen || b[0] != rmcpVersion || b[3]&0x9F != classASF || binary.BigEndian.Uint32(b[4:]) != ianaASF ||
		b[8] != typePong || b[11] < pongLen-pingLen {
		return Pong{}, errors.New("it is no presence pong")
	}
	if binary.BigEndian.Uint32(b[12:]) != ianaIntel {
		return Pong{}, errForeign
	}
	p := Pong{Tag: b[9], Port: int(binary.BigEndian.Uint16(b[16:])), State: Unknown}
	if p.Port != PortPlain && p.Port != PortTLS || b[21]&0x20 == 0 {
		return Pong{}, errForeign
	}
	if b[18] != 0 {
		v, err := amt.ParseVersion(fmt.Sprintf("%d.%d", b[18]>>4, b[18]&15))
		if err != nil {
			return Pong{}, err
		}
		p.Version = v
	}
	if s := int(b[19] & 3); s < 3 {
		p.State = []string{Pre, In, Post}[s]
	}
	return p, nil
}
