package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// meta is what is known of a packet below IP. It goes with everything that is made from it.
type meta struct {
	time   time.Time
	packet int
	vlan   []uint16 // borrowed
	src    netip.Addr
	dst    netip.Addr
	ipID   uint16 // 0 for IPv6
	lost   int    // bytes at the end of the IP payload that were not captured
}

// transport receives what the decoder found. All slices are borrowed.
type transport interface {
	tcp(m *meta, t *layers.TCP, payload []byte)
	udp(m *meta, src, dst uint16, payload []byte)
	icmp(m *meta, v6 bool, typ, code uint8, quoted []byte)
	link(m *meta, proto uint16, payload []byte)
}

// decoder takes frames apart. gopacket decodes the fixed headers, with nothing but the layers named
// here; VLAN tags, fragments and IPv6 extension headers are walked by bounded code of our own.
type decoder struct {
	out   transport
	frags *defrag
	air   onAir
	tags  [maxTags]uint16
	meta  meta // of the packet that is looked at: none is made for each

	ip4  layers.IPv4
	ip6  layers.IPv6
	tcpL layers.TCP
	udpL layers.UDP
	icmp layers.ICMPv4
	got  []gopacket.LayerType

	ip4P, ip6P, tcpP, udpP, icmpP *gopacket.DecodingLayerParser
}

func newDecoder(out transport) *decoder {
	d := &decoder{out: out, frags: newDefrag()}
	d.ip4P, d.ip6P = parserOf(layers.LayerTypeIPv4, &d.ip4), parserOf(layers.LayerTypeIPv6, &d.ip6)
	d.tcpP, d.udpP = parserOf(layers.LayerTypeTCP, &d.tcpL), parserOf(layers.LayerTypeUDP, &d.udpL)
	d.icmpP = parserOf(layers.LayerTypeICMPv4, &d.icmp)
	return d
}

// parserOf makes a parser that knows one layer and survives its panics.
func parserOf(t gopacket.LayerType, l gopacket.DecodingLayer) *gopacket.DecodingLayerParser {
	p := gopacket.NewDecodingLayerParser(t, l)
	p.IgnoreUnsupported = true
	return p
}

// layer decodes one layer. Errors in options are not asked for: the fixed header is what counts.
func (d *decoder) layer(p *gopacket.DecodingLayerParser, b []byte) error {
	return p.DecodeLayers(b, &d.got)
}

// packet decodes one frame. A packet that makes no sense gives an error, never a panic.
func (d *decoder) packet(p *Packet) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decode packet %d: %v", p.Number, r)
		}
	}()
	if off, ok := wifiStart(p.Link, p.Data); ok && d.air.repeated(p.Data[off:], p.Time) {
		return nil
	}
	if aggregated(p.Link, p.Data) {
		one := *p
		one.Link = LinkEthernet
		return subframes(p.Link, p.Data, func(b []byte) error {
			one.Data, one.OrigLen = b, len(b)
			return d.frame(&one)
		})
	}
	return d.frame(p)
}

// frame decodes what holds one frame only.
func (d *decoder) frame(p *Packet) error {
	n, ok := findNetwork(p.Link, p.Data, &d.tags)
	if !ok {
		return fmt.Errorf("decode packet %d: link header is cut", p.Number)
	}
	d.meta = meta{time: p.Time, packet: p.Number, vlan: n.vlan}
	m := &d.meta
	switch n.proto {
	case etherIPv4:
		return d.ipv4(m, p.Data[n.off:])
	case etherIPv6:
		return d.ipv6(m, p.Data[n.off:])
	case etherARP, etherLLDP:
		d.out.link(m, n.proto, p.Data[n.off:])
	}
	return nil
}

// ipv4 decodes an IPv4 packet; Ethernet padding behind its total length is dropped.
func (d *decoder) ipv4(m *meta, b []byte) error {
	err := d.layer(d.ip4P, b)
	head := int(d.ip4.IHL) * 4
	if len(b) < 20 || head < 20 || len(b) < head || d.ip4.Version != 4 {
		return fmt.Errorf("decode packet %d: IPv4 header: %v", m.packet, err)
	}
	total := int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 { // segmentation offload
		total = len(b)
	}
	if total < head {
		return fmt.Errorf("decode packet %d: IPv4 total length %d", m.packet, total)
	}
	m.lost = max(0, total-len(b))
	b = b[:min(len(b), total)]
	m.src, m.dst, m.ipID = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), d.ip4.Id
	more, off := d.ip4.Flags&layers.IPv4MoreFragments != 0, int(d.ip4.FragOffset)*8
	proto, payload := byte(d.ip4.Protocol), b[head:]
	if more || off > 0 {
		key := fragKey{m.src, m.dst, uint32(d.ip4.Id), proto}
		if m.lost > 0 {
			return nil
		}
		if payload = d.frags.add(key, m.time, off, more, payload); payload == nil {
			return nil
		}
	}
	return d.transport(m, proto, payload)
}

// ipv6 decodes an IPv6 packet and walks its extension headers.
func (d *decoder) ipv6(m *meta, b []byte) error {
	_ = d.layer(d.ip6P, b) // an odd hop-by-hop header is an error there, not here
	if len(b) < 40 || b[0]>>4 != 6 {
		return fmt.Errorf("decode packet %d: IPv6 header", m.packet)
	}
	total := int(d.ip6.Length) + 40
	if d.ip6.Length == 0 { // jumbo or offload
		total = len(b)
	}
	m.lost = max(0, total-len(b))
	b = b[:min(len(b), total)]
	m.src, m.dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	next, payload := byte(d.ip6.NextHeader), b[40:]
	for range 16 {
		if next != extHopByHop && next != extRouting && next != extFragment && next != extAuth && next != extDest {
			return d.transport(m, next, payload)
		}
		if len(payload) < 8 {
			return fmt.Errorf("decode packet %d: IPv6 extension header is cut", m.packet)
		}
		size := int(payload[1])*8 + 8
		switch next {
		case extFragment:
			var whole bool
			if next, payload, whole = d.fragment6(m, payload); !whole {
				return nil
			}
			continue
		case extAuth:
			size = int(payload[1])*4 + 8
		}
		if len(payload) < size {
			return fmt.Errorf("decode packet %d: IPv6 extension header is cut", m.packet)
		}
		next, payload = payload[0], payload[size:]
	}
	return fmt.Errorf("decode packet %d: too many IPv6 extension headers", m.packet)
}

// fragment6 joins what stands behind an IPv6 fragment header.
func (d *decoder) fragment6(m *meta, b []byte) (next byte, payload []byte, whole bool) {
	next = b[0]
	word := binary.BigEndian.Uint16(b[2:])
	off, more := int(word&^7), word&1 != 0
	if off == 0 && !more {
		return next, b[8:], true
	}
	if m.lost > 0 {
		return next, nil, false
	}
	// the first fragment's next header is that of the datagram; RFC 8200 4.5 keys without it
	key := fragKey{m.src, m.dst, binary.BigEndian.Uint32(b[4:]), 0}
	payload = d.frags.add(key, m.time, off, more, b[8:])
	return next, payload, payload != nil
}

// transport decodes what IP carries.
func (d *decoder) transport(m *meta, proto byte, b []byte) error {
	switch proto {
	case protoTCP:
		err := d.layer(d.tcpP, b)
		if len(b) < 20 || d.tcpL.DataOffset < 5 {
			return fmt.Errorf("decode packet %d: TCP header: %v", m.packet, err)
		}
		head := int(d.tcpL.DataOffset) * 4
		if len(b) < head { // what was not captured begins with options
			m.lost = max(0, m.lost-(head-len(b)))
			head = len(b)
		}
		d.out.tcp(m, &d.tcpL, b[head:])
	case protoUDP:
		err := d.layer(d.udpP, b)
		if len(b) < 8 {
			return fmt.Errorf("decode packet %d: UDP header: %v", m.packet, err)
		}
		d.out.udp(m, uint16(d.udpL.SrcPort), uint16(d.udpL.DstPort), b[8:])
	case protoICMP:
		if err := d.layer(d.icmpP, b); err != nil {
			return fmt.Errorf("decode packet %d: ICMP: %w", m.packet, err)
		}
		d.out.icmp(m, false, d.icmp.TypeCode.Type(), d.icmp.TypeCode.Code(), b[8:])
	case protoICMPv6:
		if len(b) < 8 {
			return fmt.Errorf("decode packet %d: ICMPv6 of %d bytes", m.packet, len(b))
		}
		d.out.icmp(m, true, b[0], b[1], b[8:])
	}
	return nil
}
