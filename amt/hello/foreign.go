package hello

import (
	"bytes"
	"encoding/binary"
)

// The words of Foreign. ForeignBinary is the weakest of them: no protocol was recognised, but the
// bytes do not look like the header of any hello either.
const (
	ForeignHTTP   = "HTTP"
	ForeignTLS    = "TLS"
	ForeignSSH    = "SSH"
	ForeignSMB    = "SMB"
	ForeignRDP    = "RDP"
	ForeignProxy  = "PROXY" // the line or block that a load balancer puts before the real bytes
	ForeignText   = "text"
	ForeignBinary = "binary"
)

// openings are the first bytes of protocols that say who they are.
var openings = []struct{ prefix, word string }{
	{"GET ", ForeignHTTP}, {"POST ", ForeignHTTP}, {"HEAD ", ForeignHTTP}, {"PUT ", ForeignHTTP},
	{"OPTIONS ", ForeignHTTP}, {"DELETE ", ForeignHTTP}, {"TRACE ", ForeignHTTP},
	{"CONNECT ", ForeignHTTP}, {"PATCH ", ForeignHTTP}, {"PROPFIND ", ForeignHTTP},
	{"PRI * HTTP/2", ForeignHTTP}, {"HTTP/", ForeignHTTP},
	{"SSH-", ForeignSSH},
	{"PROXY ", ForeignProxy}, {"\r\n\r\n\x00\r\nQUIT\n", ForeignProxy},
}

// Foreign says in a word what b is when its first bytes are not those of a hello: HTTP, TLS, SSH,
// SMB, RDP, PROXY, text or binary. It gives "" for a hello, for a hello of unknown version, and
// while b is too short to tell. More bytes never make foreign bytes a hello.
//
// The look at the protocol comes before the look at the version word, because a TLS record shorter
// than 256 bytes (16 03 03 00) and an SMB frame (00 00 02 00) carry a 3 or a 2 where a hello has
// its version.
func Foreign(b []byte) string {
	for _, o := range openings {
		switch {
		case bytes.HasPrefix(b, []byte(o.prefix)):
			return o.word
		case len(b) < len(o.prefix) && bytes.HasPrefix([]byte(o.prefix), b):
			return "" // it may become one
		}
	}
	switch {
	case isTLS(b):
		return ForeignTLS
	case len(b) >= 8 && b[0] == 0 && b[4] >= 0xfc && string(b[5:8]) == "SMB":
		return ForeignSMB
	case len(b) >= 6 && b[0] == 3 && b[1] == 0 && int(b[4])+1 <= int(b[3]) && b[5] == 0xe0:
		return ForeignRDP // TPKT with a connection request
	case len(b) >= 4 && isText(b[:4]):
		return ForeignText
	case len(b) >= 4 && binary.LittleEndian.Uint16(b) > 1 && binary.LittleEndian.Uint16(b[2:]) > 255:
		return ForeignBinary
	}
	return ""
}

// isTLS reports whether b begins with a TLS record that a peer may send: content type, version
// 3.0 to 3.4, length, and a body that fits the type. The body is asked for because an odd but real
// hello may have an admin word of 0x0316.
func isTLS(b []byte) bool {
	if len(b) < 6 || b[1] != 3 || b[2] > 4 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[3:]))
	switch b[0] {
	case 0x14: // change cipher spec
		return n == 1 && b[5] == 1
	case 0x15: // alert: warning or fatal
		return n == 2 && (b[5] == 1 || b[5] == 2)
	case 0x16: // handshake: client hello to key update
		return n >= 4 && b[5] >= 1 && b[5] <= 24
	case 0x17: // application data, never shorter than its tag
		return n >= 17 && n <= 1<<14+2048
	}
	return false
}

func isText(b []byte) bool {
	for _, c := range b {
		if (c < 0x20 || c > 0x7e) && c != '\r' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}
