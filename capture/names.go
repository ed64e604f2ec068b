package capture

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Bounds of the table of open questions.
const (
	maxQuestions = 4096
	answerTime   = 10 * time.Second // after which a question counts as not answered
)

// question names one open DNS question.
type question struct {
	asker, server netip.AddrPort
	id            uint16
	name          string
	qtype         uint16
}

// names joins DNS questions and answers (RFC 1035) over UDP.
type names struct {
	open  map[question]mark
	order []question // by time of asking; answered ones stay until they are swept
	emit  func(Event)
}

func newNames(emit func(Event)) *names { return &names{open: map[question]mark{}, emit: emit} }

// message takes one DNS message. Anything but a query with one question is left out.
func (n *names) message(at mark, src, dst netip.AddrPort, b []byte) {
	var m dns.Msg
	if m.Unpack(b) != nil || len(m.Question) != 1 || m.Opcode != dns.OpcodeQuery || m.Question[0].Qtype == 0 {
		return
	}
	q := question{asker: src, server: dst, id: m.Id, name: strings.TrimSuffix(m.Question[0].Name, "."), qtype: m.Question[0].Qtype}
	if !m.Response {
		n.asked(at, q)
		return
	}
	q.asker, q.server = dst, src
	d := &DNS{QName: q.name, QType: dns.Type(q.qtype).String(), RCode: dns.RcodeToString[m.Rcode],
		CNAME: []string{}, Addr: []string{}, Server: src.Addr().String()}
	if d.RCode == "" {
		d.RCode = "unknown"
	}
	for _, rr := range m.Answer {
		switch r := rr.(type) {
		case *dns.CNAME:
			d.CNAME = append(d.CNAME, strings.TrimSuffix(r.Target, "."))
		case *dns.A:
			d.Addr = append(d.Addr, r.A.String())
		case *dns.AAAA:
			d.Addr = append(d.Addr, r.AAAA.String())
		}
	}
	low := q
	low.name = strings.ToLower(q.name)
	delete(n.open, low)
	n.report(at, q, d)
}

func (n *names) asked(at mark, q question) {
	q.name = strings.ToLower(q.name)
	if _, again := n.open[q]; again {
		return
	}
	if len(n.order) >= maxQuestions {
		n.expire(n.order[0])
		n.order = slices.Delete(n.order, 0, 1)
	}
	n.open[q] = at.keep()
	n.order = append(n.order, q)
}

func (n *names) report(at mark, q question, d *DNS) {
	n.emit(Event{Time: at.time, Packet: at.packet, VLAN: at.keep().vlan, Kind: KindDNS, Src: q.asker, Dst: q.server, DNS: d})
}

// expire reports a question that nobody answered.
func (n *names) expire(q question) {
	at, open := n.open[q]
	if !open {
		return
	}
	delete(n.open, q)
	n.report(at, q, &DNS{QName: q.name, QType: dns.Type(q.qtype).String(), RCode: "none",
		CNAME: []string{}, Addr: []string{}, Server: q.server.Addr().String()})
}

// tick drops answered questions and reports those that waited long enough.
func (n *names) tick(now time.Time) {
	for len(n.order) > 0 {
		q := n.order[0]
		if at, open := n.open[q]; open && now.Sub(at.time) < answerTime {
			return
		}
		n.expire(q)
		n.order = n.order[1:]
	}
}

// end reports what is still open.
func (n *names) end() {
	for _, q := range n.order {
		n.expire(q)
	}
	n.order = nil
}
