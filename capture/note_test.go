package capture

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// arpFrame is an ARP packet of Ethernet: op 1 asks, 2 answers.
func arpFrame(t testing.TB, op byte, mac, sender, target string) []byte {
	t.Helper()
	m := unhex(t, mac)
	b := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, m...)
	b = append(b, 8, 6, 0, 1, 8, 0, 6, 4, 0, op)
	s, d := netip.MustParseAddr(sender).As4(), netip.MustParseAddr(target).As4()
	b = append(append(b, m...), s[:]...)
	b = append(append(b, 0, 0, 0, 0, 0, 0), d[:]...)
	return append(b, make([]byte, 18)...) // padding
}

// lldpFrame is an announcement of a switch as IEEE 802.1AB lays it out: chassis by MAC address, port by
// name, time to live, name of the system.
func lldpFrame(t testing.TB) []byte {
	t.Helper()
	return unhex(t, "0180c200000e 00aabbccddee 88cc"+"0207 04 00aabbccddee"+"0408 05 "+hex.EncodeToString([]byte("Gi1/0/7"))+"0602 0078"+
		"0a06 "+hex.EncodeToString([]byte("acc-sw"))+"0000")
}

// scanNotes gives events and notes of packets.
func scanNotes(t testing.TB, ps []*Packet) (es []Event, ns []string) {
	t.Helper()
	if err := Scan(t.Context(), list(ps), Options{Note: func(n Note) {
		ns = append(ns, fmt.Sprintf("%d %s", n.Packet, n.Words()))
	}}, func(e Event) { es = append(es, e) }); err != nil {
		t.Fatal(err)
	}
	return es, ns
}

func TestNotes(t *testing.T) {
	fw, asker := mustPort("10.20.0.7:623"), mustPort("10.1.0.10:40000")
	pong := func(text string) func(s *script) {
		return func(s *script) {
			b, err := FrameUDP(fw, asker, unhex(t, text))
			if err != nil {
				t.Fatal(err)
			}
			s.frame(b)
		}
	}
	arp := func(op byte, mac, sender string, wait time.Duration) func(s *script) {
		return func(s *script) { s.wait(wait).frame(arpFrame(t, op, mac, sender, "10.20.0.1")) }
	}
	const a, b = "02000a140007", "0200deadbeef"
	for name, tt := range map[string]struct {
		steps []func(s *script)
		want  string
	}{
		"two stations":      {[]func(*script){arp(1, a, "10.20.0.7", 0), arp(2, b, "10.20.0.7", 0)}, "2 10.20.0.7 is claimed by two stations: 02:00:0a:14:00:07 and 02:00:de:ad:be:ef"},
		"told once":         {[]func(*script){arp(1, a, "10.20.0.7", 0), arp(2, b, "10.20.0.7", 0), arp(1, a, "10.20.0.7", 0), arp(2, b, "10.20.0.7", 0)}, "2 10.20.0.7 is claimed by two stations: 02:00:0a:14:00:07 and 02:00:de:ad:be:ef|3 10.20.0.7 is claimed by two stations: 02:00:de:ad:be:ef and 02:00:0a:14:00:07"},
		"a new owner later": {[]func(*script){arp(1, a, "10.20.0.7", 0), arp(2, b, "10.20.0.7", time.Hour)}, ""},
		"a probe":           {[]func(*script){arp(1, a, "10.20.0.7", 0), arp(1, b, "0.0.0.0", 0)}, ""},
		"two addresses":     {[]func(*script){arp(1, a, "10.20.0.7", 0), arp(2, a, "10.20.0.8", 0)}, ""},
		// the pongs of MeshCentral 1.1.55
		"pong 2.6 pre":      {[]func(*script){pong("0600ff06000011be4007001000000157426026008120000000000000")}, "1 firmware of 10.20.0.7 answers the presence ping: state pre, AMT 2.6"},
		"pong 3.0 in":       {[]func(*script){pong("0600ff06000011be4007001000000157426130018120000000000000")}, "1 firmware of 10.20.0.7 answers the presence ping: state in, AMT 3.0"},
		"pong 5.2 post":     {[]func(*script){pong("0600ff06000011be4009001000000157426052068120000000000000")}, "1 firmware of 10.20.0.7 answers the presence ping: state post, AMT 5.2"},
		"no version":        {[]func(*script){pong("0600ff06000011be4009001000000157426000028120000000000000")}, "1 firmware of 10.20.0.7 answers the presence ping: state post"},
		"no state":          {[]func(*script){pong("0600ff06000011be4007001000000157426026038120000000000000")}, ""},
		"another maker":     {[]func(*script){pong("0600ff06000011be400700100000000b426026008120000000000000")}, ""},
		"ping":              {[]func(*script){pong("06000006000011be80070000")}, ""},
		"pong again":        {[]func(*script){pong("0600ff06000011be4007001000000157426130018120000000000000"), pong("0600ff06000011be4008001000000157426130018120000000000000"), pong("0600ff06000011be4009001000000157426130028120000000000000")}, "1 firmware of 10.20.0.7 answers the presence ping: state in, AMT 3.0|3 firmware of 10.20.0.7 answers the presence ping: state post, AMT 3.0"},
		"switch":            {[]func(*script){func(s *script) { s.frame(lldpFrame(t)) }}, "1 this cable ends at port Gi1/0/7 of switch acc-sw"},
		"switch by address": {[]func(*script){func(s *script) { s.frame(lldpFrame(t)[:14+9+10]) }}, "1 this cable ends at port Gi1/0/7 of switch 00:aa:bb:cc:dd:ee"},
		"cut":               {[]func(*script){func(s *script) { s.frame(lldpFrame(t)[:14+9+6]) }, func(s *script) { s.frame(arpFrame(t, 1, a, "10.20.0.7", "10.0.0.1")[:30]) }}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			for _, step := range tt.steps {
				step(s)
			}
			es, ns := scanNotes(t, s.packets)
			if got := strings.Join(ns, "|"); got != tt.want || len(es) > 0 {
				t.Errorf("notes %s, events %v", got, es)
			}
		})
	}
}

// TestTunnelNote follows a connection of firmware to the port for tunnels: no event, one note.
func TestTunnelNote(t *testing.T) {
	s := newScript(t)
	fw, mps := mustPort("10.20.0.7:40001"), mustPort("10.1.0.10:4433")
	s.tcp(fw, mps, SYN, 500, 0, nil).tcp(mps, fw, SYN|ACK, 900, 501, nil).tcp(fw, mps, ACK, 501, 901, nil)
	s.tcp(fw, mps, ACK, 501, 901, tlsRecord(tlsHandshake, make([]byte, 100)...)).tcp(mps, fw, ACK, 901, 606, tlsRecord(tlsAlert, 2, 70))
	es, ns := scanNotes(t, s.packets)
	if len(es) > 0 || strings.Join(ns, "|") != "5 tunnel of 10.20.0.7 to 10.1.0.10:4433: tls-alert 70 protocol_version by the server" {
		t.Errorf("events %v, notes %q", es, ns)
	}
}

// TestForeignNotes compares what is read of ARP and LLDP with tshark.
func TestForeignNotes(t *testing.T) {
	tool(t, "tshark")
	s := newScript(t).frame(lldpFrame(t)).frame(arpFrame(t, 1, "02000a140007", "10.20.0.7", "10.20.0.1")).frame(arpFrame(t, 2, "0200deadbeef", "10.20.0.7", "10.20.0.1"))
	name := writePcap(t, s.packets)
	rows := output(t, "tshark", "-r", name, "-T", "fields", "-e", "lldp.port.id", "-e", "lldp.tlv.system.name", "-e", "arp.src.proto_ipv4", "-e", "arp.duplicate-address-frame")
	if want := "Gi1/0/7\tacc-sw\t\t\n\t\t10.20.0.7\t\n\t\t10.20.0.7\t2\n"; rows != want {
		t.Errorf("tshark reads %q", rows)
	}
	if _, ns := scanNotes(t, s.packets); len(ns) != 2 {
		t.Errorf("notes %q", ns)
	}
}

func FuzzNeighbour(f *testing.F) {
	f.Add(lldpFrame(f)[14:])
	f.Add(arpFrame(f, 1, "02000a140007", "10.20.0.7", "10.20.0.1")[14:])
	f.Add(unhex(f, "0600ff06000011be4007001000000157426026008120000000000000"))
	f.Add(unhex(f, "000108006120000100000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = parseARP(b)
		for _, parse := range []func([]byte) (Note, bool){parsePong, parseLLDP} {
			if n, ok := parse(b); ok && (n.Words() == "" || strings.ContainsAny(n.Words(), "\n\r\x1b")) {
				t.Errorf("%q", n.Words())
			}
		}
		_ = helloVersion(b)
		if n := httpStatus(b); n != 0 && (n < 100 || n > 599) {
			t.Errorf("status %d", n)
		}
	})
}

// TestDNSOverTCP takes a question and its answer over TCP, and leaves other bytes alone.
func TestDNSOverTCP(t *testing.T) {
	q := new(dns.Msg)
	q.SetQuestion("provisionserver.corp.example.", dns.TypeA)
	a := new(dns.Msg).SetRcode(q, dns.RcodeNameError)
	s := newScript(t)
	asker, resolver := mustPort("10.20.0.7:5300"), mustPort("10.1.0.53:53")
	for _, m := range []*dns.Msg{q, a} {
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		b = append([]byte{byte(len(b) >> 8), byte(len(b))}, b...)
		if m == q {
			s.tcp(asker, resolver, ACK|PSH, 1, 1, b).tcp(asker, resolver, ACK|PSH, 900, 1, []byte("GET / HTTP/1.1\r\n"))
		} else {
			s.tcp(resolver, asker, ACK|PSH, 1, 40, b)
		}
	}
	es, _ := scanNotes(t, s.packets)
	if len(es) != 1 || es[0].Kind != KindDNS || es[0].DNS.RCode != "NXDOMAIN" || es[0].DNS.QName != "provisionserver.corp.example" || es[0].Src != asker {
		t.Errorf("events %+v", es)
	}
}
