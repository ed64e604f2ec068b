package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// maxChain bounds how many CNAMEs are followed. Resolvers give up between 8 and 17.
const maxChain = 16

// lookup asks one server for A and AAAA of a name and follows CNAMEs itself where the answer does
// not. Where the two differ, A counts: firmware without IPv6 asks for nothing else.
func (t Target) lookup(ctx context.Context, server, name string) Answer {
	var a, six Answer
	var wg sync.WaitGroup
	wg.Go(func() { a = t.follow(ctx, server, name, dns.TypeA) })
	wg.Go(func() { six = t.follow(ctx, server, name, dns.TypeAAAA) })
	wg.Wait()
	switch {
	case a.Err != nil:
	case a.Timeout && six.Timeout:
	case six.Err != nil:
		a.Notes = append(a.Notes, "AAAA: "+six.Err.Error())
	case six.Timeout:
		a.Notes = append(a.Notes, "AAAA: no answer")
	case a.Timeout && len(six.Addr) == 0:
		a.Err = errors.New("the question for AAAA is answered, that for A is not")
	case len(a.Addr) == 0 && len(six.Addr) > 0:
		return six // IPv6 only
	default:
		a.Addr = append(a.Addr, six.Addr...)
	}
	return a
}

// follow asks for one type and follows the chain to its end.
func (t Target) follow(ctx context.Context, server, name string, qtype uint16) Answer {
	a := Answer{Name: strings.TrimSuffix(name, "."), Server: serverName(server)}
	asked := dns.Fqdn(name)
	at := asked
	for range maxChain {
		m, err := t.ask(ctx, serverAddress(server), asked, qtype)
		if err != nil {
			return a.unanswered(err)
		}
		rcode := dns.RcodeToString[m.Rcode]
		if rcode == "" {
			rcode = fmt.Sprintf("RCODE%d", m.Rcode)
		}
		at = a.walk(m.Answer, at)
		failed := m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError
		if failed && len(a.CNAME) > 0 && !a.Loop {
			a.Open = true // the rcode of the chain's end, which this server may not be for or not reach
			a.Notes = append(a.Notes, "asked for "+strings.TrimSuffix(asked, ".")+" it says "+rcode)
			return a
		}
		if a.Rcode = rcode; a.Loop {
			return a
		}
		if len(a.CNAME) > maxChain {
			break
		}
		a.collect(m.Answer, at, qtype)
		if len(a.Addr) > 0 || m.Rcode != dns.RcodeSuccess || strings.EqualFold(at, asked) {
			return a
		}
		asked = at // the answer ends in a CNAME: ask for its target
	}
	a.Open = true
	a.Notes = append(a.Notes, "more CNAMEs than are followed")
	return a
}

// unanswered says what silence or nonsense means: at the beginning of a chain nothing is known, in
// its middle only the end is not.
func (a Answer) unanswered(err error) Answer {
	silent := errors.Is(err, errSilent)
	switch {
	case len(a.CNAME) > 0 && silent:
		a.Open = true
		a.Notes = append(a.Notes, "no answer for "+a.CNAME[len(a.CNAME)-1])
	case silent:
		a.Timeout = true
		a.Notes = append(a.Notes, err.Error())
	default:
		a.Err = err
	}
	return a
}

// walk follows the CNAMEs of one answer from a name and gives the name that they end at.
func (a *Answer) walk(rrs []dns.RR, at string) string {
	for range len(rrs) + 1 {
		next := ""
		for _, rr := range rrs {
			if c, ok := rr.(*dns.CNAME); ok && strings.EqualFold(c.Hdr.Name, at) {
				next = c.Target
			}
		}
		if next == "" {
			return at
		}
		plain := strings.ToLower(strings.TrimSuffix(next, "."))
		if plain == strings.ToLower(a.Name) || slices.Contains(a.CNAME, plain) {
			a.Loop = true
			return at
		}
		a.CNAME = append(a.CNAME, plain)
		at = next
	}
	return at
}

// collect takes the addresses that the name at the chain's end has.
func (a *Answer) collect(rrs []dns.RR, at string, qtype uint16) {
	for _, rr := range rrs {
		if !strings.EqualFold(rr.Header().Name, at) || rr.Header().Rrtype != qtype {
			continue
		}
		var ip netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			ip, _ = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			ip, _ = netip.AddrFromSlice(rr.AAAA)
		}
		if ip = ip.Unmap(); ip.IsValid() && !slices.Contains(a.Addr, ip) {
			a.Addr = append(a.Addr, ip)
		}
	}
}
