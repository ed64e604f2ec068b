package check

import (
	"slices"

	"amtmedic/diag"
)

func judgeWindow(c *caseView, r *diag.Result) {
	if c.post() || c.localOrManual() || !c.path().window {
		c.skip()
		return
	}
	if c.onlyWithSystem() {
		c.name("rc-me-power-policy", diag.Proven, "wire.client.watch", "wire.client.syn", "client.nic")
		return
	}
	silent, why := c.silent()
	last, seen := c.lastPacket()
	switch {
	case !silent && c.sending():
		c.pass()
	case silent:
		c.judgeSilence(why)
	case seen:
		c.res.Light = diag.Unknown
		c.note("the last packet is older than the longest gap, and nothing was looked at since: watch")
		c.want("wire.client.watch")
		_ = last
	case c.Has("client.window", "open"):
		c.pass()
	default:
		c.want("wire.client.syn", "wire.client.watch", "client.window")
	}
}

// onlyWithSystem: a SYN in a watch with the system running, none in a long one without, on AMT's
// own port.
func (c *caseView) onlyWithSystem() bool {
	ws := c.watches()
	on := slices.ContainsFunc(ws, func(w watch) bool { return w.power == "s0" && w.syn })
	off := slices.ContainsFunc(ws, func(w watch) bool {
		return (w.power == "s3" || w.power == "s5") && w.long() && w.silence && !w.syn
	})
	return on && off && c.Has("client.nic", "onboard-up")
}

// judgeSilence names what a silence means: nothing yet while port or address are wrong or a name
// is asked in vain, else an ended or never opened window.
func (c *caseView) judgeSilence(why []string) {
	if c.portWrong() || c.addressWrong() {
		c.res.Light = diag.Unknown
		return
	}
	if len(c.packets("wire.client.dns")) > 0 && !c.Known("client.window") {
		c.res.Light = diag.Unknown
		c.note("the client asks for the server's name, so it is in Setup Mode: see the name")
		return
	}
	rcfg := c.rcfgOn() || c.method() == "rcfg"
	_, earlier := c.lastPacket()
	row := c.hasRow("db.amts") || c.hasLog()
	if c.Has("client.window", "never-opened") && rcfg && !earlier && !row {
		looked := c.Has("client.nic", "onboard-up") && c.addressKnown() && c.Str("client.suffix") != ""
		c.nameMissing("rc-rcfg-timer-zero", likelyIf(!looked), []string{"client.nic", "client.ip_mode", "client.suffix"},
			"client.window", "client.rcfg_enabled", "client.setup_data", "client.nic", "client.ip_mode", "client.suffix")
		return
	}
	inSetup := c.Has("client.prov_state", "in") || c.rcfgOn()
	if c.Has("client.window", "expired") || earlier || row || inSetup {
		c.nameMissing("rc-hello-expired", diag.Likely, everyLink, append(why, "client.prov_state", "client.setup_data", "client.start_call", "wire.server.hello")...)
		return
	}
	c.res.Light = diag.Unknown
	c.want("client.window", "client.start_call")
}

func (c *caseView) hasLog() bool {
	f, ok := c.Get("srv.log")
	return ok && len(diag.Objs(f.Value)) > 0
}

// everyLink are the keys that prove an ended window once all are looked at and good (rule 5).
var everyLink = []string{"client.nic", "client.ip_mode", "client.suffix", "dns.client", "net.9971", "srv.amtconfig", "db.reach", "db.auth",
	"db.pid_map", "db.uuid_map", "db.profile"}

// everyLinkGood is rule 5's list.
func (c *caseView) everyLinkGood() bool {
	addr, _ := c.serverAddrs()
	stored := c.overrideHost() != "" && c.isServer(c.overrideHost()) == diag.Yes
	name := stored
	for _, f := range c.clientAnswers() {
		a, _ := diag.ObjOf(f).Texts("addr")
		name = name || overlap(a, addr)
	}
	common := c.Has("client.nic", "onboard-up") && c.addressKnown() && (c.Str("client.suffix") != "" || stored) && name &&
		c.Has("net.9971", "connect") && c.Has("srv.amtconfig", "running") && c.Truth("db.reach") == diag.Yes && c.Truth("db.auth") == diag.Yes &&
		c.hasRow("db.uuid_map") && c.hasRow("db.profile")
	if !common {
		return false
	}
	switch c.method() {
	case "psk":
		return c.hasRow("db.pid_map")
	case "rcfg":
		return c.Truth("srv.rcfg_enabled") == diag.Yes && c.Known("cert.eku") && c.Known("cert.not_after") && c.Known("cert.chain") &&
			(c.Known("cert.root_digest") || c.Known("cert.root_in_client_hashes")) && c.Known("client.suffix")
	}
	return false
}

func (c *caseView) addressKnown() bool {
	return c.Has("client.ip_mode", "dhcp-lease", "static") || c.Known("client.me_addr") && !c.Has("client.me_addr", diag.None)
}

func (c *caseView) portWrong() bool { return c.Has("client.nic", "other-nic-only", "onboard-down") }

func (c *caseView) addressWrong() bool {
	return c.Has("client.ip_mode", diag.None) || c.Has("client.me_addr", diag.None) || c.suffixEmpty()
}

// suffixEmpty: the ME reports an empty suffix, or its own lease came without one while its suffix
// is not known; no fault for PSK with a right server stored.
func (c *caseView) suffixEmpty() bool {
	if c.method() == "psk" && c.overrideHost() != "" && c.isServer(c.overrideHost()) != diag.No {
		return false
	}
	if f, ok := c.Get("client.suffix"); ok {
		return f.Value == ""
	}
	for _, f := range slices.Backward(c.packets("wire.client.dhcp")) {
		o := diag.ObjOf(f)
		if o.Str("by") == "me" {
			return o.Has("suffix") && o.Str("suffix") == ""
		}
	}
	return false
}

func judgeNIC(c *caseView, r *diag.Result) {
	if c.localOrManual() && !c.localMode() || c.post() && !c.Known("client.nic") {
		c.skip()
		return
	}
	wlan := c.Obj("client.wlan")
	switch {
	case c.portWrong() && wlan.Truth("up") == diag.Yes:
		bad := wlan.Truth("capable") == diag.No || wlan.Truth("profile") == diag.No || wlan.Truth("shared") == diag.No
		c.name("rc-wlan-off-path", likelyIf(!bad), "client.nic", "client.wlan")
	case c.Has("client.nic", "other-nic-only"):
		c.nameMissing("rc-wrong-nic", likelyIf(!c.Known("client.wlan")), []string{"client.wlan"}, "client.nic", "client.wlan")
	case c.Has("client.nic", "onboard-down"):
		r.Light = diag.Unknown
		c.note("no link on AMT's own port: plug the cable in and look again")
	case c.Has("client.nic", "onboard-up") || c.sending():
		c.pass()
	default:
		c.want("client.nic")
	}
}

func judgeDHCP(c *caseView, r *diag.Result) {
	if c.portWrong() || c.Has("case.method", "manual") || c.localMode() && !c.wantsAdmin() {
		c.skip()
		return
	}
	if c.Has("client.ip_mode", diag.None) || c.Has("client.me_addr", diag.None) && !c.Has("client.ip_mode", "dhcp-lease", "static") {
		c.nameMissing("rc-client-no-dhcp", likelyIf(!c.Known("client.nic")), []string{"client.nic"}, "client.ip_mode", "client.me_addr", "client.start_call", "client.nic")
		return
	}
	if c.suffixEmpty() {
		c.nameMissing("rc-no-dns-suffix", likelyIf(!c.addressKnown()), []string{"client.ip_mode", "client.me_addr"},
			"client.suffix", "wire.client.dhcp", "client.ip_mode", "client.me_addr", "client.start_call")
		return
	}
	if c.addressingInvalid() {
		c.name("rc-static-ip-mismatch", diag.Proven, "client.ip_mode", "client.os_ip_mode", "client.amt_version", "client.me_addr", "client.os_addr")
		return
	}
	if c.addressKnown() && (c.Known("client.suffix") || c.overrideHost() != "") || c.sending() {
		c.pass()
		return
	}
	c.want("client.ip_mode", "client.suffix")
}

// addressingInvalid is rule ver-8.
func (c *caseView) addressingInvalid() bool {
	me, os := c.Str("client.ip_mode"), c.Str("client.os_ip_mode")
	switch {
	case me == "dhcp-lease" && os == "static":
		return true
	case me == "static" && os == "dhcp-lease":
		return c.amt().AtLeast(7, 0)
	case me == "static" && os == "static":
		a := c.Str("client.me_addr")
		return c.below(7) && a != "" && a == c.Str("client.os_addr")
	}
	return false
}
