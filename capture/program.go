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

// program is the back end of the port set for the driver: the same verdicts as Matcher, for Ethernet
// and for raw IP. dropOutgoing refuses packets on their way out, which on a loopback interface come
// a second time; it uses a word that only the kernel of Linux has.
func program(s portSet, link LinkType, dropOutgoing bool) []bpf.Instruction {
	a := newAssembler()
	if dropOutgoing {
		a.put(bpf.LoadExtension{Num: bpf.ExtType})
		a.when(bpf.JumpEqual, outgoing, "reject")
	}
	if link == LinkEthernet {
		a.ethernet()
	} else {
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
