package front

import (
	"encoding/binary"

	"amtmedic/amt"
)

// Lengths of the messages of the presence ping, in bytes.
const (
	pingLen = 12
	pongLen = 28
)

// The fields of RMCP and ASF (provisioning-protocol 4.2).
const (
	rmcpVersion = 0x06
	rmcpNoAck   = 0xFF
	classASF    = 0x06
	ianaASF     = 4542
	ianaIntel   = 343
	typePing    = 0x80
	typePong    = 0x40
)

// pingTag reads a presence ping; false for everything else.
func pingTag(b []byte) (tag byte, ok bool) {
	if len(b) < pingLen || b[0] != rmcpVersion || b[3]&0x9F != classASF || binary.BigEndian.Uint32(b[4:]) != ianaASF || b[8] != typePing {
		return 0, false
	}
	return b[9], true
}

// pong answers a presence ping. Firmware before 10.0 names its version here; later ones leave it 0.
func pong(tag byte, version amt.Version, v View) []byte {
	b := make([]byte, pongLen)
	b[0], b[2], b[3] = rmcpVersion, rmcpNoAck, classASF
	binary.BigEndian.PutUint32(b[4:], ianaASF)
	b[8], b[9], b[11] = typePong, tag, pongLen-pingLen
	binary.BigEndian.PutUint32(b[12:], ianaIntel)
	port := uint16(PortPlain)
	if v.TLS != NoTLS {
		port = PortTLS
	}
	if v.Plain && v.TLS != NoTLS {
		port = PortPlain
		b[19] = 4
	}
	binary.BigEndian.PutUint16(b[16:], port)
	if !version.AtLeast(10, 0) {
		b[18] = byte(version.Major()<<4 | min(version.Minor(), 15))
	}
	switch v.State {
	case "in":
		b[19] |= 1
	case "post":
		b[19] |= 2
	}
	b[20], b[21] = 0x81, 0x20
	return b
}
