package store

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"amtmedic/amt"
)

// ErrLeaseLost: the entry is no longer the worker's. What the worker did stays done in the firmware;
// whoever has the entry now finds it there.
var ErrLeaseLost = errors.New("the queue entry belongs to another worker by now")

// Job is a queue entry that a worker holds.
type Job struct {
	UUID     amt.UUID
	Kind     int        // version of its last hello: 2 psk, 3 pki; or maintenance, see Maintenance
	Attempts int        // this one included
	Address  netip.Addr // where its last hello came from; invalid when the row holds none
	PID      amt.PID    // of its last psk hello
	Enqueued time.Time
	Worker   string // who holds it
	From     string // whose lease ran out before; empty when nobody held it
}

// StepSwitch is noted before a client that is provisioned gets TLS, or loses it: from then on it may be
// reached in either way. It outlives the job, until one that applies the profile is done.
const StepSwitch = "tls-switch"

// begin fills a claimed job from the device row. The steps of an earlier configuration count no more.
func (t *tx) begin(j *Job, now int64) error {
	var ip string
	err := t.row(`UPDATE csti_amts SET changed_us=? WHERE uuid=? RETURNING ip, coalesce(pid, '')`, []any{now, j.UUID.String()}, &ip, &j.PID)
	if err != nil {
		return err
	}
	j.Address, _ = netip.ParseAddr(ip) // a row that another program filled may hold anything; it must not keep the others waiting
	if j.Attempts > 1 {
		return nil
	}
	keep := ""
	if j.Maintenance() != "" {
		keep = StepSwitch
	}
	return t.exec(`DELETE FROM csto_steps WHERE uuid=? AND step<>?`, j.UUID.String(), keep)
}

// ReleaseOrphans gives back the entries of workers that died with their process: whoever has the lock
// of a file is alone. In a shared database the leases of the dead run out instead. It gives their
// number.
func (s *Store) ReleaseOrphans(ctx context.Context, l *QueueLock) (int, error) {
	if l.f == nil {
		return 0, nil
	}
	return s.release(ctx, "")
}

// Release gives the entries of a worker back to the queue unharmed. It gives their number.
func (s *Store) Release(ctx context.Context, worker string) (int, error) {
	return s.release(ctx, worker)
}

func (s *Store) release(ctx context.Context, worker string) (int, error) {
	var n int64
	err := s.write(ctx, func(t *tx) (err error) {
		t.queued = true
		n, err = t.execN(`UPDATE csto_queue_entries SET claimed_by=NULL, lease_us=NULL WHERE claimed_by IS NOT NULL AND claimed_by=coalesce(nullif(?, ''), claimed_by)`, worker)
		return err
	})
	return int(n), err
}

// Done is what a finished configuration left in the firmware.
type Done struct {
	FQDN     string
	Version  string     // of the firmware
	Profile  string     // that was applied
	Password amt.Secret // of the admin account, verified by a log-in; empty leaves the stored one
	Text     string     // for the log
	Steps    []Step     // that were not noted yet
}

// Finish takes a job's entry out of the queue and notes the client as provisioned. ErrLeaseLost when
// another worker has the entry by now.
func (s *Store) Finish(ctx context.Context, j Job, d Done) error {
	uuid := j.UUID.String()
	err := s.write(ctx, func(t *tx) error {
		if _, err := t.mine(j); err != nil {
			return err
		}
		cell, err := t.sealText(d.Password, passwordPlace("admin_password", uuid))
		if err != nil {
			return err
		}
		at, err := t.clock(s)
		if err != nil {
			return err
		}
		now := at.UnixMicro()
		if err := t.exec(`UPDATE csti_amts SET state=?, fqdn=coalesce(nullif(?, ''), fqdn), version=coalesce(nullif(?, ''), version),
			profile_id=coalesce((SELECT id FROM csti_profiles WHERE name=?), profile_id), last_error=NULL, changed_us=?, done_us=? WHERE uuid=?`,
			stateProvisioned, d.FQDN, d.Version, d.Profile, now, now, uuid); err != nil {
			return err
		}
		if cell != nil {
			if err := t.exec(`UPDATE csti_amts SET admin_password=?, next_password=NULL WHERE uuid=?`, cell, uuid); err != nil {
				return err
			}
		}
		if j.Kind == 2 {
			if err := t.exec(`UPDATE csti_pid_map SET used=1, uuid=?, updated_us=? WHERE pid=?`, uuid, now, string(j.PID)); err != nil {
				return err
			}
		}
		return errors.Join(t.steps(uuid, d.Steps), t.exec(`DELETE FROM csto_queue_entries WHERE uuid=?`, uuid),
			t.log(now, uuid, SeverityInfo, "provisioned", d.Text))
	})
	return jobError("finish", j, err)
}

// againAfter is how soon a job that failed is tried again when its client said hello meanwhile.
const againAfter = 5 * time.Second

// Delay moves a job's entry to the delayed ones: reason is a catalogue id and words, and after wait
// it is looked at again without a hello or an import. ErrLeaseLost as in Finish.
func (s *Store) Delay(ctx context.Context, j Job, reason, text string, wait time.Duration) error {
	uuid := j.UUID.String()
	err := s.write(ctx, func(t *tx) error {
		again, err := t.mine(j)
		if err != nil {
			return err
		}
		wait := wait
		now, err := t.clock(s)
		if err != nil {
			return err
		}
		if again {
			wait = min(wait, againAfter)
		}
		kind := j.Kind
		if err := t.exec(`UPDATE csti_amts SET changed_us=?, last_error=? WHERE uuid=?`, now.UnixMicro(), reason, uuid); err != nil {
			return err
		}
		if err := t.row(`DELETE FROM csto_queue_entries WHERE uuid=? RETURNING kind`, []any{uuid}, &kind); err != nil {
			return err // of a hello that came meanwhile, which goes before maintenance
		}
		if kind != j.Kind && j.Maintenance() != "" {
			if err := t.exec(`UPDATE csti_amts SET state=0 WHERE uuid=?`, uuid); err != nil {
				return err
			}
		}
		if err := t.exec(`INSERT INTO csto_delayed_entries (uuid, kind, attempts, due_us, reason, since_us) VALUES (?, ?, ?, ?, ?, ?)`,
			uuid, kind, j.Attempts, now.Add(wait).UnixMicro(), reason, now.UnixMicro()); err != nil {
			return err
		}
		return t.log(now.UnixMicro(), uuid, SeverityError, codeOf(reason), j.failure(text))
	})
	return jobError("delay", j, err)
}

func jobError(op string, j Job, err error) error {
	if err == nil {
		return nil
	}
	return &amt.Error{Op: op + " queue entry", Subject: j.UUID.String(), Err: err}
}
