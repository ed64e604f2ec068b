package lab

import (
	"slices"

	"github.com/miekg/dns"
)

// update applies a dynamic update to its zone and gives the result code (RFC 2136). The caller has
// checked the signature. Everything is done, or nothing.
func (v *view) update(req *dns.Msg) int {
	if len(req.Question) != 1 || req.Question[0].Qtype != dns.TypeSOA {
		return dns.RcodeFormatError
	}
	z := v.zoneFor(req.Question[0].Name)
	if z == nil || z.origin != fold(req.Question[0].Name) {
		return dns.RcodeNotAuth
	}
	for _, rr := range slices.Concat(req.Answer, req.Ns) {
		if !dns.IsSubDomain(z.origin, fold(rr.Header().Name)) {
			return dns.RcodeNotZone
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if code := z.prerequisites(req.Answer); code != dns.RcodeSuccess {
		return code
	}
	for _, rr := range req.Ns {
		z.change(rr)
	}
	return dns.RcodeSuccess
}

// prerequisites looks whether what the sender takes for granted is so (RFC 2136, 3.2).
func (z *zone) prerequisites(rrs []dns.RR) int {
	wanted := map[string][]dns.RR{} // whole sets that must be there, by name and type
	for _, rr := range rrs {
		h := rr.Header()
		have := z.rrs[fold(h.Name)]
		ofType := slices.ContainsFunc(have, func(x dns.RR) bool { return x.Header().Rrtype == h.Rrtype })
		switch {
		case h.Class == dns.ClassANY && h.Rrtype == dns.TypeANY && len(have) == 0:
			return dns.RcodeNameError
		case h.Class == dns.ClassANY && h.Rrtype != dns.TypeANY && !ofType:
			return dns.RcodeNXRrset
		case h.Class == dns.ClassNONE && h.Rrtype == dns.TypeANY && len(have) > 0:
			return dns.RcodeYXDomain
		case h.Class == dns.ClassNONE && h.Rrtype != dns.TypeANY && ofType:
			return dns.RcodeYXRrset
		case h.Class == dns.ClassINET:
			k := fold(h.Name) + dns.TypeToString[h.Rrtype]
			wanted[k] = append(wanted[k], rr)
		}
	}
	for _, set := range wanted {
		h := set[0].Header()
		have := slices.DeleteFunc(slices.Clone(z.rrs[fold(h.Name)]), func(x dns.RR) bool { return x.Header().Rrtype != h.Rrtype })
		if len(have) != len(set) || slices.ContainsFunc(set, func(a dns.RR) bool {
			return !slices.ContainsFunc(have, func(b dns.RR) bool { return dns.IsDuplicate(a, b) })
		}) {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

// change applies one line of the update section (RFC 2136, 3.4.2). SOA and NS of the zone stay.
func (z *zone) change(rr dns.RR) {
	h := rr.Header()
	apex := fold(h.Name) == z.origin
	kept := func(t uint16) bool { return apex && (t == dns.TypeSOA || t == dns.TypeNS) }
	switch h.Class {
	case dns.ClassINET:
		z.add(rr)
	case dns.ClassANY:
		z.removeIf(h.Name, func(x dns.RR) bool {
			t := x.Header().Rrtype
			return (h.Rrtype == dns.TypeANY || h.Rrtype == t) && !kept(t)
		})
	case dns.ClassNONE:
		same := dns.Copy(rr)
		same.Header().Class = dns.ClassINET
		z.removeIf(h.Name, func(x dns.RR) bool { return dns.IsDuplicate(x, same) && !kept(x.Header().Rrtype) })
	}
}
