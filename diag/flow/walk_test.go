package flow_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/check"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
	"amtmedic/diag/remedy"
)

// world is a scripted place: what can be measured and asked is in tables.
type world struct {
	mu        sync.Mutex
	log       []string // what was done, in order
	probes    func(w *world) []probe.Probe
	questions []probe.Question
	action    func(w *world, id string) (remedy.Action, bool)
	client    flow.Client
	fixed     bool
}

func (w *world) Name() string   { return "test" }
func (w *world) Now() time.Time { return time.Now() }
func (w *world) Probes(*diag.View) []probe.Probe {
	if w.probes == nil {
		return nil
	}
	return w.probes(w)
}
func (w *world) Questions(*diag.View) []probe.Question { return w.questions }
func (w *world) Action(_ *diag.Judgement, r diag.Remedy) (remedy.Action, bool) {
	if w.action == nil {
		return remedy.Action{}, false
	}
	return w.action(w, r.ID)
}
func (w *world) Client() flow.Client { return w.client }

func (w *world) did(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, what)
}

func (w *world) done() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.log)
}

// says makes a probe that gives facts.
func (w *world) says(id, chk string, cost probe.Cost, facts ...diag.Fact) probe.Probe {
	return probe.Probe{ID: id, Check: chk, What: id, Cost: cost, Limit: time.Second, Run: func(_ context.Context, r probe.Report) error {
		w.did(id)
		for _, f := range facts {
			r.Fact(f)
		}
		return nil
	}}
}

type book struct {
	w     *world
	facts int
}

func (b *book) ID() string                 { return "case-1" }
func (b *book) Fact(f diag.Fact) error     { b.facts++; return nil }
func (b *book) Action(a flow.Action) error { b.w.did("journal " + a.Stage); return nil }
func info(id string) flow.Info {
	c, _ := check.LookupCheck(id)
	return flow.Info{ID: id, Stage: c.Stage}
}
func fact(key string, value any) diag.Fact { return diag.Fact{Key: key, Value: value} }

func start(t *testing.T, w *world, given ...diag.Fact) *flow.Walk {
	t.Helper()
	walk, err := flow.New(flow.Options{World: w, Journal: &book{w: w}, Judge: check.Judge, Info: info, Facts: given})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { _ = walk.Run(ctx); close(ended) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Error("the walk did not end with its context")
		}
	})
	return walk
}

// until waits for a step of a kind.
func until(t *testing.T, walk *flow.Walk, kind flow.StepKind) flow.Snapshot {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		if s := walk.Snapshot(); s.Step.Kind == kind {
			return s
		}
		select {
		case <-walk.Changed():
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("no step of kind %d; now %+v, verdict %q", kind, walk.Snapshot().Step, walk.Snapshot().Judgement.Verdict)
	return flow.Snapshot{}
}

func question(key string, options ...probe.Option) probe.Question {
	return probe.Question{ID: key, Check: "chk-enabled", Title: key, Gives: []string{key}, Cost: probe.Ask, Options: options}
}

// TestCheapestFirst: what can be read goes before what is waited for, before a person is asked.
func TestCheapestFirst(t *testing.T) {
	w := &world{probes: func(w *world) []probe.Probe {
		return []probe.Probe{
			w.says("wire", "chk-window", probe.Wait, fact("wire.client.syn", diag.None)),
			w.says("reach", "chk-dns-client", probe.Reach),
			w.says("read-late", "chk-db", probe.Read, fact("db.reach", true)),
			w.says("read-early", "chk-mei", probe.Read, fact("client.mei", "no-driver")),
			{ID: "cannot", Check: "chk-db", What: "cannot", Needs: "root"},
		}
	}, questions: []probe.Question{question("client.prov_state", probe.Option{Label: "in", Facts: []diag.Fact{fact("client.prov_state", "in")}})}}
	walk := start(t, w)
	s := until(t, walk, flow.Asking)
	want := []string{"read-early", "read-late", "reach", "wire"}
	if got := w.done(); len(got) < 4 || !slices.Equal(got[:4], want) {
		t.Errorf("order %v, want %v", got, want)
	}
	if s.Step.Question.ID != "client.prov_state" {
		t.Errorf("asks %s", s.Step.Question.ID)
	}
}

// TestAnswersAreFacts: an answer becomes a fact, an empty one skips, undo asks again and the new
// answer counts.
func TestAnswersAreFacts(t *testing.T) {
	w := &world{questions: []probe.Question{
		question("client.enabled", probe.Option{Label: "yes", Facts: []diag.Fact{fact("client.enabled", true)}},
			probe.Option{Label: "no", Facts: []diag.Fact{fact("client.enabled", false)}}, probe.Option{Label: "cannot tell"})}}
	walk := start(t, w)
	until(t, walk, flow.Asking)
	if err := walk.Answer("client.enabled", 7, ""); err == nil {
		t.Error("an answer that is none was taken")
	}
	if err := walk.Answer("client.bogus", 0, ""); err == nil {
		t.Error("a question that is none was answered")
	}
	if err := walk.Answer("client.enabled", 1, ""); err != nil {
		t.Fatal(err)
	}
	if s := until(t, walk, flow.Decided); s.Judgement.Verdict != "rc-amt-disabled" || s.Judgement.Case != "case-1" {
		t.Fatalf("verdict %q of case %q", s.Judgement.Verdict, s.Judgement.Case)
	}
	walk.Undo()
	until(t, walk, flow.Asking)
	if err := walk.Answer("client.enabled", 0, ""); err != nil {
		t.Fatal(err)
	}
	s := until(t, walk, flow.Stuck)
	if len(s.Facts) != 2 || s.Judgement.Verdict != "" {
		t.Errorf("%d facts, verdict %q: facts are only added, the last answer counts", len(s.Facts), s.Judgement.Verdict)
	}
}

func TestSkip(t *testing.T) {
	w := &world{questions: []probe.Question{
		question("client.prov_state", probe.Option{Label: "in", Facts: []diag.Fact{fact("client.prov_state", "in")}}),
		question("client.enabled", probe.Option{Label: "no", Facts: []diag.Fact{fact("client.enabled", false)}})}}
	walk := start(t, w)
	first := until(t, walk, flow.Asking).Step.Question.ID
	walk.Skip()
	for walk.Snapshot().Step.Question == nil || walk.Snapshot().Step.Question.ID == first {
		<-walk.Changed()
	}
	walk.Skip()
	if s := until(t, walk, flow.Stuck); len(s.Skipped) != 2 || s.Judgement.Next == nil {
		t.Errorf("skipped %v, next %v", s.Skipped, s.Judgement.Next)
	}
}

// TestProbeFailures: a probe that fails, hangs or says nonsense never stops the walk.
func TestProbeFailures(t *testing.T) {
	w := &world{probes: func(w *world) []probe.Probe {
		return []probe.Probe{
			{ID: "fails", Check: "chk-db", What: "fails", Limit: time.Second, Run: func(context.Context, probe.Report) error { return errors.New("no route") }},
			{ID: "hangs", Check: "chk-db", What: "hangs", Limit: 50 * time.Millisecond, Run: func(ctx context.Context, _ probe.Report) error {
				<-ctx.Done()
				return ctx.Err()
			}},
			w.says("nonsense", "chk-db", probe.Reach, fact("db.auth", "perhaps")),
			w.says("after", "chk-db", probe.Reach, fact("db.reach", false)),
		}
	}}
	s := until(t, start(t, w), flow.Decided)
	if s.Judgement.Verdict != "rc-sql-unreachable" {
		t.Errorf("verdict %q", s.Judgement.Verdict)
	}
	if len(s.Problems) != 3 || !strings.Contains(s.Problems[0], "fails: no route") || !strings.Contains(s.Problems[1], "hangs: ") || !strings.Contains(s.Problems[2], "db.auth") {
		t.Errorf("the failures are not told: %q", s.Problems)
	}
	if !strings.Contains(s.Notice, "nonsense") {
		t.Errorf("the last failure is not told: %q", s.Notice)
	}
}

// repairable is a world with one broken thing and a repair that mends it.
func repairable() *world {
	w := &world{}
	w.probes = func(w *world) []probe.Probe {
		w.mu.Lock()
		fixed := w.fixed
		w.mu.Unlock()
		state := map[bool]string{true: "running", false: "stopped"}[fixed]
		return []probe.Probe{w.says("service", "chk-service", probe.Read, fact("srv.amtconfig", state)),
			w.says("client", "chk-enabled", probe.Read, fact("client.prov_state", "in"))}
	}
	w.action = func(w *world, id string) (remedy.Action, bool) {
		if id != "rm-amtconfig-stopped" {
			return remedy.Action{}, false
		}
		return remedy.Action{ID: id, Plan: func(context.Context) (remedy.Plan, error) {
			return remedy.Plan{Title: "start it", Confirm: "yes", Fields: []remedy.Field{{Name: "why", Label: "why", Check: func(s string) error {
				if s == "bad" {
					return errors.New("not so")
				}
				return nil
			}}}}, nil
		}, Apply: func(context.Context, map[string]string) (string, error) {
			w.did("apply")
			w.mu.Lock()
			w.fixed = true
			w.mu.Unlock()
			return "it runs", nil
		}, Undo: func(context.Context) error {
			w.did("undo")
			w.mu.Lock()
			w.fixed = false
			w.mu.Unlock()
			return nil
		}}, true
	}
	return w
}

// TestRepair: the intent is journaled before anything is written, the road is checked again, the
// plan's next step is due, and undo takes it back.
func TestRepair(t *testing.T) {
	ctx := context.Background()
	w := repairable()
	walk := start(t, w)
	s := until(t, walk, flow.Decided)
	r := s.Judgement.Remedies[0]
	if !s.Here[r.ID] || s.Here["rm-restart-hello"] {
		t.Errorf("can be done here: %v", s.Here)
	}
	plan, automatic, err := walk.Preview(ctx, r)
	if err != nil || !automatic || plan.Title != "start it" || slices.Contains(w.done(), "apply") {
		t.Fatalf("preview %+v %v %v after %v", plan, automatic, err, w.done())
	}
	if _, err := walk.Apply(ctx, r, map[string]string{"why": "bad"}); err == nil || slices.Contains(w.done(), "apply") {
		t.Fatalf("a bad input was taken: %v", err)
	}
	if done, err := walk.Apply(ctx, r, nil); err != nil || done != "it runs" {
		t.Fatal(done, err)
	}
	s = until(t, walk, flow.Planned)
	if s.Step.Remedy == nil || s.Step.Remedy.ID != "rm-restart-hello" || len(s.Actions) != 2 {
		t.Errorf("the next step of the plan is %+v, actions %v", s.Step.Remedy, s.Actions)
	}
	log := w.done()
	if i, j := slices.Index(log, "journal intended"), slices.Index(log, "apply"); i < 0 || j < i || slices.Index(log, "journal done") < j {
		t.Errorf("order %v", log)
	}
	if _, err := walk.Apply(ctx, *s.Step.Remedy, nil); err != nil {
		t.Fatal(err)
	}
	until(t, walk, flow.Stuck)
	if err := walk.UndoRemedy(ctx); err != nil {
		t.Fatal(err)
	}
	if s = until(t, walk, flow.Decided); s.Judgement.Verdict != "rc-amtconfig-stopped" {
		t.Errorf("after undo %q", s.Judgement.Verdict)
	}
	if err := walk.UndoRemedy(ctx); err == nil {
		t.Error("there was nothing more to undo")
	}
}

func TestReadOnly(t *testing.T) {
	w := repairable()
	walk, err := flow.New(flow.Options{World: w, Judge: check.Judge, Info: info, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := walk.Apply(context.Background(), diag.Remedy{ID: "rm-amtconfig-stopped"}, nil); err == nil || slices.Contains(w.done(), "apply") {
		t.Errorf("read-only, and yet: %v %v", err, w.done())
	}
}

// TestJournalFailureStops: a case that cannot be kept is not walked on as if it were.
func TestJournalFailureStops(t *testing.T) {
	w := &world{probes: func(w *world) []probe.Probe {
		return []probe.Probe{w.says("read", "chk-db", probe.Read, fact("db.reach", true))}
	}}
	walk, err := flow.New(flow.Options{World: w, Journal: full{}, Judge: check.Judge, Info: info})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := walk.Run(ctx); !errors.Is(err, errFull) {
		t.Errorf("Run gives %v", err)
	}
}

var errFull = errors.New("no space left on device")

type full struct{}

func (full) ID() string               { return "full" }
func (full) Fact(diag.Fact) error     { return errFull }
func (full) Action(flow.Action) error { return errFull }
