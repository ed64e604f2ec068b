package probe

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestMapped(t *testing.T) {
	at := serve(t, zone(t, "pc-0412.corp.example. A 10.20.0.7\n7.0.20.10.in-addr.arpa. PTR PC-0412.corp.example.\n"))
	refuse := serve(t, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		_ = w.WriteMsg(m.SetRcode(q, dns.RcodeRefused))
	}))
	tests := []struct {
		name, fqdn, addr string
		servers          []string
		want             map[string]any
	}{
		{"both", "pc-0412.corp.example", "10.20.0.7", []string{at}, map[string]any{
			"dns.forward": map[string]any{"name": "pc-0412.corp.example", "addr": []any{"10.20.0.7"}},
			"dns.reverse": map[string]any{"addr": "10.20.0.7", "name": []any{"pc-0412.corp.example"}}}},
		{"neither is known there", "pc-0413.corp.example", "10.20.0.8", []string{at}, map[string]any{
			"dns.forward": map[string]any{"name": "pc-0413.corp.example", "addr": []any{}},
			"dns.reverse": map[string]any{"addr": "10.20.0.8", "name": []any{}}}},
		{"the second server answers", "", "10.20.0.7", []string{refuse, at}, map[string]any{
			"dns.reverse": map[string]any{"addr": "10.20.0.7", "name": []any{"pc-0412.corp.example"}}}},
		{"refused", "pc-0412.corp.example", "10.20.0.7", []string{refuse}, map[string]any{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var addr netip.Addr
			if tt.addr != "" {
				addr = netip.MustParseAddr(tt.addr)
			}
			r, err := run(t, Mapped(Target{Resolvers: tt.servers, Try: 5 * time.Second}, tt.fqdn, addr))
			got := map[string]any{}
			for _, f := range r.facts {
				got[f.Key] = f.Value
			}
			if !reflect.DeepEqual(got, tt.want) || (err == nil) != (len(tt.want) > 0) {
				t.Errorf("got %v, error %v", got, err)
			}
		})
	}
	if Mapped(Target{Resolvers: []string{at}}, "", netip.Addr{}).Needs == "" || Mapped(Target{}, "x", netip.Addr{}).Needs == "" {
		t.Error("a probe that lacks something says that it can run")
	}
}

// TestSystemResolvers: whatever this machine has, it is addresses or an error.
func TestSystemResolvers(t *testing.T) {
	s, err := SystemResolvers()
	if err == nil && len(s.Resolvers) == 0 {
		t.Error("no DNS server and no error")
	}
	for _, r := range s.Resolvers {
		if _, err := netip.ParseAddr(r); err != nil {
			t.Errorf("DNS server %q", r)
		}
	}
	t.Logf("%+v, error %v", s, err)
}
