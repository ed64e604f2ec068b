package capture

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Live is a live capture of one interface, or of all, through a packet ring (TPACKET_V3) with a filter
// in the kernel.
type Live struct {
	name   string
	index  int // 0 for all interfaces
	link   LinkType
	ifaces *ifaceTable
	opt    LiveOptions
	fd     int
	waiter waiter
	ring   *ring

	tally
	closeOnce sync.Once
}

// Available tells what keeps live captures from working on this machine at all, as OpenLive would; nil
// when nothing does. It opens no interface.
func Available() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return liveError(AnyInterface, fmt.Errorf("open packet socket: %w", err))
	}
	return unix.Close(fd)
}

// OpenLive opens an interface; AnyInterface, or an empty name, is all of them, those included that
// appear later. Errors come as amt.Error around ErrPermission, ErrNoInterface or the cause that the
// system gave. Close it after Run.
func OpenLive(iface string, opt LiveOptions) (*Live, error) {
	opt.fill()
	if iface == "" {
		iface = AnyInterface
	}
	l := &Live{name: iface, opt: opt, fd: -1}
	loopback := false
	if iface != AnyInterface {
		ifi, err := net.InterfaceByName(iface)
		if err != nil {
			return nil, liveError(iface, ErrNoInterface)
		}
		l.index, loopback = ifi.Index, ifi.Flags&net.FlagLoopback != 0
	}
	if err := l.open(loopback); err != nil {
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
	prog, err := l.describe(loopback)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(l.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("set packet version: %w", err)
	}
	if err := l.attach(prog); err != nil {
		return err
	}
	if l.ring, err = newRing(l.fd, l.opt.Gather); err != nil {
		return err
	}
	if err := l.waiter.open(l.fd); err != nil {
		return err
	}
	if err := unix.Bind(l.fd, &unix.SockaddrLinklayer{Protocol: bigEndian16(unix.ETH_P_ALL), Ifindex: l.index}); err != nil {
		return fmt.Errorf("bind packet socket: %w", err)
	}
	if l.opt.Promisc && l.index == 0 {
		l.opt.Warn("packets for other stations can be taken on one named interface only")
	} else if l.opt.Promisc {
		req := unix.PacketMreq{Ifindex: int32(l.index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(l.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &req); err != nil {
			return fmt.Errorf("set promiscuous mode: %w", err)
		}
	}
	return nil
}

// describe finds out how frames begin, and gives the program for the kernel that fits.
func (l *Live) describe(loopback bool) ([]bpf.Instruction, error) {
	l.ifaces = newIfaceTable(l.fd)
	ports := newPortSet(l.opt.Ports)
	if l.index == 0 {
		l.link = LinkEthernet
		return programAny(ports), l.ifaces.addAll()
	}
	kind, err := l.ifaces.kind(l.name)
	if err != nil {
		return nil, fmt.Errorf("ask for the interface type: %w", err)
	}
	var ok bool
	if l.link, ok = linkOfType(kind); !ok {
		return nil, fmt.Errorf("interface type %d is not known", kind)
	}
	l.ifaces.add(int32(l.index), l.name, l.link)
	return program(ports, l.link, loopback), nil
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

// Link gives the link type of the packets. Of all interfaces at once each packet has its own.
func (l *Live) Link() LinkType { return l.link }

// Interfaces gives the interfaces whose packets can come; Packet.Iface is a place in the list. When
// all are watched the list grows with interfaces that appear later. It may be called while Run runs.
func (l *Live) Interfaces() []RecordedInterface { return l.ifaces.all() }

// Close frees the socket and the ring. It must not be called while Run runs.
func (l *Live) Close() error {
	l.closeOnce.Do(func() {
		if l.ring != nil {
			l.ring.close()
		}
		if !l.waiter.close() && l.fd >= 0 {
			_ = unix.Close(l.fd)
		}
	})
	return nil
}

// Run gives packets until ctx ends, and a heartbeat behind each burst of them and at least once a
// second. An interface that goes down is waited for; one that is removed ends with ErrInterfaceGone.
func (l *Live) Run(ctx context.Context, fn func(*Packet) error) error {
	defer onStop(ctx, l.waiter.stop)()
	defer l.countLost()
	d := delivery{live: l, fn: fn}
	d.packet.Link = l.link
	beat, down := time.Now(), outage{}
	l.waiter.until(beat.Add(time.Second))
	for {
		before := d.packet.Number
		if err := l.ring.drain(ctx, d.take); err != nil {
			return err
		}
		if d.packet.Number > before { // for who gathers: nothing may come for long
			if err := fn(&Packet{Time: d.packet.Time}); err != nil {
				return err
			}
		}
		if now := time.Now(); now.Sub(beat) >= time.Second {
			beat = now
			l.waiter.until(beat.Add(time.Second))
			l.countLost()
			if err := fn(&Packet{Time: beat}); err != nil {
				return err
			}
		}
		err := l.judge(&down, beat)
		if stop := ctx.Err(); stop != nil { // behind until: the end of ctx may have come before it
			return stop
		}
		if err == nil {
			err = l.wait(&down)
		}
		if err != nil {
			time.Sleep(l.ring.retire + 10*time.Millisecond) // its last packets may lie in a block that is not handed over yet
			if err := l.ring.drain(ctx, d.take); err != nil {
				return err
			}
			return liveError(l.name, err)
		}
	}
}

// delivery hands the frames of the ring on as packets.
type delivery struct {
	live   *Live
	fn     func(*Packet) error
	packet Packet
	index  int32 // of the interface of the last packet, whose place is then known
}

func (d *delivery) take(f *frame) error {
	l, p := d.live, &d.packet
	if l.index == 0 && f.index != d.index {
		d.index = f.index
		p.Iface = l.ifaces.find(f.index, f.kind)
		p.Link, _ = linkOfType(f.kind)
	}
	p.Data, p.OrigLen, p.Time, p.Dir = f.data, f.orig, f.at, DirIn
	if f.packetType == outgoing {
		p.Dir = DirOut
	}
	p.Number++
	l.count(p)
	return d.fn(p)
}

func (l *Live) exists() bool {
	_, err := l.ifaces.name(int32(l.index))
	return err == nil
}

// countLost reads the drop counter, which the kernel then sets to 0.
func (l *Live) countLost() {
	if st, err := unix.GetsockoptTpacketStatsV3(l.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		l.lose(uint64(st.Drops), l.opt.Warn)
	}
}

// wait sleeps until the ring has packets, the capture is stopped, or a second is over, and finds out
// what it means when the system signals a fault.
func (l *Live) wait(down *outage) error {
	faulty, err := l.waiter.wait(l.ring.ready)
	if err != nil {
		return fmt.Errorf("wait for packets: %w", err)
	}
	if !faulty {
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
	if down.since.IsZero() {
		down.since = time.Now()
		l.waiter.until(down.since.Add(downFor))
	}
	return nil
}

// downFor is how long an interface is down before that is told: one that is removed goes down first.
const downFor = 100 * time.Millisecond

// outage is an interface that is down.
type outage struct {
	since time.Time // zero while it is up
	told  bool
}

// judge tells of an interface that stays down, or that it is gone: a removal after a "down" is not
// signalled. Only the interface itself says that it is up again: a packet in the ring may be from before.
func (l *Live) judge(down *outage, beat time.Time) error {
	if down.since.IsZero() || time.Since(down.since) < downFor {
		return nil
	}
	there, up := l.ifaces.state(int32(l.index))
	if !there {
		return ErrInterfaceGone
	}
	if !up && down.told {
		return nil
	}
	l.waiter.until(beat.Add(time.Second)) // what is over would end each wait at once
	if up {
		*down = outage{}
		return nil
	}
	down.told = true
	l.opt.Warn("interface " + l.name + " is down; the capture goes on when it comes up")
	return nil
}
