package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// program skips a test that needs a foreign program, except where everything must be there.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("%s is missing (bind9-dnsutils)", name)
	}
	if err != nil {
		t.Skipf("%s is missing (bind9-dnsutils)", name)
	}
	return path
}

const testSecret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldCE="

// twoViews starts two name servers: the server's side has all records, the client's side a copy
// without the name of the provisioning server.
func twoViews(t *testing.T) (client, server netip.AddrPort, own *zone) {
	t.Helper()
	full, err := newZone("corp.example", "ns1.corp.example", `
ns1 A 10.0.0.53
provisionserver CNAME scs01
scs01 A 10.0.0.10
dangling CNAME gone
loop1 CNAME loop2
loop2 CNAME loop1
deep.in A 10.0.0.9
`)
	if err != nil {
		t.Fatal(err)
	}
	own = copyOf(full)
	own.remove("provisionserver.corp.example", 5)
	ctx := context.Background()
	p, n, err := findLoopback(ctx, rand.New(rand.NewPCG(1, uint64(os.Getpid()))), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	start := func(a netip.Addr, z *zone) netip.AddrPort {
		s, err := listenNames(ctx, n, a, &view{zones: []*zone{z}}, testSecret)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return n.real(s.addr)
	}
	return start(p.clientDNS, own), start(p.serverDNS, full), own
}

// dig asks as any other program would.
func dig(t *testing.T, at netip.AddrPort, args ...string) string {
	t.Helper()
	args = append([]string{"+tries=1", "+timeout=2", "@" + at.Addr().String(), "-p", fmt.Sprint(at.Port())}, args...)
	out, err := exec.Command(program(t, "dig"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("dig: %v\n%s", err, out)
	}
	return string(out)
}

func TestForeignClientSeesTheViews(t *testing.T) {
	client, server, _ := twoViews(t)
	tests := []struct {
		name string
		at   netip.AddrPort
		args []string
		want []string
	}{
		{"the server's side has the record", server, []string{"provisionserver.corp.example"},
			[]string{"status: NOERROR", "CNAME\tscs01.corp.example.", "A\t10.0.0.10"}},
		{"over TCP too", server, []string{"+tcp", "ProvisionServer.CORP.example"}, []string{"status: NOERROR", "10.0.0.10", "(TCP)"}},
		{"the client's side has not", client, []string{"provisionserver.corp.example"}, []string{"status: NXDOMAIN", "SOA"}},
		{"a dangling CNAME has no address", server, []string{"dangling.corp.example"},
			[]string{"status: NXDOMAIN", "ANSWER: 1,", "CNAME\tgone.corp.example."}},
		{"a circle ends", server, []string{"loop1.corp.example"}, []string{"status: SERVFAIL"}},
		{"a name without records above one with some", server, []string{"in.corp.example"}, []string{"status: NOERROR", "ANSWER: 0,"}},
		{"a type that is not there", server, []string{"scs01.corp.example", "AAAA"}, []string{"status: NOERROR", "ANSWER: 0,"}},
		{"the bare name", server, []string{"provisionserver"}, []string{"status: NXDOMAIN"}},
		{"EDNS is answered with EDNS", server, []string{"+edns=0", "scs01.corp.example"}, []string{"EDNS: version: 0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := dig(t, tt.at, tt.args...)
			for _, w := range tt.want {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in\n%s", w, out)
				}
			}
		})
	}
}

// nsupdate sends a dynamic update with the real program and gives what it says.
func nsupdate(t *testing.T, at netip.AddrPort, secret string, lines ...string) (string, error) {
	t.Helper()
	in := fmt.Sprintf("server %s %d\nzone corp.example\n", at.Addr(), at.Port())
	if secret != "" {
		in += "key hmac-sha256:" + updateKey + " " + secret + "\n"
	}
	cmd := exec.Command(program(t, "nsupdate"), "-t", "3")
	cmd.Stdin = strings.NewReader(in + strings.Join(lines, "\n") + "\nsend\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestForeignClientUpdates(t *testing.T) {
	client, server, own := twoViews(t)
	add := "update add provisionserver.corp.example 300 CNAME scs01.corp.example"
	steps := []struct {
		name, secret string
		lines        []string
		says         string // of nsupdate; empty means that it worked
	}{
		{"unsigned", "", []string{add}, "REFUSED"},
		{"wrong key", strings.Replace(testSecret, "c2", "d2", 1), []string{add}, "NOTAUTH"},
		{"outside the zone", testSecret, []string{"update add provisionserver.other.example 300 A 10.0.0.1"}, "NOTZONE"},
		{"prerequisite fails", testSecret, []string{"prereq yxrrset provisionserver.corp.example CNAME", add}, "NXRRSET"},
		{"name must not be there and is", testSecret, []string{"prereq nxdomain scs01.corp.example", add}, "YXDOMAIN"},
		{"signed", testSecret, []string{"prereq nxdomain provisionserver.corp.example", add}, ""},
	}
	for _, s := range steps {
		out, err := nsupdate(t, client, s.secret, s.lines...)
		if (err == nil) != (s.says == "") || !strings.Contains(out, s.says) {
			t.Errorf("%s: nsupdate says %q, error %v; want %q", s.name, out, err, s.says)
		}
	}
	if out := dig(t, client, "+short", "provisionserver.corp.example"); !strings.Contains(out, "10.0.0.10") {
		t.Errorf("after the update the client's side says %q", out)
	}
	if out := dig(t, server, "+short", "provisionserver.corp.example"); !strings.Contains(out, "10.0.0.10") {
		t.Errorf("the server's side says %q", out)
	}
	if out, err := nsupdate(t, client, testSecret, "update delete provisionserver.corp.example CNAME",
		"update delete corp.example SOA", "update delete scs01.corp.example A 10.0.0.10"); err != nil {
		t.Errorf("delete: %v: %s", err, out)
	}
	if _, there := own.at("provisionserver.corp.example"); there {
		t.Error("the record is still there")
	}
	if _, there := own.at("scs01.corp.example"); there {
		t.Error("the single record is still there")
	}
	if len(own.soa()) != 1 {
		t.Error("an update took the SOA away")
	}
}
