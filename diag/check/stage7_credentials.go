package check

import (
	"net/netip"
	"strings"

	"amtmedic/diag"
)

func judgePID(c *caseView, r *diag.Result) {
	v := c.helloVersion()
	if v == 3 || v == 0 && c.method() != "psk" || c.post() || c.localOrManual() {
		c.skip()
		return
	}
	pidKeys := []string{"wire.server.hello", "wire.client.hello", "client.pid"}
	switch {
	case c.PID() == "":
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

// backFailed: the connection of the server back to the client failed on the path; keys tell how.
func (c *caseView) backFailed() (failed, direct bool) {
	if f, ok := c.Get("wire.back"); ok {
		g, later := c.Get("net.16993")
		if later && g.Value == "connect" && !g.At.Before(f.At) {
			return false, true
		}
		return f.Value == "refused" || f.Value == "timeout", true
	}
	return c.Has("net.16993", "refused", "timeout", "unreachable"), false
}

func judgeBack(c *caseView, r *diag.Result) {
	if c.localOrManual() {
		c.skip()
		return
	}
	if c.Has("wire.back", "tls-version") || c.noCommonTLS() {
		c.name("rc-tls-version", diag.Proven, "wire.back", "srv.tls_versions", "client.tls_versions")
		return
	}
	if c.otherAddressTried() {
		c.name("rc-static-ip-mismatch", diag.Proven, "wire.back", "wire.back_dst", "client.me_addr", "client.os_addr", "wire.server.hello", "dns.forward")
		return
	}
	failed, direct := c.backFailed()
	if !failed {
		if c.Known("wire.back") && !c.Has("wire.back", "not-attempted") {
			c.pass()
		} else if c.backDue() {
			c.want("wire.back")
		}
		return
	}
	tunnel := c.Obj("client.cira").Str("state") == "connected"
	if c.post() && tunnel {
		c.pass() // closed by design (R-outside)
		return
	}
	if c.natBetween() {
		c.name("rc-nat-between", diag.Proven, "wire.server.hello", "client.me_addr", "client.os_addr", "wire.back", "wire.back_dst")
		return
	}
	if !c.post() && !c.Has("client.prov_state", "in") && !c.rcfgOn() && !c.helloKnown() {
		c.want("client.prov_state")
		return
	}
	dst := diag.Host(c.Str("wire.back_dst"))
	sure := direct && dst != "" && dst == c.Str("client.me_addr") && (!c.post() || c.Known("client.cira"))
	c.nameMissing("rc-return-path-blocked", likelyIf(!sure), []string{"wire.back_dst", "client.me_addr", "client.cira"},
		"wire.back", "wire.back_dst", "net.16993", "client.me_addr", "wire.server.hello", "client.cira")
}

func (c *caseView) helloKnown() bool {
	return len(c.packets("wire.server.hello", "wire.client.hello")) > 0
}

// backDue: the server should have connected back by now.
func (c *caseView) backDue() bool { return c.helloKnown() || c.hasRow("db.amts") }

// meAddr is the address of the ME: stated, else the source of its hello.
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
	failed, _ := c.backFailed()
	if dst := diag.Host(c.Str("wire.back_dst")); dst != "" {
		return failed && dst == os
	}
	for _, f := range c.Each("dns.forward") {
		if a, _ := diag.ObjOf(f).Texts("addr"); overlap(a, []string{os}) && failed {
			return true
		}
	}
	return false
}

// natBetween: the hello's source is neither the ME's nor the system's address.
func (c *caseView) natBetween() bool {
	me, os, src := c.Str("client.me_addr"), c.Str("client.os_addr"), c.helloSource()
	if _, err := netip.ParseAddr(src); err != nil || me == "" || me == diag.None || os == "" || os == diag.None {
		return false
	}
	return src != me && src != os
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
