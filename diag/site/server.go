package site

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// server gives the probe that turns the named server into its addresses; a name may also come from
// a person. false while no server is known, and when its addresses are.
func (w *World) server(v *diag.View) (probe.Probe, bool) {
	name := w.o.Server
	if _, known := v.Texts("srv.addr"); name == "" && !known {
		name = v.Str("srv.fqdn")
	}
	if name == "" {
		return probe.Probe{}, false
	}
	p := probe.Probe{ID: "server", Check: "chk-client-target", What: "find the addresses of " + name, Gives: []string{"srv.addr", "srv.fqdn"},
		Cost: probe.Reach, Limit: 10 * time.Second}
	if a, err := netip.ParseAddr(name); err == nil {
		p.What, p.Cost = "take the address of the server as named", probe.Read
		p.Run = func(_ context.Context, r probe.Report) error {
			r.Fact(diag.Fact{Key: "srv.addr", Value: []string{a.Unmap().String()}, Evidence: diag.Evidence{"as named"}})
			return nil
		}
		return p, true
	}
	host := strings.ToLower(strings.TrimSuffix(name, "."))
	p.Run = func(ctx context.Context, r probe.Report) error { return w.find(ctx, host, r) }
	return p, true
}

// find asks for the server's addresses: its own DNS servers when they are named, else this machine.
func (w *World) find(ctx context.Context, host string, r probe.Report) error {
	fqdn := host
	var addrs []netip.Addr
	var err error
	var how string
	for _, way := range w.resolvers() {
		if addrs, err = way.LookupNetIP(ctx, "ip", host); err != nil {
			if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
				dns.Server = way.how // it names one that was not asked
			}
			continue
		}
		if how = way.how; !strings.Contains(host, ".") {
			fqdn, _ = way.LookupCNAME(ctx, host) // its full name; a simple name is none
		}
		break
	}
	if fqdn = strings.ToLower(strings.TrimSuffix(fqdn, ".")); strings.Contains(fqdn, ".") {
		r.Fact(diag.Fact{Key: "srv.fqdn", Value: fqdn})
	}
	if err != nil {
		return &amt.Error{Op: "find the server", Subject: host, Err: err, Hint: "give its address with --server, or its DNS server with --server-resolver"}
	}
	var list []string
	for _, a := range addrs {
		list = append(list, a.Unmap().WithZone("").String())
	}
	line := fmt.Sprintf("%s has %s (%s)", host, strings.Join(list, ", "), how)
	r.Fact(diag.Fact{Key: "srv.addr", Value: list, Evidence: diag.Evidence{line}})
	r.Saw(line)
	return nil
}

// way is one resolver to find the server with.
type way struct {
	*net.Resolver
	how string
}

// resolvers are the server's own DNS servers, in order; without any, this machine's resolver.
func (w *World) resolvers() []way {
	var out []way
	for _, s := range w.o.ServerResolvers {
		to := withPort(s, "53")
		out = append(out, way{&net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, network, to)
		}}, s})
	}
	if len(out) == 0 {
		out = append(out, way{net.DefaultResolver, "this machine's resolver"})
	}
	return out
}

// withPort adds a port where none is named.
func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// back gives the probes of the way from the server, which is this machine, to the firmware.
func (w *World) back(v *diag.View) []probe.Probe {
	a := clientAddr(v)
	if !a.IsValid() {
		return nil
	}
	var out []probe.Probe
	for _, k := range []string{"net.16993", "net.16992"} {
		out = append(out, probe.Connect(probe.Port{Key: k, To: netip.AddrPortFrom(a, 0), Dial: w.dial}))
	}
	return out
}

// database is the one to read, empty for none. The usual one of this machine counts only while a
// provisioning core works it: otherwise it may have nothing to do with this server.
func (w *World) database(at diag.Vantage) string {
	if w.o.Database != "" || at != diag.AtServer || w.o.OwnDatabase == "" {
		return w.o.Database
	}
	if held, known := queueHeld(w.o.OwnDatabase); held && known {
		return w.o.OwnDatabase
	}
	return ""
}

// noProcess is the name of no process.
const noProcess = "\x00"

// service gives the probe of the server's own side: who listens, and whether the provisioning core
// of the database runs. Without a database only the first can be told.
func (w *World) service(db string, v *diag.View) probe.Probe {
	port := ports(v)[len(ports(v))-1]
	p := probe.Listeners(port)
	if db == "" {
		return p
	}
	if held, known := queueHeld(db); known && !held && !w.serving() {
		p = probe.Listeners(port, noProcess) // whatever other processes of ours do, they are not this service
	}
	listen := p.Run
	p.What += ", and whether the provisioning core of " + db + " runs"
	p.Gives = append(p.Gives, "srv.amtconfig")
	p.Run = func(ctx context.Context, r probe.Report) error {
		l := &listening{Report: r}
		if err := listen(ctx, l); err != nil {
			return err
		}
		w.state(db, l.list, r)
		return nil
	}
	return p
}

// listening notes what the listeners are.
type listening struct {
	probe.Report
	list []string
}

// Fact passes a fact on.
func (l *listening) Fact(f diag.Fact) {
	if list, ok := f.Value.([]string); ok && f.Key == "srv.listen" {
		l.list = list
	}
	l.Report.Fact(f)
}

// state says whether the core runs: it holds the lock of its queue as long as it does. Stopped is
// said only of a database that is there, when besides nobody listens; who listens without the lock
// is another program, and nothing is known of it.
func (w *World) state(db string, listen []string, r probe.Report) {
	say := func(state, why string) {
		r.Saw(why)
		r.Fact(diag.Fact{Key: "srv.amtconfig", Vantage: diag.AtServer, Value: state, Evidence: diag.Evidence{why}})
	}
	held, known := queueHeld(db)
	switch _, err := os.Stat(db); {
	case w.serving():
		say("running", "the hello server of this program runs")
	case err != nil:
		r.Saw(db + " is not there: no core was ever started with it")
	case !known:
		r.Saw("whether a core works the queue of " + db + " cannot be told here")
	case held:
		say("running", "a provisioning core works the queue of "+db)
	case len(listen) == 0:
		say("stopped", "nobody works the queue of "+db+", and nobody listens")
	default:
		r.Saw("nobody works the queue of " + db + "; another program listens")
	}
}

// serving: a repair started the hello server in this process.
func (w *World) serving() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.servers {
		if s.Addr() != nil {
			return true
		}
	}
	return false
}
