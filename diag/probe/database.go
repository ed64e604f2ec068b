package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"
	"amtmedic/diag"
)

// DB says which database of a provisioning core is read, and for which client.
type DB struct {
	Target  string // as --db takes it; empty: none is known
	Options store.Options
	UUID    amt.UUID         // zero while unknown
	PID     amt.PID          // empty while unknown
	Now     func() time.Time // nil is time.Now
}

// logRows is how many log rows of a client are taken, the newest.
const logRows = 200

// readLimit ends a read of the database.
const readLimit = 10 * time.Second

// Database gives the probes that read the tables: the database itself, the PID, the UUID's names
// and profile, and its queue entry. They open it read-only, also while its server runs.
func Database(d DB) []Probe {
	if d.Now == nil {
		d.Now = time.Now
	}
	noUUID, noPID := "", ""
	if d.UUID.IsZero() {
		noUUID = "the UUID of the client"
	}
	if d.PID == "" {
		noPID = "the PID of the client"
	}
	return []Probe{
		d.probe("db", "chk-db", "whether the database is in order", "", d.base,
			"db.reach", "db.auth", "db.exists", "db.config", "db.profiles", "db.pid_rows", "db.queue_length", "db.queue_idle_s",
			"fleet.last_change_s", "srv.retry_s", "srv.params_from", "srv.tls_mode", "srv.rcfg_enabled", "srv.uuid_policy"),
		d.probe("db-pid", "chk-pid", "PID "+d.PID.Dashed()+" in csti_pid_map", noPID, d.pid, "db.pid_map", "db.pid_near"),
		d.probe("db-client", "chk-params", "name and profile of "+d.UUID.String(), noUUID, d.client,
			"db.amts", "db.uuid_map", "db.uuid_map_swapped", "db.profile"),
		d.probe("db-queue", "chk-queue", "queue and log of "+d.UUID.String(), noUUID, d.queue, "db.queue", "db.delayed", "srv.log"),
	}
}

// reading is one probe at work: the open store, the moment, and where facts go.
type reading struct {
	*store.Store
	now time.Time
	r   Report
}

// fact reports a fact. A row that another program filled may hold what no fact can: it is shown and
// left out.
func (g reading) fact(key string, value any) {
	f, err := diag.Make(diag.Fact{Key: key, Vantage: diag.AtServer, Value: value, Evidence: diag.Evidence{g.Path()}})
	if err != nil {
		g.r.Saw(err.Error())
		return
	}
	g.r.Fact(f)
}

// age is in seconds, kept to the millisecond: whether a row of the log is older than a queue entry may
// hang on less than a second.
func (g reading) age(t time.Time) float64 {
	return max(0, g.now.Sub(t).Round(time.Millisecond).Seconds())
}

func (d DB) probe(id, check, what, needs string, read func(context.Context, reading) error, gives ...string) Probe {
	p := Probe{ID: id, Check: check, What: "read " + what, Gives: gives, Cost: Read, Limit: readLimit, Needs: needs}
	if d.Target == "" {
		p.Needs = "the database of the server, or a person who reads it"
	}
	if p.Needs != "" {
		return p
	}
	p.Run = func(ctx context.Context, r Report) error {
		ctx, cancel := context.WithTimeout(ctx, readLimit)
		defer cancel()
		s, err := store.OpenExisting(ctx, d.Target, d.Options)
		if err != nil {
			d.closed(id, err, r)
			return err
		}
		defer func() { _ = s.Close() }()
		return read(ctx, reading{s, d.Now(), r})
	}
	return p
}

// closed turns the reason why a database cannot be opened into the facts that it proves.
func (d DB) closed(id string, err error, r Report) {
	r.Saw(err.Error())
	if id != "db" {
		return
	}
	say := func(key string, v bool) {
		r.Fact(diag.Fact{Key: key, Vantage: diag.AtServer, Value: v, Evidence: diag.Evidence{err.Error()}})
	}
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrNoTable):
		say("db.reach", true)
		say("db.exists", false)
	case errors.Is(err, store.ErrDenied):
		say("db.reach", true)
		say("db.auth", false)
	case errors.Is(err, store.ErrUnreachable):
		say("db.reach", false)
	}
}

func (d DB) base(ctx context.Context, g reading) error {
	g.fact("db.reach", true)
	g.fact("db.auth", true)
	g.fact("db.exists", true)
	config, err := g.Config(ctx)
	switch {
	case errors.Is(err, store.ErrNoConfig):
		g.r.Saw(err.Error())
		g.fact("db.config", diag.None)
	case err != nil:
		return err
	default:
		g.fact("db.config", "row")
	}
	d.settings(g, config)
	profiles, err := g.Profiles(ctx)
	if err != nil {
		return err
	}
	g.fact("db.profiles", append([]string{}, profiles...))
	total, unused, err := g.PIDCounts(ctx)
	if err != nil {
		return err
	}
	g.fact("db.pid_rows", map[string]any{"total": total, "unused": unused})
	q, err := g.QueueStats(ctx)
	if err != nil {
		return err
	}
	g.fact("db.queue_length", q.Queued)
	if !q.LastChange.IsZero() {
		g.fact("db.queue_idle_s", g.age(q.LastChange))
		g.fact("fleet.last_change_s", g.age(q.LastChange))
	}
	g.r.Saw(fmt.Sprintf("%d pairs, %d unused; %d queued, %d delayed", total, unused, q.Queued, q.Delayed))
	return nil
}

// settings are the rows of csti_configuration that are facts of the server.
func (d DB) settings(g reading, config map[string]string) {
	for name, key := range map[string]string{"params_from": "srv.params_from", "tls_mode": "srv.tls_mode", "uuid_policy": "srv.uuid_policy"} {
		v, ok := config[name]
		if name == "tls_mode" && (v == "server" || v == "mutual") { // the modes of profiles; the fact knows whether
			v = "on"
		}
		if ok {
			g.fact(key, v)
		}
	}
	if v, ok := config["rcfg_enabled"]; ok {
		g.fact("srv.rcfg_enabled", v == "true")
	}
	if s, err := time.ParseDuration(config["retry_s"] + "s"); err == nil {
		g.fact("srv.retry_s", s.Seconds())
	}
}

func (d DB) pid(ctx context.Context, g reading) error {
	row, ok, err := g.PID(ctx, d.PID)
	if err != nil {
		return err
	}
	if !ok {
		g.fact("db.pid_map", diag.None)
		g.r.Saw("PID " + d.PID.Dashed() + " has no row")
	} else {
		v := map[string]any{"pid": string(row.PID), "used": row.Used}
		if !row.Updated.IsZero() {
			v["age_s"] = g.age(row.Updated)
		}
		g.fact("db.pid_map", v)
		g.r.Saw(fmt.Sprintf("PID %s has row %d, used: %t", row.PID.Dashed(), row.ID, row.Used))
	}
	near, err := g.NearPIDs(ctx, d.PID, keys.Near)
	if err != nil {
		return err
	}
	list := []string{}
	for _, p := range near {
		list = append(list, string(p))
	}
	g.fact("db.pid_near", list)
	return nil
}

// rowStates puts the states of the command line in the words of csti_amts.
var rowStates = map[store.State]string{store.Unprovisioned: "unprovisioned", store.StateDelayed: "unprovisioned",
	store.InProgress: "in-progress", store.Provisioned: "provisioned"}

func (d DB) client(ctx context.Context, g reading) error {
	c, ok, err := g.Client(ctx, d.UUID)
	if err != nil {
		return err
	}
	if !ok {
		g.fact("db.amts", diag.None)
	} else {
		at := c.Changed
		if c.State != store.Provisioned && c.LastHello.After(at) {
			at = c.LastHello // every hello writes the row
		}
		v := map[string]any{"uuid": c.UUID.String(), "state": rowStates[c.State], "age_s": g.age(at)}
		if c.FQDN != "" {
			v["fqdn"] = c.FQDN
		}
		g.fact("db.amts", v)
	}
	m, ok, err := g.MapRow(ctx, d.UUID)
	if err != nil {
		return err
	}
	g.fact("db.uuid_map", d.mapRow(g, m, ok, true))
	m, ok, err = g.SwappedMapRow(ctx, d.UUID)
	if err != nil {
		return err
	}
	g.fact("db.uuid_map_swapped", d.mapRow(g, m, ok, false))
	name, ok, err := g.Profile(ctx, d.UUID)
	if err != nil {
		return err
	}
	if ok {
		g.fact("db.profile", map[string]any{"uuid": d.UUID.String(), "name": name})
	} else {
		g.fact("db.profile", diag.None)
	}
	return nil
}

// mapRow leaves the UUID out of a swapped row: it would be taken for another client's.
func (d DB) mapRow(g reading, m store.MapRow, ok, own bool) any {
	if !ok {
		return diag.None
	}
	v := map[string]any{"fqdn": m.FQDN}
	if own {
		v["uuid"] = m.UUID.String()
	}
	if !m.Updated.IsZero() {
		v["age_s"] = g.age(m.Updated)
	}
	return v
}

func (d DB) queue(ctx context.Context, g reading) error {
	q, ok, err := g.Queue(ctx, d.UUID)
	if err != nil {
		return err
	}
	if ok {
		g.fact("db.queue", map[string]any{"uuid": d.UUID.String(), "age_s": g.age(q.Enqueued), "attempts": q.Attempts})
	} else {
		g.fact("db.queue", diag.None)
	}
	e, ok, err := g.Delayed(ctx, d.UUID)
	if err != nil {
		return err
	}
	if ok {
		g.fact("db.delayed", map[string]any{"uuid": d.UUID.String(), "age_s": g.age(e.Since), "attempts": e.Attempts, "reason": e.Reason})
		g.r.Saw("delayed: " + e.Reason)
	} else {
		g.fact("db.delayed", diag.None)
	}
	rows, err := g.Log(ctx, d.UUID, logRows)
	if err != nil {
		return err
	}
	list := []any{}
	for _, l := range rows {
		list = append(list, map[string]any{"at": l.At.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano), "text": l.Text})
	}
	g.fact("srv.log", list)
	return nil
}
