package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/check"
	"amtmedic/diag/flow"
	"amtmedic/diag/journal"
	"amtmedic/diag/remedy"
	"amtmedic/diag/site"
)

const zoneKey = "c2VjcmV0IG9mIHRoZSB0ZXN0IGtleSwgMzIgYnl0ZXM="

// The zones of the two views. Addresses are loopback ones, so that nothing leaves this machine.
const (
	zoneHead = `$TTL 300
@ SOA ns1.corp.example. root.corp.example. 1 3600 600 86400 60
@ NS ns1.corp.example.
`
	zoneCorp = zoneHead + "ns1 A 127.77.2.10\nold A 127.77.9.9\n"
)

var viewZones = []struct{ name, client, server string }{
	{"corp.example", zoneCorp, zoneCorp},
	{"none.example", zoneHead, ""}, // one zone in both views
	{"split.example", zoneHead, zoneHead + "provisionserver CNAME ns1.corp.example.\n"},
	{"other.example", zoneHead + "provisionserver A 127.77.9.9\n", zoneHead + "provisionserver CNAME ns1.corp.example.\n"},
	{"wrong.example", zoneHead + "provisionserver CNAME old.corp.example.\n", ""},
	{"dangling.example", zoneHead + "provisionserver CNAME gone.corp.example.\n", ""},
	{"good.example", zoneHead + "provisionserver CNAME ns1.corp.example.\n", ""},
	{"home.example", zoneHead + "ns2 A 127.77.2.10\nprovisionserver CNAME ns2\n", ""},
}

// splitBIND runs two name servers, one as clients see the zones and one as servers do, and gives the
// address of each. The clients' zones take updates that are signed with amtmedic-key.
func splitBIND(t *testing.T) (client, server string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ports := []int{freeTCPAndUDP(t), freeTCPAndUDP(t)}
	zones := []string{fmt.Sprintf("key amtmedic-key { algorithm hmac-sha256; secret %q; };\n", zoneKey), ""}
	for _, z := range viewZones {
		write(z.name+".client", z.client)
		zones[0] += fmt.Sprintf("zone %q { type primary; file \"%s.client\"; allow-update { key amtmedic-key; }; };\n", z.name, z.name)
		if z.server == "" {
			zones[1] += fmt.Sprintf("zone %q { type forward; forward only; forwarders { 127.0.0.1 port %d; }; };\n", z.name, ports[0])
			continue
		}
		write(z.name+".server", z.server)
		zones[1] += fmt.Sprintf("zone %q { type primary; file \"%s.server\"; };\n", z.name, z.name)
	}
	for i, recursion := range []string{"recursion no", "recursion yes; max-cache-ttl 0; max-ncache-ttl 0"} {
		conf := fmt.Sprintf("named%d.conf", i)
		write(conf, fmt.Sprintf(`options { directory "%s"; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
  pid-file none; session-keyfile none; dnssec-validation no; %s; };
controls { };
%s`, dir, ports[i], recursion, zones[i]))
		startNamed(t, filepath.Join(dir, conf))
	}
	return fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
}

// startNamed runs BIND until the test ends, and waits until it has loaded its zones.
func startNamed(t *testing.T, conf string) {
	t.Helper()
	path, err := exec.LookPath("named")
	if err != nil {
		path = "/usr/sbin/named"
	}
	if _, err := os.Stat(path); err != nil {
		missing(t, "named is not installed here")
	}
	var out safeBuffer
	cmd := exec.Command(path, "-g", "-c", conf)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 200 {
		if strings.Contains(out.String(), "running\n") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("named does not run: %s", out.String())
}

// missing skips a test for lack of a program or a right, except on the build server.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func freeTCPAndUDP(t *testing.T) int {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp", l.Addr().String())
		_ = l.Close()
		if err == nil {
			_ = u.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// diagnosed runs diagnose with --json and gives its verdict object.
func diagnosed(t *testing.T, code int, args ...string) (v diag.Judgement, stderr string) {
	t.Helper()
	var errs safeBuffer
	cmd := exec.Command("amtmedic", append([]string{"diagnose", "--json"}, args...)...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("diagnose %s: exit %d, want %d (%v)\n%s%s", strings.Join(args, " "), got, code, err, out, errs.String())
	}
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("diagnose %s: %v: %s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return v, errs.String()
}

// TestDiagnoseBIND: what a real name server with two views says leads to the right verdict.
func TestDiagnoseBIND(t *testing.T) {
	t.Parallel()
	client, server := splitBIND(t)
	dead := fmt.Sprintf("127.0.0.1:%d", freeTCPAndUDP(t))
	for _, tt := range []struct {
		suffix, resolver, server, want string
		conf                           diag.Confidence
	}{
		{"none.example", client, "ns1.corp.example", "rc-dns-no-record", diag.Proven},
		{"split.example", client, "ns1.corp.example", "rc-dns-split-horizon", diag.Proven},
		{"other.example", client, "ns1.corp.example", "rc-dns-split-horizon", diag.Proven},
		{"wrong.example", client, "ns1.corp.example", "rc-dns-wrong-target", diag.Proven},
		{"dangling.example", client, "ns1.corp.example", "rc-dns-cname-dangling", diag.Proven},
		{"none.example", client, "ns2.home.example", "rc-dns-wrong-suffix", diag.Proven},
		{"refused.example", client, "ns1.corp.example", "rc-dns-unreachable", diag.Likely},
		{"good.example", dead, "ns1.corp.example", "rc-dns-unreachable", diag.Proven},
		{"wrong.example", client, "127.77.2.10", "rc-dns-wrong-target", diag.Proven}, // by its address
	} {
		t.Run(tt.suffix+" "+tt.want, func(t *testing.T) {
			v, stderr := diagnosed(t, exitFound, "--resolver", tt.resolver, "--server-resolver", server, "--server", tt.server, "--suffix", tt.suffix)
			if v.Verdict != tt.want || v.Confidence != tt.conf || v.Component != "name service" {
				t.Errorf("verdict %s, %s, %s, decided by %v; stderr %s", v.Verdict, v.Component, v.Confidence, v.DecidedBy, stderr)
			}
			for _, k := range v.DecidedBy {
				if !strings.Contains(caseFacts(t, v.Case), fmt.Sprintf(`"key":%q`, k)) {
					t.Errorf("decided by %s, which is not among the case's facts", k)
				}
			}
		})
	}
	text := amtmedic(t, exitUndecided, "diagnose", "--resolver", client, "--server-resolver", server, "--server", "ns1.corp.example", "--suffix", "good.example")
	want(t, text, "+ name", "undecided")
}

// caseFacts gives the facts of a case as they lie on disk.
func caseFacts(t *testing.T, id string) string {
	t.Helper()
	dir, err := journal.Dir()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, id, "facts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRepairBIND: the walk's remedy writes the record by a signed update, the road is green there,
// and undo takes it back.
func TestRepairBIND(t *testing.T) {
	t.Parallel()
	client, server := splitBIND(t)
	for _, tt := range []struct{ suffix, cause, remedy string }{
		{"none.example", "rc-dns-no-record", "rm-dns-no-record-3"},
		{"split.example", "rc-dns-split-horizon", "rm-dns-split-horizon"},
		{"wrong.example", "rc-dns-wrong-target", "rm-dns-wrong-target"},
		{"dangling.example", "rc-dns-cname-dangling", "rm-dns-cname-dangling"},
	} {
		t.Run(tt.remedy, func(t *testing.T) {
			w := site.New(site.Options{Server: "ns1.corp.example", Resolvers: []string{client}, ServerResolvers: []string{server}, Suffixes: []string{tt.suffix}})
			walk, err := flow.New(flow.Options{World: w, Judge: check.Judge, Info: checkInfo})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			ended := make(chan struct{})
			go func() { _ = walk.Run(ctx); close(ended) }()
			defer func() { cancel(); <-ended }()
			expect := func(verdict string, name diag.Light) flow.Snapshot {
				t.Helper()
				s, err := flow.Settle(ctx, walk)
				if err != nil || s.Judgement.Verdict != verdict || s.Judgement.Road[diag.Name] != name {
					t.Fatalf("verdict %q, road %v, problems %q, error %v; want %q", s.Judgement.Verdict, s.Judgement.Road, s.Problems, err, verdict)
				}
				return s
			}
			s := expect(tt.cause, diag.Broken)
			i := slices.IndexFunc(s.Judgement.Remedies, func(r diag.Remedy) bool { return r.ID == tt.remedy })
			if i < 0 {
				t.Fatalf("remedies %v", s.Judgement.Remedies)
			}
			plan, automatic, err := walk.Preview(ctx, s.Judgement.Remedies[i])
			if err != nil || !automatic || !strings.Contains(fmt.Sprint(plan.Rows), "provisionserver."+tt.suffix+".  300  CNAME  ns1.corp.example.") {
				t.Fatalf("plan %+v, %v", plan, err)
			}
			in := map[string]string{remedy.FieldKeyName: "amtmedic-key", remedy.FieldKeySecret: "d3Jvbmcgc2VjcmV0IGJ1dCBnb29kIGJhc2U2NCBmb3JtIQ=="}
			if _, err := walk.Apply(ctx, s.Judgement.Remedies[i], in); err == nil {
				t.Fatal("a wrong secret was taken")
			}
			in[remedy.FieldKeySecret] = zoneKey
			if tt.suffix == "none.example" {
				time.Sleep(1100 * time.Millisecond) // BIND keeps a negative answer to the end of its second
			}
			if _, err := walk.Apply(ctx, s.Judgement.Remedies[i], in); err != nil {
				t.Fatal(err)
			}
			s = expect("", diag.Good)
			if s.Step.Kind != flow.Planned || s.Step.Remedy.ID != "rm-restart-hello" {
				t.Errorf("the next step is %v %v", s.Step.Kind, s.Step.Remedy)
			}
			if err := walk.UndoRemedy(ctx); err != nil {
				t.Fatal(err)
			}
			s = expect(tt.cause, diag.Broken)
			for _, a := range s.Actions {
				if strings.Contains(fmt.Sprint(a), zoneKey) {
					t.Errorf("the secret stands in the action log: %v", a)
				}
			}
		})
	}
}
