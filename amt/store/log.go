package store

import (
	"context"
	"database/sql"
	"time"

	"amtmedic/amt"
)

// Severities of log rows.
const (
	SeverityInfo    = 0
	SeverityWarning = 1
	SeverityError   = 2
)

// LogRow is one row of csti_log. UUID is zero for rows that concern no client.
type LogRow struct {
	ID       int64 // grows with each row; of listings only
	At       time.Time
	UUID     amt.UUID
	Severity int // 0 info, 1 warning, 2 error
	Code     string
	Text     string
}

func (t *tx) log(at int64, uuid string, severity int, code, text string) error {
	var id any
	if uuid != "" {
		id = uuid
	}
	return t.exec(`INSERT INTO csti_log (at_us, uuid, severity, code, detail) VALUES (?, ?, ?, ?, ?)`, at, id, severity, code, text)
}

// logOfClient chooses the log rows of one client, with logOfClientArgs. The row of its first hello, which has
// the time that the device row keeps, is in no index by UUID: see hellogroup.go.
const logOfClient = `id IN (SELECT id FROM csti_log WHERE uuid=? AND first_hello=0
	UNION ALL SELECT id FROM csti_log WHERE first_hello=1 AND uuid=? AND at_us=(SELECT first_hello_us FROM csti_amts WHERE uuid=?))`

func logOfClientArgs(u amt.UUID) []any { return []any{u.String(), u.String(), u.String()} }

// AppendLog writes a row; a zero At is now. The text must hold no secret.
func (s *Store) AppendLog(ctx context.Context, l LogRow) error {
	if l.At.IsZero() {
		l.At = s.now()
	}
	uuid := ""
	if !l.UUID.IsZero() {
		uuid = l.UUID.String()
	}
	return s.write(ctx, func(t *tx) error { return t.log(l.At.UnixMicro(), uuid, l.Severity, l.Code, l.Text) })
}

// Log gives the rows of one client, oldest first, at most the newest limit. The zero UUID gives
// the rows that concern no client.
func (s *Store) Log(ctx context.Context, u amt.UUID, limit int) ([]LogRow, error) {
	where, args := logOfClient, logOfClientArgs(u)
	if u.IsZero() {
		where, args = "uuid IS NULL AND first_hello=0", nil
	}
	rows, err := s.read.QueryContext(ctx, `SELECT at_us, severity, code, detail FROM
		(SELECT id, at_us, severity, code, detail FROM csti_log WHERE `+where+` ORDER BY at_us DESC, id DESC LIMIT ?) AS newest
		ORDER BY at_us, id`, append(args, limit)...)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []LogRow
	for rows.Next() {
		l := LogRow{UUID: u}
		var at int64
		if err := rows.Scan(&at, &l.Severity, &l.Code, &l.Text); err != nil {
			return nil, classify(err)
		}
		l.At = fromMicro(at)
		out = append(out, l)
	}
	return out, classify(rows.Err())
}

// fromMicro gives the time of a _us column; 0 is no time.
func fromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// one runs a query that gives one row or none.
func (s *Store) one(ctx context.Context, query string, args []any, dest ...any) (bool, error) {
	switch err := s.read.QueryRowContext(ctx, query, args...).Scan(dest...); err {
	case nil:
		return true, nil
	case sql.ErrNoRows:
		return false, nil
	default:
		return false, classify(err)
	}
}

// trimBatch is how many log rows go in one transaction: hellos go in between.
const trimBatch = 5000

// TrimLog removes the rows from before a moment, up to the first one that stays (a row that was written
// while the clock was wrong takes no younger ones along), and the oldest ones above the number to keep.
// It gives how many it removed.
func (s *Store) TrimLog(ctx context.Context, before time.Time, keep int) (removed int64, err error) {
	var old, above int64
	if _, err := s.one(ctx, `SELECT coalesce((SELECT id-1 FROM csti_log WHERE at_us>=? ORDER BY id LIMIT 1), (SELECT max(id) FROM csti_log), 0), coalesce((SELECT id FROM csti_log ORDER BY id DESC LIMIT 1 OFFSET ?), 0)`,
		[]any{before.UnixMicro(), keep}, &old, &above); err != nil {
		return 0, err
	}
	for {
		var n int64
		err := s.write(ctx, func(t *tx) (err error) {
			n, err = t.execN(`DELETE FROM csti_log WHERE id IN (SELECT id FROM csti_log WHERE id<=? ORDER BY id LIMIT ?)`, max(old, above), trimBatch)
			return err
		})
		if removed += n; err != nil || n < trimBatch {
			return removed, err
		}
	}
}
