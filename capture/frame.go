package capture

import (
	"fmt"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Flags are the bits of a TCP segment that a synthetic frame can carry.
type Flags uint8

// The bits, as in the TCP header.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Frame builds an Ethernet frame with one TCP segment, for practice worlds and tests that have no
// right to capture. Both addresses are of one family. MAC addresses are made from the IP addresses.
func Frame(src, dst netip.AddrPort, flags Flags, seq, ack uint32, payload []byte) ([]byte, error) {
	t := &layers.TCP{
		SrcPort: layers.TCPPort(src.Port()), DstPort: layers.TCPPort(dst.Port()), Seq: seq, Ack: ack, Window: 65535,
		FIN: flags&FIN != 0, SYN: flags&SYN != 0, RST: flags&RST != 0, PSH: flags&PSH != 0, ACK: flags&ACK != 0,
	}
	ip, eth, err := below(src.Addr(), dst.Addr(), layers.IPProtocolTCP)
	if err != nil {
		return nil, err
	}
	if err := t.SetNetworkLayerForChecksum(ip.(gopacket.NetworkLayer)); err != nil {
		return nil, fmt.Errorf("build frame: %w", err)
	}
	return serialize(eth, ip, t, gopacket.Payload(payload))
}

// FrameUDP builds an Ethernet frame with one UDP datagram.
func FrameUDP(src, dst netip.AddrPort, payload []byte) ([]byte, error) {
	u := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	ip, eth, err := below(src.Addr(), dst.Addr(), layers.IPProtocolUDP)
	if err != nil {
		return nil, err
	}
	if err := u.SetNetworkLayerForChecksum(ip.(gopacket.NetworkLayer)); err != nil {
		return nil, fmt.Errorf("build frame: %w", err)
	}
	return serialize(eth, ip, u, gopacket.Payload(payload))
}

// below makes the IP and Ethernet headers.
func below(src, dst netip.Addr, proto layers.IPProtocol) (gopacket.SerializableLayer, *layers.Ethernet, error) {
	src, dst = src.Unmap(), dst.Unmap()
	eth := &layers.Ethernet{SrcMAC: macOf(src), DstMAC: macOf(dst), EthernetType: layers.EthernetTypeIPv4}
	switch {
	case src.Is4() && dst.Is4():
		return &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, Flags: layers.IPv4DontFragment,
			SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}, eth, nil
	case src.Is6() && dst.Is6():
		eth.EthernetType = layers.EthernetTypeIPv6
		return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}, eth, nil
	}
	return nil, nil, fmt.Errorf("build frame: addresses %s and %s are not of one family", src, dst)
}

// macOf makes a locally administered MAC address from the last four bytes of an address.
func macOf(a netip.Addr) []byte {
	b := a.AsSlice()
	return append([]byte{0x02, 0x00}, b[max(0, len(b)-4):]...)
}

func serialize(l ...gopacket.SerializableLayer) ([]byte, error) {
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		return nil, fmt.Errorf("build frame: %w", err)
	}
	return buf.Bytes(), nil
}
