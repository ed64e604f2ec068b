package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Hardware types of sockaddr_ll (Linux if_arp.h).
const (
	arpEther    = 1
	arpPPP      = 512
	arpTunnel   = 768
	arpLoopback = 772
	arpSIT      = 776
	arpGRE      = 778
	arpNone     = 65534
)

// Live is a live capture of one interface through a packet ring (TPACKET_V3) with a filter in the
// kernel.
type Live struct {
	name  string
	index int
	link  LinkType
	opt   LiveOptions
	fd    int
	wake  int // eventfd that ends a wait
	ring  *ring

	received, dropped, truncated atomic.Uint64
	closeOnce                    sync.Once
}

// OpenLive opens an interface. Errors come as amt.Error around ErrPermission, ErrNoInterface or the
// cause that the system gave. Close it after Run.
func OpenLive(iface string, opt LiveOptions) (*Live, error) {
	opt.fill()
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, liveError(iface, ErrNoInterface)
	}
	l := &Live{name: iface, index: ifi.Index, opt: opt, fd: -1, wake: -1}
	if err := l.open(ifi.Flags&net.FlagLoopback != 0); err != nil {
		_ = l.Close()
		return nil, liveError(iface, err)
	}
	return l, nil
}

// open sets the socket up. The order matters: protocol 0 delivers nothing, so no packet gets in
// before the filter stands.
func (l *Live) open(loopback bool) error {
	var err error
	if l.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return fmt.Errorf("open packet socket: %w", err)
	}
	if err := unix.Bind(l.fd, &unix.SockaddrLinklayer{Ifindex: l.index}); err != nil {
		return fmt.Errorf("bind packet socket: %w", err)
	}
	if l.link, err = l.linkType(); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(l.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("set packet version: %w", err)
	}
	if err := l.attach(program(newPortSet(l.opt.Ports), l.link, loopback)); err != nil {
		return err
	}
	if l.ring, err = newRing(l.fd); err != nil {
		return err
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("open eventfd: %w", err)
	}
	if err := unix.Bind(l.fd, &unix.SockaddrLinklayer{Protocol: bigEndian16(unix.ETH_P_ALL), Ifindex: l.index}); err != nil {
		return fmt.Errorf("bind packet socket: %w", err)
	}
	if l.opt.Promisc {
		req := unix.PacketMreq{Ifindex: int32(l.index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(l.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &req); err != nil {
			return fmt.Errorf("set promiscuous mode: %w", err)
		}
	}
	return nil
}

// linkType tells from the bound socket how frames of the interface begin.
func (l *Live) linkType() (LinkType, error) {
	sa, err := unix.Getsockname(l.fd)
	if err != nil {
		return 0, fmt.Errorf("ask for the interface type: %w", err)
	}
	ll, ok := sa.(*unix.SockaddrLinklayer)
	if !ok {
		return 0, errors.New("ask for the interface type: no link layer address")
	}
	switch ll.Hatype {
	case arpEther, arpLoopback:
		return LinkEthernet, nil
	case arpNone, arpPPP, arpTunnel, arpSIT, arpGRE, arpTunnel + 1:
		return LinkRaw, nil
	}
	return 0, fmt.Errorf("interface type %d is not known", ll.Hatype)
}

func (l *Live) attach(prog []bpf.Instruction) error {
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	if err := unix.SetsockoptSockFprog(l.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}); err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	return nil
}

// bigEndian16 puts a protocol number into network byte order.
func bigEndian16(v uint16) uint16 { return v<<8 | v>>8 }

// Link gives the link type of the packets.
func (l *Live) Link() LinkType { return l.link }

// Stats gives the counts so far; it may be called while Run runs.
func (l *Live) Stats() Stats {
	return Stats{Received: l.received.Load(), Dropped: l.dropped.Load(), Truncated: l.truncated.Load()}
}

// Close frees the socket and the ring. It must not be called while Run runs.
func (l *Live) Close() error {
	l.closeOnce.Do(func() {
		if l.ring != nil {
			l.ring.close()
		}
		for _, fd := range []int{l.fd, l.wake} {
			if fd >= 0 {
				_ = unix.Close(fd)
			}
		}
	})
	return nil
}

// Run gives packets until ctx ends, and a heartbeat at least once a second. An interface that goes
// down is waited for; one that is removed ends with ErrInterfaceGone.
func (l *Live) Run(ctx context.Context, fn func(*Packet) error) error {
	stop := context.AfterFunc(ctx, func() { _, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer stop()
	p := Packet{Link: l.link}
	deliver := func(data []byte, orig int, at time.Time) error {
		p.Data, p.OrigLen, p.Time = data, orig, at
		p.Number++
		l.received.Add(1)
		if len(data) < orig {
			l.truncated.Add(1)
		}
		return fn(&p)
	}
	beat, down := time.Now(), false
	for {
		if err := l.ring.drain(ctx, deliver); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Since(beat) >= time.Second {
			beat = time.Now()
			if err := l.pulse(beat, fn); err != nil {
				return err
			}
			if down && !l.exists() { // a removal after a "down" is not signalled
				return liveError(l.name, ErrInterfaceGone)
			}
		}
		if err := l.wait(&down, time.Second-time.Since(beat)); err != nil {
			return liveError(l.name, err)
		}
	}
}

func (l *Live) exists() bool {
	_, err := net.InterfaceByIndex(l.index)
	return err == nil
}

// pulse reads the drop counters and hands on a heartbeat.
func (l *Live) pulse(now time.Time, fn func(*Packet) error) error {
	if st, err := unix.GetsockoptTpacketStatsV3(l.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil && st.Drops > 0 {
		total := l.dropped.Add(uint64(st.Drops))
		l.opt.Warn(fmt.Sprintf("the kernel lost %d packets (%d so far): hellos may be missing", st.Drops, total))
	}
	return fn(&Packet{Time: now})
}

// wait sleeps until the ring has packets, the capture is stopped, or the time is over.
func (l *Live) wait(down *bool, most time.Duration) error {
	fds := []unix.PollFd{
		{Fd: int32(l.fd), Events: unix.POLLIN | unix.POLLERR},
		{Fd: int32(l.wake), Events: unix.POLLIN},
	}
	if _, err := unix.Poll(fds, max(0, int(most/time.Millisecond))+1); err != nil && err != unix.EINTR {
		return fmt.Errorf("wait for packets: %w", err)
	}
	if fds[0].Revents&unix.POLLERR == 0 {
		if fds[0].Revents&unix.POLLIN != 0 {
			*down = false
		}
		return nil
	}
	code, err := unix.GetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return fmt.Errorf("wait for packets: %w", err)
	}
	if !l.exists() {
		return ErrInterfaceGone
	}
	if cause := unix.Errno(code); cause != 0 && cause != unix.ENETDOWN {
		return fmt.Errorf("wait for packets: %w", cause)
	}
	if !*down {
		*down = true
		l.opt.Warn("interface " + l.name + " is down; the capture goes on when it comes up")
	}
	return nil
}
