package capture

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"unicode"
)

// parseARP reads who claims which address in an ARP packet of Ethernet and IPv4 (RFC 826). Other
// kinds are left out.
func parseARP(b []byte) (mac [6]byte, addr netip.Addr, ok bool) {
	if len(b) < 28 || binary.BigEndian.Uint64(b)>>16 != 0x000108000604 {
		return mac, addr, false
	}
	if op := binary.BigEndian.Uint16(b[6:]); op != 1 && op != 2 {
		return mac, addr, false
	}
	return [6]byte(b[8:14]), netip.AddrFrom4([4]byte(b[14:18])), true
}

func macText(b []byte) string { return net.HardwareAddr(b).String() }

// States of the firmware in a pong.
var pongStates = []string{"pre", "in", "post"}

// enterpriseIntel is Intel's number: management controllers of others answer the same ping.
const enterpriseIntel = 343

// parsePong reads the presence pong of firmware (ASF 2.0, 3.2.4.3; the words after the enterprise
// number are those of AMT).
func parsePong(b []byte) (n Note, ok bool) {
	if len(b) < 28 || b[0] != 6 || b[3] != 6 || binary.BigEndian.Uint32(b[4:]) != 4542 || b[8] != 0x40 || b[11] != 16 ||
		binary.BigEndian.Uint32(b[12:]) != enterpriseIntel || int(b[19]&3) >= len(pongStates) {
		return n, false
	}
	n = Note{Kind: NotePong, State: pongStates[b[19]&3], Port: binary.BigEndian.Uint16(b[16:])}
	if b[18] != 0 {
		n.Version = fmt.Sprintf("%d.%d", b[18]>>4, b[18]&15)
	}
	return n, true
}

// LLDP elements that are read (IEEE 802.1AB 8.5).
const (
	lldpEnd     = 0
	lldpChassis = 1
	lldpPort    = 2
	lldpName    = 5
)

// parseLLDP reads which switch and port a cable ends at. Elements that are cut off are left out.
func parseLLDP(b []byte) (n Note, ok bool) {
	n.Kind = NoteSwitch
	for len(b) >= 2 {
		head := binary.BigEndian.Uint16(b)
		typ, size := head>>9, int(head&0x1FF)
		if b = b[2:]; typ == lldpEnd || size > len(b) {
			break
		}
		v := b[:size]
		b = b[size:]
		switch {
		case typ == lldpChassis && n.Switch == "" && size > 1:
			n.Switch = lldpID(v, 4, 5)
		case typ == lldpPort && size > 1:
			n.Plug = lldpID(v, 3, 4)
		case typ == lldpName && size > 0:
			n.Switch = printable(v)
		}
	}
	return n, n.Switch != "" && n.Plug != ""
}

// lldpID reads an identifier, whose first byte is its kind: a MAC address, a network address, or text.
func lldpID(v []byte, mac, network byte) string {
	id := v[1:]
	switch {
	case v[0] == mac && len(id) == 6:
		return macText(id)
	case v[0] == network && len(id) == 5 && id[0] == 1: // address family IPv4
		return netip.AddrFrom4([4]byte(id[1:])).String()
	}
	return printable(id)
}

// printable makes text of a stranger fit for a line.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(string(b), "?"))
}
