package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"amtmedic/amt"
)

// failure is what the log says of a job that did not succeed: of maintenance also which kind and attempt.
func (j Job) failure(text string) string {
	if m := j.Maintenance(); m != "" {
		return fmt.Sprintf("%s: attempt %d failed: %s", m, j.Attempts, text)
	}
	return text
}

// selectFailures continues the history of a client with the maintenance of it that failed: what the log
// has, and the last outcome of each kind when the log has it no more.
var selectFailures = func() string {
	var kinds, names []string
	for _, m := range Maintenances() {
		kinds = append(kinds, "detail LIKE '"+string(m)+": %'")
		names = append(names, fmt.Sprintf("WHEN %d THEN '%s'", maintenanceKinds[m], m))
	}
	return `UNION ALL SELECT 2, id, at_us, '` + EventFailed + `', '', code || ', ' || detail FROM csti_log WHERE uuid=?1 AND first_hello=0 AND code LIKE 'rc-%' AND (` + strings.Join(kinds, " OR ") + `)
		UNION ALL SELECT 2, 0, m.at_us, '` + EventFailed + `', '', CASE m.kind ` + strings.Join(names, " ") + ` ELSE '?' END || ': ' || m.outcome FROM csto_maintenance m
		WHERE m.uuid=?1 AND m.outcome NOT IN ('` + outcomeDone + `', '` + outcomeCancelled + `')
		AND NOT EXISTS (SELECT 1 FROM csti_log l WHERE l.uuid=m.uuid AND l.at_us=m.at_us AND l.first_hello=0)`
}()

// What csto_maintenance.outcome may be beside the reason of a failure.
const (
	outcomeDone      = "done"
	outcomeCancelled = "cancelled"
)

// ErrNoMaintenance: nothing was to be done for the client.
var ErrNoMaintenance = errors.New("no maintenance waits for it")

// CancelMaintenance takes the maintenance of a client that waits, in the queue or delayed, and gives its
// kind. On schedule it comes again a period later. why stands in the log; it must hold no secret.
// ErrNoMaintenance when none waits, ErrBusy when a worker is at it.
func (s *Store) CancelMaintenance(ctx context.Context, u amt.UUID, why string) (Maintenance, error) {
	uuid, kind := u.String(), 0
	err := s.write(ctx, func(t *tx) error {
		now, err := t.clock(s)
		if err != nil {
			return err
		}
		for _, table := range []string{`csto_queue_entries WHERE claimed_by IS NULL AND`, `csto_delayed_entries WHERE`} {
			err := t.row(`DELETE FROM `+table+` kind>=? AND uuid=? RETURNING kind`, []any{firstMaintenance, uuid}, &kind)
			if errNone(err) {
				continue
			} else if err != nil {
				return err
			}
			return errors.Join(t.exec(`UPDATE csti_amts SET last_error=NULL WHERE uuid=?`, uuid),
				t.outcome(Job{UUID: u, Kind: kind}, now.UnixMicro(), outcomeCancelled),
				t.log(now.UnixMicro(), uuid, SeverityInfo, "maintenance", fmt.Sprintf("%s: cancelled, %s", Job{Kind: kind}.Maintenance(), why)))
		}
		var claimed int
		if err := t.row(`SELECT count(*) FROM csto_queue_entries WHERE kind>=? AND uuid=?`, []any{firstMaintenance, uuid}, &claimed); err != nil {
			return err
		} else if claimed > 0 {
			return ErrBusy
		}
		return ErrNoMaintenance
	})
	if err != nil {
		return "", &amt.Error{Op: "cancel maintenance of", Subject: uuid, Err: err}
	}
	return Job{Kind: kind}.Maintenance(), nil
}

// MaintenanceRow is maintenance that waits or is under way.
type MaintenanceRow struct {
	UUID     amt.UUID
	FQDN     string // empty while unknown
	Kind     Maintenance
	Attempts int
	Since    time.Time // in the queue, or delayed
	Worker   string    // who is at it; empty while nobody is
	Due      time.Time // when a delayed one is tried again; zero for one in the queue
	Reason   string    // of a delayed one: catalogue id and words
}

// ListMaintenance gives a page of the maintenance that waits or is under way, in the order of the UUIDs.
func (s *Store) ListMaintenance(ctx context.Context, o ListOptions) (rows []MaintenanceRow, next string, err error) {
	l := listing{query: `SELECT e.uuid, coalesce(a.fqdn, m.fqdn, ''), e.kind, e.attempts, e.since, e.worker, e.due, e.reason FROM (
		SELECT uuid, kind, attempts, enqueued_us AS since, coalesce(claimed_by, '') AS worker, 0 AS due, '' AS reason FROM csto_queue_entries WHERE kind>=16
		UNION ALL SELECT uuid, kind, attempts, since_us, '', due_us, reason FROM csto_delayed_entries WHERE kind>=16) e` + ofClient, order: "e.uuid"}
	l.search(o.Search, "e.uuid", "coalesce(a.fqdn, m.fqdn)", "a.ip", "a.pid")
	if o.After != "" {
		l.after(o.After)
	}
	more, err := s.list(ctx, l, o.limit(), func(scan func(...any) error) error {
		var m MaintenanceRow
		var uuid string
		var kind int
		var since, due int64
		if err := scan(&uuid, &m.FQDN, &kind, &m.Attempts, &since, &m.Worker, &due, &m.Reason); err != nil {
			return err
		}
		m.Kind, m.Since, m.Due = Job{Kind: kind}.Maintenance(), fromMicro(since), fromMicro(due)
		rows = append(rows, m)
		return parsed(&rows[len(rows)-1].UUID, uuid)
	})
	if more {
		next = rows[len(rows)-1].UUID.String()
	}
	return rows, next, err
}

// MaintenanceCount is how a kind of maintenance stands in the whole fleet. Retired clients are left out.
type MaintenanceCount struct {
	Kind    Maintenance
	Queued  int // or under way
	Delayed int
	Done    int            // clients for which it was done when it was last tried
	Failed  map[string]int // clients for which it was given up when it was last tried, by the reason
}

// MaintenanceCounts counts the maintenance of all clients, in the order of Maintenances. A kind that nobody
// asked for yet is left out.
func (s *Store) MaintenanceCounts(ctx context.Context) ([]MaintenanceCount, error) {
	const serving = ` AND EXISTS (SELECT 1 FROM csti_amts a WHERE a.uuid=e.uuid AND a.retired_us IS NULL)`
	rows, err := s.read.QueryContext(ctx, `SELECT kind, 'queue' AS place, '' AS outcome, count(*) FROM csto_queue_entries e WHERE kind>=16`+serving+` GROUP BY kind
		UNION ALL SELECT kind, 'delayed', '', count(*) FROM csto_delayed_entries e WHERE kind>=16`+serving+` GROUP BY kind
		UNION ALL SELECT kind, 'outcome', outcome, count(*) FROM csto_maintenance e WHERE outcome<>'`+outcomeCancelled+`'`+serving+` GROUP BY kind, outcome`)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	counts := map[Maintenance]*MaintenanceCount{}
	for rows.Next() {
		var kind, n int
		var place, outcome string
		if err := rows.Scan(&kind, &place, &outcome, &n); err != nil {
			return nil, classify(err)
		}
		m := Job{Kind: kind}.Maintenance()
		if counts[m] == nil {
			counts[m] = &MaintenanceCount{Kind: m, Failed: map[string]int{}}
		}
		switch c := counts[m]; {
		case place == "queue":
			c.Queued += n
		case place == "delayed":
			c.Delayed += n
		case outcome == outcomeDone:
			c.Done += n
		default:
			c.Failed[outcome] += n
		}
	}
	var out []MaintenanceCount
	for _, m := range Maintenances() {
		if counts[m] != nil {
			out = append(out, *counts[m])
		}
	}
	return out, classify(rows.Err())
}
