package flow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/probe"
	"amtmedic/diag/remedy"
)

// Options is what a walk is made of.
type Options struct {
	World    World
	Journal  Journal // nil keeps the case in memory only
	Judge    func(facts []diag.Fact, at time.Time) diag.Judgement
	Info     func(check string) Info // what a check asks
	Facts    []diag.Fact             // known at the start: the symptom, answers given as flags, a reopened case
	Actions  []Action                // done in a reopened case
	ReadOnly bool                    // no repairs
}

// Walk walks one case. Run drives it; every other method may be called from any goroutine.
type Walk struct {
	o       Options
	changed chan struct{}
	wake    chan struct{}

	mu        sync.Mutex
	facts     []diag.Fact
	actions   []Action
	j         diag.Judgement
	step      Step
	notice    string
	problems  []problem
	done      map[string]string // probe id -> what it was run with
	checks    map[string]string // probe id -> the check that it serves
	answered  []string          // question ids, in the order of answering
	skipped   map[string]bool
	again     []string // question ids to ask once more, whatever is known
	stop      context.CancelFunc
	restarted bool            // the hello was restarted: what comes of it is worth waiting for
	then      *diag.Remedy    // the next step of the repair plan, after a repair
	here      map[string]bool // remedies that can be done here
	undo      func(context.Context) error
	undoOf    Action
	repaired  bool            // something was repaired: the core's work is worth following
	progress  *probe.Progress // what the core did since
}

// problem is why the last run of a probe failed.
type problem struct{ probe, text string }

// errNoFact is the cause when a fact is impossible: a known key with a value that it cannot have.
var errNoFact = errors.New("no fact")

// New makes a walk of a case. Facts of the options are journaled at once.
func New(o Options) (*Walk, error) {
	w := &Walk{o: o, changed: make(chan struct{}, 1), wake: make(chan struct{}, 1), done: map[string]string{}, checks: map[string]string{}, skipped: map[string]bool{}, actions: o.Actions}
	for _, f := range o.Facts {
		if err := w.add(f, "given"); err != nil {
			return nil, err
		}
	}
	w.judge()
	return w, nil
}

// Run measures and asks until ctx ends. It returns the first error of the journal, else the
// context's.
func (w *Walk) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		w.judge()
		p, q := w.pick()
		switch {
		case p != nil:
			if err := w.run(ctx, *p); err != nil {
				return err
			}
			continue
		case q != nil:
			w.setStep(Step{Kind: Asking, Check: w.o.Info(q.Check), Question: q, Since: w.o.World.Now()})
		case w.due() != nil:
			w.setStep(Step{Kind: Planned, Remedy: w.due(), Since: w.o.World.Now()})
		case w.goesOn():
			if err := w.provision(ctx); err != nil {
				return err
			}
			continue
		case w.judgement().Verdict != "":
			w.setStep(Step{Kind: Decided, Since: w.o.World.Now()})
		default:
			w.setStep(Step{Kind: Stuck, Since: w.o.World.Now()})
		}
		select {
		case <-ctx.Done():
		case <-w.wake:
		}
	}
	return ctx.Err()
}

func (w *Walk) judgement() diag.Judgement {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.j
}

func (w *Walk) judge() {
	w.mu.Lock()
	facts := slices.Clone(w.facts)
	w.mu.Unlock()
	j := w.o.Judge(facts, w.o.World.Now())
	if w.o.Journal != nil {
		j.Case = w.o.Journal.ID()
	}
	here := map[string]bool{}
	for _, r := range j.Remedies {
		a, ok := w.o.World.Action(&j, r)
		here[r.ID] = ok && !a.ByHand && !w.o.ReadOnly
	}
	w.mu.Lock()
	w.j, w.here = j, here
	w.mu.Unlock()
	w.signal()
}

func (w *Walk) signal() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *Walk) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Walk) setStep(s Step) {
	w.mu.Lock()
	w.step = s
	w.mu.Unlock()
	w.signal()
}

// add journals a fact and makes it part of the case. Two facts of one source never have the same
// time, so that a later answer replaces an earlier one instead of contradicting it.
func (w *Walk) add(f diag.Fact, source string) error {
	if f.At.IsZero() {
		f.At = w.o.World.Now()
	}
	f.At = f.At.UTC().Truncate(time.Microsecond)
	if f.Probe == "" {
		f.Probe = source
	}
	if k, ok := diag.Lookup(f.Key); ok && f.Vantage == "" {
		f.Vantage = k.Side
	}
	f, err := diag.Make(f)
	if err != nil {
		return fmt.Errorf("%w: %s says %w", errNoFact, source, err)
	}
	if w.o.Journal != nil {
		if err := w.o.Journal.Fact(f); err != nil {
			return err
		}
	}
	w.mu.Lock()
	w.facts = append(w.facts, f)
	w.mu.Unlock()
	return nil
}

// Snapshot gives everything that a face shows.
func (w *Walk) Snapshot() Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Snapshot{World: w.o.World.Name(), Now: w.o.World.Now(), Judgement: w.j, Step: w.step, Facts: slices.Clone(w.facts),
		Actions: slices.Clone(w.actions), Notice: w.notice, Here: maps.Clone(w.here)}
	s.Step.Seen = slices.Clone(w.step.Seen)
	for _, p := range w.problems {
		s.Problems = append(s.Problems, p.text)
	}
	if w.o.Journal != nil {
		s.CaseID = w.o.Journal.ID()
	}
	if w.progress != nil {
		p := *w.progress
		p.Steps = slices.Clone(p.Steps)
		s.Provisioning = &p
	}
	for id := range w.skipped {
		s.Skipped = append(s.Skipped, id)
	}
	slices.Sort(s.Skipped)
	if c := w.o.World.Client(); c != nil {
		s.Client = c.Screen()
	}
	return s
}

// Changed is signalled after a change.
func (w *Walk) Changed() <-chan struct{} { return w.changed }

// Answer answers a question: the one being asked, or another one out of turn. option counts from 0;
// -1 means that text is the answer.
func (w *Walk) Answer(questionID string, option int, text string) error {
	q, ok := w.question(questionID)
	if !ok {
		return fmt.Errorf("there is no question %s here", questionID)
	}
	facts, err := answerFacts(q, option, text)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.again = slices.DeleteFunc(w.again, func(id string) bool { return id == questionID })
	w.leave(questionID)
	if len(facts) == 0 {
		w.skipped[questionID] = true
	} else {
		delete(w.skipped, questionID)
		w.answered = append(w.answered, questionID)
	}
	w.mu.Unlock()
	for _, f := range facts {
		if err := w.add(f, "person"); err != nil {
			return err
		}
	}
	w.judge()
	w.nudge()
	return nil
}

// leave ends the step of a question, so that nobody answers it twice.
func (w *Walk) leave(questionID string) {
	if w.step.Kind == Asking && w.step.Question != nil && w.step.Question.ID == questionID {
		w.step = Step{Since: w.o.World.Now()}
	}
}

func answerFacts(q probe.Question, option int, text string) ([]diag.Fact, error) {
	switch {
	case option >= 0 && option < len(q.Options):
		return q.Options[option].Facts, nil
	case option < 0 && q.Field != nil:
		return q.Field.Facts(text)
	}
	return nil, errors.New("choose one of the answers")
}

// Questions lists everything that a person can be asked here, for answers out of turn.
func (w *Walk) Questions() []probe.Question { return w.o.World.Questions(w.view()) }

func (w *Walk) question(id string) (probe.Question, bool) {
	for _, q := range w.o.World.Questions(w.view()) {
		if q.ID == id {
			return q, true
		}
	}
	return probe.Question{}, false
}

func (w *Walk) view() *diag.View {
	w.mu.Lock()
	defer w.mu.Unlock()
	return diag.NewView(w.facts, w.o.World.Now())
}

// Skip leaves the present question or probe.
func (w *Walk) Skip() {
	w.mu.Lock()
	if q := w.step.Question; w.step.Kind == Asking && q != nil {
		w.leave(q.ID)
		w.skipped[q.ID] = true
		w.again = slices.DeleteFunc(w.again, func(id string) bool { return id == q.ID })
	}
	if w.step.Kind == Provisioning {
		w.repaired = false // the core goes on alone
	}
	if w.step.Kind == Planned {
		w.then, w.step = nil, Step{Since: w.o.World.Now()}
	}
	if w.stop != nil {
		w.stop()
	}
	w.mu.Unlock()
	w.nudge()
}

// Undo asks the last answered question again; facts are only ever added, so the new answer
// replaces the old one.
func (w *Walk) Undo() {
	w.mu.Lock()
	if n := len(w.answered); n > 0 {
		id := w.answered[n-1]
		w.answered = w.answered[:n-1]
		w.again = append([]string{id}, w.again...)
		delete(w.skipped, id)
	} else {
		w.notice = "there is no answer to take back"
	}
	w.mu.Unlock()
	w.nudge()
	w.signal()
}

// Recheck measures again what serves a check, and asks its answered questions again; empty means
// the whole road, without the questions.
func (w *Walk) Recheck(check string) {
	v := w.view()
	var probes, questions []string
	for _, p := range w.o.World.Probes(v) {
		if check == "" || p.Check == check {
			probes = append(probes, p.ID)
		}
	}
	if check != "" {
		for _, q := range w.o.World.Questions(v) {
			if q.Check == check {
				questions = append(questions, q.ID)
			}
		}
	}
	w.mu.Lock()
	for _, id := range probes {
		delete(w.done, id)
		delete(w.skipped, id)
	}
	for _, id := range questions {
		if slices.Contains(w.answered, id) || w.skipped[id] {
			w.again = append(w.again, id)
		}
	}
	if check == "" {
		clear(w.skipped)
	}
	if w.step.Kind != Probing {
		w.step = Step{Since: w.o.World.Now()}
	}
	if w.stop != nil {
		w.stop()
	}
	w.mu.Unlock()
	w.nudge()
}

// Drain restarts the simulated client. Beside a real PC it notes that the engineer did so: the
// next watch is one after a drain.
func (w *Walk) Drain() {
	if c := w.o.World.Client(); c != nil {
		c.Drain()
		w.say("the PC was drained and plugged in again")
	} else {
		if d, ok := w.o.World.(interface{ Drained() }); ok {
			d.Drained()
		}
		w.say("drain the PC, then plug it in: the watch begins now")
	}
	w.Recheck("chk-window")
	w.Recheck("chk-server-capture")
}

func (w *Walk) say(notice string) {
	w.mu.Lock()
	w.notice = notice
	w.mu.Unlock()
	w.signal()
}

var errReadOnly = errors.New("this walk is read-only: nothing is changed")

// Preview plans a remedy; it changes nothing. automatic is false when the remedy is one by hand.
func (w *Walk) Preview(ctx context.Context, r diag.Remedy) (remedy.Plan, bool, error) {
	j := w.judgement()
	a, ok := w.o.World.Action(&j, r)
	if !ok {
		w.mu.Lock()
		facts := slices.Concat(w.facts, j.Derived)
		w.mu.Unlock()
		return remedy.Plan{Title: r.Text, ByHand: remedy.ByHand(r, &j, facts...)}, false, nil
	}
	p, err := a.Plan(ctx)
	return p, p.Confirm != "", err
}
