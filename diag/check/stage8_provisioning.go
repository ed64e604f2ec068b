package check

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"amtmedic/diag"
)

func judgeParams(c *caseView, r *diag.Result) {
	if n, ok := c.Num("fleet.same_uuid"); ok && n > 0 {
		c.name("rc-uuid-duplicate", diag.Proven, "fleet.same_uuid")
	}
	if c.Has("db.uuid_map", diag.None) {
		c.judgeNoMapRow()
	}
	c.judgeName()
	profiles, listed := c.Texts("db.profiles")
	if c.Has("db.profile", diag.None) || listed && len(profiles) == 0 && !c.hasRow("db.profile") {
		c.name("rc-no-profile", diag.Proven, "db.profile", "db.profiles")
	}
	if len(r.Causes) > 0 {
		return
	}
	if c.hasRow("db.uuid_map") && c.hasRow("db.profile") {
		c.pass()
		return
	}
	c.want("db.uuid_map", "db.profile")
	if c.UUID() == "" {
		c.want("client.uuid")
	}
}

// judgeName: the row has another name than the one PC of this UUID has now.
func (c *caseView) judgeName() {
	have, now := c.Obj("db.uuid_map").Str("fqdn"), c.Str("client.os_name")
	if !strings.Contains(now, ".") {
		have = firstLabel(have)
	}
	if n, ok := c.Num("fleet.same_uuid"); have != "" && now != "" && have != now && n == 0 {
		c.nameMissing("rc-uuid-map-stale", likelyIf(!ok), []string{"fleet.same_uuid"}, "db.uuid_map", "client.os_name", "fleet.same_uuid")
	}
}

// judgeNoMapRow: no name for the UUID. Of the four causes only the first that holds.
func (c *caseView) judgeNoMapRow() {
	swappedKnown := c.Has("db.uuid_map_swapped", diag.None)
	imported := c.Has("srv.uuid_policy", "imported-only")
	switch {
	case c.hasRow("db.uuid_map_swapped"):
		c.name("rc-uuid-byte-order", diag.Proven, "db.uuid_map", "db.uuid_map_swapped")
	case imported:
		c.nameMissing("rc-uuid-not-allowed", likelyIf(!swappedKnown), []string{"db.uuid_map_swapped"}, "db.uuid_map", "srv.uuid_policy", "db.uuid_map_swapped")
	case c.Has("srv.params_from", "db"):
		c.nameMissing("rc-db-params-empty", likelyIf(!swappedKnown || !c.Known("srv.uuid_policy")), []string{"db.uuid_map_swapped", "srv.uuid_policy"},
			"db.uuid_map", "srv.params_from", "db.uuid_map_swapped", "srv.uuid_policy")
	default:
		c.judgeUnresolved(swappedKnown)
	}
}

func (c *caseView) judgeUnresolved(swappedKnown bool) {
	if c.hasRow("db.discovery") {
		c.note("the discovery knows a name for this UUID")
		return
	}
	reverse := diag.Dunno
	for _, f := range c.Each("dns.reverse") {
		o := diag.ObjOf(f)
		if src := c.helloSource(); src != "" && o.Str("addr") != "" && o.Str("addr") != src {
			continue
		}
		if l, ok := o.Texts("name"); ok {
			reverse = diag.Is(len(l) > 0)
		}
	}
	if reverse == diag.Yes {
		c.note("the client's address has a name in the reverse zone")
		return
	}
	sure := swappedKnown && c.Has("db.discovery", diag.None) && reverse == diag.No && c.Has("srv.params_from", "script") && c.Has("srv.uuid_policy", "any")
	c.nameMissing("rc-fqdn-unresolved", likelyIf(!sure), []string{"db.uuid_map_swapped", "db.discovery", "dns.reverse", "srv.params_from", "srv.uuid_policy"},
		"db.uuid_map", "db.uuid_map_swapped", "db.discovery", "dns.reverse", "srv.params_from", "srv.uuid_policy")
}

func judgeScript(c *caseView, r *diag.Result) {
	if c.Has("srv.params_from", "db") {
		c.skip()
		return
	}
	s := c.Obj("srv.script")
	code, ran := s.Num("exit_code")
	switch {
	case s.Truth("exists") == diag.No:
		c.name("rc-script-missing", diag.Proven, "srv.script")
	case ran && code != 0:
		c.nameMissing("rc-script-error", likelyIf(!c.Known("db.uuid_map")), []string{"db.uuid_map"}, "srv.script", "db.uuid_map")
	case ran:
		c.pass()
	}
}

func judgeQueue(c *caseView, r *diag.Result) {
	if c.hasRow("db.delayed") {
		r.Light = diag.Unknown
		if reason := c.Obj("db.delayed").Str("reason"); reason != "" {
			c.note("the entry is delayed: " + reason)
		}
		return
	}
	if c.hasRow("db.queue") && (c.queueStands() || c.Has("srv.amtconfig", "hung")) {
		c.hungService()
		return
	}
	age, known := c.rowAge("db.queue")
	retry, _ := c.retry()
	switch {
	case c.Has("db.queue", diag.None):
		if c.backDue() {
			c.want("db.delayed")
		}
	case within(age, known, retry) == diag.Yes:
		c.pass()
	case c.hasRow("db.queue"):
		r.Light = diag.Unknown
		c.want("db.queue_length", "db.queue_idle_s", "srv.retry_s")
	case c.backDue():
		c.want("db.queue")
	}
}

// errorWords mark a log row as an error (row of srv.log in section 1.1).
var errorWords = []string{"fail", "error", "cannot", "could not", "refus", "denied", "expired", "invalid", "not found", "unable", "missing",
	"reject", "timed out", "time-out", "alert"}

// nought is a count of none, such as "0 errors" or "errors: 0".
var nought = regexp.MustCompile(`\b(?:0|no) (?:errors?|fail(?:ed|ures?)?|alerts?|missing|rejects?|rejected|refused|expired|invalid|denied)\b|` +
	`\b(?:errors?|fail(?:ed|ures?)?|alerts?|missing|rejects?|rejected|refused|expired|invalid|denied)\s*[:=]\s*0\b`)

// errorSince: a row of the log says error at or after t. known is false while nobody looked.
func (c *caseView) errorSince(t time.Time) (found, known bool) {
	f, ok := c.Get("srv.log")
	if !ok {
		return false, false
	}
	for _, row := range diag.Objs(f.Value) {
		at, err := time.Parse(time.RFC3339, row.Str("at"))
		if (err != nil || !at.Before(t)) && isError(row.Str("text")) {
			return true, true
		}
	}
	return false, true
}

func isError(text string) bool {
	text = nought.ReplaceAllString(strings.ToLower(text), "")
	if slices.ContainsFunc(errorWords, func(w string) bool { return strings.Contains(text, w) }) {
		return true
	}
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "0x")
		if !ok {
			return false
		}
		n := 0
		for n < len(after) && strings.IndexByte("0123456789abcdef", after[n]) >= 0 {
			n++
		}
		if n >= 6 {
			return true
		}
		rest = after
	}
}

func judgeArtifacts(c *caseView, r *diag.Result) {
	tls := !c.Has("srv.tls_mode", "off")
	switch {
	case tls && c.Has("srv.ca", "unreachable", "refused"):
		c.name("rc-ca-unavailable", diag.Proven, "srv.ca", "srv.tls_mode")
	case tls && c.Has("srv.ca", "crl"):
		c.name("rc-ca-crl", diag.Proven, "srv.ca", "srv.tls_mode")
	}
	if c.Has("srv.ad", "unreachable", "refused") {
		c.name("rc-ad-integration", diag.Proven, "srv.ad")
	}
	if len(r.Causes) == 0 && (c.Has("srv.ca", "ok", "not-used") || c.Has("srv.ad", "ok", "not-used")) {
		c.pass()
	}
}
