package capture

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
)

func mustPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// machines are the kernel program run in a virtual machine, by link type.
func machines(t testing.TB) map[LinkType]*bpf.VM {
	out := map[LinkType]*bpf.VM{}
	for _, l := range []LinkType{LinkEthernet, LinkRaw, LinkWiFi, LinkRadiotap} {
		prog := program(newPortSet([]uint16{9971}), l, false)
		if len(prog) > 512 {
			t.Fatalf("%d instructions: Linux takes 4096, drivers of others 512", len(prog))
		}
		if _, err := bpf.Assemble(prog); err != nil {
			t.Fatal(err)
		}
		vm, err := bpf.NewVM(prog)
		if err != nil {
			t.Fatal(err)
		}
		out[l] = vm
	}
	return out
}

// agree compares both back ends on a frame, as Ethernet and as raw IP.
func agree(t testing.TB, vms map[LinkType]*bpf.VM, m *Matcher, b []byte) (wanted bool) {
	t.Helper()
	for link, vm := range vms {
		n, err := vm.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		got := m.Match(link, b)
		if got != (n > 0) {
			t.Fatalf("link %d: matcher %v, program %v for %x", link, got, n > 0, b)
		}
		if got && link == LinkEthernet && m.refuses(b) {
			t.Fatalf("the quick test refuses what the matcher wants: %x", b)
		}
		wanted = wanted || got
	}
	return wanted
}

// sampleFrames are frames of every kind that the filter tells apart.
func sampleFrames(t testing.TB) [][]byte {
	var all [][]byte
	add := func(b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b, b[14:])
	}
	for _, port := range []uint16{9971, 16992, 16995, 53, 80, 9972} {
		for _, host := range []string{"10.1.0.10", "2001:db8::10"} {
			dst := netip.AddrPortFrom(netip.MustParseAddr(host), port)
			src := clientV4
			if dst.Addr().Is6() {
				src = clientV6
			}
			src = netip.AddrPortFrom(src.Addr(), 40000)
			add(Frame(src, dst, ACK, 1, 1, []byte("data")))
			add(Frame(dst, src, ACK, 1, 1, nil))
			add(FrameUDP(src, dst, []byte("data")))
		}
	}
	for _, port := range []uint16{67, 137, 623, 5353, 1234} {
		add(FrameUDP(clientV4, netip.AddrPortFrom(serverV4.Addr(), port), nil))
	}
	for _, b := range slices.Clone(all) {
		if len(b) > 40 && (b[12] == 8 || b[12] == 0x86) {
			all = append(all, tagged(0x8100, 5)(b), tagged(0x88A8, 6)(tagged(0x8100, 5)(b)), tagged(0x9100, 1)(tagged(0x8100, 2)(tagged(0x8100, 5)(b))))
			if b[12] == 0x86 {
				all = append(all, withExt(b, extDest, make([]byte, 6)), withExt(b, extAuth, make([]byte, 6)))
			} else {
				all = append(all, withIPOptions(b, []byte{1, 1, 1, 1}))
				all = append(all, fragments(8, false)(b)...)
			}
		}
	}
	arp := append([]byte{12: 8, 13: 6}, make([]byte, 28)...)
	lldp := append([]byte{12: 0x88, 13: 0xCC}, make([]byte, 28)...)
	icmp := append([]byte{12: 8, 13: 0, 14: 0x45, 23: 1}, make([]byte, 40)...)
	return append(append(all, arp, lldp, icmp), wifiFrames(t)...)
}

func TestMatcherAgreesWithProgram(t *testing.T) {
	vms, m := machines(t), NewMatcher(9971)
	r := rand.New(rand.NewPCG(1, 2))
	frames := sampleFrames(t)
	wanted := 0
	for _, f := range frames {
		if agree(t, vms, m, f) {
			wanted++
		}
		for n := range len(f) {
			agree(t, vms, m, f[:n])
		}
		for range 400 {
			g := slices.Clone(f)
			for range 1 + r.IntN(3) {
				i := r.IntN(min(len(g), 64))
				switch r.IntN(3) {
				case 0:
					g[i] = byte(r.Uint32())
				case 1:
					g[i] ^= 1 << r.IntN(8)
				default:
					g = g[:max(1, r.IntN(len(g)+1))]
				}
			}
			agree(t, vms, m, g)
		}
	}
	if wanted < 50 || wanted == len(frames) {
		t.Errorf("%d of %d frames are wanted: the frames do not test both verdicts", wanted, len(frames))
	}
}

func TestMatcherNeverAllocates(t *testing.T) {
	m, frames := NewMatcher(9971), sampleFrames(t)
	if n := testing.AllocsPerRun(10, func() {
		for _, f := range frames {
			m.Match(LinkEthernet, f)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzMatcher(f *testing.F) {
	for _, b := range sampleFrames(f) {
		f.Add(b)
	}
	vms, m := machines(f), NewMatcher(9971)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 {
			agree(t, vms, m, b)
		}
	})
}
