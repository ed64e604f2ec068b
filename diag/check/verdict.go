package check

import (
	"slices"
	"strings"

	"amtmedic/diag"
)

// choose is rule 13: the first proven cause; else an ok-* whose conditions are all known; else the
// first likely cause; else an ok-* that only lacks facts; else none.
func (s *sorted) choose(j *diag.Judgement) {
	first := func(conf diag.Confidence) *fault {
		for i := range s.faults {
			if f := &s.faults[i]; f.Confidence == conf && !f.behind {
				return f
			}
		}
		return nil
	}
	switch {
	case s.take(j, first(diag.Proven)):
	case s.takeOK(j, true):
	case s.take(j, first(diag.Likely)):
	case s.take(j, s.ruleEleven()):
	default:
		s.takeOK(j, false)
	}
	s.rest(j)
}

// ruleEleven: two causes are the verdict only when they are the question and nothing else is named.
func (s *sorted) ruleEleven() *fault {
	if slices.ContainsFunc(s.faults, func(f fault) bool { return f.ID != "rc-mei-unavailable" && f.ID != "rc-scs-version-unstable" }) {
		return nil
	}
	for i := range s.faults {
		f := &s.faults[i]
		switch {
		case f.ID == "rc-mei-unavailable" && (s.c.symptom("sym-local-tool-fails", "sym-lms-port", "sym-local-activation") || s.c.localMode()):
			return f
		case f.ID == "rc-scs-version-unstable" && s.c.symptom("sym-node-stagnant"):
			f.Confidence = diag.Likely
			return f
		}
	}
	return nil
}

func (s *sorted) take(j *diag.Judgement, f *fault) bool {
	if f == nil {
		return false
	}
	c := mustCause(f.ID)
	j.Verdict, j.Component, j.Confidence, j.Sentence, j.Change = f.ID, c.component, f.Confidence, c.sentence, c.change
	j.DecidedBy = append(j.DecidedBy, f.Decided...)
	j.Consequences = append(j.Consequences, s.folded[f.ID]...)
	return true
}

func (s *sorted) takeOK(j *diag.Judgement, complete bool) bool {
	for _, o := range s.ok {
		if complete && !o.complete() {
			continue
		}
		c := mustCause(o.id)
		j.Verdict, j.Sentence, j.Change, j.Complete = o.id, c.sentence, c.change, o.complete()
		j.Confidence = likelyIf(!o.complete())
		j.DecidedBy = append(j.DecidedBy, o.decided...)
		return true
	}
	return false
}

// rest lists the other faults, in repair order, without the verdict and without consequences.
func (s *sorted) rest(j *diag.Judgement) {
	var folded []string
	for _, l := range s.folded {
		folded = append(folded, l...)
	}
	for _, f := range s.faults {
		if f.ID != j.Verdict && f.Confidence != diag.Possible && !slices.Contains(folded, f.ID) {
			j.Further = append(j.Further, f.ID)
		}
	}
}

// finish adds what follows from the verdict: remedies, the next question, the lights of the road.
func (c *caseView) finish(j *diag.Judgement, s *sorted) {
	if j.Healthy() {
		j.Remedies = remediesOf(c, []string{j.Verdict})
	} else if j.Verdict != "" {
		j.Remedies = remediesOf(c, append([]string{j.Verdict}, j.Further...))
	}
	j.Wanted = c.wanted(j, s)
	if j.Verdict == "" {
		j.Next = c.next(j)
		j.Possible = c.possible(s)
	}
	c.lights(j)
	if slices.Contains(j.DecidedBy, "client.mode") && !c.Known("client.mode") {
		j.DecidedBy = slices.DeleteFunc(j.DecidedBy, func(k string) bool { return k == "client.mode" })
	}
}

// wanted lists the keys that would decide most: in the order of the road, what an undecided check
// needs, then what would make the verdict surer.
func (c *caseView) wanted(j *diag.Judgement, s *sorted) []string {
	var out []string
	add := func(keys []string) {
		for _, k := range keys {
			if !c.Known(k) && !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	if j.Healthy() {
		for _, o := range s.ok {
			if o.id == j.Verdict {
				add(o.missing)
			}
		}
	}
	for _, f := range s.faults {
		if f.Confidence == diag.Likely && (f.ID == j.Verdict || j.Healthy()) {
			add(f.Missing)
		}
	}
	for _, frame := range []bool{false, true} {
		for _, r := range j.Checks {
			if (r.Stage == 0) == frame && r.Light != diag.NotApplicable && r.Light != diag.Good {
				add(r.Missing)
			}
		}
	}
	return out
}

// next is the check that would decide most: the first on the road that lacks facts. Versions are
// asked last, since few cases turn on them; so is the web directory, which no hello passes, unless
// the console is the question. The link of a silent client's port comes before what its silence
// leaves open.
func (c *caseView) next(j *diag.Judgement) *diag.Next {
	ask := func(r diag.Result) *diag.Next {
		k, _ := LookupCheck(r.Check)
		return &diag.Next{ID: k.ID, Text: k.Title}
	}
	acquitted := c.acquitted()
	open := func(r diag.Result) bool {
		return r.Light != diag.NotApplicable && r.Light != diag.Good && !(acquitted && acquits(r.Check)) && !(r.Stage == 3 && c.nameAcquitted())
	}
	if c.hasRow("db.delayed") {
		if i := slices.IndexFunc(j.Checks, func(r diag.Result) bool { return open(r) && c.delayedAt(r.Check) }); i >= 0 {
			return ask(j.Checks[i])
		}
	}
	console := c.consoleAsked()
	silent, _ := c.silent()
	quiet := silent || c.Has("client.start_call", "not-ready")
	onRoad := func(r diag.Result) bool { return r.Stage > 0 && open(r) && (console || r.Check != "chk-amtscs") }
	for _, want := range []func(diag.Result) bool{
		func(r diag.Result) bool {
			return r.Check == "chk-nic" && open(r) && !c.post() && quiet && c.Has("client.nic", "onboard-down")
		},
		func(r diag.Result) bool { return onRoad(r) && len(r.Missing) > 0 },
		onRoad,
		open,
	} {
		if i := slices.IndexFunc(j.Checks, want); i >= 0 {
			return ask(j.Checks[i])
		}
	}
	return ask(j.Checks[0])
}

// consoleAsked: the console fails, or a symptom of the case may come from its web directory.
func (c *caseView) consoleAsked() bool {
	return c.Has("srv.console", "partial", "error") || c.consoleIsTheQuestion()
}

// delayedAt: the stored reason of the delayed entry is one that this check names; without a reason
// the entry itself is the question.
func (c *caseView) delayedAt(check string) bool {
	reason := c.Obj("db.delayed").Str("reason")
	if reason == "" {
		return check == "chk-queue"
	}
	k, _ := LookupCheck(check)
	return slices.ContainsFunc(k.Causes, func(id string) bool { return strings.Contains(reason, id) })
}

// possible lists the causes that merely fit the symptom.
func (c *caseView) possible(s *sorted) []string {
	var out []string
	for _, id := range c.symptoms() {
		sym, _ := LookupSymptom(id)
		for _, cause := range sym.Causes {
			if !s.has(cause) && !slices.Contains(out, cause) {
				out = append(out, cause)
			}
		}
	}
	return out
}

// lights sets the stations: good as far as every looked-at check is, broken at the root cause,
// not judged behind it.
func (c *caseView) lights(j *diag.Judgement) {
	for st := range j.Road {
		j.Road[st] = stationLight(j.Checks, diag.Station(st))
	}
	root, found := causeByID[j.Verdict]
	switch {
	case j.Verdict == "" || !found:
	case !j.Healthy():
		for i, r := range j.Checks {
			if slices.ContainsFunc(r.Causes, func(n diag.Named) bool { return n.ID == j.Verdict }) {
				j.Checks[i].Light = diag.Broken
			}
		}
		if root.station > diag.Port && c.acquitted() {
			c.goodUpTo(j, diag.Port)
		}
		for st := range j.Road {
			if st > int(root.station) {
				j.Road[st] = diag.NotJudged
			} else if j.Road[st] == diag.Suspect {
				j.Road[st] = diag.Good // what the root explains is no question of its own
				if namesAnother(j, diag.Station(st)) {
					j.Road[st] = diag.Unknown
				}
			}
		}
		j.Road[root.station] = diag.Broken
	case j.Verdict == "ok-in-progress":
		c.goodUpTo(j, diag.FQDN)
		j.Road[diag.TLS], j.Road[diag.Provisioned] = diag.Busy, diag.Busy
	case j.Verdict == "ok-waiting-retry":
		c.goodUpTo(j, diag.Port)
	case j.Verdict == "ok-provisioned" || j.Verdict == "ok-cira-outside":
		c.goodUpTo(j, diag.Provisioned)
	}
}

// namesAnother: a check of the station names a fault that is not the verdict.
func namesAnother(j *diag.Judgement, st diag.Station) bool {
	return slices.ContainsFunc(j.Checks, func(r diag.Result) bool {
		return r.Station == st && slices.ContainsFunc(r.Causes, func(n diag.Named) bool { return n.ID != j.Verdict })
	})
}

// goodUpTo: what a healthy verdict proves; nothing that was looked at and is not good is hidden.
func (c *caseView) goodUpTo(j *diag.Judgement, last diag.Station) {
	for st := diag.Firmware; st <= last; st++ {
		if j.Road[st] == diag.Unlooked || j.Road[st] == diag.Unknown || j.Road[st] == diag.NotApplicable {
			j.Road[st] = diag.Good
		}
	}
}

// stationLight joins the lights of a station's checks: the worst that was looked at.
func stationLight(results []diag.Result, st diag.Station) diag.Light {
	light, any := diag.NotApplicable, false
	rank := map[diag.Light]int{diag.Good: 1, diag.Unlooked: 2, diag.Unknown: 3, diag.Contradicted: 4, diag.Suspect: 5}
	best := 0
	good := false
	for _, r := range results {
		if r.Station != st || r.Light == diag.NotApplicable {
			continue
		}
		any = true
		good = good || r.Light == diag.Good
		if n := rank[r.Light]; n > best {
			best, light = n, r.Light
		}
	}
	if !any {
		return diag.NotApplicable
	}
	if good && light == diag.Unlooked {
		return diag.Good // checks that nothing calls for do not take the green away
	}
	return light
}
