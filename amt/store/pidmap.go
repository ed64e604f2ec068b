package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"amtmedic/amt"
)

// Pair is a row of csti_pid_map with its secrets.
type Pair struct {
	ID              int64 // 0 on import: the next free one
	PID             amt.PID
	PPS             amt.Secret
	CurrentPassword amt.Secret // of the client as delivered; may be empty
	AdminPassword   amt.Secret // to be set; may be empty
	Used            bool
	UUID            amt.UUID // client that used it; zero while none is known
}

// PIDRow is a row of csti_pid_map without its secrets.
type PIDRow struct {
	ID      int64
	PID     amt.PID
	Used    bool
	UUID    amt.UUID
	Updated time.Time
}

// PID gives the row of a PID, false when there is none.
func (s *Store) PID(ctx context.Context, p amt.PID) (PIDRow, bool, error) {
	row := PIDRow{PID: p}
	var at int64
	var uuid sql.NullString
	ok, err := s.one(ctx, `SELECT id, used, uuid, updated_us FROM csti_pid_map WHERE pid=?`, []any{string(p)}, &row.ID, &row.Used, &uuid, &at)
	row.Updated = fromMicro(at)
	if uuid.Valid {
		row.UUID, _ = amt.ParseUUID(uuid.String) // a row that another program filled may hold anything
	}
	return row, ok, err
}

// PIDCounts gives the number of rows of the PID map, and how many of them are unused.
func (s *Store) PIDCounts(ctx context.Context) (total, unused int, err error) {
	_, err = s.one(ctx, `SELECT count(*), coalesce(sum(CASE WHEN used=0 THEN 1 ELSE 0 END), 0) FROM csti_pid_map`, nil, &total, &unused)
	return total, unused, err
}

// NearPIDs gives the unused rows whose PID could be p mistyped, as near tells (package keys).
func (s *Store) NearPIDs(ctx context.Context, p amt.PID, near func(a, b amt.PID) bool) ([]amt.PID, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT pid FROM csti_pid_map WHERE used=0 AND pid<>? ORDER BY pid`, string(p))
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	out := []amt.PID{}
	for rows.Next() {
		var q amt.PID
		if err := rows.Scan(&q); err != nil {
			return nil, classify(err)
		}
		if near(p, q) {
			out = append(out, q)
		}
	}
	return out, classify(rows.Err())
}

// KeyImport is what ImportKeys did.
type KeyImport struct {
	Imported  int
	Conflicts []KeyConflict
	Promoted  int // delayed clients whose key was among them
}

// KeyConflict is a pair that was not imported, because its PID stands in the map under another id.
type KeyConflict struct {
	ID    int64
	PID   amt.PID
	Taken int64 // the id of the row that has the PID
}

// importBatch is how many pairs share a transaction: hellos of a running server go in between.
const importBatch = 500

// ImportKeys adds pairs. An id that is taken is replaced; a PID that is taken under another id is a
// conflict and left as it is. Clients that wait for one of the keys go to the queue at once.
func (s *Store) ImportKeys(ctx context.Context, pairs []Pair) (KeyImport, error) {
	var sum KeyImport
	for len(pairs) > 0 {
		n := min(importBatch, len(pairs))
		var part KeyImport
		err := s.write(ctx, func(t *tx) error {
			part = KeyImport{}
			if s.e.pairs != "" {
				if err := t.exec(s.e.pairs); err != nil {
					return err
				}
			}
			for _, p := range pairs[:n] {
				if err := s.importKey(t, p, &part); err != nil {
					return fmt.Errorf("pair with PID %s: %w", p.PID.Dashed(), err)
				}
			}
			return nil
		})
		if err != nil {
			return sum, &amt.Error{Op: "import keys", Subject: s.path, Err: err}
		}
		sum.Imported += part.Imported
		sum.Promoted += part.Promoted
		sum.Conflicts = append(sum.Conflicts, part.Conflicts...)
		pairs = pairs[n:]
	}
	return sum, nil
}

func (s *Store) importKey(t *tx, p Pair, sum *KeyImport) error {
	var taken int64
	switch err := t.row(`SELECT id FROM csti_pid_map WHERE pid=?`, []any{string(p.PID)}, &taken); {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	case p.ID == 0:
		p.ID = taken
	case p.ID != taken:
		sum.Conflicts = append(sum.Conflicts, KeyConflict{p.ID, p.PID, taken})
		return nil
	}
	if p.ID == 0 {
		if err := t.row(`SELECT coalesce(max(id), 0)+1 FROM csti_pid_map`, nil, &p.ID); err != nil {
			return err
		}
	}
	cells, err := t.sealPair(p)
	if err != nil {
		return err
	}
	var uuid any
	if !p.UUID.IsZero() {
		uuid = p.UUID.String()
	}
	now := s.now().UnixMicro()
	if err := t.exec(`INSERT INTO csti_pid_map (id, pid, pps, current_password, admin_password, used, uuid, updated_us)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET pid=excluded.pid, pps=excluded.pps,
		current_password=CASE WHEN csti_pid_map.pid=excluded.pid THEN coalesce(excluded.current_password, csti_pid_map.current_password) ELSE excluded.current_password END,
		admin_password=CASE WHEN csti_pid_map.pid=excluded.pid THEN coalesce(excluded.admin_password, csti_pid_map.admin_password) ELSE excluded.admin_password END,
		used=CASE WHEN csti_pid_map.pid=excluded.pid AND csti_pid_map.used=1 THEN 1 ELSE excluded.used END,
		uuid=CASE WHEN csti_pid_map.pid=excluded.pid THEN coalesce(excluded.uuid, csti_pid_map.uuid) ELSE excluded.uuid END, updated_us=excluded.updated_us`,
		p.ID, string(p.PID), cells[0], cells[1], cells[2], p.Used, uuid, now); err != nil {
		return err
	}
	sum.Imported++
	woken, err := t.promote(now, "rc-pid-unknown", "the key of PID "+p.PID.Dashed()+" was imported", "a.pid=?", string(p.PID))
	sum.Promoted += len(woken)
	return err
}

// sealPair encrypts PPS, current and admin password of a pair for its row.
func (t *tx) sealPair(p Pair) ([3][]byte, error) {
	var out [3][]byte
	if p.PPS.IsZero() {
		return out, errors.New("it has no PPS")
	}
	for i, secret := range []amt.Secret{p.PPS, p.CurrentPassword, p.AdminPassword} {
		var err error
		if out[i], err = t.sealText(secret, pairPlace(i, p.ID)); err != nil {
			return out, err
		}
	}
	return out, nil
}

func pairPlace(i int, id int64) place {
	return place{"csti_pid_map", [3]string{"pps", "current_password", "admin_password"}[i], strconv.FormatInt(id, 10)}
}

// Keys gives every pair with its secrets, in the order of their ids. It stops at the first row that
// cannot be decrypted.
func (s *Store) Keys(ctx context.Context) iter.Seq2[Pair, error] {
	return s.pairs(ctx, `ORDER BY id`)
}

// Key gives the pair of a PID with its secrets, false when there is none.
func (s *Store) Key(ctx context.Context, p amt.PID) (Pair, bool, error) {
	for pair, err := range s.pairs(ctx, `WHERE pid=?`, string(p)) {
		return pair, err == nil, err
	}
	return Pair{}, false, nil
}

func (s *Store) pairs(ctx context.Context, rest string, args ...any) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		rows, err := s.read.QueryContext(ctx, `SELECT id, pid, pps, current_password, admin_password, used, coalesce(uuid, '') FROM csti_pid_map `+rest, args...)
		if err != nil {
			yield(Pair{}, classify(err))
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			p, err := s.scanPair(rows)
			if !yield(p, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Pair{}, classify(err))
		}
	}
}

func (s *Store) scanPair(rows *sql.Rows) (Pair, error) {
	var p Pair
	var uuid string
	var cells [3][]byte
	if err := rows.Scan(&p.ID, &p.PID, &cells[0], &cells[1], &cells[2], &p.Used, &uuid); err != nil {
		return p, classify(err)
	}
	p.UUID, _ = amt.ParseUUID(uuid)
	for i, to := range []*amt.Secret{&p.PPS, &p.CurrentPassword, &p.AdminPassword} {
		var err error
		if *to, err = s.keys.openText(cells[i], pairPlace(i, p.ID)); err != nil {
			return Pair{}, err
		}
	}
	return p, nil
}

// RemoveKey takes the row of a PID out of the PID map again, for the undo of an import. A row that
// a client has used stays: ErrDenied. A PID without a row is no error.
func (s *Store) RemoveKey(ctx context.Context, p amt.PID) error {
	err := s.write(ctx, func(t *tx) error {
		var used int
		switch err := t.row(`SELECT used FROM csti_pid_map WHERE pid=?`, []any{string(p)}, &used); {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return err
		case used != 0:
			return fmt.Errorf("%w: a client has used the pair", ErrDenied)
		}
		return t.exec(`DELETE FROM csti_pid_map WHERE pid=? AND used=0`, string(p))
	})
	if err != nil {
		return &amt.Error{Op: "remove key", Subject: p.Dashed(), Err: err}
	}
	return nil
}
