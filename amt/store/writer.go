package store

import (
	"context"
	"database/sql"
	"errors"
)

// maxBatch bounds how many requests share one commit.
const maxBatch = 256

// writer is the one connection that writes. Requests that wait at the same time share one commit:
// whoever gets the turn runs everything that is waiting, its own request included, and answers all.
// While one disk flush runs the next batch gathers by itself, so no timer is needed.
type writer struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt // owned by whoever has the turn
	turn  chan struct{}        // holds one token
	wait  chan *request
}

type request struct {
	ctx  context.Context
	fn   func(*tx) error
	err  error
	done chan struct{}
}

// tx is a transaction under way on the writer's connection.
type tx struct {
	w   *writer
	ctx context.Context
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{db: db, conn: conn, stmts: map[string]*sql.Stmt{}, turn: make(chan struct{}, 1), wait: make(chan *request, 4*maxBatch)}
	w.turn <- struct{}{}
	return w, nil
}

// write runs fn in a transaction and returns after the commit is durable. A caller whose ctx ends
// may still be committed; it only does not learn of it.
func (w *writer) write(ctx context.Context, fn func(*tx) error) error {
	r := &request{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case w.wait <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		select {
		case <-r.done:
			return r.err
		case <-ctx.Done():
			return ctx.Err()
		case _, open := <-w.turn:
			if !open {
				return errors.New("the store is closed")
			}
			w.commitWaiting()
			w.turn <- struct{}{}
		}
	}
}

// commitWaiting takes what is waiting and commits it together. When that does not work every
// request is tried alone, so that one bad request cannot spoil the others.
func (w *writer) commitWaiting() {
	var batch []*request
	for len(batch) < maxBatch {
		select {
		case r := <-w.wait:
			if r.err = r.ctx.Err(); r.err != nil {
				close(r.done)
				continue
			}
			batch = append(batch, r)
			continue
		default:
		}
		break
	}
	if len(batch) == 0 {
		return
	}
	if began, err := w.run(batch); err != nil {
		for _, r := range batch {
			if r.err = err; began {
				_, r.err = w.run([]*request{r})
			}
		}
	}
	for _, r := range batch {
		close(r.done)
	}
}

// run executes requests in one transaction. It does not heed their contexts: a transaction that
// has begun is short, and half a batch must not end with one caller's patience. A transaction that
// could not begin, because another program holds the file, is no request's fault.
func (w *writer) run(batch []*request) (began bool, err error) {
	ctx := context.Background()
	t := &tx{w: w, ctx: ctx}
	if err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return false, err
	}
	for _, r := range batch {
		if err := r.fn(t); err != nil {
			return true, errors.Join(err, t.exec("ROLLBACK"))
		}
	}
	if err := t.exec("COMMIT"); err != nil {
		_ = t.exec("ROLLBACK") // already undone by SQLite for some causes
		return true, err
	}
	return true, nil
}

// close waits for the commit under way. It may be called twice.
func (w *writer) close() error {
	if _, open := <-w.turn; !open {
		return nil
	}
	close(w.turn)
	for _, st := range w.stmts {
		_ = st.Close()
	}
	return errors.Join(w.conn.Close(), w.db.Close())
}

// stmt prepares a statement once for the life of the store.
func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if st := t.w.stmts[query]; st != nil {
		return st, nil
	}
	st, err := t.w.conn.PrepareContext(t.ctx, query)
	if err == nil {
		t.w.stmts[query] = st
	}
	return st, err
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.execN(query, args...)
	return err
}

// execN gives the number of rows that were changed.
func (t *tx) execN(query string, args ...any) (int64, error) {
	st, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// row reads one row; sql.ErrNoRows when there is none.
func (t *tx) row(query string, args []any, dest ...any) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(t.ctx, args...).Scan(dest...)
}

// column reads the first column of all rows as text.
func (t *tx) column(query string, args ...any) ([]string, error) {
	st, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(t.ctx, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// each calls fn for every row; fn reads it with scan.
func (t *tx) each(query string, args []any, fn func(scan func(...any) error) error) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(t.ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
