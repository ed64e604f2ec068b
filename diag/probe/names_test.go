package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"amtmedic/diag"
)

// record keeps what a probe reports.
type record struct {
	mu    sync.Mutex
	facts []diag.Fact
	saw   []string
}

func (r *record) Fact(f diag.Fact)        { r.mu.Lock(); r.facts = append(r.facts, f); r.mu.Unlock() }
func (r *record) Saw(s string)            { r.mu.Lock(); r.saw = append(r.saw, s); r.mu.Unlock() }
func (r *record) Until(time.Time, string) {}

// run runs a probe and gives its facts in normal form.
func run(t *testing.T, p Probe) (*record, error) {
	t.Helper()
	if p.Needs != "" {
		t.Fatalf("probe %s needs %s", p.ID, p.Needs)
	}
	r := &record{}
	err := p.Run(t.Context(), r)
	for i, f := range r.facts {
		if r.facts[i], err = makeFact(f, err); !slices.Contains(p.Gives, f.Key) {
			t.Errorf("probe %s gives %s, which it does not announce", p.ID, f.Key)
		}
	}
	return r, err
}

func makeFact(f diag.Fact, err error) (diag.Fact, error) {
	out, e := diag.Make(f)
	if e != nil {
		panic(e)
	}
	return out, err
}

// zone answers from zone-file text as an authoritative server: CNAMEs are followed inside it.
func zone(t *testing.T, text string) dns.HandlerFunc {
	t.Helper()
	var rrs []dns.RR
	zp := dns.NewZoneParser(strings.NewReader("$TTL 60\n"+text), ".", "")
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		rrs = append(rrs, rr)
	}
	if zp.Err() != nil {
		t.Fatal(zp.Err())
	}
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		known := false
		for _, rr := range rrs {
			if strings.EqualFold(rr.Header().Name, q.Question[0].Name) {
				known = true
				if ty := rr.Header().Rrtype; ty == q.Question[0].Qtype || ty == dns.TypeCNAME {
					m.Answer = append(m.Answer, rr)
				}
			}
		}
		if !known {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	}
}

// serve runs a DNS server on loopback, UDP and TCP on one port.
func serve(t *testing.T, h dns.Handler) string {
	t.Helper()
	for range 20 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err != nil {
			_ = pc.Close()
			continue
		}
		for _, s := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
			up := make(chan struct{})
			s.NotifyStartedFunc = func() { close(up) }
			go func() { _ = s.ActivateAndServe() }()
			<-up
			t.Cleanup(func() { _ = s.Shutdown() })
		}
		return pc.LocalAddr().String()
	}
	t.Fatal("no port is free for UDP and TCP")
	return ""
}

// raw answers every question over UDP with the bytes that f makes of a sound reply.
func raw(t *testing.T, f func(reply []byte) [][]byte) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, b := range f(reply(buf[:n])) {
				_, _ = pc.WriteTo(b, from)
			}
		}
	}()
	return pc.LocalAddr().String()
}

func reply(query []byte) []byte {
	q := new(dns.Msg)
	if q.Unpack(query) != nil {
		return nil
	}
	m := new(dns.Msg)
	m.SetReply(q)
	if q.Question[0].Qtype == dns.TypeA {
		rr, _ := dns.NewRR(q.Question[0].Name + " 60 A 10.1.0.10")
		m.Answer = append(m.Answer, rr)
	}
	b, _ := m.Pack()
	return b
}

func ask(t *testing.T, server string, suffix ...string) (*record, error) {
	return run(t, Names(Target{Side: diag.AtClient, Resolvers: []string{server}, Suffixes: suffix, Try: 5 * time.Second})[0])
}

// askSilent does not wait long for a server that says nothing.
func askSilent(t *testing.T, server string) (*record, error) {
	return run(t, Names(Target{Side: diag.AtClient, Resolvers: []string{server}, Suffixes: []string{"corp.example"}, Try: 200 * time.Millisecond})[0])
}

func chain(n int) string {
	var b strings.Builder
	b.WriteString("provisionserver.corp.example. CNAME c1.corp.example.\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "c%d.corp.example. CNAME c%d.corp.example.\n", i, i+1)
	}
	fmt.Fprintf(&b, "c%d.corp.example. A 10.1.0.10\n", n)
	return b.String()
}

func TestNames(t *testing.T) {
	const q = "provisionserver.corp.example"
	ten := make([]any, 10)
	for i := range ten {
		ten[i] = fmt.Sprintf("c%d.corp.example", i+1)
	}
	none := []any{}
	tests := []struct {
		name, zone string
		want       map[string]any
	}{
		{"address", q + ". A 10.1.0.10", map[string]any{"rcode": "NOERROR", "cname": none, "addr": []any{"10.1.0.10"}}},
		{"CNAME and both families", q + ". CNAME ns1.corp.example.\nns1.corp.example. A 10.1.0.10\nns1.corp.example. AAAA 2001:db8::10",
			map[string]any{"rcode": "NOERROR", "cname": []any{"ns1.corp.example"}, "addr": []any{"10.1.0.10", "2001:db8::10"}}},
		{"AAAA only", q + ". AAAA 2001:db8::10", map[string]any{"rcode": "NOERROR", "cname": none, "addr": []any{"2001:db8::10"}}},
		{"dangling", q + ". CNAME gone.corp.example.", map[string]any{"rcode": "NXDOMAIN", "cname": []any{"gone.corp.example"}, "addr": none}},
		{"dangling, name has other records", q + ". CNAME t.corp.example.\nt.corp.example. TXT x", map[string]any{"rcode": "NOERROR", "cname": []any{"t.corp.example"}, "addr": none}},
		{"loop", q + ". CNAME b.corp.example.\nb.corp.example. CNAME " + q + ".", map[string]any{"rcode": "NOERROR", "cname": []any{"b.corp.example"}, "addr": none}},
		{"ten steps", chain(10), map[string]any{"rcode": "NOERROR", "cname": ten, "addr": []any{"10.1.0.10"}}},
		{"no such name", "other.example. A 10.9.9.9", map[string]any{"rcode": "NXDOMAIN", "cname": none, "addr": none}},
		{"name without address", q + ". TXT x", map[string]any{"rcode": "NOERROR", "cname": none, "addr": none}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := serve(t, zone(t, tt.zone))
			r, err := ask(t, server, "corp.example")
			if err != nil || len(r.facts) != 1 {
				t.Fatalf("facts %v, error %v, saw %q", r.facts, err, r.saw)
			}
			tt.want["qname"], tt.want["server"], tt.want["timeout"] = q, server, false
			if got := r.facts[0].Value; !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v\nwant %v", got, tt.want)
			}
		})
	}
}

func TestNamesRcodes(t *testing.T) {
	answer := func(rcode int, rrs ...string) dns.HandlerFunc {
		return func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg)
			m.SetRcode(q, rcode)
			for _, s := range rrs {
				rr, err := dns.NewRR(s)
				if err != nil {
					panic(err)
				}
				m.Answer = append(m.Answer, rr)
			}
			_ = w.WriteMsg(m)
		}
	}
	tests := []struct {
		name  string
		h     dns.HandlerFunc
		rcode string
		cname []any
	}{
		{"SERVFAIL", answer(dns.RcodeServerFailure), "SERVFAIL", []any{}},
		{"REFUSED", answer(dns.RcodeRefused), "REFUSED", []any{}},
		{"NXDOMAIN with CNAME", answer(dns.RcodeNameError, "provisionserver.corp.example. 60 CNAME gone.corp.example."), "NXDOMAIN", []any{"gone.corp.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := ask(t, serve(t, tt.h), "corp.example")
			if err != nil || len(r.facts) != 1 {
				t.Fatalf("facts %v, error %v", r.facts, err)
			}
			v := r.facts[0].Value.(map[string]any)
			if v["rcode"] != tt.rcode || !reflect.DeepEqual(v["cname"], tt.cname) || len(v["addr"].([]any)) != 0 {
				t.Errorf("got %v", v)
			}
		})
	}
	t.Run("SERVFAIL with half a chain", func(t *testing.T) {
		r, _ := ask(t, serve(t, answer(dns.RcodeServerFailure, "provisionserver.corp.example. 60 CNAME ps.far.example.")), "corp.example")
		if v := r.facts[0].Value.(map[string]any); v["addr"] != nil || v["rcode"] != nil || fmt.Sprint(v["cname"]) != "[ps.far.example]" {
			t.Errorf("a target that could not be asked is not known to be without address: %v", v)
		}
	})
	t.Run("end of chain refused", func(t *testing.T) {
		inside := zone(t, "provisionserver.corp.example. CNAME ps.elsewhere.example.")
		refuse := answer(dns.RcodeRefused)
		r, _ := ask(t, serve(t, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			if strings.HasSuffix(q.Question[0].Name, "elsewhere.example.") {
				refuse(w, q)
				return
			}
			inside(w, q)
		})), "corp.example")
		v := r.facts[0].Value.(map[string]any)
		if _, looked := v["addr"]; looked || v["rcode"] != nil || fmt.Sprint(v["cname"]) != "[ps.elsewhere.example]" {
			t.Errorf("a target that the server does not answer for is not known to be without address: %v", v)
		}
	})
}

func TestNamesTruncated(t *testing.T) {
	full := zone(t, chain(9))
	server := serve(t, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if w.RemoteAddr().Network() == "udp" {
			m := new(dns.Msg)
			m.SetReply(q)
			m.Truncated = true
			_ = w.WriteMsg(m)
			return
		}
		full(w, q)
	}))
	r, err := ask(t, server, "corp.example")
	if err != nil || len(r.facts) != 1 || fmt.Sprint(r.facts[0].Value.(map[string]any)["addr"]) != "[10.1.0.10]" {
		t.Fatalf("facts %v, error %v", r.facts, err)
	}
}

func TestNamesSilence(t *testing.T) {
	silent := raw(t, func([]byte) [][]byte { return nil })
	start := time.Now()
	r, err := askSilent(t, silent)
	if err != nil || len(r.facts) != 1 {
		t.Fatalf("facts %v, error %v", r.facts, err)
	}
	v := r.facts[0].Value.(map[string]any)
	if v["timeout"] != true || v["rcode"] != nil {
		t.Errorf("got %v", v)
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("two tries of 200 ms took %v", d)
	}
	t.Run("nobody there", func(t *testing.T) {
		pc, _ := net.ListenPacket("udp", "127.0.0.1:0")
		_ = pc.Close()
		r, err := ask(t, pc.LocalAddr().String(), "corp.example")
		if err != nil || r.facts[0].Value.(map[string]any)["timeout"] != true {
			t.Errorf("facts %v, error %v", r.facts, err)
		}
	})
	t.Run("second server answers", func(t *testing.T) {
		good := serve(t, zone(t, "provisionserver.corp.example. A 10.1.0.10"))
		r, err := run(t, Names(Target{Side: diag.AtServer, Resolvers: []string{silent, good}, Suffixes: []string{"corp.example"}, Try: time.Second, Tries: 1})[0])
		if err != nil || r.facts[0].Key != "dns.server" || r.facts[0].Value.(map[string]any)["server"] != good {
			t.Errorf("facts %v, error %v", r.facts, err)
		}
		if !strings.Contains(strings.Join(r.saw, "\n"), "no answer") {
			t.Errorf("the silent server is not named: %q", r.saw)
		}
	})
	t.Run("cancel", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		start := time.Now()
		rec := &record{}
		err := Names(Target{Side: diag.AtClient, Resolvers: []string{silent}, Try: 5 * time.Second})[0].Run(ctx, rec)
		if err == nil || time.Since(start) > time.Second || len(rec.facts) > 0 {
			t.Errorf("error %v after %v, facts %v", err, time.Since(start), rec.facts)
		}
	})
}

// TestNamesLies: an answer that lies is an error that names the lie, never a fact.
func TestNamesLies(t *testing.T) {
	set16 := func(b []byte, at int, v uint16) []byte {
		b = slices.Clone(b)
		binary.BigEndian.PutUint16(b[at:], v)
		return b
	}
	tests := []struct {
		name, want string
		lie        func(b []byte) [][]byte
	}{
		{"more answers than there are", "says that it has 5 answers, ", func(b []byte) [][]byte { return [][]byte{set16(b, 6, 5)} }},
		{"fewer answers than there are", "ends after", func(b []byte) [][]byte { return [][]byte{append(set16(b, 6, 0), 0, 1, 2)} }},
		{"record length too long", "malformed", func(b []byte) [][]byte { return [][]byte{set16(b, len(b)-6, 400)} }},
		{"cut in the middle", "", func(b []byte) [][]byte { return [][]byte{b[:len(b)-2]} }},
		{"shorter than a header", "fewer than a DNS header", func(b []byte) [][]byte { return [][]byte{b[:7]} }},
		{"wrong id", "the question had", func(b []byte) [][]byte { return [][]byte{set16(b, 0, binary.BigEndian.Uint16(b)+1)} }},
		{"the question again", "not an answer", func(b []byte) [][]byte { return [][]byte{set16(b, 2, 0x0100)} }},
		{"another name", "another question", func(b []byte) [][]byte {
			c := slices.Clone(b)
			c[13] = 'q'
			return [][]byte{c}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := ask(t, raw(t, tt.lie), "corp.example")
			if err == nil || len(r.facts) > 0 {
				t.Fatalf("facts %v, error %v", r.facts, err)
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(strings.Join(r.saw, "\n"), "no usable answer") {
				t.Errorf("error %q, saw %q", err, r.saw)
			}
		})
	}
	t.Run("a sound answer after a forged one counts", func(t *testing.T) {
		r, err := ask(t, raw(t, func(b []byte) [][]byte {
			return [][]byte{set16(b, 0, binary.BigEndian.Uint16(b)^0x5555), b}
		}), "corp.example")
		if err != nil || len(r.facts) != 1 {
			t.Errorf("facts %v, error %v", r.facts, err)
		}
	})
	t.Run("length before TCP", func(t *testing.T) {
		server := serve(t, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg)
			m.SetReply(q)
			m.Truncated = true
			if w.RemoteAddr().Network() == "udp" {
				_ = w.WriteMsg(m)
				return
			}
			c := w.(interface{ Hijack() })
			c.Hijack()
			b, _ := m.Pack()
			_, _ = w.Write(b[:10]) // shorter than a header
			_ = w.Close()
		}))
		r, err := ask(t, server, "corp.example")
		if err == nil || len(r.facts) > 0 || !strings.Contains(err.Error(), "over TCP") {
			t.Errorf("facts %v, error %v", r.facts, err)
		}
	})
}

func TestTCPLengthLie(t *testing.T) {
	a, b := net.Pipe()
	go func() {
		buf := make([]byte, 512)
		_, _ = b.Read(buf)
		_, _ = b.Write([]byte{0x02, 0x00, 1, 2, 3})
		_ = b.Close()
	}()
	q := new(dns.Msg)
	q.SetQuestion("x.", dns.TypeA)
	wire, _ := q.Pack()
	if _, err := overTCP(a, q, wire); err == nil || !strings.Contains(err.Error(), "says that it has 512 bytes, 3 came") {
		t.Errorf("error %v", err)
	}
}

func TestTargetNames(t *testing.T) {
	tests := []struct {
		name   string
		target Target
		want   []string
	}{
		{"suffix", Target{Suffixes: []string{"Corp.Example."}}, []string{"provisionserver.corp.example"}},
		{"none known", Target{}, []string{"provisionserver"}},
		{"none known, server's zone", Target{ServerFQDN: "ps1.dc.example"}, []string{"provisionserver", "provisionserver.dc.example"}},
		{"parents and zones", Target{Suffixes: []string{"a.b.corp.example"}, ServerFQDN: "ps.corp.example", Zones: []string{"lab.example"}},
			[]string{"provisionserver.a.b.corp.example", "provisionserver.corp.example", "provisionserver.b.corp.example", "provisionserver.lab.example"}},
		{"another host name", Target{Host: "scs", Suffixes: []string{"x.example"}}, []string{"scs.x.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.target.withDefaults().names(); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if p := Names(Target{Side: diag.AtClient})[0]; p.Needs == "" {
		t.Error("a probe without resolver says that it can run")
	}
}

// FuzzParse: what is taken for an answer has our id, and its chain has no more steps than records.
func FuzzParse(f *testing.F) {
	q := new(dns.Msg)
	q.SetQuestion("provisionserver.corp.example.", dns.TypeA)
	q.Id = 7
	wire, _ := q.Pack()
	f.Add(reply(wire))
	f.Add([]byte{})
	f.Add([]byte{0, 7, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0, 0xc0, 0x0c})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b, q)
		if err != nil {
			return
		}
		if m.Id != q.Id || !m.Response {
			t.Errorf("took %x", b)
		}
		a := Answer{Name: "provisionserver.corp.example"}
		at := a.walk(m.Answer, q.Question[0].Name)
		a.collect(m.Answer, at, dns.TypeA)
		if len(a.CNAME) > len(m.Answer) {
			t.Errorf("a chain of %d out of %d records", len(a.CNAME), len(m.Answer))
		}
	})
}

func TestServerNames(t *testing.T) {
	for in, want := range map[string]string{"10.0.0.1": "10.0.0.1:53", "10.0.0.1:54": "10.0.0.1:54", "fd00::1": "[fd00::1]:53", "[fd00::1]:5353": "[fd00::1]:5353", "dns1": "dns1:53"} {
		if got := serverAddress(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
