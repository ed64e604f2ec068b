package store

import (
	"context"
	"database/sql"
	"time"
)

// engine is what differs between the databases. The statements are the same; they are written with
// ? and ?1, the form of SQLite.
type engine struct {
	sessions      int           // connections that write
	batch         int           // requests that share one commit at most
	limit         time.Duration // of one transaction
	helloSessions int           // of sessions for hellos alone; 0: they share the others
	helloBatch    int           // hellos that share one commit at most, where they have sessions
	helloLimit    time.Duration // of one transaction of hellos, where they have sessions: their senders do not wait longer
	chunk         int           // rows of one statement at most
	arrays        bool          // a statement takes rows as one array for each column
	begin         string
	skip          string // ends the selection of rows to lock, of which those that others hold are left out
	skipDevices   string // the same, of the device rows a alone
	lock          string // ends the selection of rows that stay as they are until the commit
	clock         string // gives the microseconds since 1970 that leases and due times are judged by; empty: our own clock does
	keep          string // ends the selection of the active data key: its row stays until the transaction ends
	still         string // run first by a change of the data keys: nobody seals, and nobody else changes them, until it ends; may be empty
	pairs         string // run first by an import of keys, so that two do not choose the same free id; may be empty
	tables        string // counts our tables among these six names
	shared        bool   // several servers may work the queue, each with leases of its own
	lost          bool   // a connection can be lost, and a new one opened
	rebind        func(query string) string
	args          func(args []any) []any
	met           func(err error) bool // a transaction met another one and may be tried again
}

// reader runs queries beside the writer.
type reader struct {
	db *sql.DB
	e  *engine
}

// QueryContext runs a query that gives rows.
func (r *reader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.db.QueryContext(ctx, r.e.rebind(query), r.e.args(args)...)
}

// QueryRowContext runs a query that gives one row.
func (r *reader) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return r.db.QueryRowContext(ctx, r.e.rebind(query), r.e.args(args)...)
}

// Close ends its connections.
func (r *reader) Close() error { return r.db.Close() }
