package bundle

import (
	"strings"
	"testing"

	"amtmedic/diag"
)

func TestDiff(t *testing.T) {
	question := func(min int, name, addr string) diag.Fact {
		return fact(min, diag.AtClient, "dns.client", map[string]any{"qname": name, "rcode": "NOERROR", "addr": []any{addr}})
	}
	a := &Bundle{Facts: []diag.Fact{
		fact(1, "", "client.prov_state", "pre"), fact(1, "", "client.sku", "amt"), fact(1, "", "client.pid", "4KRG65QT"),
		question(1, "a.example", "10.0.0.1"), question(1, "b.example", "10.0.0.2"),
		fact(1, diag.AtServer, "net.9971", "refused"),
	}}
	b := &Bundle{Facts: []diag.Fact{
		fact(9, "", "client.prov_state", "in"), fact(8, "", "client.prov_state", "post"), // the later one counts, not the last
		fact(9, "", "client.sku", "amt"),
		question(9, "a.example", "10.0.0.1"), question(9, "b.example", "10.0.0.3"),
		fact(9, diag.AtClient, "net.9971", "refused"), fact(9, "", "case.report", "hello"), fact(9, "", "case.report", "again"),
	}}
	d := Diff(a, b)
	var got []string
	for _, f := range d.Removed {
		got = append(got, "-"+f.Key+"@"+string(f.Vantage))
	}
	for _, f := range d.Added {
		got = append(got, "+"+f.Key+"@"+string(f.Vantage))
	}
	for _, p := range d.Changed {
		got = append(got, "~"+p.After.Key+" "+Words(p.Before.Value, 80)+" -> "+Words(p.After.Value, 80))
	}
	want := `-client.pid@
-net.9971@server
+net.9971@client
+case.report@
+case.report@
~client.prov_state pre -> in
~dns.client addr 10.0.0.2, qname b.example, rcode NOERROR -> addr 10.0.0.3, qname b.example, rcode NOERROR`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("difference\n%s", s)
	}
	if d := Diff(a, a); len(d.Added)+len(d.Removed)+len(d.Changed) > 0 {
		t.Errorf("a bundle differs from itself: %+v", d)
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		value any
		max   int
		want  string
	}{
		{"a\x1b[2Jb\u202ec\xffd", 80, "a [2Jb c d"},
		{"", 80, `""`}, {true, 80, "yes"}, {1e6, 80, "1000000"}, {90.5, 80, "90.5"}, {nil, 80, "unknown"}, {[]any{}, 80, "nothing"},
		{[]any{"x", map[string]any{"b": 1.0, "a": "y"}}, 80, "x; a y, b 1"},
		{strings.Repeat("é", 10), 4, "éééé..."},
	} {
		if got := Words(c.value, c.max); got != c.want {
			t.Errorf("%v: %q, want %q", c.value, got, c.want)
		}
	}
}
