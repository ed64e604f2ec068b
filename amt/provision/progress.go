package provision

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"amtmedic/amt/device"
	"amtmedic/amt/store"
)

// configure runs the Configurer, and gives the steps that were not noted yet. A panic in it costs this
// client its attempt, not the server its life.
func (w *Worker) configure(ctx context.Context, t Task) (r Result, left []store.Step, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.o.Log.Error("a fault in the program ended a session", "uuid", t.Job.UUID.String(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errors.New("a fault inside the program ended the session")
		}
	}()
	steps, err := w.st.Steps(ctx, t.Job.UUID)
	if err != nil {
		return r, nil, err
	}
	p := newProgress(w.st, t, steps)
	r, err = w.o.Configurer.Configure(ctx, t, p)
	if err == nil {
		return r, p.rest(), nil
	}
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime/4)
	defer cancel()
	if lost := p.flush(keep); lost != nil {
		w.o.Log.Warn("the last steps of a session were not noted: they are taken again", "uuid", t.Job.UUID.String(), "err", lost)
	}
	return r, nil, err
}

// noteAfter is how long a step that is done may wait for what has to be durable with it. A step that is not
// noted is taken again by the next session, which does no harm; people look at the steps meanwhile.
const noteAfter = time.Second

// progress keeps the steps of one task in the store. It implements device.Progress.
type progress struct {
	st      *store.Store
	t       Task
	earlier []string // of earlier attempts

	mu      sync.Mutex
	pending []store.Step
	later   *time.Timer // notes what is pending
	kept    bool        // the password is durable
	sealed  bool        // the secrets of this client are
	err     error       // of the timer's note
}

func newProgress(st *store.Store, t Task, earlier []string) *progress {
	p := &progress{st: st, t: t, earlier: earlier}
	p.later = time.AfterFunc(noteAfter, p.due)
	p.later.Stop()
	return p
}

// Finished reports whether an earlier attempt did the step.
func (p *progress) Finished(step string) bool { return slices.Contains(p.earlier, step) }

// Before makes durable what leaves with a step: the task's password, and those of its users and MEBx; each
// once in a session.
func (p *progress) Before(ctx context.Context, step string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	add := store.Progress{}
	if !p.kept {
		add.Password = p.t.Password
	}
	if !p.sealed && len(p.t.Secrets) > 0 && (step == device.StepUsers || step == device.StepMEBx || !p.kept) {
		add.Secrets = p.t.Secrets
	}
	if add.Password.IsZero() && add.Secrets == nil {
		return p.err
	}
	if err := p.note(ctx, add); err != nil {
		return err
	}
	p.kept, p.sealed = true, p.sealed || add.Secrets != nil
	return nil
}

// Done keeps that a step is done. That a commit is about to be sent is durable when it returns; other steps
// wait for the next thing that has to be, a second at most.
func (p *progress) Done(ctx context.Context, step string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = append(p.pending, store.Step{Name: step, At: time.Now()})
	if step == device.StepSent {
		return p.note(ctx, store.Progress{})
	}
	if len(p.pending) == 1 {
		p.later.Reset(noteAfter)
	}
	return p.err
}

// note keeps what is pending together with add.
func (p *progress) note(ctx context.Context, add store.Progress) error {
	p.later.Stop()
	add.Steps = p.pending
	if err := p.st.NoteProgress(ctx, p.t.Job, add); err != nil {
		return err
	}
	p.pending, p.err = nil, nil
	return nil
}

// due notes what has waited long enough. What goes wrong is told to the session at its next step.
func (p *progress) due() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) > 0 {
		p.err = p.note(ctx, store.Progress{})
	}
}

// flush notes what is pending.
func (p *progress) flush(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) == 0 {
		return nil
	}
	return p.note(ctx, store.Progress{})
}

// rest gives what is pending, for whoever keeps the end of the session.
func (p *progress) rest() []store.Step {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.later.Stop()
	out := p.pending
	p.pending = nil
	return out
}
