package site

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// fresh is how long an address that a packet came from counts as the client's present one.
const fresh = time.Hour

var serverName = strings.ToLower(amt.ServerName)

// nameProbes ask each side's DNS servers for the server, and the server's for the client.
func (w *World) nameProbes(v *diag.View, at diag.Vantage) []probe.Probe {
	out := w.ask(diag.AtClient, v, at)
	if t := w.names(diag.AtServer, v, at); len(t.Resolvers) > 0 {
		out = append(out, w.ask(diag.AtServer, v, at)...)
		if fqdn, addr := mappedName(v), clientAddr(v); fqdn != "" || addr.IsValid() {
			out = append(out, probe.Mapped(t, fqdn, addr))
		}
	}
	return out
}

// ask gives the probes of one side: the name that firmware asks for, and the one stored in MEBx.
func (w *World) ask(side diag.Vantage, v *diag.View, at diag.Vantage) []probe.Probe {
	t := w.names(side, v, at)
	out := probe.Names(t)
	if out[0].Needs != "" && at == diag.AtClient && w.systemErr != nil {
		err := w.systemErr
		out[0].Needs, out[0].Run = "", func(context.Context, probe.Report) error { return err }
		return out
	}
	stored := v.Str("client.server_override")
	if _, err := netip.ParseAddrPort(stored); err == nil || stored == "" || stored == diag.None {
		return out
	}
	host, zone, dotted := strings.Cut(diag.Host(stored), ".")
	if _, err := netip.ParseAddr(diag.Host(stored)); err == nil || !dotted || host == serverName {
		return out
	}
	t.Host, t.Suffixes, t.ServerFQDN = host, []string{zone}, ""
	second := probe.Names(t)
	second[0].ID += "-stored"
	return append(out, second...)
}

// names says whose resolvers are asked for what. This machine's own stand for those of the side on
// which it stands, unless others are named.
func (w *World) names(side diag.Vantage, v *diag.View, at diag.Vantage) probe.Target {
	t := probe.Target{Side: side, Resolvers: w.o.ServerResolvers, ServerFQDN: v.Str("srv.fqdn"), Suffixes: w.suffixes(v)}
	if side == diag.AtClient {
		t.Resolvers = w.o.Resolvers
		if l, ok := v.Texts("client.dns_servers"); len(t.Resolvers) == 0 && ok {
			t.Resolvers = l
		}
	}
	if len(t.Resolvers) == 0 && side == at {
		t.Resolvers = w.system.Resolvers
	}
	return t
}

// suffixes are the client's: what the ME says counts, then what was named, then this machine's.
func (w *World) suffixes(v *diag.View) []string {
	switch s := v.Str("client.suffix"); {
	case s != "":
		return []string{s}
	case len(w.o.Suffixes) > 0:
		return w.o.Suffixes
	}
	return w.system.Search
}

// wanted reports whether a name is the one that the client asks for, as far as is known.
func (w *World) wanted(v *diag.View, qname string) bool {
	list := w.suffixes(v)
	return len(list) == 0 && strings.HasPrefix(qname, serverName+".") || slices.ContainsFunc(list, func(s string) bool {
		return qname == serverName+"."+strings.ToLower(strings.Trim(s, ". "))
	})
}

// target is where the client's hellos go as far as is known: where they were seen to go, the stored
// server, what its name gives, else the server itself.
func (w *World) target(v *diag.View) netip.AddrPort {
	if ap, err := netip.ParseAddrPort(v.Obj("wire.client.syn").Str("dst")); err == nil {
		return ap
	}
	stored := v.Str("client.server_override")
	if ap, err := netip.ParseAddrPort(stored); err == nil {
		return ap
	}
	try := []string{stored}
	for _, f := range v.Each("dns.client") {
		if o := diag.ObjOf(f); w.wanted(v, o.Str("qname")) {
			l, _ := o.Texts("addr")
			try = append(try, l...)
		}
	}
	l, _ := v.Texts("srv.addr")
	for _, s := range append(try, l...) {
		if a, err := netip.ParseAddr(s); err == nil {
			return netip.AddrPortFrom(a, amt.HelloPort)
		}
	}
	return netip.AddrPort{}
}

// mappedName is the name that the server's tables give the client, empty while unknown.
func mappedName(v *diag.View) string {
	if n := v.Obj("db.uuid_map").Str("fqdn"); n != "" {
		return n
	}
	return v.Obj("db.amts").Str("fqdn")
}

// clientAddr is the address that the ME has now: as it says itself, else from where it sent within
// the last hour. It is invalid while unknown.
func clientAddr(v *diag.View) netip.Addr {
	if a, err := netip.ParseAddr(v.Str("client.me_addr")); err == nil {
		return a
	}
	for _, k := range []string{"wire.client.hello", "wire.client.syn", "wire.server.hello", "wire.server.syn"} {
		for _, f := range slices.Backward(v.All(k)) {
			if a, err := netip.ParseAddr(diag.Host(diag.ObjOf(f).Str("src"))); err == nil && v.Age(f) < fresh {
				return a
			}
		}
	}
	return netip.Addr{}
}
