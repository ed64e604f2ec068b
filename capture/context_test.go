package capture

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// icmpFrame answers a frame with an ICMP error from a router.
func icmpFrame(t testing.TB, orig []byte, typ, code byte) []byte {
	t.Helper()
	v6 := orig[12] == 0x86
	router := mustPort("10.20.0.1:0")
	if v6 {
		router = mustPort("[2001:db8::1]:0")
	}
	to := clientV4
	if v6 {
		to = clientV6
	}
	b, err := FrameUDP(router, to, append([]byte{}, orig[14:]...))
	if err != nil {
		t.Fatal(err)
	}
	at, proto := 34, byte(protoICMP)
	if v6 {
		at, proto = 54, protoICMPv6
		b[20] = proto
	} else {
		b[23] = proto
	}
	copy(b[at:], []byte{typ, code, 0, 0, 0, 0, 0, 0})
	return b
}

func TestUnreachable(t *testing.T) {
	tests := []struct {
		name       string
		v6         bool
		typ, code  byte
		want, rest string
	}{
		{"administratively prohibited", false, 3, 13, "syn@1; unreachable@2 10.20.0.1 3/13", ""},
		{"port", false, 3, 3, "syn@1; unreachable@2 10.20.0.1 3/3", ""},
		{"fragmentation needed is no end", false, 3, 4, "syn@1", ""},
		{"time exceeded", false, 11, 0, "syn@1; unreachable@2 10.20.0.1 11/0", ""},
		{"echo", false, 8, 0, "syn@1", ""},
		{"IPv6 no route", true, 1, 0, "syn@1; unreachable@2 2001:db8::1 1/0", ""},
		{"IPv6 too big is no end", true, 2, 0, "syn@1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			if tt.v6 {
				s.client, s.server = clientV6, serverV6
			}
			s.syn()
			s.frame(icmpFrame(t, s.packets[0].Data, tt.typ, tt.code))
			if got := run(t, s.packets); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// tlsRecord makes a record with a body of n bytes.
func tlsRecord(typ byte, body ...byte) []byte {
	b := []byte{typ, 3, 1}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
}

func TestConnectionBack(t *testing.T) {
	hs := tlsRecord(tlsHandshake, make([]byte, 300)...)
	ccs := tlsRecord(tlsChangeCipher, 1)
	fin := tlsRecord(tlsHandshake, make([]byte, 40)...)
	data := tlsRecord(tlsData, make([]byte, 40)...)
	alert := tlsRecord(tlsAlert, 2, 48)
	// steps: who sends what after the handshake of TCP; F and R end the connection
	type step struct {
		fw   bool
		data []byte
		end  Flags
	}
	tests := []struct {
		name   string
		port   string
		up     bool
		refuse bool
		steps  []step
		wait   time.Duration
		want   string
		alert  int
	}{
		{"handshake ends well", "16993", true, false, []step{{false, hs, 0}, {true, hs, 0}, {false, append(slices.Clone(ccs), fin...), 0}, {true, append(slices.Clone(ccs), fin...), 0}, {false, data, 0}}, 0, "ok", 0},
		{"records split over segments", "16993", true, false, []step{{false, hs[:3], 0}, {false, hs[3:], 0}, {true, hs[:200], 0}, {true, hs[200:], 0}, {false, ccs, 0}, {true, ccs, 0}, {false, data[:20], 0}}, 0, "ok", 0},
		{"firmware does not know the root", "16993", true, false, []step{{false, hs, 0}, {true, alert, 0}, {true, nil, FIN}}, 0, "tls-alert", 48},
		{"firmware closes", "16993", true, false, []step{{false, hs, 0}, {true, nil, FIN}}, 0, "tls-closed", 0},
		{"firmware resets", "16993", true, false, []step{{false, hs, 0}, {true, hs, 0}, {true, nil, RST}}, 0, "tls-closed", 0},
		{"server closes", "16993", true, false, []step{{false, hs, 0}, {true, hs, 0}, {false, nil, FIN}}, 0, "closed", 0},
		{"close_notify is no complaint", "16993", true, false, []step{{false, hs, 0}, {true, tlsRecord(tlsAlert, 1, 0), 0}, {true, nil, FIN}}, 0, "tls-closed", 0},
		{"plain", "16992", true, false, []step{{false, []byte("GET /"), 0}, {true, []byte("HTTP/1.1 401"), 0}}, 0, "ok", 0},
		{"connected and closed", "16992", true, false, []step{{false, nil, FIN}}, 0, "connected", 0},
		{"refused", "16993", false, true, nil, 0, "refused", 0},
		{"no answer", "16993", false, false, nil, 40 * time.Second, "timeout", 0},
		{"capture ends too early", "16993", false, false, nil, 0, "unknown", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			srv, fw := mustPort("10.1.0.10:50123"), mustPort("10.20.0.7:"+tt.port)
			seq := [2]uint32{500, 900}
			s.tcp(srv, fw, SYN, seq[0], 0, nil)
			seq[0]++
			switch {
			case tt.refuse:
				s.tcp(fw, srv, RST|ACK, 0, seq[0], nil)
			case tt.up:
				s.tcp(fw, srv, SYN|ACK, seq[1], seq[0], nil)
				seq[1]++
			}
			for _, st := range tt.steps {
				if st.fw {
					s.tcp(fw, srv, ACK|st.end, seq[1], seq[0], st.data)
					seq[1] += uint32(len(st.data))
				} else {
					s.tcp(srv, fw, ACK|st.end, seq[0], seq[1], st.data)
					seq[0] += uint32(len(st.data))
				}
			}
			if tt.wait > 0 {
				s.wait(tt.wait)
				s.packets = append(s.packets, &Packet{Time: s.now})
			}
			var got []Event
			if err := Scan(context.Background(), list(s.packets), Options{}, func(e Event) { got = append(got, e) }); err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got[0].Kind != KindBack || got[0].Outcome != tt.want || got[0].Alert != tt.alert || got[0].Dst != fw {
				t.Errorf("events %+v, want outcome %s", got, tt.want)
			}
		})
	}
}

func TestDNS(t *testing.T) {
	asker, resolver := mustPort("10.20.0.7:5300"), mustPort("10.1.0.53:53")
	q := new(dns.Msg)
	q.SetQuestion("ProvisionServer.corp.example.", dns.TypeA)
	a := new(dns.Msg)
	a.SetReply(q)
	for _, rr := range []string{"provisionserver.corp.example. 60 IN CNAME ns1.corp.example.", "ns1.corp.example. 60 IN A 10.1.0.10", "ns1.corp.example. 60 IN AAAA 2001:db8::10"} {
		r, err := dns.NewRR(rr)
		if err != nil {
			t.Fatal(err)
		}
		a.Answer = append(a.Answer, r)
	}
	lost := new(dns.Msg)
	lost.SetQuestion("provisionserver.branch.example.", dns.TypeA)
	no := new(dns.Msg)
	no.SetQuestion("nothing.example.", dns.TypeA)
	answer := new(dns.Msg)
	answer.SetRcode(no, dns.RcodeNameError)
	s := newScript(t)
	send := func(src, dst netip.AddrPort, m *dns.Msg) {
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		fr, err := FrameUDP(src, dst, b)
		if err != nil {
			t.Fatal(err)
		}
		s.frame(fr)
	}
	send(asker, resolver, q)
	send(asker, resolver, lost)
	send(asker, resolver, lost) // asked again
	send(resolver, asker, a)
	send(asker, resolver, no)
	send(resolver, asker, answer)
	var got []Event
	if err := Scan(context.Background(), list(s.packets), Options{}, func(e Event) { got = append(got, e) }); err != nil {
		t.Fatal(err)
	}
	want := []*DNS{
		{"ProvisionServer.corp.example", "A", "NOERROR", []string{"ns1.corp.example"}, []string{"10.1.0.10", "2001:db8::10"}, "10.1.0.53"},
		{"nothing.example", "A", "NXDOMAIN", []string{}, []string{}, "10.1.0.53"},
		{"provisionserver.branch.example", "A", "none", []string{}, []string{}, "10.1.0.53"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d events", len(got))
	}
	for i, e := range got {
		if !reflect.DeepEqual(e.DNS, want[i]) || e.Src != asker || e.Dst != resolver {
			t.Errorf("event %d: %v > %v %+v, want %+v", i, e.Src, e.Dst, e.DNS, want[i])
		}
	}
}

func TestDHCP(t *testing.T) {
	b := make([]byte, 236)
	b[0], b[1], b[2] = 2, 1, 6
	copy(b[16:], []byte{10, 20, 0, 7})
	copy(b[28:], []byte{0, 0x16, 0x76, 1, 2, 3})
	opts, _ := hex.DecodeString("63825363" + "3c08" + hex.EncodeToString([]byte("MSFT 5.0")) + "350105" + "060801010101" + "0a010035" + "0f0c" + hex.EncodeToString([]byte("corp.example")) + "00" + "0504" + "0a010036" + "ff")
	want := &DHCP{"ack", "00:16:76:01:02:03", "10.20.0.7", "corp.example", []string{"1.1.1.1", "10.1.0.53"}, []string{"10.1.0.54"}, "MSFT 5.0"}
	got, err := parseDHCP(append(b, opts...))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for n := range len(b) + len(opts) { // cut anywhere: never a panic, never invented addresses
		if d, err := parseDHCP(append(b, opts...)[:n:n]); err == nil && len(d.DNS) > 2 {
			t.Errorf("cut at %d: %+v", n, d)
		}
	}
}

func TestEventJSON(t *testing.T) {
	s := newScript(t)
	s.up().c(0, 0, psk(t, 3))
	var lines []map[string]any
	err := Scan(context.Background(), list(s.packets), Options{File: "a.pcap"}, func(e Event) {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, m)
	})
	if err != nil || len(lines) != 3 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	m := lines[2]
	h, _ := m["hello"].(map[string]any)
	if m["time"] != "2023-11-14T22:13:20.04Z" || m["src"] != "10.20.0.7" || m["dst"] != "10.1.0.10" || m["src_port"] != 16994.0 ||
		m["dst_port"] != 9971.0 || m["event"] != "hello" || m["file"] != "a.pcap" || m["packet"] != 4.0 ||
		h["type"] != "psk" || h["pid"] != "4JA2DDBV" || h["retry_count"] != 3.0 || h["uuid"] != "4c4c4544-0058-3910-8059-b7c04f4b5a31" {
		t.Errorf("line %v", m)
	}
	if v, there := lines[0]["hello"]; v != nil || !there {
		t.Errorf("a line without a hello has %v", v)
	}
}

// TestManyHalfOpen sends more SYNs than are kept: memory stays bounded and the rest is counted.
func TestManyHalfOpen(t *testing.T) {
	n := 0
	s := NewScanner(Options{}, func(Event) { n++ })
	base, err := Frame(clientV4, serverV4, SYN, 1, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	const count = 100000
	at := time.Unix(1, 0)
	for i := range count {
		binary.BigEndian.PutUint32(base[26:], uint32(0x0A000000+i))
		s.Packet(&Packet{Data: base, OrigLen: len(base), Link: LinkEthernet, Number: i + 1, Time: at.Add(time.Duration(i) * 10 * time.Microsecond)})
	}
	if n != count || s.attempts.active.n != maxEpochs || s.Evicted() != count-maxEpochs {
		t.Errorf("%d events, %d kept, %d given up", n, s.attempts.active.n, s.Evicted())
	}
	big := make([]byte, 60000)
	for i := range 2000 { // and bytes that wait for a gap to close
		src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)}), 1)
		syn, _ := Frame(src, serverV4, SYN, 1, 0, nil)
		fr, _ := Frame(src, serverV4, ACK, 20, 0, big)
		for _, f := range [][]byte{syn, fr} {
			s.Packet(&Packet{Data: f, OrigLen: len(f), Link: LinkEthernet, Number: count + i, Time: at.Add(2 * time.Second)})
		}
	}
	if s.attempts.buffered > maxBuffered {
		t.Errorf("%d bytes wait", s.attempts.buffered)
	}
	s.End()
	if s.attempts.buffered != 0 || s.attempts.active.n != 0 || len(s.attempts.byFlow) != 0 {
		t.Errorf("at the end %d bytes and %d attempts are left", s.attempts.buffered, s.attempts.active.n)
	}
}
