package lab

import (
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
	"amtmedic/diag"
)

// facts turns what was seen into facts. What was not seen is "none" at the moment of looking.
func (s *sight) facts(side diag.Vantage, at time.Time) []diag.Fact {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []diag.Fact
	pre := "wire." + string(side) + "."
	add := func(key string, when time.Time, value any) {
		out = append(out, diag.Fact{At: when, Key: pre + key, Vantage: side, Value: value})
	}
	ends := func(e capture.Event) any { return map[string]any{"dst": e.Dst.String(), "src": e.Src.String()} }
	for _, k := range []struct {
		key  string
		kind capture.Kind
	}{{"syn", capture.KindSYN}, {"synack", capture.KindSYNACK}, {"rst", capture.KindRefused}, {"fin", capture.KindClosed}} {
		e, ok := s.last[k.kind]
		if !ok {
			add(k.key, at, diag.None)
			continue
		}
		add(k.key, e.Time, ends(e))
	}
	if e, ok := s.last[capture.KindUnreachable]; ok {
		add("icmp", e.Time, map[string]any{"src": e.By, "type": float64(e.ICMP.Type), "code": float64(e.ICMP.Code)})
	} else {
		add("icmp", at, diag.None)
	}
	if e, ok := s.last[capture.KindHello]; ok {
		add("hello", e.Time, helloValue(e))
	} else {
		add("hello", at, diag.None)
	}
	if side == diag.AtClient {
		out = append(out, s.context(at)...)
	}
	return out
}

// context gives the facts about names and lease that only the client's side shows.
func (s *sight) context(at time.Time) []diag.Fact {
	var out []diag.Fact
	add := func(key string, when time.Time, value any) {
		out = append(out, diag.Fact{At: when, Key: key, Vantage: diag.AtClient, Value: value})
	}
	asked := map[string]capture.Event{}
	for _, e := range s.names {
		asked[e.DNS.QName] = e
	}
	for _, e := range asked {
		rcode := e.DNS.RCode
		if rcode == "" {
			rcode = diag.None
		}
		add("wire.client.dns", e.Time, map[string]any{"qname": e.DNS.QName, "rcode": rcode, "addr": e.DNS.Addr, "server": e.DNS.Server})
	}
	if len(asked) == 0 {
		add("wire.client.dns", at, diag.None)
	}
	if len(s.leases) == 0 {
		add("wire.client.dhcp", at, diag.None)
		return out
	}
	e := s.leases[len(s.leases)-1]
	add("wire.client.dhcp", e.Time, map[string]any{"by": "me", "addr": e.DHCP.Addr, "suffix": e.DHCP.Suffix, "dns": e.DHCP.DNS})
	add("client.dns_servers", e.Time, e.DHCP.DNS)
	return out
}

func helloValue(e capture.Event) any {
	m := e.Hello
	v := map[string]any{"version": float64(m.Version), "uuid": m.UUID.String(), "retry": float64(m.RetryCount),
		"src": e.Src.String(), "dst": e.Dst.String(), "length": float64(e.Bytes), "problems": amt.Codes(m.Problems)}
	if m.PID != "" {
		v["pid"] = string(m.PID)
	}
	return v
}
