package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"amtmedic/amt"
)

// Maintenance is work on a client that is provisioned.
type Maintenance string

// The kinds of maintenance.
const (
	MaintainClock       Maintenance = "clock"            // its clock is set
	MaintainPassword    Maintenance = "password"         // its administrator gets a new password
	MaintainPair        Maintenance = "pair"             // it gets a new PID/PPS pair for its next setup
	MaintainCertificate Maintenance = "certificate"      // its TLS certificate is renewed
	MaintainProfile     Maintenance = "profile"          // the settings of its profile are applied again
	Unprovision         Maintenance = "unprovision"      // partial: it keeps administrator, pair and names, and says hello again
	UnprovisionFull     Maintenance = "unprovision-full" // it is as it came from the factory
)

// maintenanceKinds are csto_queue_entries.kind of maintenance; lower ones are versions of a hello. They
// are stored: they stay as they are.
const firstMaintenance = 16

var maintenanceKinds = map[Maintenance]int{MaintainClock: 16, MaintainPassword: 17, MaintainPair: 18,
	MaintainCertificate: 19, MaintainProfile: 20, Unprovision: 21, UnprovisionFull: 22}

// Known reports whether m is a kind of maintenance.
func (m Maintenance) Known() bool { return maintenanceKinds[m] != 0 }

// Maintenance gives what a job is to do with a provisioned client; empty for one that a hello began.
func (j Job) Maintenance() Maintenance {
	for m, kind := range maintenanceKinds {
		if kind == j.Kind {
			return m
		}
	}
	return ""
}

// Causes why a client is not queued for maintenance.
var (
	ErrNoClient       = errors.New("it never said hello to this server")
	ErrNotProvisioned = errors.New("it is not provisioned")
	ErrHasEntry       = errors.New("it has an entry in the queue or among the delayed ones already")
)

// Maintain puts a provisioned client in the queue for maintenance. why stands in the log, in words; it
// must hold no secret. ErrNoClient, ErrNotProvisioned or ErrHasEntry tell why it was not.
func (s *Store) Maintain(ctx context.Context, u amt.UUID, m Maintenance, why string) error {
	err := s.write(ctx, func(t *tx) error { return t.maintain(s.now().UnixMicro(), u.String(), m, why) })
	if err != nil {
		return &amt.Error{Op: "queue " + string(m) + " of", Subject: u.String(), Err: err}
	}
	return nil
}

func (t *tx) maintain(now int64, uuid string, m Maintenance, why string) error {
	kind, ok := maintenanceKinds[m]
	if !ok {
		return fmt.Errorf("%q is no kind of maintenance", m)
	}
	var state int
	switch err := t.row(`UPDATE csti_amts SET changed_us=changed_us WHERE uuid=? RETURNING state`, []any{uuid}, &state); {
	case errors.Is(err, sql.ErrNoRows):
		return ErrNoClient
	case err != nil:
		return err
	case state != stateProvisioned:
		return ErrNotProvisioned
	}
	// Maintenance that waits gives way: what is asked for now may be what repairs it.
	if err := t.exec(`DELETE FROM csto_delayed_entries WHERE uuid=? AND kind>=?`, uuid, firstMaintenance); err != nil {
		return err
	}
	var entries int
	if err := t.row(`SELECT (SELECT count(*) FROM csto_queue_entries WHERE uuid=?1) + (SELECT count(*) FROM csto_delayed_entries WHERE uuid=?1)`, []any{uuid}, &entries); err != nil {
		return err
	}
	if entries > 0 {
		return ErrHasEntry
	}
	return errors.Join(t.exec(`INSERT INTO csto_queue_entries (uuid, kind, enqueued_us) VALUES (?, ?, ?)`, uuid, kind, now),
		t.log(now, uuid, SeverityInfo, "maintenance", fmt.Sprintf("%s: queued, %s", m, why)))
}

// DueMaintenance lists provisioned clients without an entry for which a kind of maintenance was last
// done, or which were provisioned, before a moment: the longest due first, at most limit.
func (s *Store) DueMaintenance(ctx context.Context, m Maintenance, before time.Time, limit int) ([]amt.UUID, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT a.uuid FROM csti_amts a LEFT JOIN csto_maintenance m ON m.uuid=a.uuid AND m.kind=?
		WHERE a.state=? AND a.retired_us IS NULL AND coalesce(m.at_us, a.changed_us)<?
		AND NOT EXISTS (SELECT 1 FROM csto_queue_entries q WHERE q.uuid=a.uuid) AND NOT EXISTS (SELECT 1 FROM csto_delayed_entries d WHERE d.uuid=a.uuid)
		ORDER BY coalesce(m.at_us, a.changed_us), a.uuid LIMIT ?`, maintenanceKinds[m], stateProvisioned, before.UnixMicro(), limit)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []amt.UUID
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, classify(err)
		}
		u, err := amt.ParseUUID(text)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, classify(rows.Err())
}

// LastMaintenance gives when a kind of maintenance was last done for a client, or given up; zero when it
// never was.
func (s *Store) LastMaintenance(ctx context.Context, u amt.UUID, m Maintenance) (time.Time, error) {
	var at int64
	_, err := s.one(ctx, `SELECT at_us FROM csto_maintenance WHERE uuid=? AND kind=?`, []any{u.String(), maintenanceKinds[m]}, &at)
	return fromMicro(at), err
}

// Maintained is what maintenance left in the firmware.
type Maintained struct {
	Password amt.Secret // of the admin account, verified by a log-in; empty leaves the stored one
	PID      amt.PID    // of the pair that the client has now; empty leaves the stored one
	Text     string     // for the log
}

// FinishMaintenance takes a maintenance job out of the queue, and notes a client that was unprovisioned
// as such. A client that said hello meanwhile stays in the queue, to be provisioned. ErrLeaseLost as in
// Finish.
func (s *Store) FinishMaintenance(ctx context.Context, j Job, d Maintained) error {
	uuid := j.UUID.String()
	err := s.write(ctx, func(t *tx) error {
		again, err := t.mine(j)
		if err != nil {
			return err
		}
		cell, err := t.sealText(d.Password, passwordPlace("admin_password", uuid))
		if err != nil {
			return err
		}
		now := s.now().UnixMicro()
		state := stateProvisioned
		if m := j.Maintenance(); again || m == Unprovision || m == UnprovisionFull {
			state = 0
		}
		if err := t.exec(`UPDATE csti_amts SET state=?, pid=coalesce(nullif(?, ''), pid), last_error=NULL, changed_us=? WHERE uuid=?`, state, string(d.PID), now, uuid); err != nil {
			return err
		}
		if cell != nil {
			if err := t.exec(`UPDATE csti_amts SET admin_password=?, next_password=NULL WHERE uuid=?`, cell, uuid); err != nil {
				return err
			}
		}
		if j.Maintenance() == MaintainProfile {
			if err := t.exec(`DELETE FROM csto_steps WHERE uuid=? AND step=?`, uuid, StepSwitch); err != nil {
				return err
			}
		}
		return errors.Join(t.leaveQueue(j, now, again), t.outcome(j, now, "done"),
			t.log(now, uuid, SeverityInfo, "maintenance", fmt.Sprintf("%s: %s", j.Maintenance(), d.Text)))
	})
	return jobError("finish", j, err)
}

// GiveUpMaintenance takes a maintenance job out of the queue without its work: it is not tried again
// before it is due, or asked for, again. reason is a catalogue id and words. ErrLeaseLost as in Finish.
func (s *Store) GiveUpMaintenance(ctx context.Context, j Job, reason, text string) error {
	return jobError("give up", j, s.write(ctx, func(t *tx) error {
		again, err := t.mine(j)
		if err != nil {
			return err
		}
		now, uuid := s.now().UnixMicro(), j.UUID.String()
		if err := t.exec(`UPDATE csti_amts SET last_error=? WHERE uuid=?`, reason, uuid); err != nil {
			return err
		}
		return errors.Join(t.leaveQueue(j, now, again), t.outcome(j, now, reason),
			t.log(now, uuid, SeverityError, codeOf(reason), fmt.Sprintf("%s: given up after %d attempts: %s", j.Maintenance(), j.Attempts, text)))
	}))
}

// leaveQueue removes a job's entry, or gives it back as that of the hello that came meanwhile.
func (t *tx) leaveQueue(j Job, now int64, again bool) error {
	uuid := j.UUID.String()
	if !again {
		return t.exec(`DELETE FROM csto_queue_entries WHERE uuid=?`, uuid)
	}
	t.queued = true
	return t.exec(`UPDATE csto_queue_entries SET claimed_by=NULL, lease_us=NULL, again=0, attempts=0, enqueued_us=?,
		kind=(SELECT hello_version FROM csti_amts a WHERE a.uuid=csto_queue_entries.uuid) WHERE uuid=?`, now, uuid)
}

func (t *tx) outcome(j Job, now int64, text string) error {
	return t.exec(`INSERT INTO csto_maintenance (uuid, kind, at_us, outcome) VALUES (?, ?, ?, ?)
		ON CONFLICT (uuid, kind) DO UPDATE SET at_us=excluded.at_us, outcome=excluded.outcome`, j.UUID.String(), j.Kind, now, text)
}

// NextPair gives the pair that an earlier session of a job's client stored and may have sent, false when
// there is none: one that is in the map for this client and is not that of its last hello.
func (s *Store) NextPair(ctx context.Context, j Job) (Pair, bool, error) {
	for pair, err := range s.pairs(ctx, `WHERE uuid=? AND used=1 AND pid<>? AND id=(SELECT max(id) FROM csti_pid_map WHERE uuid=?)`, j.UUID.String(), string(j.PID), j.UUID.String()) {
		return pair, err == nil, err
	}
	return Pair{}, false, nil
}

// Maintenances lists the kinds of maintenance, the harmless ones first.
func Maintenances() []Maintenance {
	return []Maintenance{MaintainClock, MaintainProfile, MaintainCertificate, MaintainPassword, MaintainPair, Unprovision, UnprovisionFull}
}
