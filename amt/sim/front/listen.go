package front

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Sync opens and closes ports as the state of the client asks for. Call it after every change.
func (c *Client) Sync() error {
	if c.s.opt.Shared {
		return c.s.openShared()
	}
	c.syncMu.Lock()
	defer c.syncMu.Unlock()
	v := c.host.View()
	if err := c.sync(&c.plain, v.Plain, PortPlain); err != nil {
		return err
	}
	if err := c.sync(&c.tls, v.TLS != NoTLS, PortTLS); err != nil {
		return err
	}
	return c.openPing()
}

func (c *Client) sync(ln *net.Listener, open bool, port uint16) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case open == (*ln != nil) || c.gone:
		return nil
	case !open:
		err := (*ln).Close()
		*ln = nil
		return err
	}
	l, err := listen(c.addr, c.port(port))
	if err != nil {
		return err
	}
	if !c.s.start(func() { c.s.accept(l, port, func(netip.Addr) *Client { return c }) }) {
		return errors.Join(net.ErrClosed, l.Close())
	}
	*ln = l
	return nil
}

// port gives 0, which is any, to a server that was told to.
func (c *Client) port(port uint16) uint16 {
	if c.s.opt.AnyPort {
		return 0
	}
	return port
}

func listen(addr netip.Addr, port uint16) (net.Listener, error) {
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(context.Background(), "tcp", netip.AddrPortFrom(addr, port).String())
	if err != nil {
		return nil, fmt.Errorf("open port %d: %w", port, err) // the system's words name the address
	}
	return l, nil
}

// Addresses gives where the client listens: plain, TLS and ping. What is closed or shared is zero.
func (c *Client) Addresses() (plain, secure, ping netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plain != nil {
		plain = addrPort(c.plain.Addr())
	}
	if c.tls != nil {
		secure = addrPort(c.tls.Addr())
	}
	if c.ping != nil {
		ping = addrPort(c.ping.LocalAddr())
	}
	return plain, secure, ping
}

func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		return unmapped(a.AddrPort())
	case *net.UDPAddr:
		return unmapped(a.AddrPort())
	}
	return netip.AddrPort{}
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// openShared opens the listeners of all clients, once.
func (s *Server) openShared() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shared != nil || s.closed {
		return nil
	}
	for _, port := range []uint16{PortPlain, PortTLS} {
		at := port
		if s.opt.AnyPort {
			at = 0
		}
		l, err := listen(netip.IPv4Unspecified(), at)
		if err != nil {
			return err
		}
		s.shared = append(s.shared, l)
		s.wg.Go(func() { s.accept(l, port, s.client) })
	}
	s.openSharedPing()
	return nil
}

// accept takes connections until the listener is closed.
func (s *Server) accept(l net.Listener, port uint16, find func(netip.Addr) *Client) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many open files: wait for some to be closed
			select {
			case <-time.After(50 * time.Millisecond):
				continue
			case <-s.life.Done():
				return
			}
		}
		c := find(addrPort(conn.LocalAddr()).Addr())
		if c == nil || !s.start(func() { c.serve(conn, port) }) {
			reset(conn)
		}
	}
}

// serve brings a connection to the point where HTTP begins. An address whose state has no open port
// is reset.
func (c *Client) serve(raw net.Conn, port uint16) {
	v := c.host.View()
	open := port == PortPlain && v.Plain || port == PortTLS && v.TLS != NoTLS
	s := &session{Conn: raw, raw: raw, c: c, secure: port == PortTLS}
	if !open || !c.count() {
		reset(raw)
		return
	}
	s.raw = &counted{Conn: raw, c: c}
	raw, s.Conn = s.raw, s.raw
	if !c.s.faultAt(AtConnect, raw) || s.secure && !c.s.faultAt(AtTLS, raw) {
		return
	}
	if s.secure && c.s.opt.Fault(AtTLS) == Pieces {
		raw = bytewise{raw}
	}
	if s.secure {
		conn, err := c.handshake(c.s.life, raw, v)
		if err != nil {
			c.s.opt.Saw(Event{Kind: SessionRefused, Client: c.addr, From: addrPort(raw.RemoteAddr()), Err: err})
			_ = raw.Close()
			return
		}
		s.Conn, s.security = conn, v.TLS
	}
	if c.s.opt.Fault(AtHTTP) == Pieces {
		s.Conn = bytewise{s.Conn}
	}
	if !c.enter(s) {
		_ = s.Conn.Close()
		return
	}
	c.s.opt.Saw(Event{Kind: SessionOpen, Client: c.addr, From: addrPort(raw.RemoteAddr()), Setup: s.setup()})
	select {
	case c.s.door <- s:
	case <-c.s.life.Done():
		_ = s.Close()
	}
}

// reset ends a connection at once, with RST where the system can.
func reset(conn net.Conn) {
	if l, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0)
	}
	_ = conn.Close()
}

// certificate is made once, when it is first needed.
type certificate struct {
	once sync.Once
	pair tls.Certificate
	err  error
}

func (c *Client) selfSigned() (tls.Certificate, error) {
	c.mu.Lock()
	if c.own == nil {
		c.own = &certificate{}
	}
	own := c.own
	c.mu.Unlock()
	own.once.Do(func() { own.pair, own.err = c.s.keys.selfSigned(c.uuid, c.version) })
	return own.pair, own.err
}
