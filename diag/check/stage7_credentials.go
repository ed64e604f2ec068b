package check

import (
	"slices"
	"strings"

	"amtmedic/diag"
)

func judgePID(c *caseView, r *diag.Result) {
	v := c.helloVersion()
	if v == 0 && c.method() == "" {
		return // which credentials count is not known yet
	}
	if v == 3 || v == 0 && c.method() != "psk" || c.localOrManual() {
		c.skip()
		return
	}
	pidKeys := []string{"wire.server.hello", "wire.client.hello", "client.pid"}
	switch {
	case c.PID() == "" && v != 2:
		c.want("wire.server.hello", "client.pid")
	case c.Has("db.pid_map", diag.None):
		c.judgeUnknownPID(pidKeys)
	case c.hasRow("db.pid_map"):
		alert := c.Has("cred.psk", "alert") || !c.Known("cred.psk") && c.Has("wire.back", "tls-alert")
		closed := c.Has("cred.psk", "closed") || !c.Known("cred.psk") && c.Has("wire.back", "tls-closed")
		if alert || closed {
			c.nameMissing("rc-pps-mismatch", likelyIf(!alert), []string{"cred.psk"}, append(pidKeys, "db.pid_map", "cred.psk", "wire.back")...)
			return
		}
		c.pass()
	case c.Has("cred.psk", "no-pid") || c.logSays("failed to find pid mapping"):
		c.nameMissing("rc-pid-unknown", diag.Likely, []string{"db.pid_map"}, append(pidKeys, "cred.psk", "srv.log")...)
	default:
		c.want("db.pid_map")
	}
}

// judgeUnknownPID: the PID has no row. A near one among the unused rows of a client that was keyed
// by hand is a slip of the finger; many clients at once, or the OEM's file, are not.
func (c *caseView) judgeUnknownPID(pidKeys []string) {
	near, looked := c.Texts("db.pid_near")
	notHand := c.Has("client.keyed_by", "usb", "oem")
	elsewhere := c.Truth("keys.oem_has_pid") == diag.Yes || c.manyFail() || notHand
	decided := append(pidKeys, "db.pid_map", "db.pid_near", "client.keyed_by", "keys.oem_has_pid", "fleet.failing")
	if len(near) > 0 && !elsewhere {
		c.nameMissing("rc-pid-mistyped", likelyIf(!c.Has("client.keyed_by", "hand")), []string{"client.keyed_by"}, decided...)
		return
	}
	sure := looked && len(near) == 0 || elsewhere
	c.nameMissing("rc-pid-unknown", likelyIf(!sure), []string{"db.pid_near", "client.keyed_by"}, decided...)
}

func (c *caseView) logSays(words string) bool {
	f, ok := c.Get("srv.log")
	if !ok {
		return false
	}
	for _, row := range diag.Objs(f.Value) {
		if strings.Contains(strings.ToLower(row.Str("text")), words) {
			return true
		}
	}
	return false
}

var noConnect = []string{"refused", "timeout", "unreachable"}

// backFailed: the last connection of the server to the client failed on the path. Of the service's
// own try and a probe of the port the later counts.
func (c *caseView) backFailed() bool {
	back, tried := c.Get("wire.back")
	if probe, ok := c.Get("net.16993"); ok && (!tried || back.Value == "not-attempted" || probe.At.After(back.At) && probe.Value != "connect") {
		return c.Has("net.16993", noConnect...) && !c.Has("net.16992", "connect") // without TLS it is the other port
	}
	return c.Has("wire.back", "refused", "timeout")
}

// portOpens: port 16993 of the ME's present address connects, not earlier than the failed try.
func (c *caseView) portOpens() bool {
	back, _ := c.Get("wire.back")
	probe, ok := c.Get("net.16993")
	return ok && probe.Value == "connect" && !probe.At.Before(back.At)
}

func judgeBack(c *caseView, r *diag.Result) {
	if c.localOrManual() {
		c.skip()
		return
	}
	tunnel := c.post() && c.Obj("client.cira").Str("state") == "connected"
	failed := c.backFailed()
	if failed && !tunnel { // with a tunnel closed by design (R-outside)
		c.judgePath()
	}
	if c.Has("wire.back", "tls-version") || c.noCommonTLS() {
		c.name("rc-tls-version", diag.Proven, "wire.back", "srv.tls_versions", "client.tls_versions")
	}
	switch {
	case len(r.Causes) > 0 || len(r.Missing) > 0:
	case failed || c.Known("wire.back") && !c.Has("wire.back", "not-attempted"):
		c.pass()
	case c.backDue():
		c.want("wire.back")
	}
}

// judgePath: the connection back failed; whose fault is it?
func (c *caseView) judgePath() {
	switch {
	case c.otherAddressTried():
		c.name("rc-static-ip-mismatch", diag.Proven, "wire.back", "wire.back_dst", "net.16993", "client.me_addr", "client.os_addr", "wire.server.hello", "dns.forward")
	case c.natBetween():
		c.name("rc-nat-between", diag.Proven, "wire.server.hello", "client.me_addr", "client.os_addr", "wire.back", "wire.back_dst", "net.16993")
	case c.portOpens():
	case !c.post() && !c.Has("client.prov_state", "in") && !c.rcfgOn() && !c.helloKnown():
		c.want("client.prov_state")
	default:
		dst := diag.Host(c.Str("wire.back_dst"))
		sure := dst != "" && dst == c.Str("client.me_addr") && (!c.post() || c.Known("client.cira"))
		c.nameMissing("rc-return-path-blocked", likelyIf(!sure), []string{"wire.back_dst", "client.me_addr", "client.cira"},
			"wire.back", "wire.back_dst", "net.16993", "client.me_addr", "wire.server.hello", "client.cira")
	}
}

func (c *caseView) helloKnown() bool {
	return len(c.packets("wire.server.hello", "wire.client.hello")) > 0
}

// backDue: the server should have connected back by now.
func (c *caseView) backDue() bool { return c.helloKnown() || c.hasRow("db.amts") }

// helloSource is the address that the latest hello came from, as the server saw it.
func (c *caseView) helloSource() string {
	ps := c.packets("wire.server.hello")
	if len(ps) == 0 {
		return ""
	}
	return diag.Host(diag.ObjOf(ps[len(ps)-1]).Str("src"))
}

// otherAddressTried: the server tries the operating system's address while the ME has another.
func (c *caseView) otherAddressTried() bool {
	os, me := c.Str("client.os_addr"), c.Str("client.me_addr")
	if me == "" || me == diag.None {
		me = c.helloSource()
	}
	if os == "" || os == diag.None || me == "" || me == os {
		return false
	}
	if dst := diag.Host(c.Str("wire.back_dst")); dst != "" {
		return dst == os
	}
	return slices.ContainsFunc(c.Each("dns.forward"), func(f diag.Fact) bool {
		a, _ := diag.ObjOf(f).Texts("addr")
		return slices.Contains(a, os)
	})
}

// natBetween: the hello's source is neither the ME's nor the system's address, and it is what the
// server tries in vain.
func (c *caseView) natBetween() bool {
	me, os, src := c.Str("client.me_addr"), c.Str("client.os_addr"), c.helloSource()
	if !isAddress(src) || me == "" || me == diag.None || os == "" {
		return false
	}
	dst := diag.Host(c.Str("wire.back_dst"))
	return src != me && src != os && (dst == "" || dst == src)
}

func judgeAdmin(c *caseView, r *diag.Result) {
	if c.post() {
		c.skip() // chk-post-owner
		return
	}
	switch n, ok := c.Num("cred.digest"); {
	case ok && n == 401:
		c.nameMissing("rc-admin-password-mismatch", likelyIf(!c.Known("client.prov_state")), []string{"client.prov_state"}, "cred.digest", "client.prov_state")
	case ok:
		c.pass()
	}
}
