package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// pick chooses what to do now: what can be read before what must be waited for, before what a
// person must look up; within these in the order of the road. Both are nil when nothing more has
// to be known, or nothing more can be.
func (w *Walk) pick() (*probe.Probe, *probe.Question) {
	v := w.view()
	probes, questions := w.o.World.Probes(v), w.o.World.Questions(v)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.again {
		if i := slices.IndexFunc(questions, func(q probe.Question) bool { return q.ID == id }); i >= 0 {
			return nil, &questions[i]
		}
	}
	if p := w.open(probes, func(c probe.Cost) bool { return c <= probe.Reach }); p != nil {
		return p, nil
	}
	if w.then != nil && !w.stillBroken() {
		return nil, nil // the plan's next step comes before anything is asked or waited for
	}
	settled := w.j.Verdict != "" && w.j.Confidence == diag.Proven && !(w.j.Healthy() && len(w.j.Further) > 0)
	if settled && !w.clientOpen(v) && !w.restarted {
		return nil, nil
	}
	if p := w.open(probes, func(c probe.Cost) bool { return c == probe.Wait }); p != nil {
		return p, nil
	}
	w.restarted = false
	if settled && !w.clientOpen(v) {
		return nil, nil
	}
	wanted := w.j.Wanted
	if settled {
		wanted = []string{"client.enabled", "client.enable_kind", "client.prov_state"}
	}
	for _, k := range wanted {
		if q := w.asks(questions, k, v); q != nil {
			return nil, q
		}
	}
	return nil, nil
}

// stillBroken: a cause is proven, so the plan of an earlier one has to wait.
func (w *Walk) stillBroken() bool {
	return w.j.Verdict != "" && !w.j.Healthy() && w.j.Confidence == diag.Proven
}

// onItsWay: the client's request is being worked on, or done: to disturb it would help nobody.
func (w *Walk) onItsWay() bool {
	return w.j.Complete && (w.j.Verdict == "ok-in-progress" || w.j.Verdict == "ok-provisioned")
}

// due gives the step of the repair plan that is to be done now.
func (w *Walk) due() *diag.Remedy {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.then == nil || w.stillBroken() || w.onItsWay() {
		return nil
	}
	r := *w.then
	return &r
}

// clientOpen: a fault is proven further on, but nothing is known yet of the client itself, where
// the road begins: no packet of it, and nobody looked at its state.
func (w *Walk) clientOpen(v *diag.View) bool {
	if strings.HasPrefix(w.j.Verdict, "ok-") || slices.ContainsFunc(w.j.Checks, func(r diag.Result) bool {
		return r.Stage <= 1 && slices.ContainsFunc(r.Causes, func(n diag.Named) bool { return n.ID == w.j.Verdict })
	}) {
		return false
	}
	for _, k := range []string{"client.enabled", "client.enable_kind", "client.prov_state"} {
		if v.Known(k) {
			return false
		}
	}
	for _, k := range []string{"wire.client.syn", "wire.client.hello", "wire.server.syn", "wire.server.hello", "wire.client.dns"} {
		for _, f := range v.All(k) {
			if f.Value != diag.None {
				return false
			}
		}
	}
	return true
}

// open gives the first probe that was not run with what is known now, in the order of the road.
func (w *Walk) open(probes []probe.Probe, cost func(probe.Cost) bool) *probe.Probe {
	var best *probe.Probe
	for i := range probes {
		p := &probes[i]
		if !cost(p.Cost) || p.Needs != "" || w.skipped[p.ID] || w.done[p.ID] == signature(*p) {
			continue
		}
		if best == nil || p.Cost < best.Cost || p.Cost == best.Cost && w.o.Info(p.Check).Stage < w.o.Info(best.Check).Stage {
			best = p
		}
	}
	return best
}

// signature is what a probe depends on: what it says it does. It is run again when that has
// changed. What must be waited for is not waited for twice for the sake of a name.
func signature(p probe.Probe) string {
	if p.Cost >= probe.Wait {
		return p.ID
	}
	return p.ID + "\x00" + p.What
}

// asks gives the question that tells a key, unless it was asked already.
func (w *Walk) asks(questions []probe.Question, key string, v *diag.View) *probe.Question {
	for i := range questions {
		q := &questions[i]
		if w.skipped[q.ID] || slices.Contains(w.answered, q.ID) {
			continue
		}
		if (q.ID == key || slices.Contains(q.Gives, key)) && !v.Known(key) {
			return q
		}
	}
	return nil
}

// run runs one probe, with its facts and words going into the case as they come.
func (w *Walk) run(ctx context.Context, p probe.Probe) error {
	limit := p.Limit
	if limit <= 0 {
		limit = time.Minute
	}
	pctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w.mu.Lock()
	w.stop = cancel
	w.checks[p.ID] = p.Check
	w.step = Step{Kind: Probing, Check: w.o.Info(p.Check), What: p.What, Since: w.o.World.Now()}
	w.mu.Unlock()
	w.signal()

	r := &report{walk: w, probe: p}
	err := errors.Join(p.Run(pctx, r), r.refused())
	w.mu.Lock()
	w.stop = nil
	w.done[p.ID] = signature(p)
	if p.Cost >= probe.Wait {
		w.forgetServer()
	}
	w.problems = slices.DeleteFunc(w.problems, func(q problem) bool { return q.probe == p.ID })
	switch {
	case ctx.Err() != nil:
	case errors.Is(pctx.Err(), context.Canceled):
		w.skipped[p.ID] = true
	case err != nil:
		w.notice = fmt.Sprintf("%s: %v", p.What, err)
		w.problems = append(w.problems, problem{p.ID, w.notice + hint(err)})
	}
	w.mu.Unlock()
	return r.broken()
}

// hint is the next step that an error names, on a line of its own; empty for none.
func hint(err error) string {
	var e *amt.Error
	if errors.As(err, &e) && e.Hint != "" {
		return "\nhint: " + e.Hint
	}
	return ""
}

// forgetServer lets the server's tables be read again: what was waited for may have moved them.
func (w *Walk) forgetServer() {
	for id, check := range w.checks {
		if w.o.Info(check).Stage >= 5 {
			delete(w.done, id)
		}
	}
}

// report takes what a probe says into the case.
type report struct {
	walk  *Walk
	probe probe.Probe
	mu    sync.Mutex
	err   error // of the journal
	bad   error // impossible facts
}

// Fact adds a fact. An impossible one is the probe's mistake: it is said and left out.
func (r *report) Fact(f diag.Fact) {
	f.Probe = r.probe.ID
	if err := r.walk.add(f, r.probe.ID); err != nil {
		r.mu.Lock()
		if errors.Is(err, errNoFact) {
			r.bad = errors.Join(r.bad, err)
		} else {
			r.err = errors.Join(r.err, err)
		}
		r.mu.Unlock()
	}
	r.walk.signal()
}

// Saw adds a line to what was seen so far.
func (r *report) Saw(text string) {
	r.walk.mu.Lock()
	s := &r.walk.step.Seen
	if *s = append(*s, text); len(*s) > 50 {
		*s = (*s)[1:]
	}
	r.walk.mu.Unlock()
	r.walk.signal()
}

// Until says until when the probe waits at most, and for what.
func (r *report) Until(t time.Time, what string) {
	r.walk.mu.Lock()
	r.walk.step.Until, r.walk.step.WaitsFor = t, what
	r.walk.mu.Unlock()
	r.walk.signal()
}

// refused gives what the probe said that cannot be.
func (r *report) refused() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bad
}

// broken gives the first error that kept a fact from the journal.
func (r *report) broken() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
