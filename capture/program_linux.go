package capture

import "golang.org/x/net/bpf"

// Kinds of interfaces, whose frames differ (Linux if_arp.h).
const (
	arpEther    = 1
	arpPPP      = 512
	arpTunnel   = 768
	arpTunnel6  = 769
	arpLoopback = 772
	arpSIT      = 776
	arpGRE      = 778
	arpWiFi     = 801 // in monitor mode, as the next
	arpRadiotap = 803
	arpNone     = 65534
)

// rawTypes are the interfaces whose frames begin with IP.
var rawTypes = []uint16{arpNone, arpPPP, arpTunnel, arpTunnel6, arpSIT, arpGRE}

// linkOfType tells how frames of a kind of interface begin.
func linkOfType(t uint16) (LinkType, bool) {
	switch t {
	case arpEther, arpLoopback:
		return LinkEthernet, true
	case arpNone, arpPPP, arpTunnel, arpTunnel6, arpSIT, arpGRE:
		return LinkRaw, true
	case arpWiFi:
		return LinkWiFi, true
	case arpRadiotap:
		return LinkRadiotap, true
	}
	return 0, false
}

// programAny is the program for all interfaces at once: the kind of each frame's interface says how
// the frame begins. Interfaces of other kinds give nothing.
func programAny(s portSet) []bpf.Instruction {
	a := newAssembler()
	a.put(bpf.LoadExtension{Num: bpf.ExtLinkLayerType})
	a.when(bpf.JumpEqual, arpEther, "ethernet")
	a.when(bpf.JumpEqual, arpLoopback, "loopback")
	for _, t := range rawTypes {
		a.when(bpf.JumpEqual, uint32(t), "raw")
	}
	a.when(bpf.JumpEqual, arpWiFi, "wifi")
	a.when(bpf.JumpEqual, arpRadiotap, "radiotap")
	a.jump("reject")
	a.label("loopback")
	a.put(bpf.LoadExtension{Num: bpf.ExtType})
	a.when(bpf.JumpEqual, outgoing, "reject")
	a.ethernet()
	a.raw()
	a.wifi()
	a.ip(s)
	return a.link()
}
