package remedy

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"amtmedic/diag"
	"amtmedic/diag/probe"
)

const testSecret = "c2VjcmV0IG9mIHRoZSB0ZXN0IGtleSwgMzIgYnl0ZXM="

// program finds a foreign program. Without it the test is skipped, on the build server it fails.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path = "/usr/sbin/" + name; fileExists(path) {
			return path
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed here", name)
		}
		t.Skipf("%s is not installed here", name)
	}
	return path
}

func fileExists(path string) bool { _, err := os.Stat(path); return err == nil }

// freePort gives a port that is free for UDP and TCP on loopback.
func freePort(t *testing.T) int {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		pc, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
		_ = l.Close()
		if err == nil {
			_ = pc.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// start runs a server until the test ends and waits until it answers a DNS question.
func start(t *testing.T, at, name string, path string, args ...string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	for range 100 {
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeSOA)
		c := dns.Client{Net: "tcp", Timeout: time.Second}
		if r, _, err := c.Exchange(m, at); err == nil && r.Rcode != dns.RcodeServerFailure { // which it gives while it loads
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s does not answer at %s: %s", path, at, out.String())
}

// named runs BIND with the zone corp.example, which the key amtmedic-key may change. The key
// other-key is known and may change nothing.
func named(t *testing.T) string {
	t.Helper()
	path := program(t, "named")
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port := freePort(t)
	write("named.conf", fmt.Sprintf(`options { directory "%s"; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
  pid-file "%s/named.pid"; session-keyfile "%s/session.key"; recursion no; dnssec-validation no; allow-transfer { none; }; };
controls { };
key "amtmedic-key" { algorithm hmac-sha256; secret "%s"; };
key "other-key" { algorithm hmac-sha512; secret "%s"; };
zone "corp.example" { type primary; file "corp.zone"; allow-update { key "amtmedic-key"; }; };
zone "sub.corp.example" { type primary; file "sub.zone"; allow-update { key "amtmedic-key"; }; };
`, dir, port, dir, dir, testSecret, testSecret))
	write("corp.zone", `$TTL 300
@ SOA ns1.corp.example. root.corp.example. 1 3600 600 86400 60
@ NS ns1
ns1 A 10.1.0.10
old A 10.9.9.9
taken A 10.1.0.77
wrong CNAME old.corp.example.
dangling CNAME gone.corp.example.
outside CNAME ps.elsewhere.example.
round CNAME about.corp.example.
about CNAME round.corp.example.
six AAAA 2001:db8::10
`)
	write("sub.zone", `$TTL 300
@ SOA ns1.corp.example. root.corp.example. 1 3600 600 86400 60
@ NS ns1.corp.example.
wrong CNAME gone.corp.example.
`)
	at := fmt.Sprintf("127.0.0.1:%d", port)
	start(t, at, "corp.example.", path, "-g", "-c", filepath.Join(dir, "named.conf"))
	return at
}

// names asks a server as the walk does and gives the value of dns.client for one name.
func names(t *testing.T, at, suffix, host string) map[string]any {
	t.Helper()
	var got diag.Fact
	p := probe.Names(probe.Target{Side: diag.AtClient, Resolvers: []string{at}, Suffixes: []string{suffix}, Host: host})[0]
	if err := p.Run(t.Context(), report(func(f diag.Fact) { got = f })); err != nil {
		t.Fatal(err)
	}
	f, err := diag.Make(got)
	if err != nil {
		t.Fatal(err)
	}
	return f.Value.(map[string]any)
}

type report func(diag.Fact)

func (r report) Fact(f diag.Fact)        { r(f) }
func (r report) Saw(string)              {}
func (r report) Until(time.Time, string) {}

func row(p Plan, label string) string {
	for _, r := range p.Rows {
		if r.Label == label {
			return r.Text
		}
	}
	return ""
}

func key(name string) map[string]string {
	return map[string]string{FieldKeyName: name, FieldKeySecret: testSecret}
}

func TestBINDAddAndUndo(t *testing.T) {
	at := named(t)
	if v := names(t, at, "corp.example", ""); v["rcode"] != "NXDOMAIN" {
		t.Fatalf("before: %v", v)
	}
	a := DNSUpdate(CNAME{ID: "rm-dns-no-record", Server: at, Name: "provisionserver.corp.example", Target: "ns1.corp.example"})
	plan, err := a.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if row(plan, "to") != at+", zone corp.example" || row(plan, "adds") != "provisionserver.corp.example.  300  CNAME  ns1.corp.example." || row(plan, "removes") != "nothing" ||
		!strings.HasPrefix(row(plan, "checked first"), "no record of that name there") || row(plan, "note") != "" || plan.Confirm != "yes" {
		t.Errorf("plan %+v", plan)
	}
	if v := names(t, at, "corp.example", ""); v["rcode"] != "NXDOMAIN" {
		t.Fatalf("the preview changed the zone: %v", v)
	}
	done, err := a.Apply(t.Context(), key("amtmedic-key"))
	if err != nil || !strings.Contains(done, "answers with provisionserver.corp.example.") {
		t.Fatalf("apply: %q, %v", done, err)
	}
	if v := names(t, at, "corp.example", ""); v["rcode"] != "NOERROR" || fmt.Sprint(v["cname"], v["addr"]) != "[ns1.corp.example] [10.1.0.10]" {
		t.Errorf("after: %v", v)
	}
	if _, err := a.Plan(t.Context()); err == nil || !strings.Contains(err.Error(), "there already") {
		t.Errorf("a second preview: %v", err)
	}
	if err := a.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := names(t, at, "corp.example", ""); v["rcode"] != "NXDOMAIN" {
		t.Errorf("after undo: %v", v)
	}
	if err := a.Undo(t.Context()); err == nil {
		t.Error("undo twice")
	}
}

func TestBINDCorrect(t *testing.T) {
	at := named(t)
	c := CNAME{ID: "rm-dns-wrong-target", Server: at, Name: "wrong.corp.example", Target: "ns1.corp.example", TTL: 60}
	if _, err := DNSUpdate(c).Plan(t.Context()); err == nil || !strings.Contains(err.Error(), "a CNAME to old.corp.example. has that name") {
		t.Errorf("without leave to correct: %v", err)
	}
	c.Correct = true
	a := DNSUpdate(c)
	plan, err := a.Plan(t.Context())
	if err != nil || row(plan, "removes") != "wrong.corp.example.  300  CNAME  old.corp.example." || !strings.Contains(plan.Title, "Correct") {
		t.Fatalf("plan %+v, error %v", plan, err)
	}
	if _, err := a.Apply(t.Context(), key("hmac-sha256:amtmedic-key")); err != nil {
		t.Fatal(err)
	}
	if v := names(t, at, "corp.example", "wrong"); fmt.Sprint(v["cname"]) != "[ns1.corp.example]" {
		t.Errorf("after: %v", v)
	}
	if err := a.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	plan, err = DNSUpdate(c).Plan(t.Context())
	if err != nil || row(plan, "removes") != "wrong.corp.example.  300  CNAME  old.corp.example." {
		t.Errorf("after undo the old record is not as it was: %+v, %v", plan.Rows, err)
	}
}

// TestBINDRefuses: every refusal is named, and nothing is changed.
// TestBINDTargetInParentZone: the SOA behind a CNAME is that of its target's zone, not of the name's.
func TestBINDTargetInParentZone(t *testing.T) {
	at := named(t)
	ctx := context.Background()
	a := DNSUpdate(CNAME{ID: "rm-dns-wrong-target", Server: at, Name: "wrong.sub.corp.example", Target: "ns1.corp.example", Correct: true})
	p, err := a.Plan(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(p.Rows); !strings.Contains(text, "zone sub.corp.example") {
		t.Errorf("planned for another zone: %s", text)
	}
	if _, err := a.Apply(ctx, map[string]string{FieldKeyName: "amtmedic-key", FieldKeySecret: testSecret}); err != nil {
		t.Fatal(err)
	}
}

func TestBINDRefuses(t *testing.T) {
	at := named(t)
	c := CNAME{Server: at, Name: "provisionserver.corp.example", Target: "ns1.corp.example"}
	wrong := key("amtmedic-key")
	wrong[FieldKeySecret] = "d3Jvbmcgc2VjcmV0IGJ1dCBnb29kIGJhc2U2NCBmb3JtIQ=="
	broken := key("amtmedic-key")
	broken[FieldKeySecret] = "not base64 at all"
	late := c
	late.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	tests := []struct {
		name, want string
		c          CNAME
		in         map[string]string
	}{
		{"unknown key", "does not know the key nobody", c, key("nobody")},
		{"wrong secret", "secret is not that of the server's key", c, wrong},
		{"secret that is no base64", "not base64", c, broken},
		{"key without rights", "may not change the zone", c, key("hmac-sha512:other-key")},
		{"wrong algorithm", "does not know the key amtmedic-key with hmac-sha512", c, key("hmac-sha512:amtmedic-key")},
		{"algorithm that is none", "no algorithm", c, key("md6:amtmedic-key")},
		{"clock", "clocks", late, key("amtmedic-key")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := DNSUpdate(tt.c)
			if _, err := a.Plan(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err := a.Apply(t.Context(), tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v", err)
			}
			if err != nil && strings.Contains(err.Error(), tt.in[FieldKeySecret]) {
				t.Errorf("the error has the secret: %v", err)
			}
			if v := names(t, at, "corp.example", ""); v["rcode"] != "NXDOMAIN" {
				t.Errorf("the zone was changed: %v", v)
			}
		})
	}
}

func TestBINDNeverOverwrites(t *testing.T) {
	at := named(t)
	taken := CNAME{Server: at, Name: "taken.corp.example", Target: "ns1.corp.example", Correct: true}
	if _, err := DNSUpdate(taken).Plan(t.Context()); err == nil || !strings.Contains(err.Error(), "type A") {
		t.Errorf("an address record: %v", err)
	}
	c := CNAME{Server: at, Name: "provisionserver.corp.example", Target: "ns1.corp.example"}
	mine, other := DNSUpdate(c), DNSUpdate(CNAME{Server: at, Name: c.Name, Target: "old.corp.example"})
	for _, a := range []Action{mine, other} {
		if _, err := a.Plan(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Apply(t.Context(), key("amtmedic-key")); err != nil {
		t.Fatal(err)
	}
	if _, err := mine.Apply(t.Context(), key("amtmedic-key")); err == nil || !strings.Contains(err.Error(), "meanwhile") {
		t.Errorf("a record that came after the preview: %v", err)
	}
	if v := names(t, at, "corp.example", ""); fmt.Sprint(v["cname"]) != "[old.corp.example]" {
		t.Errorf("overwritten: %v", v)
	}
	if err := mine.Undo(t.Context()); err == nil {
		t.Error("undo of what was not done")
	}
	dangling := DNSUpdate(CNAME{Server: at, Name: "ps2.corp.example", Target: "gone.corp.example"})
	plan, err := dangling.Plan(t.Context())
	if err != nil || !strings.Contains(row(plan, "note"), "no address for gone.corp.example") {
		t.Errorf("a target without address: %+v, %v", plan.Rows, err)
	}
	outside := DNSUpdate(CNAME{Server: at, Name: "provisionserver.other.example", Target: "ns1.corp.example"})
	if _, err := outside.Plan(t.Context()); err == nil {
		t.Error("a zone that the server does not have")
	}
}

// TestNamesAgainstBIND: what a real authoritative server answers to each kind of broken record.
func TestNamesAgainstBIND(t *testing.T) {
	at := named(t)
	for host, want := range map[string]string{
		"ns1":      "NOERROR [] [10.1.0.10]",
		"wrong":    "NOERROR [old.corp.example] [10.9.9.9]",
		"dangling": "NXDOMAIN [gone.corp.example] []",
		"outside":  "<nil> [ps.elsewhere.example] <nil>", // it is not the server for that name: not known
		"round":    "SERVFAIL [about.corp.example] []",
		"six":      "NOERROR [] [2001:db8::10]",
		"nothing":  "NXDOMAIN [] []",
	} {
		v := names(t, at, "corp.example", host)
		if got := fmt.Sprint(v["rcode"], " ", v["cname"], " ", v["addr"]); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	if v := names(t, at, "other.example", ""); v["rcode"] != "REFUSED" {
		t.Errorf("a zone that it does not have: %v", v)
	}
}

func TestDNSUpdateNobodyThere(t *testing.T) {
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := DNSUpdate(CNAME{Server: at, Name: "provisionserver.corp.example", Target: "ns1.corp.example"}).Plan(ctx); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v", err)
	}
}

// TestNsupdateByHand feeds the commands shown for BIND to nsupdate itself.
func TestNsupdateByHand(t *testing.T) {
	at := named(t)
	path := program(t, "nsupdate")
	var script strings.Builder
	for _, l := range CNAMEByHand(CNAME{Server: at, Name: "provisionserver.corp.example", Target: "ns1.corp.example"}, nil) {
		if c, ok := strings.CutPrefix(l, "  > "); ok {
			script.WriteString(c + "\n")
		}
	}
	cmd := exec.CommandContext(t.Context(), path, "-y", "hmac-sha256:amtmedic-key:"+testSecret)
	cmd.Stdin = strings.NewReader(script.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, script.String())
	}
	if v := names(t, at, "corp.example", ""); fmt.Sprint(v["cname"]) != "[ns1.corp.example]" {
		t.Errorf("after nsupdate: %v", v)
	}
}

func TestDnsmasqByHand(t *testing.T) {
	path := program(t, "dnsmasq")
	port := freePort(t)
	at := fmt.Sprintf("127.0.0.1:%d", port)
	conf := "host-record=ns1.corp.example,10.1.0.10\n"
	for _, l := range CNAMEByHand(CNAME{Name: "provisionserver.corp.example", Target: "ns1.corp.example"}, nil) {
		if c := strings.TrimSpace(l); strings.HasPrefix(c, "cname=") {
			conf += c + "\n"
		}
	}
	file := filepath.Join(t.TempDir(), "dnsmasq.conf")
	if err := os.WriteFile(file, []byte(conf+"cname=dangling.corp.example,gone.corp.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, at, "ns1.corp.example.", path, "-k", "-C", file, "-p", fmt.Sprint(port), "--no-resolv", "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces",
		"--local=/corp.example/", "--user="+os.Getenv("USER"), "--pid-file=")
	if v := names(t, at, "corp.example", ""); fmt.Sprint(v["cname"], v["addr"]) != "[ns1.corp.example] [10.1.0.10]" {
		t.Errorf("CNAME of dnsmasq: %v", v)
	}
	if v := names(t, at, "corp.example", "nothing"); v["rcode"] != "NXDOMAIN" {
		t.Errorf("no such name: %v", v)
	}
	// Without the target in its own hosts dnsmasq does not serve the CNAME at all.
	if v := names(t, at, "corp.example", "dangling"); len(v["addr"].([]any)) != 0 {
		t.Errorf("dangling: %v", v)
	}
}
