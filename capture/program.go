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

// program is the back end of the port set for the kernel: the same verdicts as Matcher, for
// Ethernet and for raw IP. dropOutgoing refuses packets on their way out, which on a loopback
// interface come a second time; it uses a word that only the kernel has.
func program(s portSet, link LinkType, dropOutgoing bool) []bpf.Instruction {
	a := &assembler{labels: map[string]int{}, jumps: map[int]string{}}
	if dropOutgoing {
		a.put(bpf.LoadExtension{Num: bpf.ExtType})
		a.when(bpf.JumpEqual, 4, "reject")
	}
	if link == LinkEthernet {
		a.ethernet(s)
	} else {
		a.put(bpf.LoadAbsolute{Off: 0, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xF0})
		a.when(bpf.JumpEqual, 0x40, "ip4-0")
		a.when(bpf.JumpEqual, 0x60, "ip6-0")
		a.jump("reject")
		a.ip(s, "0", 0)
	}
	a.label("accept")
	a.put(bpf.RetConstant{Val: snapAll})
	a.label("reject")
	a.put(bpf.RetConstant{Val: 0})
	return a.link()
}

// ethernet tries the Ethernet type at 12, 16, 20 and 24: received frames lack their outer tag, sent
// ones have all of them.
func (a *assembler) ethernet(s portSet) {
	names := []string{"0", "1", "2", "3"}
	for tags := range maxTags + 1 {
		a.label("tags-" + names[tags])
		a.put(bpf.LoadAbsolute{Off: uint32(12 + 4*tags), Size: 2})
		a.when(bpf.JumpEqual, etherIPv4, "ip4-"+names[tags])
		a.when(bpf.JumpEqual, etherIPv6, "ip6-"+names[tags])
		a.when(bpf.JumpEqual, etherARP, "accept")
		a.when(bpf.JumpEqual, etherLLDP, "accept")
		if tags < maxTags {
			for _, tag := range []uint32{etherVLAN, etherQinQ, etherOldQ} {
				a.when(bpf.JumpEqual, tag, "tags-"+names[tags+1])
			}
		}
		a.jump("reject")
	}
	for tags := range maxTags + 1 {
		a.ip(s, names[tags], uint32(14+4*tags))
	}
}

// ip tests an IPv4 or IPv6 packet that begins at off.
func (a *assembler) ip(s portSet, name string, off uint32) {
	a.label("ip4-" + name)
	a.need(off + 20)
	a.put(bpf.LoadAbsolute{Off: off + 9, Size: 1})
	a.when(bpf.JumpEqual, protoICMP, "accept")
	a.when(bpf.JumpEqual, protoTCP, "tcp4-"+name)
	a.when(bpf.JumpNotEqual, protoUDP, "reject")
	a.put(bpf.LoadAbsolute{Off: off + 6, Size: 2})
	a.when(bpf.JumpBitsSet, 0x1FFF, "reject")
	a.put(bpf.LoadMemShift{Off: off})
	a.ports(s.udp, func(o uint32) bpf.Instruction { return bpf.LoadIndirect{Off: off + o, Size: 2} })
	a.label("tcp4-" + name)
	a.put(bpf.LoadAbsolute{Off: off + 6, Size: 2})
	a.when(bpf.JumpBitsSet, 0x1FFF, "accept")
	a.put(bpf.LoadMemShift{Off: off})
	a.ports(s.tcp, func(o uint32) bpf.Instruction { return bpf.LoadIndirect{Off: off + o, Size: 2} })

	a.label("ip6-" + name)
	a.need(off + 40)
	a.put(bpf.LoadAbsolute{Off: off + 6, Size: 1})
	a.when(bpf.JumpEqual, protoICMPv6, "accept")
	for _, ext := range extensions {
		a.when(bpf.JumpEqual, uint32(ext), "accept")
	}
	a.when(bpf.JumpEqual, protoTCP, "tcp6-"+name)
	a.when(bpf.JumpNotEqual, protoUDP, "reject")
	a.ports(s.udp, func(o uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: off + 40 + o, Size: 2} })
	a.label("tcp6-" + name)
	a.ports(s.tcp, func(o uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: off + 40 + o, Size: 2} })
}

// need refuses packets shorter than n bytes.
func (a *assembler) need(n uint32) {
	a.put(bpf.LoadExtension{Num: bpf.ExtLen})
	a.when(bpf.JumpLessThan, n, "reject")
}

// ports tests the destination port, then the source port, and ends with a verdict. The destination
// comes first so that a packet without it is refused by the load, as the matcher does.
func (a *assembler) ports(set []uint16, load func(uint32) bpf.Instruction) {
	for _, o := range []uint32{2, 0} {
		a.put(load(o))
		for _, p := range set {
			a.when(bpf.JumpEqual, uint32(p), "accept")
		}
	}
	a.jump("reject")
}
