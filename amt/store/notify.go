package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel is what servers of one database listen on (https://www.postgresql.org/docs/15/sql-notify.html).
const channel = "amtmedic_queue"

// queueEntry begins every statement that makes a queue entry: whoever runs one wakes the other servers
// after its commit.
const queueEntry = "INSERT INTO csto_queue_entries"

// Times of a notifier and of those that listen.
const (
	notifyTime  = 5 * time.Second // for one message
	closeTime   = time.Second     // for the last message of a program that ends
	listenAlive = 20 * time.Second
	listenAgain = 5 * time.Second // most, between two tries to listen again
)

// notifier tells the other servers of a shared database that the queue has something. It does so after
// the commit, in a transaction of its own: NOTIFY makes commits wait for each other. Entries that come
// while a message is under way share the next one. A message that is lost costs the others no more than
// the time until they look by themselves.
type notifier struct {
	cfg  *pgx.ConnConfig
	db   *sql.DB
	name string // of this process, which needs no message of its own
	wake chan struct{}
	done chan struct{}
	once sync.Once
}

func newNotifier(cfg *pgx.ConnConfig, db *sql.DB) *notifier {
	n := &notifier{cfg: cfg, db: db, name: fmt.Sprintf("%016x", rand.Uint64()), wake: make(chan struct{}, 1), done: make(chan struct{})}
	go n.run()
	return n
}

// poke has a message sent; it never waits.
func (n *notifier) poke() {
	if n == nil {
		return
	}
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notifier) run() {
	defer close(n.done)
	for range n.wake {
		ctx, cancel := context.WithTimeout(context.Background(), notifyTime)
		_, _ = n.db.ExecContext(ctx, "SELECT pg_notify($1, $2)", channel, n.name) // the others look by themselves too
		cancel()
	}
}

// close sends what is still to be sent. Nobody pokes any more. It may be called twice.
func (n *notifier) close() {
	if n == nil {
		return
	}
	n.once.Do(func() { close(n.wake) })
	select {
	case <-n.done:
	case <-time.After(closeTime):
	}
}

// makesEntry reports whether a statement makes queue entries.
func makesEntry(query string) bool { return strings.HasPrefix(query, queueEntry) }

// Listen calls wake whenever another process put something into the queue of a shared database, and
// whenever it may have missed that, until ctx ends. lost, which may be nil, is called with the reason
// when listening ends for a while. In a file, whose queue one process works, it returns at once.
func (s *Store) Listen(ctx context.Context, wake func(), lost func(error)) {
	if s.w == nil || s.w.notifier == nil {
		return
	}
	for pause := 100 * time.Millisecond; ctx.Err() == nil; {
		listened, err := s.w.notifier.listen(ctx, wake)
		if ctx.Err() != nil {
			return
		}
		if lost != nil {
			lost(oneLine{classify(err)})
		}
		if pause = min(2*pause, listenAgain); listened {
			pause = 100 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

// listen listens on one connection until that is lost. listened tells that it came that far.
func (n *notifier) listen(ctx context.Context, wake func()) (listened bool, err error) {
	begin, cancel := context.WithTimeout(ctx, 2*n.cfg.ConnectTimeout)
	defer cancel()
	c, err := pgx.ConnectConfig(begin, n.cfg)
	if err != nil {
		return false, err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		_ = c.Close(end)
	}()
	if _, err := c.Exec(begin, "LISTEN "+channel); err != nil {
		return false, err
	}
	wake() // for what came before
	for {
		wait, cancel := context.WithTimeout(ctx, listenAlive)
		m, err := c.WaitForNotification(wait)
		silent := wait.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			if m.Payload != n.name {
				wake()
			}
		case silent && !c.IsClosed(): // does anybody hear us?
			ask, cancel := context.WithTimeout(ctx, notifyTime)
			err := c.Ping(ask)
			cancel()
			if err != nil {
				return true, err
			}
		default:
			return true, err
		}
	}
}
