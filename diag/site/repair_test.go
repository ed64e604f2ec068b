package site

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/mei"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// TestRecord: which record a DNS update would write, and where.
func TestRecord(t *testing.T) {
	dns := func(qname, server string) diag.Fact {
		return known("dns.client", map[string]any{"qname": qname, "rcode": "NXDOMAIN", "addr": []string{}, "server": server})
	}
	fqdn := known("srv.fqdn", "ns1.corp.example")
	for _, tt := range []struct {
		name, want string
		given      []diag.Fact
	}{
		{"all known", "provisionserver.corp.example at 10.20.0.53:53", []diag.Fact{fqdn, dns("provisionserver.corp.example", "10.20.0.53")}},
		{"another port", "provisionserver.corp.example at 127.0.0.1:5353", []diag.Fact{fqdn, dns("provisionserver.corp.example", "127.0.0.1:5353")}},
		{"IPv6", "provisionserver.corp.example at [2001:db8::53]:53", []diag.Fact{fqdn, dns("provisionserver.corp.example", "2001:db8::53")}},
		{"never a name that the client does not ask for", "", []diag.Fact{fqdn, dns("provisionserver.elsewhere.example", "10.20.0.53")}},
		{"the ME's own suffix counts", "provisionserver.elsewhere.example at 10.20.0.53:53",
			[]diag.Fact{fqdn, known("client.suffix", "elsewhere.example"), dns("provisionserver.corp.example", "10.20.0.53"), dns("provisionserver.elsewhere.example", "10.20.0.53")}},
		{"target not known", "", []diag.Fact{dns("provisionserver.corp.example", "10.20.0.53")}},
		{"server not known", "", []diag.Fact{fqdn, known("dns.client", map[string]any{"qname": "provisionserver.corp.example", "timeout": true})}},
	} {
		c, ok := at(t, Options{Suffixes: []string{"corp.example"}}).record(view(tt.given...))
		if got := c.Name + " at " + c.Server; ok != (tt.want != "") || ok && (got != tt.want || c.Target != "ns1.corp.example") {
			t.Errorf("%s: %s, %v", tt.name, got, ok)
		}
	}
}

// TestActions: repairs are offered where they can be done, and nowhere else.
func TestActions(t *testing.T) {
	db := database(t)
	here, away := known("srv.addr", []string{"127.0.0.1"}), known("srv.addr", []string{"10.1.0.10"})
	for _, tt := range []struct {
		id    string
		o     Options
		given diag.Fact
		want  bool
	}{
		{"rm-pid-unknown", Options{Database: db}, away, true},
		{"rm-pid-unknown", Options{}, away, false},
		{"rm-pps-mismatch", Options{Database: db}, away, true},
		{"rm-amtconfig-stopped", Options{Database: db}, here, true},
		{"rm-amtconfig-stopped", Options{Database: db}, away, false}, // it would start on the wrong machine
		{"rm-amtconfig-stopped", Options{}, here, false},
		{"rm-dns-no-record-3", Options{}, away, false}, // nothing is known of the record
		{"rm-hello-expired", Options{Database: db}, here, false},
	} {
		w := at(t, tt.o)
		if _, ok := w.Action(nil, diag.Remedy{ID: tt.id}); ok {
			t.Errorf("%s before anything was looked at", tt.id)
		}
		w.Probes(view(tt.given))
		if a, ok := w.Action(nil, diag.Remedy{ID: tt.id}); ok != tt.want || ok && a.ID != tt.id {
			t.Errorf("%s with %+v: %v", tt.id, tt.o, ok)
		}
	}
}

// TestLocalRestart: the hello is restarted from here only where the firmware of this machine is at hand.
func TestLocalRestart(t *testing.T) {
	local := Options{Local: func(context.Context, mei.ID) (mei.Link, error) { return nil, mei.ErrNoClient }}
	for _, tt := range []struct {
		name, kind string
		o          Options
		given      diag.Fact
		want       bool
	}{
		{"the client itself", "automatic", local, known("client.mei", "ok"), true},
		{"drained, by hand", "manual", local, known("client.mei", "ok"), false},
		{"no right to ask", "automatic", local, known("client.mei", "denied"), false},
		{"somebody else's computer", "automatic", Options{}, known("client.mei", "ok"), false},
	} {
		w := at(t, tt.o)
		w.Probes(view(tt.given))
		if _, ok := w.Action(nil, diag.Remedy{ID: "rm-restart-hello", Kind: tt.kind}); ok != tt.want {
			t.Errorf("%s: %v", tt.name, ok)
		}
	}
}

// TestOwnServer: the hello server that a repair starts makes the road green, until it is undone.
func TestOwnServer(t *testing.T) {
	db := database(t)
	w := at(t, Options{Database: db})
	w.Probes(view(known("srv.addr", []string{"127.0.0.1"})))
	a, ok := w.Action(nil, diag.Remedy{ID: "rm-amtconfig-stopped"})
	if !ok {
		t.Fatal("no repair")
	}
	w.servers[0].Listen = "127.0.0.1:0"
	state := func() any {
		var got any
		w.state(db, nil, told(func(f diag.Fact) { got = f.Value }))
		return got
	}
	if got := state(); got != "stopped" {
		t.Errorf("before: %v", got)
	}
	if _, err := a.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != "running" {
		t.Errorf("while it runs: %v", got)
	}
	if err := a.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != "stopped" {
		t.Errorf("after undo: %v", got)
	}
}

// TestLastHello: what the core keeps of a hello is a fact of the server's side, and no more is said.
func TestLastHello(t *testing.T) {
	db := database(t)
	sent := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	o := store.Options{Now: func() time.Time { return sent }}
	s, err := store.Open(t.Context(), db, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	psk, _ := amt.ParseUUID(testUUID)
	pki, odd, none := amt.UUID{1}, amt.UUID{2}, amt.UUID{3}
	for _, h := range []store.Hello{{UUID: psk, Version: hello.VersionPSK, PID: "0000037M"}, {UUID: pki, Version: hello.VersionPKI}, {UUID: odd, Version: 9}} {
		if _, err := s.RecordHello(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	w := at(t, Options{Database: db})
	for u, want := range map[amt.UUID]string{psk: "2 0000037M", pki: "3", odd: "", none: ""} {
		var got []string
		p := w.hello(db, view(known("client.uuid", u.String())))
		err := p.Run(t.Context(), told(func(f diag.Fact) {
			f, err := diag.Make(f)
			if err != nil || f.Key != "wire.server.hello" || !f.At.Equal(sent) || f.Vantage != diag.AtServer {
				t.Errorf("%+v, %v", f, err)
			}
			o := diag.ObjOf(f)
			n, _ := o.Num("version")
			got = append(got, strings.TrimSpace(string('0'+rune(n))+" "+o.Str("pid")))
			if o.Has("problems") || o.Has("dst") || o.Has("length") {
				t.Errorf("more is said than was kept: %v", f.Value)
			}
		}))
		if err != nil || strings.Join(got, ",") != want {
			t.Errorf("%s: %q, %v; want %q", u, got, err, want)
		}
	}
	if p := w.hello(db, view()); p.Needs == "" {
		t.Error("a hello of nobody is looked for")
	}
}

// TestStoredName: a server that MEBx names is asked for as well, at the resolvers of both sides.
func TestStoredName(t *testing.T) {
	w := at(t, Options{Resolvers: []string{"10.20.0.53"}, ServerResolvers: []string{"10.1.0.53"}, Suffixes: []string{"corp.example"}})
	asks := func(stored string) (out []string) {
		for _, p := range w.Probes(view(known("client.server_override", stored))) {
			if strings.HasSuffix(p.ID, "-stored") {
				out = append(out, p.What)
			}
		}
		return out
	}
	want := []string{"ask 10.20.0.53 for scs.home.example", "ask 10.1.0.53 for scs.home.example"}
	if got := asks("SCS.home.example"); !slices.Equal(got, want) {
		t.Errorf("asks %q", got)
	}
	for _, s := range []string{"none", "10.1.0.10", "10.1.0.10:9981", "2001:db8::10", "scs", "provisionserver.corp.example"} {
		if got := asks(s); len(got) > 0 {
			t.Errorf("stored %s: asks %q", s, got)
		}
	}
}

// TestMapped: the client's own name and address are asked for once they are known.
func TestMapped(t *testing.T) {
	w := at(t, Options{ServerResolvers: []string{"10.1.0.53"}})
	ask := func(facts ...diag.Fact) string {
		ps := w.Probes(view(facts...))
		i := slices.IndexFunc(ps, func(p probe.Probe) bool { return p.ID == "names-mapped" })
		if i < 0 {
			return ""
		}
		return ps[i].What
	}
	row := known("db.uuid_map", map[string]any{"fqdn": "pc-0412.corp.example"})
	if got := ask(); got != "" {
		t.Errorf("nothing known: %s", got)
	}
	if got := ask(row); got != "ask 10.1.0.53 for pc-0412.corp.example" {
		t.Errorf("with a row: %s", got)
	}
	if got := ask(row, known("client.me_addr", "10.20.0.7")); got != "ask 10.1.0.53 for pc-0412.corp.example and the name of 10.20.0.7" {
		t.Errorf("with its address: %s", got)
	}
	old := diag.Fact{At: time.Now().Add(-48 * time.Hour), Key: "wire.client.syn", Value: map[string]any{"src": "10.20.0.9:16994", "dst": "10.1.0.10:9971"}}
	if got := ask(old, diag.Fact{At: time.Now(), Key: "db.reach", Value: true}); got != "" {
		t.Errorf("an address of two days ago counts as the present one: %s", got)
	}
}
