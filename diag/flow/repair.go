package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"amtmedic/diag"
)

// restartHello is the remedy after which a new hello is due.
const restartHello = "rm-restart-hello"

// errByHand says that a remedy is one by hand: nothing was done here.
var errByHand = errors.New("this is done by hand")

// Apply does a remedy and checks the road again. The intent is journaled before anything is
// written. A remedy by hand is noted as done by the engineer.
func (w *Walk) Apply(ctx context.Context, r diag.Remedy, inputs map[string]string) (string, error) {
	plan := w.judgement().Remedies
	done, err := w.apply(ctx, r, inputs)
	if errors.Is(err, errByHand) {
		if err := w.log(Action{Remedy: r.ID, Stage: "done", Title: r.Text, Detail: "by hand, as the engineer says"}); err != nil {
			return "", err
		}
		done, err = "noted; the road is checked again", nil
		w.mu.Lock()
		w.restarted = w.restarted || r.ID == restartHello
		w.repaired = true
		w.mu.Unlock()
	}
	if err != nil {
		return "", err
	}
	w.goOn(r, plan)
	w.say(done)
	w.expire()
	w.Recheck("")
	return done, nil
}

// goOn notes what the plan has left behind a remedy: the restart of the hello, which is its last step.
func (w *Walk) goOn(r diag.Remedy, plan []diag.Remedy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.ID == restartHello {
		w.then = nil
		return
	}
	if left := restarts(plan, r); len(left) > 0 {
		w.then = &left[0]
	}
}

func (w *Walk) apply(ctx context.Context, r diag.Remedy, inputs map[string]string) (string, error) {
	if w.o.ReadOnly {
		return "", errReadOnly
	}
	j := w.judgement()
	a, ok := w.o.World.Action(&j, r)
	if !ok {
		return "", errByHand
	}
	plan, err := a.Plan(ctx)
	if err != nil {
		return "", err
	}
	for _, f := range plan.Fields {
		if f.Check != nil {
			if err := f.Check(inputs[f.Name]); err != nil {
				return "", fmt.Errorf("%s: %w", f.Label, err)
			}
		}
	}
	act := Action{Remedy: r.ID, Stage: "intended", Title: plan.Title}
	if err := w.log(act); err != nil {
		return "", err
	}
	done, err := a.Apply(ctx, inputs)
	act.Stage, act.Detail = "done", done
	if err != nil {
		act.Stage, act.Detail = "failed", err.Error()
	}
	if lerr := w.log(act); lerr != nil {
		err = errors.Join(err, lerr)
	}
	if err != nil {
		return "", err
	}
	w.mu.Lock()
	w.undo, w.undoOf, w.repaired = a.Undo, act, true
	w.restarted = w.restarted || r.ID == restartHello
	w.mu.Unlock()
	return done, nil
}

func (w *Walk) log(a Action) error {
	a.At = w.o.World.Now().UTC()
	if w.o.Journal != nil {
		if err := w.o.Journal.Action(a); err != nil {
			return err
		}
	}
	w.mu.Lock()
	w.actions = append(w.actions, a)
	w.mu.Unlock()
	return nil
}

// expire lets the questions that decided the verdict be asked again: a repair may have changed
// their answers.
func (w *Walk) expire() {
	questions := w.o.World.Questions(w.view())
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range questions {
		decided := slices.ContainsFunc(append(q.Gives, q.ID), func(k string) bool { return slices.Contains(w.j.DecidedBy, k) })
		if decided && slices.Contains(w.answered, q.ID) && !slices.Contains(w.again, q.ID) {
			w.again = append(w.again, q.ID)
		}
	}
}

// UndoRemedy takes back the last repair that can be undone.
func (w *Walk) UndoRemedy(ctx context.Context) error {
	w.mu.Lock()
	undo, act := w.undo, w.undoOf
	w.mu.Unlock()
	if undo == nil {
		return errors.New("there is no repair that can be taken back")
	}
	if err := undo(ctx); err != nil {
		return err
	}
	act.Stage, act.Detail = "undone", ""
	if err := w.log(act); err != nil {
		return err
	}
	w.mu.Lock()
	w.undo, w.then = nil, nil
	w.mu.Unlock()
	w.say("taken back: " + act.Title)
	w.Recheck("")
	return nil
}

// Settle waits until a verdict stands or nothing more can be known, answering questions from the
// client's own screen. It needs Run to run beside it.
func Settle(ctx context.Context, w *Walk) (Snapshot, error) {
	client := w.o.World.Client()
	for {
		s := w.Snapshot()
		switch s.Step.Kind {
		case Decided, Stuck, Planned:
			return s, nil
		case Asking:
			w.answerFrom(client, s)
		}
		select {
		case <-ctx.Done():
			return w.Snapshot(), ctx.Err()
		case <-w.changed:
		}
	}
}

func (w *Walk) answerFrom(client Client, s Snapshot) {
	q := s.Step.Question
	if client != nil {
		if option, text, ok := client.Answer(*q); ok && w.Answer(q.ID, option, text) == nil {
			return
		}
	}
	w.Skip()
}

// RepairAll applies the proposed remedies in their order until the road is green: harmless ones
// first, a destructive one only when no harmless one is left. It needs Run to run beside it, and
// gives the state after the last walk.
func RepairAll(ctx context.Context, w *Walk) (Snapshot, error) {
	s, err := Settle(ctx, w)
	tried := map[string]bool{}
	for err == nil && !green(s) {
		r, ok := untried(s.Judgement.Remedies, tried)
		if !ok {
			return s, nil
		}
		if _, err := w.apply(ctx, r, nil); err != nil {
			if ctx.Err() != nil {
				return s, ctx.Err()
			}
			continue // not possible here: the next one
		}
		for _, k := range restarts(s.Judgement.Remedies, r) {
			_, _ = w.apply(ctx, k, nil)
		}
		w.expire()
		w.Recheck("")
		s, err = Settle(ctx, w)
	}
	return s, err
}

// untried gives the first remedy that was not tried yet for the present verdict.
func untried(rs []diag.Remedy, tried map[string]bool) (diag.Remedy, bool) {
	for _, r := range rs {
		if !tried[r.ID] {
			tried[r.ID] = true
			return r, true
		}
	}
	return diag.Remedy{}, false
}

func restarts(rs []diag.Remedy, done diag.Remedy) []diag.Remedy {
	i := slices.IndexFunc(rs, func(r diag.Remedy) bool { return r.ID == restartHello })
	if i < 0 || done.ID == restartHello || done.Destructive {
		return nil
	}
	return rs[i : i+1]
}

func green(s Snapshot) bool {
	return strings.HasPrefix(s.Judgement.Verdict, "ok-") && len(s.Judgement.Further) == 0
}
