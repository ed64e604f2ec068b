package lab

import (
	"slices"
	"sync"

	"github.com/miekg/dns"
)

// maxChain is how many CNAME steps a resolver follows.
const maxChain = 8

// view is what one side of the world gets to hear: the zones that its resolver knows. What lies
// in none of them does not exist, as names below .example do not exist on the Internet.
type view struct {
	zones []*zone

	mu   sync.RWMutex
	mute bool // the resolver hears and never answers
}

// zoneFor gives the zone with the longest origin that name lies in, nil when there is none.
func (v *view) zoneFor(name string) *zone {
	var best *zone
	for _, z := range v.zones {
		if dns.IsSubDomain(z.origin, fold(name)) && (best == nil || len(z.origin) > len(best.origin)) {
			best = z
		}
	}
	return best
}

// silence makes the resolver mute, or lets it speak again.
func (v *view) silence(mute bool) {
	v.mu.Lock()
	v.mute = mute
	v.mu.Unlock()
}

func (v *view) isMute() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mute
}

// answer fills m as a recursive server does: the CNAME chain, then the records asked for. The
// code is that of the last name of the chain (RFC 6604).
func (v *view) answer(m *dns.Msg, q dns.Question) {
	name := q.Name
	for range maxChain {
		z := v.zoneFor(name)
		if z == nil {
			m.Rcode = dns.RcodeNameError
			return
		}
		rrs, exists := z.at(name)
		if !exists {
			m.Rcode = dns.RcodeNameError
			m.Ns = z.soa()
			return
		}
		found := slices.DeleteFunc(slices.Clone(rrs), func(rr dns.RR) bool {
			return rr.Header().Rrtype != q.Qtype && q.Qtype != dns.TypeANY
		})
		if len(found) > 0 {
			m.Answer = append(m.Answer, found...)
			return
		}
		c := z.of(name, dns.TypeCNAME)
		if len(c) == 0 {
			m.Ns = z.soa() // the name is there, records of this type are not
			return
		}
		m.Answer = append(m.Answer, c[0])
		name = c[0].(*dns.CNAME).Target
	}
	m.Rcode = dns.RcodeServerFailure
}
