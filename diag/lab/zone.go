package lab

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// zone holds the records of one domain. It is safe for several goroutines; two views may share it.
type zone struct {
	origin string // with final dot, lower case

	mu  sync.RWMutex
	rrs map[string][]dns.RR // by owner name, lower case with final dot
}

// newZone reads records in the form of a zone file, names relative to origin. A SOA record that
// names host as primary is added.
func newZone(origin, host, records string) (*zone, error) {
	z := &zone{origin: fold(origin), rrs: map[string][]dns.RR{}}
	head := fmt.Sprintf("@ 300 IN SOA %s hostmaster 1 3600 600 86400 60\n@ 300 IN NS %[1]s\n", dns.Fqdn(host))
	p := dns.NewZoneParser(strings.NewReader(head+records), z.origin, "")
	p.SetDefaultTTL(300)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		z.add(rr)
	}
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("make zone %s: %w", origin, err)
	}
	return z, nil
}

// fold gives the form in which names are compared.
func fold(name string) string { return strings.ToLower(dns.Fqdn(name)) }

// set replaces all records of the type at name, as a person does in the console of a name server.
// No rdata takes them away.
func (z *zone) set(name string, rtype uint16, rdata ...string) error {
	var rrs []dns.RR
	for _, d := range rdata {
		rr, err := dns.NewRR(fmt.Sprintf("%s 300 IN %s %s", dns.Fqdn(name), dns.TypeToString[rtype], d))
		if err != nil {
			return fmt.Errorf("set record %s: %w", name, err)
		}
		rrs = append(rrs, rr)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.remove(name, rtype)
	for _, rr := range rrs {
		z.add(rr)
	}
	return nil
}

// add puts a record there unless it is there already. Nothing stands beside a CNAME, and a new
// CNAME replaces the old one (RFC 2136, 3.4.2.2).
func (z *zone) add(rr dns.RR) {
	name := fold(rr.Header().Name)
	have := z.rrs[name]
	cname := rr.Header().Rrtype == dns.TypeCNAME
	for i, h := range have {
		switch hasCNAME := h.Header().Rrtype == dns.TypeCNAME; {
		case dns.IsDuplicate(h, rr), cname && hasCNAME:
			have[i] = rr
			return
		case cname != hasCNAME:
			return
		case h.Header().Rrtype == dns.TypeSOA && rr.Header().Rrtype == dns.TypeSOA:
			have[i] = rr
			return
		}
	}
	z.rrs[name] = append(have, rr)
}

// remove takes away the records of a type, or of all types.
func (z *zone) remove(name string, rtype uint16) {
	z.removeIf(name, func(rr dns.RR) bool { return rtype == dns.TypeANY || rr.Header().Rrtype == rtype })
}

func (z *zone) removeIf(name string, gone func(dns.RR) bool) {
	name = fold(name)
	left := slices.DeleteFunc(slices.Clone(z.rrs[name]), gone)
	if len(left) == 0 {
		delete(z.rrs, name)
		return
	}
	z.rrs[name] = left
}

// at gives the records of a name, and whether the name exists: with records, or as a node above
// one that has some (RFC 8020).
func (z *zone) at(name string) (rrs []dns.RR, exists bool) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	name = fold(name)
	if rrs = z.rrs[name]; len(rrs) > 0 {
		return slices.Clone(rrs), true
	}
	for owner := range z.rrs {
		if strings.HasSuffix(owner, "."+name) {
			return nil, true
		}
	}
	return nil, false
}

// soa gives the record that says who answers for the zone.
func (z *zone) soa() []dns.RR { return z.of(z.origin, dns.TypeSOA) }

// of gives the records of one type.
func (z *zone) of(name string, rtype uint16) []dns.RR {
	rrs, _ := z.at(name)
	return slices.DeleteFunc(rrs, func(rr dns.RR) bool { return rr.Header().Rrtype != rtype })
}

// copyOf gives a zone with the same records that from now on goes its own way: the start of a
// split horizon.
func copyOf(z *zone) *zone {
	z.mu.RLock()
	defer z.mu.RUnlock()
	c := &zone{origin: z.origin, rrs: map[string][]dns.RR{}}
	for name, rrs := range z.rrs {
		for _, rr := range rrs {
			c.rrs[name] = append(c.rrs[name], dns.Copy(rr))
		}
	}
	return c
}
