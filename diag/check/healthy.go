package check

import (
	"slices"
	"strings"

	"time"

	"amtmedic/amt"
	"amtmedic/diag"
)

// okVerdict is a verdict without fault whose conditions hold as far as they are known.
type okVerdict struct {
	id      string
	decided []string
	missing []string // conditions that nobody looked at
}

func (o okVerdict) complete() bool { return len(o.missing) == 0 }

// condition is one condition of a verdict without fault: does it hold, and which keys tell.
type condition struct {
	holds diag.Tri
	keys  []string
}

func cond(t diag.Tri, keys ...string) condition { return condition{t, keys} }

// healthy lists the verdicts without fault that nothing known speaks against, the surer kinds
// first (6.5). required conditions may not lack; others may.
func (c *caseView) healthy(s *sorted) []okVerdict {
	var out []okVerdict
	add := func(id string, required, others []condition) {
		o := okVerdict{id: id}
		for i, k := range append(append([]condition{}, required...), others...) {
			switch {
			case k.holds == diag.No, k.holds == diag.Dunno && i < len(required):
				return
			case k.holds == diag.Dunno:
				o.missing = append(o.missing, k.keys...)
			default:
				for _, key := range k.keys {
					key = c.Source(key)
					if strings.HasPrefix(key, "wire.") && len(c.packets(key)) == 0 {
						continue // a packet that was not seen decides nothing good
					}
					if c.Known(key) || len(c.All(key)) > 0 {
						o.decided = appendNew(o.decided, key)
					}
				}
			}
		}
		out = append(out, o)
	}
	if c.post() {
		c.healthyPost(s, add)
		return out
	}
	c.healthyQueue(s, add)
	c.healthyWaiting(s, add)
	c.healthyIdle(add)
	return out
}

func appendNew(l []string, s string) []string {
	for _, x := range l {
		if x == s {
			return l
		}
	}
	return append(l, s)
}

type adder func(id string, required, others []condition)

func (c *caseView) healthyPost(s *sorted, add adder) {
	row := diag.Dunno
	switch c.Obj("db.amts").Str("state") {
	case "provisioned":
		row = diag.Yes
	case "unprovisioned", "in-progress":
		row = diag.No
	}
	login := diag.Dunno
	if n, ok := c.Num("cred.digest"); ok {
		login = diag.Is(n == 200)
	}
	unique := diag.Yes
	if n, ok := c.Num("fleet.same_uuid"); ok && n > 0 {
		unique = diag.No
	}
	ours := []condition{cond(row, "client.prov_state", "db.amts")}
	common := []condition{cond(c.nameOurs(), "db.amts", "db.uuid_map"), cond(login, "cred.digest"), cond(diag.Is(!s.judgedFault()), "case.symptom"), cond(unique)}
	shut := func(key string) diag.Tri {
		switch {
		case !c.Known(key):
			return diag.Dunno
		case c.Has(key, "connect"):
			return diag.No
		}
		return diag.Yes
	}
	a, b := shut("net.16992"), shut("net.16993")
	closed := diag.Dunno
	if a == diag.No || b == diag.No {
		closed = diag.No
	} else if a == diag.Yes || b == diag.Yes {
		closed = diag.Yes
	}
	connected := diag.Dunno
	if c.Known("client.cira") {
		connected = diag.Is(c.Obj("client.cira").Str("state") == "connected")
	}
	add("ok-cira-outside", append(ours, cond(connected, "client.cira"), cond(closed, "net.16992", "net.16993")), common)
	add("ok-provisioned", ours, common)
	if c.Obj("db.amts").Str("state") == "in-progress" {
		c.healthyQueue(s, add)
	}
}

// judgedFault: a fault is proven in what is judged. A likely one does not speak against it (6.5).
func (s *sorted) judgedFault() bool {
	return slices.ContainsFunc(s.faults, func(f fault) bool { return f.Confidence == diag.Proven && !f.behind })
}

func (c *caseView) healthyQueue(s *sorted, add adder) {
	retry, retryKnown := c.retry()
	age, ageKnown := c.rowAge("db.queue")
	row := diag.Dunno
	if c.hasRow("db.queue") {
		row = diag.Yes
	} else if c.Has("db.queue", diag.None) {
		row = diag.No
	}
	young := within(age, ageKnown, retry)
	if young == diag.Yes && !retryKnown {
		young = diag.Dunno
	}
	received := diag.Dunno
	if len(c.packets("wire.server.hello")) > 0 || c.hasLog() || c.hasRow("db.amts") {
		received = diag.Yes
	}
	clean := diag.Dunno
	birth, _ := c.Get("db.queue")
	born := birth.At.Add(-(age - c.Age(birth)))
	if found, known := c.errorSince(born); known && !found && !ageKnown {
		if ever, _ := c.errorSince(time.Time{}); !ever {
			clean = diag.Yes
		}
	} else if known {
		clean = diag.Is(!found)
	}
	delayed := diag.Dunno
	if c.Known("db.delayed") {
		delayed = diag.Is(!c.hasRow("db.delayed"))
	}
	add("ok-in-progress", []condition{cond(row, "db.queue")}, []condition{
		cond(received, "wire.server.hello", "srv.log", "db.amts"), cond(young, "srv.retry_s", "db.queue"),
		cond(clean, "srv.log"), cond(delayed, "db.delayed")})
}

func (c *caseView) healthyWaiting(s *sorted, add adder) {
	if !c.onWire() {
		return
	}
	fresh := diag.Dunno
	if last, ok := c.lastTry(); ok {
		fresh = diag.Is(c.Age(last) < longestGap)
	}
	open := diag.Dunno
	silent, _ := c.silent()
	switch {
	case silent:
		open = diag.No
	case c.Has("client.window", "open") || fresh == diag.Yes:
		open = diag.Yes
	}
	name := diag.Dunno
	addrs, _ := c.serverAddrs()
	if c.nameAcquitted() || c.nameRight() {
		name = diag.Yes
	} else if target, _ := c.synTarget(); len(addrs) > 0 && len(c.clientAnswers()) > 0 || target != "" && c.isServer(target) == diag.No {
		name = diag.No
	}
	port := diag.Dunno
	if c.Known("net.9971") {
		port = diag.Is(c.connectNow())
	}
	service := diag.Dunno
	if c.Known("srv.amtconfig") {
		service = diag.Is(c.Has("srv.amtconfig", "running"))
	}
	queued := diag.Is(!c.hasRow("db.delayed") && !c.hasRow("db.queue")) // then it is for the service to go on
	add("ok-waiting-retry", []condition{cond(fresh, "wire.client.syn", "wire.client.hello", "wire.server.syn", "wire.server.hello")}, []condition{
		cond(open, "client.window", "wire.client.syn"), cond(name, "dns.client", "srv.addr"), cond(port, "net.9971"),
		cond(service, "srv.amtconfig"), cond(queued), cond(diag.Is(!c.unstored())), cond(diag.Is(!s.provenAnywhere() && !s.likelyOnRoad()))})
}

// unstored: a hello stands at the server, and where its row should be somebody looked since and found
// none (table 6.3): the service did not store it, and its next one fares no better, unless a fault of
// the service or the database has been repaired in between.
func (c *caseView) unstored() bool {
	hellos := c.packets("wire.server.hello")
	if len(hellos) == 0 || c.hasRow("db.amts") || c.hasRow("db.queue") || c.hasRow("db.delayed") || c.hasLog() {
		return false
	}
	last := hellos[len(hellos)-1]
	empty := func(key string) bool {
		f, ok := c.Get(key)
		return ok && !f.At.Before(last.At)
	}
	return (empty("db.amts") || empty("db.queue") && empty("srv.log")) && !c.repaired()
}

// repaired: a fault of the service or the database is in the history.
func (c *caseView) repaired() bool {
	bad := map[string][]any{"srv.amtconfig": {"stopped", "hung", "absent"}, "db.reach": {false}, "db.auth": {false}, "db.exists": {false}, "db.config": {diag.None}}
	for key, values := range bad {
		if slices.ContainsFunc(c.All(key), func(f diag.Fact) bool { return slices.Contains(values, f.Value) }) {
			return true
		}
	}
	return false
}

// lastTry is the latest hello, or SYN that was unanswered or refused at that time.
func (c *caseView) lastTry() (diag.Fact, bool) {
	answers := c.packets("wire.client.synack", "wire.server.synack")
	for _, f := range slices.Backward(c.packets("wire.client.syn", "wire.client.hello", "wire.server.syn", "wire.server.hello")) {
		answered := slices.ContainsFunc(answers, func(g diag.Fact) bool { return !g.At.Before(f.At) })
		if strings.HasSuffix(f.Key, ".hello") || !answered {
			return f, true
		}
	}
	return diag.Fact{}, false
}

// likelyOnRoad: a link of the road is likely at fault, so not every link is green.
func (s *sorted) likelyOnRoad() bool {
	return slices.ContainsFunc(s.faults, func(f fault) bool { return f.Confidence == diag.Likely && !f.behind })
}

// provenAnywhere: a fault is proven somewhere on the road, whatever its place.
func (s *sorted) provenAnywhere() bool {
	for _, f := range s.faults {
		if f.Confidence == diag.Proven && f.ID != "rc-mei-unavailable" && f.ID != "rc-scs-version-unstable" {
			return true
		}
	}
	return false
}

func (c *caseView) healthyIdle(add adder) {
	expects := diag.Dunno
	if t := c.expectsSetup(); t != diag.Dunno {
		expects = diag.Is(t == diag.No)
	}
	ready := diag.Dunno
	if c.Has("client.mebx_password", "factory") || c.rcfgOn() {
		ready = diag.Yes
	} else if c.Known("client.mebx_password") {
		ready = diag.No
	}
	tried := diag.Yes
	if _, packet := c.lastPacket(); packet || c.usbTried() == diag.Yes || c.hasLog() || c.Has("client.window", "open", "expired") || c.hasRow("db.amts") || c.hasRow("db.queue") || c.hasRow("db.delayed") {
		tried = diag.No
	}
	state := diag.Dunno
	if c.Known("client.prov_state") {
		state = diag.Is(c.Has("client.prov_state", "pre") || c.rcfgOn())
	}
	enabled := c.Truth("client.enabled")
	mode2 := diag.Dunno
	if c.rcfgOn() || c.rcfgOff() {
		mode2 = diag.Yes
	}
	if m := amt.Mode(c.Str("client.mode")); m == amt.ModeFactory || m == amt.ModePKI {
		mode2 = diag.Yes
	}
	add("ok-not-started", []condition{cond(expects, "case.expects_setup"), cond(ready, "client.mebx_password", "client.rcfg_enabled", "client.setup_data")},
		[]condition{cond(tried), cond(state, "client.prov_state"), cond(enabled, "client.enabled"), cond(mode2, "client.rcfg_enabled")})
}
