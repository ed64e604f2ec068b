package capture

import "golang.org/x/net/bpf"

// snapAll is the length that the kernel keeps of an accepted packet.
const snapAll = maxPacket

// assembler builds a filter program with labels. Every test is followed by a long jump, because
// the skips of a conditional jump have 8 bits only.
type assembler struct {
	code   []bpf.Instruction
	labels map[string]int
	jumps  map[int]string // place of a long jump: its label
}

func newAssembler() *assembler {
	return &assembler{labels: map[string]int{}, jumps: map[int]string{}}
}

func (a *assembler) put(i ...bpf.Instruction) { a.code = append(a.code, i...) }

func (a *assembler) label(l string) { a.labels[l] = len(a.code) }

// jump goes to a label that comes later.
func (a *assembler) jump(l string) {
	a.jumps[len(a.code)] = l
	a.put(bpf.Jump{})
}

// when goes to a label if the accumulator passes the test.
func (a *assembler) when(test bpf.JumpTest, val uint32, l string) {
	a.put(bpf.JumpIf{Cond: test, Val: val, SkipFalse: 1})
	a.jump(l)
}

// link fills in the long jumps.
func (a *assembler) link() []bpf.Instruction {
	for at, l := range a.jumps {
		a.code[at] = bpf.Jump{Skip: uint32(a.labels[l] - at - 1)}
	}
	return a.code
}

// outgoing is the packet type of what this machine sends (Linux if_packet.h).
const outgoing = 4

// program is the back end of the port set for the driver: the same verdicts as Matcher, for Ethernet,
// raw IP and 802.11. dropOutgoing refuses packets on their way out, which on a loopback interface come
// a second time; it uses a word that only the kernel of Linux has.
func program(s portSet, link LinkType, dropOutgoing bool) []bpf.Instruction {
	a := newAssembler()
	if dropOutgoing {
		a.put(bpf.LoadExtension{Num: bpf.ExtType})
		a.when(bpf.JumpEqual, outgoing, "reject")
	}
	switch link {
	case LinkEthernet:
		a.ethernet()
	case LinkWiFi:
		a.wifi()
	case LinkRadiotap:
		a.jump("radiotap")
		a.wifi()
	default:
		a.raw()
	}
	a.ip(s)
	return a.link()
}

// ethernet tries the Ethernet type at 12, 16, 20 and 24: received frames lack their outer tag, sent
// ones have all of them. It goes on in ip, with the place of the IP header in X.
func (a *assembler) ethernet() {
	a.label("ethernet")
	tags := [maxTags + 1]string{"tags-0", "tags-1", "tags-2", "tags-3"}
	for n, name := range tags {
		a.label(name)
		a.put(bpf.LoadConstant{Dst: bpf.RegX, Val: uint32(14 + 4*n)}, bpf.LoadAbsolute{Off: uint32(12 + 4*n), Size: 2})
		a.when(bpf.JumpEqual, etherIPv4, "ip4")
		a.when(bpf.JumpEqual, etherIPv6, "ip6")
		a.when(bpf.JumpEqual, etherARP, "accept")
		a.when(bpf.JumpEqual, etherLLDP, "accept")
		if n < maxTags {
			for _, tag := range []uint32{etherVLAN, etherQinQ, etherOldQ} {
				a.when(bpf.JumpEqual, tag, tags[n+1])
			}
		}
		a.jump("reject")
	}
}

// raw goes by the first nibble of IP.
func (a *assembler) raw() {
	a.label("raw")
	a.put(bpf.LoadConstant{Dst: bpf.RegX, Val: 0}, bpf.LoadAbsolute{Off: 0, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xF0})
	a.when(bpf.JumpEqual, 0x40, "ip4")
	a.when(bpf.JumpEqual, 0x60, "ip6")
	a.jump("reject")
}

// wifi finds the body of a data frame of 802.11, as wifiNetwork does, at "radiotap" behind such a header;
// X is moved along. What stands behind up to three tags is found in snap.
func (a *assembler) wifi() {
	a.label("wifi")
	a.put(bpf.LoadConstant{Dst: bpf.RegX, Val: 0})
	a.jump("frame")
	a.label("radiotap")
	a.put(bpf.LoadConstant{Dst: bpf.RegX, Val: 0})
	a.need(8)
	a.put(bpf.LoadAbsolute{Off: 0, Size: 1})
	a.when(bpf.JumpNotEqual, 0, "reject")
	a.put(bpf.LoadAbsolute{Off: 3, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 8}, bpf.TAX{},
		bpf.LoadAbsolute{Off: 2, Size: 1}, bpf.ALUOpX{Op: bpf.ALUOpOr})
	a.when(bpf.JumpLessThan, 8, "reject")
	a.put(bpf.TAX{})
	a.label("frame")
	a.put(bpf.StoreScratch{Src: bpf.RegX, N: 0}, bpf.LoadExtension{Num: bpf.ExtLen})
	a.put(bpf.JumpIfX{Cond: bpf.JumpGreaterOrEqual, SkipTrue: 1})
	a.jump("reject")
	a.need(wifiHead)
	a.put(bpf.LoadIndirect{Off: 0, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: wifiKind | wifiNoData})
	a.when(bpf.JumpNotEqual, wifiData, "reject")
	a.put(bpf.LoadIndirect{Off: 1, Size: 1})
	a.when(bpf.JumpBitsSet, wifiProtected, "reject")
	a.put(bpf.LoadIndirect{Off: wifiSequence, Size: 1})
	a.when(bpf.JumpBitsSet, 0x0F, "reject")
	a.put(bpf.LoadIndirect{Off: 0, Size: 2}, bpf.StoreScratch{Src: bpf.RegA, N: 1}) // frame control
	a.put(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: wifiBothDS})
	a.when(bpf.JumpNotEqual, wifiBothDS, "three-addresses")
	a.skip(6)
	a.label("three-addresses")
	a.put(bpf.LoadScratch{Dst: bpf.RegA, N: 1})
	a.when(bpf.JumpBitsNotSet, wifiQoS<<8, "body")
	a.need(wifiHead + 2)
	a.put(bpf.LoadIndirect{Off: wifiHead, Size: 1}, bpf.StoreScratch{Src: bpf.RegA, N: 2})
	a.skip(2)
	a.put(bpf.LoadScratch{Dst: bpf.RegA, N: 1})
	a.when(bpf.JumpBitsNotSet, wifiOrder, "control")
	a.skip(4)
	a.label("control")
	a.need(wifiHead)
	a.put(bpf.LoadScratch{Dst: bpf.RegA, N: 2})
	a.when(bpf.JumpBitsSet, wifiAMSDU, "accept")
	a.label("body")
	a.snap()
}

// snap looks for LLC with SNAP where the header of 802.11 that X is moved for ends, or two bytes later
// where its length is no multiple of four, and goes by the Ethernet type in it.
func (a *assembler) snap() {
	a.need(wifiHead + snapHead)
	a.put(bpf.LoadIndirect{Off: wifiHead, Size: 4})
	a.when(bpf.JumpNotEqual, 0xAAAA0300, "filled")
	a.put(bpf.LoadIndirect{Off: wifiHead + 4, Size: 2})
	a.when(bpf.JumpEqual, 0, "type-0")
	a.when(bpf.JumpEqual, 0xF8, "type-0")
	a.label("filled")
	a.put(bpf.TXA{}, bpf.StoreScratch{Src: bpf.RegA, N: 3}, bpf.LoadScratch{Dst: bpf.RegX, N: 0}, bpf.ALUOpX{Op: bpf.ALUOpSub})
	a.when(bpf.JumpBitsNotSet, 3, "reject")
	a.put(bpf.LoadScratch{Dst: bpf.RegX, N: 3})
	a.skip(2)
	a.need(wifiHead + snapHead)
	a.put(bpf.LoadIndirect{Off: wifiHead, Size: 4})
	a.when(bpf.JumpNotEqual, 0xAAAA0300, "reject")
	a.put(bpf.LoadIndirect{Off: wifiHead + 4, Size: 2})
	a.when(bpf.JumpEqual, 0, "type-0")
	a.when(bpf.JumpNotEqual, 0xF8, "reject")
	names := [maxTags + 1]string{"type-0", "type-1", "type-2", "type-3"}
	for n, name := range names {
		a.label(name)
		a.put(bpf.LoadIndirect{Off: wifiHead + 6, Size: 2}, bpf.StoreScratch{Src: bpf.RegA, N: 4})
		a.skip(4)
		a.put(bpf.LoadScratch{Dst: bpf.RegA, N: 4})
		if n < maxTags {
			for _, tag := range []uint32{etherVLAN, etherQinQ, etherOldQ} {
				a.when(bpf.JumpEqual, tag, "tag-"+names[n+1])
			}
		}
		a.jump("typed")
		if n < maxTags {
			a.label("tag-" + names[n+1])
			a.need(wifiHead + snapHead)
			a.jump(names[n+1])
		}
	}
	a.label("typed")
	a.skip(wifiHead + snapHead - 4)
	a.put(bpf.LoadScratch{Dst: bpf.RegA, N: 4})
	a.when(bpf.JumpEqual, etherIPv4, "ip4")
	a.when(bpf.JumpEqual, etherIPv6, "ip6")
	a.when(bpf.JumpEqual, etherARP, "accept")
	a.when(bpf.JumpEqual, etherLLDP, "accept")
	a.jump("reject")
}

// ip tests the IPv4 or IPv6 packet that begins at X, and ends the program.
func (a *assembler) ip(s portSet) {
	a.label("ip4")
	a.need(20)
	a.put(bpf.LoadIndirect{Off: 9, Size: 1})
	a.when(bpf.JumpEqual, protoICMP, "accept")
	a.when(bpf.JumpEqual, protoTCP, "tcp4")
	a.when(bpf.JumpNotEqual, protoUDP, "reject")
	a.put(bpf.LoadIndirect{Off: 6, Size: 2})
	a.when(bpf.JumpBitsSet, 0x1FFF, "reject") // a later fragment of UDP tells nothing
	a.skipIPv4()
	a.jump("udp")
	a.label("tcp4")
	a.put(bpf.LoadIndirect{Off: 6, Size: 2})
	a.when(bpf.JumpBitsSet, 0x1FFF, "accept") // a later fragment has no ports
	a.skipIPv4()
	a.jump("tcp")

	a.label("ip6")
	a.need(40)
	a.put(bpf.LoadIndirect{Off: 6, Size: 1})
	a.when(bpf.JumpEqual, protoICMPv6, "accept")
	for _, ext := range extensions {
		a.when(bpf.JumpEqual, uint32(ext), "accept")
	}
	a.when(bpf.JumpEqual, protoTCP, "tcp6")
	a.when(bpf.JumpNotEqual, protoUDP, "reject")
	a.skip(40)
	a.jump("udp")
	a.label("tcp6")
	a.skip(40)

	a.label("tcp")
	a.ports(s.tcp)
	a.label("udp")
	a.ports(s.udp)
	a.label("accept")
	a.put(bpf.RetConstant{Val: snapAll})
	a.label("reject")
	a.put(bpf.RetConstant{Val: 0})
}

// need refuses packets with fewer than n bytes from X on.
func (a *assembler) need(n uint32) {
	a.put(bpf.LoadExtension{Num: bpf.ExtLen}, bpf.ALUOpX{Op: bpf.ALUOpSub})
	a.when(bpf.JumpLessThan, n, "reject")
}

// skip moves X on.
func (a *assembler) skip(n uint32) {
	a.put(bpf.TXA{}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: n}, bpf.TAX{})
}

// skipIPv4 moves X behind the IPv4 header, whose length in words is its second nibble.
func (a *assembler) skipIPv4() {
	a.put(bpf.LoadIndirect{Off: 0, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x0F},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2}, bpf.ALUOpX{Op: bpf.ALUOpAdd}, bpf.TAX{})
}

// ports tests the destination port, then the source port, and ends with a verdict. The destination
// comes first so that a packet without it is refused by the load, as the matcher does.
func (a *assembler) ports(set []uint16) {
	for _, off := range []uint32{2, 0} {
		a.put(bpf.LoadIndirect{Off: off, Size: 2})
		for _, p := range set {
			a.put(bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(p), SkipFalse: 1}, bpf.RetConstant{Val: snapAll})
		}
	}
	a.put(bpf.RetConstant{Val: 0})
}
