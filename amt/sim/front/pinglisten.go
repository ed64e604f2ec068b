package front

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// openPing opens UDP 623 at the client's address. That needs a privilege, so that a failure is kept
// for PingError and stops nothing.
func (c *Client) openPing() error {
	if c.s.opt.NoPing || PlainClosed(c.version) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ping != nil || c.gone {
		return nil
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.addr, c.port(PortPing))))
	if err != nil {
		c.s.noPing(err)
		return nil
	}
	if c.s.start(func() { c.answerPings(conn) }) {
		c.ping = conn
		return nil
	}
	return conn.Close()
}

func (s *Server) noPing(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pingErr == nil {
		s.pingErr = fmt.Errorf("open UDP port %d: %w", PortPing, err)
	}
}

func (c *Client) answerPings(conn *net.UDPConn) {
	b := make([]byte, 64)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			if c.s.over() || !again(err) {
				return
			}
			continue
		}
		if answer := c.pong(b[:n]); answer != nil {
			_, _ = conn.WriteToUDPAddrPort(answer, from)
		}
	}
}

// pong is the answer to a packet; nil for none.
func (c *Client) pong(b []byte) []byte {
	tag, ok := pingTag(b)
	if !ok || PlainClosed(c.version) {
		return nil
	}
	switch c.s.opt.Fault(AtPing) {
	case None, Slow, DropSecond:
		return pong(tag, c.version, c.host.View())
	case Garbage:
		return []byte(nonsense)
	}
	return nil
}

// openSharedPing opens one UDP 623 for all addresses; s.mu is held.
func (s *Server) openSharedPing() {
	if s.opt.NoPing {
		return
	}
	at := &net.UDPAddr{Port: PortPing}
	if s.opt.AnyPort {
		at.Port = 0
	}
	conn, err := net.ListenUDP("udp4", at)
	if err == nil {
		p := ipv4.NewPacketConn(conn)
		if err = p.SetControlMessage(ipv4.FlagDst, true); err == nil {
			s.shared = append(s.shared, conn)
			s.wg.Go(func() { s.answerSharedPings(p) })
			return
		}
		_ = conn.Close()
	}
	s.pingErr = fmt.Errorf("open UDP port %d: %w", PortPing, err)
}

// answerSharedPings answers from the address that was asked.
func (s *Server) answerSharedPings(p *ipv4.PacketConn) {
	b := make([]byte, 64)
	for {
		n, cm, from, err := p.ReadFrom(b)
		if err != nil {
			if s.over() || !again(err) {
				return
			}
			continue
		}
		if cm == nil {
			continue
		}
		dst, _ := netip.AddrFromSlice(cm.Dst)
		if c := s.client(dst); c != nil {
			if answer := c.pong(b[:n]); answer != nil {
				_, _ = p.WriteTo(answer, &ipv4.ControlMessage{Src: cm.Dst}, from)
			}
		}
	}
}

func (s *Server) over() bool {
	select {
	case <-s.life.Done():
		return true
	default:
		return false
	}
}
