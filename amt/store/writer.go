package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"
)

// waiting is how many requests may wait before their callers do.
const waiting = 1024

// writer has the connections that write: one for SQLite, a few for PostgreSQL. Requests that wait at
// the same time share one commit: whoever gets a session runs everything that is waiting, its own
// request included, and answers all. While one disk flush runs the next batch gathers by itself, so no
// timer is needed.
type writer struct {
	db    *sql.DB
	e     *engine
	turn  chan *session // those that nobody uses
	wait  chan *request
	count int
	batch int             // requests that share one commit at most
	limit time.Duration   // of one transaction
	base  context.Context // of all transactions
	abort context.CancelFunc

	keys     *keyring
	hellos   *writer // sessions for the hellos alone; nil: they go with the others
	observer *watched
	notifier *notifier // wakes other servers; nil: there are none
}

// session is a connection with the statements that were prepared on it. Whoever took it from
// writer.turn owns it.
type session struct {
	w     *writer
	conn  *sql.Conn // nil after it was lost
	stmts map[string]*sql.Stmt
}

type request struct {
	ctx   context.Context
	fn    func(*tx) error
	hello *recording // what fn records, when it is a hello: those of a batch can be recorded together
	err   error
	done  chan struct{}
}

// tx is a transaction under way on a session.
type tx struct {
	s   *session
	e   *engine
	ctx context.Context

	sealing uint32 // the data key that secrets are sealed under; 0 while none was
	queued  bool   // there are new queue entries
}

func newWriter(ctx context.Context, db *sql.DB, e *engine) (*writer, error) {
	w, err := openWriter(ctx, db, e, e.sessions, e.batch)
	if err == nil && e.helloSessions > 0 {
		if w.hellos, err = openWriter(ctx, db, e, e.helloSessions, e.helloBatch); err == nil {
			w.hellos.limit, w.hellos.base = e.helloLimit, w.base
			w.hellos.observer = w.observer
		}
	}
	return w, err
}

func openWriter(ctx context.Context, db *sql.DB, e *engine, sessions, batch int) (*writer, error) {
	w := &writer{db: db, e: e, turn: make(chan *session, sessions), wait: make(chan *request, waiting), count: sessions, batch: batch, limit: e.limit, observer: &watched{}}
	w.base, w.abort = context.WithCancel(context.Background())
	for range sessions {
		s := &session{w: w}
		w.turn <- s
		if err := s.connect(ctx); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// connect opens the session's connection unless it is open.
func (s *session) connect(ctx context.Context) (err error) {
	if s.conn == nil {
		s.stmts = map[string]*sql.Stmt{}
		s.conn, err = s.w.db.Conn(ctx)
	}
	return err
}

// drop closes the connection: it is lost, or in an unknown state.
func (s *session) drop() error {
	if s.conn == nil {
		return nil
	}
	for _, st := range s.stmts {
		_ = st.Close()
	}
	err := s.conn.Close()
	s.conn, s.stmts = nil, nil
	return err
}

// write runs fn in a transaction and returns after the commit is durable. A caller whose ctx ends
// may still be committed; it only does not learn of it.
func (w *writer) write(ctx context.Context, fn func(*tx) error) error {
	return w.do(&request{ctx: ctx, fn: fn, done: make(chan struct{})})
}

// do answers a request, a hello by its own sessions where there are some: a few large groups are
// faster than many small ones, and they never wait for an import.
func (w *writer) do(r *request) error {
	if r.hello != nil && w.hellos != nil {
		w = w.hellos
	}
	ctx := r.ctx
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
		case s, open := <-w.turn:
			if !open {
				return errors.New("the store is closed")
			}
			s.commitWaiting()
			w.turn <- s
		}
	}
}

// yields bounds how often the one who is about to commit lets others run first.
const yields = 8

// gather lets those run who were answered a moment ago, as long as more of them come with their next
// request: a commit of many costs hardly more than a commit of one.
func (w *writer) gather() {
	for range yields {
		before := len(w.wait)
		runtime.Gosched()
		if len(w.wait) <= before {
			return
		}
	}
}

// commitWaiting takes what is waiting and commits it together. When that does not work every
// request is tried alone, so that one bad request cannot spoil the others.
func (s *session) commitWaiting() {
	s.w.gather()
	var batch []*request
	for len(batch) < s.w.batch {
		select {
		case r := <-s.w.wait:
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
	s.commit(batch)
}

// apart gives the hellos of a batch, one for each client, and all else.
func apart(batch []*request) (hellos, others []*request) {
	seen := make(map[string]bool, len(batch))
	for _, r := range batch {
		if r.hello == nil || seen[r.hello.uuid] {
			others = append(others, r)
			continue
		}
		seen[r.hello.uuid] = true
		hellos = append(hellos, r)
	}
	return hellos, others
}

// commit runs a batch in one transaction and answers its callers.
func (s *session) commit(batch []*request) {
	if len(batch) == 0 {
		return
	}
	if began, err := s.run(batch); err != nil {
		for _, r := range batch {
			if began {
				began, err = s.alone(r)
			}
			r.err = err // where none can begin, that is what all the others get
		}
	} else {
		s.w.observer.committed(len(batch))
	}
	for _, r := range batch {
		close(r.done)
	}
}

// tries bounds how often a request is run when the database says that it met another one.
const tries = 5

// alone runs one request, again when nothing but a meeting with another transaction was in its way. began
// tells whether a transaction could begin at all.
func (s *session) alone(r *request) (began bool, err error) {
	if err := r.ctx.Err(); err != nil {
		return true, err
	}
	r.err = nil
	for n := range tries {
		if n > 0 {
			time.Sleep(rand.N(time.Duration(5<<n) * time.Millisecond))
		}
		if began, err = s.run([]*request{r}); !s.w.e.met(err) {
			break
		}
	}
	return began, cmp.Or(err, r.err)
}

// run executes requests in one transaction. Once that has begun it does not heed their contexts: it is
// short, and half a batch must not end with one caller's patience. A transaction that
// could not begin, because another program holds the file, is no request's fault.
func (s *session) run(batch []*request) (began bool, err error) {
	ctx, cancel := context.WithTimeout(s.w.base, s.w.limit)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		return false, err
	}
	t := &tx{s: s, e: s.w.e, ctx: ctx}
	if err := t.begins(); err != nil {
		return false, err
	}
	if err := t.all(batch); err != nil {
		return true, errors.Join(err, s.mend(t.exec("ROLLBACK")))
	}
	if err := t.exec("COMMIT"); err != nil {
		_ = s.mend(t.exec("ROLLBACK")) // already undone by SQLite for some causes
		return true, err
	}
	if t.queued {
		s.w.notifier.poke()
	}
	return true, nil
}

// beginTime bounds the begin of a transaction, which waits for nothing where a connection can be lost.
const beginTime = 5 * time.Second

// begins begins the transaction. A connection may have been lost since its last use: a new one tells
// whether the database is there.
func (t *tx) begins() error {
	if !t.e.lost {
		return t.exec(t.e.begin)
	}
	all := t.ctx
	defer func() { t.ctx = all }()
	var err error
	for range 2 {
		var cancel context.CancelFunc
		t.ctx, cancel = context.WithTimeout(all, beginTime)
		err = t.exec(t.e.begin)
		cancel()
		if err == nil {
			return nil
		}
		t.ctx = all
		if err := errors.Join(t.s.drop(), t.s.connect(all)); err != nil {
			return err
		}
	}
	return errors.Join(err, t.s.drop())
}

// all executes the requests of a batch. One whose caller left while the transaction could not begin is
// not done behind the caller's back: a hello that is noted late, without having been acknowledged, would
// call for a client that another server provisioned meanwhile.
func (t *tx) all(batch []*request) error {
	batch = slices.DeleteFunc(slices.Clone(batch), func(r *request) bool {
		r.err = r.ctx.Err()
		return r.err != nil
	})
	hellos, others := apart(batch)
	if len(hellos) == 1 {
		hellos, others = nil, batch
	}
	group := make([]*recording, len(hellos))
	for i, r := range hellos {
		group[i] = r.hello
	}
	if len(group) > 0 {
		if err := t.recordGroup(group); err != nil {
			return err
		}
	}
	for _, r := range others {
		if err := r.fn(t); err != nil {
			return err
		}
	}
	return nil
}

// mend drops the connection when it cannot be used any more.
func (s *session) mend(err error) error {
	if err != nil && s.w.e.lost {
		return errors.Join(err, s.drop())
	}
	return err
}

// Abort ends the writes under way without their commit, and refuses those that follow: a program has to end
// though the database does not answer. Close is still to be called.
func (s *Store) Abort() {
	if s.w != nil {
		s.w.abort()
	}
}

// close waits for the commits under way. It may be called twice.
func (w *writer) close() error {
	var errs []error
	if w.hellos != nil {
		errs = append(errs, w.hellos.drain())
	}
	errs = append(errs, w.drain())
	w.notifier.close()
	w.abort()
	return errors.Join(append(errs, w.db.Close())...)
}

// drain ends the sessions when nobody uses them any more.
func (w *writer) drain() error {
	var errs []error
	for range w.count {
		s, open := <-w.turn
		if !open {
			return nil // drained already
		}
		errs = append(errs, s.drop())
	}
	close(w.turn)
	return errors.Join(errs...)
}

// stmt prepares a statement once for the life of the store.
func (t *tx) stmt(query string) (*sql.Stmt, error) {
	t.queued = t.queued || makesEntry(query)
	if st := t.s.stmts[query]; st != nil {
		return st, nil
	}
	st, err := t.s.conn.PrepareContext(t.ctx, t.e.rebind(query))
	if err == nil {
		t.s.stmts[query] = st
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
	res, err := st.ExecContext(t.ctx, t.e.args(args)...)
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
	return st.QueryRowContext(t.ctx, t.e.args(args)...).Scan(dest...)
}

// column reads the first column of all rows as text.
func (t *tx) column(query string, args ...any) ([]string, error) {
	st, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(t.ctx, t.e.args(args)...)
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
	rows, err := st.QueryContext(t.ctx, t.e.args(args)...)
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
