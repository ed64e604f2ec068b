package lab

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"

	"amtmedic/amt"
)

// place is where the parts of a world live.
type place struct {
	claim     netip.Addr // whoever holds it builds here
	client    netip.Addr
	beside    netip.Addr // a PC in the client's segment, from which ports are tried
	server    netip.Addr
	wrong     netip.Addr // a host that is up and is no provisioning server
	clientDNS netip.Addr // the resolver that the client's lease names
	serverDNS netip.Addr // the resolver that the server uses
}

// dnsPort is the port of the name servers as the world sees it.
const dnsPort = 53

// opener opens sockets in the network that a world lives in. Addresses and ports are those of the
// world; where this machine does not give a port away, a free one stands for it.
type opener interface {
	listenTCP(ctx context.Context, at netip.AddrPort) (net.Listener, error)
	listenUDP(ctx context.Context, at netip.AddrPort) (net.PacketConn, error)
	dialTCP(ctx context.Context, from, to netip.AddrPort) (net.Conn, error)
	dialUDP(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error)
	// real gives the address that a program outside has to use.
	real(netip.AddrPort) netip.AddrPort
	Close() error
}

// loopback is the network of the usual world: addresses of 127.0.0.0/8 on this machine. moved
// names the ones that something else stands for: another port where this machine does not give the
// real one away, and 127.0.0.1 where it has no other address.
type loopback struct {
	single bool      // 127.0.0.1 stands for every address
	claim  io.Closer // held while the world stands: nobody else builds one on these addresses
	moved  map[netip.AddrPort]netip.AddrPort
}

var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func (n loopback) real(a netip.AddrPort) netip.AddrPort {
	if m, ok := n.moved[a]; ok {
		return m
	}
	if n.single {
		return netip.AddrPortFrom(localhost, 1) // nobody listens there
	}
	return a
}

// source gives the address that a connection comes from.
func (n loopback) source(a netip.AddrPort) netip.AddrPort {
	if n.single {
		return netip.AddrPortFrom(localhost, 0)
	}
	return a
}

func (n loopback) listenTCP(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp4", n.real(at).String())
}

func (n loopback) listenUDP(ctx context.Context, at netip.AddrPort) (net.PacketConn, error) {
	return new(net.ListenConfig).ListenPacket(ctx, "udp4", n.real(at).String())
}

func (n loopback) dialTCP(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	return dialTCPFrom(ctx, n.source(from), n.real(to))
}

func (n loopback) dialUDP(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(n.source(netip.AddrPortFrom(from, 0)))}
	return d.DialContext(ctx, "udp4", n.real(to).String())
}

// Close lets others have the addresses.
func (n loopback) Close() error {
	if n.claim == nil {
		return nil
	}
	return n.claim.Close()
}

// dialTCPFrom connects from an address and port.
func dialTCPFrom(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Control: reuseAddress}
	return d.DialContext(ctx, "tcp4", to.String())
}

// findLoopback picks a network for one world: a /24 of the loopback block in which the ports are
// free, so that several worlds stand side by side. Where something has taken a port on every
// address, or ports below 1024 are not given away, free ports stand for them.
func findLoopback(ctx context.Context, r *rand.Rand) (place, loopback, error) {
	single := runtime.GOOS != "linux" && runtime.GOOS != "windows"
	var last error
	for try := range 12 {
		p := drawPlace(r)
		var claim io.Closer
		if claim, last = new(net.ListenConfig).ListenPacket(ctx, "udp4", netip.AddrPortFrom(p.claim, amt.HelloPort).String()); last != nil && !single {
			continue
		}
		n := loopback{single: single, claim: claim, moved: map[netip.AddrPort]netip.AddrPort{}}
		hello := netip.AddrPortFrom(p.server, amt.HelloPort)
		needed := []netip.AddrPort{hello, netip.AddrPortFrom(p.clientDNS, dnsPort), netip.AddrPortFrom(p.serverDNS, dnsPort)}
		if last = n.settle(ctx, needed, try >= 4, r); last != nil {
			last = errors.Join(last, n.Close())
			continue
		}
		if m, ok := n.moved[hello]; ok && !n.single { // whoever owns 9971 everywhere is not in this world
			n.moved[netip.AddrPortFrom(p.wrong, amt.HelloPort)] = netip.AddrPortFrom(p.wrong, m.Port())
		}
		return p, n, nil
	}
	return place{}, loopback{}, &amt.Error{Op: "find addresses for the practice world", Err: last,
		Hint: "another program uses the loopback ports; end it and try again"}
}

// settle finds for every address of the world one that this machine gives away: itself if it can
// be had. The provisioning port is moved only when told so, because another network may have it.
func (n loopback) settle(ctx context.Context, needed []netip.AddrPort, moveHello bool, r *rand.Rand) error {
	for _, a := range needed {
		var err error
		if !n.single {
			if err = tryListen(ctx, a); err == nil {
				continue
			}
		}
		if n.single || moveHello || a.Port() == dnsPort {
			err = n.settleAt(ctx, a, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settleAt moves an address to a free port.
func (n loopback) settleAt(ctx context.Context, a netip.AddrPort, r *rand.Rand) error {
	var err error
	for range 10 {
		m := netip.AddrPortFrom(a.Addr(), uint16(20000+r.IntN(12000)))
		if n.single {
			m = netip.AddrPortFrom(localhost, m.Port())
		}
		if err = tryListen(ctx, m); err == nil {
			n.moved[a] = m
			return nil
		}
	}
	return err
}

// drawPlace picks addresses.
func drawPlace(r *rand.Rand) place {
	b, c := byte(16+r.IntN(230)), byte(r.IntN(256))
	host := func(d byte) netip.Addr { return netip.AddrFrom4([4]byte{127, b, c, d}) }
	return place{claim: host(1), client: host(7), beside: host(8), server: host(10), wrong: host(99), clientDNS: host(53), serverDNS: host(54)}
}

// tryListen looks whether an address can be listened on with TCP and UDP, and lets it go again.
func tryListen(ctx context.Context, a netip.AddrPort) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", a.String())
	if err != nil {
		return err
	}
	pc, err := lc.ListenPacket(ctx, "udp4", a.String())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return errors.Join(l.Close(), pc.Close())
}
