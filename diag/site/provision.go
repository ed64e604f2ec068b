package site

import (
	"context"
	"strings"
	"time"

	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
)

// Provision follows the core that works the queue of the server's database, until it has provisioned
// the client or put it off. The core is another program: it is only watched, and goes on without us.
func (w *World) Provision(ctx context.Context, v *diag.View, report func(probe.Progress)) (probe.Progress, error) {
	db, u := w.database(w.standsAt(v)), uuid(v)
	if db == "" || u.IsZero() {
		return probe.Progress{}, flow.ErrNoCore
	}
	if held, known := queueHeld(db); known && !held && !strings.Contains(db, "://") { // PostgreSQL has no such lock
		return probe.Progress{}, flow.ErrNoCore
	}
	s, err := store.OpenExisting(ctx, db, w.o.Store)
	if err != nil {
		return probe.Progress{}, err
	}
	defer func() { _ = s.Close() }()
	return probe.Core{Store: s, Title: "core of " + s.Path(), UUID: u, Now: time.Now}.Watch(ctx, report)
}
