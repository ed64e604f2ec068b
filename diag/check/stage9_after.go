package check

import (
	"slices"

	"amtmedic/diag"
)

func judgeMgmt(c *caseView, r *diag.Result) {
	if !c.post() {
		c.skip()
		return
	}
	if c.plainAgainstTLS() {
		c.name("rc-mgmt-plain", diag.Proven, "client.prov_state", "srv.tls_mode", "tool.tls", "client.amt_version", "net.16992", "net.16993")
		return
	}
	if c.Known("tool.tls") || c.Known("srv.tls_mode") {
		c.pass()
	}
}

func judgeControlMode(c *caseView, r *diag.Result) {
	if !c.Known("case.control_mode") || !c.amt().IsZero() && !c.amt().AtLeast(6, 2) {
		c.skip()
		return
	}
	if c.Has("case.control_mode", "acm") && c.Has("client.control_mode", "ccm") && (c.post() || !c.Known("client.prov_state")) && c.ownerHere() != diag.No {
		c.nameMissing("rc-control-mode", likelyIf(!c.post() || c.ownerHere() != diag.Yes), []string{"db.amts", "cred.digest", "db.uuid_map", "client.prov_state"},
			"case.control_mode", "client.control_mode", "client.prov_state", "db.amts", "cred.digest", "db.uuid_map")
		return
	}
	if c.Known("client.control_mode") {
		c.pass()
		return
	}
	c.want("client.control_mode")
}

// ownerHere: the provisioned client is ours: by its row, by the server's log-in, and by its name.
func (c *caseView) ownerHere() diag.Tri {
	n, asked := c.Num("cred.digest")
	switch {
	case c.rowOurs() == diag.No || asked && n != 200:
		return diag.No
	case c.rowOurs() == diag.Yes && asked && c.nameOurs() == diag.Yes:
		return diag.Yes
	}
	return diag.Dunno
}

// rowOurs: csti_amts says that this server provisioned the client.
func (c *caseView) rowOurs() diag.Tri {
	switch c.Obj("db.amts").Str("state") {
	case "provisioned":
		return diag.Yes
	case "unprovisioned":
		return diag.No
	}
	if c.Has("db.amts", diag.None) {
		return diag.No
	}
	return diag.Dunno
}

func judgePost(c *caseView, r *diag.Result) {
	if (c.post() || c.symptom("sym-sync-empty")) && c.Truth("db.same_instance") == diag.Yes && c.syncFailed() {
		c.name("rc-resource-sync", diag.Proven, "srv.sync", "db.same_instance", "case.symptom", "client.prov_state")
	}
	if !c.post() {
		return
	}
	if n, _ := c.Num("fleet.same_uuid"); n > 0 {
		c.name("rc-uuid-duplicate", diag.Proven, "fleet.same_uuid")
	}
	c.judgeName()
	if c.onlyWireless() {
		c.nameOffPath()
	}
	if len(r.Causes) == 0 && c.rowOurs() == diag.Yes {
		c.pass()
	}
}

// tunnelAsked: stage 10 lies behind the provisioned state and is walked only when asked for.
func (c *caseView) tunnelAsked() bool {
	return c.symptom("sym-no-tunnel", "sym-tunnel-lost") && !c.Has("client.prov_state", "pre", "in")
}

func judgeCIRA(c *caseView, r *diag.Result) {
	cira := c.Obj("client.cira")
	state, where := cira.Str("state"), cira.Str("network")
	if !c.tunnelAsked() || state == "connected" {
		c.skip()
		return
	}
	if !c.Known("client.cira") {
		c.want("client.cira")
		return
	}
	if c.Has("client.cira", diag.None) || cira.Str("server") != "" && c.tunnelServerWrong(cira.Str("server")) {
		c.name("rc-cira-settings", diag.Proven, "client.cira", "srv.addr", "srv.listen", "srv.fqdn", "srv.mps_listen")
		return
	}
	if state == "connecting" || where == "outside" {
		c.tunnelStuck(state, where)
		return
	}
	if state == "" {
		r.Light = diag.Unknown
		r.Missing = append(r.Missing, "client.cira") // whether it calls was not looked at
		return
	}
	domains, domainsKnown := cira.Texts("domains")
	inside := c.Str("client.suffix") != "" && slices.Contains(domains, c.Str("client.suffix"))
	switch {
	case c.Has("client.ip_mode", "static"):
		c.name("rc-cira-static-ip", diag.Proven, "client.cira", "client.ip_mode")
	case inside:
		c.nameMissing("rc-cira-inside", likelyIf(!c.Known("client.ip_mode")), []string{"client.ip_mode"}, "client.cira", "client.suffix", "client.ip_mode")
	case domainsKnown && c.environmentStale(state):
		c.name("rc-cira-env-stale", diag.Proven, "client.amt_version", "client.cira", "client.suffix", "client.link_up_s", "db.amts", "client.ip_mode")
	default:
		c.want("client.ip_mode", "client.suffix", "client.link_up_s")
	}
}

// tunnelStuck: the client calls; with a static address and everything at the server right, its
// surroundings are the likely reason.
func (c *caseView) tunnelStuck(state, where string) {
	if state == "connecting" && where != "outside" && c.Has("client.ip_mode", "static") && c.mpsRight() {
		c.name("rc-cira-static-ip", diag.Likely, "client.cira", "client.ip_mode", "net.mps", "srv.mps_listen", "srv.mps_root_digest")
		return
	}
	c.pass()
}

func (c *caseView) mpsRight() bool {
	l, _ := c.Texts("srv.mps_listen")
	root := c.Str("client.cira_root_digest")
	return len(l) > 0 && c.Has("net.mps", "connect") && root != "" && root == c.Str("srv.mps_root_digest") && !c.Has("wire.mps", "tls-version") && !c.noCommonTLS()
}

func (c *caseView) tunnelServerWrong(s string) bool {
	if p := portOf(s); p != 0 {
		if l, ok := c.Texts("srv.mps_listen"); ok && len(l) > 0 &&
			!slices.ContainsFunc(l, func(a string) bool { return portOf(a) == p }) {
			return true
		}
	}
	return c.ours(hostOf(s)) == diag.No
}

// environmentStale: AMT 11 judges its surroundings only when the link comes up (MPS-300).
func (c *caseView) environmentStale(state string) bool {
	link, okUp := c.Get("client.link_up_s")
	up, _ := c.Num("client.link_up_s")
	age, okAge := c.rowAge("db.amts")
	return c.amt().Major() == 11 && c.Has("client.ip_mode", "dhcp-lease") && state == "off" && c.Str("client.suffix") != "" &&
		okUp && okAge && seconds(up)+c.Age(link) >= age
}

func judgeMPS(c *caseView, r *diag.Result) {
	if !c.tunnelAsked() || c.Obj("client.cira").Str("state") == "connected" {
		c.skip()
		return
	}
	l, known := c.Texts("srv.mps_listen")
	stored, shown := c.Str("client.cira_root_digest"), c.Str("srv.mps_root_digest")
	switch {
	case known && len(l) == 0:
		c.name("rc-mps-stopped", diag.Proven, "srv.mps_listen")
	case c.Has("net.mps", "timeout", "refused", "unreachable"):
		c.nameMissing("rc-mps-blocked", likelyIf(!known), []string{"srv.mps_listen"}, "net.mps", "srv.mps_listen")
	case c.Has("wire.mps", "tls-version") || c.noCommonTLS():
		c.name("rc-tls-version", diag.Proven, "wire.mps", "srv.tls_versions", "client.tls_versions")
	case c.Has("net.mps", "connect") && stored != "" && shown != "" && stored != shown:
		c.name("rc-cira-trust-lost", diag.Proven, "net.mps", "client.cira_root_digest", "srv.mps_root_digest")
	case c.Has("net.mps", "connect"):
		c.pass()
	default:
		c.want("net.mps", "srv.mps_listen")
	}
}
