package probe

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"amtmedic/amt/hello"
	"amtmedic/capture"
	"amtmedic/diag"
)

var (
	atClient = netip.MustParseAddrPort("10.20.0.7:16994")
	atServer = netip.MustParseAddrPort("10.1.0.10:9971")
	stranger = netip.MustParseAddrPort("10.20.0.9:16994")
)

// tape records frames, a second between one and the next.
type tape struct {
	t    *testing.T
	feed *capture.Feed
	at   time.Time
}

func newTape(t *testing.T) *tape {
	return &tape{t: t, feed: capture.NewFeed(capture.LinkEthernet, 200), at: moment}
}

func (p *tape) push(frame []byte, err error) {
	p.t.Helper()
	if err == nil {
		err = p.feed.Push(p.t.Context(), p.at, frame)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.at = p.at.Add(time.Second)
}

func (p *tape) tcp(src, dst netip.AddrPort, f capture.Flags, seq, ack uint32, data []byte) {
	p.t.Helper()
	p.push(capture.Frame(src, dst, f, seq, ack, data))
}

// hello records a whole hello of one client.
func (p *tape) hello(from netip.AddrPort, data []byte) {
	p.t.Helper()
	n := uint32(len(data))
	p.tcp(from, atServer, capture.SYN, 100, 0, nil)
	p.tcp(atServer, from, capture.SYN|capture.ACK, 500, 101, nil)
	p.tcp(from, atServer, capture.ACK, 101, 501, nil)
	p.tcp(from, atServer, capture.ACK|capture.PSH, 101, 501, data)
	p.tcp(from, atServer, capture.ACK|capture.FIN, 101+n, 501, nil)
	p.tcp(atServer, from, capture.ACK|capture.FIN, 501, 102+n, nil)
}

func (p *tape) dns(name string, rcode int, rrs ...string) {
	p.t.Helper()
	server := netip.MustParseAddrPort("10.20.0.53:53")
	from := netip.AddrPortFrom(atClient.Addr(), 2000)
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeA)
	q.Id = 9
	a := new(dns.Msg)
	a.SetRcode(q, rcode)
	for _, s := range rrs {
		rr, err := dns.NewRR(s)
		if err != nil {
			p.t.Fatal(err)
		}
		a.Answer = append(a.Answer, rr)
	}
	for _, m := range []*dns.Msg{q, a} {
		b, err := m.Pack()
		if err != nil {
			p.t.Fatal(err)
		}
		if m == q {
			p.push(capture.FrameUDP(from, server, b))
		} else {
			p.push(capture.FrameUDP(server, from, b))
		}
	}
}

// play runs the probe over the tape and gives every fact by key, in order.
func (p *tape) play(w Wire) (map[string][]diag.Fact, *record) {
	p.t.Helper()
	p.feed.Close()
	w.Name = "client.pcap"
	w.Open = func(func(string)) (capture.Source, error) { return p.feed, nil }
	r, err := run(p.t, WireFile(w))
	if err != nil {
		p.t.Fatal(err)
	}
	out := map[string][]diag.Fact{}
	for _, f := range r.facts {
		out[f.Key] = append(out[f.Key], f)
		if f.Vantage != w.Side {
			p.t.Errorf("%s has vantage %s", f.Key, f.Vantage)
		}
	}
	return out, r
}

func pskHello(t *testing.T) []byte {
	t.Helper()
	m := hello.ForPSK(caseUUID, "4KRG65QT")
	m.RetryCount = 3
	b, err := hello.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWireWholeHello(t *testing.T) {
	p := newTape(t)
	p.dns("provisionserver.corp.example.", dns.RcodeSuccess, "provisionserver.corp.example. 60 A 10.1.0.10")
	p.dns("www.corp.example.", dns.RcodeSuccess, "www.corp.example. 60 A 10.1.0.99")
	p.hello(atClient, pskHello(t))
	got, _ := p.play(Wire{Side: diag.AtClient, After: "drain", Power: "s0"})
	want := map[string]any{
		"wire.client.syn":    map[string]any{"src": "10.20.0.7:16994", "dst": "10.1.0.10:9971"},
		"wire.client.synack": map[string]any{"src": "10.1.0.10:9971", "dst": "10.20.0.7:16994"},
		"wire.client.rst":    "none", "wire.client.icmp": "none", "wire.client.back": "none",
		"wire.client.dns": map[string]any{"qname": "provisionserver.corp.example", "rcode": "NOERROR", "addr": []any{"10.1.0.10"}, "server": "10.20.0.53"},
		"wire.client.hello": map[string]any{"version": 2.0, "uuid": caseUUID.String(), "pid": "4KRG65QT", "retry": 3.0, "src": "10.20.0.7:16994", "dst": "10.1.0.10:9971",
			"length": 32.0, "problems": []any{}},
		"wire.client.watch": map[string]any{"seconds": 9.0, "after": "drain", "power": "s0"},
	}
	for k, v := range want {
		if len(got[k]) != 1 || !reflect.DeepEqual(got[k][0].Value, v) {
			t.Errorf("%s: got %v, want %v", k, got[k], v)
		}
	}
	if f := got["wire.client.hello"]; len(f) == 1 && (!f[0].At.Equal(moment.Add(7*time.Second)) || f[0].Evidence[0] != "client.pcap#8") {
		t.Errorf("the hello is dated %v, evidence %v", f[0].At, f[0].Evidence)
	}
	if f := got["wire.client.rst"]; len(f) == 1 && !f[0].At.Equal(moment.Add(9*time.Second)) {
		t.Errorf("none is dated %v, not at the end", f[0].At)
	}
}

func TestWireSilenceRefusedAndBack(t *testing.T) {
	t.Run("silence", func(t *testing.T) {
		p := newTape(t)
		other := netip.MustParseAddrPort("10.20.0.7:443")
		p.tcp(other, netip.MustParseAddrPort("10.1.0.1:80"), capture.SYN, 1, 0, nil)
		p.at = moment.Add(70 * time.Minute)
		p.tcp(other, netip.MustParseAddrPort("10.1.0.1:80"), capture.SYN, 1, 0, nil)
		got, _ := p.play(Wire{Side: diag.AtServer})
		for _, k := range []string{"syn", "synack", "rst", "icmp", "hello", "back"} {
			if f := got["wire.server."+k]; len(f) != 1 || f[0].Value != "none" {
				t.Errorf("%s: %v", k, f)
			}
		}
		if w := got["wire.server.watch"]; len(w) != 1 || w[0].Value.(map[string]any)["seconds"] != 4200.0 || w[0].Value.(map[string]any)["after"] != "nothing" {
			t.Errorf("watch: %v", w)
		}
	})
	t.Run("only questions for the name", func(t *testing.T) {
		p := newTape(t)
		p.dns("provisionserver.corp.example.", dns.RcodeNameError)
		got, _ := p.play(Wire{Side: diag.AtClient})
		if f := got["wire.client.dns"]; len(f) != 1 || f[0].Value.(map[string]any)["rcode"] != "NXDOMAIN" {
			t.Errorf("dns: %v", f)
		}
		if f := got["wire.client.syn"]; len(f) != 1 || f[0].Value != "none" {
			t.Errorf("syn: %v", f)
		}
	})
	t.Run("refused", func(t *testing.T) {
		p := newTape(t)
		p.tcp(atClient, atServer, capture.SYN, 100, 0, nil)
		p.tcp(atServer, atClient, capture.RST|capture.ACK, 0, 101, nil)
		got, _ := p.play(Wire{Side: diag.AtServer})
		if f := got["wire.server.rst"]; len(f) != 1 || f[0].Value.(map[string]any)["src"] != "10.1.0.10:9971" {
			t.Errorf("rst: %v", f)
		}
		if f := got["wire.server.synack"]; len(f) != 1 || f[0].Value != "none" {
			t.Errorf("synack: %v", f)
		}
	})
	t.Run("back refused", func(t *testing.T) {
		p := newTape(t)
		p.hello(atClient, pskHello(t))
		firmware, from := netip.AddrPortFrom(atClient.Addr(), 16993), netip.AddrPortFrom(atServer.Addr(), 49210)
		p.tcp(from, firmware, capture.SYN, 7, 0, nil)
		p.tcp(firmware, from, capture.RST|capture.ACK, 0, 8, nil)
		got, _ := p.play(Wire{Side: diag.AtServer})
		for k, v := range map[string]any{"wire.back": "refused", "wire.back_dst": "10.20.0.7:16993", "wire.server.back": map[string]any{"dst": "10.20.0.7:16993"}} {
			if f := got[k]; len(f) != 1 || !reflect.DeepEqual(f[0].Value, v) {
				t.Errorf("%s: %v", k, f)
			}
		}
	})
}

func TestWireOtherClients(t *testing.T) {
	foreign, err := hello.Encode(hello.ForPSK(otherUUID, "4KRG65QT"))
	if err != nil {
		t.Fatal(err)
	}
	both := func(t *testing.T) *tape {
		p := newTape(t)
		p.tcp(stranger, atServer, capture.SYN, 1, 0, nil)
		p.tcp(atServer, stranger, capture.RST|capture.ACK, 0, 2, nil)
		p.hello(netip.AddrPortFrom(stranger.Addr(), 16995), foreign)
		p.hello(atClient, pskHello(t))
		return p
	}
	t.Run("none known", func(t *testing.T) {
		got, r := both(t).play(Wire{Side: diag.AtServer})
		if len(got) != 0 || !strings.Contains(strings.Join(r.saw, "\n"), "2 clients speak here") {
			t.Errorf("facts about somebody: %v, saw %q", got, r.saw)
		}
	})
	for name, w := range map[string]Wire{"UUID known": {UUID: caseUUID}, "address known": {Clients: []netip.Addr{atClient.Addr()}}} {
		t.Run(name, func(t *testing.T) {
			w.Side = diag.AtServer
			got, _ := both(t).play(w)
			if f := got["wire.server.syn"]; len(f) != 1 || f[0].Value.(map[string]any)["src"] != atClient.String() {
				t.Errorf("syn: %v", f)
			}
			if f := got["wire.server.rst"]; len(f) != 1 || f[0].Value != "none" {
				t.Errorf("the stranger's RST is taken for ours: %v", f)
			}
		})
	}
}

// TestWireManyAttempts: a day of attempts does not fill the case, and the last one is there.
func TestWireManyAttempts(t *testing.T) {
	p := &tape{t: t, feed: capture.NewFeed(capture.LinkEthernet, 2000), at: moment}
	const n = maxFacts + 50
	for i := range n {
		from := netip.AddrPortFrom(atClient.Addr(), uint16(20000+i))
		p.tcp(from, atServer, capture.SYN, 100, 0, nil)
		p.tcp(atServer, from, capture.RST|capture.ACK, 0, 101, nil)
	}
	got, _ := p.play(Wire{Side: diag.AtServer})
	syns := got["wire.server.syn"]
	if len(syns) != maxFacts+1 || syns[maxFacts].Value.(map[string]any)["src"] != fmt.Sprintf("10.20.0.7:%d", 20000+n-1) {
		t.Errorf("%d facts, the last is %v", len(syns), syns[len(syns)-1])
	}
}

// TestWireLive: a live watch ends by itself, early once it saw what it came for.
func TestWireLive(t *testing.T) {
	feed := capture.NewFeed(capture.LinkEthernet, 10)
	w := Wire{Side: diag.AtClient, Name: "eth0", For: 150 * time.Millisecond, Open: func(func(string)) (capture.Source, error) { return feed, nil }}
	r, err := run(t, WireLive(w))
	if err != nil || !slices.ContainsFunc(r.facts, func(f diag.Fact) bool { return f.Key == "wire.client.syn" && f.Value == "none" }) {
		t.Errorf("facts %v, error %v", r.facts, err)
	}
	for _, f := range r.facts {
		if f.Key == "wire.client.watch" {
			if s := f.Value.(map[string]any)["seconds"].(float64); s < 0.1 || s > 3 {
				t.Errorf("watched for %v s", s)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	feed = capture.NewFeed(capture.LinkEthernet, 10)
	w.For = time.Minute
	rec := &record{}
	if err := WireLive(w).Run(ctx, rec); err == nil || len(rec.facts) > 0 {
		t.Errorf("a watch that was broken off: facts %v, error %v", rec.facts, err)
	}
	if WireLive(Wire{Side: diag.AtClient}).Needs == "" || WireFile(Wire{Side: diag.AtClient}).Needs == "" {
		t.Error("a probe without interface or file says that it can run")
	}
}

// TestWireRecorded reads what tcpdump recorded of real attempts (see the README beside the file).
func TestWireRecorded(t *testing.T) {
	const file = "../../capture/testdata/hellos.pcap"
	r, err := run(t, WireFile(Wire{Side: diag.AtServer, Name: file, Clients: []netip.Addr{netip.MustParseAddr("10.20.0.7")}}))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]any{}
	for _, f := range r.facts {
		got[f.Key] = append(got[f.Key], f.Value)
		if f.At.Before(moment.AddDate(-1, 0, 0)) || len(f.Evidence) == 0 {
			t.Errorf("%s has no time or evidence: %+v", f.Key, f)
		}
	}
	sound := map[string]int{}
	for _, v := range got["wire.server.hello"] {
		o := diag.ObjOf(diag.Fact{Value: v})
		n, _ := o.Num("version")
		p, _ := o.Texts("problems")
		sound[fmt.Sprintf("version %.0f, %d problems", n, len(p))]++
	}
	if want := map[string]int{"version 2, 0 problems": 3, "version 3, 0 problems": 3, "version 0, 1 problems": 2}; !reflect.DeepEqual(sound, want) {
		t.Errorf("hellos %v, want %v", sound, want)
	}
	if v := got["wire.server.icmp"]; len(v) != 1 || fmt.Sprint(v[0]) != "map[code:13 src:10.20.0.10 type:3]" {
		t.Errorf("icmp %v", v)
	}
	if v := got["wire.back"]; len(v) != 1 || v[0] != "refused" {
		t.Errorf("back %v", v)
	}
	if v := got["wire.server.rst"]; len(v) != 1 {
		t.Errorf("rst %v", v)
	}
	if v := got["wire.server.watch"]; len(v) != 1 || v[0].(map[string]any)["seconds"].(float64) < 5 {
		t.Errorf("watch %v", v)
	}
}

// TestWireLiveLoopback listens on a real interface. It needs the right to capture.
func TestWireLiveLoopback(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddrPort(gone.Addr().String())
	_ = gone.Close()
	w := Wire{Side: diag.AtClient, Name: "lo", Clients: []netip.Addr{to.Addr()}, Ports: []uint16{to.Port()}, For: 2 * time.Second, After: "start-call"}
	if src, err := capture.OpenLive("lo", capture.LiveOptions{Ports: w.Ports}); errors.Is(err, capture.ErrPermission) || errors.Is(err, capture.ErrNotSupported) || errors.Is(err, capture.ErrNoInterface) {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	} else if c, ok := any(src).(io.Closer); ok {
		_ = c.Close()
	}
	time.AfterFunc(700*time.Millisecond, func() {
		if c, err := net.Dial("tcp", to.String()); err == nil {
			_ = c.Close()
		}
	})
	kept := filepath.Join(t.TempDir(), "client.pcapng")
	w.Record = func() (io.WriteCloser, string, error) {
		f, err := os.Create(kept)
		return f, "wire/client.pcapng", err
	}
	r, err := run(t, WireLive(w))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, f := range r.facts {
		kinds[f.Key] = f.Value != diag.None
		if f.Key == "wire.client.syn" && (len(f.Evidence) == 0 || !strings.HasPrefix(f.Evidence[0], "wire/client.pcapng#")) {
			t.Errorf("the SYN refers to %v, not to the packets that were kept", f.Evidence)
		}
	}
	src, err := capture.OpenFile(kept, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	syns := 0
	if err := capture.Scan(t.Context(), src, capture.Options{Ports: w.Ports}, func(e capture.Event) {
		if e.Kind == capture.KindSYN {
			syns++
		}
	}); err != nil || syns != 1 {
		t.Errorf("%d SYNs are kept: %v", syns, err)
	}
	for _, k := range []string{"wire.client.syn", "wire.client.rst", "wire.client.watch"} {
		if !kinds[k] {
			t.Errorf("no %s among %v, saw %q", k, r.facts, r.saw)
		}
	}
}

// arp records that a station claims an address.
func (p *tape) arp(mac byte, addr netip.Addr) {
	a := addr.As4()
	b := append([]byte{255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, mac, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, mac}, a[:]...)
	p.push(append(b, make([]byte, 28)...), nil)
}

// lease records a DHCP message of type 3 (request) or 5 (ack).
func (p *tape) lease(kind byte, addr netip.Addr, vendor string) {
	p.t.Helper()
	b := make([]byte, 240)
	b[0], b[1], b[2] = 1, 1, 6
	copy(b[28:], []byte{2, 0, 10, 20, 0, 7})
	copy(b[236:], []byte{0x63, 0x82, 0x53, 0x63})
	b = append(b, 53, 1, kind)
	from, to := netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("255.255.255.255:67")
	if kind == 5 {
		a := addr.As4()
		copy(b[16:], a[:])
		from, to = netip.MustParseAddrPort("10.20.0.1:67"), netip.MustParseAddrPort("255.255.255.255:68")
	}
	if vendor != "" {
		b = append(append(b, 60, byte(len(vendor))), vendor...)
	}
	p.push(capture.FrameUDP(from, to, append(b, 255)))
}

// TestWireNotes makes facts of what packets tell beside events, and words of what has no fact.
func TestWireNotes(t *testing.T) {
	pong, err := hex.DecodeString("0600ff06000011be4007001000000157426130018120000000000000") // of MeshCentral 1.1.55: AMT 3.0, IN
	if err != nil {
		t.Fatal(err)
	}
	mps := netip.MustParseAddrPort("10.1.0.10:4433")
	fill := func(p *tape) {
		p.lease(3, atClient.Addr(), "MSFT 5.0")
		p.lease(5, atClient.Addr(), "")
		p.push(capture.FrameUDP(netip.AddrPortFrom(atClient.Addr(), 623), netip.AddrPortFrom(atServer.Addr(), 40000), pong))
		p.push(capture.FrameUDP(netip.AddrPortFrom(stranger.Addr(), 623), netip.AddrPortFrom(atServer.Addr(), 40000), append(append([]byte{}, pong[:19]...), append([]byte{2}, pong[20:]...)...)))
		p.arp(1, atClient.Addr())
		p.arp(2, atClient.Addr())
		fw := netip.AddrPortFrom(atClient.Addr(), 41000)
		p.tcp(fw, mps, capture.SYN, 5, 0, nil)
		p.tcp(mps, fw, capture.SYN|capture.ACK, 9, 6, nil)
		p.tcp(fw, mps, capture.ACK, 6, 10, append([]byte{22, 3, 1, 0, 50}, make([]byte, 50)...))
		p.tcp(mps, fw, capture.ACK, 10, 61, []byte{21, 3, 1, 0, 2, 2, 70})
	}
	for name, w := range map[string]Wire{"address known": {Clients: []netip.Addr{atClient.Addr()}}, "UUID known": {UUID: caseUUID}} {
		t.Run(name, func(t *testing.T) {
			p := newTape(t)
			fill(p)
			p.hello(atClient, pskHello(t))
			w.Side = diag.AtClient
			got, r := p.play(w)
			for k, v := range map[string]any{"client.prov_state": "in", "wire.mps": "tls-version",
				"wire.client.dhcp": map[string]any{"addr": "10.20.0.7", "by": "os", "suffix": "", "dns": []any{}}} {
				if f := got[k]; len(f) != 1 || !reflect.DeepEqual(f[0].Value, v) || len(f[0].Evidence) != 1 {
					t.Errorf("%s: %+v", k, f)
				}
			}
			saw := strings.Join(r.saw, "\n")
			for _, want := range []string{"10.20.0.7 is claimed by two stations", "state in, AMT 3.0", "tunnel of 10.20.0.7 to 10.1.0.10:4433: tls-alert 70 protocol_version by the server"} {
				if !strings.Contains(saw, want) {
					t.Errorf("%q is not told:\n%s", want, saw)
				}
			}
			if strings.Contains(saw, stranger.Addr().String()) {
				t.Errorf("the firmware of another client is told:\n%s", saw)
			}
		})
	}
}
