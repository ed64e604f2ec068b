package site

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// hello gives the probe of the last hello that the core received of the client: csti_amts keeps its
// time, its kind, its PID and where it came from. What else it held is not kept, and not said.
func (w *World) hello(db string, v *diag.View) probe.Probe {
	u := uuid(v)
	p := probe.Probe{ID: "db-hello", Check: "chk-hello-at-server", What: "read the last hello of " + u.String(), Gives: []string{"wire.server.hello"},
		Cost: probe.Read, Limit: 10 * time.Second}
	if u.IsZero() {
		p.What, p.Needs = "read the last hello of the client", "the UUID of the client"
		return p
	}
	p.Run = func(ctx context.Context, r probe.Report) error {
		s, err := store.OpenExisting(ctx, db, w.o.Store)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		c, ok, err := s.Client(ctx, u)
		if err != nil || !ok || c.LastHello.IsZero() {
			return err
		}
		if f, ok := helloFact(c); ok {
			f.Evidence = diag.Evidence{fmt.Sprintf("%s, csti_amts, hello %d", s.Path(), c.Hellos)}
			r.Fact(f)
			r.Saw(fmt.Sprintf("hello of %s at %s", c.Method, c.LastHello.UTC().Format(time.TimeOnly)))
		}
		return nil
	}
	return p
}

// helloFact is the last hello of a row; false when it was of a kind that is not known.
func helloFact(c store.Client) (diag.Fact, bool) {
	v := map[string]any{"uuid": c.UUID.String()}
	switch c.Method {
	case amt.PSK:
		v["version"], v["pid"] = 2, string(c.PID)
	case amt.PKI:
		v["version"] = 3
	default:
		return diag.Fact{}, false
	}
	if a, err := netip.ParseAddr(c.IP); err == nil {
		v["src"] = a.String()
	}
	return diag.Fact{At: c.LastHello, Vantage: diag.AtServer, Key: "wire.server.hello", Value: v}, true
}
