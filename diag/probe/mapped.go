package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"amtmedic/amt"
	"amtmedic/diag"
)

// Mapped gives the probe that asks the server's DNS servers for the client itself: the addresses
// of its mapped name (dns.forward) and the names of its address (dns.reverse). Either may be empty.
func Mapped(t Target, fqdn string, addr netip.Addr) Probe {
	t = t.withDefaults()
	t.Side = diag.AtServer
	p := Probe{ID: "names-mapped", Check: "chk-params", Gives: []string{"dns.forward", "dns.reverse"}, Cost: Reach, Limit: t.Limit}
	var what []string
	if fqdn != "" {
		what = append(what, fqdn)
	}
	if addr.IsValid() {
		what = append(what, "the name of "+addr.String())
	}
	switch {
	case len(t.Resolvers) == 0:
		p.Needs = "the address of a DNS server of the server"
	case len(what) == 0:
		p.Needs = "the client's mapped name or its address"
	}
	p.What = fmt.Sprintf("ask %s for %s", strings.Join(t.Resolvers, ", "), strings.Join(what, " and "))
	if p.Needs != "" {
		return p
	}
	p.Run = func(ctx context.Context, r Report) error {
		ctx, cancel := context.WithTimeout(ctx, t.Limit)
		defer cancel()
		var errs []error
		if fqdn != "" {
			errs = append(errs, t.forward(ctx, fqdn, r))
		}
		if addr.IsValid() {
			errs = append(errs, t.reverse(ctx, addr.Unmap(), r))
		}
		return errors.Join(errs...)
	}
	return p
}

// forward asks for the addresses of a name. Only a sure answer is a fact.
func (t Target) forward(ctx context.Context, fqdn string, r Report) error {
	var as []Answer
	for _, server := range t.Resolvers {
		as = append(as, t.lookup(ctx, server, strings.ToLower(strings.TrimSuffix(fqdn, "."))))
	}
	a, ok := choose(as)
	r.Saw(a.String())
	if !ok || a.Timeout || a.Open || a.Rcode != "NOERROR" && a.Rcode != "NXDOMAIN" {
		return t.unsure(a.Server, fqdn, a.Err)
	}
	addr := []string{}
	for _, x := range a.Addr {
		addr = append(addr, x.String())
	}
	r.Fact(diag.Fact{Key: "dns.forward", Vantage: diag.AtServer, Value: map[string]any{"name": a.Name, "addr": addr}, Evidence: diag.Evidence{a.String()}})
	return nil
}

// reverse asks for the names of an address, delegated ranges (RFC 2317) included.
func (t Target) reverse(ctx context.Context, addr netip.Addr, r Report) error {
	name, err := dns.ReverseAddr(addr.WithZone("").String())
	if err != nil {
		return err
	}
	for _, server := range t.Resolvers {
		m, e := t.ask(ctx, serverAddress(server), name, dns.TypePTR)
		if e != nil {
			err = e
			continue
		}
		if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
			err = fmt.Errorf("it answers %s", dns.RcodeToString[m.Rcode])
			continue
		}
		names := []string{}
		for _, rr := range m.Answer {
			if p, ok := rr.(*dns.PTR); ok {
				names = append(names, strings.ToLower(strings.TrimSuffix(p.Ptr, ".")))
			}
		}
		line := fmt.Sprintf("%s → %s (%s)", addr, strings.Join(names, ", "), serverName(server))
		if len(names) == 0 {
			line = fmt.Sprintf("%s → no name (%s)", addr, serverName(server))
		}
		r.Saw(line)
		r.Fact(diag.Fact{Key: "dns.reverse", Vantage: diag.AtServer, Value: map[string]any{"addr": addr.String(), "name": names}, Evidence: diag.Evidence{line}})
		return nil
	}
	return t.unsure(strings.Join(t.Resolvers, ", "), addr.String(), err)
}

func (t Target) unsure(server, what string, err error) error {
	if err == nil {
		err = errors.New("no answer that tells")
	}
	return &amt.Error{Op: "ask " + server + " for", Subject: what, Err: err, Hint: "name another DNS server of the server"}
}
