package sim

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
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
	"golang.org/x/net/dns/dnsmessage"
)

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

// fakeNet answers names from a table and gives connections to a listener of the test.
type fakeNet struct {
	mu    sync.Mutex
	names map[string]string
	asked []string
	to    []netip.AddrPort
	got   [][]byte
	serve func(net.Conn) []byte // nil: read to the end and close
}

func (n *fakeNet) Lookup(_ context.Context, name string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, name)
	if a, ok := n.names[name]; ok {
		return []netip.Addr{mustAddr(a)}, nil
	}
	return nil, errors.New("no such name")
}

func (n *fakeNet) Dial(ctx context.Context, _, to netip.AddrPort) (net.Conn, error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		defer func() { _ = ln.Close() }()
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		n.mu.Lock()
		serve := n.serve
		n.mu.Unlock()
		if serve == nil {
			serve = func(c net.Conn) []byte { b, _ := io.ReadAll(c); return b }
		}
		b := serve(c)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.got, n.to = append(n.got, b), append(n.to, to)
	}()
	return (&net.Dialer{}).DialContext(ctx, "tcp4", ln.Addr().String())
}

func (n *fakeNet) answer(serve func(net.Conn) []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.serve = serve
}

// bench runs a client on a clock that the test moves.
type bench struct {
	*Client
	net    *fakeNet
	clock  *stillClock
	events chan Event
}

func run(t *testing.T, c Config) *bench {
	t.Helper()
	b := &bench{net: &fakeNet{names: map[string]string{"provisionserver.corp.example": "10.1.0.10"}}, clock: newStillClock(), events: make(chan Event, 10000)}
	c.Network, c.Clock, c.OnEvent = b.net, b.clock, func(e Event) { b.events <- e }
	if !c.Lease.Address.IsValid() && c.Lease.Mode == "" {
		c.Lease = Lease{Address: mustAddr("10.20.0.7"), Suffix: "corp.example", DNS: []netip.AddrPort{netip.MustParseAddrPort("10.1.0.53:53")}}
	}
	c.UUID, _ = amt.ParseUUID("03020100-0504-0706-0809-0a0b0c0d0e0f")
	b.Client = New(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("the client does not end with its context")
		}
	})
	b.wait(t, EventWindowOpen)
	return b
}

func (b *bench) wait(t *testing.T, k EventKind) Event {
	t.Helper()
	for {
		select {
		case e := <-b.events:
			if e.Kind == k {
				return e
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("no event %s; state %+v", k, b.State())
		}
	}
}

// The hello of the example in symptom-catalogue 1, but for the retry count, which the test reaches.
func TestHelloBytes(t *testing.T) {
	b := run(t, Config{Enabled: true, Password: amt.NewSecret(newPass), PID: "4WMAPX70"})
	b.clock.advance(5 * time.Second)
	for i := range 4 {
		b.wait(t, EventAcknowledged)
		if i < 3 {
			b.clock.advance(time.Minute)
		}
	}
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	if got, want := hex.EncodeToString(b.net.got[3]), "0100020003000000000102030405060708090a0b0c0d0e0f34574d4150583730"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	if b.net.to[0] != netip.MustParseAddrPort("10.1.0.10:9971") {
		t.Errorf("sent to %s", b.net.to[0])
	}
}

func TestPKIHello(t *testing.T) {
	root := hello.Hash{Algorithm: hello.SHA1, Digest: make([]byte, 20)}
	b := run(t, Config{Enabled: true, RemoteConfiguration: true, Hashes: []hello.Hash{root}})
	b.clock.advance(5 * time.Second)
	b.wait(t, EventAcknowledged)
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	m, err := hello.Decode(b.net.got[0])
	if err != nil || !m.Sound() || m.Type != hello.PKI || len(m.Hashes) != 1 || m.AdminCredentialsSet {
		t.Errorf("%+v %v", m, err)
	}
}

// A whole life of schedule A: 15 tries, then silence, until somebody drains the power.
func TestWholeWindow(t *testing.T) {
	b := run(t, Config{Enabled: true, PID: "4WMAPX70"})
	start := b.clock.Now()
	var at []int // minutes
	b.clock.advance(5 * time.Second)
	for {
		e := b.wait(t, EventHello)
		at = append(at, int(e.At.Sub(start).Minutes()))
		b.wait(t, EventAcknowledged)
		next := b.State().Next
		if next.IsZero() {
			break
		}
		b.clock.advance(next.Sub(b.clock.Now()))
	}
	if want := []int{0, 1, 2, 3, 4, 14, 24, 34, 44, 54, 114, 174, 234, 294, 354}; !slices.Equal(at, want) {
		t.Errorf("hellos at minute %v", at)
	}
	b.clock.advance(6 * time.Minute)
	b.wait(t, EventWindowClosed)
	if s := b.State(); s.Mode != amt.ModeSilent || s.Window != "expired" || s.HellosSent != 15 || s.Acknowledged != 15 {
		t.Errorf("%+v", s)
	}
	b.PowerDrain()
	b.clock.advance(5 * time.Second)
	if e := b.wait(t, EventHello); e.Retry != 0 {
		t.Errorf("retry count %d after a power drain", e.Retry)
	}
}

// The order of names, provisioning-protocol 2.3.
func TestNames(t *testing.T) {
	dns := []netip.AddrPort{netip.MustParseAddrPort("10.1.0.53:53")}
	lease := func(suffix string) Lease { return Lease{Address: mustAddr("10.20.0.7"), Suffix: suffix, DNS: dns} }
	for _, r := range []struct {
		name  string
		cfg   Config
		asked string
		to    string // empty: nothing is sent
	}{
		{"suffix of the lease", Config{Lease: lease("corp.example")}, "provisionserver.corp.example", "10.1.0.10:9971"},
		{"no suffix", Config{Lease: lease("")}, "provisionserver", ""},
		{"another suffix", Config{Lease: lease("x.example")}, "provisionserver.x.example provisionserver", ""},
		{"stored domain first", Config{Domain: "y.example", Lease: lease("corp.example")}, "provisionserver.y.example provisionserver.corp.example", "10.1.0.10:9971"},
		{"stored name", Config{Override: Override{FQDN: "scs.corp.example"}, Lease: lease("corp.example")}, "scs.corp.example", ""},
		{"stored address", Config{Override: Override{Addr: mustAddr("10.9.9.9"), Port: 9972}, Lease: lease("corp.example")}, "", "10.9.9.9:9972"},
		{"stored address without name server", Config{Override: Override{Addr: mustAddr("10.9.9.9")}, Lease: Lease{Address: mustAddr("10.20.0.7")}}, "", "10.9.9.9:9971"},
		{"no name server", Config{Lease: Lease{Address: mustAddr("10.20.0.7"), Suffix: "corp.example"}}, "", ""},
		{"no address", Config{Lease: Lease{Mode: NoIP}}, "", ""},
	} {
		t.Run(r.name, func(t *testing.T) {
			r.cfg.Enabled, r.cfg.RemoteConfiguration = true, true
			b := run(t, r.cfg)
			b.clock.advance(5 * time.Second)
			to := ""
			if r.to != "" {
				b.wait(t, EventAcknowledged)
			} else {
				for b.State().Attempts == 0 || len(b.events) == 0 {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(20 * time.Millisecond)
			}
			b.net.mu.Lock()
			defer b.net.mu.Unlock()
			if len(b.net.to) > 0 {
				to = b.net.to[0].String()
			}
			if got := strings.Join(b.net.asked, " "); got != r.asked || to != r.to {
				t.Errorf("asked %q, sent to %q", got, to)
			}
		})
	}
}

// A server that resets, or stays silent, has not taken the hello; the client goes on.
func TestNotAcknowledged(t *testing.T) {
	b := run(t, Config{Enabled: true, PID: "4WMAPX70", Patience: 200 * time.Millisecond})
	b.net.answer(func(c net.Conn) []byte {
		_, _ = io.ReadFull(c, make([]byte, 32))
		_ = c.(*net.TCPConn).SetLinger(0)
		return nil
	})
	b.clock.advance(5 * time.Second)
	if e := b.wait(t, EventUnanswered); e.Err == nil {
		t.Error("reset without an error")
	}
	b.net.answer(func(net.Conn) []byte { time.Sleep(400 * time.Millisecond); return nil })
	b.clock.advance(time.Minute)
	if e := b.wait(t, EventUnanswered); e.Retry != 1 {
		t.Errorf("%+v", e)
	}
	b.net.answer(nil)
	b.clock.advance(time.Minute)
	if e := b.wait(t, EventAcknowledged); e.Retry != 2 {
		t.Errorf("%+v", e)
	}
}

// Sockets against a name server made with the dnsmessage package, and a listener.
func TestSockets(t *testing.T) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pc.Close() }()
	go answer(pc)
	s := Sockets{Resolver: netip.MustParseAddrPort(pc.LocalAddr().String())}
	addrs, err := s.Lookup(t.Context(), "provisionserver.corp.example")
	if err != nil || fmt.Sprint(addrs) != "[10.1.0.10]" {
		t.Errorf("%v %v", addrs, err)
	}
	if addrs, err := s.Lookup(t.Context(), "other.corp.example"); err == nil {
		t.Errorf("a name that does not exist has %v", addrs)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	from := netip.AddrPortFrom(mustAddr("127.0.0.1"), amt.HelloSourcePort)
	for range 2 { // the second finds the source port busy
		c, err := s.Dial(t.Context(), from, netip.MustParseAddrPort(ln.Addr().String()))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
}

func answer(pc net.PacketConn) {
	buf := make([]byte, 512)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true}, Questions: m.Questions}
		if q.Name.String() != "provisionserver.corp.example." {
			reply.RCode = dnsmessage.RCodeNameError
		} else if q.Type == dnsmessage.TypeA {
			reply.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
				Body: &dnsmessage.AResource{A: [4]byte{10, 1, 0, 10}}}}
		}
		if b, err := reply.Pack(); err == nil {
			_, _ = pc.WriteTo(b, from)
		}
	}
}
