package check

import (
	"slices"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
)

// Judge gives the one verdict that facts lead to, by the rules of section 6.4 of the symptom
// catalogue. at is the moment of the diagnosis; it counts only for facts without any time.
func Judge(facts []diag.Fact, at time.Time) diag.Judgement {
	c := newCase(diag.NewView(facts, at))
	j := diag.Judgement{UUID: c.UUID(), Method: c.method(), Further: []string{}, Consequences: []string{}, DecidedBy: []string{},
		Remedies: []diag.Remedy{}, Contradictions: c.Contradictions()}
	j.Checks = c.runAll()
	j.Mode = string(c.mode())
	if j.Mode != "" && !c.Known("client.mode") {
		j.Derived = append(j.Derived, diag.Fact{At: c.Now(), Key: "client.mode", Value: j.Mode, Probe: diag.Derived})
	}
	s := c.sort(j.Checks)
	s.choose(&j)
	c.finish(&j, s)
	return j
}

// runAll asks every check in the order of the road.
func (c *caseView) runAll() []diag.Result {
	out := make([]diag.Result, len(checks))
	for i, k := range checks {
		out[i] = diag.Result{Check: k.ID, Stage: k.Stage, Station: k.Station}
		c.res, c.needs = &out[i], k.Needs
		k.judge(c, &out[i])
		if len(out[i].Causes) > 0 {
			out[i].Light = diag.Suspect
		} else if c.Has("case.method", "manual") && k.Stage >= 5 && k.Stage <= 8 {
			out[i].Missing, out[i].Light = nil, diag.NotApplicable // by hand needs no server
		}
		for _, cl := range c.Contradictions() {
			if slices.Contains(k.Needs, cl.Key) && out[i].Light != diag.NotApplicable {
				out[i].Light = diag.Contradicted
			}
		}
	}
	return out
}

// mode derives client.mode: the items count where they are known, else the stated mode.
func (c *caseView) mode() amt.Mode {
	silent, _ := c.silent()
	setup := c.Has("client.prov_state", "in") || c.rcfgOn() && !c.post() || c.helloVersion() == 2 && !c.Known("client.prov_state")
	switch {
	case c.Has("client.model", "smb") && !c.amt().AtLeast(6, 0):
		return amt.ModeSMB
	case c.post():
		return amt.ModeProvisioned
	case c.Truth("client.enabled") == diag.No,
		c.Truth("client.enabled") == diag.Dunno && c.Has("client.enable_kind", "soft-disabled", "bios-disabled"):
		return amt.ModeDisabled
	case setup && silent:
		return amt.ModeSilent
	case setup && (c.rcfgOn() || c.method() == "rcfg"):
		return amt.ModePKI
	case setup && (c.helloVersion() == 2 || c.Has("client.setup_data", "pid") || c.method() == "psk"):
		return amt.ModePSK
	case c.Has("client.prov_state", "pre") && c.rcfgOff() && c.Has("client.mebx_password", "factory"):
		return amt.ModeFactory
	case c.Has("client.prov_state", "pre") && c.rcfgOff() && c.Has("client.mebx_password", "changed"):
		return amt.ModeChanged
	}
	return amt.Mode(c.Str("client.mode"))
}

// sorted is what the checks named, sorted out for the choice of the verdict.
type sorted struct {
	c      *caseView
	faults []fault             // in the order of the road, without consequences
	folded map[string][]string // cause -> the consequences that it explains
	ok     []okVerdict
}

// fault is a cause that a check named, with the place where it stands.
type fault struct {
	diag.Named
	stage  int
	behind bool // only further: in an acquitted link, or outside what the symptom asks for in state post
}

// sort collects the faults, lifts or lowers what depends on the whole, and folds consequences.
func (c *caseView) sort(results []diag.Result) *sorted {
	s := &sorted{c: c, folded: map[string][]string{}}
	acquitted := c.acquitted()
	scope := c.postScope()
	for _, r := range results {
		for _, n := range r.Causes {
			f := fault{Named: n, stage: r.Stage}
			f.behind = acquitted && acquits(r.Check) || r.Stage == 3 && c.nameAcquitted() ||
				n.ID == "rc-mei-unavailable" || n.ID == "rc-scs-version-unstable"
			if c.post() && !alwaysJudged(r.Check) && !slices.Contains(scope, r.Stage) {
				if n.Confidence != diag.Proven {
					continue // what the symptom does not ask for is shown only when it is proven
				}
				f.behind = true
			}
			s.faults = append(s.faults, f)
		}
	}
	s.dedupe()
	s.fold()
	s.ok = c.healthy(s)
	return s
}

// alwaysJudged: in state post too, whatever the symptom asks for (rule 14; a Small Business client
// is one whatever its state).
func alwaysJudged(check string) bool { return check == "chk-post-owner" || check == "chk-prov-state" }

// acquits: checks that the shortcut of 6.1 covers.
func acquits(check string) bool {
	switch check {
	case "chk-enabled", "chk-password", "chk-usb", "chk-nic", "chk-dhcp",
		"chk-client-target", "chk-override", "chk-dns-client", "chk-dns-server", "chk-connect-9971", "chk-server-capture", "chk-listen":
		return true
	}
	return false
}

// dedupe keeps, of a cause that several checks name, the surest, at the first place that shows it.
func (s *sorted) dedupe() {
	var out []fault
	for _, f := range s.faults {
		i := slices.IndexFunc(out, func(g fault) bool { return g.ID == f.ID })
		switch {
		case i < 0:
			out = append(out, f)
		case out[i].behind && !f.behind:
			out = append(slices.Delete(out, i, i+1), f) // the first check that is not acquitted shows it
		case f.behind && !out[i].behind:
		case out[i].Confidence != diag.Proven && f.Confidence == diag.Proven:
			out[i].Named = f.Named
		}
	}
	s.faults = out
}

func (s *sorted) has(id string) bool {
	return slices.ContainsFunc(s.faults, func(f fault) bool { return f.ID == id })
}

func (s *sorted) drop(id string) {
	s.faults = slices.DeleteFunc(s.faults, func(f fault) bool { return f.ID == id })
}

// foldUnder makes a named cause a consequence of another named one.
func (s *sorted) foldUnder(cause string, consequences ...string) {
	if !s.has(cause) {
		return
	}
	for _, id := range consequences {
		if s.has(id) {
			s.drop(id)
			s.folded[cause] = append(s.folded[cause], id)
		}
	}
}

// fold is rule 15, with rule 5 for an ended window.
func (s *sorted) fold() {
	s.foldUnder("rc-usb-key-layout", "rc-not-in-setup-factory")
	s.foldUnder("rc-usb-records-exhausted", "rc-not-in-setup-factory")
	s.foldUnder("rc-usb-version-mismatch", "rc-not-in-setup-factory")
	if s.c.Has("client.mebx_password", "changed") {
		for _, id := range []string{"rc-usb-not-factory", "rc-network-access-off"} {
			if s.has(id) {
				s.drop("rc-not-in-setup-pw-changed")
				s.folded[id] = append(s.folded[id], "rc-not-in-setup-pw-changed")
			}
		}
	}
	for _, id := range []string{"rc-uuid-byte-order", "rc-fqdn-unresolved"} {
		s.foldUnder(id, "rc-script-error")
	}
	for _, id := range []string{"rc-sql-unreachable", "rc-sql-auth", "rc-db-missing"} {
		s.foldUnder(id, "rc-amtconfig-hung")
	}
	s.foldUnder("rc-install-incomplete", "rc-amtscs-vdir-missing", "rc-db-missing")
	s.foldExpired()
}

// consoleOnly: causes that only the console or the synchronisation meets; they explain no silence.
func consoleOnly(id string) bool {
	switch id {
	case "rc-amtscs-vdir-missing", "rc-https-on-no-tls", "rc-https-off-with-tls", "rc-amtscs-auth", "rc-service-location",
		"rc-sql-instance-split", "rc-resource-sync":
		return true
	}
	return false
}

// foldExpired is rule 5: an ended window is the consequence of a fault that still explains why
// nobody answered; alone it is proven when every link was looked at and is good.
func (s *sorted) foldExpired() {
	i := slices.IndexFunc(s.faults, func(f fault) bool { return f.ID == "rc-hello-expired" })
	if i < 0 {
		return
	}
	var proven, likely string
	for _, f := range s.faults {
		if f.ID == "rc-hello-expired" || consoleOnly(f.ID) || f.stage > 8 || f.behind {
			continue
		}
		if f.Confidence == diag.Proven && proven == "" {
			proven = f.ID
		} else if f.Confidence == diag.Likely && likely == "" {
			likely = f.ID
		}
	}
	if proven == "" {
		proven = likely
	}
	if proven != "" {
		s.foldUnder(proven, "rc-hello-expired")
		return
	}
	if s.c.everyLinkGood() && !slices.ContainsFunc(s.faults, func(f fault) bool { return f.Confidence == diag.Likely && f.ID != "rc-hello-expired" }) {
		f := &s.faults[i]
		f.Confidence = diag.Proven
		f.Decided = append(f.Decided, slices.DeleteFunc(s.c.everyLink(), func(k string) bool {
			return !s.c.Known(k) || slices.Contains(f.Decided, k)
		})...)
	}
}

// postScope is rule 14: the stages that count in state post.
func (c *caseView) postScope() []int {
	if !c.post() {
		return nil
	}
	var scope []int
	for _, id := range c.symptoms() {
		s, _ := LookupSymptom(id)
		if len(s.Causes) == 0 {
			scope = append(scope, 5, 6, 7, 8, 9)
		}
		for _, cause := range s.Causes {
			scope = append(scope, stagesOf(cause)...)
		}
	}
	if len(c.symptoms()) == 0 {
		scope = []int{5, 6, 7, 8, 9}
	}
	if c.Obj("db.amts").Str("state") == "in-progress" {
		scope = append(scope, 8)
	}
	return slices.DeleteFunc(scope, func(n int) bool { return n >= 2 && n <= 4 })
}
