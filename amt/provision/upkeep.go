package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// upkeepAttempts is how often maintenance is tried: a client that is switched off for weeks must not
// stand among the delayed ones as if something had to be repaired.
const upkeepAttempts = 6

// maintain works on a provisioned client and keeps the outcome.
func (w *Worker) maintain(ctx, limited context.Context, log *slog.Logger, j store.Job) {
	begun, what := time.Now(), j.Maintenance()
	log = log.With("maintenance", string(what))
	log.Info("maintenance begins", "address", j.Address.String())
	got, err := w.maintained(limited, j)
	if ctx.Err() != nil && err != nil {
		w.cut(ctx, log, j, begun)
		return
	}
	keep, done := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer done()
	if err == nil {
		if err = insist(ctx, keep, func() error { return w.st.FinishMaintenance(keep, j, got) }); err == nil {
			log.Info("maintenance is done", "text", got.Text)
			w.o.OnEvent(Event{Kind: EventMaintained, At: time.Now(), UUID: j.UUID, PID: j.PID, Took: time.Since(begun), Hello: j.Kind})
			return
		}
	}
	if j.Attempts < upkeepAttempts || errors.Is(err, store.ErrLeaseLost) {
		w.delay(keep, log, j, err, time.Since(begun))
		return
	}
	ref := asRefusal(err)
	log.Error("maintenance is given up", "code", ref.Cause, "err", ref.Error())
	if err := w.st.GiveUpMaintenance(keep, j, ref.reason(), ref.text()); err != nil {
		log.Error("the reason could not be kept", "err", err)
	}
}

// maintained runs the Maintainer. A panic in it costs this client its attempt, not the server its life.
func (w *Worker) maintained(ctx context.Context, j store.Job) (got store.Maintained, err error) {
	if w.o.Maintainer == nil {
		return got, errors.New("this server does no maintenance")
	}
	defer func() {
		if p := recover(); p != nil {
			w.o.Log.Error("a fault in the program ended a session", "uuid", j.UUID.String(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errors.New("a fault inside the program ended the session")
		}
	}()
	return w.o.Maintainer.Maintain(ctx, j)
}

// Schedule is how often maintenance is done of itself; zero is never.
type Schedule struct {
	Clock    time.Duration
	Password time.Duration
	Pair     time.Duration
	Profile  time.Duration
	Renew    time.Duration // before its end, a certificate is renewed
}

// The rows of csti_configuration that hold the schedule, in days.
const (
	confClock    = "maintain_clock_days"
	confPassword = "maintain_password_days"
	confPair     = "maintain_pair_days"
	confProfile  = "maintain_profile_days"
	confRenew    = "renew_before_days"
)

// renewBefore is how long before its end a certificate is renewed where the configuration is silent.
const renewBefore = 30

// ReadSchedule gives the schedule of the configuration. A value that is no number of days is an error.
func ReadSchedule(conf map[string]string) (Schedule, error) {
	var s Schedule
	var wrong []error
	days := func(name string, silent int, to *time.Duration) {
		n := silent
		if text, ok := conf[name]; ok {
			var err error
			if n, err = strconv.Atoi(text); err != nil || n < 0 || n > 36500 {
				wrong = append(wrong, fmt.Errorf("%s: %q is no number of days; 0 is never", name, text))
				return
			}
		}
		*to = time.Duration(n) * 24 * time.Hour
	}
	days(confClock, 0, &s.Clock)
	days(confPassword, 0, &s.Password)
	days(confPair, 0, &s.Pair)
	days(confProfile, 0, &s.Profile)
	days(confRenew, renewBefore, &s.Renew)
	return s, errors.Join(wrong...)
}

// Bounds of the upkeep: how often it looks, and how many clients it queues at once of each kind, so that
// hellos do not wait behind a whole site.
const (
	upkeepEvery = time.Minute
	upkeepBatch = 50
)

// upkeep queues what is due until ctx ends.
func (w *Worker) upkeep(ctx context.Context) {
	for {
		if err := w.Due(ctx); err != nil && ctx.Err() == nil {
			w.o.Log.Error("maintenance that is due was not queued; it is tried again", "err", err)
		}
		if !sleep(ctx, upkeepEvery) {
			return
		}
	}
}

// Due queues the maintenance that is due by the schedule in csti_configuration.
func (w *Worker) Due(ctx context.Context) error {
	if w.o.Maintainer == nil {
		return nil
	}
	conf, err := w.settings(ctx)
	if err != nil {
		return err
	}
	s, err := ReadSchedule(conf)
	now := w.o.Now()
	for _, due := range []struct {
		what  store.Maintenance
		every time.Duration
	}{{store.MaintainClock, s.Clock}, {store.MaintainPassword, s.Password}, {store.MaintainPair, s.Pair}, {store.MaintainProfile, s.Profile}} {
		if due.every == 0 {
			continue
		}
		clients, dueErr := w.st.DueMaintenance(ctx, due.what, now.Add(-due.every), upkeepBatch)
		err = errors.Join(err, dueErr, w.queueDue(ctx, due.what, clients))
	}
	if fw := w.o.Maintainer.Firmware; fw.CA != nil && s.Renew > 0 {
		clients, dueErr := (&Renewer{Store: w.st, Firmware: fw}).Due(ctx, now.Add(s.Renew))
		err = errors.Join(err, dueErr, w.queueDue(ctx, store.MaintainCertificate, clients[:min(len(clients), upkeepBatch)]))
	}
	return err
}

// queueDue puts clients in the queue. One that has an entry by now, or is not provisioned any more, is
// left; so is one that was given up less than a day ago.
func (w *Worker) queueDue(ctx context.Context, what store.Maintenance, clients []amt.UUID) error {
	for _, u := range clients {
		last, err := w.st.LastMaintenance(ctx, u, what)
		if err != nil {
			return err
		}
		if w.o.Now().Sub(last) < 24*time.Hour {
			continue
		}
		err = w.st.Maintain(ctx, u, what, "it was due")
		if err != nil && !errors.Is(err, store.ErrHasEntry) && !errors.Is(err, store.ErrNotProvisioned) && !errors.Is(err, store.ErrNoClient) {
			return err
		}
	}
	return nil
}
