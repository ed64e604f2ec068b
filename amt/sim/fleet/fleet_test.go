package fleet

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/keys"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/sim/front"
)

func ver(t testing.TB, s string) amt.Version {
	t.Helper()
	v, err := amt.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// server takes hellos.
type server struct {
	net.Listener
	mu     sync.Mutex
	hellos []hello.Message
}

func listen(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.take(c)
		}
	}()
	return s
}

func (s *server) take(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	b, _ := io.ReadAll(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, err := hello.Decode(b); err == nil {
		s.hellos = append(s.hellos, h)
	}
}

func (s *server) got() []hello.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.hellos)
}

func (s *server) addr() netip.AddrPort { return netip.MustParseAddrPort(s.Addr().String()) }

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 20 s: %s", what)
}

// live makes and runs a fleet until the test ends.
type live struct {
	*Fleet
	mu    sync.Mutex
	lines []Line
	ended chan error
}

func run(t *testing.T, c Config, keep bool) *live {
	t.Helper()
	l := &live{ended: make(chan error, 1)}
	c.OnLine = func(x Line) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, x)
	}
	c.OnTalk = func(s string) { t.Log(s) }
	c.AnyPort = true
	var err error
	if l.Fleet, err = New(c); err != nil {
		t.Fatal(err)
	}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		l.ended <- l.Run(ctx, keep)
	}()
	t.Cleanup(func() { cancel(); <-over })
	return l
}

func TestHellosOfTheFleet(t *testing.T) {
	t.Parallel()
	for _, m := range []amt.Method{amt.PSK, amt.PKI} {
		t.Run(string(m), func(t *testing.T) {
			s := listen(t)
			v := map[amt.Method]string{amt.PSK: "3.2.1", amt.PKI: "9.0.0"}[m]
			f := run(t, Config{Count: 1, Method: m, Version: ver(t, v), Stage: engine.In, First: netip.MustParseAddr("127.0.0.1"), To: s.addr(), Fast: true}, true)
			eventually(t, "two hellos", func() bool { return len(s.got()) >= 2 })
			c := f.Clients()[0]
			for i, h := range s.got()[:2] {
				if string(h.Type) != string(m) || h.UUID != c.UUID || h.RetryCount != uint32(i) || len(h.Problems) > 0 || h.AdminCredentialsSet != (m == amt.PSK) {
					t.Errorf("hello %d: %+v", i, h)
				}
				if m == amt.PSK && h.PID != c.Pair.PID || m == amt.PKI && len(h.Hashes) != 10 {
					t.Errorf("hello %d: PID %s, %d hashes", i, h.PID, len(h.Hashes))
				}
			}
		})
	}
}

// TestHellosRestWhileASessionIsOpen: a fast client is silent while somebody is connected.
func TestHellosRestWhileASessionIsOpen(t *testing.T) {
	t.Parallel()
	s := listen(t)
	f := run(t, Config{Count: 1, Method: amt.PKI, Version: ver(t, "16.0.0"), Stage: engine.Post, First: netip.MustParseAddr("127.0.0.1"), To: s.addr(), Fast: true}, true)
	plain, _, _ := f.Clients()[0].Ports()
	c, err := net.Dial("tcp", plain.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	eventually(t, "the session counts", func() bool { return f.Sessions() == 1 })
	m := f.Clients()[0]
	m.hellos.Unprovision(true) // it is in setup again, and would send
	time.Sleep(3 * time.Second)
	if n := len(s.got()); n != 0 {
		t.Errorf("%d hellos while a session is open", n)
	}
	_ = c.Close()
	eventually(t, "a hello after the session", func() bool { return len(s.got()) > 0 })
	if h := s.got()[0]; h.RetryCount != 0 {
		t.Errorf("retry count %d: tries that were left out were counted", h.RetryCount)
	}
}

func TestRunEndsWhenAllAreProvisioned(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	f := run(t, Config{Count: 1, Method: amt.PKI, Version: ver(t, "9.0.0"), Stage: engine.Post, First: netip.MustParseAddr("127.0.0.1")}, false)
	select {
	case err := <-f.ended:
		if err != nil || time.Since(begin) < settle {
			t.Errorf("ended after %v: %v", time.Since(begin), err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Run does not end")
	}
	if f.Provisioned() != 1 || len(f.lines) != 1 || f.lines[0].State != engine.Post {
		t.Errorf("%d provisioned, lines %v", f.Provisioned(), f.lines)
	}
}

// TestStages follows a client through what the management side makes of it.
func TestStages(t *testing.T) {
	t.Parallel()
	s := listen(t)
	f := run(t, Config{Count: 1, Method: amt.PSK, Version: ver(t, "3.2.1"), Stage: engine.In, First: netip.MustParseAddr("127.0.0.1"), To: s.addr(), Fast: true}, true)
	m := f.Clients()[0]
	if v := m.View(); v.Plain || v.TLS == 0 || v.PID != m.Pair.PID {
		t.Errorf("in setup: %+v", v)
	}
	eventually(t, "a hello", func() bool { return len(s.got()) > 0 })
	m.changed(engine.Change{Kind: engine.ChangeStage, State: engine.State{Stage: engine.Post}})
	if f.Provisioned() != 1 || m.hellos.State().Provisioning != "post" || m.hellos.State().Window != "expired" {
		t.Errorf("after the commit: %+v", m.hellos.State())
	}
	n := len(s.got())
	time.Sleep(2500 * time.Millisecond)
	if more := len(s.got()); more > n+1 { // one may have been on its way
		t.Errorf("%d hellos after the commit", more-n)
	}
	n = len(s.got())
	m.changed(engine.Change{Kind: engine.ChangeStage, Partial: true, State: engine.State{Stage: engine.In}})
	if f.Provisioned() != 0 {
		t.Error("still counts as provisioned")
	}
	eventually(t, "hellos begin anew", func() bool { return len(s.got()) > n })
	if h := s.got()[n]; h.RetryCount != 0 || h.PID != m.Pair.PID {
		t.Errorf("first hello after the way back: %+v", h)
	}
	m.changed(engine.Change{Kind: engine.ChangeWindow, State: engine.State{WindowEnds: time.Now().Add(-time.Second)}})
	if v := m.View(); v.TLS != 0 || m.hellos.State().Window != "expired" {
		t.Errorf("a closed window leaves the port open: %+v", v)
	}
	if _, secure, _ := m.Ports(); secure.IsValid() {
		t.Errorf("16993 is open at %s", secure)
	}
}

func TestInventory(t *testing.T) {
	root := netip.MustParseAddr("127.9.0.1")
	for _, tt := range []struct {
		method  amt.Method
		version string
		stage   engine.Stage
		keys    int
		factory bool
	}{{amt.PSK, "3.2.1", engine.In, 3, false}, {amt.PSK, "3.2.1", engine.Pre, 0, true}, {amt.PSK, "3.2.1", engine.Post, 3, false}, {amt.PKI, "9.0.0", engine.In, 0, true}, {amt.PKI, "9.0.0", engine.Post, 0, false}} {
		f, err := New(Config{Count: 3, Method: tt.method, Version: ver(t, tt.version), Stage: tt.stage, First: root, Suffix: "corp.example"})
		if err != nil {
			t.Fatal(err)
		}
		text := map[string]string{}
		for _, file := range f.Inventory() {
			var b bytes.Buffer
			if err := file.Write(&b); err != nil {
				t.Fatal(err)
			}
			text[file.Name] = b.String()
		}
		rows, problems, err := keys.ReadCSV(strings.NewReader(text["keys.csv"]))
		if err != nil || len(rows) != tt.keys || len(problems) > 0 && tt.keys > 0 {
			t.Errorf("%s %s: %d keys, %v, %v", tt.method, tt.stage, len(rows), problems, err)
		}
		clients, err := csv.NewReader(strings.NewReader(text["clients.csv"])).ReadAll()
		if err != nil || len(clients) != 4 || strings.Join(clients[0], ",") != "uuid,address,method,amt_version,state,pid,user,password" {
			t.Fatalf("clients.csv: %v %v", clients, err)
		}
		for i, c := range clients[1:] {
			if c[1] != []string{"127.9.0.1", "127.9.0.2", "127.9.0.3"}[i] || c[6] != "admin" || (c[7] == "admin") != tt.factory || (c[5] != "") != (tt.keys > 0) {
				t.Errorf("%s %s: %v", tt.method, tt.stage, c)
			}
			if tt.keys > 0 && (string(rows[i].PID) != c[5] || rows[i].AdminPassword.Reveal() != c[7]) {
				t.Errorf("keys.csv and clients.csv disagree about %s", c[0])
			}
		}
		if names := strings.Split(text["map.csv"], "\n"); names[0] != "uuid,fqdn,profile" || names[1] != clients[1][0]+",amt00001.corp.example,default" {
			t.Errorf("map.csv: %q", names[:2])
		}
	}
}

func TestAddressesEnd(t *testing.T) {
	_, err := New(Config{Count: 3, Method: amt.PSK, Version: ver(t, "3.2.1"), Stage: engine.In, First: netip.MustParseAddr("127.255.255.254")})
	if err == nil || !strings.Contains(err.Error(), "client 3 of 3") {
		t.Errorf("%v", err)
	}
}

func TestActiveHashes(t *testing.T) {
	for v, want := range map[string][2]int{"3.2.1": {3, 0}, "6.0.0": {3, 3}, "9.0.0": {5, 5}, "11.0.0": {0, 5}} {
		var got [2]int
		for _, h := range activeHashes(ver(t, v), nil) {
			got[h.Algorithm-1]++
			if len(h.Digest) != h.Algorithm.Size() {
				t.Errorf("%s: %v", v, h)
			}
		}
		if got != want {
			t.Errorf("%s: %v hashes of SHA-1 and SHA-256, want %v", v, got, want)
		}
	}
}

func TestParseFault(t *testing.T) {
	for s, want := range map[string]string{
		"tls=refuse": "", "ping=slow": "", "*=slow:3s@2": "", "AMT_GeneralSettings.Get=missing:DigestRealm": "",
		"AMT_SetupAndConfigurationService.CommitChanges=refuse:38": "", "*=http:503": "", "*=drop-done": "",
		"tls": "form", "tls=what": "no fault", "nowhere=refuse": "no step", "*=http:200": "no number", "*=soap:1": "nothing behind",
		"*=missing": "needs the name", "*=slow:-1s": "no time", "*=slow@0": "how often", "=x": "form",
	} {
		_, err := ParseFault(s)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", s, err, want)
		}
	}
}

func FuzzParseFault(f *testing.F) {
	for _, s := range []string{"tls=refuse", "*=slow:3s@2", "A.B=refuse:38", "="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if fault, err := ParseFault(s); err == nil && fault.At == "" && fault.Engine.Step == "" {
			t.Errorf("%q has no step: %+v", s, fault)
		}
	})
}

// message is a call in the form of WS-Man.
func message(class, method, input string) []byte {
	const schema = "http://intel.com/wbem/wscim/1/amt-schema/1/"
	return []byte(`<Envelope xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns="http://www.w3.org/2003/05/soap-envelope">` +
		"<Header><a:Action>" + schema + class + "/" + method + "</a:Action><a:To>/wsman</a:To><w:ResourceURI>" + schema + class + "</w:ResourceURI><a:MessageID>1</a:MessageID>" +
		"<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo></Header>" +
		"<Body><r:" + method + `_INPUT xmlns:r="` + schema + class + `">` + input + "</r:" + method + "_INPUT></Body></Envelope>")
}

// TestUnprovisionOverTheNetwork: what is left to set up by decides whether hellos begin again.
func TestUnprovisionOverTheNetwork(t *testing.T) {
	const service = "AMT_SetupAndConfigurationService"
	for _, tt := range []struct {
		name, version string
		method        amt.Method
		call          []byte
		state         engine.Stage
		hellos        bool
	}{
		{"full, pair", "3.2.1", amt.PSK, message(service, "Unprovision", "<r:ProvisioningMode>1</r:ProvisioningMode>"), engine.Pre, false},
		{"partial, pair", "3.2.1", amt.PSK, message(service, "PartialUnprovision", ""), engine.In, true},
		{"full, certificate", "9.0.0", amt.PKI, message(service, "Unprovision", "<r:ProvisioningMode>1</r:ProvisioningMode>"), engine.In, true},
		{"partial, certificate", "9.0.0", amt.PKI, message(service, "PartialUnprovision", ""), engine.In, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := listen(t)
			f := run(t, Config{Count: 1, Method: tt.method, Version: ver(t, tt.version), Stage: engine.Post, First: netip.MustParseAddr("127.0.0.1"), To: s.addr(), Fast: true}, true)
			m := f.Clients()[0]
			eventually(t, "the client runs", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.lines) == 1 })
			a := m.Answer(front.Request{User: User, From: netip.MustParseAddrPort("127.0.0.1:4000"), Method: "POST", Path: "/wsman", Body: tt.call})
			if a.Status != 200 || !strings.Contains(string(a.Body), "ReturnValue>0<") || a.Then != front.Restart {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if l := m.Line(); l.State != tt.state || f.Provisioned() != 0 {
				t.Errorf("%+v, %d provisioned", l, f.Provisioned())
			}
			if tt.hellos {
				eventually(t, "a hello", func() bool { return len(s.got()) > 0 })
				if h := s.got()[0]; h.PID != m.Pair.PID || h.RetryCount != 0 {
					t.Errorf("%+v", h)
				}
			}
			plain, secure, _ := m.Ports()
			if plain.IsValid() || secure.IsValid() != tt.hellos {
				t.Errorf("open: %s %s", plain, secure)
			}
		})
	}
}
