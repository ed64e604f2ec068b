// Package site is this machine and its network as a world to walk: its resolvers, its interfaces,
// the server that was named, capture files, and the database of the provisioning core. New is the
// entry point. It decides nothing: probes measure, package check judges.
package site

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
)

// Capture is a capture file and the side on which it was made.
type Capture struct {
	Side diag.Vantage
	Path string
}

// Options say what is known of the site before the walk.
type Options struct {
	Server          string    // provisioning server: name or address; empty while unknown
	Resolvers       []string  // DNS servers of the client; empty: those of this machine
	ServerResolvers []string  // DNS servers of the server; empty: not asked
	Suffixes        []string  // search suffixes of the client; empty: those of this machine
	Captures        []Capture // capture files
	Interface       string    // to listen on, at the client's side; empty listens on none
	Database        string    // of the provisioning core; empty reads none
	Store           store.Options
}

// World is the site. It implements flow.World; its methods are safe for concurrent use.
type World struct {
	o      Options
	system probe.System

	mu      sync.Mutex
	drained bool
	last    *diag.View // what was known when probes were last asked for
	servers closers
}

// closers are services that a repair started in this process.
type closers []interface{ Close() error }

// New looks at this machine's resolvers once; a machine that does not tell them is no error.
func New(o Options) *World {
	w := &World{o: o}
	if s, err := probe.SystemResolvers(); err == nil {
		w.system = s
	}
	return w
}

// Close stops what a repair started.
func (w *World) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	for _, s := range w.servers {
		err = errors.Join(err, s.Close())
	}
	w.servers = nil
	return err
}

// Name is for the screen.
func (w *World) Name() string { return "this machine" }

// Now is the clock of this machine.
func (w *World) Now() time.Time { return time.Now() }

// Client gives none: the client is a real PC.
func (w *World) Client() flow.Client { return nil }

// Drained tells that the engineer has just drained the client.
func (w *World) Drained() {
	w.mu.Lock()
	w.drained = true
	w.mu.Unlock()
}

// Questions lists everything that a person can be asked.
func (w *World) Questions(*diag.View) []probe.Question { return probe.Questions() }

// Probes lists what can be measured here, given what is known so far.
func (w *World) Probes(v *diag.View) []probe.Probe {
	w.mu.Lock()
	w.last = v
	w.mu.Unlock()
	var out []probe.Probe
	if w.o.Server != "" {
		out = append(out, w.server())
	}
	out = append(out, probe.Names(w.names(diag.AtClient, v))...)
	if len(w.o.ServerResolvers) > 0 {
		out = append(out, probe.Names(w.names(diag.AtServer, v))...)
	}
	out = append(out, probe.Connect(probe.Port{Key: "net.9971", To: w.target(v)}))
	if w.hereIsServer(v) {
		out = append(out, probe.Listeners(amt.HelloPort))
	}
	for _, c := range w.o.Captures {
		p := probe.WireFile(probe.Wire{Side: c.Side, Name: c.Path, Clients: clients(v), UUID: uuid(v)})
		p.ID += ":" + c.Path
		out = append(out, p)
	}
	if w.o.Interface != "" {
		out = append(out, probe.WireLive(probe.Wire{Side: diag.AtClient, Name: w.o.Interface, Clients: clients(v), UUID: uuid(v), After: w.after()}))
	}
	if w.o.Database != "" {
		out = append(out, probe.Database(probe.DB{Target: w.o.Database, Options: w.o.Store, UUID: uuid(v), PID: amt.PID(v.PID())})...)
	}
	return out
}

func (w *World) after() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.drained {
		return "drain"
	}
	return ""
}

func uuid(v *diag.View) amt.UUID {
	u, _ := amt.ParseUUID(v.UUID()) // zero while unknown
	return u
}

// clients are the addresses of the client as far as they are known.
func clients(v *diag.View) []netip.Addr {
	if a, err := netip.ParseAddr(v.Str("client.me_addr")); err == nil {
		return []netip.Addr{a}
	}
	return nil
}

// names says whose resolvers are asked for what. This machine's own stand for the client's when no
// others are named: it is taken as standing in the client's segment.
func (w *World) names(side diag.Vantage, v *diag.View) probe.Target {
	t := probe.Target{Side: side, Resolvers: w.o.ServerResolvers, ServerFQDN: v.Str("srv.fqdn"), Suffixes: w.o.Suffixes}
	if side == diag.AtClient {
		t.Resolvers = w.o.Resolvers
		if l, ok := v.Texts("client.dns_servers"); len(t.Resolvers) == 0 && ok {
			t.Resolvers = l
		}
		if len(t.Resolvers) == 0 {
			t.Resolvers = w.system.Resolvers
		}
	}
	if s := v.Str("client.suffix"); s != "" {
		t.Suffixes = []string{s}
	}
	if len(t.Suffixes) == 0 {
		t.Suffixes = w.system.Search
	}
	return t
}

// target is where the client's hellos go as far as is known: where they were seen to go, the stored
// server, what its name gives, else the server itself.
func (w *World) target(v *diag.View) netip.AddrPort {
	if ap, err := netip.ParseAddrPort(v.Obj("wire.client.syn").Str("dst")); err == nil {
		return ap
	}
	if ap, err := netip.ParseAddrPort(v.Str("client.server_override")); err == nil {
		return ap
	}
	try := []string{v.Str("client.server_override")}
	for _, f := range v.Each("dns.client") {
		l, _ := diag.ObjOf(f).Texts("addr")
		try = append(try, l...)
	}
	l, _ := v.Texts("srv.addr")
	for _, s := range append(try, l...) {
		if a, err := netip.ParseAddr(s); err == nil {
			return netip.AddrPortFrom(a, amt.HelloPort)
		}
	}
	return netip.AddrPort{}
}

// hereIsServer: the provisioning server is this machine.
func (w *World) hereIsServer(v *diag.View) bool {
	addrs, _ := v.Texts("srv.addr")
	own, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && slices.Contains(addrs, n.IP.String())
	})
}

// server gives the probe that turns the named server into its addresses.
func (w *World) server() probe.Probe {
	p := probe.Probe{ID: "server", Check: "chk-client-target", What: "find the addresses of " + w.o.Server, Gives: []string{"srv.addr", "srv.fqdn"},
		Cost: probe.Reach, Limit: 10 * time.Second}
	p.Run = func(ctx context.Context, r probe.Report) error {
		if a, err := netip.ParseAddr(w.o.Server); err == nil {
			r.Fact(diag.Fact{Key: "srv.addr", Value: []string{a.String()}})
			return nil
		}
		host := strings.ToLower(strings.TrimSuffix(w.o.Server, "."))
		if strings.Contains(host, ".") {
			r.Fact(diag.Fact{Key: "srv.fqdn", Value: host})
		}
		addrs, err := w.resolver().LookupNetIP(ctx, "ip", host)
		if err != nil {
			return &amt.Error{Op: "find the server", Subject: w.o.Server, Err: err, Hint: "give its address with --server"}
		}
		var list []string
		for _, a := range addrs {
			list = append(list, a.Unmap().String())
		}
		r.Fact(diag.Fact{Key: "srv.addr", Value: list})
		r.Saw(w.o.Server + " has " + strings.Join(list, ", "))
		return nil
	}
	return p
}

// resolver asks the server's own DNS servers when they are named, else this machine's.
func (w *World) resolver() *net.Resolver {
	if len(w.o.ServerResolvers) == 0 {
		return net.DefaultResolver
	}
	to := w.o.ServerResolvers[0]
	if _, _, err := net.SplitHostPort(to); err != nil {
		to = net.JoinHostPort(strings.Trim(to, "[]"), "53")
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, network, to)
	}}
}
