package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// errSilent is the cause when nothing at all came back.
var errSilent = errors.New("nothing came back")

// grace is how long a sound answer may still follow one that makes no sense.
const grace = 250 * time.Millisecond

// ask asks one question and gives a sound answer to it, over TCP when the answer over UDP was cut.
// The error is errSilent when nobody answered, else it says what is wrong with what came.
func (t Target) ask(ctx context.Context, server, name string, qtype uint16) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype) // recursion desired, no EDNS: as firmware asks
	wire, err := q.Pack()
	if err != nil {
		return nil, fmt.Errorf("%q cannot be asked: %w", name, err)
	}
	for range t.Tries {
		m, e := t.exchange(ctx, "udp", server, q, wire)
		if e == nil && m.Truncated {
			if m, e = t.exchange(ctx, "tcp", server, q, wire); e != nil {
				return nil, fmt.Errorf("the answer over UDP was cut, and over TCP: %s", e.Error())
			}
		}
		if e == nil {
			return m, nil
		}
		if ctx.Err() != nil {
			return nil, errors.New("the time for all questions was up")
		}
		if err = e; !errors.Is(e, errSilent) {
			break
		}
	}
	return nil, err
}

// exchange does one try.
func (t Target) exchange(ctx context.Context, network, server string, q *dns.Msg, wire []byte) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, t.Try)
	defer cancel()
	conn, err := t.dialer(network).DialContext(ctx, network, server)
	if err != nil {
		return nil, transport(err)
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		return overTCP(conn, q, wire)
	}
	return overUDP(conn, q, wire)
}

func (t Target) dialer(network string) *net.Dialer {
	d := &net.Dialer{}
	if t.Local.IsValid() && network == "udp" {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(t.Local, 0))
	} else if t.Local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(t.Local, 0))
	}
	return d
}

// overUDP waits for the answer with our id. Others may be forged or late: they are passed over,
// and named only when nothing better comes.
func overUDP(conn net.Conn, q *dns.Msg, wire []byte) (*dns.Msg, error) {
	if _, err := conn.Write(wire); err != nil {
		return nil, transport(err)
	}
	buf := make([]byte, 1<<16)
	var bad error
	for {
		n, err := conn.Read(buf)
		if err != nil && bad != nil {
			return nil, bad
		}
		if err != nil {
			return nil, transport(err)
		}
		m, err := parse(buf[:n], q)
		if err == nil {
			return m, nil
		}
		if bad == nil {
			_ = conn.SetDeadline(time.Now().Add(grace))
		}
		bad = err
	}
}

func overTCP(conn net.Conn, q *dns.Msg, wire []byte) (*dns.Msg, error) {
	out := binary.BigEndian.AppendUint16(nil, uint16(len(wire)))
	if _, err := conn.Write(append(out, wire...)); err != nil {
		return nil, transport(err)
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, transport(err)
	}
	said := int(binary.BigEndian.Uint16(size[:]))
	b := make([]byte, said)
	if n, err := io.ReadFull(conn, b); err != nil {
		return nil, fmt.Errorf("the answer says that it has %d bytes, %d came", said, n)
	}
	return parse(b, q)
}

// parse reads one answer and refuses whatever could be taken for another answer than was given:
// counts and lengths that lie, a foreign id, another question.
func parse(b []byte, q *dns.Msg) (*dns.Msg, error) {
	const header = 12
	if len(b) < header {
		return nil, fmt.Errorf("the answer has %d bytes, fewer than a DNS header", len(b))
	}
	if id := binary.BigEndian.Uint16(b); id != q.Id {
		return nil, fmt.Errorf("the answer has the id %d, the question had %d", id, q.Id)
	}
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		return nil, fmt.Errorf("the answer of %d bytes is malformed: %s", len(b), strings.TrimPrefix(err.Error(), "dns: "))
	}
	have := []int{len(m.Question), len(m.Answer), len(m.Ns), len(m.Extra)}
	for i, what := range []string{"questions", "answers", "authority records", "further records"} {
		if said := int(binary.BigEndian.Uint16(b[4+2*i:])); said != have[i] && !m.Truncated {
			return nil, fmt.Errorf("the answer says that it has %d %s, %d are there", said, what, have[i])
		}
	}
	if !m.Response {
		return nil, errors.New("what came is a question, not an answer")
	}
	if n := wireLen(b); !m.Truncated && n != len(b) {
		return nil, fmt.Errorf("the answer ends after %d bytes, %d came", n, len(b))
	}
	if len(m.Question) == 1 && (!strings.EqualFold(m.Question[0].Name, q.Question[0].Name) || m.Question[0].Qtype != q.Question[0].Qtype) {
		return nil, fmt.Errorf("the answer is to another question (%s)", m.Question[0].Name)
	}
	return m, nil
}

// wireLen gives where the message ends by its own counts. It is only called for what could be
// unpacked, so a fault means that there is nothing beyond.
func wireLen(b []byte) int {
	off := 12
	for range binary.BigEndian.Uint16(b[4:]) {
		_, o, err := dns.UnpackDomainName(b, off)
		if err != nil {
			return len(b)
		}
		off = o + 4
	}
	records := 0
	for i := 6; i < 12; i += 2 {
		records += int(binary.BigEndian.Uint16(b[i:]))
	}
	for range records {
		_, o, err := dns.UnpackRR(b, off)
		if err != nil {
			return len(b)
		}
		off = o
	}
	return off
}

// transport tells silence from what is wrong on this machine. A refusal by ICMP is silence too:
// the question left and nobody there answers it.
func transport(err error) error {
	switch outcome(err) {
	case "timeout":
		return errSilent
	case "refused":
		return fmt.Errorf("%w: no DNS server is there, its host refuses the port", errSilent)
	case "unreachable":
		if noRoute(err) {
			return fmt.Errorf("this machine has no route there: %w", err)
		}
		return fmt.Errorf("%w: the way there is closed or nobody has that address", errSilent)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the connection was closed without an answer")
	}
	return err
}
