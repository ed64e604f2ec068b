package capture

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

var (
	clientV4 = netip.MustParseAddrPort("10.20.0.7:16994")
	serverV4 = netip.MustParseAddrPort("10.1.0.10:9971")
	clientV6 = netip.MustParseAddrPort("[2001:db8::7]:16994")
	serverV6 = netip.MustParseAddrPort("[2001:db8::10]:9971")
)

// psk is a sound 32-byte hello; n is its retry count.
func psk(t testing.TB, n uint32) []byte {
	t.Helper()
	u, err := amt.ParseUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	if err != nil {
		t.Fatal(err)
	}
	m := hello.ForPSK(u, "4JA2DDBV")
	m.RetryCount = n
	b, err := hello.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pki is a sound hello with n hashes of SHA-1.
func pki(t testing.TB, n int) []byte {
	t.Helper()
	u, _ := amt.ParseUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	var hs []hello.Hash
	for i := range n {
		d := make([]byte, 20)
		d[0], d[19] = byte(i), 0xAB
		hs = append(hs, hello.Hash{Algorithm: hello.SHA1, Digest: d})
	}
	b, err := hello.Encode(hello.ForPKI(u, hs...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// script builds the packets of a scenario.
type script struct {
	t              testing.TB
	client, server netip.AddrPort
	isn, sisn      uint32
	now            time.Time
	packets        []*Packet
	change         func([]byte) [][]byte // applied to every frame
}

func newScript(t testing.TB) *script {
	return &script{t: t, client: clientV4, server: serverV4, isn: 1000, sisn: 70000, now: time.Unix(1700000000, 0)}
}

func (s *script) wait(d time.Duration) *script { s.now = s.now.Add(d); return s }

// frame adds a frame as it is.
func (s *script) frame(b []byte) *script {
	s.wait(10 * time.Millisecond)
	s.packets = append(s.packets, &Packet{Data: slices.Clip(b), OrigLen: len(b), Time: s.now, Link: LinkEthernet, Number: len(s.packets) + 1})
	return s
}

func (s *script) tcp(src, dst netip.AddrPort, f Flags, seq, ack uint32, b []byte) *script {
	fr, err := Frame(src, dst, f, seq, ack, b)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.change == nil {
		return s.frame(fr)
	}
	if fr[12] == 0x08 { // without the padding to 60 bytes
		fr = fr[:14+int(binary.BigEndian.Uint16(fr[16:]))]
	}
	for _, c := range s.change(fr) {
		s.frame(c)
	}
	return s
}

// c is a segment of the client at an offset of its bytes; s one of the server.
func (s *script) c(f Flags, off int, b []byte) *script {
	return s.tcp(s.client, s.server, f|ACK, s.isn+1+uint32(off), s.sisn+1, b)
}

func (s *script) s(f Flags, acked int) *script {
	return s.tcp(s.server, s.client, f|ACK, s.sisn+1, s.isn+1+uint32(acked), nil)
}

func (s *script) syn() *script { return s.tcp(s.client, s.server, SYN, s.isn, 0, nil) }

func (s *script) synack() *script {
	return s.tcp(s.server, s.client, SYN|ACK, s.sisn, s.isn+1, nil)
}

// up is SYN, SYN/ACK, ACK.
func (s *script) up() *script { return s.syn().synack().c(0, 0, nil) }

// rst0 is the reset of a closed port.
func (s *script) rst0() *script { return s.tcp(s.server, s.client, RST|ACK, 0, s.isn+1, nil) }

// again begins another attempt with another ISN.
func (s *script) again(isn uint32) *script { s.isn = isn; return s }

// doubled repeats every frame so far at once, as a mirror port does for both directions.
func (s *script) doubled() *script {
	var all []*Packet
	for _, p := range s.packets {
		q := *p
		q.Time = p.Time.Add(40 * time.Microsecond)
		all = append(all, p, &q)
	}
	for i, p := range all {
		p.Number = i + 1
	}
	s.packets = all
	return s
}

// list is a source of packets in memory.
type list []*Packet

func (l list) Run(_ context.Context, fn func(*Packet) error) error {
	for _, p := range l {
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

func (l list) Stats() Stats { return Stats{Received: uint64(len(l))} }

// run gives the events in short: kind, packet, and what matters of it.
func run(t testing.TB, ps []*Packet) string {
	t.Helper()
	var out []string
	if err := Scan(context.Background(), list(ps), Options{}, func(e Event) { out = append(out, short(e)) }); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "; ")
}

func short(e Event) string {
	s := fmt.Sprintf("%s@%d", e.Kind, e.Packet)
	switch e.Kind {
	case KindHello:
		s += " " + string(e.Hello.Type)
		if e.Hello.RetryCount > 0 {
			s += fmt.Sprintf(" r%d", e.Hello.RetryCount)
		}
		if p := amt.Codes(e.Hello.Problems); len(p) > 0 {
			s += " " + strings.Join(p, ",")
		}
	case KindPartial:
		s += fmt.Sprintf(" %d", e.Bytes)
	case KindClosed:
		s += " " + e.By + " " + e.How
	case KindUnreachable:
		s += fmt.Sprintf(" %s %d/%d", e.By, e.ICMP.Type, e.ICMP.Code)
	case KindBack:
		s += " " + e.Outcome
	case KindDNS:
		s += fmt.Sprintf(" %s %s %v", e.DNS.QName, e.DNS.RCode, e.DNS.Addr)
	}
	if len(e.Way) > 0 {
		s += " [" + strings.Join(e.Way, ",") + "]"
	}
	if len(e.VLAN) > 0 {
		s += fmt.Sprintf(" vlan%v", e.VLAN)
	}
	return s
}

func TestScenarios(t *testing.T) {
	h, h1 := psk(t, 0), psk(t, 1)
	p33 := pki(t, 33) // 751 bytes
	http := []byte("GET / HTTP/1.1\r\nHost: provisionserver\r\n\r\n")
	tls10 := append([]byte{0x16, 3, 1, 0, 60, 1, 0, 0, 56, 3, 3}, make([]byte, 54)...)
	tls12 := append([]byte{0x16, 3, 3, 0, 60, 1, 0, 0, 56, 3, 3}, make([]byte, 54)...)
	tests := []struct {
		name string
		make func(*script)
		want string
	}{
		{"one segment", func(s *script) { s.up().c(PSH, 0, h).c(FIN, 32, nil) },
			"syn@1; synack@2; hello@4 psk; closed@5 client fin"},
		{"data and FIN in one segment", func(s *script) { s.up().c(PSH|FIN, 0, h) },
			"syn@1; synack@2; hello@4 psk; closed@4 client fin"},
		{"three segments", func(s *script) {
			s.up().c(0, 0, p33[:300]).c(0, 300, p33[300:600]).c(0, 600, p33[600:]).c(FIN, 751, nil)
		},
			"syn@1; synack@2; hello@6 pki; closed@7 client fin"},
		{"one byte at a time", func(s *script) {
			s.up()
			for i := range h {
				s.c(0, i, h[i:i+1])
			}
		}, "syn@1; synack@2; hello@35 psk"},
		{"out of order", func(s *script) { s.up().c(0, 600, p33[600:]).c(0, 0, p33[:300]).c(0, 300, p33[300:600]) },
			"syn@1; synack@2; hello@6 pki"},
		{"retransmitted before and after", func(s *script) {
			s.up().c(0, 0, h[:16]).c(0, 0, h[:16]).c(0, 16, h[16:]).c(0, 0, h).c(FIN, 32, nil).c(FIN, 16, h[16:]).c(FIN, 0, h)
		}, "syn@1; synack@2; hello@6 psk; closed@8 client fin"},
		{"overlap", func(s *script) { s.up().c(0, 0, p33[:400]).c(0, 500, p33[500:]).c(0, 350, p33[350:600]) },
			"syn@1; synack@2; hello@6 pki"},
		{"conflicting retransmission, first copy wins", func(s *script) { s.up().c(0, 0, h[:16]).c(0, 8, append([]byte{9, 9}, h[10:]...)) },
			"syn@1; synack@2; hello@5 psk [conflicting-retransmission]"},
		{"sequence wraps", func(s *script) { s.again(0xFFFFFFF0).up().c(0, 16, h[16:]).c(0, 0, h[:16]).c(FIN, 32, nil) },
			"syn@1; synack@2; hello@5 psk; closed@6 client fin"},
		{"200 s between the halves", func(s *script) { s.up().c(0, 0, h[:16]).wait(200*time.Second).c(0, 16, h[16:]) },
			"syn@1; synack@2; hello@5 psk"},
		{"unfinished, 200 s later other bytes near", func(s *script) { s.up().c(0, 0, h[:16]).wait(200*time.Second).again(1010).c(0, 0, h1) },
			"syn@1; synack@2; hello@5 psk r1 [syn-not-captured]; partial@4 16"},
		{"SYN three times", func(s *script) { s.syn().wait(time.Second).syn().wait(2 * time.Second).syn() },
			"syn@1; syn_retransmit@2; syn_retransmit@3"},
		{"SYN 32 s apart, then answered", func(s *script) { s.syn().wait(32*time.Second).syn().synack().c(0, 0, h) },
			"syn@1; syn_retransmit@2; synack@3; hello@4 psk"},
		{"data before SYN", func(s *script) { s.c(0, 0, h).syn().synack() },
			"hello@1 psk [syn-not-captured]; syn@2; synack@3"},
		{"halves before SYN, second half first", func(s *script) { s.c(0, 16, h[16:]).syn().c(0, 0, h[:16]) },
			"syn@2; hello@3 psk"},
		{"no SYN", func(s *script) { s.c(0, 0, p33[:500]).c(0, 500, p33[500:]).c(FIN, 751, nil) },
			"hello@2 pki [syn-not-captured]; closed@3 client fin"},
		{"no SYN, out of order", func(s *script) { s.c(0, 500, p33[500:]).c(0, 0, p33[:500]) },
			"hello@2 pki [syn-not-captured]"},
		{"only the SYN/ACK of the handshake", func(s *script) { s.synack().c(0, 16, h[16:]).c(0, 0, h[:16]) },
			"synack@1; hello@3 psk [syn-not-captured]"},
		{"no SYN, begins in the middle", func(s *script) { s.c(0, 300, p33[300:]).c(FIN, 751, nil) },
			"closed@2 client fin; partial@1 451 [syn-not-captured]"},
		{"refused, later a hello", func(s *script) {
			s.syn().rst0().wait(10*time.Second).again(90000).up().c(FIN, 0, h)
		}, "syn@1; refused@2; syn@3; synack@4; hello@6 psk; closed@6 client fin"},
		{"refused and tried with the same number", func(s *script) {
			s.syn().rst0().wait(time.Second).syn().rst0().wait(time.Second).up().c(0, 0, h)
		}, "syn@1; refused@2; syn_retransmit@3; refused@4; syn_retransmit@5; synack@6; hello@8 psk"},
		{"no answer, next number higher", func(s *script) { s.syn().wait(20*time.Second).again(90000).up().c(0, 0, h) },
			"syn@1; syn@2; synack@3; hello@5 psk"},
		{"no answer, next number lower", func(s *script) { s.again(90000).syn().wait(20*time.Second).again(1000).up().c(0, 0, h) },
			"syn@1; syn@2; synack@3; hello@5 psk"},
		{"first not closed, second higher", func(s *script) { s.up().c(0, 0, h).again(90000).up().c(0, 0, h1) },
			"syn@1; synack@2; hello@4 psk; syn@5; synack@6; hello@8 psk r1"},
		{"first not closed, second lower", func(s *script) { s.again(90000).up().c(0, 0, h).again(1000).up().c(0, 0, h1) },
			"syn@1; synack@2; hello@4 psk; syn@5; synack@6; hello@8 psk r1"},
		{"first closed by client only, second lower", func(s *script) { s.again(90000).up().c(FIN, 0, h).again(1000).up().c(FIN, 0, h1) },
			"syn@1; synack@2; hello@4 psk; closed@4 client fin; syn@5; synack@6; hello@8 psk r1; closed@8 client fin"},
		{"second number within a hello of the first", func(s *script) { s.up().c(0, 0, h).again(1010).up().c(0, 0, h1) },
			"syn@1; synack@2; hello@4 psk; syn@5; synack@6; hello@8 psk r1"},
		{"first unfinished, second near above", func(s *script) { s.up().c(0, 0, h[:20]).again(6000).up().c(0, 0, h1).wait(time.Minute).c(0, 0, nil) },
			"syn@1; synack@2; syn@5; synack@6; hello@8 psk r1; partial@4 20"},
		{"late copies of the first attempt during the second", func(s *script) {
			s.up().c(FIN, 0, h).again(50000).syn()
			s.again(1000).syn().c(FIN, 0, h)
			s.again(50000).synack().c(FIN, 0, h1)
		}, "syn@1; synack@2; hello@4 psk; closed@4 client fin; syn@5; syn_retransmit@6; synack@8; hello@9 psk r1; closed@9 client fin"},
		{"mirror port doubles every frame", func(s *script) { s.up().c(0, 0, h[:20]).c(FIN, 20, h[20:]).s(FIN, 33).doubled() },
			"syn@1; synack@3; hello@9 psk; closed@9 client fin"},
		{"connected without data", func(s *script) { s.up().c(FIN, 0, nil).s(FIN, 1) },
			"syn@1; synack@2; closed@4 client fin"},
		{"client never sent the rest", func(s *script) { s.up().c(0, 0, h[:30]).c(FIN, 30, nil) },
			"syn@1; synack@2; partial@4 30; closed@5 client fin"},
		{"first segment lost by the capture", func(s *script) { s.up().c(0, 300, p33[300:]).c(FIN, 751, nil) },
			"syn@1; synack@2; closed@5 client fin; partial@4 0 [gap]"},
		{"all data lost by the capture", func(s *script) { s.up().s(0, 32).c(FIN, 32, nil).s(FIN, 33) },
			"syn@1; synack@2; closed@5 client fin; partial@6 0 [gap]"},
		{"FIN before the data", func(s *script) { s.up().c(FIN, 32, nil).c(0, 0, h) },
			"syn@1; synack@2; closed@4 client fin; hello@5 psk"},
		{"server resets before the rest is captured", func(s *script) { s.up().c(0, 0, h[:16]).s(RST, 16).c(0, 16, h[16:]) },
			"syn@1; synack@2; closed@5 server rst; hello@6 psk"},
		{"server resets, nothing more", func(s *script) { s.up().c(0, 0, h[:16]).s(RST, 16).wait(10*time.Second).s(0, 16) },
			"syn@1; synack@2; closed@5 server rst; partial@4 16"},
		{"45 s between the halves", func(s *script) { s.up().c(0, 0, h[:16]).wait(45*time.Second).c(0, 16, h[16:]) },
			"syn@1; synack@2; hello@5 psk"},
		{"keep-alives", func(s *script) { s.up().c(0, -1, []byte{0}).c(0, 0, h).c(0, 31, []byte{0}).c(0, 31, nil) },
			"syn@1; synack@2; hello@5 psk"},
		{"data in the SYN", func(s *script) { s.tcp(s.client, s.server, SYN, 1000, 0, h) },
			"syn@1; hello@1 psk"},
		{"trailing bytes", func(s *script) { s.up().c(FIN, 0, append(slices.Clone(h), 1, 2, 3)) },
			"syn@1; synack@2; hello@4 psk trailing-bytes; closed@4 client fin"},
		{"HTTP", func(s *script) { s.up().c(0, 0, http[:7]).c(0, 7, http[7:]).c(FIN, len(http), nil) },
			"syn@1; synack@2; hello@4 unknown foreign; closed@6 client fin"},
		{"HTTP without SYN", func(s *script) { s.c(0, 0, http).c(FIN, len(http), nil) },
			"closed@2 client fin; hello@1 unknown foreign [syn-not-captured]"},
		{"TLS", func(s *script) { s.up().c(0, 0, tls10) }, "syn@1; synack@2; hello@4 unknown foreign"},
		{"TLS that looks like version 3", func(s *script) { s.up().c(0, 0, tls12[:5]).c(0, 5, tls12[5:]) },
			"syn@1; synack@2; hello@5 unknown foreign"},
		{"three foreign bytes", func(s *script) { s.up().c(0, 0, []byte("hi\n")).c(FIN, 3, nil) },
			"syn@1; synack@2; hello@4 unknown truncated; closed@5 client fin"},
		{"unknown version", func(s *script) {
			b := slices.Clone(h)
			b[2] = 4
			s.up().c(0, 0, b).c(FIN, 32, nil)
		}, "syn@1; synack@2; hello@4 unknown unknown-version; closed@5 client fin"},
		{"same sequence numbers after a minute, no SYN", func(s *script) { s.c(FIN, 0, h).wait(time.Minute).c(FIN, 0, h1) },
			"hello@1 psk [syn-not-captured]; closed@1 client fin; hello@2 psk r1 [syn-not-captured]; closed@2 client fin"},
		{"same ISN after a minute", func(s *script) { s.up().c(0, 0, h).wait(time.Minute).up().c(0, 0, h1) },
			"syn@1; synack@2; hello@4 psk; syn@5; synack@6; hello@8 psk r1"},
		{"second without SYN, in halves, 20000 above", func(s *script) {
			s.up().c(0, 0, h).again(21000).c(0, 16, h1[16:]).c(0, 0, h1[:16])
		}, "syn@1; synack@2; hello@4 psk; hello@6 psk r1 [syn-not-captured]"},
		{"second without SYN, a little above", func(s *script) { s.up().c(0, 0, h).again(3000).c(0, 0, h1) },
			"syn@1; synack@2; hello@4 psk; hello@5 psk r1 [syn-not-captured]"},
		{"second without SYN behind the FIN", func(s *script) { s.up().c(FIN, 0, h).again(1040).c(0, 0, h1) },
			"syn@1; synack@2; hello@4 psk; closed@4 client fin; hello@5 psk r1 [syn-not-captured]"},
		{"second without SYN behind the FIN, in halves", func(s *script) {
			s.up().c(FIN, 0, h).again(1040).c(0, 0, h1[:16]).c(0, 16, h1[16:])
		}, "syn@1; synack@2; hello@4 psk; closed@4 client fin; hello@6 psk r1 [syn-not-captured]"},
		{"reset after data, SYN/ACK not captured", func(s *script) { s.syn().c(0, 0, h[:9]).s(RST, 9).c(0, 9, h[9:]).s(RST, 32) },
			"syn@1; closed@3 server rst; hello@4 psk"},
		{"packet cut by the capture", func(s *script) {
			s.up().c(FIN, 0, h)
			p := s.packets[3]
			p.Data = p.Data[:14+20+20+20]
		}, "syn@1; synack@2; closed@4 client fin; partial@4 20 [packet-cut-by-capture,gap]"},
		{"more bytes behind the hello", func(s *script) {
			s.up().c(0, 0, h).c(0, 32, h1).c(0, 64, make([]byte, 30000)).c(0, 30064, h1).c(FIN, 30096, nil)
		}, "syn@1; synack@2; hello@4 psk; closed@8 client fin"},
		{"other side opened the connection", func(s *script) {
			s.tcp(s.server, s.client, SYN, 5, 0, nil).tcp(s.client, s.server, SYN|ACK, 8, 6, nil).tcp(s.client, s.server, ACK, 9, 6, h)
		}, ""},
		{"hello bytes from the server", func(s *script) { s.up().tcp(s.server, s.client, ACK, 70001, 1001, h) },
			"syn@1; synack@2"},
		{"other port", func(s *script) { s.server = netip.MustParseAddrPort("10.1.0.10:9970"); s.up().c(FIN, 0, h) }, ""},
		{"UDP", func(s *script) {
			b, err := FrameUDP(s.client, s.server, h)
			if err != nil {
				s.t.Fatal(err)
			}
			s.frame(b)
		}, ""},
		{"IPv6", func(s *script) { s.client, s.server = clientV6, serverV6; s.up().c(FIN, 0, h) },
			"syn@1; synack@2; hello@4 psk; closed@4 client fin"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			tt.make(s)
			if got := run(t, s.packets); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestBelowTCP sends the same attempt through everything that may stand between Ethernet and TCP.
func TestBelowTCP(t *testing.T) {
	p33 := pki(t, 33)
	tests := []struct {
		name   string
		v6     bool
		change func([]byte) [][]byte
		vlan   string
		each   int // frames for a frame of the data, 1 unless fragmented
	}{
		{"plain", false, one(func(b []byte) []byte { return b }), "", 1},
		{"padding", false, one(func(b []byte) []byte { return append(b, make([]byte, 12)...) }), "", 1},
		{"VLAN", false, one(tagged(0x8100, 100)), " vlan[100]", 1},
		{"VLAN with priority 7", false, one(tagged(0x8100, 0xE064)), " vlan[100]", 1},
		{"two tags", false, one(func(b []byte) []byte { return tagged(0x88A8, 200)(tagged(0x8100, 100)(b)) }), " vlan[200 100]", 1},
		{"IPv4 options", false, one(func(b []byte) []byte { return withIPOptions(b, []byte{1, 7, 7, 4, 0, 0, 0, 0}) }), "", 1},
		{"IPv4 option of length 2", false, one(func(b []byte) []byte { return withIPOptions(b, []byte{0x99, 2, 0, 0}) }), "", 1},
		{"total length 0", false, one(func(b []byte) []byte { b[16], b[17] = 0, 0; return b }), "", 1},
		{"IPv6 in VLAN", true, one(tagged(0x8100, 7)), " vlan[7]", 1},
		{"IPv6 hop-by-hop and destination options", true, one(func(b []byte) []byte {
			return withExt(withExt(b, extDest, []byte{1, 4, 0, 0, 0, 0}), extHopByHop, []byte{5, 2, 0, 0, 1, 0})
		}), "", 1},
		{"IPv6 routing header", true, one(func(b []byte) []byte { return withExt(b, extRouting, []byte{0, 0, 0, 0, 0, 0}) }), "", 1},
		{"IPv6 atomic fragment", true, one(func(b []byte) []byte { return withExt(b, extFragment, []byte{0, 0, 1, 2, 3, 4}) }), "", 1},
		{"fragments doubled", false, func(b []byte) (out [][]byte) {
			all := fragments(128, false)(b)
			for _, f := range all {
				binary.BigEndian.PutUint16(f[18:], 1) // one identification for everything
				if out = append(out, f); len(all) > 1 {
					out = append(out, f)
				}
			}
			return out
		}, "", 5},
		{"fragments", false, fragments(128, false), "", 5},
		{"fragments backwards", false, fragments(128, true), "", 5},
		{"IPv6 fragments", true, fragments6(256, false), "", 3},
		{"IPv6 fragments backwards", true, fragments6(256, true), "", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			if tt.v6 {
				s.client, s.server = clientV6, serverV6
			}
			s.change = tt.change
			s.up()
			n := len(s.packets)
			s.c(0, 0, p33[:500]).c(0, 500, p33[500:])
			last := len(s.packets)
			fin := last + 1
			s.c(FIN, len(p33), nil)
			if tt.each > 1 && last-n < tt.each {
				t.Fatalf("%d frames for the data", last-n)
			}
			if strings.Contains(tt.name, "doubled") {
				last-- // the copy of the last fragment brings nothing
			}
			want := fmt.Sprintf("syn@1%s; synack@2%s; hello@%d pki%s; closed@%d client fin%s", tt.vlan, tt.vlan, last, tt.vlan, fin, tt.vlan)
			if got := run(t, s.packets); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			for _, p := range s.packets {
				if !NewMatcher(9971).Match(p.Link, p.Data) {
					t.Errorf("the matcher refuses packet %d", p.Number)
				}
			}
		})
	}
}

func one(f func([]byte) []byte) func([]byte) [][]byte {
	return func(b []byte) [][]byte { return [][]byte{f(b)} }
}

func tagged(tpid, tci uint16) func([]byte) []byte {
	return func(b []byte) []byte {
		out := append([]byte{}, b[:12]...)
		out = binary.BigEndian.AppendUint16(out, tpid)
		out = binary.BigEndian.AppendUint16(out, tci)
		return append(out, b[12:]...)
	}
}

func withIPOptions(b, opt []byte) []byte {
	out := append([]byte{}, b[:34]...)
	out = append(append(out, opt...), b[34:]...)
	out[14] += byte(len(opt) / 4)
	binary.BigEndian.PutUint16(out[16:], uint16(len(out)-14))
	return out
}

// withExt puts an IPv6 extension header of 8 bytes (its last 6 given) right behind the IPv6 header.
func withExt(b []byte, kind byte, six []byte) []byte {
	out := append([]byte{}, b[:54]...)
	out = append(out, b[20], 0)
	out = append(append(out, six...), b[54:]...)
	out[20] = kind
	binary.BigEndian.PutUint16(out[18:], uint16(len(out)-54))
	return out
}

func fragments(size int, backwards bool) func([]byte) [][]byte {
	id := uint16(1)
	return func(b []byte) [][]byte {
		var out [][]byte
		id++
		for off, p := 0, b[34:]; off < len(p); off += size {
			n := min(size, len(p)-off)
			f := append(append([]byte{}, b[:34]...), p[off:off+n]...)
			binary.BigEndian.PutUint16(f[16:], uint16(20+n))
			binary.BigEndian.PutUint16(f[18:], id)
			word := uint16(off / 8)
			if off+n < len(p) {
				word |= 0x2000
			}
			binary.BigEndian.PutUint16(f[20:], word)
			out = append(out, f)
		}
		if backwards {
			slices.Reverse(out)
		}
		return out
	}
}

func fragments6(size int, backwards bool) func([]byte) [][]byte {
	id := uint32(1)
	return func(b []byte) [][]byte {
		var out [][]byte
		id++
		for off, p := 0, b[54:]; off < len(p); off += size {
			n := min(size, len(p)-off)
			word := uint16(off)
			if off+n < len(p) {
				word |= 1
			}
			f := append(append([]byte{}, b[:54]...), b[20], 0, byte(word>>8), byte(word))
			f = binary.BigEndian.AppendUint32(f, id)
			f = append(f, p[off:off+n]...)
			f[20] = extFragment
			binary.BigEndian.PutUint16(f[18:], uint16(8+n))
			out = append(out, f)
		}
		if backwards {
			slices.Reverse(out)
		}
		return out
	}
}

// TestFragmentCopies checks that a datagram comes once, whatever is repeated.
func TestFragmentCopies(t *testing.T) {
	d, key := newDefrag(), fragKey{src: clientV4.Addr(), dst: serverV4.Addr(), id: 1, proto: protoTCP}
	first, second := []byte("12345678"), []byte("abc")
	at := time.Unix(1, 0)
	for i, step := range []struct {
		off  int
		more bool
		b    []byte
		want string
	}{
		{8, false, second, ""}, {8, false, second, ""}, {0, true, first, "12345678abc"}, {0, true, first, ""}, {8, false, second, ""},
		{0, true, []byte("87654321"), ""}, {8, false, second, "87654321abc"}, // the same identification again
		{0, true, []byte("odd"), ""}, {65528, false, first, ""}, {65536, false, first, ""},
	} {
		if got := string(d.add(key, at, step.off, step.more, step.b)); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
	for i := range 2 * maxDatagrams {
		d.add(fragKey{id: uint32(i)}, at, 0, true, first)
	}
	if len(d.open) > maxDatagrams || len(d.age) != len(d.open) {
		t.Errorf("%d datagrams are kept", len(d.open))
	}
}
