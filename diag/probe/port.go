package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
)

// Port is one TCP port to try. Key is net.9971 unless set; Side is where this machine stands.
type Port struct {
	Key   string         // net.9971, net.16992, net.16993 or net.mps
	Side  diag.Vantage   // the key's own side when empty; AtThird for another segment
	To    netip.AddrPort // the address that the name gives; port 0 means the key's usual one
	Local netip.Addr     // address to connect from; the zero value leaves it to the system
	Limit time.Duration  // 0 means 6 s: Windows repeats a refused SYN for about two
	// Dial replaces the network in tests and practice worlds; nil is net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

var usualPort = map[string]uint16{"net.9971": amt.HelloPort, "net.16992": 16992, "net.16993": 16993, "net.mps": 4433}

var portCheck = map[string]string{"net.9971": "chk-connect-9971", "net.16992": "chk-back", "net.16993": "chk-back", "net.mps": "chk-mps"}

// Connect gives the probe that opens a TCP connection to a port and closes it again without a byte.
func Connect(p Port) Probe {
	p = p.withDefaults()
	out := Probe{ID: "port-" + p.Key[len("net."):], Check: portCheck[p.Key], Gives: []string{p.Key}, Cost: Reach, Limit: p.Limit}
	if p.Side != "" {
		out.ID += "-" + string(p.Side)
	}
	if !p.To.Addr().IsValid() {
		out.What, out.Needs = "connect to the port", "the address to connect to"
		return out
	}
	out.What = "connect to " + p.To.String()
	if p.Local.IsValid() {
		out.What += " from " + p.Local.String()
	}
	if p.Key == "net.9971" {
		out.What += " (a hello server may log an empty connection)"
	}
	out.Run = p.run
	return out
}

func (p Port) withDefaults() Port {
	if p.Key == "" {
		p.Key = "net.9971"
	}
	if p.Limit <= 0 {
		p.Limit = 6 * time.Second
	}
	if p.To.Port() == 0 {
		p.To = netip.AddrPortFrom(p.To.Addr(), usualPort[p.Key])
	}
	return p
}

func (p Port) run(ctx context.Context, r Report) error {
	ctx, cancel := context.WithTimeout(ctx, p.Limit)
	defer cancel()
	start := time.Now()
	r.Until(start.Add(p.Limit), "an answer of "+p.To.String())
	dial := p.Dial
	if dial == nil {
		d := &net.Dialer{}
		if p.Local.IsValid() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.Local, 0))
		}
		dial = d.DialContext
	}
	conn, err := dial(ctx, "tcp", p.To.String())
	if errors.Is(err, context.Canceled) || context.Cause(ctx) == context.Canceled {
		if conn != nil {
			_ = conn.Close()
		}
		return context.Canceled
	}
	how, from := outcome(err), ""
	if conn != nil {
		from = " from " + conn.LocalAddr().String()
		_ = conn.Close()
	}
	if how == "" {
		return &amt.Error{Op: "connect", Subject: p.To.String(), Err: err, Hint: "the fault is on this machine, so it says nothing about the port"}
	}
	line := fmt.Sprintf("tcp %s%s: %s after %d ms", p.To, from, how, time.Since(start).Milliseconds())
	r.Saw(line)
	r.Fact(diag.Fact{Key: p.Key, Vantage: p.Side, Value: how, Evidence: diag.Evidence{line}})
	return nil
}

// outcome gives the word of net.* for the result of a connect, empty for a fault of this machine.
func outcome(err error) string {
	var ne net.Error
	switch {
	case err == nil:
		return "connect"
	case isErrno(err, errnoRefused):
		return "refused"
	case isErrno(err, errnoUnreachable):
		return "unreachable"
	case isErrno(err, errnoTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &ne) && ne.Timeout():
		return "timeout"
	}
	return ""
}

func isErrno(err error, these []error) bool {
	for _, e := range these {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// noRoute reports that the packet never left this machine.
func noRoute(err error) bool { return isErrno(err, errnoNoRoute) }
