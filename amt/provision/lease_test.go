package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/store"
)

// ended waits for a session's end and gives its cause.
func ended(t *testing.T, ctx context.Context) error {
	t.Helper()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(20 * time.Second):
		t.Fatal("the session goes on")
		return nil
	}
}

func TestLeaseEndsItsSession(t *testing.T) {
	l, j := newLeases(200*time.Millisecond), store.Job{UUID: client(1), Attempts: 1}
	l.hold(t.Context(), j, time.Now(), func(ctx context.Context) {
		if err := ended(t, ctx); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("it ends with %v", err)
		}
	})
	if len(l.jobs()) != 0 {
		t.Errorf("in hand: %v", l.jobs())
	}
	l = newLeases(time.Hour)
	l.hold(t.Context(), j, time.Now(), func(ctx context.Context) {
		l.renewed(l.jobs(), []amt.UUID{j.UUID}, time.Now())
		if ctx.Err() != nil {
			t.Error("a renewed lease ends")
		}
		old := []store.Job{{UUID: j.UUID, Attempts: 7}}
		l.renewed(old, nil, time.Now())
		if ctx.Err() != nil {
			t.Error("news of an earlier attempt end this one")
		}
		l.renewed(l.jobs(), nil, time.Now())
		if err := ended(t, ctx); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("an entry that is another one's by now: %v", err)
		}
	})
}

// The same client comes to the same worker again, since its lease ran out: one session after the other.
func TestOneSessionOfAClient(t *testing.T) {
	l, j := newLeases(time.Hour), store.Job{UUID: client(1), Attempts: 1}
	began, over := make(chan struct{}), false
	go l.hold(t.Context(), j, time.Now(), func(ctx context.Context) {
		close(began)
		<-ctx.Done()
		time.Sleep(20 * time.Millisecond)
		over = true
	})
	<-began
	l.hold(t.Context(), j, time.Now(), func(context.Context) {
		if !over {
			t.Error("two sessions of one client at once")
		}
	})
}

// The database is away for longer than a lease: the session ends, and the log says why in few lines.
func TestWorkerLosesItsLeases(t *testing.T) {
	began, cut := make(chan struct{}, 100), make(chan error, 100)
	w := work(t, WorkerOptions{Lease: 400 * time.Millisecond}, func(ctx context.Context, task Task, _ device.Progress) error {
		began <- struct{}{}
		<-ctx.Done()
		cut <- context.Cause(ctx)
		return ctx.Err()
	})
	w.name(t, 0)
	w.hello(t, 0, "")
	<-began
	_ = w.st.Close()
	select {
	case err := <-cut:
		if !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("the session ends with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the session outlives its lease")
	}
	w.stop()
	log := w.log.String()
	if !strings.Contains(log, "another worker has this client by now") || strings.Count(log, "level=ERROR") > 3 {
		t.Errorf("log:\n%s", log)
	}
}

func TestOutageIsToldSeldom(t *testing.T) {
	var b bytes.Buffer
	o := outage{log: slog.New(slog.NewTextHandler(&b, nil))}
	o.worked()
	for range 1000 {
		o.failed("hello was not kept", errors.New("no route"), "from", "10.20.0.7")
	}
	o.worked()
	o.worked()
	for range 1000 {
		o.failed("hello was not kept", errors.New("no route"), "from", "10.20.0.7")
		o.worked()
	}
	log := b.String()
	if strings.Count(log, "\n") != 2 || !strings.Contains(log, "failed=1000") || !strings.Contains(log, "from=10.20.0.7") {
		t.Errorf("log:\n%s", log)
	}
	o.told = o.told.Add(-outageEvery)
	o.failed("hello was not kept", errors.New("no route"))
	if log := b.String(); !strings.Contains(log, "more_before=1000") {
		t.Errorf("log:\n%s", log)
	}
}

// The outcome of a session is written until the database takes it, the session may live no longer, or it
// is refused.
func TestInsist(t *testing.T) {
	tries := 0
	away := func(times int, then error) func() error {
		tries = 0
		return func() error {
			if tries++; tries <= times {
				return fmt.Errorf("%w: away", store.ErrUnreachable)
			}
			return then
		}
	}
	if err := insist(t.Context(), t.Context(), away(3, nil)); err != nil || tries != 4 {
		t.Errorf("%d tries, %v", tries, err)
	}
	if err := insist(t.Context(), t.Context(), away(1, store.ErrLeaseLost)); !errors.Is(err, store.ErrLeaseLost) || tries != 2 {
		t.Errorf("%d tries, %v", tries, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, ctx := range map[string][2]context.Context{"cut": {over, t.Context()}, "too long": {t.Context(), over}} {
		if err := insist(ctx[0], ctx[1], away(9, nil)); !errors.Is(err, store.ErrUnreachable) || tries != 1 {
			t.Errorf("%s: %d tries, %v", name, tries, err)
		}
	}
}
