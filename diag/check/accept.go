package check

import (
	"slices"
	"time"

	"amtmedic/diag"
)

// JudgeAccepting is Judge for a site that lives with some findings: the accepted causes, and what
// they explain, are left out of the verdict, as if no check had named them. It gives those of the
// accepted ids that were found. The facts that tell of them still count for everything else.
func JudgeAccepting(facts []diag.Fact, at time.Time, accepted []string) (j diag.Judgement, found []string) {
	c := newCase(diag.NewView(facts, at))
	j = diag.Judgement{UUID: c.UUID(), Method: c.method(), Further: []string{}, Consequences: []string{}, DecidedBy: []string{},
		Remedies: []diag.Remedy{}, Contradictions: c.Contradictions()}
	j.Checks = c.runAll()
	j.Mode = string(c.mode())
	if j.Mode != "" && !c.Known("client.mode") {
		j.Derived = append(j.Derived, diag.Fact{At: c.Now(), Key: "client.mode", Value: j.Mode, Probe: diag.Derived})
	}
	s := c.sort(j.Checks)
	found = s.accept(&j, accepted)
	s.choose(&j)
	c.finish(&j, s)
	return j, found
}

// accept takes accepted causes out of what the checks named, with their consequences.
func (s *sorted) accept(j *diag.Judgement, accepted []string) (found []string) {
	behind := map[string]bool{} // what accepted causes explain
	for _, id := range accepted {
		for _, c := range s.folded[id] {
			behind[c] = true
		}
	}
	gone := func(id string) bool { return behind[id] || slices.Contains(accepted, id) }
	for i, r := range j.Checks {
		var left []diag.Named
		for _, n := range r.Causes {
			if !gone(n.ID) {
				left = append(left, n)
				continue
			}
			if slices.Contains(accepted, n.ID) && !slices.Contains(found, n.ID) {
				found = append(found, n.ID)
			}
		}
		if len(left) < len(r.Causes) && len(left) == 0 && r.Light == diag.Suspect {
			j.Checks[i].Light, j.Checks[i].Missing = diag.NotApplicable, nil
		}
		j.Checks[i].Causes = left
	}
	if len(found) == 0 {
		return nil
	}
	s.faults = slices.DeleteFunc(s.faults, func(f fault) bool { return gone(f.ID) })
	for cause, l := range s.folded {
		s.folded[cause] = slices.DeleteFunc(l, gone)
	}
	for _, id := range found {
		delete(s.folded, id)
	}
	s.ok = s.c.healthy(s)
	return found
}
