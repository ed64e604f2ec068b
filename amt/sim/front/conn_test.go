package front

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"amtmedic/amt"
)

// dial connects and bounds everything by a deadline. A reset may come so early that the connection
// never stands; that is read from what is given then.
func dial(t *testing.T, at netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", at.String())
	if errors.Is(err, syscall.ECONNRESET) {
		return refusedConn{}
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(15 * time.Second))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// refusedConn is a connection that was reset before it stood.
type refusedConn struct{ net.Conn }

func (refusedConn) Read([]byte) (int, error)  { return 0, syscall.ECONNRESET }
func (refusedConn) Write([]byte) (int, error) { return 0, syscall.ECONNRESET }

// ask sends a request and gives the answer, or how it failed.
func ask(t *testing.T, c net.Conn, path string) string {
	t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return err.Error()
	}
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		return err.Error()
	}
	return string(b[:n])
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 15 s: %s", what)
}

func startLoggedIn(t *testing.T) *bench {
	return startDesk(t, "9.0", Options{AnyPort: true}, &desk{trusting: true, view: View{State: "post", Plain: true}})
}

func TestRestartEndsEverySession(t *testing.T) {
	b := startLoggedIn(t)
	at, _, _ := b.Addresses()
	one, two := dial(t, at), dial(t, at)
	if s := ask(t, two, "/"); !strings.Contains(s, "303") {
		t.Fatal(s)
	}
	if s := ask(t, one, "/restart"); !strings.Contains(s, "200 OK") || !strings.Contains(s, "restarting") || strings.Contains(s, "Connection: close") {
		t.Errorf("%s", s)
	}
	for i, c := range []net.Conn{one, two} {
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("session %d: %v, want an end in order", i, err)
		}
	}
	eventually(t, "no session is counted", func() bool { return b.Sessions() == 0 })
}

func TestDrops(t *testing.T) {
	b := startLoggedIn(t)
	at, _, _ := b.Addresses()
	if s := ask(t, dial(t, at), "/before"); strings.Contains(s, "HTTP") {
		t.Errorf("before: %s", s)
	}
	c := dial(t, at)
	if s := ask(t, c, "/after"); !strings.Contains(s, "200 OK") || !strings.Contains(s, "Server: Intel(R)") {
		t.Errorf("after: %s", s)
	}
	if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after: %v", err)
	}
	eventually(t, "no session is counted", func() bool { return b.Sessions() == 0 })
}

func TestTooManySessionsAreReset(t *testing.T) {
	b := start(t, "9.0", View{State: "post", Plain: true})
	at, _, _ := b.Addresses()
	for range b.s.opt.MaxSessions {
		dial(t, at)
	}
	eventually(t, "all sessions stand", func() bool { return b.Sessions() == b.s.opt.MaxSessions })
	if _, err := dial(t, at).Read(make([]byte, 1)); err == nil {
		t.Error("one more was taken")
	}
	b.CloseSessions()
	eventually(t, "nothing is counted", func() bool { return b.s.open.Load() == 0 })
	if s := ask(t, dial(t, at), "/"); !strings.Contains(s, "303") {
		t.Errorf("afterwards: %s", s)
	}
}

// TestHandshakesCount: who connects and says nothing is bounded too.
func TestHandshakesCount(t *testing.T) {
	b := startAt(t, "9.0", View{State: "in", TLS: SetupTLS}, Options{AnyPort: true, MaxSessions: 3, HandshakeTime: 3 * time.Second})
	_, at, _ := b.Addresses()
	for range 3 {
		dial(t, at)
	}
	eventually(t, "they are counted", func() bool { return b.s.open.Load() == 3 })
	if _, err := dial(t, at).Read(make([]byte, 1)); err == nil {
		t.Error("one more was taken")
	}
	eventually(t, "their time is over", func() bool { return b.s.open.Load() == 0 })
}

func TestPortsFollowTheState(t *testing.T) {
	b := start(t, "9.0", View{State: "pre"})
	open := func() (string, string) {
		plain, secure, _ := b.Addresses()
		word := func(a netip.AddrPort) string {
			if !a.IsValid() {
				return "closed"
			}
			c, err := net.Dial("tcp", a.String())
			if err != nil {
				return "refused"
			}
			_ = c.Close()
			return "open"
		}
		return word(plain), word(secure)
	}
	for _, tt := range []struct {
		view          View
		plain, secure string
	}{
		{View{State: "pre"}, "closed", "closed"},
		{View{State: "in", TLS: SetupTLS}, "closed", "open"},
		{View{State: "post", Plain: true}, "open", "closed"},
		{View{State: "post", Plain: true, TLS: OwnTLS}, "open", "open"},
		{View{State: "pre"}, "closed", "closed"},
	} {
		b.desk.set(func(v *View) { *v = tt.view })
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
		if plain, secure := open(); plain != tt.plain || secure != tt.secure {
			t.Errorf("%+v: %s, %s", tt.view, plain, secure)
		}
	}
}

// TestConnectionOpenedBeforeTheStateChanged: who connects while the port closes is reset.
func TestStateIsAskedForEveryConnection(t *testing.T) {
	b := start(t, "9.0", View{State: "post", Plain: true})
	at, _, _ := b.Addresses()
	b.desk.set(func(v *View) { *v = View{State: "pre"} }) // without Sync: as with shared listeners
	c := dial(t, at)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}

func TestFaults(t *testing.T) {
	b := start(t, "9.0", View{State: "post", Plain: true, TLS: OwnTLS})
	plain, secure, ping := b.Addresses()
	at := func(s Step, f Fault) {
		b.mu.Lock()
		defer b.mu.Unlock()
		clear(b.fault)
		b.fault[s] = f
	}
	for _, tt := range []struct {
		step Step
		f    Fault
		to   netip.AddrPort
		want string
	}{
		{AtConnect, Refuse, plain, ""}, {AtConnect, DropFirst, plain, "EOF"}, {AtConnect, Garbage, plain, "not what was asked for"},
		{AtTLS, Refuse, secure, ""}, {AtTLS, Garbage, secure, "not what was asked for"}, {AtTLS, Refuse, plain, "303 See Other"},
		{AtHTTP, Refuse, plain, "503 Service Unavailable"}, {AtHTTP, Garbage, plain, "not what was asked for"}, {AtHTTP, DropFirst, plain, ""},
		{AtHTTP, DropSecond, plain, "303 See Other"},
	} {
		at(tt.step, tt.f)
		got := ask(t, dial(t, tt.to), "/")
		if !strings.Contains(got, tt.want) || tt.want == "" && strings.Contains(got, "HTTP") {
			t.Errorf("%s=%s: %q", tt.step, tt.f, got)
		}
	}
	at(AtPing, None)
	p, err := net.Dial("udp", ping.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for f, want := range map[Fault]string{None: "\x06\x00\xff\x06\x00\x00\x11\xbe\x40\x2a", Garbage: "\x00\xff\x7famtmedic"} {
		at(AtPing, f)
		_, _ = p.Write([]byte{6, 0, 0, 6, 0, 0, 0x11, 0xbe, 0x80, 0x2a, 0, 0})
		_ = p.SetReadDeadline(time.Now().Add(5 * time.Second))
		buf := make([]byte, 64)
		if n, err := p.Read(buf); err != nil || !bytes.HasPrefix(buf[:n], []byte(want)) {
			t.Errorf("ping=%s: %x, %v", f, buf[:n], err)
		}
	}
}

// TestForeignBytes: what is no HTTP and no TLS gets an answer that is none, and ends.
func TestForeignBytes(t *testing.T) {
	b := start(t, "3.2.1", View{State: "in", Plain: true, TLS: PairTLS, PID: pair.pid, PPS: pair.pps})
	plain, secure, _ := b.Addresses()
	for _, text := range []string{"\x16\x03\x01\x00\x05hello", "\x00\x00\x00\x00\x00\x00\x00\x00\r\n\r\n", "GET\r\n\r\n", strings.Repeat("A", 40<<10), "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 5000) + "\r\n"} {
		for _, at := range []netip.AddrPort{plain, secure} {
			c := dial(t, at)
			_, _ = io.WriteString(c, text)
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.CloseWrite()
			}
			answer, _ := io.ReadAll(bufio.NewReader(c))
			if bytes.Contains(answer, []byte("200 OK")) {
				t.Errorf("%.20q at %s: %q", text, at, answer)
			}
		}
	}
	eventually(t, "all of them are gone", func() bool { return b.Sessions() == 0 })
}

func TestOneClientAnAddress(t *testing.T) {
	b := start(t, "9.0", View{State: "pre"})
	if _, err := b.s.Add(netip.MustParseAddr("127.0.0.1"), amt.UUID{9}, version(t, "9.0"), b.desk); err == nil {
		t.Error("a second client at the same address")
	}
}

// TestShared: one listener for all, told apart by the address that was called.
func TestShared(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.0/8 is loopback on Linux alone")
	}
	b := startAt(t, "9.0", View{State: "post", Plain: true}, Options{AnyPort: true, Shared: true})
	factory := &desk{view: View{State: "pre"}, realm: "x"}
	if _, err := b.s.Add(netip.MustParseAddr("127.0.0.9"), amt.UUID{9}, version(t, "9.0"), factory); err != nil {
		t.Fatal(err)
	}
	b.s.mu.Lock()
	port := addrPort(b.s.shared[0].(net.Listener).Addr()).Port()
	ping := addrPort(b.s.shared[2].(net.PacketConn).LocalAddr()).Port()
	b.s.mu.Unlock()
	for addr, want := range map[string]string{"127.0.0.1": "303 See Other", "127.0.0.9": "", "127.0.0.10": ""} {
		at := netip.MustParseAddr(addr)
		if got := ask(t, dial(t, netip.AddrPortFrom(at, port)), "/"); want == "" && strings.Contains(got, "HTTP") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", addr, got)
		}
		p, err := net.Dial("udp", netip.AddrPortFrom(at, ping).String()) // takes answers of this address alone
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		buf, wait := make([]byte, 64), 5*time.Second
		if addr == "127.0.0.10" {
			wait = 300 * time.Millisecond
		}
		_, _ = p.Write([]byte{6, 0, 0, 6, 0, 0, 0x11, 0xbe, 0x80, 0x2a, 0, 0})
		_ = p.SetReadDeadline(time.Now().Add(wait))
		if n, err := p.Read(buf); (err == nil && n == pongLen) != (addr != "127.0.0.10") {
			t.Errorf("ping of %s: %x, %v", addr, buf[:n], err)
		}
	}
}
