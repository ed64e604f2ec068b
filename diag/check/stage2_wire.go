package check

import (
	"amtmedic/amt"
	"amtmedic/diag"
)

// onWire: stages 2 to 4 are on the road of psk and rcfg only, and not behind state post.
func (c *caseView) onWire() bool { return !c.post() && !c.localOrManual() }

func judgeTarget(c *caseView, r *diag.Result) {
	if !c.onWire() {
		c.skip()
		return
	}
	host, _ := c.synTarget()
	switch {
	case host == "" && c.asksForServer():
		c.pass()
		c.note("no SYN yet: the client looks for its server's name")
	case host == "":
		c.want("wire.client.syn")
	case c.isServer(host) == diag.Yes:
		c.pass()
	case c.isServer(host) == diag.Dunno:
		r.Light = diag.Unknown
		c.want("srv.addr")
	default:
		r.Light = diag.Suspect
		c.note("the hello goes to " + host + ", which is not the provisioning server")
	}
}

func judgeOverride(c *caseView, r *diag.Result) {
	if !c.onWire() {
		c.skip()
		return
	}
	if !c.Known("client.server_override") {
		if host, _ := c.synTarget(); host != "" && c.isServer(host) == diag.Yes {
			c.pass()
			return
		}
		if c.asksForServer() {
			c.pass()
			return
		}
		c.want("client.server_override")
		return
	}
	host := c.overrideHost()
	if host == "" {
		c.pass()
		return
	}
	_, addrKey := c.serverAddrs()
	if target, _ := c.synTarget(); target != "" && c.isServer(target) == diag.Yes && c.sentSince("client.server_override") {
		c.judgeStoredPort(append([]string{"client.server_override", "wire.client.syn"}, addrKey...))
		return
	}
	decided := append([]string{"client.server_override", "srv.fqdn", "dns.client", "dns.server", "wire.client.syn"}, addrKey...)
	switch c.isServer(host) {
	case diag.No:
		c.name("rc-mebx-server-override", diag.Proven, decided...)
		return
	case diag.Dunno:
		if !isAddress(host) && firstLabel(host) != serverName && c.Known("srv.fqdn") && len(c.resolved(host)) == 0 {
			c.nameMissing("rc-mebx-server-override", diag.Likely, []string{"dns.client"}, decided...)
			return
		}
		c.want("srv.addr", "srv.fqdn", "dns.client")
		return
	}
	c.judgeStoredPort(decided)
}

// sentSince: the latest SYN is not older than what a key says.
func (c *caseView) sentSince(key string) bool {
	f, _ := c.Get(key)
	ps := c.packets("wire.client.syn", "wire.client.hello")
	return len(ps) > 0 && !ps[len(ps)-1].At.Before(f.At)
}

// judgeStoredPort: the host is right; is the stored port one that the service listens on?
func (c *caseView) judgeStoredPort(decided []string) {
	port := portOf(c.Str("client.server_override"))
	ports, known := c.listenPorts()
	switch {
	case port == 0 || port == amt.HelloPort && !known || known && ports[port]:
		c.pass()
	case !known:
		c.want("srv.listen")
	case ports[amt.HelloPort]:
		c.name("rc-mebx-server-override", diag.Proven, append(decided, "srv.listen")...)
	case len(ports) > 0 && !c.Known("srv.amtconfig"):
		c.want("srv.amtconfig")
	case len(ports) > 0 && c.Has("srv.amtconfig", "running"):
		c.name("rc-port-mismatch", diag.Proven, append(decided, "srv.listen", "srv.amtconfig")...)
	default:
		c.pass() // nobody listens: that is chk-listen
	}
}

func (c *caseView) listenPorts() (map[int]bool, bool) {
	l, ok := c.Texts("srv.listen")
	ports := map[int]bool{}
	for _, a := range l {
		ports[portOf(a)] = true
	}
	return ports, ok
}
