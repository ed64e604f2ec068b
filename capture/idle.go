package capture

import (
	"encoding/binary"
	"net/netip"
)

// idleFlow is the two ends of a segment, as they stand in an IPv4 header, of which it is known that they
// tell nothing until the next connection begins.
type idleFlow struct {
	addrs uint64
	ports uint32
	begun uint32 // connections that had begun
}

// idleFlows remembers ends, each at a place of its own making.
type idleFlows [256]idleFlow

// plainSegment gives the ends of a TCP segment without SYN in a frame of the everyday kind: Ethernet
// without tags, IPv4 without options or fragments.
func plainSegment(b []byte) (f idleFlow, ok bool) {
	if len(b) < 54 || binary.LittleEndian.Uint32(b[12:])&0xF0_FFFF != 0x40_0008 || b[14]&0x0F != 5 ||
		binary.LittleEndian.Uint32(b[20:])&0xFF00_FF3F != protoTCP<<24 || b[47]&0x02 != 0 || b[46] < 5<<4 {
		return f, false
	}
	if total := binary.BigEndian.Uint16(b[16:]); total != 0 && total < 40 {
		return f, false
	}
	return idleFlow{addrs: binary.LittleEndian.Uint64(b[26:]), ports: binary.LittleEndian.Uint32(b[34:])}, true
}

// place is where ends are remembered.
func (f idleFlow) place() uint8 {
	return uint8((f.addrs ^ f.addrs>>32 ^ uint64(f.ports)*0x9E37_79B1) * 0x9E37_79B9_7F4A_7C15 >> 56)
}

// idle reports that a frame can tell nothing new: a segment of a connection to the firmware, or of a
// tunnel, whose outcome is known, or whose beginning was not captured. A file can hold little else for
// hours (a console over the network, a picture of a disk). Only SYN begins something.
func (s *Scanner) idle(link LinkType, b []byte) bool {
	if link != LinkEthernet {
		return s.idleSegment(link, b)
	}
	f, ok := plainSegment(b)
	if !ok {
		return s.idleSegment(link, b)
	}
	f.begun = 1 + s.backs.begun + s.tunnels.begun
	known := &s.idles[f.place()]
	if *known == f {
		return true
	}
	if !s.idleSegment(link, b) {
		return false
	}
	*known = f
	return true
}

// idleSegment is idle for frames of every kind.
func (s *Scanner) idleSegment(link LinkType, b []byte) bool {
	var tags [maxTags]uint16
	n, ok := findNetwork(link, b, &tags)
	if !ok || aggregated(link, b) {
		return false
	}
	b = b[n.off:]
	var at int
	switch {
	case n.proto == etherIPv4 && len(b) >= 20 && b[0]>>4 == 4 && b[9] == protoTCP && (b[6]&0x3F)|b[7] == 0:
		at = int(b[0]&0x0F) * 4
		if total := int(binary.BigEndian.Uint16(b[2:])); at < 20 || total != 0 && total < at+20 {
			return false // it makes no sense, which is counted
		}
	case n.proto == etherIPv6 && len(b) >= 40 && b[0]>>4 == 6 && b[6] == protoTCP:
		at = 40
	default:
		return false
	}
	if len(b) < at+20 {
		return false
	}
	t := b[at:]
	if t[12]>>4 < 5 || t[13]&0x02 != 0 { // SYN
		return false
	}
	src, dst := binary.BigEndian.Uint16(t), binary.BigEndian.Uint16(t[2:])
	if s.hello[src] || s.hello[dst] {
		return false
	}
	table, fromSrc := s.backs, false // fromSrc: the firmware is the source
	switch {                         // in the order of Scanner.tcp
	case isBack(dst):
	case isBack(src):
		fromSrc = true
	case dst == mpsPort:
		table = s.tunnels
	case src == mpsPort:
		table, fromSrc = s.tunnels, true
	default:
		return false
	}
	if len(table.open) == 0 {
		return true
	}
	var from, to netip.Addr
	if n.proto == etherIPv4 {
		from, to = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	} else {
		from, to = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	}
	return !table.waits(backFlow(netip.AddrPortFrom(from, src), netip.AddrPortFrom(to, dst), fromSrc))
}

// backFlow puts the two ends of a segment into a flow, whose client is the firmware.
func backFlow(src, dst netip.AddrPort, fromFirmware bool) flow {
	if fromFirmware {
		return flow{client: src, server: dst}
	}
	return flow{client: dst, server: src}
}

// waits tells whether the outcome of a connection is still open.
func (b *backs) waits(f flow) bool {
	c := b.open[f]
	return c != nil && !c.done
}
