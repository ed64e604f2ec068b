package lab

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"

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

	mu   sync.Mutex
	held map[netip.AddrPort]sockets // taken already, for who asks first
}

// sockets are the two ends of one port.
type sockets struct {
	tcp net.Listener
	udp net.PacketConn
}

func (s sockets) Close() error { return errors.Join(s.tcp.Close(), s.udp.Close()) }

var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func (n *loopback) real(a netip.AddrPort) netip.AddrPort {
	if m, ok := n.moved[a]; ok {
		return m
	}
	if n.single {
		return netip.AddrPortFrom(localhost, 1) // nobody listens there
	}
	return a
}

// source gives the address that a connection comes from.
func (n *loopback) source(a netip.AddrPort) netip.AddrPort {
	if n.single {
		return netip.AddrPortFrom(localhost, 0)
	}
	return a
}

func (n *loopback) listenTCP(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, ok := n.held[at]; ok && s.tcp != nil {
		n.held[at] = sockets{udp: s.udp}
		return s.tcp, nil
	}
	return new(net.ListenConfig).Listen(ctx, "tcp4", n.real(at).String())
}

func (n *loopback) listenUDP(ctx context.Context, at netip.AddrPort) (net.PacketConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, ok := n.held[at]; ok && s.udp != nil {
		n.held[at] = sockets{tcp: s.tcp}
		return s.udp, nil
	}
	return new(net.ListenConfig).ListenPacket(ctx, "udp4", n.real(at).String())
}

// release lets go what was taken and not asked for: a port whose service does not run.
func (n *loopback) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.held {
		if s.tcp != nil {
			_ = s.tcp.Close()
		}
		if s.udp != nil {
			_ = s.udp.Close()
		}
	}
	n.held = nil
}

func (n *loopback) dialTCP(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	return dialTCPFrom(ctx, n.source(from), n.real(to))
}

func (n *loopback) dialUDP(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(n.source(netip.AddrPortFrom(from, 0)))}
	return d.DialContext(ctx, "udp4", n.real(to).String())
}

// Close lets others have the addresses.
func (n *loopback) Close() error {
	n.release()
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

// oneAddress reports whether this system takes only 127.0.0.1 for its own. Linux and Windows take
// all of 127.0.0.0/8.
func oneAddress() bool { return runtime.GOOS != "linux" && runtime.GOOS != "windows" }

// findLoopback picks a network for one world: a /24 of the loopback block in which the ports are
// free, so that several worlds stand side by side. Where something has taken a port on every
// address, or ports below 1024 are not given away, free ports stand for them. With
// single, free ports of 127.0.0.1 stand for everything.
func findLoopback(ctx context.Context, r *rand.Rand, single bool) (place, *loopback, error) {
	var last error
	taken := 0 // how often the addresses were free and a port was not
	for try := range 40 {
		if try == 8 { // many worlds of this seed stand: look elsewhere
			r = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
		}
		p := drawPlace(r)
		var claim io.Closer
		if claim, last = new(net.ListenConfig).ListenPacket(ctx, "udp4", netip.AddrPortFrom(p.claim, amt.HelloPort).String()); last != nil && !single {
			continue
		}
		n := &loopback{single: single, claim: claim, moved: map[netip.AddrPort]netip.AddrPort{}, held: map[netip.AddrPort]sockets{}}
		hello := netip.AddrPortFrom(p.server, amt.HelloPort)
		needed := []netip.AddrPort{hello, netip.AddrPortFrom(p.clientDNS, dnsPort), netip.AddrPortFrom(p.serverDNS, dnsPort)}
		if last = n.settle(ctx, needed, taken >= 3); last != nil {
			taken++
			last = errors.Join(last, n.Close())
			continue
		}
		if m, ok := n.moved[hello]; ok && !n.single { // whoever owns 9971 everywhere is not in this world
			n.moved[netip.AddrPortFrom(p.wrong, amt.HelloPort)] = netip.AddrPortFrom(p.wrong, m.Port())
		}
		return p, n, nil
	}
	return place{}, nil, &amt.Error{Op: "find addresses for the practice world", Err: last,
		Hint: "another program uses the loopback ports; end it and try again"}
}

// settle takes, for every address of the world, one that this machine gives away: itself if it can
// be had. The provisioning port is moved only when told so, because another network may have it.
func (n *loopback) settle(ctx context.Context, needed []netip.AddrPort, moveHello bool) error {
	for _, a := range needed {
		err := n.take(ctx, a)
		if err != nil && (n.single || moveHello || a.Port() == dnsPort) {
			err = n.move(ctx, a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take takes an address as it is.
func (n *loopback) take(ctx context.Context, a netip.AddrPort) error {
	if n.single {
		return errors.New("127.0.0.1 is the only loopback address here")
	}
	s, err := listenBoth(ctx, a)
	if err == nil {
		n.held[a] = s
	}
	return err
}

// move takes a free port instead.
func (n *loopback) move(ctx context.Context, a netip.AddrPort) error {
	at := a.Addr()
	if n.single {
		at = localhost
	}
	s, err := listenBoth(ctx, netip.AddrPortFrom(at, 0))
	if err == nil {
		n.held[a], n.moved[a] = s, addrPort(s.tcp.Addr())
	}
	return err
}

// listenBoth takes one port for TCP and UDP, any free one for port 0.
func listenBoth(ctx context.Context, a netip.AddrPort) (s sockets, err error) {
	var lc net.ListenConfig
	for range 10 {
		if s.tcp, err = lc.Listen(ctx, "tcp4", a.String()); err != nil {
			return s, err
		}
		if s.udp, err = lc.ListenPacket(ctx, "udp4", s.tcp.Addr().String()); err == nil {
			return s, nil
		}
		_ = s.tcp.Close()
		if a.Port() != 0 {
			return s, err
		}
	}
	return s, err
}

// drawPlace picks addresses.
func drawPlace(r *rand.Rand) place {
	b, c := byte(16+r.IntN(230)), byte(r.IntN(256))
	host := func(d byte) netip.Addr { return netip.AddrFrom4([4]byte{127, b, c, d}) }
	return place{claim: host(1), client: host(7), beside: host(8), server: host(10), wrong: host(99), clientDNS: host(53), serverDNS: host(54)}
}
