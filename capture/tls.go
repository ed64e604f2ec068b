package capture

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// tlsVersions are the versions as records and hellos say them (RFC 6101, RFC 2246 to RFC 8446).
var tlsVersions = map[uint16]string{0x0300: "SSL 3.0", 0x0301: "1.0", 0x0302: "1.1", 0x0303: "1.2", 0x0304: "1.3"}

// What is read of a handshake (RFC 5246 7.4, RFC 8446 4.2.1).
const (
	clientHello       = 1
	serverHello       = 2
	supportedVersions = 43
	helloFixed        = 38 // type, length, version and random
)

// helloVersion reads the version of a ClientHello (the highest that is offered) or a ServerHello (the
// one that was chosen) from the body of a handshake record; empty when it is neither.
func helloVersion(body []byte) string {
	if len(body) < helloFixed || (body[0] != clientHello && body[0] != serverHello) {
		return ""
	}
	version := binary.BigEndian.Uint16(body[4:])
	for _, v := range offered(body[0], body[helloFixed:]) {
		if _, known := tlsVersions[v]; known && v > version {
			version = v
		}
	}
	return tlsVersions[version]
}

// offered gives the versions of the extension for them, from what stands behind the random.
func offered(kind byte, b []byte) (list []uint16) {
	if kind == serverHello { // session, cipher suite, compression method
		if b = behind(b, 1); len(b) < 3 {
			return nil
		}
		b = b[3:]
	} else {
		b = behind(behind(behind(b, 1), 2), 1)
	}
	if len(b) < 2 {
		return nil
	}
	for b = b[2:]; len(b) >= 4; {
		typ, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			return nil
		}
		if v := b[:n]; typ == supportedVersions {
			if kind == clientHello && len(v) > 0 {
				v = v[1:]
			}
			for ; len(v) >= 2; v = v[2:] {
				list = append(list, binary.BigEndian.Uint16(v))
			}
		}
		b = b[n:]
	}
	return list
}

// behind gives what follows a vector whose length stands in its first size bytes; nothing when it is
// cut.
func behind(b []byte, size int) []byte {
	if len(b) < size {
		return nil
	}
	n := 0
	for _, c := range b[:size] {
		n = n<<8 | int(c)
	}
	if len(b) < size+n {
		return nil
	}
	return b[size+n:]
}

// alerts are the descriptions of TLS alerts (RFC 5246 7.2, RFC 8446 6, RFC 4279, RFC 6066).
var alerts = map[int]string{
	10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed", 22: "record_overflow",
	30: "decompression_failure", 40: "handshake_failure", 41: "no_certificate", 42: "bad_certificate",
	43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
	47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
	60: "export_restriction", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
	86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation", 109: "missing_extension",
	110: "unsupported_extension", 112: "unrecognized_name", 115: "unknown_psk_identity", 116: "certificate_required",
	120: "no_application_protocol",
}

// AlertText gives the name of a TLS alert; empty for 0 and for numbers without one.
func AlertText(n int) string { return alerts[n] }

// httpStatus reads the status of an HTTP answer that begins with b (RFC 9112 4); 0 when it is none or
// not all there.
func httpStatus(b []byte) int {
	if len(b) < 13 || !bytes.HasPrefix(b, []byte("HTTP/1.")) || b[8] != ' ' {
		return 0
	}
	n, err := strconv.Atoi(string(b[9:12]))
	if err != nil || n < 100 || n > 599 || (b[12] != ' ' && b[12] != '\r' && b[12] != '\n') {
		return 0
	}
	return n
}
