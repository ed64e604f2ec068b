package store

import (
	"testing"

	"amtmedic/amt"
)

// What a plan says is what the import does, and after it the same pairs are there as they are.
func TestPlanKeys(t *testing.T) {
	pps := func(c string) amt.Secret { return amt.NewSecret(goodPPS[:31] + c) }
	pair := func(id int64, pid amt.PID, c string) Pair { return Pair{ID: id, PID: pid, PPS: pps(c)} }
	const a, b, c, d = amt.PID("0000037M"), amt.PID("44444444"), amt.PID("0000A01U"), amt.PID("4KRG65QT")
	s := fresh(t)
	first := []Pair{pair(1, a, "J"), {ID: 2, PID: b, PPS: pps("J"), AdminPassword: amt.NewSecret("x"), Used: true}}
	for _, step := range []struct {
		name      string
		pairs     []Pair
		fresh     int
		same      int
		codes     string
		conflicts int
	}{
		{"an empty map", first, 2, 0, "", 0},
		{"the same again", first, 0, 2, "", 0},
		{"what a pair does not say stays", []Pair{pair(0, b, "J")}, 0, 1, "", 0},
		{"a password", []Pair{{PID: a, PPS: pps("J"), CurrentPassword: amt.NewSecret("admin")}}, 0, 0, "row-changes ", 0},
		{"another PPS", []Pair{pair(1, a, "K")}, 0, 0, "pps-changes ", 0},
		{"another id", []Pair{pair(7, a, "K")}, 0, 0, "", 1},
		{"a taken id", []Pair{pair(2, c, "J")}, 0, 0, "pid-changes ", 0},
		{"one file after its own rows", []Pair{pair(0, d, "J"), pair(3, b, "J"), pair(0, d, "J")}, 2, 0, "pid-changes ", 0},
	} {
		plan, err := PlanKeys(t.Context(), s, step.pairs)
		if err != nil {
			t.Fatal(err)
		}
		codes := ""
		for _, c := range plan.Changes {
			codes += c.Code() + " "
		}
		if plan.New != step.fresh || plan.Same != step.same || codes != step.codes || len(plan.Conflicts) != step.conflicts {
			t.Errorf("%s: %+v", step.name, plan)
		}
		sum, err := s.ImportKeys(t.Context(), step.pairs)
		if err != nil || sum.Imported != plan.New+plan.Same+len(plan.Changes) || len(sum.Conflicts) != len(plan.Conflicts) {
			t.Errorf("%s: imported %+v, %v, planned %+v", step.name, sum, err, plan)
		}
	}
	if plan, err := PlanKeys(t.Context(), nil, first); err != nil || plan.New != 2 || plan.Same+len(plan.Changes)+len(plan.Conflicts) != 0 {
		t.Errorf("without a map: %+v, %v", plan, err)
	}
}
