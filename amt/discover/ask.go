package discover

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"amtmedic/amt"
)

// portAnswer is what one TCP port said.
type portAnswer struct {
	open    bool
	reached bool   // the host answered, be it with a refusal
	server  string // header Server when it is that of AMT
	version amt.Version
	tls     string
	err     error
}

// ask asks the three ports of one host at the same time.
func (s *scan) ask(ctx context.Context, addr netip.Addr) (h Host, found, reached bool) {
	var plainPort, tlsPort portAnswer
	var pong Pong
	var pinged, pingReached bool
	var wg sync.WaitGroup
	wg.Go(func() { plainPort = s.askPort(ctx, addr, s.opt.Ports.Plain) })
	wg.Go(func() { tlsPort = s.askPort(ctx, addr, s.opt.Ports.TLS) })
	wg.Go(func() { pong, pinged, pingReached = s.askPing(ctx, addr) })
	wg.Wait()
	h = Host{Address: addr.String(), State: Unknown, Ports: []int{}, Ping: pinged, TLS: tlsPort.tls}
	version := pong.Version
	for _, p := range []struct {
		port int
		portAnswer
	}{{s.opt.Ports.TLS, tlsPort}, {s.opt.Ports.Plain, plainPort}} {
		if p.open {
			h.Ports = append([]int{p.port}, h.Ports...)
		}
		if p.server != "" {
			h.Server = p.server
			if !p.version.IsZero() {
				version = p.version
			}
		}
	}
	h.AMTVersion = version.String()
	switch {
	case pinged:
		h.State = pong.State
	case plainPort.server != "":
		h.State = Post
	}
	return h, pinged || h.Server != "", pingReached || plainPort.reached || tlsPort.reached
}

// askPort asks one TCP port. Firmware that hangs up at the hello of a newer TLS is asked again with an
// older one, down to 1.0 (tls.md 2.2 has such).
func (s *scan) askPort(ctx context.Context, addr netip.Addr, port int) portAnswer {
	if port == s.opt.Ports.Plain {
		a, _ := s.askOnce(ctx, addr, port, nil)
		return a
	}
	var last portAnswer
	for _, highest := range []uint16{tls.VersionTLS13, tls.VersionTLS11, tls.VersionTLS10} {
		c := AnyTLS()
		c.MaxVersion = highest
		a, hello := s.askOnce(ctx, addr, port, c)
		last.open, last.reached, last.err = last.open || a.open, last.reached || a.reached, a.err
		if !hello || ctx.Err() != nil {
			a.open, a.reached = last.open, last.reached
			return a
		}
	}
	return last
}

// askOnce makes one connection. hello tells that it ended at our first message of TLS, without a word
// about certificates or log-ins: an older version may do.
func (s *scan) askOnce(ctx context.Context, addr netip.Addr, port int, secure *tls.Config) (a portAnswer, hello bool) {
	conn, err := s.dial(ctx, "tcp", addr, port)
	if err != nil {
		a.reached, a.err = refused(err), err
		return a, false
	}
	defer conn.Close()
	a.open, a.reached = true, true
	_ = conn.SetDeadline(time.Now().Add(s.opt.Timeout))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if secure != nil {
		met := false
		secure.VerifyConnection = func(tls.ConnectionState) error { met = true; return nil }
		c := tls.Client(conn, secure)
		if a.err = c.HandshakeContext(ctx); a.err != nil {
			return a, !met && atHello(a.err)
		}
		a.tls = tlsWord(c.ConnectionState().Version)
		conn = c
	}
	if _, a.err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", net.JoinHostPort(addr.WithZone("").String(), strconv.Itoa(port))); a.err != nil {
		return a, false
	}
	server, err := ReadServer(conn)
	if err != nil {
		a.err = err
		return a, false
	}
	if v, ok := ParseServer(server); ok {
		a.server, a.version = server, v
	}
	return a, false
}

// olderMayDo are the alerts that follow on a hello that the other side does not take: unexpected
// message, handshake failure, illegal parameter, decode error, protocol version, internal error.
var olderMayDo = []tls.AlertError{10, 40, 47, 50, 70, 80}

// atHello sorts the errors of a handshake: hung up, or such an alert. Package tls keeps the type of a
// received alert to itself: its text is compared.
func atHello(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return slices.ContainsFunc(olderMayDo, func(a tls.AlertError) bool { return a.Error() == op.Err.Error() })
	}
	return refused(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "protocol version")
}

// AnyTLS takes whatever old firmware offers, TLS 1.0 included, and believes any certificate: who sends
// something secret over it adds a VerifyConnection.
func AnyTLS() *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, suite := range list {
			c.CipherSuites = append(c.CipherSuites, suite.ID)
		}
	}
	return c
}

func tlsWord(v uint16) string {
	if v < tls.VersionTLS10 || v > tls.VersionTLS13 {
		return ""
	}
	return "1." + strconv.Itoa(int(v-tls.VersionTLS10))
}

// askPing sends two pings at most, for a packet gets lost. The socket is connected to the host, so
// that nobody else's answer is taken, and a refusal is told at once.
func (s *scan) askPing(ctx context.Context, addr netip.Addr) (p Pong, ok, reached bool) {
	conn, err := s.dial(ctx, "udp", addr, s.opt.Ports.Ping)
	if err != nil {
		return p, false, false
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	tag := addr.As16()[15] ^ 0x5A
	b := make([]byte, 512)
	for range 2 {
		if ctx.Err() != nil {
			return p, false, reached
		}
		_ = conn.SetReadDeadline(time.Now().Add(s.opt.Timeout / 2))
		_, err := conn.Write(ping(tag))
		for err == nil {
			var n int
			if n, err = conn.Read(b); err == nil {
				reached = true
				if p, bad := ParsePong(b[:n]); bad == nil && p.Tag == tag {
					return p, true, true
				}
			}
		}
		if refused(err) {
			return p, false, true
		}
	}
	return p, false, reached
}

// dial opens a connection within the rate. When this machine has no descriptor or port left, it waits.
func (s *scan) dial(ctx context.Context, network string, addr netip.Addr, port int) (net.Conn, error) {
	if err := s.pace.wait(ctx); err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: s.opt.Timeout, KeepAlive: -1, FallbackDelay: -1} // short lives: four system calls fewer for each
	for try := 0; ; try++ {
		conn, err := d.DialContext(ctx, network, netip.AddrPortFrom(addr, uint16(port)).String())
		if !scarce(err) || try == 50 {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
