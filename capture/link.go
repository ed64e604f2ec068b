package capture

import "encoding/binary"

// Ethernet types that the package knows (IEEE 802 numbers).
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherVLAN = 0x8100
	etherIPv6 = 0x86DD
	etherQinQ = 0x88A8
	etherOldQ = 0x9100
	etherLLDP = 0x88CC
)

// maxTags is how many VLAN tags are looked through: two, and one of a mirror port.
const maxTags = 3

// network is what the link header says about the bytes behind it.
type network struct {
	proto uint16   // Ethernet type of the payload
	off   int      // where the payload begins
	vlan  []uint16 // VLAN ids from the outside in; borrowed from the caller's array
}

// findNetwork walks the link header of a frame. The tags are stored in tags so that nothing is
// allocated. ok is false when the header is cut or of an unknown kind.
func findNetwork(link LinkType, b []byte, tags *[maxTags]uint16) (n network, ok bool) {
	switch link {
	case LinkEthernet:
		if len(b) < 14 {
			return n, false
		}
		return untag(b, binary.BigEndian.Uint16(b[12:]), 14, tags)
	case LinkSLL:
		if len(b) < 16 {
			return n, false
		}
		return untag(b, binary.BigEndian.Uint16(b[14:]), 16, tags)
	case LinkSLL2:
		if len(b) < 20 {
			return n, false
		}
		return untag(b, binary.BigEndian.Uint16(b), 20, tags)
	case LinkRaw, LinkRaw12, LinkIPv4, LinkIPv6:
		return byVersion(b, 0)
	case LinkNull, LinkLoop:
		return byFamily(link, b)
	case LinkWiFi:
		return wifiNetwork(b, 0, tags)
	case LinkRadiotap:
		if off, ok := radiotap(b); ok {
			return wifiNetwork(b, off, tags)
		}
	}
	return n, false
}

// untag follows up to maxTags VLAN tags.
func untag(b []byte, proto uint16, off int, tags *[maxTags]uint16) (network, bool) {
	t := 0
	for ; t < maxTags && isTag(proto) && len(b) >= off+4; t++ {
		tags[t] = binary.BigEndian.Uint16(b[off:]) & 0x0FFF
		proto = binary.BigEndian.Uint16(b[off+2:])
		off += 4
	}
	return network{proto: proto, off: off, vlan: tags[:t]}, true
}

func isTag(proto uint16) bool {
	return proto == etherVLAN || proto == etherQinQ || proto == etherOldQ
}

// byVersion takes the first nibble for the version of IP.
func byVersion(b []byte, off int) (network, bool) {
	if len(b) <= off {
		return network{}, false
	}
	switch b[off] >> 4 {
	case 4:
		return network{proto: etherIPv4, off: off}, true
	case 6:
		return network{proto: etherIPv6, off: off}, true
	}
	return network{}, false
}

// byFamily reads the address family: 2 is IPv4; 24, 28, 30 are IPv6 on the several BSDs and 10 on
// Linux. The byte order of "null" is that of the writer, so both are tried.
func byFamily(link LinkType, b []byte) (network, bool) {
	if len(b) < 4 {
		return network{}, false
	}
	family := binary.BigEndian.Uint32(b)
	if link == LinkNull && family > 0xFFFF {
		family = binary.LittleEndian.Uint32(b)
	}
	switch family {
	case 2:
		return network{proto: etherIPv4, off: 4}, true
	case 10, 24, 28, 30:
		return network{proto: etherIPv6, off: 4}, true
	}
	return network{}, false
}
