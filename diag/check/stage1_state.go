package check

import (
	"amtmedic/diag"
)

func judgeMEI(c *caseView, r *diag.Result) {
	switch c.Str("client.mei") {
	case "ok", "no-me":
		c.pass()
	case "no-driver", "denied":
		c.name("rc-mei-unavailable", diag.Proven, "client.mei")
	case "not-ready":
		r.Light = diag.Unknown
		c.note("the Management Engine is not ready yet: ask again")
	}
}

func judgeSKU(c *caseView, r *diag.Result) {
	if c.Has("client.mei", "no-me") || c.Has("client.sku", "none") {
		switch {
		case c.Has("client.enable_kind", "no-entry"):
			c.name("rc-no-amt", diag.Proven, "client.mei", "client.sku", "client.enable_kind")
		case c.Has("client.enable_kind", "bios-disabled", "soft-disabled"):
			c.name("rc-amt-disabled", diag.Proven, "client.enable_kind", "client.enabled")
		case c.Truth("client.enabled") == diag.No && !c.Known("client.enable_kind"):
			c.name("rc-amt-disabled", diag.Proven, "client.enabled")
		default:
			c.want("client.enable_kind")
		}
		return
	}
	if c.Has("client.sku", "standard") && c.symptom("sym-no-kvm", "sym-no-tunnel") {
		c.name("rc-sku-reduced", diag.Proven, "client.sku", "case.symptom")
		return
	}
	if c.Known("client.sku") || c.Truth("client.enabled") == diag.Yes || len(c.packets("wire.client.syn")) > 0 || c.asksForServer() {
		c.pass()
	}
}

func judgeProvState(c *caseView, r *diag.Result) {
	if c.Has("client.model", "smb") && !c.amt().AtLeast(6, 0) {
		c.name("rc-smb-mode", diag.Proven, "client.model", "client.amt_version")
		return
	}
	switch {
	case c.Known("client.prov_state"):
		c.pass()
	case c.alive():
		c.pass()
		c.note("the client sends, so it is in Setup Mode")
	default:
		c.want("client.prov_state")
	}
}

// pathInto is the way on from the provisioning state (chk-prov-state).
type pathInto struct{ password, window bool }

// path tells whether MEBx and its password, and the sending, are on this client's road.
func (c *caseView) path() pathInto {
	_, packet := c.lastPacket()
	switch c.Str("client.prov_state") {
	case "post":
		return pathInto{}
	case "in":
		return pathInto{window: true}
	case "pre":
		if c.rcfgOn() && !c.mebxAsked() {
			return pathInto{window: true}
		}
		looked := c.rcfgOn() || c.rcfgOff() || c.Has("case.method", "psk", "manual")
		return pathInto{password: true, window: !looked && packet}
	}
	inSetup := c.alive() || c.rcfgOn() || c.Has("client.mode", "4", "5", "6")
	return pathInto{password: !inSetup || c.mebxAsked() && !c.alive(), window: true}
}

func judgePostOwner(c *caseView, r *diag.Result) {
	if !c.post() {
		c.skip()
		return
	}
	if n, ok := c.Num("fleet.same_uuid"); ok && n > 0 {
		c.name("rc-uuid-duplicate", diag.Proven, "fleet.same_uuid")
		return
	}
	row := c.Obj("db.amts")
	switch {
	case c.Has("db.amts", diag.None) || row.Str("state") == "unprovisioned":
		c.name("rc-already-provisioned", diag.Proven, "client.prov_state", "db.amts")
		return
	case row.Str("state") == "in-progress":
		c.note("the server is still at work on it")
		c.pass()
		return
	}
	if row.Str("state") == "provisioned" && c.nameOurs() == diag.Yes {
		n, ok := c.Num("cred.digest")
		switch {
		case ok && n == 401:
			c.nameMissing("rc-admin-password-mismatch", likelyIf(!c.Known("fleet.same_uuid")), []string{"fleet.same_uuid"},
				"cred.digest", "db.amts", "db.uuid_map", "fleet.same_uuid")
			return
		case ok && n == 200:
			c.pass()
			return
		}
	}
	c.want("db.amts", "db.uuid_map", "cred.digest", "wire.back")
}

// nameOurs: the name in csti_amts is the one in the map. Without a map row it is not right.
func (c *caseView) nameOurs() diag.Tri {
	if c.Has("db.uuid_map", diag.None) {
		return diag.No
	}
	have, want := c.Obj("db.amts").Str("fqdn"), c.Obj("db.uuid_map").Str("fqdn")
	if have == "" || want == "" {
		return diag.Dunno
	}
	return diag.Is(have == want)
}

func judgeActivation(c *caseView, r *diag.Result) {
	if !c.Has("client.prov_state", "in") {
		c.skip()
		return
	}
	if !c.Has("client.control_mode", "ccm", "acm") || !c.amt().IsZero() && !c.amt().AtLeast(6, 2) {
		c.pass()
		return
	}
	retry, known := c.retry()
	for _, f := range c.packets("wire.client.syn", "wire.client.hello", "wire.server.syn", "wire.server.hello") {
		if c.Age(f) < retry {
			c.pass()
			return
		}
	}
	if age, ok := c.rowAge("db.queue"); ok && age < retry {
		c.pass()
		return
	}
	_, aged := c.rowAge("db.queue")
	looked := (c.Has("wire.server.hello", diag.None) || c.Has("wire.client.syn", diag.None)) && (c.Has("db.queue", diag.None) || aged)
	c.nameMissing("rc-half-provisioned", likelyIf(!looked || !known), []string{"wire.server.hello", "db.queue", "srv.retry_s"},
		"client.prov_state", "client.control_mode", "wire.server.hello", "wire.client.syn", "db.queue", "srv.retry_s")
}

func judgeEnabled(c *caseView, r *diag.Result) {
	switch c.Truth("client.enabled") {
	case diag.Yes:
		c.pass()
		return
	case diag.No:
		if _, none := c.named["rc-no-amt"]; !none { // there client.enable_kind decides
			c.name("rc-amt-disabled", diag.Proven, "client.enabled", "client.enable_kind")
		}
		return
	}
	switch {
	case c.Has("client.enable_kind", "soft-disabled", "bios-disabled"):
		c.name("rc-amt-disabled", diag.Proven, "client.enable_kind")
	case c.Has("client.enable_kind", "enabled") || c.alive() || c.Has("client.prov_state", "in", "post"):
		c.pass()
	default:
		c.want("client.enabled")
	}
}
