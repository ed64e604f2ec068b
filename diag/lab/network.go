package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"amtmedic/amt/sim"
)

// network is the client's way into the world: real questions to its name server, real
// connections to the provisioning server, and a tap that sees both.
type network struct {
	in     opener
	tap    *tap // at the client's port
	dhcp   *tap // shows the lease, which no socket of this world brought
	server *tap // at the server's port: it sees what the kernel refuses in the server's name
	place  place

	mu    sync.Mutex
	lease sim.Lease
}

func (n *network) current() sim.Lease {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lease
}

// How long firmware waits for an answer, in real time: a practice world has no slow links.
const (
	lookupTry   = 150 * time.Millisecond
	lookupTries = 2
	dialLimit   = 1500 * time.Millisecond
)

var errNoNameServer = errors.New("no DNS server is known")

// Lookup asks the name servers of the lease for the addresses of one name, as firmware does: A
// records over UDP, CNAMEs followed by the server.
func (n *network) Lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	servers := n.current().DNS
	if len(servers) == 0 {
		return nil, errNoNameServer
	}
	var last error
	for range lookupTries {
		for _, s := range servers {
			addrs, answered, err := n.ask(ctx, s, name)
			if answered {
				return addrs, err
			}
			last = err
		}
	}
	return nil, last
}

func (n *network) ask(ctx context.Context, to netip.AddrPort, name string) (addrs []netip.Addr, answered bool, err error) {
	c, err := n.in.dialUDP(ctx, n.place.client, to)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = c.Close() }()
	from := netip.AddrPortFrom(n.place.client, addrPort(c.LocalAddr()).Port())
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	b, err := q.Pack()
	if err != nil {
		return nil, true, err
	}
	if err := c.SetDeadline(time.Now().Add(lookupTry)); err != nil {
		return nil, false, err
	}
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	n.tap.udp(from, to, b)
	if _, err := c.Write(b); err != nil {
		return nil, false, err
	}
	buf := make([]byte, 1500)
	k, err := c.Read(buf)
	if err != nil {
		return nil, false, fmt.Errorf("no answer of %s for %s: %w", to, name, err)
	}
	n.tap.udp(to, from, buf[:k])
	var m dns.Msg
	if err := m.Unpack(buf[:k]); err != nil || m.Id != q.Id {
		return nil, false, fmt.Errorf("an answer of %s makes no sense", to)
	}
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			if ip, ok := netip.AddrFromSlice(a.A.To4()); ok {
				addrs = append(addrs, ip)
			}
		}
	}
	if len(addrs) == 0 {
		return nil, true, fmt.Errorf("%s says %s for %s", to, dns.RcodeToString[m.Rcode], name)
	}
	return addrs, true, nil
}

// Dial connects to a server from the source port that firmware uses, or another when that one is
// still busy.
func (n *network) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	for {
		c, err := n.dialFrom(ctx, from, to)
		if err == nil || !(errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL)) || ctx.Err() != nil {
			return c, err
		}
		from = netip.AddrPortFrom(from.Addr(), uint16(49152+rand.IntN(16000)))
	}
}

// synDelay is after what time a connection that is neither up nor refused is shown as a SYN: by
// then it was certainly sent.
const synDelay = 30 * time.Millisecond

func (n *network) dialFrom(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	s, far := n.tap.stream(from, to), n.server.stream(from, to)
	var once sync.Once
	sent := func() { once.Do(s.syn) }
	timer := time.AfterFunc(synDelay, sent)
	defer timer.Stop()
	c, err := n.in.dialTCP(ctx, from, to)
	switch {
	case err == nil:
		sent()
		s.established()
		return &conn{Conn: c, s: s, fromA: true, linger: -1}, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		sent()
		s.refused()
		if to.Addr() == n.place.server { // its kernel answered: so the packets were at its port
			far.syn()
			far.refused()
		}
	}
	return nil, err
}

// leased shows at the client's port how the lease came.
func (n *network) leased(l sim.Lease) {
	n.mu.Lock()
	n.lease = l
	n.mu.Unlock()
	if !l.Address.IsValid() {
		return
	}
	server := n.place.clientDNS
	n.dhcp.udp(netip.AddrPortFrom(server, 67), netip.AddrPortFrom(l.Address, 68), acknowledgement(l, server))
}

// acknowledgement is the DHCP message that gives the lease (RFC 2131, RFC 2132).
func acknowledgement(l sim.Lease, server netip.Addr) []byte {
	b := make([]byte, 240)
	b[0], b[1], b[2] = 2, 1, 6
	binary.BigEndian.PutUint32(b[4:], 0x616d7431)
	your := l.Address.As4()
	mac := append([]byte{2, 0}, your[:]...) // as the frames have it
	copy(b[16:], your[:])
	copy(b[28:], mac)
	binary.BigEndian.PutUint32(b[236:], 0x63825363)
	option := func(code byte, v []byte) {
		if len(v) > 0 {
			b = append(append(b, code, byte(len(v))), v...)
		}
	}
	s := server.As4()
	option(53, []byte{5})
	option(54, s[:])
	option(51, []byte{0, 1, 0x51, 0x80}) // a day
	option(15, []byte(l.Suffix))
	var resolvers []byte
	for _, a := range l.DNS {
		x := a.Addr().As4()
		resolvers = append(resolvers, x[:]...)
	}
	option(6, resolvers)
	return append(b, 255)
}
