package check

import (
	"reflect"
	"slices"
	"testing"

	"amtmedic/diag"
)

// Without anything to accept, JudgeAccepting and Judge are one: for every set of facts in the cases.
func TestAcceptingNothingIsJudging(t *testing.T) {
	for _, c := range readCases(t) {
		facts := readFacts(t, c.facts)
		got, found := JudgeAccepting(facts, base, nil)
		if want := Judge(facts, base); len(found) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: judged %s, accepting nothing %s", c.name, short(want), short(got))
		}
	}
}

// An accepted cause is named nowhere any more. What takes its place was there before, or is a state
// without fault; nothing new is found.
func TestAccepting(t *testing.T) {
	replaced, healthy, undecided := 0, 0, 0
	for _, c := range readCases(t) {
		facts := readFacts(t, c.facts)
		before := Judge(facts, base)
		if before.Verdict == "" || before.Healthy() {
			continue
		}
		id := before.Verdict
		after, found := JudgeAccepting(facts, base, []string{id})
		if !slices.Equal(found, []string{id}) {
			t.Errorf("%s: %s was not found: %v", c.name, id, found)
		}
		for _, r := range after.Checks {
			if slices.ContainsFunc(r.Causes, func(n diag.Named) bool { return n.ID == id || slices.Contains(before.Consequences, n.ID) }) {
				t.Errorf("%s: %s still names %s or its consequence", c.name, r.Check, id)
			}
		}
		if slices.Contains(after.Further, id) || slices.Contains(after.Consequences, id) {
			t.Errorf("%s: %s stays beside the verdict", c.name, id)
		}
		switch {
		case after.Verdict == "":
			undecided++
			if slices.Contains(after.Road[:], diag.Broken) {
				t.Errorf("%s: the road is broken without a verdict", c.name)
			}
		case after.Healthy():
			healthy++
		default:
			replaced++
			if !slices.Contains(before.Further, after.Verdict) {
				t.Errorf("%s: %s accepted gives %s, which was not there before: %v", c.name, id, after.Verdict, before.Further)
			}
		}
		if again, _ := JudgeAccepting(facts, base, append([]string{id}, before.Further...)); again.Verdict != "" && !again.Healthy() {
			t.Errorf("%s: with everything accepted the verdict is %s", c.name, again.Verdict)
		}
	}
	if replaced < 5 || healthy < 1 || undecided < 20 {
		t.Errorf("of the cases %d gave another cause, %d a state without fault, %d none: too few to tell", replaced, healthy, undecided)
	}
}
