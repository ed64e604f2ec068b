package capture

import "encoding/binary"

// IP protocol numbers.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// IPv6 extension headers that may stand before TCP (RFC 8200 4.1, RFC 4302).
const (
	extHopByHop = 0
	extRouting  = 43
	extFragment = 44
	extAuth     = 51
	extDest     = 60
)

// extensions in the order in which both back ends of the filter test them.
var extensions = []byte{extHopByHop, extRouting, extFragment, extAuth, extDest}

// portSet is the specification that both back ends follow: the kernel program (program) and the
// matcher on raw bytes (Matcher).
type portSet struct {
	tcp []uint16
	udp []uint16
}

// contextUDP are the UDP ports whose traffic explains a missing hello: DNS, DHCP, NetBIOS names,
// the presence ping, mDNS and LLMNR.
var contextUDP = []uint16{53, 67, 68, 137, 623, 5353, 5355}

// backPorts are the ports of the firmware that the server connects back to.
var backPorts = []uint16{16992, 16993, 16994, 16995}

func newPortSet(hello []uint16) portSet {
	s := portSet{udp: contextUDP}
	s.tcp = append(s.tcp, hello...)
	s.tcp = append(s.tcp, backPorts...)
	s.tcp = append(s.tcp, dnsPort, mpsPort)
	return s
}

// Matcher says of raw frames whether they can matter at all. It looks at fixed places only, never
// allocates, and accepts in doubt: later fragments and IPv6 extension headers pass.
type Matcher struct {
	tcp [1 << 16 / 64]uint64
	udp [1 << 16 / 64]uint64
}

// NewMatcher makes a matcher for hellos to the given TCP ports.
func NewMatcher(hello ...uint16) *Matcher {
	m := &Matcher{}
	s := newPortSet(hello)
	for _, p := range s.tcp {
		m.tcp[p/64] |= 1 << (p % 64)
	}
	for _, p := range s.udp {
		m.udp[p/64] |= 1 << (p % 64)
	}
	return m
}

// tcpOnly makes a matcher for nothing but the given TCP ports; for use with helloPacket.
func tcpOnly(ports []uint16) *Matcher {
	m := &Matcher{}
	for _, p := range ports {
		m.tcp[p/64] |= 1 << (p % 64)
	}
	return m
}

// helloPacket reports whether a frame may belong to a hello connection: TCP of the ports, and in
// doubt later fragments and IPv6 with extension headers.
func (m *Matcher) helloPacket(link LinkType, b []byte) bool {
	if link == LinkEthernet && m.refuses(b) {
		return false
	}
	var tags [maxTags]uint16
	n, ok := findNetwork(link, b, &tags)
	if !ok {
		return false
	}
	switch b := b[n.off:]; n.proto {
	case etherIPv4:
		return len(b) >= 20 && b[9] == protoTCP && m.ipv4(b)
	case etherIPv6:
		return len(b) >= 40 && b[6] != protoICMPv6 && m.ipv6(b)
	}
	return false
}

// Match reports whether the frame is wanted.
func (m *Matcher) Match(link LinkType, b []byte) bool {
	if aggregated(link, b) {
		return true
	}
	var tags [maxTags]uint16
	n, ok := findNetwork(link, b, &tags)
	if !ok {
		return false
	}
	switch n.proto {
	case etherIPv4:
		return m.ipv4(b[n.off:])
	case etherIPv6:
		return m.ipv6(b[n.off:])
	case etherARP, etherLLDP:
		return true
	}
	return false
}

func (m *Matcher) ipv4(b []byte) bool {
	if len(b) < 20 {
		return false
	}
	proto := b[9]
	if proto == protoICMP {
		return true
	}
	if proto != protoTCP && proto != protoUDP {
		return false
	}
	if (b[6]&0x1F)|b[7] != 0 { // a later fragment has no ports
		return proto == protoTCP
	}
	return m.ports(proto, b, int(b[0]&0x0F)*4)
}

func (m *Matcher) ipv6(b []byte) bool {
	if len(b) < 40 {
		return false
	}
	switch b[6] {
	case protoICMPv6, extHopByHop, extRouting, extFragment, extAuth, extDest:
		return true
	case protoTCP, protoUDP:
		return m.ports(b[6], b, 40)
	}
	return false
}

// refuses is Match for most of what an everyday file holds, in a few steps: Ethernet with at most one
// tag, IP without options or fragments, TCP or UDP. True means that Match is false; false means
// nothing.
func (m *Matcher) refuses(b []byte) bool {
	if len(b) < 38 {
		return false
	}
	// IPv4 with a header of 20 bytes begins 08 00 45; the nibble of the version is not looked at.
	if binary.LittleEndian.Uint32(b[12:])&0x0F_FFFF == 0x05_0008 {
		return m.without(binary.LittleEndian.Uint32(b[20:]), b[34:])
	}
	proto, at := binary.BigEndian.Uint16(b[12:]), 14
	if proto == etherVLAN {
		proto, at = binary.BigEndian.Uint16(b[16:]), 18
	}
	switch b = b[at:]; {
	case proto == etherIPv4 && len(b) >= 24 && b[0]&0x0F == 5:
		return m.without(binary.LittleEndian.Uint32(b[6:]), b[20:])
	case proto == etherIPv6 && len(b) >= 44:
		return m.without(uint32(b[6])<<24, b[40:])
	}
	return false
}

// without reports that the ports at the beginning of b are none that are wanted. word holds fragment
// field, time to live and protocol of an IPv4 header, read as little endian.
func (m *Matcher) without(word uint32, b []byte) bool {
	set := &m.tcp
	switch word & 0xFF00_FF1F {
	case protoTCP << 24:
	case protoUDP << 24:
		set = &m.udp
	default: // a fragment, or another protocol
		return false
	}
	src, dst := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	return (set[src/64]>>(src%64)|set[dst/64]>>(dst%64))&1 == 0
}

func (m *Matcher) ports(proto byte, b []byte, off int) bool {
	if len(b) < off+4 {
		return false
	}
	src, dst := binary.BigEndian.Uint16(b[off:]), binary.BigEndian.Uint16(b[off+2:])
	set := &m.tcp
	if proto == protoUDP {
		set = &m.udp
	}
	return set[src/64]>>(src%64)&1 != 0 || set[dst/64]>>(dst%64)&1 != 0
}
