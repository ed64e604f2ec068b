package sim

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Network is the client's way out. A practice world gives one that also records what passes.
type Network interface {
	// Lookup gives the addresses of one name, as the client's name server tells them.
	Lookup(ctx context.Context, name string) ([]netip.Addr, error)
	// Dial opens a TCP connection from the client's address. The source port is a wish.
	Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error)
}

// Sockets is a Network on the real sockets of this machine. Resolver is the name server that is
// asked; like any lookup here it heeds this machine's hosts file first.
type Sockets struct{ Resolver netip.AddrPort }

// Lookup asks the resolver for A records.
func (s Sockets) Lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	if !s.Resolver.IsValid() {
		return nil, errNoNameServer
	}
	r := net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Resolver.String())
	}}
	return r.LookupNetIP(ctx, "ip4", name+".") // the dot keeps this machine's own suffixes away
}

// Dial connects from the address and, when it is free, the port of from; else from any port.
func (s Sockets) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Control: reuseAddress}
	c, err := d.DialContext(ctx, "tcp", to.String())
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		d = net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from.Addr(), 0))}
		c, err = d.DialContext(ctx, "tcp", to.String())
	}
	return c, err
}
