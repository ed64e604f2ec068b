package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"amtmedic/amt"
)

// Events of csti_history.
const (
	EventReplaced = "replaced" // its mainboard is out of service, another one has its name
	EventReplaces = "replaces" // it has the name of another mainboard
	EventRetired  = "retired"  // it is out of service
	EventReused   = "reused"   // it is in service under a name of its new life
	EventNamed    = "named"    // an inventory gave it a name or a profile
	EventFailed   = "maintenance-failed"
)

// reasonCessation is the reason of a revocation whose holder is managed no more (RFC 5280 5.3.1).
const reasonCessation = 5

// Causes why the life of a client cannot go on as asked.
var (
	ErrBusy      = errors.New("a worker is at it")
	ErrRetired   = errors.New("it is retired")
	ErrNamed     = errors.New("it has another name already")
	ErrNameless  = errors.New("no name of it is known")
	ErrNameTaken = errors.New("the name belongs to another client")
	ErrSame      = errors.New("both UUIDs are those of one mainboard, written in another byte order")
)

// Life is what is known of a client's place in service, and what a change of it would touch.
type Life struct {
	UUID         amt.UUID
	Hello        bool   // it said hello
	Mapped       bool   // it has a row in the UUID map
	FQDN         string // of its map row, else of its last configuration
	Profile      string // of its map row, else of its last configuration; empty: the default one
	Provisioned  bool
	Entry        string    // queue or delayed; empty when it has none
	Claimed      bool      // a worker has its entry
	Retired      time.Time // zero while it is in service
	ReplacedBy   amt.UUID  // zero unless it was replaced
	Certificates int       // that count
}

const selectLife = `SELECT coalesce((SELECT 1 FROM csti_amts a WHERE a.uuid=?1), 0), coalesce((SELECT 1 FROM csti_uuid_maps m WHERE m.uuid=?1), 0),
	coalesce((SELECT m.fqdn FROM csti_uuid_maps m WHERE m.uuid=?1), (SELECT a.fqdn FROM csti_amts a WHERE a.uuid=?1), ''),
	CASE WHEN EXISTS (SELECT 1 FROM csti_uuid_maps m WHERE m.uuid=?1) THEN coalesce((SELECT p.name FROM csti_uuid_maps m JOIN csti_profiles p ON p.id=m.profile_id WHERE m.uuid=?1), '')
		ELSE coalesce((SELECT p.name FROM csti_amts a JOIN csti_profiles p ON p.id=a.profile_id WHERE a.uuid=?1), '') END,
	coalesce((SELECT a.state FROM csti_amts a WHERE a.uuid=?1), 0),
	CASE WHEN EXISTS (SELECT 1 FROM csto_queue_entries q WHERE q.uuid=?1) THEN 'queue' WHEN EXISTS (SELECT 1 FROM csto_delayed_entries d WHERE d.uuid=?1) THEN 'delayed' ELSE '' END,
	CASE WHEN EXISTS (SELECT 1 FROM csto_queue_entries q WHERE q.uuid=?1 AND q.claimed_by IS NOT NULL) THEN 1 ELSE 0 END,
	coalesce((SELECT a.retired_us FROM csti_amts a WHERE a.uuid=?1), 0), coalesce((SELECT a.replaced_by FROM csti_amts a WHERE a.uuid=?1), ''),
	(SELECT count(*) FROM csti_certificates c WHERE c.uuid=?1 AND c.revoked_us IS NULL)`

func scanLife(u amt.UUID, scan func(...any) error) (Life, error) {
	l := Life{UUID: u}
	var state int
	var retired int64
	var by string
	var hello, mapped, claimed int
	if err := scan(&hello, &mapped, &l.FQDN, &l.Profile, &state, &l.Entry, &claimed, &retired, &by, &l.Certificates); err != nil {
		return l, err
	}
	l.Hello, l.Mapped, l.Claimed, l.Provisioned, l.Retired = hello == 1, mapped == 1, claimed == 1, state == stateProvisioned, fromMicro(retired)
	if by != "" {
		return l, parsed(&l.ReplacedBy, by)
	}
	return l, nil
}

// Life tells where a client is in its life; a client that nobody knows has neither Hello nor Mapped.
func (s *Store) Life(ctx context.Context, u amt.UUID) (Life, error) {
	l, err := scanLife(u, s.read.QueryRowContext(ctx, selectLife, u.String()).Scan)
	return l, classify(err)
}

// life reads the same inside a transaction, and keeps others from the client's row until its end.
func (t *tx) life(u amt.UUID) (Life, error) {
	if err := t.exec(`UPDATE csti_amts SET changed_us=changed_us WHERE uuid=?`, u.String()); err != nil {
		return Life{}, err
	}
	return scanLife(u, func(dest ...any) error { return t.row(selectLife, []any{u.String()}, dest...) })
}

// history writes a row of csti_history and the like of it into the log.
func (t *tx) history(now int64, u amt.UUID, event, fqdn, detail string) error {
	return errors.Join(t.exec(`INSERT INTO csti_history (uuid, at_us, event, fqdn, detail) VALUES (?, ?, ?, ?, ?)`, u.String(), now, event, fqdn, detail),
		t.log(now, u.String(), SeverityInfo, event, strings.TrimSpace(event+" "+fqdn+": "+detail)))
}

// CanReplace says why old cannot give its name to the mainboard next; nil when it can.
func CanReplace(old, next Life) error {
	switch {
	case old.UUID == next.UUID:
		return errors.New("both UUIDs are the same")
	case old.UUID.Swapped() == next.UUID:
		return ErrSame
	case !old.Hello && !old.Mapped:
		return ErrNoClient
	case !old.Retired.IsZero():
		return fmt.Errorf("old mainboard: %w", ErrRetired)
	case !next.Retired.IsZero():
		return fmt.Errorf("new mainboard: %w", ErrRetired)
	case old.Claimed:
		return fmt.Errorf("old mainboard: %w", ErrBusy)
	case old.FQDN == "":
		return ErrNameless
	case next.Mapped && next.FQDN != old.FQDN:
		return fmt.Errorf("new mainboard: %w, %s", ErrNamed, next.FQDN)
	}
	return nil
}

// Replace moves name and profile of a client to the UUID of its new mainboard. The old one is retired
// with its certificates, in one transaction; a new one that waits for its name goes to the queue.
// CanReplace tells the errors.
func (s *Store) Replace(ctx context.Context, old, next amt.UUID, why string) (promoted bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		promoted = false
		was, err := t.life(old)
		if err != nil {
			return err
		}
		to, err := t.life(next)
		if err != nil {
			return err
		}
		if err := CanReplace(was, to); err != nil {
			return err
		}
		now := s.now().UnixMicro()
		if err := t.exec(`DELETE FROM csti_uuid_maps WHERE uuid=?`, next.String()); err != nil {
			return err
		}
		if was.Mapped {
			err = t.exec(`UPDATE csti_uuid_maps SET uuid=?, source='replace', updated_us=? WHERE uuid=?`, next.String(), now, old.String())
		} else {
			err = t.setName(now, next, was.FQDN, was.Profile, "replace")
		}
		if err != nil {
			return err
		}
		if err := errors.Join(t.outOfService(now, old, next.String()),
			t.history(now, old, EventReplaced, was.FQDN, "by mainboard "+next.String()+words(why)),
			t.history(now, next, EventReplaces, was.FQDN, "mainboard "+old.String()+words(why))); err != nil {
			return err
		}
		promoted, err = t.promoteNamed(now, next, was.FQDN)
		return err
	})
	if err != nil {
		err = &amt.Error{Op: "replace", Subject: old.String(), Err: err}
	}
	return promoted, err
}

func words(why string) string {
	if why == "" {
		return ""
	}
	return ", " + why
}

// setName writes the map row of a client. A name that another has is ErrNameTaken.
func (t *tx) setName(now int64, u amt.UUID, fqdn, profile, source string) error {
	var other string
	switch err := t.row(`SELECT uuid FROM csti_uuid_maps WHERE fqdn=? AND uuid<>?`, []any{fqdn, u.String()}, &other); {
	case err == nil:
		return fmt.Errorf("%w: %s is %s", ErrNameTaken, fqdn, other)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	var id any
	if profile != "" {
		var n int64
		if err := t.row(`SELECT id FROM csti_profiles WHERE name=?`, []any{profile}, &n); errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("there is no profile %q", profile)
		} else if err != nil {
			return err
		}
		id = n
	}
	return t.exec(`INSERT INTO csti_uuid_maps (uuid, fqdn, profile_id, source, updated_us) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (uuid) DO UPDATE SET fqdn=excluded.fqdn, profile_id=excluded.profile_id, source=excluded.source, updated_us=excluded.updated_us`,
		u.String(), fqdn, id, source, now)
}

// promoteNamed sends a client to the queue that waited for its name.
func (t *tx) promoteNamed(now int64, u amt.UUID, fqdn string) (promoted bool, err error) {
	for _, reason := range namelessReasons {
		woken, err := t.promote(now, reason, "its name "+fqdn+" is known", "a.uuid=?", u.String())
		if err != nil {
			return false, err
		}
		promoted = promoted || len(woken) > 0
	}
	return promoted, nil
}

// outOfService marks a client's row as retired, takes its entries away and revokes its certificates.
func (t *tx) outOfService(now int64, u amt.UUID, by string) error {
	var next any
	if by != "" {
		next = by
	}
	uuid, claimed := u.String(), 0
	if err := t.exec(`DELETE FROM csto_queue_entries WHERE uuid=? AND claimed_by IS NULL`, uuid); err != nil {
		return err
	}
	if err := t.row(`SELECT count(*) FROM csto_queue_entries WHERE uuid=?`, []any{uuid}, &claimed); err != nil {
		return err
	}
	if claimed > 0 { // by another server, since it was looked at
		return ErrBusy
	}
	return errors.Join(
		t.exec(`DELETE FROM csto_delayed_entries WHERE uuid=?`, uuid),
		t.exec(`UPDATE csti_certificates SET revoked_us=?, reason=? WHERE uuid=? AND revoked_us IS NULL`, now, reasonCessation, uuid),
		t.exec(`UPDATE csti_amts SET retired_us=?, replaced_by=?, last_error=NULL, changed_us=? WHERE uuid=?`, now, next, now, uuid))
}

// CanRetire says why a client cannot be retired; nil when it can.
func CanRetire(l Life) error {
	switch {
	case !l.Hello && !l.Mapped:
		return ErrNoClient
	case !l.Retired.IsZero():
		return ErrRetired
	case l.Claimed:
		return ErrBusy
	}
	return nil
}

// Retire takes a client out of service: its row and its password stay, its name is free, its
// certificates are revoked, its entries are gone. With unprovision a provisioned client is queued to be
// unprovisioned in full by the running server. All happens in one transaction. CanRetire tells the errors.
func (s *Store) Retire(ctx context.Context, u amt.UUID, unprovision bool, why string) error {
	err := s.write(ctx, func(t *tx) error {
		l, err := t.life(u)
		if err != nil {
			return err
		}
		if err := CanRetire(l); err != nil {
			return err
		}
		now := s.now().UnixMicro()
		if err := errors.Join(t.outOfService(now, u, ""), t.exec(`DELETE FROM csti_uuid_maps WHERE uuid=?`, u.String()),
			t.history(now, u, EventRetired, l.FQDN, strings.TrimPrefix(words(why), ", "))); err != nil {
			return err
		}
		if unprovision && l.Provisioned {
			return t.maintain(now, u.String(), UnprovisionFull, "it is retired")
		}
		return nil
	})
	if err != nil {
		return &amt.Error{Op: "retire", Subject: u.String(), Err: err}
	}
	return nil
}

// Reuse puts a client into service under a new name; a retired one is so no more. The certificates of
// its old name are revoked: its next configuration brings a new one. ErrNameTaken when another has the name.
func (s *Store) Reuse(ctx context.Context, u amt.UUID, fqdn, profile, why string) (promoted bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		promoted = false
		l, err := t.life(u)
		if err != nil {
			return err
		}
		if l.Claimed {
			return ErrBusy
		}
		now := s.now().UnixMicro()
		if err := t.setName(now, u, fqdn, profile, "reuse"); err != nil {
			return err
		}
		detail := "it had no name before"
		if l.FQDN != "" {
			detail = "it was " + l.FQDN
		}
		if err := errors.Join(
			t.exec(`UPDATE csti_amts SET retired_us=NULL, replaced_by=NULL, last_error=NULL, fqdn=NULL, profile_id=NULL, changed_us=? WHERE uuid=?`, now, u.String()),
			t.exec(`UPDATE csti_certificates SET revoked_us=?, reason=? WHERE uuid=? AND revoked_us IS NULL`, now, reasonCessation, u.String()),
			t.history(now, u, EventReused, fqdn, detail+words(why))); err != nil {
			return err
		}
		promoted, err = t.promoteNamed(now, u, fqdn)
		return err
	})
	if err != nil {
		err = &amt.Error{Op: "reuse", Subject: u.String(), Err: err}
	}
	return promoted, err
}

// HistoryRow is one event in the life of a client.
type HistoryRow struct {
	At     time.Time
	Event  string // one of the events, hello for the first one, or the code of a log row
	FQDN   string
	Detail string
}

// History gives the life of a client, oldest first: its first hello, its events, and what the log has
// of it still about provisioning, maintenance and certificates. Maintenance that failed is EventFailed.
func (s *Store) History(ctx context.Context, u amt.UUID) ([]HistoryRow, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT at_us, event, fqdn, detail FROM (
		SELECT 0 AS place, 0 AS id, first_hello_us AS at_us, 'hello' AS event, '' AS fqdn, 'first hello' AS detail FROM csti_amts WHERE uuid=?1
		UNION ALL SELECT 1, id, at_us, event, fqdn, detail FROM csti_history WHERE uuid=?1
		UNION ALL SELECT 2, id, at_us, code, '', detail FROM csti_log WHERE uuid=?1 AND first_hello=0 AND code IN ('provisioned', 'maintenance', 'certificate')
		`+selectFailures+`) AS life ORDER BY at_us, place, id`, u.String())
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []HistoryRow
	for rows.Next() {
		var h HistoryRow
		var at int64
		if err := rows.Scan(&at, &h.Event, &h.FQDN, &h.Detail); err != nil {
			return nil, classify(err)
		}
		h.At = fromMicro(at)
		out = append(out, h)
	}
	return out, classify(rows.Err())
}
