// Package storetest fills databases for the tests of whatever shows or reads them: as many clients as
// wanted, in every state, the same rows each time.
package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"

	_ "modernc.org/sqlite" // the rows that only a server writes are written here without one
)

// Start is the moment of the first row.
var Start = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)

// UUID is that of client i, from 0.
func UUID(i int) amt.UUID {
	u, err := amt.ParseUUID(fmt.Sprintf("4c4c4544-%04x-4310-8059-b7c04f%06x", i%0x10000, i))
	if err != nil {
		panic(err) // the form above is fixed
	}
	return u
}

// FQDN is that of client i, from 0.
func FQDN(i int) string { return fmt.Sprintf("pc-%05d.corp.example", i) }

// Reasons are those of the delayed entries, in turn.
var Reasons = []string{
	"rc-pid-unknown: failed to find PID mapping",
	"rc-fqdn-unresolved: no source has a name for this client: script, UUID map",
	"rc-script-error: the properties script failed",
}

// Fill makes a database at path with n clients, of which six in ten are provisioned, two wait in the
// queue and two are delayed; with n keys, names for most clients, and a log row for each hello.
func Fill(ctx context.Context, path string, n int) error {
	st, err := store.Open(ctx, path, store.Options{Now: func() time.Time { return Start }})
	if err != nil {
		return err
	}
	pids, err := imports(ctx, st, n)
	if err := errors.Join(err, st.Close()); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	return errors.Join(rows(ctx, db, n, pids), db.Close())
}

// imports brings in keys and names as a person would.
func imports(ctx context.Context, st *store.Store, n int) ([]amt.PID, error) {
	src := rand.NewChaCha8([32]byte{1})
	var pairs []store.Pair
	var names []store.MapRow
	var pids []amt.PID
	for i := range n {
		p, err := keys.Generate(src)
		if err != nil {
			return nil, err
		}
		pids = append(pids, p.PID)
		pairs = append(pairs, store.Pair{ID: int64(i + 1), PID: p.PID, PPS: p.PPS, Used: i%10 < 6, UUID: used(i)})
		if i%20 != 9 {
			names = append(names, store.MapRow{UUID: UUID(i), FQDN: FQDN(i), Source: "import"})
		}
	}
	if _, err := st.ImportKeys(ctx, pairs); err != nil {
		return nil, err
	}
	_, err := st.ImportMap(ctx, names)
	return pids, err
}

// used is the client that used key i.
func used(i int) amt.UUID {
	if i%10 < 6 {
		return UUID(i)
	}
	return amt.UUID{}
}

// rows writes clients, entries and log in one transaction.
func rows(ctx context.Context, db *sql.DB, n int, pids []amt.PID) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for i := range n {
		for _, w := range clientRows(i, pids[i]) {
			if _, err := tx.ExecContext(ctx, w.query, w.args...); err != nil {
				return fmt.Errorf("row of client %d: %w", i, err)
			}
		}
	}
	return tx.Commit()
}

// statement is one row to be written.
type statement struct {
	query string
	args  []any
}

// clientRows gives the rows of client i.
func clientRows(i int, pid amt.PID) []statement {
	first := Start.Add(time.Duration(i) * time.Second)
	last := first.Add(time.Duration(i%7) * 10 * time.Minute)
	uuid, state, version := UUID(i).String(), 0, any(nil)
	if i%10 < 6 {
		state, version = 2, []string{"2.2.20", "3.2.1", "5.2.0", "6.1.1", "7.1.4"}[i%5]
	}
	hello, of := 2, any(string(pid))
	if i%5 == 4 {
		hello, of = 3, nil
	}
	out := []statement{{`INSERT INTO csti_amts (uuid, ip, version, pid, state, first_hello_us, last_hello_us, hellos, hello_version, changed_us)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		[]any{uuid, fmt.Sprintf("10.20.%d.%d", i/250%250, i%250+1), version, of, state, first.UnixMicro(), last.UnixMicro(), i%7 + 1, hello, last.UnixMicro()}}}
	logged := func(severity int, code, text string) {
		out = append(out, statement{`INSERT INTO csti_log (at_us, uuid, severity, code, detail) VALUES (?, ?, ?, ?, ?)`,
			[]any{last.UnixMicro(), uuid, severity, code, text}})
	}
	switch i % 10 {
	case 6, 7:
		worker, lease := any(nil), any(nil)
		if i < 40 {
			worker, lease = "core-1", last.Add(time.Hour).UnixMicro()
		}
		out = append(out, statement{`INSERT INTO csto_queue_entries (uuid, kind, attempts, enqueued_us, claimed_by, lease_us) VALUES (?, ?, ?, ?, ?, ?)`,
			[]any{uuid, hello, i % 3, last.UnixMicro(), worker, lease}})
		logged(0, "hello", "hello from a client: queued")
	case 8, 9:
		reason := Reasons[i/10%len(Reasons)]
		out = append(out, statement{`INSERT INTO csto_delayed_entries (uuid, kind, attempts, due_us, reason, since_us) VALUES (?, ?, ?, ?, ?, ?)`,
			[]any{uuid, hello, i%4 + 1, last.Add(time.Hour).UnixMicro(), reason, last.UnixMicro()}})
		logged(1+i%2, "delayed", reason)
	default:
		logged(0, "provisioned", "configuration finished: provisioned")
	}
	return out
}
