package store

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"amtmedic/amt"
)

// Sealing says who can open a copy: those who have the identity of one of the recipients (age1...), or
// those who know the passphrase. age does not mix the two.
type Sealing struct {
	Recipients []string
	Passphrase amt.Secret

	work int // the passphrase's work factor, for tests; 0 is age's own
}

func (x Sealing) recipients() ([]age.Recipient, error) {
	switch {
	case len(x.Recipients) > 0 && !x.Passphrase.IsZero():
		return nil, errors.New("a copy is sealed for recipients or by a passphrase, not both")
	case !x.Passphrase.IsZero():
		r, err := age.NewScryptRecipient(x.Passphrase.Reveal())
		if err == nil && x.work > 0 {
			r.SetWorkFactor(x.work)
		}
		return []age.Recipient{r}, err
	case len(x.Recipients) == 0:
		return nil, errors.New("nobody could open the copy: it needs a recipient or a passphrase")
	}
	return age.ParseRecipients(strings.NewReader(strings.Join(x.Recipients, "\n") + "\n"))
}

// Check says why nothing can be sealed so.
func (x Sealing) Check() error {
	_, err := x.recipients()
	return err
}

// Exported is what a copy holds.
type Exported struct {
	Schema int64
	Rows   map[string]int
	Total  int
}

// Export writes a copy of the whole database, as it is at one moment, sealed with age. It holds every
// secret; servers may go on meanwhile.
func (s *Store) Export(ctx context.Context, w io.Writer, to Sealing) (Exported, error) {
	out := Exported{Rows: map[string]int{}}
	recipients, err := to.recipients()
	if err != nil {
		return out, &amt.Error{Op: "export database", Err: err}
	}
	sealed, err := age.Encrypt(w, recipients...)
	if err != nil {
		return out, &amt.Error{Op: "export database", Err: err}
	}
	b := bufio.NewWriterSize(sealed, 1<<16)
	if err := s.export(ctx, b, &out); err != nil {
		return out, &amt.Error{Op: "export database", Subject: s.path, Err: err}
	}
	if err := errors.Join(b.Flush(), sealed.Close()); err != nil {
		return out, &amt.Error{Op: "export database", Err: err}
	}
	return out, nil
}

// export writes the lines of a copy.
func (s *Store) export(ctx context.Context, w io.Writer, out *Exported) error {
	tx, err := s.moment(ctx)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = tx.Rollback() }()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := tx.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&out.Schema); err != nil {
		return classify(err)
	}
	head := portableHead{portableName, portableFormat, out.Schema, "sqlite", s.now().UTC().Format(time.RFC3339)}
	if s.e.shared {
		head.From = "postgres"
	}
	if err := enc.Encode(head); err != nil {
		return err
	}
	for _, t := range portableTables {
		n, err := s.exportTable(ctx, tx, t, enc)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		out.Rows[t.name], out.Total = n, out.Total+n
	}
	return enc.Encode(portableLine{End: out.Rows})
}

// moment begins a transaction that sees the database as it is now, whatever others write.
func (s *Store) moment(ctx context.Context) (*sql.Tx, error) {
	o := &sql.TxOptions{}
	if s.e.shared {
		o = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	return s.read.db.BeginTx(ctx, o)
}

func (s *Store) exportTable(ctx context.Context, tx *sql.Tx, t portableTable, enc *json.Encoder) (n int, err error) {
	order := strings.Join(t.key, ", ")
	if t.id != "" {
		order = t.id // rows of a log keep their order
	}
	rows, err := tx.QueryContext(ctx, `SELECT * FROM `+t.name+` ORDER BY `+order)
	if err != nil {
		return 0, classify(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	values := make([]any, len(names))
	to := make([]any, len(names))
	for i := range values {
		to[i] = &values[i]
	}
	for ; rows.Next(); n++ {
		if err := rows.Scan(to...); err != nil {
			return n, err
		}
		row, err := s.portableRow(t, names, values)
		if err != nil {
			return n, err
		}
		if err := enc.Encode(portableLine{Table: t.name, Row: row}); err != nil {
			return n, err
		}
	}
	return n, classify(rows.Err())
}

// portableRow is a row as a copy has it.
func (s *Store) portableRow(t portableTable, names []string, values []any) (map[string]any, error) {
	row := make(map[string]any, len(names))
	at := func(column string) any { return values[slices.Index(names, column)] }
	for i, name := range names {
		v := values[i]
		if slices.Contains(t.off, name) {
			v = nil
		}
		c := slices.IndexFunc(sealedColumns, func(c sealedColumn) bool { return c.table == t.name && c.column == name })
		var err error
		row[name], err = portableValue(v, c >= 0, func(cell []byte) (amt.Secret, error) {
			key := make([]any, len(sealedColumns[c].key))
			for i, k := range sealedColumns[c].key {
				key[i] = at(k)
			}
			return s.keys.openText(cell, sealedColumns[c].place(key))
		})
		if err != nil {
			return nil, err
		}
	}
	if body, ok := row["body"].(string); ok && t.name == "csti_profiles" {
		id, _ := row["id"].(int64)
		opened, err := s.openBody(id, body)
		if err != nil {
			return nil, err
		}
		row["body"] = opened
	}
	return row, nil
}
