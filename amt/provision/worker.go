package provision

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	mrand "math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/store"
)

// Task is one client to be configured.
type Task struct {
	Job        store.Job
	Method     amt.Method
	Pair       store.Pair // psk: the pair of its PID
	Properties Properties
	Profile    Profile
	// Known are the admin passwords that the firmware may have, the likeliest first.
	Known []amt.Secret
	// Password is to be set. Before it is sent, Progress.Before makes it durable.
	Password amt.Secret
	OTP      amt.Secret // pki: the one-time password that the firmware has to show; empty compares nothing
	Credentials
}

// Result is what a configuration left in the firmware, as a log-in afterwards saw it.
type Result struct {
	Version  string     // of the firmware
	Password amt.Secret // that the log-in was done with
	Notes    []string   // what an engineer should know of it, such as a setting that the firmware does not have
}

// Configurer configures one client through its firmware. A task may end at any moment; the next one of
// the same client begins with what p keeps. An error that is a Refusal names its reason.
type Configurer interface {
	Configure(ctx context.Context, t Task, p device.Progress) (Result, error)
}

// WorkerOptions change how a worker works. Configurer is required.
type WorkerOptions struct {
	Name       string // of this worker among all of the database; empty is made at random
	Sessions   int    // clients that are configured at once; zero is 32
	Configurer Configurer
	Maintainer *Maintainer // nil leaves maintenance in the queue's log as not done here
	Sources    []PropertySource
	Lease      time.Duration    // zero is one minute
	Limit      time.Duration    // for one client; zero is five minutes
	Poll       time.Duration    // how often the queue is looked at without a wake-up; zero is one second
	Random     io.Reader        // nil is crypto/rand
	Now        func() time.Time // for what is due; nil is time.Now
	Log        *slog.Logger
	OnEvent    func(Event)
}

func (o WorkerOptions) withDefaults() WorkerOptions {
	span := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	span(&o.Lease, time.Minute)
	span(&o.Limit, 5*time.Minute)
	span(&o.Poll, time.Second)
	if o.Sessions == 0 {
		o.Sessions = 32
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Name == "" {
		o.Name = fmt.Sprintf("worker-%016x", mrand.Uint64())
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	return o
}

// Worker takes clients from the queue and configures them.
type Worker struct {
	st   *store.Store
	o    WorkerOptions
	wake chan struct{}
	free chan struct{} // a token for each session that may begin

	leases *leases
	away   outage
	from   atomic.Pointer[[]PropertySource]
	looked time.Time // at the delayed entries; Run's alone
}

// NewWorker makes a worker on st. It starts nothing.
func NewWorker(st *store.Store, o WorkerOptions) *Worker {
	o = o.withDefaults()
	w := &Worker{st: st, o: o, wake: make(chan struct{}, 1), free: make(chan struct{}, o.Sessions), leases: newLeases(o.Lease), away: outage{log: o.Log}}
	for range o.Sessions {
		w.free <- struct{}{}
	}
	w.SetSources(o.Sources)
	return w
}

// SetSources changes where names come from, for sessions that begin from now on.
func (w *Worker) SetSources(sources []PropertySource) { w.from.Store(&sources) }

// Wake tells the worker that the queue has something. It never waits.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run works the queue until ctx ends. Then sessions get a moment to end in order; what is not done
// goes back to the queue unharmed. It returns nil after an orderly stop.
func (w *Worker) Run(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	renewing, endRenewing := context.WithCancel(work)
	defer endRenewing()
	var wg, beside sync.WaitGroup
	beside.Go(func() { w.renew(renewing) }) // until the last session has ended
	beside.Go(func() { w.upkeep(ctx) })
	for w.next(ctx) {
		if err := w.take(ctx, work, &wg); err == nil {
			w.away.worked()
		} else if ctx.Err() == nil {
			w.away.failed("the queue cannot be read; it is tried again", err)
		}
	}
	timer := time.AfterFunc(stopTime/2, stopWork)
	defer timer.Stop()
	wg.Wait()
	endRenewing()
	beside.Wait()
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime/4)
	defer cancel()
	if n, err := w.st.Release(release, w.o.Name); err != nil || n > 0 {
		w.o.Log.Warn("sessions were cut short by the stop; their clients are in the queue again", "count", n, "err", err)
	}
	return nil
}

// next waits until the queue is to be looked at. It reports whether ctx is still alive.
func (w *Worker) next(ctx context.Context) bool {
	t := time.NewTimer(w.o.Poll)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-w.wake:
	case <-t.C:
	}
	return ctx.Err() == nil
}

// take claims as many entries as sessions are free, and begins them.
func (w *Worker) take(ctx, work context.Context, wg *sync.WaitGroup) error {
	if time.Since(w.looked) > w.o.Poll/2 { // every session that ends leads here
		n, _, err := w.st.PromoteDue(ctx)
		if err != nil {
			return err
		}
		if w.looked = time.Now(); n > 0 {
			w.o.Log.Info("delayed entries whose time has come are in the queue", "count", n)
		}
	}
	n := 0
	for n < w.o.Sessions {
		select {
		case <-w.free:
			n++
			continue
		default:
		}
		break
	}
	if n == 0 {
		return nil
	}
	asked := time.Now()
	jobs, err := w.st.Claim(ctx, w.o.Name, n, w.o.Lease)
	for range n - len(jobs) {
		w.free <- struct{}{}
	}
	w.begin(work, jobs, asked, wg)
	return err
}

// do configures one client and keeps the outcome.
func (w *Worker) do(ctx context.Context, j store.Job) {
	begun := time.Now()
	limited, cancel := context.WithTimeout(ctx, w.o.Limit)
	defer cancel()
	log := w.o.Log.With("uuid", j.UUID.String(), "attempt", j.Attempts)
	if j.Maintenance() != "" {
		w.maintain(ctx, limited, log, j)
		return
	}
	t, err := w.task(limited, j)
	var r Result
	var left []store.Step
	if err == nil {
		log.Info("session begins", "method", string(t.Method), "address", j.Address.String(), "fqdn", t.Properties.FQDN, "profile", t.Profile.Name)
		r, left, err = w.configure(limited, t)
	}
	if ctx.Err() != nil && err != nil { // what was done to its end is kept, if the entry is still ours
		w.cut(ctx, log, j, begun)
		return
	}
	keep, done := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer done()
	if err == nil {
		text := fmt.Sprintf("provisioned in %.1f s: %s, profile %s", time.Since(begun).Seconds(), t.Properties.FQDN, t.Profile.Name)
		for _, n := range r.Notes {
			text += "; " + n
		}
		err = insist(ctx, keep, func() error {
			return w.st.Finish(keep, j, store.Done{FQDN: t.Properties.FQDN, Version: r.Version, Profile: t.Profile.Name, Password: r.Password, Text: text, Steps: left})
		})
		if err == nil {
			w.forget(keep, t)
			log.Info("provisioned", "fqdn", t.Properties.FQDN, "seconds", time.Since(begun).Seconds(), "notes", strings.Join(r.Notes, "; "))
			w.o.OnEvent(Event{Kind: EventProvisioned, At: time.Now(), UUID: j.UUID, PID: j.PID, Took: time.Since(begun), Hello: j.Kind})
			return
		}
	}
	w.delay(keep, log, j, err, time.Since(begun))
}

// forget removes a one-time password that was used: the firmware has lost it with its commit.
func (w *Worker) forget(ctx context.Context, t Task) {
	if t.OTP.IsZero() {
		return
	}
	if err := w.st.ForgetOTP(ctx, t.Job.UUID); err != nil {
		w.o.Log.Warn("a one-time password that was used is still kept", "uuid", t.Job.UUID.String(), "err", err)
	}
}

// delay keeps why a client could not be configured.
func (w *Worker) delay(ctx context.Context, log *slog.Logger, j store.Job, err error, took time.Duration) {
	if errors.Is(err, store.ErrLeaseLost) {
		w.o.OnEvent(Event{Kind: EventLeaseLost, At: time.Now(), UUID: j.UUID, PID: j.PID, Err: err, Took: took, Hello: j.Kind})
		log.Warn("another worker has this client by now", "err", err)
		return
	}
	ref := asRefusal(err)
	text := ref.text()
	wait := w.backOff(ctx, j.Attempts)
	log.Error("client delayed", "code", ref.Cause, "text", text, "again_s", wait.Seconds())
	if err := w.st.Delay(ctx, j, ref.reason(), text, wait); err != nil {
		log.Error("the reason could not be kept", "err", err)
	}
	w.o.OnEvent(Event{Kind: EventDelayed, At: time.Now(), UUID: j.UUID, PID: j.PID, Err: err, Took: took, Hello: j.Kind})
}

// asRefusal gives what ended a session with its reason.
func asRefusal(err error) *Refusal {
	var ref *Refusal
	if !errors.As(err, &ref) {
		ref = unforeseen(err)
	}
	return ref
}

// text is for the log.
func (r *Refusal) text() string {
	if r.Log != "" {
		return r.Log
	}
	return r.Error()
}

// unforeseen gives a reason to what is no Refusal: the database, the clock, or a fault of ours.
func unforeseen(err error) *Refusal {
	r := &Refusal{Cause: "rc-half-provisioned", Words: "the session did not come to its end", Err: err}
	switch {
	case errors.Is(err, store.ErrUnreachable):
		r.Cause, r.Words = "rc-sql-unreachable", "the database did not give or take what the session needs"
	case errors.Is(err, store.ErrDenied), errors.Is(err, store.ErrKey):
		r.Cause, r.Words = "rc-sql-auth", "the database refuses what the session needs"
	case errors.Is(err, context.DeadlineExceeded):
		r.Cause, r.Words = "rc-return-path-blocked", "the session took too long"
	}
	return r
}

// Bounds of the time until a failed configuration is tried again without a hello.
const (
	backOffFirst = 30 * time.Second
	backOffMost  = time.Hour
)

// backOff is how long a client waits, at most as long as retry_s in csti_configuration says.
func (w *Worker) backOff(ctx context.Context, attempts int) time.Duration {
	wait := backOff(attempts)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // a database that is cut off must not keep the server from its end
	defer cancel()
	conf, err := w.settings(ctx)
	if n, bad := strconv.Atoi(conf["retry_s"]); err == nil && bad == nil && n > 0 {
		wait = min(wait, time.Duration(n)*time.Second)
	}
	return wait
}

// backOff doubles with every attempt, and strays by a fifth so that a site that failed together does
// not come back together.
func backOff(attempts int) time.Duration {
	d := backOffMost
	if n := max(attempts-1, 0); n < bits.Len64(uint64(backOffMost/backOffFirst)) {
		d = min(backOffMost, backOffFirst<<n)
	}
	return d - d/5 + mrand.N(2*d/5)
}
