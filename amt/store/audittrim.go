package store

import (
	"context"
	"fmt"
	"time"

	"amtmedic/amt"
)

// TrimAudit removes the audit rows from before a moment (zero: of no age), and the oldest ones above the
// number to keep (0: any number), and gives how many it removed. That it did so is a row itself, written
// before the first one goes: who asked for it, how many rows, with which ids. That row is one of those
// that are kept.
func (s *Store) TrimAudit(ctx context.Context, who string, before time.Time, keep int) (removed int64, err error) {
	last, err := s.trimmable(ctx, before, keep)
	if err != nil || last.count == 0 {
		return 0, err
	}
	id, err := s.BeginAudit(ctx, Audit{Who: who, Action: "trim-audit", Object: fmt.Sprintf("%d rows", last.count),
		Was: fmt.Sprintf("ids %d to %d, %s to %s", last.first, last.id, last.from.Format(time.RFC3339), last.to.Format(time.RFC3339))})
	if err != nil {
		return 0, err
	}
	for {
		var n int64
		err := s.write(ctx, func(t *tx) (err error) {
			n, err = t.execN(`DELETE FROM csti_audit WHERE id IN (SELECT id FROM csti_audit WHERE id<=? ORDER BY id LIMIT ?)`, last.id, trimBatch)
			return err
		})
		removed += n
		if err != nil {
			return removed, &amt.Error{Op: "trim audit", Subject: s.path, Err: err}
		}
		if n < trimBatch {
			return removed, s.EndAudit(ctx, id, AuditDone)
		}
	}
}

// trimmed is which rows go.
type trimmed struct {
	first, id, count int64
	from, to         time.Time
}

func (s *Store) trimmable(ctx context.Context, before time.Time, keep int) (trimmed, error) {
	var t trimmed
	var old, above, from, to int64
	if !before.IsZero() {
		// Up to the first one that stays: a row that was written while the clock was wrong takes no younger ones along.
		if _, err := s.one(ctx, `SELECT coalesce((SELECT id-1 FROM csti_audit WHERE at_us>=? ORDER BY id LIMIT 1), (SELECT max(id) FROM csti_audit), 0)`, []any{before.UnixMicro()}, &old); err != nil {
			return t, err
		}
	}
	if keep > 0 {
		var n int
		if _, err := s.one(ctx, `SELECT count(*) FROM csti_audit`, nil, &n); err != nil {
			return t, err
		}
		if n > keep { // one more makes room for the row of the trim
			if _, err := s.one(ctx, `SELECT id FROM csti_audit ORDER BY id DESC LIMIT 1 OFFSET ?`, []any{keep - 1}, &above); err != nil {
				return t, err
			}
		}
	}
	t.id = max(old, above)
	_, err := s.one(ctx, `SELECT count(*), coalesce(min(id), 0), coalesce(min(at_us), 0), coalesce(max(at_us), 0) FROM csti_audit WHERE id<=?`, []any{t.id}, &t.count, &t.first, &from, &to)
	t.from, t.to = fromMicro(from), fromMicro(to)
	return t, err
}
