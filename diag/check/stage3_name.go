package check

import (
	"net/netip"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/diag"
)

func isAddress(host string) bool { _, err := netip.ParseAddr(host); return err == nil }

var serverName = strings.ToLower(amt.ServerName)

// wantedName is the full name that the client looks up, empty while its suffix is not known.
func (c *caseView) wantedName() string {
	if h := c.overrideHost(); h != "" && !isAddress(h) && h != serverName {
		return h
	}
	if s := c.Str("client.suffix"); s != "" {
		return serverName + "." + s
	}
	return ""
}

// clientAnswers gives what the client's side answered for the wanted name: asked by a probe, else
// seen on the wire. With the suffix unknown the name that was asked last is the wanted one.
func (c *caseView) clientAnswers() []diag.Fact {
	want := c.wantedName()
	fits := func(f diag.Fact) bool {
		q := diag.ObjOf(f).Str("qname")
		return q == want || want == "" && firstLabel(q) == serverName && q != serverName
	}
	right, _ := c.serverAddrs()
	pick := func(fs []diag.Fact) (out []diag.Fact) {
		for _, f := range fs {
			a, _ := diag.ObjOf(f).Texts("addr")
			if !fits(f) || len(out) > 0 && f.At.Equal(out[0].At) && !overlap(a, right) {
				continue // of several names asked at once, one that leads to the server
			}
			out = []diag.Fact{f} // facts come oldest first: the latest is present
		}
		return out
	}
	if out := pick(c.Each("dns.client")); len(out) > 0 {
		return out
	}
	return pick(c.packets("wire.client.dns"))
}

// answer is one answer to a name, sorted out.
type answer struct {
	key, qname string
	timeout    bool
	broken     bool // SERVFAIL, REFUSED
	dangling   bool
	none       bool // no address
	addrs      []string
}

func sortAnswer(f diag.Fact) answer {
	o := diag.ObjOf(f)
	a := answer{key: f.Key, qname: o.Str("qname")}
	addrs, looked := o.Texts("addr")
	cname, _ := o.Texts("cname")
	rcode := o.Str("rcode")
	a.addrs = addrs
	switch {
	case o.Truth("timeout") == diag.Yes || rcode == diag.None:
		a.timeout = true
	case len(addrs) > 0:
	case len(cname) > 0 && (looked || rcode != "" && rcode != "NOERROR"):
		a.dangling = true
	case rcode == "SERVFAIL" || rcode == "REFUSED":
		a.broken = true
	case looked || rcode == "NXDOMAIN":
		a.none = true
	}
	return a
}

func judgeDNSClient(c *caseView, r *diag.Result) {
	if !c.onWire() || isAddress(c.overrideHost()) {
		c.skip()
		return
	}
	if f, ok := c.Get("client.suffix"); ok && f.Value == "" && c.wantedName() == "" {
		r.Light = diag.Unknown // that is chk-dhcp
		c.want("client.suffix")
		return
	}
	if c.bareNameOnly() {
		r.Light = diag.Unknown
		c.note("the client asks for the bare name: whether the ME has a suffix is the question")
		c.want("client.suffix")
		return
	}
	if c.noResolver() {
		c.name("rc-dns-unreachable", diag.Proven, "client.dns_servers", "wire.client.dhcp")
		return
	}
	answers := c.clientAnswers()
	if len(answers) == 0 {
		c.targetOnly()
		return
	}
	a := sortAnswer(answers[0])
	addrs, addrKey := c.serverAddrs()
	switch {
	case a.timeout:
		c.name("rc-dns-unreachable", diag.Proven, a.key)
	case a.broken:
		c.name("rc-dns-unreachable", diag.Likely, a.key)
	case a.dangling:
		c.name("rc-dns-cname-dangling", diag.Proven, a.key)
	case a.none:
		c.judgeNoAddress(a)
	case len(a.addrs) == 0:
		c.want("dns.client")
	case len(addrs) == 0:
		r.Light = diag.Unknown
		c.want("srv.addr")
	case overlap(a.addrs, addrs):
		c.pass()
	default:
		c.judgeWrongAddress(a, addrKey)
	}
}

// bareNameOnly: the client was seen asking for its server, and only without a suffix (table 6.3).
func (c *caseView) bareNameOnly() bool {
	asked := c.packets("wire.client.dns")
	return len(asked) > 0 && !c.Known("client.suffix") && c.wantedName() == "" && !slices.ContainsFunc(asked, func(f diag.Fact) bool {
		return diag.ObjOf(f).Str("qname") != serverName
	})
}

// noResolver: the lease or the static settings name no DNS server.
func (c *caseView) noResolver() bool {
	if l, ok := c.Texts("client.dns_servers"); ok {
		return len(l) == 0
	}
	l, ok := c.ownLease().Texts("dns")
	return ok && len(l) == 0
}

// targetOnly: no name was asked; a SYN to a wrong host without a stored server still tells that
// the name leads there.
func (c *caseView) targetOnly() {
	host, key := c.synTarget()
	if host != "" && c.isServer(host) == diag.No {
		if c.Has("client.server_override", diag.None) {
			_, addrKey := c.serverAddrs()
			c.nameMissing("rc-dns-wrong-target", diag.Likely, []string{"dns.client"}, append([]string{key, "client.server_override"}, addrKey...)...)
			return
		}
		c.want("client.server_override")
	}
	if host != "" && c.isServer(host) == diag.Yes {
		c.pass()
		return
	}
	c.want("dns.client", "client.suffix")
}

// serverAnswer is what the server's side answers for the same name.
func (c *caseView) serverAnswer(qname string) (a answer, asked bool) {
	for _, f := range c.Each("dns.server") {
		if diag.ObjOf(f).Str("qname") == qname {
			a = sortAnswer(f)
			return a, !a.timeout && !a.broken
		}
	}
	return answer{}, false
}

func (c *caseView) judgeNoAddress(a answer) {
	addrs, addrKey := c.serverAddrs()
	there, asked := c.serverAnswer(a.qname)
	if asked && len(there.addrs) > 0 {
		if len(addrs) == 0 || overlap(there.addrs, addrs) {
			c.name("rc-dns-split-horizon", diag.Proven, append([]string{a.key, "dns.server"}, addrKey...)...)
			return
		}
	}
	if asked && len(there.addrs) > 0 {
		c.note("the server's side gets another address, which is not the server's either")
		c.want("srv.addr")
		return
	}
	if zone := c.otherZone(a.qname); zone != "" {
		c.name("rc-dns-wrong-suffix", diag.Proven, append([]string{a.key, zone, "client.suffix"}, addrKey...)...)
		return
	}
	home := zoneOf(c.Str("srv.fqdn"))
	homeAsked := home != "" && (zoneOf(a.qname) == home || c.nameAsked(serverName+"."+home))
	sure := asked && len(there.addrs) == 0 && homeAsked
	var missing []string
	if !asked {
		missing = append(missing, "dns.server")
	}
	if home == "" {
		missing = append(missing, "srv.fqdn")
	}
	c.nameMissing("rc-dns-no-record", likelyIf(!sure), missing, a.key, "dns.server", "srv.fqdn", "client.suffix")
}

// otherZone gives the key under which the provisioning name answers in another zone, empty when
// none does.
func (c *caseView) otherZone(qname string) string {
	addrs, _ := c.serverAddrs()
	for _, k := range []string{"dns.client", "dns.server"} {
		for _, f := range c.Each(k) {
			a := sortAnswer(f)
			if a.qname != qname && firstLabel(a.qname) == serverName && a.qname != serverName && len(a.addrs) > 0 && (len(addrs) == 0 || overlap(a.addrs, addrs)) {
				return k
			}
		}
	}
	return ""
}

// nameAsked: one side asked for this name and got an answer.
func (c *caseView) nameAsked(qname string) bool {
	return slices.ContainsFunc(append(c.Each("dns.client"), c.Each("dns.server")...), func(f diag.Fact) bool {
		a := sortAnswer(f)
		return a.qname == qname && !a.timeout && !a.broken
	})
}

func (c *caseView) judgeWrongAddress(a answer, addrKey []string) {
	addrs, _ := c.serverAddrs()
	there, asked := c.serverAnswer(a.qname)
	switch {
	case asked && overlap(there.addrs, addrs):
		c.name("rc-dns-split-horizon", diag.Proven, append([]string{a.key, "dns.server"}, addrKey...)...)
	case asked && len(there.addrs) > 0:
		c.name("rc-dns-wrong-target", diag.Proven, append([]string{a.key, "dns.server"}, addrKey...)...)
	default:
		c.nameMissing("rc-dns-wrong-target", diag.Likely, []string{"dns.server"}, append([]string{a.key, "dns.server"}, addrKey...)...)
	}
}

func judgeDNSServer(c *caseView, r *diag.Result) {
	if !c.onWire() || isAddress(c.overrideHost()) {
		c.skip()
		return
	}
	answers := c.clientAnswers()
	if len(c.Each("dns.server")) == 0 {
		c.want("dns.server")
		return
	}
	addrs, _ := c.serverAddrs()
	for _, f := range c.Each("dns.server") {
		a := sortAnswer(f)
		if len(answers) > 0 && a.qname != sortAnswer(answers[0]).qname {
			continue
		}
		if len(a.addrs) > 0 && (len(addrs) == 0 || overlap(a.addrs, addrs)) {
			c.pass()
			return
		}
		r.Light = diag.Suspect
		c.note("the server's own DNS servers do not lead to the server (rc-dns-split-horizon, if the client's do)")
	}
}
