package site

import (
	"slices"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/remedy"
)

// Action gives the repairs that can be done from here: the CNAME by DNS update, the PID/PPS pair in
// the database, the listener of the embedded hello server, the restart of the hello by the local ME.
func (w *World) Action(_ *diag.Judgement, r diag.Remedy) (remedy.Action, bool) {
	w.mu.Lock()
	v := w.last
	w.mu.Unlock()
	if v == nil {
		return remedy.Action{}, false
	}
	db := w.database(w.standsAt(v))
	correct := slices.Contains([]string{"rm-dns-wrong-target", "rm-dns-cname-dangling"}, r.ID)
	switch {
	case correct || slices.Contains([]string{"rm-dns-no-record-3", "rm-dns-split-horizon", "rm-dns-wrong-suffix"}, r.ID):
		c, ok := w.record(v)
		c.ID, c.Correct = r.ID, correct
		return remedy.DNSUpdate(c), ok
	case r.ID == "rm-pid-unknown" && db != "":
		return remedy.EnterPair(remedy.Pairs{ID: r.ID, Target: db, PID: amt.PID(v.PID()), Options: w.o.Store}), true
	case r.ID == "rm-pps-mismatch" && db != "":
		return remedy.EnterPair(remedy.Pairs{ID: r.ID, Target: db, PID: amt.PID(v.PID()), Replace: true, Options: w.o.Store}), true
	case r.ID == "rm-amtconfig-stopped" && db != "" && w.standsAt(v) == diag.AtServer:
		return w.listener(r.ID, db).Action(), true
	case r.ID == "rm-restart-hello" && r.Kind == "automatic" && w.o.Local != nil && v.Has("client.mei", "ok"):
		return remedy.RestartHello(remedy.LocalME{ID: r.ID, Dial: w.o.Local}), true
	}
	return remedy.Action{}, false
}

// listener gives the hello server of this walk, made once.
func (w *World) listener(id, db string) *remedy.HelloServer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.servers) == 0 {
		w.servers = append(w.servers, remedy.NewHelloServer(remedy.Listener{ID: id, Target: db, Options: w.o.Store}))
	}
	return w.servers[0]
}

// record is the CNAME that the client needs; false while name, target or DNS server are not known.
// The answering resolver of the client's side is the server that is asked to take it.
func (w *World) record(v *diag.View) (remedy.CNAME, bool) {
	c := remedy.CNAME{Target: v.Str("srv.fqdn")}
	for _, f := range v.Each("dns.client") {
		o := diag.ObjOf(f)
		if q, at := o.Str("qname"), o.Str("server"); at != "" && w.wanted(v, q) {
			c.Name, c.Server = q, withPort(at, "53")
		}
	}
	return c, c.Name != "" && c.Target != ""
}
