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
	_, seen := c.lastPacket()
	switch {
	case !silent && c.sending():
		c.pass()
	case silent:
		c.judgeSilence(why)
	case seen:
		c.res.Light = diag.Unknown
		c.note("the last packet is older than the longest gap, and nothing was looked at since: watch")
		c.want("wire.client.watch", "client.window")
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
	if c.asksInVain() {
		c.pass()
		c.note("the client asks for the server's name, so it is in Setup Mode: see the name")
		return
	}
	rcfg := c.rcfgOn() || c.method() == "rcfg"
	_, earlier := c.lastPacket()
	row := c.hasRow("db.amts") || c.hasLog()
	if c.Has("client.window", "never-opened") && rcfg && !earlier && !row {
		if c.expectsSetup() == diag.No {
			c.note("nobody has started it yet, on purpose: a local start call does")
			return
		}
		looked := c.Has("client.nic", "onboard-up") && c.addressKnown() && c.Str("client.suffix") != ""
		c.nameMissing("rc-rcfg-timer-zero", likelyIf(!looked), []string{"client.nic", "client.ip_mode", "client.suffix"},
			"client.window", "client.rcfg_enabled", "client.setup_data", "client.nic", "client.ip_mode", "client.suffix")
		return
	}
	inSetup := c.Has("client.prov_state", "in") || c.rcfgOn()
	if c.Has("client.window", "expired") || earlier || row || inSetup {
		c.nameMissing("rc-hello-expired", diag.Likely, c.everyLink(), append(why, "client.prov_state", "client.setup_data", "client.start_call", "wire.server.hello")...)
		return
	}
	c.res.Light = diag.Unknown
	c.want("client.window", "client.start_call")
}

// asksInVain: the client asked for its server's name, not before its window was judged, and got no
// right answer: that is the name's question, not the window's (table 6.3).
func (c *caseView) asksInVain() bool {
	asked := c.packets("wire.client.dns")
	if len(asked) == 0 {
		return false
	}
	w, known := c.Get("client.window")
	if known && asked[len(asked)-1].At.Before(w.At) {
		return false
	}
	return !known || !c.nameRight()
}

func (c *caseView) hasLog() bool {
	f, ok := c.Get("srv.log")
	return ok && len(diag.Objs(f.Value)) > 0
}

// everyLink are the keys that prove an ended window once all are looked at and good (rule 5), as the
// client's method has them.
func (c *caseView) everyLink() []string {
	keys := []string{"client.nic", "client.ip_mode", "client.suffix", "dns.client", "net.9971", "srv.amtconfig", "db.reach", "db.auth"}
	if c.method() != "rcfg" {
		keys = append(keys, "db.pid_map")
	} else {
		keys = append(keys, "srv.rcfg_enabled", "cert.eku", "cert.not_after", "cert.chain", "cert.root_digest", "cert.root_in_client_hashes", "cert.names")
	}
	return append(keys, "db.uuid_map", "db.profile")
}

// everyLinkGood is rule 5's list.
func (c *caseView) everyLinkGood() bool {
	stored := c.overrideHost() != "" && c.isServer(c.overrideHost()) == diag.Yes
	common := c.Has("client.nic", "onboard-up") && c.addressKnown() && (c.Str("client.suffix") != "" || stored) && (stored || c.nameRight()) &&
		c.Has("net.9971", "connect") && c.Has("srv.amtconfig", "running") && c.Truth("db.reach") == diag.Yes && c.Truth("db.auth") == diag.Yes &&
		c.hasRow("db.uuid_map") && c.hasRow("db.profile")
	if !common {
		return false
	}
	switch c.method() {
	case "psk":
		return c.hasRow("db.pid_map")
	case "rcfg":
		_, _, hashes := c.clientHashes()
		return c.Truth("srv.rcfg_enabled") == diag.Yes && c.Known("cert.eku") && c.Known("cert.not_after") && c.Known("cert.chain") &&
			(c.Known("cert.root_digest") && hashes || c.Known("cert.root_in_client_hashes")) && c.Known("client.suffix") && c.Known("cert.names")
	}
	return false
}

// nameRight: the client's side resolves the name to the server.
func (c *caseView) nameRight() bool {
	addr, _ := c.serverAddrs()
	for _, f := range c.clientAnswers() {
		if a, _ := diag.ObjOf(f).Texts("addr"); overlap(a, addr) {
			return true
		}
	}
	return false
}

// addressKnown: the ME has an address, as it says itself or as its own lease on the wire shows.
func (c *caseView) addressKnown() bool {
	if c.Has("client.ip_mode", "dhcp-lease", "static") || c.Known("client.me_addr") && !c.Has("client.me_addr", diag.None) {
		return true
	}
	lease := c.ownLease()
	return lease.Str("addr") != ""
}

// noAddress: the ME was looked at and has none. Of two keys that watch one thing the later counts.
func (c *caseView) noAddress() bool {
	mode, _ := c.Get("client.ip_mode")
	addr, _ := c.Get("client.me_addr")
	switch {
	case mode.Value == diag.None:
		return addr.Value == nil || addr.Value == diag.None || !addr.At.After(mode.At)
	case addr.Value == diag.None:
		return mode.Value == nil || !mode.At.After(addr.At)
	}
	return false
}

// ownLease is the latest lease on the wire that is the ME's own.
func (c *caseView) ownLease() diag.Obj {
	for _, f := range slices.Backward(c.packets("wire.client.dhcp")) {
		if o := diag.ObjOf(f); o.Str("by") == "me" {
			return o
		}
	}
	return diag.Obj{}
}

func (c *caseView) portWrong() bool { return c.Has("client.nic", "other-nic-only", "onboard-down") }

func (c *caseView) addressWrong() bool {
	return c.noAddress() || c.suffixEmpty()
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
	lease := c.ownLease()
	return lease.Has("suffix") && lease.Str("suffix") == ""
}

func judgeNIC(c *caseView, r *diag.Result) {
	if c.localOrManual() && !c.localMode() || c.post() && !c.Known("client.nic") {
		c.skip()
		return
	}
	switch {
	case c.onlyWireless():
		c.nameOffPath()
	case c.Has("client.nic", "other-nic-only"):
		wlanKnown := c.Has("client.wlan", diag.None) || c.Obj("client.wlan").Has("up")
		c.nameMissing("rc-wrong-nic", likelyIf(!wlanKnown), []string{"client.wlan"}, "client.nic", "client.wlan")
	case c.Has("client.nic", "onboard-down"):
		r.Light = diag.Unknown
		c.note("no link on AMT's own port: plug the cable in and look again")
	case c.Has("client.nic", "onboard-up") || c.alive():
		c.pass()
	default:
		c.want("client.nic")
	}
}

// onlyWireless: no link on AMT's own port, and wireless is up.
func (c *caseView) onlyWireless() bool {
	return c.portWrong() && c.Obj("client.wlan").Truth("up") == diag.Yes
}

func (c *caseView) nameOffPath() {
	wlan := c.Obj("client.wlan")
	bad := wlan.Truth("capable") == diag.No || wlan.Truth("profile") == diag.No || wlan.Truth("shared") == diag.No
	c.nameMissing("rc-wlan-off-path", likelyIf(!bad), []string{"client.wlan"}, "client.nic", "client.wlan")
}

func judgeDHCP(c *caseView, r *diag.Result) {
	if c.portWrong() || c.Has("case.method", "manual") || c.localMode() && !c.wantsAdmin() {
		c.skip()
		return
	}
	if c.noAddress() {
		c.nameMissing("rc-client-no-dhcp", likelyIf(!c.Known("client.nic")), []string{"client.nic"}, "client.ip_mode", "client.me_addr", "client.start_call", "client.nic")
		return
	}
	if c.suffixEmpty() && c.suffixAtCertificate() {
		r.Light = diag.Suspect // the client sends: it stands at chk-rcfg then (6.1)
	} else if c.suffixEmpty() {
		c.nameMissing("rc-no-dns-suffix", likelyIf(!c.addressKnown()), []string{"client.ip_mode", "client.me_addr"},
			"client.suffix", "wire.client.dhcp", "client.ip_mode", "client.me_addr", "client.start_call")
		return
	}
	if c.addressingInvalid() {
		c.name("rc-static-ip-mismatch", diag.Proven, "client.ip_mode", "client.os_ip_mode", "client.amt_version", "client.me_addr", "client.os_addr")
		return
	}
	if c.addressKnown() && (c.Known("client.suffix") || c.overrideHost() != "") || c.sending() || c.asksWithSuffix() {
		c.pass()
		return
	}
	c.want("client.ip_mode", "client.suffix")
}

// suffixAtCertificate: an empty suffix of a client that sends hellos of Remote Configuration is the
// question of its certificate, not of its address (6.1).
func (c *caseView) suffixAtCertificate() bool {
	f, ok := c.Get("client.suffix")
	return ok && f.Value == "" && c.acquitted() && c.rcfgOnRoad() && !c.localMode()
}

// asksWithSuffix: the client asks for its server's name with a suffix, so it has one, and an address.
func (c *caseView) asksWithSuffix() bool {
	return c.asksForServer() && slices.ContainsFunc(c.packets("wire.client.dns"), func(f diag.Fact) bool {
		q := diag.ObjOf(f).Str("qname")
		return firstLabel(q) == serverName && q != serverName
	})
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
