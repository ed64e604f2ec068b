package capture

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
)

// DHCP options that are read (RFC 2132).
const (
	optNameServer = 5
	optDNS        = 6
	optDomain     = 15
	optMessage    = 53
	optOverload   = 52
	optVendor     = 60
	optPad        = 0
	optEnd        = 255
)

var dhcpTypes = []string{"", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform"}

// errNoDHCP is given for bytes that are no DHCP message with a type.
var errNoDHCP = errors.New("no DHCP message")

// parseDHCP reads the few fields of a DHCPv4 message that name a client and tell it where names are
// resolved. Every length is checked; options that are cut off are left out.
func parseDHCP(b []byte) (*DHCP, error) {
	if len(b) < 240 || binary.BigEndian.Uint32(b[236:]) != 0x63825363 {
		return nil, errNoDHCP
	}
	d := &DHCP{DNS: []string{}, Names: []string{}}
	if b[1] == 1 && b[2] == 6 {
		d.MAC = net.HardwareAddr(b[28:34]).String()
	}
	if a := netip.AddrFrom4([4]byte(b[16:20])); !a.IsUnspecified() {
		d.Addr = a.String()
	}
	over := d.options(b[240:])
	if over&1 != 0 {
		d.options(b[108:236])
	}
	if over&2 != 0 {
		d.options(b[44:108])
	}
	if d.Type == "" {
		return nil, errNoDHCP
	}
	return d, nil
}

// options reads one option field and gives the value of option overload.
func (d *DHCP) options(o []byte) (overload byte) {
	for len(o) > 0 && o[0] != optEnd {
		if o[0] == optPad {
			o = o[1:]
			continue
		}
		if len(o) < 2 || len(o) < 2+int(o[1]) {
			return overload
		}
		code, v := o[0], o[2:2+int(o[1])]
		o = o[2+len(v):]
		switch code {
		case optMessage:
			if len(v) == 1 && int(v[0]) < len(dhcpTypes) {
				d.Type = dhcpTypes[v[0]]
			}
		case optDNS:
			d.DNS = appendAddrs(d.DNS, v)
		case optNameServer:
			d.Names = appendAddrs(d.Names, v)
		case optDomain:
			d.Suffix = strings.TrimRight(strings.ToValidUTF8(string(v), "?"), "\x00")
		case optVendor:
			d.Vendor = printable(v)
		case optOverload:
			if len(v) == 1 {
				overload = v[0]
			}
		}
	}
	return overload
}

func appendAddrs(list []string, v []byte) []string {
	for ; len(v) >= 4; v = v[4:] {
		list = append(list, netip.AddrFrom4([4]byte(v[:4])).String())
	}
	return list
}
