package probe

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// procNet was written by Linux 6.1: ssh on all addresses, port 9971 on loopback, an open connection.
const procNet = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 18331 1 0000000000000000 100 0 0 10 0
   1: 0100007F:26F3 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 22114 1 0000000000000000 100 0 0 10 0
   2: 0A01140A:26F3 0700140A:4262 01 00000000:00000000 02:000A7214 00000000  1000        0 22119 2 0000000000000000 20 4 30 10 -1
`

const procNet6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:26F3 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19001 1 0000000000000000 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19002 1 0000000000000000 100 0 0 10 0
`

func TestParseProcNet(t *testing.T) {
	all := append(parseProcNet([]byte(procNet)), parseProcNet([]byte(procNet6))...)
	if len(all) != 4 {
		t.Fatalf("got %v", all)
	}
	text := func(aps []netip.AddrPort) string {
		var s []string
		for _, ap := range aps {
			s = append(s, ap.String())
		}
		return strings.Join(s, " ")
	}
	if got := text(pick(all, 9971, nil)); got != "127.0.0.1:9971 [::]:9971" {
		t.Errorf("on the port: %s", got)
	}
	if got := text(pick(all, 9971, map[uint64]bool{19002: true})); got != "127.0.0.1:8080 127.0.0.1:9971 [::]:9971" {
		t.Errorf("with another port of the service: %s", got)
	}
}

func TestListeners(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(l.Addr().String())
	r, err := run(t, Listeners(at.Port(), "no-such-service"))
	if err != nil || len(r.facts) != 1 {
		t.Fatalf("facts %v, error %v", r.facts, err)
	}
	if list := r.facts[0].Value.([]any); len(list) == 0 || !strings.HasSuffix(list[0].(string), at.String()[strings.Index(at.String(), ":"):]) {
		t.Errorf("listening on %v, got %v", at, list)
	}
	_ = l.Close()
	if r, err = run(t, Listeners(at.Port(), "no-such-service")); err != nil || len(r.facts[0].Value.([]any)) != 0 {
		t.Errorf("closed, got %v, error %v", r.facts, err)
	}
}

func TestResolvConf(t *testing.T) {
	const file = "# made by hand\nnameserver 10.20.0.53\nnameserver fd00::53 ; second\nnameserver 10.20.0.53\nnameserver nonsense\ndomain old.example\nsearch Corp.Example. lab.example lab.example\noptions ndots:2\n"
	s := parseResolvConf(strings.NewReader(file))
	if strings.Join(s.Resolvers, " ") != "10.20.0.53 fd00::53" || strings.Join(s.Search, " ") != "corp.example lab.example" || s.Cached {
		t.Errorf("got %+v", s)
	}
	if s := parseResolvConf(strings.NewReader("nameserver 127.0.0.53\n")); !s.Cached {
		t.Errorf("a cache on loopback is not told: %+v", s)
	}
}

func FuzzParseProcNet(f *testing.F) {
	f.Add([]byte(procNet))
	f.Add([]byte(procNet6))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range parseProcNet(b) {
			if !s.at.IsValid() {
				t.Errorf("an address that is none from %q", b)
			}
		}
	})
}

func FuzzResolvConf(f *testing.F) {
	f.Add("nameserver 10.0.0.1\nsearch a.example\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range parseResolvConf(strings.NewReader(s)).Resolvers {
			if _, err := netip.ParseAddr(r); err != nil {
				t.Errorf("resolver %q", r)
			}
		}
	})
}

func TestProcAddress(t *testing.T) {
	if _, err := os.Stat("/proc/net/tcp"); err == nil {
		b, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Count(string(b), " 0A ")
		if got := len(parseProcNet(b)); got != want {
			t.Errorf("%d of %d listening sockets of this machine read", got, want)
		}
	}
	for _, bad := range []string{"", "0100007F", "0100007F:", "0100007F:1FFFF", "01:26F3", "XX00007F:26F3"} {
		if a, ok := procAddress(bad); ok {
			t.Errorf("%q gives %v", bad, a)
		}
	}
}
