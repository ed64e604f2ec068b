package lab

import (
	"context"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/check"
)

// Every world can be repaired by the remedies that its verdict proposes, in their order, a
// destructive one only when no harmless one is left. Each is previewed first.
func TestRepair(t *testing.T) {
	for i, id := range everyFault() {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			buildable(t, id)
			begin := time.Now()
			w := newWorld(t, int64(100+i), id)
			j := judge(t, w)
			for tried, n := map[string]bool{}, 0; !j.Healthy(); j = judge(t, w) {
				if n++; n > 8 || !repairOnce(t, w, &j, tried) { // restarting the hello is always left
					t.Fatalf("nothing left to repair %q with; asks %v", j.Verdict, j.Next)
				}
			}
			// on a loaded machine the tables may be read before the hello is in them: then it waits
			if j.Verdict != "ok-in-progress" && j.Verdict != "ok-waiting-retry" || len(j.Further) > 0 {
				t.Errorf("ends in %s, further %v", j.Verdict, j.Further)
			}
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func judge(t *testing.T, w *World) diag.Judgement {
	t.Helper()
	j := check.Judge(walk(t, w).facts, w.Now())
	for n := 0; j.Verdict == "" && n < 5; n++ { // the tables were read before the hello was in them: once more, as a walk does
		j = check.Judge(walk(t, w).facts, w.Now())
	}
	return j
}

// repairOnce applies the first remedy that was not tried and that this world has, and then restarts
// the hello if that is proposed.
func repairOnce(t *testing.T, w *World, j *diag.Judgement, tried map[string]bool) bool {
	t.Helper()
	done := false
	for _, r := range j.Remedies {
		a, ok := w.Action(j, r)
		restart := r.ID == "rm-restart-hello"
		if !ok || tried[r.ID] && !restart || done && !restart {
			continue
		}
		tried[r.ID] = true
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		p, err := a.Plan(ctx)
		if err != nil || p.Title == "" || a.ID != r.ID || (p.Confirm == "" && len(p.ByHand) == 0) || len(p.Fields) > 0 {
			t.Errorf("%s: plan %+v, %v", r.ID, p, err)
		}
		said, err := a.Apply(ctx, nil)
		cancel()
		if err != nil || said == "" {
			t.Errorf("%s: %q, %v", r.ID, said, err)
		}
		done = true
	}
	return done
}

// A name that is repaired while the client waits for its next try is found by that try: nobody has
// to restart the hello, and the time that passes until then makes nothing look old.
func TestRepairWithoutRestart(t *testing.T) {
	w := newWorld(t, 5, "rc-dns-no-record")
	j := judge(t, w)
	a, _ := w.Action(&j, j.Remedies[0])
	if _, err := a.Apply(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if j = judge(t, w); !j.Healthy() || j.Verdict == "ok-waiting-retry" {
		// The database was read before the hello came: once more, as a walk does.
		j = judge(t, w)
	}
	if j.Verdict != "ok-in-progress" {
		t.Errorf("%s, further %v", j.Verdict, j.Further)
	}
}

// Every remedy of the table is one that the catalogue proposes for some cause.
func TestRemediesAreOfTheCatalogue(t *testing.T) {
	known := map[string]bool{"rm-restart-hello": true}
	for _, c := range check.Causes() {
		for _, r := range c.Remedies {
			known[r.ID] = true
		}
	}
	for id := range repairs {
		if !known[id] {
			t.Errorf("no cause has the remedy %s", id)
		}
	}
}
