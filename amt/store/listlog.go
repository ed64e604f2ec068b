package store

import (
	"context"
	"database/sql"

	"amtmedic/amt"
)

// LogOptions choose rows of the log.
type LogOptions struct {
	UUID        amt.UUID // of one client; zero is all rows
	MinSeverity int      // rows of this severity and worse
	Search      string   // part of code, text or UUID, in any case
	Before      int64    // only rows with a smaller id; 0 is all
	Limit       int      // 1 to 1000; 0 is 100
}

// ListLog gives rows of the log, the newest first.
func (s *Store) ListLog(ctx context.Context, o LogOptions) (out []LogRow, err error) {
	l := listing{query: `SELECT id, at_us, uuid, severity, code, detail FROM csti_log`, order: "id DESC"}
	if !o.UUID.IsZero() {
		l.where, l.args = append(l.where, logOfClient), append(l.args, logOfClientArgs(o.UUID)...)
	}
	if o.MinSeverity > 0 {
		l.where, l.args = append(l.where, "severity>=?"), append(l.args, o.MinSeverity)
	}
	if o.Before > 0 {
		l.where, l.args = append(l.where, "id<?"), append(l.args, o.Before)
	}
	l.search(o.Search, "code", "detail", "uuid")
	_, err = s.list(ctx, l, pageLimit(o.Limit), func(scan func(...any) error) error {
		var r LogRow
		var uuid sql.NullString
		var at int64
		if err := scan(&r.ID, &at, &uuid, &r.Severity, &r.Code, &r.Text); err != nil {
			return err
		}
		r.At = fromMicro(at)
		if uuid.Valid {
			r.UUID, _ = amt.ParseUUID(uuid.String)
		}
		out = append(out, r)
		return nil
	})
	return out, err
}

// Counts is how many rows there are.
type Counts struct {
	Clients          map[State]int
	Queued, Delayed  int
	PIDs, PIDsUnused int
	MapRows, LogRows int
	Profiles         int
}

// Counts counts the rows of all tables.
func (s *Store) Counts(ctx context.Context) (Counts, error) {
	var c Counts
	var all, done, claimed, claimedDone, delayedDone int
	_, err := s.one(ctx, `SELECT (SELECT count(*) FROM csti_amts), (SELECT count(*) FROM csti_amts WHERE state=2),
		(SELECT count(*) FROM csto_queue_entries), (SELECT count(*) FROM csto_queue_entries WHERE claimed_by IS NOT NULL),
		(SELECT count(*) FROM csto_queue_entries q JOIN csti_amts a ON a.uuid=q.uuid WHERE q.claimed_by IS NOT NULL AND a.state=2),
		(SELECT count(*) FROM csto_delayed_entries),
		(SELECT count(*) FROM csto_delayed_entries d JOIN csti_amts a ON a.uuid=d.uuid WHERE a.state=2),
		(SELECT count(*) FROM csti_pid_map), (SELECT count(*) FROM csti_pid_map WHERE used=0),
		(SELECT count(*) FROM csti_uuid_maps), (SELECT count(*) FROM csti_log), (SELECT count(*) FROM csti_profiles)`, nil,
		&all, &done, &c.Queued, &claimed, &claimedDone, &c.Delayed, &delayedDone, &c.PIDs, &c.PIDsUnused, &c.MapRows, &c.LogRows, &c.Profiles)
	// A client has one entry at most, and its state is that of the entry.
	provisioned := done - claimedDone - delayedDone
	c.Clients = map[State]int{InProgress: claimed, StateDelayed: c.Delayed, Provisioned: provisioned, Unprovisioned: all - claimed - c.Delayed - provisioned}
	return c, err
}
