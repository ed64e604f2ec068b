package scsweb

import (
	"net"
	"net/netip"
	"sync"
)

// bounded is a listener that closes connections above its limits at once: silent ones of one source
// must not keep out the others.
type bounded struct {
	net.Listener
	all, each int

	mu    sync.Mutex
	open  int
	bySrc map[netip.Addr]int
}

func newBounded(ln net.Listener, all, each int) *bounded {
	return &bounded{Listener: ln, all: all, each: each, bySrc: map[netip.Addr]int{}}
}

// Accept gives the next connection that is within the limits.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		src := sourceOf(c.RemoteAddr().String())
		if b.enter(src) {
			return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { b.leave(src) })}, nil
		}
		_ = c.Close()
	}
}

func (b *bounded) enter(src netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open >= b.all || b.bySrc[src] >= b.each {
		return false
	}
	b.open++
	b.bySrc[src]++
	return true
}

func (b *bounded) leave(src netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	if b.bySrc[src]--; b.bySrc[src] == 0 {
		delete(b.bySrc, src)
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

// Close ends the connection and makes room for another.
func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// sourceOf gives what limits count by: an IPv4 address, or the /64 of an IPv6 address.
func sourceOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
