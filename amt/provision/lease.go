package provision

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// leases are the jobs that a worker has in hand. A session ends by itself before its lease does by the
// steady clock of this machine, so that a server that is cut off from the database does not work on a
// client that another one has taken over.
type leases struct {
	span time.Duration
	mu   sync.Mutex
	held map[amt.UUID]*held
}

// held is one job in hand.
type held struct {
	job    store.Job
	cancel context.CancelCauseFunc
	timer  *time.Timer
	done   chan struct{}
}

func newLeases(span time.Duration) *leases { return &leases{span: span, held: map[amt.UUID]*held{}} }

// left is how long a lease that was asked for at a moment is good; a tenth is for what is under way
// when it ends.
func (l *leases) left(asked time.Time) time.Duration {
	return time.Until(asked.Add(l.span - l.span/10))
}

// hold runs fn with a job until its lease, asked for at a moment, ends without having been renewed. An
// earlier session of the same client in this process is ended first.
func (l *leases) hold(ctx context.Context, j store.Job, asked time.Time, fn func(context.Context)) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h := &held{job: j, cancel: cancel, done: make(chan struct{})}
	defer close(h.done)
	h.timer = time.AfterFunc(l.left(asked), func() { cancel(store.ErrLeaseLost) })
	defer h.timer.Stop()
	l.mu.Lock()
	before := l.held[j.UUID]
	l.held[j.UUID] = h
	l.mu.Unlock()
	if before != nil {
		before.cancel(store.ErrLeaseLost)
		<-before.done
	}
	fn(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[j.UUID] == h {
		delete(l.held, j.UUID)
	}
}

// jobs lists what is in hand.
func (l *leases) jobs() []store.Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]store.Job, 0, len(l.held))
	for _, h := range l.held {
		out = append(out, h.job)
	}
	return out
}

// renewed lengthens the leases of jobs whose entries are still ours, and ends the sessions of the others.
func (l *leases) renewed(jobs []store.Job, kept []amt.UUID, asked time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range jobs {
		switch h := l.held[j.UUID]; {
		case h == nil || h.job.Attempts != j.Attempts: // it ended meanwhile
		case !slices.Contains(kept, j.UUID):
			h.cancel(store.ErrLeaseLost)
		case h.timer.Stop():
			h.timer.Reset(l.left(asked))
		}
	}
}

// Sessions is how many clients are being configured.
func (w *Worker) Sessions() int { return len(w.leases.jobs()) }

// renew keeps the leases of the sessions under way until ctx ends.
func (w *Worker) renew(ctx context.Context) {
	for wait := w.o.Lease / 3; sleep(ctx, wait); {
		wait = w.o.Lease / 3
		jobs, asked := w.leases.jobs(), time.Now()
		if len(jobs) == 0 {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, w.o.Lease/3)
		kept, err := w.st.Renew(limited, w.o.Name, jobs, w.o.Lease)
		cancel()
		if err != nil {
			w.away.failed("leases were not renewed; their sessions end when the leases do", err)
			wait = w.o.Lease / 12
			continue
		}
		w.leases.renewed(jobs, kept, asked)
	}
}

// begin starts the sessions of claimed jobs, and tells of those that were another worker's until its
// leases ran out.
func (w *Worker) begin(work context.Context, jobs []store.Job, asked time.Time, wg *sync.WaitGroup) {
	fell := map[string]int{}
	for _, j := range jobs {
		if j.From != "" {
			fell[j.From]++
		}
		wg.Go(func() {
			defer func() {
				w.free <- struct{}{}
				w.Wake()
			}()
			w.leases.hold(work, j, asked, func(ctx context.Context) { w.do(ctx, j) })
		})
	}
	for from, n := range fell {
		w.o.Log.Warn("clients are taken over from a worker whose leases ran out", "from", from, "count", n)
	}
}

// insist writes the outcome of a session again and again while the database is away, as long as the session
// may live: what the firmware has by now should not be found out anew.
func insist(ctx, keep context.Context, write func() error) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := write()
		if !errors.Is(err, store.ErrUnreachable) || keep.Err() != nil || !sleep(ctx, pause) {
			return err
		}
	}
}

// cut tells of a session that was ended because its lease was; one that the stop of the server ended
// needs no word, since Run gives its entry back.
func (w *Worker) cut(ctx context.Context, log *slog.Logger, j store.Job, begun time.Time) {
	if err := context.Cause(ctx); errors.Is(err, store.ErrLeaseLost) {
		w.delay(ctx, log, j, err, time.Since(begun))
	}
}
