package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"amtmedic/amt"
)

// QueueRow is a client's row of csto_queue_entries.
type QueueRow struct {
	UUID      amt.UUID
	FQDN      string // of listings only; empty while unknown
	Attempts  int
	Enqueued  time.Time
	ClaimedBy string // empty while nobody works on it
}

// DelayedRow is a client's row of csto_delayed_entries.
type DelayedRow struct {
	UUID     amt.UUID
	FQDN     string // of listings only; empty while unknown
	Attempts int
	Since    time.Time
	Due      time.Time // when it is looked at again without a hello or an import
	Reason   string    // catalogue id and words
}

// Queue gives the queue entry of a client, false when it has none.
func (s *Store) Queue(ctx context.Context, u amt.UUID) (QueueRow, bool, error) {
	q := QueueRow{UUID: u}
	var at int64
	ok, err := s.one(ctx, `SELECT attempts, enqueued_us, coalesce(claimed_by, '') FROM csto_queue_entries WHERE uuid=?`,
		[]any{u.String()}, &q.Attempts, &at, &q.ClaimedBy)
	q.Enqueued = fromMicro(at)
	return q, ok, err
}

// Delayed gives the delayed entry of a client, false when it has none.
func (s *Store) Delayed(ctx context.Context, u amt.UUID) (DelayedRow, bool, error) {
	d := DelayedRow{UUID: u}
	var since, due int64
	ok, err := s.one(ctx, `SELECT attempts, since_us, due_us, reason FROM csto_delayed_entries WHERE uuid=?`,
		[]any{u.String()}, &d.Attempts, &since, &due, &d.Reason)
	d.Since, d.Due = fromMicro(since), fromMicro(due)
	return d, ok, err
}

// QueueStats is the state of the queue as a whole.
type QueueStats struct {
	Queued     int
	Delayed    int
	LastChange time.Time // when any entry last came, went or changed; zero when there never was one
}

// QueueStats counts the entries of all clients.
func (s *Store) QueueStats(ctx context.Context) (QueueStats, error) {
	var q QueueStats
	var at int64
	// The device row keeps the time of each change of its entry, also after the entry is gone.
	_, err := s.one(ctx, `SELECT (SELECT count(*) FROM csto_queue_entries), (SELECT count(*) FROM csto_delayed_entries),
		coalesce((SELECT max(changed_us) FROM csti_amts), 0)`, nil, &q.Queued, &q.Delayed, &at)
	q.LastChange = fromMicro(at)
	return q, err
}

// promote moves delayed entries to the queue: those whose reason begins with prefix and whose
// client fulfils where (a condition on csti_amts a, with args). It gives their UUIDs.
func (t *tx) promote(now int64, prefix, why, where string, args ...any) ([]string, error) {
	uuids, err := t.column(`SELECT d.uuid FROM csto_delayed_entries d JOIN csti_amts a ON a.uuid=d.uuid
		WHERE substr(d.reason, 1, length(?))=? AND `+where+` ORDER BY d.uuid`, append([]any{prefix, prefix}, args...)...)
	if err != nil {
		return nil, err
	}
	for _, u := range uuids {
		if err := t.promoteOne(now, u, why); err != nil {
			return nil, err
		}
	}
	return uuids, nil
}

// promoteOne moves one delayed entry, unless another server did so since it was seen.
func (t *tx) promoteOne(now int64, uuid, why string) error {
	if err := t.exec(`UPDATE csti_amts SET changed_us=? WHERE uuid=?`, now, uuid); err != nil {
		return err
	}
	var kind, attempts int
	switch err := t.row(`DELETE FROM csto_delayed_entries WHERE uuid=? RETURNING kind, attempts`, []any{uuid}, &kind, &attempts); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	if err := errors.Join(t.exec(`UPDATE csti_amts SET last_error=NULL WHERE uuid=?`, uuid),
		t.exec(`INSERT INTO csto_queue_entries (uuid, kind, attempts, enqueued_us) VALUES (?, ?, ?, ?) ON CONFLICT (uuid) DO NOTHING`,
			uuid, kind, attempts, now)); err != nil {
		return err
	}
	return t.log(now, uuid, SeverityInfo, "promoted", fmt.Sprintf("delayed entry promoted to the queue: %s", why))
}
