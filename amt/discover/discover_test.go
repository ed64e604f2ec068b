package discover

import (
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Pongs that MeshCentral 1.1.55 was given, and what it made of them (provisioning-protocol 4.2).
var pongs = []struct{ hex, version, state string }{
	{"0600ff06000011be4007001000000157426026008120000000000000", "2.6", Pre},
	{"0600ff06000011be4007001000000157426130018120000000000000", "3.0", In},
	{"0600ff06000011be4009001000000157426052068120000000000000", "5.2", Post},
	{"0600ff06000011be4009001000000157426000028120000000000000", "", Post},
}

func TestParsePong(t *testing.T) {
	for _, c := range pongs {
		b, _ := hex.DecodeString(c.hex)
		p, err := ParsePong(b)
		if err != nil || p.Version.String() != c.version || p.State != c.state {
			t.Errorf("%s: %+v, %v", c.hex, p, err)
		}
		for name, change := range map[string]func(){
			"cut off":              func() { b = b[:27] },
			"a ping":               func() { b[8] = 0x80 },
			"another maker":        func() { b[15] = 0xA2 },
			"no management":        func() { b[21] = 0 },
			"another port":         func() { b[17] = 1 },
			"another class":        func() { b[3] = 7 },
			"another RMCP version": func() { b[0] = 5 },
		} {
			b, _ = hex.DecodeString(c.hex)
			change()
			if _, err := ParsePong(b); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
	}
}

func TestReadServer(t *testing.T) {
	for _, c := range []struct{ name, in, version string }{
		{"AMT 7", "HTTP/1.1 303 See Other\r\nLocation: /logon.htm\r\nServer: Intel(R) Active Management Technology 7.1.91\r\n\r\n", "7.1.91"},
		{"four parts, LF", "HTTP/1.0 401 x\nserver:Intel(R) Active Management Technology 3.2.1.1027\n\n", "3.2.1.1027"},
		{"AMT alone", "HTTP/1.1 303 x\r\nServer: AMT\r\n\r\n", ""},
		{"behind a long line", "HTTP/1.1 200 x\r\nX: " + strings.Repeat("y", 9000) + "\r\nServer: Intel(R) Standard Manageability 11.8.50\r\n\r\n", "11.8.50"},
		{"cut off behind the header", "HTTP/1.1 200 x\r\nServer: Intel(R) Active Management Technology 2.6.3\r\n", "2.6.3"},
		{"another server", "HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n", "no"},
		{"a name that begins alike", "HTTP/1.1 200 OK\r\nServer: AMTServer 1.2\r\n\r\n", "no"},
		{"in the body", "HTTP/1.1 200 OK\r\n\r\nServer: AMT\r\n\r\n", "no"},
		{"no HTTP", "SSH-2.0-OpenSSH\r\nServer: AMT\r\n\r\n", "no"},
		{"nothing", "", "no"},
	} {
		server, err := ReadServer(strings.NewReader(c.in))
		v, ok := ParseServer(server)
		if got := map[bool]string{true: v.String(), false: "no"}[ok && err == nil]; got != c.version {
			t.Errorf("%s: %q from %q, %v", c.name, got, server, err)
		}
	}
}

// endless gives lines for ever and counts what was taken.
type endless struct{ n int }

func (e *endless) Read(b []byte) (int, error) {
	text := "X: y\r\n"
	if e.n == 0 {
		text = "HTTP/1.1 200 OK\r\n"
	}
	e.n += copy(b, text)
	return min(len(text), len(b)), nil
}

func TestEndlessHeadIsBounded(t *testing.T) {
	e := &endless{}
	if server, _ := ReadServer(e); server != "" || e.n > maxHead+64 {
		t.Errorf("%q after %d bytes", server, e.n)
	}
	if _, err := ReadServer(io.LimitReader(zeros{}, 1<<30)); err == nil {
		t.Error("a line without end was taken")
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		in, first, last string
		n               int
	}{
		{"10.1.0.0/24", "10.1.0.1", "10.1.0.254", 254},
		{"10.1.0.9/31", "10.1.0.8", "10.1.0.9", 2},
		{"10.1.0.9/32", "10.1.0.9", "10.1.0.9", 1},
		{"127.0.0.0/16", "127.0.0.1", "127.0.255.254", 65534},
		{"10.1.0.250-10.1.1.5", "10.1.0.250", "10.1.1.5", 12},
		{"::1", "::1", "::1", 1},
		{"fd00::/120", "fd00::", "fd00::ff", 256},
		{"fd00::fff0-fd00::1:5", "fd00::fff0", "fd00::1:5", 22},
		{"pc-1.corp.example", "pc-1.corp.example", "pc-1.corp.example", 1},
	} {
		ts, err := ParseTargets([]string{c.in})
		if err != nil || ts.Len() != c.n {
			t.Errorf("%s: %+v, %v", c.in, ts, err)
			continue
		}
		word := func(i int) string {
			if name, a, _ := ts.at(i); name == "" {
				return a.String()
			} else {
				return name
			}
		}
		if word(0) != c.first || word(c.n-1) != c.last {
			t.Errorf("%s: from %s to %s", c.in, word(0), word(c.n-1))
		}
	}
	for _, bad := range []string{"", "10.1.0.0/7", "fd00::/64", "10.1.0.5-10.1.0.1", "10.1.0.1-fd00::1", "10.1.0.300", "a b", "x/24", "10.1.0.1-x", "0.0.0.0-9.0.0.0", "-x"} {
		if ts, err := ParseTargets([]string{bad}); err == nil {
			t.Errorf("%q: %+v", bad, ts)
		}
	}
	ts, _ := ParseTargets([]string{"10.1.0.7", "10.1.0.0/28"})
	twice := 0
	for i := range ts.Len() {
		if _, _, err := ts.at(i); err != nil {
			twice++
		}
	}
	if twice != 1 {
		t.Errorf("%d addresses were seen to be double", twice)
	}
}

func TestStateGoesOnBehindACut(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state")
	ts, _ := ParseTargets([]string{"127.0.50.0/24"})
	s, err := OpenState(name, ts)
	if err != nil {
		t.Fatal(err)
	}
	if isNew, err := s.Add(Event{Index: 9, Mark: 5, Host: &Host{Host: "127.0.50.10"}, Reached: true}, time.Now()); !isNew || err != nil {
		t.Fatal(isNew, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString(`{"done":2`)
	_ = f.Close()
	s, err = OpenState(name, ts)
	if err != nil || s.Mark != 5 || !s.Reached || s.Found[9].Host != "127.0.50.10" {
		t.Fatalf("%+v, %v", s, err)
	}
	if isNew, err := s.Add(Event{Index: 9, Mark: 10, Host: &Host{}}, time.Now()); isNew || err != nil {
		t.Error("a host that is known is told as new", err)
	}
	_ = s.Close()
	other, _ := ParseTargets([]string{"127.0.51.0/24"})
	if _, err := OpenState(name, other); err == nil {
		t.Error("the state of other targets was taken")
	}
	_ = os.WriteFile(name, []byte("notes of mine"), 0o600)
	if _, err := OpenState(name, ts); err == nil {
		t.Error("a file of somebody else was taken")
	}
	if b, _ := os.ReadFile(name); string(b) != "notes of mine" {
		t.Errorf("it was changed: %q", b)
	}
}

func FuzzPong(f *testing.F) {
	for _, c := range pongs {
		b, _ := hex.DecodeString(c.hex)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParsePong(b); err == nil && (p.State == "" || p.Port != PortPlain && p.Port != PortTLS) {
			t.Errorf("%x: %+v", b, p)
		}
	})
}

func FuzzHead(f *testing.F) {
	f.Add("HTTP/1.1 303 See Other\r\nServer: Intel(R) Active Management Technology 7.1.91\r\n\r\n")
	f.Add("HTTP/1.0 200\nserver: AMT\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		server, err := ReadServer(strings.NewReader(s))
		if err == nil && strings.ContainsAny(server, "\n") {
			t.Errorf("%q", server)
		}
		ParseServer(server)
	})
}

func FuzzTargets(f *testing.F) {
	for _, s := range []string{"10.1.0.0/24", "::1-::9", "pc1", "255.255.255.255/31"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ts, err := ParseTargets([]string{s})
		if err != nil {
			return
		}
		for _, i := range []int{0, ts.Len() - 1} {
			if name, a, err := ts.at(i); err != nil || name == "" && a == (netip.Addr{}) {
				t.Errorf("%q: host %d is %v, %v", s, i, a, err)
			}
		}
	})
}
