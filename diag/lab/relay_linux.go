package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// relay leads from an address of this machine to a name server inside a practice network, so that
// programs outside can ask it as a machine at that place would.
type relay struct {
	net  *nets
	from netip.Addr // whom the name server sees
	to   netip.AddrPort
	at   netip.AddrPort // where it listens

	l     net.Listener
	pc    net.PacketConn
	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	tasks sync.WaitGroup
}

func newRelay(ctx context.Context, n *nets, side *namespace, to netip.AddrPort) (*relay, error) {
	r := &relay{net: n, to: to, from: n.at.server}
	if side == n.client {
		r.from = n.at.beside
	}
	s, err := listenBoth(ctx, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 18, 51, to.Addr().As4()[3]}), 0))
	if err != nil {
		return nil, err
	}
	r.l, r.pc, r.at = s.tcp, s.udp, addrPort(s.tcp.Addr())
	r.ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.tasks.Go(r.streams)
	r.tasks.Go(r.datagrams)
	return r, nil
}

// relayTime bounds one exchange.
const relayTime = 3 * time.Second

func (r *relay) streams() {
	for {
		c, err := r.l.Accept()
		if err != nil {
			return
		}
		r.tasks.Go(func() {
			defer func() { _ = c.Close() }()
			ctx, cancel := context.WithTimeout(r.ctx, relayTime)
			defer cancel()
			far, err := r.net.dialTCP(ctx, netip.AddrPortFrom(r.from, 0), r.to)
			if err != nil {
				return
			}
			defer context.AfterFunc(ctx, func() { _, _ = c.Close(), far.Close() })()
			r.tasks.Go(func() { _, _ = io.Copy(far, c); cancel() })
			_, _ = io.Copy(c, far)
			_ = far.Close()
		})
	}
}

func (r *relay) datagrams() {
	buf := make([]byte, 4096)
	for {
		n, from, err := r.pc.ReadFrom(buf)
		if err != nil {
			return
		}
		question := append([]byte{}, buf[:n]...)
		r.tasks.Go(func() {
			ctx, cancel := context.WithTimeout(r.ctx, relayTime)
			defer cancel()
			far, err := r.net.dialUDP(ctx, r.from, r.to)
			if err != nil {
				return
			}
			defer func() { _ = far.Close() }()
			defer context.AfterFunc(ctx, func() { _ = far.Close() })()
			answer := make([]byte, 4096)
			if _, err := far.Write(question); err != nil {
				return
			}
			if n, err := far.Read(answer); err == nil {
				_, _ = r.pc.WriteTo(answer[:n], from)
			}
		})
	}
}

// Close ends the relay and everything under way.
func (r *relay) Close() error {
	r.stop()
	err := errors.Join(r.l.Close(), r.pc.Close())
	r.tasks.Wait()
	return err
}
