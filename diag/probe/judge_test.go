package probe

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/check"
)

// TestNamesLeadToVerdicts: what the probe reports is what the checks of the name need.
func TestNamesLeadToVerdicts(t *testing.T) {
	const good = "ns1.corp.example. A 10.1.0.10\n"
	tests := []struct{ name, client, server, want string }{
		{"no record", good, good, "rc-dns-no-record"},
		{"another zone", "provisionserver.corp.example. CNAME ns1.corp.example.\n" + good, "provisionserver.corp.example. A 10.1.0.10\n" + good, "rc-dns-wrong-suffix"},
		{"split", good, "provisionserver.sales.corp.example. CNAME ns1.corp.example.\n" + good, "rc-dns-split-horizon"},
		{"dangling", "provisionserver.sales.corp.example. CNAME gone.corp.example.\n", good, "rc-dns-cname-dangling"},
		{"wrong target", "provisionserver.sales.corp.example. A 10.9.9.9\n", "provisionserver.sales.corp.example. A 10.9.9.9\n", "rc-dns-wrong-target"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			facts := known()
			for side, z := range map[diag.Vantage]string{diag.AtClient: tt.client, diag.AtServer: tt.server} {
				r, err := run(t, Names(Target{Side: side, Resolvers: []string{serve(t, zone(t, z))}, Suffixes: []string{"sales.corp.example"}, ServerFQDN: "ns1.corp.example"})[0])
				if err != nil {
					t.Fatal(err)
				}
				facts = append(facts, r.facts...)
			}
			if j := check.Judge(facts, time.Now()); j.Verdict != tt.want {
				t.Errorf("verdict %q (%s), want %s\n%v", j.Verdict, j.Confidence, tt.want, facts)
			}
		})
	}
	t.Run("no answer", func(t *testing.T) {
		r, _ := run(t, Names(Target{Side: diag.AtClient, Resolvers: []string{raw(t, func([]byte) [][]byte { return nil })}, Suffixes: []string{"sales.corp.example"}, Try: 200 * time.Millisecond})[0])
		if j := check.Judge(append(known(), r.facts...), time.Now()); j.Verdict != "rc-dns-unreachable" {
			t.Errorf("verdict %q", j.Verdict)
		}
	})
	t.Run("lies", func(t *testing.T) {
		r, _ := ask(t, raw(t, func(b []byte) [][]byte { return [][]byte{b[:len(b)-2]} }), "sales.corp.example")
		facts := slices.DeleteFunc(known(), func(f diag.Fact) bool { return f.Key == "wire.client.dns" })
		if j := check.Judge(append(facts, r.facts...), time.Now()); strings.HasPrefix(j.Verdict, "rc-dns") {
			t.Errorf("an answer that makes no sense leads to %q", j.Verdict)
		}
	})
}

// known is a client in Setup Mode that asks for names and gets nowhere.
func known() []diag.Fact {
	var out []diag.Fact
	for k, v := range map[string]any{"client.prov_state": "in", "client.enabled": true, "client.setup_data": "pid", "client.amt_version": "3.2.1", "client.nic": "onboard-up",
		"client.ip_mode": "dhcp-lease", "client.suffix": "sales.corp.example", "client.server_override": "none", "srv.addr": []string{"10.1.0.10"}, "srv.fqdn": "ns1.corp.example",
		"wire.client.dns": map[string]any{"qname": "provisionserver.sales.corp.example", "rcode": "none", "server": "10.20.0.53"}, "wire.client.syn": "none",
		"wire.client.watch": map[string]any{"seconds": 90, "after": "drain"}} {
		f, err := diag.Make(diag.Fact{Key: k, Value: v})
		if err != nil {
			panic(fmt.Sprint(k, err))
		}
		out = append(out, f)
	}
	return out
}
