package site

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/diag/check"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
)

const testUUID = "4c4c4544-0058-3910-8059-b7c04f4b5a31" // of the recorded client

// at makes a site that stands where a test says, knows no resolvers of its own, and dials nobody.
func at(t *testing.T, o Options, own ...string) *World {
	t.Helper()
	w := New(o)
	w.system, w.systemErr = probe.System{}, nil
	w.own = func() (out []netip.Prefix) {
		for _, s := range own {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	w.dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// walk walks a site until a verdict stands or nothing more can be known without a person.
func walk(t *testing.T, w *World, facts ...diag.Fact) (*flow.Walk, flow.Snapshot) {
	t.Helper()
	walk, err := flow.New(flow.Options{World: w, Judge: check.Judge, Facts: facts, Info: func(id string) flow.Info {
		c, _ := check.LookupCheck(id)
		return flow.Info{ID: id, Stage: c.Stage}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { _ = walk.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return walk, settle(t, walk)
}

func settle(t *testing.T, w *flow.Walk) flow.Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	s, err := flow.Settle(ctx, w)
	if err != nil {
		t.Fatalf("the walk does not end: %v at %+v", err, s.Step)
	}
	return s
}

func known(key string, value any) diag.Fact { return diag.Fact{Key: key, Value: value} }

// valueOf gives the latest value of a key at a vantage, nil when there is none.
func valueOf(s flow.Snapshot, key string, from diag.Vantage) any {
	for _, f := range slices.Backward(s.Facts) {
		if f.Key == key && (from == "" || f.Vantage == from) {
			return f.Value
		}
	}
	return nil
}

// recent copies a recorded capture so that it ended a moment ago, and leaves all else as it was.
func recent(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name+".pcap"))
	if err != nil {
		t.Fatal(err)
	}
	shift := func(by uint32) (last uint32) {
		for i := 24; i < len(b); i += 16 + int(binary.LittleEndian.Uint32(b[i+8:])) {
			last = binary.LittleEndian.Uint32(b[i:]) + by
			binary.LittleEndian.PutUint32(b[i:], last)
		}
		return last
	}
	shift(uint32(time.Now().Unix()) - 2 - shift(0))
	out := filepath.Join(t.TempDir(), name+".pcap")
	if err := os.WriteFile(out, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// both gives the two captures of one recording.
func both(t *testing.T, dir, name string) []Capture {
	t.Helper()
	return []Capture{{diag.AtClient, recent(t, dir, name+"-client")}, {diag.AtServer, recent(t, dir, name+"-server")}}
}

// TestCaptures: what tcpdump recorded at both sides leads to the verdict of the catalogue's table 6.3.
func TestCaptures(t *testing.T) { judgeCaptures(t, "testdata") }

// TestCapturesAgain records them anew, with the kernel and tcpdump of this machine.
func TestCapturesAgain(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("AMTMEDIC_LONG is not 1")
	}
	for _, name := range []string{"python3", "ip", "nft", "tcpdump"} {
		if _, err := exec.LookPath(name); err != nil || os.Getuid() != 0 {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s and root are needed", name)
			}
			t.Skipf("%s and root are needed", name)
		}
	}
	script, err := filepath.Abs(filepath.Join("testdata", "record.py"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", script)
	cmd.Dir = t.TempDir()
	if err := os.Chmod(cmd.Dir, 0o777); err != nil { // tcpdump gives its rights away
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	judgeCaptures(t, cmd.Dir)
}

func judgeCaptures(t *testing.T, dir string) {
	for _, tt := range []struct {
		name, verdict string
		conf          diag.Confidence
		given         []diag.Fact
	}{
		{"blocked", "rc-fw-9971-blocked", diag.Proven, []diag.Fact{known("client.me_addr", "127.77.1.7")}}, // another client gets through
		{"rejected", "rc-fw-9971-blocked", diag.Proven, nil},
		{"silent", "rc-server-fw-9971", diag.Proven, nil},
		{"swallowed", "rc-middlebox", diag.Proven, nil},
		{"refused", "rc-amtconfig-stopped", diag.Proven, []diag.Fact{known("srv.amtconfig", "stopped")}},
		{"refused", "rc-port-mismatch", diag.Proven, []diag.Fact{known("srv.amtconfig", "running"), known("srv.listen", []string{"127.77.2.10:9981"})}},
		{"delivered", "ok-waiting-retry", diag.Likely, nil}, // nothing but the wire was looked at
	} {
		t.Run(tt.name+" "+tt.verdict, func(t *testing.T) {
			_, s := walk(t, at(t, Options{Captures: both(t, dir, tt.name)}, "192.0.2.7/24"), tt.given...)
			if s.Judgement.Verdict != tt.verdict || s.Judgement.Confidence != tt.conf {
				t.Errorf("verdict %q %s by %v, want %s; problems %q", s.Judgement.Verdict, s.Judgement.Confidence, s.Judgement.DecidedBy, tt.verdict, s.Problems)
			}
			if v := valueOf(s, "net.9971", diag.AtClient); v != nil {
				t.Errorf("net.9971 %v is said of the client's segment, and this machine stands elsewhere", v)
			}
			reads := 0
			for _, f := range s.Facts {
				if f.Key == "wire.client.watch" {
					reads++
				}
			}
			if reads != 1 || len(s.Problems) > 0 {
				t.Errorf("the file was read %d times; problems %q", reads, s.Problems)
			}
		})
	}
}

// TestCapturesPID: the hello on the wire against the PID map of the core.
func TestCapturesPID(t *testing.T) {
	db := database(t)
	w := at(t, Options{Captures: both(t, "testdata", "delivered"), Database: db}, "192.0.2.7/24")
	_, s := walk(t, w)
	if s.Judgement.Verdict != "rc-pid-unknown" || s.Judgement.UUID != testUUID {
		t.Errorf("verdict %q of %q by %v; problems %q", s.Judgement.Verdict, s.Judgement.UUID, s.Judgement.DecidedBy, s.Problems)
	}
	if valueOf(s, "srv.amtconfig", "") != nil {
		t.Error("the state of the core is told although the server is another machine")
	}
}

// database makes an empty database of the core.
func database(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "core.db")
	s, err := store.Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestVantage: what this machine sees is said of the side on which it stands.
func TestVantage(t *testing.T) {
	own := []string{"10.20.0.7/24", "fe80::7/64"}
	tests := []struct {
		name         string
		given        []diag.Fact
		names, port  diag.Vantage // of this machine's own resolvers and of its connect; empty: not asked
		listen, back bool
	}{
		{"nothing known", nil, diag.AtClient, diag.AtClient, false, false},
		{"client in the same segment", []diag.Fact{known("client.me_addr", "10.20.0.99")}, diag.AtClient, diag.AtClient, false, false},
		{"client in another segment", []diag.Fact{known("client.me_addr", "10.30.0.99")}, "", diag.AtThird, false, false},
		{"this is the server", []diag.Fact{known("srv.addr", []string{"10.20.0.7"}), known("client.me_addr", "10.30.0.99")}, diag.AtServer, "", true, true},
		{"this is the server, client unknown", []diag.Fact{known("srv.addr", []string{"10.9.9.9", "10.20.0.7"})}, diag.AtServer, "", true, false},
		{"the server is another", []diag.Fact{known("srv.addr", []string{"10.20.0.10"})}, diag.AtClient, diag.AtClient, false, false},
		{"the server is this machine by loopback", []diag.Fact{known("srv.addr", []string{"127.0.0.1"})}, diag.AtServer, "", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := at(t, Options{Suffixes: []string{"corp.example"}}, own...)
			w.system = probe.System{Resolvers: []string{"10.20.0.53"}}
			got := map[string]bool{}
			for _, p := range w.Probes(view(tt.given...)) {
				got[p.ID] = p.Needs == ""
				if p.ID == "names-client" && p.Needs == "" && !strings.Contains(p.What, "provisionserver.corp.example") {
					t.Errorf("asks for another name: %s", p.What)
				}
			}
			for _, side := range []diag.Vantage{diag.AtClient, diag.AtServer} {
				if got["names-"+string(side)] != (tt.names == side) {
					t.Errorf("names of the %s: %v", side, got)
				}
			}
			for _, side := range []diag.Vantage{diag.AtClient, diag.AtThird, diag.AtServer} {
				if _, there := got["port-9971-"+string(side)]; there != (tt.port == side) {
					t.Errorf("connect from the %s: %v", side, got)
				}
			}
			if got["listen"] != tt.listen || got["port-16993"] != tt.back {
				t.Errorf("listen, back: %v", got)
			}
		})
	}
}

func view(facts ...diag.Fact) *diag.View {
	var list []diag.Fact
	for _, f := range facts {
		f, err := diag.Make(f)
		if err != nil {
			panic(err)
		}
		list = append(list, f)
	}
	return diag.NewView(list, time.Now())
}

// TestTarget: where a connect goes.
func TestTarget(t *testing.T) {
	dns := func(qname string, addr ...string) diag.Fact {
		return known("dns.client", map[string]any{"qname": qname, "rcode": "NOERROR", "addr": addr})
	}
	srv := known("srv.addr", []string{"10.1.0.10"})
	for _, tt := range []struct {
		name, want string
		given      []diag.Fact
	}{
		{"nothing known", "invalid AddrPort", nil},
		{"the server", "10.1.0.10:9971", []diag.Fact{srv}},
		{"what the name gives", "10.1.0.99:9971", []diag.Fact{srv, dns("provisionserver.corp.example", "10.1.0.99")}},
		{"a name that the client does not ask for", "10.1.0.10:9971", []diag.Fact{srv, dns("provisionserver.other.example", "10.1.0.99")}},
		{"the stored server", "10.1.0.11:9971", []diag.Fact{srv, dns("provisionserver.corp.example", "10.1.0.99"), known("client.server_override", "10.1.0.11")}},
		{"the stored port", "10.1.0.11:9981", []diag.Fact{srv, known("client.server_override", "10.1.0.11:9981")}},
		{"where it was seen to go", "10.1.0.12:9971", []diag.Fact{srv, known("client.server_override", "10.1.0.11"),
			known("wire.client.syn", map[string]any{"src": "10.20.0.7:16994", "dst": "10.1.0.12:9971"})}},
	} {
		if got := at(t, Options{Suffixes: []string{"Corp.example."}}).target(view(tt.given...)); got.String() != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestServiceState: running, stopped, and what cannot be told.
func TestServiceState(t *testing.T) {
	db := database(t)
	st, err := store.Open(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	w := at(t, Options{Database: db})
	state := func(listen ...string) any {
		var got any
		w.state(db, listen, told(func(f diag.Fact) { got = f.Value }))
		return got
	}
	if got := state(); got != "stopped" {
		t.Errorf("a database, no lock, no listener: %v", got)
	}
	if got := state("0.0.0.0:9971"); got != nil {
		t.Errorf("another program listens: %v", got)
	}
	lock, err := st.LockQueue("a test")
	if err != nil {
		t.Fatal(err)
	}
	if got := state(); got != "running" {
		t.Errorf("the lock is held: %v", got)
	}
	before, _ := os.ReadFile(db + ".lock")
	if !strings.Contains(string(before), "a test") {
		t.Errorf("the look changed the lock file: %q", before)
	}
	if w.database(diag.AtClient) != db {
		t.Error("a database that was named is not read")
	}
	own := at(t, Options{OwnDatabase: db})
	if own.database(diag.AtServer) != db || own.database(diag.AtClient) != "" {
		t.Error("the usual database counts where a core works it and this is the server")
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != "stopped" || own.database(diag.AtServer) != "" {
		t.Errorf("after the end: %v", got)
	}
	if db += ".not"; state() != nil {
		t.Error("a database that is not there: nothing is known")
	}
}

// told is a report that keeps facts only.
type told func(diag.Fact)

func (r told) Fact(f diag.Fact)        { r(f) }
func (r told) Saw(string)              {}
func (r told) Until(time.Time, string) {}

// TestCaptureOfSeveral: a file with several clients waits until it is known which is ours, and is
// read again then, once.
func TestCaptureOfSeveral(t *testing.T) {
	w := at(t, Options{Captures: both(t, "testdata", "blocked")}, "192.0.2.7/24")
	wk, s := walk(t, w)
	if len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "2 clients speak here") || s.Judgement.Verdict != "" || s.Judgement.UUID != "" {
		t.Fatalf("problems %q, verdict %q of %q", s.Problems, s.Judgement.Verdict, s.Judgement.UUID)
	}
	for _, f := range s.Facts {
		if strings.HasPrefix(f.Key, "wire.") {
			t.Errorf("said of one who may be another: %s %v", f.Key, f.Value)
		}
	}
	if err := wk.Answer("client.me_addr", -1, "127.77.1.7"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); s.Judgement.Verdict != "rc-fw-9971-blocked" && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		s = settle(t, wk)
	}
	if s.Judgement.Verdict != "rc-fw-9971-blocked" || len(s.Problems) != 0 || valueOf(s, "wire.client.syn", diag.AtClient) == nil {
		t.Errorf("with its address: verdict %q, problems %q", s.Judgement.Verdict, s.Problems)
	}
	n := seen(s)
	wk.Recheck("")
	if s = settle(t, wk); seen(s) > n {
		t.Errorf("read again: %d facts of the wire, were %d", seen(s), n)
	}
}

// seen counts the facts of the wire.
func seen(s flow.Snapshot) (n int) {
	for _, f := range s.Facts {
		if strings.HasPrefix(f.Key, "wire.") {
			n++
		}
	}
	return n
}

// TestCaptureProblems: what is wrong with a file is told, and what stands before the fault counts.
func TestCaptureProblems(t *testing.T) {
	b, err := os.ReadFile("testdata/refused-client.pcap")
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) string {
		name := filepath.Join(t.TempDir(), "a.pcap")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, tt := range []struct {
		name, problem string
		b             []byte
		syn           bool
	}{
		{"cut off", "before it was read", b[:len(b)-11], true},
		{"no packet", "no packet with a time", b[:24], false},
		{"nonsense in the middle", "at byte", append(slices.Clone(b), slices.Repeat([]byte{0xff}, 64)...), true},
	} {
		_, s := walk(t, at(t, Options{Captures: []Capture{{diag.AtClient, write(tt.b)}}}))
		if len(s.Problems) != 1 || !strings.Contains(s.Problems[0], tt.problem) {
			t.Errorf("%s: problems %q", tt.name, s.Problems)
		}
		if got := valueOf(s, "wire.client.syn", "") != nil; got != tt.syn {
			t.Errorf("%s: SYN %v", tt.name, got)
		}
	}
	for _, tt := range []struct{ path, want string }{
		{t.TempDir(), "no regular file"}, {filepath.Join(t.TempDir(), "none"), "no such file"}, {write([]byte("GET / HTTP/1.1\r\n")), "no capture file"},
		{write(nil), "no capture file"},
	} {
		if err := Readable(tt.path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.path, err)
		}
	}
	for _, name := range []string{write(b), write(b[:24])} {
		if err := Readable(name); err != nil {
			t.Error(err)
		}
	}
}

// TestServerFound: the addresses of a named server, and what is said when there are none.
func TestServerFound(t *testing.T) {
	_, s := walk(t, at(t, Options{Server: "2001:db8::10"}))
	if got, _ := valueOf(s, "srv.addr", "").([]any); len(got) != 1 || got[0] != "2001:db8::10" {
		t.Errorf("as named: %v", got)
	}
	w := at(t, Options{Server: "NS1.corp.example.", ServerResolvers: []string{deadPort(t)}})
	_, s = walk(t, w)
	if valueOf(s, "srv.fqdn", "") != "ns1.corp.example" || valueOf(s, "srv.addr", "") != nil || !strings.Contains(strings.Join(s.Problems, "\n"), "find the server: ns1.corp.example") {
		t.Errorf("nobody answers: fqdn %v, addr %v, problems %q", valueOf(s, "srv.fqdn", ""), valueOf(s, "srv.addr", ""), s.Problems)
	}
	ps := at(t, Options{}).Probes(view(known("srv.fqdn", "ns1.corp.example")))
	if !slices.ContainsFunc(ps, func(p probe.Probe) bool { return p.ID == "server" }) {
		t.Error("a name that a person gave is not looked up")
	}
}

// deadPort gives an address at which no DNS server is.
func deadPort(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().String()
}

// TestUnknownResolvers: why this machine's resolvers cannot be asked is told.
func TestUnknownResolvers(t *testing.T) {
	w := at(t, Options{})
	w.systemErr = &amt.Error{Op: "read DNS servers", Subject: "/etc/resolv.conf", Err: os.ErrNotExist}
	if _, s := walk(t, w); len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "/etc/resolv.conf") {
		t.Errorf("problems %q", s.Problems)
	}
}
