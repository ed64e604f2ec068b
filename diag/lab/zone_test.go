package lab

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func mustZone(t testing.TB, origin, records string) *zone {
	t.Helper()
	z, err := newZone(origin, "ns1.corp.example", records)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func rr(t testing.TB, text string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Rules of RFC 2136, 3.4.2.2: nothing stands beside a CNAME, a new CNAME replaces the old one.
func TestAddBesideCNAME(t *testing.T) {
	z := mustZone(t, "corp.example", "alias CNAME one\nhost A 10.0.0.1\n")
	for _, s := range []struct{ add, name, want string }{
		{"alias.corp.example. 300 IN A 10.0.0.9", "alias.corp.example", "CNAME\tone.corp.example."},
		{"host.corp.example. 300 IN CNAME two.corp.example.", "host.corp.example", "A\t10.0.0.1"},
		{"ALIAS.corp.example. 300 IN CNAME two.corp.example.", "alias.corp.example", "CNAME\ttwo.corp.example."},
		{"host.corp.example. 60 IN A 10.0.0.1", "host.corp.example", "60\tIN\tA\t10.0.0.1"},
		{"corp.example. 60 IN SOA ns2.corp.example. h. 2 1 1 1 1", "corp.example", "ns2.corp.example."},
	} {
		z.add(rr(t, s.add))
		rrs, _ := z.at(s.name)
		var all []string
		for _, r := range rrs {
			all = append(all, r.String())
		}
		if text := strings.Join(all, "\n"); !strings.Contains(text, s.want) || (s.name != "corp.example" && len(rrs) != 1) {
			t.Errorf("after %q: %s", s.add, text)
		}
	}
}

func TestCopyGoesItsOwnWay(t *testing.T) {
	z := mustZone(t, "corp.example", "host A 10.0.0.1\n")
	c := copyOf(z)
	if err := c.set("host.corp.example", dns.TypeA, "10.0.0.2"); err != nil {
		t.Fatal(err)
	}
	if err := c.set("host.corp.example", dns.TypeA, "no address"); err == nil {
		t.Error("nonsense was taken")
	}
	if got := z.of("host.corp.example", dns.TypeA)[0].(*dns.A).A.String(); got != "10.0.0.1" {
		t.Errorf("the original has %s", got)
	}
	if got := c.of("HOST.corp.example.", dns.TypeA)[0].(*dns.A).A.String(); got != "10.0.0.2" {
		t.Errorf("the copy has %s", got)
	}
}

// The longest origin counts, and a chain may lead from zone to zone.
func TestChainAcrossZones(t *testing.T) {
	v := &view{zones: []*zone{
		mustZone(t, "corp.example", "scs A 10.0.0.10\nprovisionserver.berlin A 10.0.0.66\n"),
		mustZone(t, "berlin.corp.example", "provisionserver CNAME scs.corp.example.\nout CNAME www.other.example.\n"),
	}}
	for name, want := range map[string]struct {
		rcode, answers int
	}{
		"provisionserver.berlin.corp.example.": {dns.RcodeSuccess, 2},
		"out.berlin.corp.example.":             {dns.RcodeNameError, 1},
		"www.other.example.":                   {dns.RcodeNameError, 0},
	} {
		m := new(dns.Msg)
		v.answer(m, dns.Question{Name: name, Qtype: dns.TypeA, Qclass: dns.ClassINET})
		if m.Rcode != want.rcode || len(m.Answer) != want.answers {
			t.Errorf("%s: %s, %v", name, dns.RcodeToString[m.Rcode], m.Answer)
		}
	}
}

// Bytes that are no question do not stop the server.
func TestOddMessages(t *testing.T) {
	at, _, _ := twoViews(t)
	c, err := net.Dial("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	header := func(flags byte, questions byte) []byte { return []byte{0, 1, flags, 0, 0, questions, 0, 0, 0, 0, 0, 0} }
	for _, b := range [][]byte{{}, {1}, header(1, 1), header(0x29, 1), header(0x81, 1), header(1, 0), header(0x11, 1), append(header(1, 1), 0xc0, 12, 0, 1, 0, 1)} {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	cl := dns.Client{Timeout: 2 * time.Second}
	if m, _, err := cl.Exchange(new(dns.Msg).SetQuestion("scs01.corp.example.", dns.TypeA), at.String()); err != nil || len(m.Answer) != 1 {
		t.Errorf("afterwards: %v %v", m, err)
	}
	if m, _, err := cl.Exchange(&dns.Msg{Question: []dns.Question{{Name: "version.bind.", Qtype: dns.TypeTXT, Qclass: dns.ClassCHAOS}}}, at.String()); err != nil || m.Rcode != dns.RcodeRefused {
		t.Errorf("another class: %v %v", m, err)
	}
}

// silentWriter takes answers and gives them to nobody.
type silentWriter struct{ sent *dns.Msg }

func (*silentWriter) LocalAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:53"))
}
func (*silentWriter) RemoteAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:9"))
}
func (w *silentWriter) WriteMsg(m *dns.Msg) error {
	w.sent = m
	_, err := m.Pack()
	return err
}
func (*silentWriter) Write(b []byte) (int, error) { return len(b), nil }
func (*silentWriter) Close() error                { return nil }
func (*silentWriter) TsigStatus() error           { return nil }
func (*silentWriter) TsigTimersOnly(bool)         {}
func (*silentWriter) Hijack()                     {}

// FuzzNameServer: whatever can be unpacked gets an answer, and the zone keeps its SOA.
func FuzzNameServer(f *testing.F) {
	seed := func(m *dns.Msg) {
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	seed(new(dns.Msg).SetQuestion("provisionserver.corp.example.", dns.TypeA))
	up := new(dns.Msg).SetUpdate("corp.example.")
	up.NameNotUsed([]dns.RR{rr(f, "a.corp.example. A 10.0.0.1")})
	up.Used([]dns.RR{rr(f, "host.corp.example. A 10.0.0.1")})
	up.Insert([]dns.RR{rr(f, "a.corp.example. A 10.0.0.1")})
	up.RemoveName([]dns.RR{rr(f, "corp.example. A 10.0.0.1")})
	up.SetTsig(updateKey, dns.HmacSHA256, 300, 1)
	seed(up)
	f.Add([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m dns.Msg
		if m.Unpack(b) != nil {
			return
		}
		z := mustZone(t, "corp.example", "host A 10.0.0.1\nalias CNAME host\n")
		w := &silentWriter{}
		(&nameServer{view: &view{zones: []*zone{z}}}).ServeDNS(w, &m)
		if w.sent == nil || w.sent.Id != m.Id || len(z.soa()) != 1 {
			t.Errorf("answer %v, SOA %v", w.sent, z.soa())
		}
	})
}
