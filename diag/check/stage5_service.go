package check

import (
	"slices"
	"strings"
	"time"

	"amtmedic/diag"
)

func judgeService(c *caseView, r *diag.Result) {
	parts := 0
	for _, missing := range []bool{c.Has("srv.amtconfig", "absent"), c.webDirMissing(), c.Truth("db.exists") == diag.No} {
		if missing {
			parts++
		}
	}
	switch {
	case parts >= 2:
		c.name("rc-install-incomplete", diag.Proven, "srv.amtconfig", "srv.amtscs.vdir", "srv.amtscs.status", "db.exists")
	case c.Has("srv.amtconfig", "absent"):
		c.nameMissing("rc-install-incomplete", diag.Likely, []string{"srv.amtscs.vdir", "db.exists"}, "srv.amtconfig")
	case c.Has("srv.amtconfig", "stopped"):
		c.name("rc-amtconfig-stopped", diag.Proven, "srv.amtconfig", "srv.listen", "net.9971")
	case c.Has("srv.amtconfig", "hung") || c.queueStands():
		c.hungService()
	case c.Has("srv.amtconfig", "running"):
		c.pass()
	default:
		c.want("srv.amtconfig")
	}
}

// queueStands: the service runs, entries wait, and nothing has moved for longer than the retry time.
func (c *caseView) queueStands() bool {
	retry, _ := c.retry()
	n, okN := c.Num("db.queue_length")
	idle, okIdle := c.Num("db.queue_idle_s")
	if !c.Has("srv.amtconfig", "running") || !okN || n <= 0 || !okIdle || seconds(idle) <= retry {
		return false
	}
	change, ok := c.Num("fleet.last_change_s")
	return !ok || seconds(change) > retry
}

// hungService names the hung service: likely while the database was not looked at or the retry
// time is not known; a database at fault explains the queue (rule 15).
func (c *caseView) hungService() {
	_, known := c.retry()
	unsure := c.Truth("db.reach") != diag.Yes || c.Truth("db.auth") != diag.Yes || !known && !c.Has("srv.amtconfig", "hung")
	c.nameMissing("rc-amtconfig-hung", likelyIf(unsure), []string{"db.reach", "db.auth", "srv.retry_s"},
		"srv.amtconfig", "db.queue_length", "db.queue_idle_s", "fleet.last_change_s", "srv.retry_s", "db.reach", "db.auth")
}

// webDirMissing: the directory is missing, or, that not looked at, its path answers 404.
func (c *caseView) webDirMissing() bool {
	status, _ := c.Num("srv.amtscs.status")
	return c.Has("srv.amtscs.vdir", "missing") || status == 404 && !c.Known("srv.amtscs.vdir")
}

func judgeAMTSCS(c *caseView, r *diag.Result) {
	before := len(r.Causes)
	status, okStatus := c.Num("srv.amtscs.status")
	if c.webDirMissing() {
		c.name("rc-amtscs-vdir-missing", diag.Proven, "srv.amtscs.vdir", "srv.amtscs.status")
	}
	detail := strings.ToLower(c.Str("srv.amtscs.detail"))
	ssl := (!okStatus || status == 403) && (detail == "ssl-required" || strings.Contains(detail, "ssl") || strings.Contains(detail, "secure channel") || strings.Contains(detail, "403.4"))
	https := c.Str("srv.amtscs.https")
	if https == "" && ssl {
		https = "on"
	}
	decided := []string{"srv.tls_mode", "srv.amtscs.https", "srv.amtscs.status", "srv.amtscs.detail"}
	switch {
	case c.Has("srv.tls_mode", "off") && https == "on":
		c.name("rc-https-on-no-tls", diag.Proven, decided...)
	case c.Has("srv.tls_mode", "on") && https == "off":
		c.name("rc-https-off-with-tls", diag.Proven, decided...)
	}
	if okStatus && (status == 401 || status == 403) && !ssl {
		unknown := detail == "" || detail == diag.None
		c.nameMissing("rc-amtscs-auth", likelyIf(status == 403 && unknown), []string{"srv.amtscs.detail"}, "srv.amtscs.status", "srv.amtscs.detail")
	}
	if loc := c.Str("srv.location"); loc != "" && c.ours(hostOf(loc)) == diag.No {
		_, addrKey := c.serverAddrs()
		c.name("rc-service-location", diag.Proven, append(addrKey, "srv.location", "srv.fqdn")...)
	}
	if len(r.Causes) > before {
		return
	}
	if okStatus && status < 400 || https != "" && c.Known("srv.tls_mode") {
		c.pass()
		return
	}
	if c.post() || c.consoleIsTheQuestion() {
		c.want("srv.amtscs.status", "srv.tls_mode", "srv.amtscs.https")
	}
}

// hostOf gives a host without its port.
func hostOf(s string) string {
	if portOf(s) != 0 {
		return diag.Host(s)
	}
	return s
}

// consoleIsTheQuestion: the symptom may come from the web directory, which no hello passes through.
func (c *caseView) consoleIsTheQuestion() bool {
	return slices.ContainsFunc(c.symptoms(), func(id string) bool {
		s, _ := LookupSymptom(id)
		return slices.ContainsFunc(s.Causes, consoleOnly)
	})
}

// ours: a name or address of the server, as the row of srv.location says.
func (c *caseView) ours(host string) diag.Tri {
	if isAddress(host) {
		l, _ := c.serverAddrs()
		if len(l) == 0 {
			return diag.Dunno
		}
		return diag.Is(slices.Contains(l, host))
	}
	fqdn := c.Str("srv.fqdn")
	if fqdn == "" {
		return diag.Dunno
	}
	return diag.Is(host == fqdn || host == firstLabel(fqdn))
}

func judgeDB(c *caseView, r *diag.Result) {
	switch {
	case c.Truth("db.reach") == diag.No:
		c.name("rc-sql-unreachable", diag.Proven, "db.reach")
	case c.Truth("db.auth") == diag.No:
		c.name("rc-sql-auth", diag.Proven, "db.auth", "db.reach")
	case c.Truth("db.exists") == diag.No:
		c.name("rc-db-missing", diag.Proven, "db.exists", "db.reach")
	case c.Has("db.config", diag.None):
		c.name("rc-config-row-missing", diag.Proven, "db.config")
	}
	if c.Truth("db.same_instance") == diag.No && (c.symptom("sym-sync-empty") || c.syncFailed()) {
		c.name("rc-sql-instance-split", diag.Proven, "db.same_instance", "srv.sync", "case.symptom")
	}
	if len(r.Causes) > 0 {
		return
	}
	if c.Truth("db.reach") == diag.Yes && c.Truth("db.auth") == diag.Yes {
		c.pass()
		return
	}
	c.want("db.reach", "db.auth", "db.exists", "db.config")
}

// syncFailed: Resource Synchronization never ran, failed, or imported nothing.
func (c *caseView) syncFailed() bool {
	if c.Has("srv.sync", "never") {
		return true
	}
	s := c.Obj("srv.sync")
	if e := s.Str("error"); e != "" && e != diag.None {
		return true
	}
	n, ok := s.Num("imported")
	runs, okRuns := s.Num("runs")
	return ok && n == 0 || okRuns && runs == 0
}

// within reports whether an age is known and inside the limit.
func within(age time.Duration, known bool, limit time.Duration) diag.Tri {
	if !known {
		return diag.Dunno
	}
	return diag.Is(age < limit)
}
