package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// needsNamespaces says what is missing to build a network with a packet filter in it. It tries the
// whole of it once, because a container may forbid what root otherwise may do.
var needsNamespaces = sync.OnceValue(func() string {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, p := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, "the program "+p)
		}
	}
	if len(missing) > 0 {
		return strings.Join(missing, ", ")
	}
	n, err := newNamespace()
	if err != nil {
		return "the right to make network namespaces"
	}
	defer func() { _ = n.Close() }()
	if err := n.command(context.Background(), "nft", "add table inet practice"); err != nil {
		return "a kernel with nftables"
	}
	return ""
})

// namespace is a network of its own. It has no name: when its file and the sockets in it are
// closed, and at the latest when this program ends in whatever way, the kernel takes it away with
// everything in it. Nothing is ever left behind.
type namespace struct{ file *os.File }

func newNamespace() (*namespace, error) {
	var n namespace
	var err error
	onThread(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			n.file, err = os.Open("/proc/thread-self/ns/net")
		}
	})
	if err != nil {
		return nil, fmt.Errorf("make network namespace: %w", err)
	}
	return &n, nil
}

// onThread runs fn on a thread of its own, which ends with it: whatever fn changes about the
// thread, nobody else runs on it. It is never the main thread, which stands for the whole program
// in /proc and cannot end.
func onThread(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onThread(fn) // this thread is kept busy meanwhile
			runtime.UnlockOSThread()
			return
		}
		fn() // never unlocked: so the thread is not used again
	}()
	<-done
}

// do runs fn inside the namespace. Sockets that fn opens stay in it.
func (n *namespace) do(fn func() error) error {
	var err error
	onThread(func() {
		if err = unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err == nil {
			err = fn()
		}
	})
	return err
}

// command runs a program inside; line is parted at spaces.
func (n *namespace) command(ctx context.Context, program, line string) error {
	return n.do(func() error {
		out, err := exec.CommandContext(ctx, program, strings.Fields(line)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s %s: %w: %s", program, line, err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}

// path names the namespace for other programs.
func (n *namespace) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd()) }

// Close lets the namespace go.
func (n *namespace) Close() error { return n.file.Close() }

// nets is the network of a world with a packet filter: the client, a router and the servers in
// namespaces of their own, joined by virtual cables. relays are how programs outside reach the name
// servers.
type nets struct {
	client, router, server *namespace
	at                     place
	relays                 map[netip.AddrPort]*relay
}

// The ends of the cables, named for who they belong to.
const (
	clientPort = "client0"
	serverPort = "server0"
)

// newNets builds the network and its packet filter: on the router, or on the server itself.
func newNets(ctx context.Context, blocked, guarded bool) (*nets, error) {
	n := &nets{relays: map[netip.AddrPort]*relay{}}
	a := func(net, host byte) netip.Addr { return netip.AddrFrom4([4]byte{198, net, 51, host}) } // RFC 2544
	n.at = place{client: a(18, 7), beside: a(18, 8), server: a(19, 10), wrong: a(19, 99), clientDNS: a(19, 53), serverDNS: a(19, 54)}
	for _, ns := range []**namespace{&n.client, &n.router, &n.server} {
		var err error
		if *ns, err = newNamespace(); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	if err := n.cable(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	var err error
	if blocked {
		err = n.router.filter(ctx, "forward")
	}
	if guarded {
		err = errors.Join(err, n.server.filter(ctx, "input"))
	}
	for _, d := range []struct {
		at   netip.Addr
		from *namespace
	}{{n.at.clientDNS, n.client}, {n.at.serverDNS, n.server}} {
		if err == nil {
			to := netip.AddrPortFrom(d.at, dnsPort)
			n.relays[to], err = newRelay(ctx, n, d.from, to)
		}
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// cable joins the three and gives them their addresses.
func (n *nets) cable(ctx context.Context) error {
	ip := func(ns *namespace, format string, a ...any) func() error {
		return func() error { return ns.command(ctx, "ip", fmt.Sprintf(format, a...)) }
	}
	steps := []func() error{
		ip(n.client, "link add %s type veth peer name router0", clientPort),
		ip(n.client, "link set router0 netns %s", n.router.path()),
		ip(n.server, "link add %s type veth peer name router1", serverPort),
		ip(n.server, "link set router1 netns %s", n.router.path()),
		ip(n.client, "address add %s/24 dev %s", n.at.client, clientPort),
		ip(n.client, "address add %s/24 dev %s", n.at.beside, clientPort),
		ip(n.router, "address add 198.18.51.1/24 dev router0"),
		ip(n.router, "address add 198.19.51.1/24 dev router1"),
	}
	for _, a := range []netip.Addr{n.at.server, n.at.wrong, n.at.clientDNS, n.at.serverDNS} {
		steps = append(steps, ip(n.server, "address add %s/24 dev %s", a, serverPort))
	}
	steps = append(steps,
		ip(n.client, "link set %s up", clientPort), ip(n.server, "link set %s up", serverPort), ip(n.server, "link set lo up"),
		ip(n.router, "link set router0 up"), ip(n.router, "link set router1 up"),
		ip(n.client, "route add default via 198.18.51.1"), ip(n.server, "route add default via 198.19.51.1"),
		func() error {
			return n.router.do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644) })
		})
	for _, s := range steps {
		if err := s(); err != nil {
			return err
		}
	}
	return nil
}

// filter drops what goes to the provisioning port at one hook.
func (n *namespace) filter(ctx context.Context, hook string) error {
	for _, line := range []string{
		"add table inet practice",
		"add chain inet practice drops { type filter hook " + hook + " priority 0 ; }",
		"add rule inet practice drops tcp dport 9971 drop",
	} {
		if err := n.command(ctx, "nft", line); err != nil {
			return err
		}
	}
	return nil
}

// open takes the filters away.
func (n *nets) open() {
	for _, ns := range []*namespace{n.router, n.server} {
		_ = ns.command(context.Background(), "nft", "flush ruleset") // no filter there is as good
	}
}

// side gives the namespace that an address lives in.
func (n *nets) side(a netip.Addr) *namespace {
	if a == n.at.client || a == n.at.beside {
		return n.client
	}
	return n.server
}

func (n *nets) real(a netip.AddrPort) netip.AddrPort {
	if r, ok := n.relays[a]; ok {
		return r.at
	}
	return a
}

func (n *nets) listenTCP(ctx context.Context, at netip.AddrPort) (l net.Listener, err error) {
	err = n.side(at.Addr()).do(func() error {
		l, err = new(net.ListenConfig).Listen(ctx, "tcp4", at.String())
		return err
	})
	return l, err
}

func (n *nets) listenUDP(ctx context.Context, at netip.AddrPort) (c net.PacketConn, err error) {
	err = n.side(at.Addr()).do(func() error {
		c, err = new(net.ListenConfig).ListenPacket(ctx, "udp4", at.String())
		return err
	})
	return c, err
}

func (n *nets) dialTCP(ctx context.Context, from, to netip.AddrPort) (c net.Conn, err error) {
	err = n.side(from.Addr()).do(func() error {
		c, err = dialTCPFrom(ctx, from, to)
		return err
	})
	return c, err
}

func (n *nets) dialUDP(ctx context.Context, from netip.Addr, to netip.AddrPort) (c net.Conn, err error) {
	err = n.side(from).do(func() error {
		d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
		c, err = d.DialContext(ctx, "udp4", to.String())
		return err
	})
	return c, err
}

// Close takes the network away.
func (n *nets) Close() error {
	var errs []error
	for _, r := range n.relays {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	for _, ns := range []*namespace{n.client, n.router, n.server} {
		if ns != nil {
			errs = append(errs, ns.Close())
		}
	}
	return errors.Join(errs...)
}
