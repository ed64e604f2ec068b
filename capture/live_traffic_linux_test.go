package capture

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// traffic is the frames of n clients that each say one hello of 40 hashes: a third with no, one and
// two VLAN tags, half over IPv6, half in IP fragments; and beside each what nobody wants.
func traffic(t *testing.T, n int) (all [][]byte) {
	t.Helper()
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tags := []func([]byte) []byte{
		func(b []byte) []byte { return b },
		tagged(0x8100, 0xE064),
		func(b []byte) []byte { return tagged(0x88A8, 200)(tagged(0x8100, 100)(b)) },
	}
	msg := pki(t, 40)
	for i := range n {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, byte(i >> 8), byte(i)}), 16994)
		server, web, cut := serverV4, mustPort("10.1.0.10:80"), fragments(256, i%5 == 0)
		if i/3%2 == 1 {
			client = netip.MustParseAddrPort(fmt.Sprintf("[2001:db8::1:%x]:16994", i))
			server, web, cut = serverV6, mustPort("[2001:db8::10]:80"), fragments6(256, i%5 == 0)
		}
		pc := netip.AddrPortFrom(client.Addr(), 40000)
		frames := [][]byte{
			must(Frame(client, server, SYN, 99, 0, nil)), must(Frame(pc, web, SYN, 9, 0, nil)),
			must(Frame(server, client, SYN|ACK, 499, 100, nil)), must(FrameUDP(pc, netip.AddrPortFrom(web.Addr(), 53), msg[:12])),
		}
		data := must(Frame(client, server, PSH|ACK, 100, 500, msg))
		if i/6%2 == 1 {
			frames = append(frames, cut(data)...)
		} else {
			frames = append(frames, data)
		}
		frames = append(frames, must(FrameUDP(pc, netip.AddrPortFrom(web.Addr(), 5000), msg[:600])),
			must(Frame(client, server, FIN|ACK, uint32(100+len(msg)), 500, nil)), must(Frame(web, pc, RST|ACK, 0, 10, nil)))
		for _, f := range frames {
			all = append(all, tags[i%3](f))
		}
	}
	return all
}

// startTcpdump captures everything of an interface into a file, ready when it returns.
func startTcpdump(t *testing.T, iface, file string) (stop func()) {
	t.Helper()
	cmd := exec.Command("tcpdump", "-i", iface, "-U", "-B", "65536", "-Z", "root", "-w", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if st, err := os.Stat(file); err == nil && st.Size() > 0 { // its file header says that it is ready
			break
		}
	}
	return func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
}

// readFrames reads the frames of a file.
func readFrames(t *testing.T, name string) (all [][]byte) {
	t.Helper()
	f, err := OpenFile(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Run(context.Background(), func(p *Packet) error {
		all = append(all, bytes.Clone(p.Data))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestLiveTrafficBesideTcpdump lets tcpdump take everything while we take what is wanted. tshark says
// which of tcpdump's packets are wanted: those, byte for byte, are ours, and each client's hello is
// told once.
func TestLiveTrafficBesideTcpdump(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("AMTMEDIC_LONG is not set")
	}
	isolated(t, func(t *testing.T) {
		tool(t, "tcpdump", "tshark")
		output(t, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
		output(t, "ip", "link", "set", "va", "up")
		output(t, "ip", "link", "set", "vb", "up")
		const clients = 600
		file := filepath.Join(t.TempDir(), "all.pcap")
		stop := startTcpdump(t, "vb", file)
		l, err := OpenLive("vb", LiveOptions{Promisc: true, Warn: func(s string) { t.Error(s) }})
		if err != nil {
			stop()
			t.Fatal(err)
		}
		defer l.Close()
		frames := traffic(t, clients)
		inject(t, "va", frames...)
		ours, kinds := map[string]int{}, map[Kind]int{}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = Scan(ctx, tee{l, func(p *Packet) { ours[string(p.Data)]++ }}, Options{}, func(e Event) { kinds[e.Kind]++ })
		stop()
		theirs := wantedBy(t, file)
		for b, n := range theirs {
			if ours[b] != n && fromUs(b) {
				t.Errorf("%d times here, %d times in tcpdump's file: %x", ours[b], n, b[:min(len(b), 60)])
			}
		}
		total := 0
		for b, n := range ours {
			total += n
			if theirs[b] == 0 && fromUs(b) {
				t.Errorf("only here: %x", b[:min(len(b), 60)])
			}
		}
		t.Logf("%d frames sent, %d wanted", len(frames), total)
		if kinds[KindHello] != clients || kinds[KindPartial] != 0 || kinds[KindSYN] != clients || kinds[KindClosed] != clients {
			t.Errorf("%d clients gave %v", clients, kinds)
		}
		if st := l.Stats(); st.Dropped != 0 || total < clients*5 || total >= len(frames) {
			t.Errorf("%+v, %d wanted of %d", st, total, len(frames))
		}
	})
}

// fromUs tells our frames from those that the kernel sends by itself: its own have no MAC address of
// the test's addresses.
func fromUs(b string) bool { return len(b) > 12 && b[6] == 2 && b[7] == 0 }

// wantedBy asks tshark which packets of a file are wanted, and gives their bytes with their number.
func wantedBy(t *testing.T, file string) map[string]int {
	t.Helper()
	const wanted = "tcp.port in {9971,16992..16995,53} || udp.port in {53,67,68,137,623,5353,5355} || arp || icmp || icmpv6 || lldp || " +
		"(ip.proto == 6 && ip.frag_offset > 0) || ipv6.nxt in {0,43,44,51,60}"
	rows := output(t, "tshark", "-r", file, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-Y", wanted, "-T", "fields", "-e", "frame.number")
	all, out := readFrames(t, file), map[string]int{}
	for _, row := range strings.Fields(rows) {
		n, err := strconv.Atoi(row)
		if err != nil || n < 1 || n > len(all) {
			t.Fatalf("tshark names packet %q of %d", row, len(all))
		}
		out[string(all[n-1])]++
	}
	return out
}

// tee shows the packets of a source on their way.
type tee struct {
	Source
	show func(*Packet)
}

func (s tee) Run(ctx context.Context, fn func(*Packet) error) error {
	return s.Source.Run(ctx, func(p *Packet) error {
		if p.Number > 0 {
			s.show(p)
		}
		return fn(p)
	})
}
