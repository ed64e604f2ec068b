package site

import (
	"net"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/remedy"
)

// Action gives the repairs that can be done from here: the CNAME by DNS update, the PID/PPS pair in
// the database, the listener of the embedded hello server.
func (w *World) Action(_ *diag.Judgement, r diag.Remedy) (remedy.Action, bool) {
	w.mu.Lock()
	v := w.last
	w.mu.Unlock()
	if v == nil {
		return remedy.Action{}, false
	}
	correct := slices.Contains([]string{"rm-dns-wrong-target", "rm-dns-cname-dangling"}, r.ID)
	switch {
	case correct || slices.Contains([]string{"rm-dns-no-record-3", "rm-dns-split-horizon", "rm-dns-wrong-suffix"}, r.ID):
		c, ok := w.record(v)
		c.ID, c.Correct = r.ID, correct
		return remedy.DNSUpdate(c), ok
	case r.ID == "rm-pid-unknown" && w.o.Database != "":
		return remedy.EnterPair(remedy.Pairs{ID: r.ID, Target: w.o.Database, PID: amt.PID(v.PID()), Options: w.o.Store}), true
	case r.ID == "rm-pps-mismatch" && w.o.Database != "":
		return remedy.EnterPair(remedy.Pairs{ID: r.ID, Target: w.o.Database, PID: amt.PID(v.PID()), Replace: true, Options: w.o.Store}), true
	case r.ID == "rm-amtconfig-stopped" && w.o.Database != "" && w.hereIsServer(v):
		h := remedy.NewHelloServer(remedy.Listener{ID: r.ID, Target: w.o.Database, Options: w.o.Store})
		w.mu.Lock()
		w.servers = append(w.servers, h)
		w.mu.Unlock()
		return h.Action(), true
	}
	return remedy.Action{}, false
}

// record is the CNAME that the client needs; false while name, target or DNS server are not known.
// The answering resolver of the client's side is the server that is asked to take it.
func (w *World) record(v *diag.View) (remedy.CNAME, bool) {
	c := remedy.CNAME{Target: v.Str("srv.fqdn")}
	suffix := v.Str("client.suffix")
	for _, f := range v.Each("dns.client") {
		o := diag.ObjOf(f)
		if q := o.Str("qname"); strings.HasPrefix(q, strings.ToLower(amt.ServerName)+".") && (suffix == "" || strings.HasSuffix(q, "."+suffix)) {
			c.Name, c.Server = q, o.Str("server")
			if c.Server == "" {
				continue
			}
			if _, _, err := net.SplitHostPort(c.Server); err != nil {
				c.Server = net.JoinHostPort(strings.Trim(c.Server, "[]"), "53")
			}
			break
		}
	}
	return c, c.Name != "" && c.Server != "" && c.Target != ""
}
