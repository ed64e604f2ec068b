package lab

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// zones makes the records of a world for both sides. They share them, except for what is split.
func (p *plan) zones(at place) (client, server []*zone, err error) {
	d := p.id.domain
	records := map[string]*strings.Builder{d: {}, p.id.suffix: {}}
	add := func(zone, format string, a ...any) { fmt.Fprintf(records[zone], format+"\n", a...) }
	add(d, "%s A %s", dns.Fqdn(p.id.server), at.server)
	add(d, "%s A %s", dns.Fqdn(p.oldServer()), at.wrong)
	add(d, "ns1 A %s\nns2 A %s", at.clientDNS, at.serverDNS)
	add(p.id.suffix, "%s A %s", dns.Fqdn(p.id.client), at.client)
	if p.target != "" {
		add(p.zone, "provisionserver CNAME %s", dns.Fqdn(p.target))
	}
	for _, name := range slices.Sorted(maps.Keys(records)) {
		z, err := newZone(name, "ns2."+d, records[name].String())
		if err != nil {
			return nil, nil, err
		}
		server = append(server, z)
	}
	reverse, err := p.reverse(at)
	if err != nil {
		return nil, nil, err
	}
	server = append(server, reverse)
	client = slices.Clone(server)
	if !p.split {
		return client, server, nil
	}
	for i, z := range client {
		if z.origin == fold(p.zone) {
			client[i] = copyOf(z)
			client[i].remove("provisionserver."+p.zone, dns.TypeCNAME)
		}
	}
	return client, server, nil
}

// reverse makes the zone that leads from addresses to names.
func (p *plan) reverse(at place) (*zone, error) {
	name, err := dns.ReverseAddr(at.server.String())
	if err != nil {
		return nil, err
	}
	_, origin, _ := strings.Cut(name, ".")
	records := fmt.Sprintf("%s PTR %s\n", name, dns.Fqdn(p.id.server))
	if p.pointer {
		own, err := dns.ReverseAddr(at.client.String())
		if err != nil {
			return nil, err
		}
		records += fmt.Sprintf("%s PTR %s\n", own, dns.Fqdn(p.id.client))
	}
	return newZone(origin, "ns2."+p.id.domain, records)
}
