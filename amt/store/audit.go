package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"amtmedic/amt"
)

// AuditDone is the result of a change that was made.
const AuditDone = "done"

// WhoCommandLine is who made a change with this program itself.
const WhoCommandLine = "command line"

// Audit is a row of csti_audit: a change that somebody asked for. It holds no secrets.
type Audit struct {
	ID      int64
	At      time.Time
	Who     string // name of the token, or "command line"
	Address string // where the request came from; empty for this machine
	Action  string // such as "put uuid-map"
	Object  string // what was changed: a UUID, PID, name
	Was     string // before; empty when it was not there
	Becomes string // after; empty when it is removed
	Result  string // AuditDone, or why it was not done; empty while nobody knows: the process ended meanwhile
}

func (t *tx) audit(at int64, a Audit, id *int64) error {
	var n int64
	err := t.row(`INSERT INTO csti_audit (at_us, who, address, action, object, was, becomes, result) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		[]any{at, a.Who, a.Address, a.Action, a.Object, a.Was, a.Becomes, a.Result}, &n)
	if id != nil {
		*id = n
	}
	return err
}

// BeginAudit keeps that a change is about to be made, and gives the id of the row. Whoever makes the
// change does so only after this returned without error, and then calls EndAudit.
func (s *Store) BeginAudit(ctx context.Context, a Audit) (id int64, err error) {
	err = s.write(ctx, func(t *tx) error { return t.audit(s.now().UnixMicro(), a, &id) })
	if err != nil {
		return 0, &amt.Error{Op: "write audit", Subject: a.Action, Err: err}
	}
	return id, nil
}

// EndAudit keeps how a change ended.
func (s *Store) EndAudit(ctx context.Context, id int64, result string) error {
	err := s.write(ctx, func(t *tx) error { return t.exec(`UPDATE csti_audit SET result=? WHERE id=?`, result, id) })
	if err != nil {
		return &amt.Error{Op: "write audit", Err: err}
	}
	return nil
}

// ListAudit gives rows with ids below before (0 is all), the newest first. limit is 1 to 1000; 0 is 100.
func (s *Store) ListAudit(ctx context.Context, before int64, limit int) (out []Audit, err error) {
	l := listing{query: `SELECT id, at_us, who, address, action, object, was, becomes, result FROM csti_audit`, order: "id DESC"}
	if before > 0 {
		l.where, l.args = append(l.where, "id<?"), append(l.args, before)
	}
	_, err = s.list(ctx, l, pageLimit(limit), func(scan func(...any) error) error {
		var a Audit
		var at int64
		err := scan(&a.ID, &at, &a.Who, &a.Address, &a.Action, &a.Object, &a.Was, &a.Becomes, &a.Result)
		a.At = fromMicro(at)
		out = append(out, a)
		return err
	})
	return out, err
}

// errNone reports that a query gave no row.
func errNone(err error) bool { return errors.Is(err, sql.ErrNoRows) }
