package lab

import (
	"encoding/binary"
	"net/netip"
)

// TCP flags (RFC 9293, 3.1).
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagPSH = 0x08
	flagACK = 0x10
)

const (
	protoTCP = 6
	protoUDP = 17
)

// segment is one TCP segment between two addresses of the world.
type segment struct {
	src, dst netip.AddrPort
	flags    byte
	seq, ack uint32
	payload  []byte
}

// frame writes the segment as an Ethernet frame.
func (s segment) frame() []byte {
	const head = 20
	b := make([]byte, head, head+4+len(s.payload))
	if s.flags&flagSYN != 0 {
		b = append(b, 2, 4, 0x05, 0xb4) // maximum segment size 1460
	}
	binary.BigEndian.PutUint16(b[0:], s.src.Port())
	binary.BigEndian.PutUint16(b[2:], s.dst.Port())
	binary.BigEndian.PutUint32(b[4:], s.seq)
	binary.BigEndian.PutUint32(b[8:], s.ack)
	b[12] = byte(len(b)/4) << 4
	b[13] = s.flags
	binary.BigEndian.PutUint16(b[14:], 64240)
	b = append(b, s.payload...)
	binary.BigEndian.PutUint16(b[16:], transportSum(s.src.Addr(), s.dst.Addr(), protoTCP, b))
	return packet(s.src.Addr(), s.dst.Addr(), protoTCP, b)
}

// datagram writes a UDP datagram as an Ethernet frame.
func datagram(src, dst netip.AddrPort, payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b[0:], src.Port())
	binary.BigEndian.PutUint16(b[2:], dst.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[6:], transportSum(src.Addr(), dst.Addr(), protoUDP, b))
	return packet(src.Addr(), dst.Addr(), protoUDP, b)
}

// packet puts Ethernet and IPv4 headers in front.
func packet(src, dst netip.Addr, proto byte, body []byte) []byte {
	b := make([]byte, 14+20, 14+20+len(body))
	dstMAC, srcMAC := hardware(dst), hardware(src)
	copy(b, dstMAC[:])
	copy(b[6:], srcMAC[:])
	binary.BigEndian.PutUint16(b[12:], 0x0800)
	ip := b[14:]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(body)))
	ip[6] = 0x40 // do not fragment
	ip[8], ip[9] = 64, proto
	s, d := src.As4(), dst.As4()
	copy(ip[12:], s[:])
	copy(ip[16:], d[:])
	binary.BigEndian.PutUint16(ip[10:], checksum(0, ip[:20]))
	return append(b, body...)
}

// hardware gives a made-up, locally administered MAC address of a host.
func hardware(a netip.Addr) [6]byte {
	if a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	x := a.As4()
	return [6]byte{0x02, 0x00, x[0], x[1], x[2], x[3]}
}

// transportSum is the checksum over pseudo header and body (RFC 768, RFC 9293).
func transportSum(src, dst netip.Addr, proto byte, body []byte) uint16 {
	s, d := src.As4(), dst.As4()
	pseudo := append(append(append([]byte{}, s[:]...), d[:]...), 0, proto, byte(len(body)>>8), byte(len(body)))
	var sum uint32
	for i := 0; i < len(pseudo); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(pseudo[i:]))
	}
	if c := checksum(sum, body); c != 0 {
		return c
	}
	return 0xffff
}

// checksum is the Internet checksum (RFC 1071).
func checksum(sum uint32, b []byte) uint16 {
	for len(b) > 1 {
		sum += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
