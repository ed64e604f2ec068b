package flow_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
)

// coreWorld is a world with a core: what it reports and how it ends is said by the test.
type coreWorld struct {
	*world
	end chan probe.Progress
	err error
}

func (c *coreWorld) Provision(ctx context.Context, _ *diag.View, report func(probe.Progress)) (probe.Progress, error) {
	c.did("provision")
	if c.err != nil {
		return probe.Progress{}, c.err
	}
	report(probe.Progress{Core: "core", State: probe.ProgressRunning, Steps: []probe.ProgressStep{{Name: "hello", Light: diag.Good}}})
	select {
	case p := <-c.end:
		report(p)
		return p, nil
	case <-ctx.Done():
		return probe.Progress{}, ctx.Err()
	}
}

// openRoad judges as if everything before the provisioned state were in order.
func openRoad(facts []diag.Fact, _ time.Time) diag.Judgement {
	j := diag.Judgement{Verdict: "ok-in-progress", Confidence: diag.Proven, Complete: true}
	if slices.ContainsFunc(facts, func(f diag.Fact) bool { return f.Key == "client.prov_state" && f.Value == "post" }) {
		j.Verdict = "ok-provisioned"
	}
	return j
}

func startCore(t *testing.T, c *coreWorld) *flow.Walk {
	t.Helper()
	walk, err := flow.New(flow.Options{World: c, Judge: openRoad, Info: info})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { _ = walk.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return walk
}

var byHand = diag.Remedy{ID: "rm-amtconfig-stopped", Text: "start the service"}

// Behind a repair the walk follows the core, and what the core saw decides the verdict. Without a
// repair it follows nothing.
func TestGoesOnBehindARepair(t *testing.T) {
	c := &coreWorld{world: &world{}, end: make(chan probe.Progress, 1)}
	walk := startCore(t, c)
	if s := until(t, walk, flow.Decided); s.Provisioning != nil || len(c.done()) > 0 {
		t.Fatalf("without a repair: %+v, %v", s.Provisioning, c.done())
	}
	if _, err := walk.Apply(context.Background(), byHand, nil); err != nil {
		t.Fatal(err)
	}
	if s := until(t, walk, flow.Provisioning); s.Judgement.Verdict != "ok-in-progress" {
		t.Errorf("%+v", s.Judgement)
	}
	c.end <- probe.Progress{Core: "core", State: probe.ProgressDone}
	s := until(t, walk, flow.Decided)
	if s.Judgement.Verdict != "ok-provisioned" || s.Provisioning == nil || s.Provisioning.State != probe.ProgressDone {
		t.Errorf("%s, %+v", s.Judgement.Verdict, s.Provisioning)
	}
	if n := len(c.done()); n != 1 {
		t.Errorf("followed %d times", n)
	}
}

// Skip leaves the client to the core; a delayed entry ends the following and adds no fact.
func TestGoesOnEnds(t *testing.T) {
	for name, end := range map[string]func(*coreWorld, *flow.Walk){
		"skipped": func(_ *coreWorld, w *flow.Walk) { w.Skip() },
		"delayed": func(c *coreWorld, _ *flow.Walk) {
			c.end <- probe.Progress{State: probe.ProgressDelayed, Cause: "rc-pps-mismatch"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &coreWorld{world: &world{}, end: make(chan probe.Progress, 1)}
			walk := startCore(t, c)
			until(t, walk, flow.Decided)
			if _, err := walk.Apply(context.Background(), byHand, nil); err != nil {
				t.Fatal(err)
			}
			until(t, walk, flow.Provisioning)
			end(c, walk)
			if s := until(t, walk, flow.Decided); s.Judgement.Verdict != "ok-in-progress" || len(c.done()) != 1 {
				t.Errorf("%s, followed %d times", s.Judgement.Verdict, len(c.done()))
			}
		})
	}
}

// Where no core is known the walk ends with its verdict, and says nothing about it.
func TestNoCore(t *testing.T) {
	c := &coreWorld{world: &world{}, err: flow.ErrNoCore}
	walk := startCore(t, c)
	until(t, walk, flow.Decided)
	if _, err := walk.Apply(context.Background(), byHand, nil); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); len(c.done()) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if s := until(t, walk, flow.Decided); s.Provisioning != nil || s.Judgement.Verdict != "ok-in-progress" {
		t.Errorf("%+v %s", s.Provisioning, s.Judgement.Verdict)
	}
}
