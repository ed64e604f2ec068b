package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
)

// Target says whose DNS servers are asked, and for which names.
type Target struct {
	Side      diag.Vantage // AtClient: the client's DNS servers, AtServer: the server's
	Resolvers []string     // host or host:port, in the order in which that side uses them
	Suffixes  []string     // the client's search suffixes; none means that none is known
	// ServerFQDN is srv.fqdn. The name is asked in the server's own domain too, because a record
	// there tells a wrong suffix from no record at all. Empty while unknown.
	ServerFQDN string
	Zones      []string      // further zones in which the name may stand
	Host       string        // simple name of the server; empty means ProvisionServer
	Try        time.Duration // how long one try waits; 0 means 2 s
	Tries      int           // tries for each question and resolver; 0 means 2
	Limit      time.Duration // for all; 0 means 20 s
	Local      netip.Addr    // address to ask from; the zero value leaves it to the system
}

// Names gives the probe that asks the DNS servers of one side, over the network and never through
// the cache of this system. One fact dns.client or dns.server for each name asked; no fact for a
// name whose answers make no sense. It cannot run without a resolver.
func Names(t Target) []Probe {
	t = t.withDefaults()
	key, check := "dns."+string(t.Side), "chk-dns-"+string(t.Side)
	p := Probe{ID: "names-" + string(t.Side), Check: check, Gives: []string{key}, Cost: Reach, Limit: t.Limit}
	if len(t.Resolvers) == 0 {
		p.What = fmt.Sprintf("ask the DNS servers of the %s for %s", t.Side, strings.ToLower(t.Host))
		p.Needs = fmt.Sprintf("the address of a DNS server of the %s", t.Side)
		return []Probe{p}
	}
	names := t.names()
	p.What = fmt.Sprintf("ask %s for %s", strings.Join(t.Resolvers, ", "), strings.Join(names, ", "))
	p.Run = func(ctx context.Context, r Report) error {
		ctx, cancel := context.WithTimeout(ctx, t.Limit)
		defer cancel()
		return t.run(ctx, key, names, r)
	}
	return []Probe{p}
}

func (t Target) withDefaults() Target {
	if t.Host == "" {
		t.Host = amt.ServerName
	}
	if t.Try <= 0 {
		t.Try = 2 * time.Second
	}
	if t.Tries <= 0 {
		t.Tries = 2
	}
	if t.Limit <= 0 {
		t.Limit = 20 * time.Second
	}
	return t
}

// names gives the names to ask: with every suffix; the bare name when there is none, as firmware
// asks it; then the zones in which a record would explain why the first ones have none.
func (t Target) names() []string {
	host := strings.ToLower(strings.TrimSuffix(t.Host, "."))
	var out []string
	add := func(zone string) {
		n := host
		if zone = strings.ToLower(strings.Trim(zone, ". ")); zone != "" {
			n += "." + zone
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	for _, s := range t.Suffixes {
		if strings.Trim(s, ". ") != "" {
			add(s)
		}
	}
	if len(out) == 0 {
		add("")
	}
	if _, zone, ok := strings.Cut(strings.Trim(t.ServerFQDN, "."), "."); ok {
		add(zone)
	}
	for _, s := range t.Suffixes {
		for _, zone, ok := strings.Cut(strings.Trim(s, "."), "."); ok && strings.Contains(zone, "."); _, zone, ok = strings.Cut(zone, ".") {
			add(zone)
		}
	}
	for _, z := range t.Zones {
		add(z)
	}
	return out
}

// run asks all names at once; a server that answers nothing then costs its time only once.
func (t Target) run(ctx context.Context, key string, names []string, r Report) error {
	until := time.Now().Add(t.Try * time.Duration(t.Tries))
	r.Until(until, "the answers of "+strings.Join(t.Resolvers, ", "))
	got := make([][]Answer, len(names))
	var wg sync.WaitGroup
	for i, n := range names {
		got[i] = make([]Answer, len(t.Resolvers))
		for j, server := range t.Resolvers {
			wg.Go(func() { got[i][j] = t.lookup(ctx, server, n) })
		}
	}
	wg.Wait()
	if err := ctx.Err(); err != nil && context.Cause(ctx) == context.Canceled {
		return err
	}
	var bad error
	// The client's own name comes last: while its suffix is not known the latest counts as its.
	for i := range slices.Backward(names) {
		a, ok := choose(got[i])
		for _, other := range got[i] {
			if other.Server != a.Server && other.differs(a) {
				r.Saw(other.String())
			}
		}
		r.Saw(a.String())
		if !ok {
			bad = &amt.Error{Op: "ask DNS", Subject: a.Server, Err: a.Err, Hint: "name another DNS server of the " + string(t.Side)}
			continue
		}
		f := a.fact(key)
		f.Vantage = t.Side
		r.Fact(f)
	}
	return bad
}

// choose gives the answer that the side would act upon: the first server that answers the question;
// else a server that answers without knowing; else silence, which counts only when it is certain.
func choose(as []Answer) (Answer, bool) {
	for _, a := range as {
		if a.Err == nil && !a.Timeout && a.Rcode != "SERVFAIL" && a.Rcode != "REFUSED" {
			return a, true
		}
	}
	for _, a := range as {
		if a.Err == nil && !a.Timeout {
			return a, true
		}
	}
	for _, a := range as {
		if a.Err != nil {
			return a, false
		}
	}
	return as[0], true
}

// Answer is what one DNS server says about one name, A and AAAA together.
type Answer struct {
	Name    string       // the name asked, lower case, without final dot
	Server  string       // the DNS server asked, with its port unless that is 53
	Rcode   string       // NOERROR, NXDOMAIN ...; empty when nobody answered
	CNAME   []string     // the chain, in order
	Addr    []netip.Addr // addresses at its end, IPv4 first
	Open    bool         // the chain's end could not be asked: Addr says nothing
	Loop    bool         // the chain leads back to itself
	Timeout bool         // nobody answered
	Err     error        // why the answer cannot be used; then nothing else counts
	Notes   []string     // what is worth knowing besides
}

// fact puts the answer in the form of dns.client and dns.server.
func (a Answer) fact(key string) diag.Fact {
	v := map[string]any{"qname": a.Name, "server": a.Server, "timeout": a.Timeout}
	if !a.Timeout {
		v["cname"] = append([]string{}, a.CNAME...)
	}
	if !a.Timeout && !a.Open { // of an open end neither is known
		addr := []string{}
		for _, x := range a.Addr {
			addr = append(addr, x.String())
		}
		v["rcode"], v["addr"] = a.Rcode, addr
	}
	return diag.Fact{Key: key, Value: v, Evidence: append(diag.Evidence{a.String()}, a.Notes...)}
}

func (a Answer) differs(b Answer) bool {
	return a.Rcode != b.Rcode || a.Timeout != b.Timeout || (a.Err == nil) != (b.Err == nil) ||
		!slices.Equal(a.CNAME, b.CNAME) || !slices.Equal(a.Addr, b.Addr)
}

// String gives the answer as a line: "provisionserver.corp.example → ns1.corp.example → 10.1.0.10 (10.1.0.53)".
func (a Answer) String() string {
	parts := []string{a.Name}
	if !strings.Contains(a.Name, ".") {
		parts[0] += "."
	}
	parts = append(parts, a.CNAME...)
	var ends []string
	for _, x := range a.Addr {
		ends = append(ends, x.String())
	}
	switch {
	case a.Err != nil:
		parts = append(parts[:1], "no usable answer: "+a.Err.Error())
	case a.Timeout:
		parts = append(parts, "no answer")
	case a.Loop:
		parts = append(parts, "and back: the CNAMEs go round in a circle")
	case a.Open:
		parts = append(parts, "its address could not be asked there")
	case len(ends) > 0:
		parts = append(parts, strings.Join(ends, ", "))
	case len(a.CNAME) > 0:
		parts = append(parts, "no address")
	case a.Rcode == "NOERROR":
		parts = append(parts, "known, but without an address")
	default:
		parts = append(parts, a.Rcode)
	}
	return strings.Join(parts, " → ") + " (" + a.Server + ")"
}

// serverAddress gives host:port of a resolver, with port 53 where none is named.
func serverAddress(resolver string) string {
	if _, _, err := net.SplitHostPort(resolver); err == nil {
		return resolver
	}
	return net.JoinHostPort(strings.Trim(resolver, "[]"), "53")
}

// serverName is the other way round: what a person calls the resolver.
func serverName(resolver string) string {
	if h, p, err := net.SplitHostPort(resolver); err == nil && p == "53" {
		return h
	}
	return strings.Trim(resolver, "[]")
}
