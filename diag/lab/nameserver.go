package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/miekg/dns"
)

// updateKey is the name of the key that signs dynamic updates in the practice world.
const updateKey = "practice-key."

// nameServer is a real name server on one address: UDP and TCP, answers from its view, dynamic
// updates for whoever has the key.
type nameServer struct {
	addr   netip.AddrPort
	view   *view
	closed sync.WaitGroup
	parts  []*dns.Server
}

// listenNames starts a name server on both protocols.
func listenNames(ctx context.Context, in opener, addr netip.Addr, v *view, secret string) (*nameServer, error) {
	s := &nameServer{addr: netip.AddrPortFrom(addr, dnsPort), view: v}
	l, err := in.listenTCP(ctx, s.addr)
	if err != nil {
		return nil, fmt.Errorf("listen for DNS: %w", err)
	}
	pc, err := in.listenUDP(ctx, s.addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for DNS: %w", err), l.Close())
	}
	if err := s.serve(l, pc, secret); err != nil {
		return nil, errors.Join(err, l.Close(), pc.Close())
	}
	return s, nil
}

func (s *nameServer) serve(l net.Listener, pc net.PacketConn, secret string) error {
	up := make(chan struct{}, 2)
	failed := make(chan error, 2)
	for _, srv := range []*dns.Server{{Listener: l}, {PacketConn: pc}} {
		srv.Handler = s
		srv.TsigSecret = map[string]string{updateKey: secret}
		srv.MsgAcceptFunc = accept
		srv.NotifyStartedFunc = func() { up <- struct{}{} }
		s.parts = append(s.parts, srv)
		s.closed.Go(func() {
			if err := srv.ActivateAndServe(); err != nil {
				failed <- err
			}
		})
	}
	for range s.parts {
		select {
		case <-up:
		case err := <-failed:
			return fmt.Errorf("start name server: %w", err)
		}
	}
	return nil
}

// accept takes updates too, which the library refuses by itself.
func accept(h dns.Header) dns.MsgAcceptAction {
	const response = 1 << 15
	if h.Bits&response != 0 {
		return dns.MsgIgnore
	}
	switch int(h.Bits>>11) & 0xF {
	case dns.OpcodeQuery, dns.OpcodeUpdate:
	default:
		return dns.MsgRejectNotImplemented
	}
	if h.Qdcount != 1 {
		return dns.MsgReject
	}
	return dns.MsgAccept
}

// ServeDNS answers one message.
func (s *nameServer) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	if s.view.isMute() {
		return
	}
	m := new(dns.Msg)
	m.SetReply(req)
	switch {
	case len(req.Question) != 1: // counted in the header and not there
		m.Rcode = dns.RcodeFormatError
	case req.Opcode == dns.OpcodeUpdate:
		s.serveUpdate(w, m, req)
	case req.Question[0].Qclass != dns.ClassINET:
		m.Rcode = dns.RcodeRefused
	default:
		m.Authoritative, m.RecursionAvailable = true, true
		s.view.answer(m, req.Question[0])
	}
	size := dns.MinMsgSize
	if o := req.IsEdns0(); o != nil {
		m.SetEdns0(1232, false)
		size = max(size, int(o.UDPSize()))
	}
	if w.LocalAddr().Network() == "udp" {
		m.Truncate(size)
	}
	_ = w.WriteMsg(m) // whoever asked may be gone
}

func (s *nameServer) serveUpdate(w dns.ResponseWriter, m, req *dns.Msg) {
	t := req.IsTsig()
	switch {
	case t == nil:
		m.Rcode = dns.RcodeRefused
	case w.TsigStatus() != nil:
		m.Rcode = dns.RcodeNotAuth
	default:
		m.Rcode = s.view.update(req)
		m.SetTsig(t.Hdr.Name, t.Algorithm, 300, int64(t.TimeSigned))
	}
}

// Close ends both sockets and waits for what is being answered.
func (s *nameServer) Close() error {
	var errs []error
	for _, p := range s.parts {
		errs = append(errs, p.Shutdown())
	}
	s.closed.Wait()
	return errors.Join(errs...)
}
