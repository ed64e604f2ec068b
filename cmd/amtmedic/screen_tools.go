package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/diag/journal"
	"amtmedic/tui/page/tools"
)

// tools says where the tools of the screen work: on this machine, and in the database of core.
func (o *siteOptions) tools() *tools.World {
	w := &tools.World{Here: func(ctx context.Context) (tools.Here, error) { return lookHere(ctx, thisHostWorld(), thisComputer()) }}
	if dir, err := journal.Dir(); err == nil {
		w.Folder = dir
	}
	target := o.database()
	if target == "" {
		return w
	}
	opt := keyOptions(*o.keyFile)
	use := func(open func(context.Context, string, store.Options) (*store.Store, error)) func(context.Context, func(context.Context, *store.Store) error) error {
		return func(ctx context.Context, do func(context.Context, *store.Store) error) error {
			st, err := open(ctx, target, opt)
			if err != nil {
				return err
			}
			return errors.Join(do(ctx, st), st.Close())
		}
	}
	w.Read = use(store.OpenExisting)
	w.Change = func(ctx context.Context, do func(context.Context, *store.Store) error) error {
		if err := w.Read(ctx, func(context.Context, *store.Store) error { return nil }); err != nil { // nothing is made here
			return err
		}
		return use(store.Open)(ctx, do)
	}
	w.Database = o.core().Label()
	return w
}

// lookHere tells what this computer's AMT says without a log-in: what discover and local status print.
func lookHere(ctx context.Context, host hostWorld, local localWorld) (tools.Here, error) {
	h := thisHost{Problems: []amt.Problem{}, Notes: []amt.Problem{}}
	err := host.look(ctx, &h)
	host.identity(&h)
	out := tools.Here{UUID: h.UUID, FQDN: h.FQDN, Problems: h.Problems, Notes: h.Notes,
		Fields: [][2]string{{"name", h.FQDN}, {"UUID", h.UUID}, {"AMT version", h.AMTVersion}, {"mode", h.Mode}, {"state", h.State}}}
	var known *amt.Error
	if errors.As(err, &known) {
		out.Hint = known.Hint
	}
	reachHere(ctx, local, &out)
	return out, err
}

// reachHere adds whether the ports of the firmware answer from here.
func reachHere(ctx context.Context, local localWorld, out *tools.Here) {
	fw, err := local.reach(ctx, "", localTrust{})
	if fw != nil {
		defer func() { _ = fw.Close() }()
		var ports []string
		for _, p := range fw.way.ports {
			ports = append(ports, strconv.Itoa(p))
		}
		out.Fields = append(out.Fields, [2]string{"reached by", map[string]string{"lms": "LMS", "tunnel": "a tunnel of the Management Engine interface"}[fw.way.via] + ", ports " + strings.Join(ports, " ")})
		if c := fw.cert; c != nil {
			out.Fields = append(out.Fields, [2]string{"certificate", fmt.Sprintf("%s, issued by %s, until %s", c.Subject, c.Issuer, c.NotAfter.Format("2006-01-02"))})
		}
	}
	st := localStatus{}
	if err == nil {
		var server string
		server, _, err = fw.server(ctx, func() *tls.Config { return localTrust{}.config(func(*localCert) {}) })
		out.Fields = append(out.Fields, [2]string{"header", server})
		st.note(fw)
	}
	if err != nil {
		st.blame(err)
	}
	out.Problems, out.Notes = append(out.Problems, st.Problems...), append(out.Notes, st.Notes...)
}
