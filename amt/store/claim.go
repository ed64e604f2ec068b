package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"amtmedic/amt"
)

// clock gives the time that leases and due times are set and judged by: where several servers share
// a database its clock alone, since theirs may differ by more than a lease.
func (t *tx) clock(s *Store) (time.Time, error) {
	if s.e.clock == "" {
		return s.now(), nil
	}
	var us int64
	err := t.row(s.e.clock, nil, &us)
	return time.UnixMicro(us), err
}

// Claim gives worker up to n entries that nobody holds or whose lease ran out, oldest first. They stay
// with it until Finish, Delay or Release, or until the lease runs out; Renew extends it.
func (s *Store) Claim(ctx context.Context, worker string, n int, lease time.Duration) ([]Job, error) {
	var jobs []Job
	err := s.write(ctx, func(t *tx) error {
		jobs = nil
		now, err := t.clock(s)
		if err != nil {
			return err
		}
		free, err := t.claimable(now, n)
		if err != nil {
			return err
		}
		if jobs, err = t.claim(free, worker, now, lease); err != nil {
			return err
		}
		slices.SortFunc(jobs, func(a, b Job) int { return a.Enqueued.Compare(b.Enqueued) })
		for i := 0; err == nil && i < len(jobs); i++ {
			err = t.begin(&jobs[i], now.UnixMicro())
		}
		return err
	})
	if err != nil {
		return nil, &amt.Error{Op: "claim queue entries", Subject: s.path, Err: err}
	}
	return jobs, nil
}

// The entries that may be claimed, with who held them. The device row is locked, as always first; one
// that a hello or another server has at the moment is left to the next look.
const (
	expiredEntries = `SELECT q.uuid, q.claimed_by FROM csto_queue_entries q JOIN csti_amts a ON a.uuid=q.uuid
		WHERE q.claimed_by IS NOT NULL AND q.lease_us<? ORDER BY q.enqueued_us LIMIT ?`
	freeEntries = `SELECT q.uuid, '' FROM csto_queue_entries q JOIN csti_amts a ON a.uuid=q.uuid
		WHERE q.claimed_by IS NULL ORDER BY q.enqueued_us LIMIT ?`
)

// claimable gives up to n entries that may be claimed, each with the worker whose lease ran out.
func (t *tx) claimable(now time.Time, n int) (map[string]string, error) {
	found := map[string]string{}
	note := func(scan func(...any) error) error {
		var uuid, from string
		err := scan(&uuid, &from)
		found[uuid] = from
		return err
	}
	if err := t.each(expiredEntries+t.e.skipDevices, []any{now.UnixMicro(), n}, note); err != nil || len(found) >= n {
		return found, err
	}
	return found, t.each(freeEntries+t.e.skipDevices, []any{n - len(found)}, note)
}

// claim takes entries for a worker. An entry that another server took before its device row was locked
// is left out.
func (t *tx) claim(free map[string]string, worker string, now time.Time, lease time.Duration) ([]Job, error) {
	uuids := make([]string, 0, len(free))
	for u := range free {
		uuids = append(uuids, u)
	}
	slices.Sort(uuids)
	var jobs []Job
	for part := range slices.Chunk(uuids, t.e.chunk) {
		rows := t.e.rows("text")
		for _, u := range part {
			rows.add(u)
		}
		err := t.each(`UPDATE csto_queue_entries SET claimed_by=?, attempts=attempts+1, again=0, lease_us=?
			WHERE (claimed_by IS NULL OR lease_us<?) AND uuid IN (`+rows.source()+`) RETURNING uuid, kind, attempts, enqueued_us`,
			append([]any{worker, now.Add(lease).UnixMicro(), now.UnixMicro()}, rows.args()...), func(scan func(...any) error) error {
				j := Job{Worker: worker}
				var uuid string
				var at int64
				if err := scan(&uuid, &j.Kind, &j.Attempts, &at); err != nil {
					return err
				}
				j.UUID, _ = amt.ParseUUID(uuid)
				j.Enqueued, j.From = fromMicro(at), free[uuid]
				jobs = append(jobs, j)
				return nil
			})
		if err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// Renew extends the leases of jobs that their worker holds, and gives the clients whose entries are
// still its own. An entry of the worker that is not among the jobs, because the answer to its claim was
// lost, runs out like that of a dead one.
func (s *Store) Renew(ctx context.Context, worker string, jobs []Job, lease time.Duration) ([]amt.UUID, error) {
	uuids := make([]string, len(jobs))
	for i, j := range jobs {
		uuids[i] = j.UUID.String()
	}
	slices.Sort(uuids)
	var kept []amt.UUID
	err := s.write(ctx, func(t *tx) error {
		kept = nil
		now, err := t.clock(s)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(uuids, t.e.chunk) {
			rows := t.e.rows("text")
			for _, u := range part {
				rows.add(u)
			}
			err := t.each(`UPDATE csto_queue_entries SET lease_us=? WHERE claimed_by=? AND uuid IN (`+rows.source()+`) RETURNING uuid`,
				append([]any{now.Add(lease).UnixMicro(), worker}, rows.args()...), func(scan func(...any) error) error {
					var text string
					err := scan(&text)
					u, _ := amt.ParseUUID(text)
					kept = append(kept, u)
					return err
				})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, &amt.Error{Op: "renew leases", Subject: s.path, Err: err}
	}
	return kept, nil
}

// promoteMost bounds the entries that one PromoteDue moves: hellos and claims go in between.
const promoteMost = 1000

// PromoteDue moves delayed entries whose time has come to the queue, the longest due first. next is
// when the next one is due, zero when none waits.
func (s *Store) PromoteDue(ctx context.Context) (n int, next time.Time, err error) {
	err = s.write(ctx, func(t *tx) error {
		now, err := t.clock(s)
		if err != nil {
			return err
		}
		// A client whose PID has no pair waits for the pair: time alone changes nothing for it.
		due, err := t.column(`SELECT uuid FROM csto_delayed_entries WHERE due_us<=? AND reason<>? ORDER BY due_us LIMIT ?`, now.UnixMicro(), ReasonPIDUnknown, promoteMost)
		if err != nil {
			return err
		}
		slices.Sort(due) // the order of the locks is the same for all
		for _, u := range due {
			if err := t.promoteOne(now.UnixMicro(), u, "its time has come"); err != nil {
				return err
			}
		}
		n = len(due)
		var at sql.NullInt64
		if err := t.row(`SELECT min(due_us) FROM csto_delayed_entries WHERE reason<>?`, []any{ReasonPIDUnknown}, &at); err != nil {
			return err
		}
		next = time.Time{}
		if at.Valid {
			next = fromMicro(at.Int64)
		}
		return nil
	})
	return n, next, err
}

// PromoteKeyed moves delayed entries to the queue that wait for a pair which is in the map: in a shared
// database a hello and the import of its key may miss each other. It gives their number.
func (s *Store) PromoteKeyed(ctx context.Context) (n int, err error) {
	if !s.e.shared {
		return 0, nil // one transaction after the other
	}
	err = s.write(ctx, func(t *tx) error {
		uuids, err := t.promote(s.now().UnixMicro(), ReasonPIDUnknown, "the key of its PID is here", `EXISTS (SELECT 1 FROM csti_pid_map m WHERE m.pid=a.pid)`)
		n = len(uuids)
		return err
	})
	return n, err
}

// mine checks that the job's entry is still its worker's, and keeps it so until the commit. again
// tells that its client said hello since it was claimed.
func (t *tx) mine(j Job) (again bool, err error) {
	err = t.row(`SELECT q.again FROM csti_amts a JOIN csto_queue_entries q ON q.uuid=a.uuid WHERE a.uuid=? AND q.claimed_by=? AND q.attempts=?`+t.e.lock,
		[]any{j.UUID.String(), j.Worker, j.Attempts}, &again)
	if errors.Is(err, sql.ErrNoRows) {
		return false, ErrLeaseLost
	}
	return again, err
}
