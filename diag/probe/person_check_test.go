package probe

import (
	"slices"
	"testing"

	"amtmedic/diag/check"
)

// TestEveryStageCanBeAsked: of stages 0 to 4 and 7 no check is left without a question or probe
// for its first key. What a program measures and no person can tell is listed here.
func TestEveryStageCanBeAsked(t *testing.T) {
	measured := []string{"client.mei", "wire.client.syn", "wire.server.syn", "wire.server.hello"}
	asked := map[string]bool{}
	for _, q := range Questions() {
		if _, ok := check.LookupCheck(q.Check); !ok {
			t.Errorf("%s serves check %s, which is none", q.ID, q.Check)
		}
		for _, k := range q.Gives {
			asked[k] = true
		}
	}
	for _, c := range check.Checks() {
		if c.Stage > 4 && c.Stage != 7 || c.ID == "chk-usb" {
			continue
		}
		if k := c.Needs[0]; !asked[k] && !slices.Contains(measured, k) {
			t.Errorf("%s: nobody can be asked for %s", c.ID, k)
		}
	}
}
