package check

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
)

// serverAddrs are the addresses of the provisioning server: as stated, else the specific addresses
// that it listens on, else where packets seen at the server went. keys are those that told it.
func (c *caseView) serverAddrs() (addrs []string, keys []string) {
	if !c.addrsDone {
		c.addrs, c.addrKeys = c.findServerAddrs()
		c.addrsDone = true
	}
	return slices.Clone(c.addrs), slices.Clone(c.addrKeys)
}

func (c *caseView) findServerAddrs() (addrs []string, keys []string) {
	if l, ok := c.Texts("srv.addr"); ok && len(l) > 0 {
		return l, []string{"srv.addr"}
	}
	if l, ok := c.Texts("srv.listen"); ok {
		for _, a := range l {
			if ip, err := netip.ParseAddr(diag.Host(a)); err == nil && !ip.IsUnspecified() {
				addrs = append(addrs, ip.String())
			}
		}
		if len(addrs) > 0 {
			return addrs, []string{"srv.listen"}
		}
	}
	for _, k := range []string{"wire.server.syn", "wire.server.hello"} {
		for _, f := range c.All(k) {
			if d := diag.ObjOf(f).Str("dst"); d != "" && !slices.Contains(addrs, diag.Host(d)) {
				addrs, keys = append(addrs, diag.Host(d)), []string{k}
			}
		}
	}
	return addrs, keys
}

// isServer tells whether a host, given as address or name, is the provisioning server.
func (c *caseView) isServer(host string) diag.Tri {
	addrs, _ := c.serverAddrs()
	if slices.Contains(addrs, host) {
		return diag.Yes
	}
	if fqdn := c.Str("srv.fqdn"); fqdn != "" && (host == fqdn || host == firstLabel(fqdn)) {
		return diag.Yes
	}
	if _, err := netip.ParseAddr(host); err != nil {
		if a := c.resolved(host); len(a) > 0 && len(addrs) > 0 {
			return diag.Is(overlap(a, addrs))
		}
		return diag.Dunno
	}
	if len(addrs) == 0 {
		return diag.Dunno
	}
	return diag.No
}

// resolved gives the addresses that a name leads to, as either side's DNS servers say.
func (c *caseView) resolved(host string) []string {
	for _, f := range append(c.Each("dns.client"), c.Each("dns.server")...) {
		o := diag.ObjOf(f)
		if q := o.Str("qname"); q == host || firstLabel(q) == host {
			if a, _ := o.Texts("addr"); len(a) > 0 {
				return a
			}
		}
	}
	return nil
}

func firstLabel(name string) string { first, _, _ := strings.Cut(name, "."); return first }

func zoneOf(name string) string { _, zone, _ := strings.Cut(name, "."); return zone }

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func portOf(addrPort string) int {
	i := strings.LastIndexByte(addrPort, ':')
	n, err := strconv.Atoi(addrPort[i+1:])
	if i < 0 || err != nil || strings.Count(addrPort, ":") > 1 && !strings.Contains(addrPort, "]") {
		return 0
	}
	return n
}

// provPort is the port that this client's hellos go to: the stored one, else 9971.
func (c *caseView) provPort() int {
	if p := portOf(c.Str("client.server_override")); p != 0 {
		return p
	}
	return amt.HelloPort
}

// packets gives the packets of a key, oldest first, without the "none" facts.
func (c *caseView) packets(keys ...string) []diag.Fact {
	var out []diag.Fact
	for _, k := range keys {
		for _, f := range c.All(k) {
			if diag.ObjOf(f).Is() {
				out = append(out, f)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b diag.Fact) int { return a.At.Compare(b.At) })
	return out
}

// lastPacket is the latest SYN or hello of the client, seen on either side.
func (c *caseView) lastPacket() (diag.Fact, bool) {
	ps := c.packets("wire.client.syn", "wire.client.hello", "wire.server.syn", "wire.server.hello")
	if len(ps) == 0 {
		return diag.Fact{}, false
	}
	return ps[len(ps)-1], true
}

// watch is one capture of the client's side, and what it says about SYNs.
type watch struct {
	fact    diag.Fact
	length  time.Duration
	after   string
	power   string
	syn     bool // a SYN or hello was seen during it
	silence bool // a "none" was noted for it
}

// long: long enough that its silence means something (section 5).
func (w watch) long() bool {
	return w.length > longestGap || w.length >= restartWatch && (w.after == "drain" || w.after == "start-call")
}

func (c *caseView) watches() []watch {
	var out []watch
	sent, noted := c.packets("wire.client.syn", "wire.client.hello"), c.All("wire.client.syn")
	for _, f := range c.All("wire.client.watch") {
		o := diag.ObjOf(f)
		n, _ := o.Num("seconds")
		w := watch{fact: f, length: seconds(n), after: o.Str("after"), power: o.Str("power")}
		from := f.At.Add(-w.length)
		within := func(g diag.Fact) bool { return g.At.After(from) && !g.At.After(f.At) }
		w.syn = slices.ContainsFunc(sent, within)
		w.silence = slices.ContainsFunc(noted, func(g diag.Fact) bool { return g.Value == diag.None && within(g) })
		out = append(out, w)
	}
	return out
}

// silent reports whether the client is known to be silent now, and the keys that say so.
func (c *caseView) silent() (bool, []string) {
	if c.quiet == nil {
		is, why := c.judgeQuiet()
		c.quiet = &quiet{is, why}
	}
	return c.quiet.is, slices.Clone(c.quiet.why)
}

func (c *caseView) judgeQuiet() (bool, []string) {
	last, any := c.lastPacket()
	if f, ok := c.Get("client.window"); ok && (f.Value == "expired" || f.Value == "never-opened") && (!any || !f.At.Before(last.At)) {
		return true, []string{"client.window"}
	}
	for _, w := range c.watches() {
		if w.long() && w.silence && !w.syn && (!any || !w.fact.At.Before(last.At)) {
			return true, []string{"wire.client.watch", "wire.client.syn"}
		}
	}
	return false, nil
}

// sending: a SYN or hello younger than the longest gap was seen, and no silence since.
func (c *caseView) sending() bool {
	last, ok := c.lastPacket()
	if !ok || c.Age(last) >= longestGap {
		return false
	}
	s, _ := c.silent()
	return !s
}

// alive: the client sends, or looks for its server: its firmware is in Setup Mode and at work.
func (c *caseView) alive() bool { return c.sending() || c.asksForServer() }

// asksForServer: the client was seen asking DNS for its server within the longest gap. It is in
// Setup Mode then, and no server address is stored in it; whether it finds one is the next station.
func (c *caseView) asksForServer() bool {
	ended, known := c.Get("client.window")
	return slices.ContainsFunc(c.packets("wire.client.dns"), func(f diag.Fact) bool {
		if known && ended.Value != "open" && !ended.At.Before(f.At) {
			return false
		}
		return c.Age(f) <= longestGap && firstLabel(diag.ObjOf(f).Str("qname")) == serverName
	})
}

// acquitted reports whether links 1 to 4 were good within one window and the client is not silent
// now (6.1, the shortcut).
func (c *caseView) acquitted() bool {
	if s, _ := c.silent(); s || c.post() {
		return false // post: rule 14 says which links are judged
	}
	if age, ok := c.rowAge("db.amts"); ok && age < windowLength && age >= 0 {
		return true
	}
	if f, ok := c.Get("srv.log"); ok {
		for _, row := range diag.Objs(f.Value) {
			if t, err := time.Parse(time.RFC3339, row.Str("at")); err == nil && c.Now().Sub(t) < windowLength {
				return true
			}
		}
	}
	for _, f := range c.packets("wire.server.hello") {
		if c.Age(f) < windowLength && soundHello(diag.ObjOf(f)) && c.isServer(diag.Host(diag.ObjOf(f).Str("dst"))) != diag.No {
			return true
		}
	}
	return false
}

func soundHello(o diag.Obj) bool {
	v, ok := o.Num("version")
	problems, _ := o.Texts("problems")
	if n, known := o.Num("length"); known && (v == 2 && n < 32 || v == 3 && n < 25) {
		return false
	}
	return (!ok || v == 2 || v == 3) && len(problems) == 0
}

// synTarget is the host that the client's latest SYN goes to, empty while none is known.
func (c *caseView) synTarget() (host, key string) {
	ps := c.packets("wire.client.syn", "wire.client.hello")
	for _, f := range slices.Backward(ps) {
		if d := diag.ObjOf(f).Str("dst"); d != "" {
			return diag.Host(d), f.Key
		}
	}
	return "", ""
}

// overrideHost is the server stored in MEBx, without its port; empty for none and unknown.
func (c *caseView) overrideHost() string {
	o := c.Str("client.server_override")
	if o == "" || o == diag.None {
		return ""
	}
	if portOf(o) != 0 {
		return diag.Host(o)
	}
	return o
}

// nameAcquitted: a SYN to the right address, or a right one stored, acquits the name. A SYN does so
// for one window, and not for a client that is silent now.
func (c *caseView) nameAcquitted() bool {
	if host, _ := c.synTarget(); host != "" && c.isServer(host) == diag.Yes {
		ps := c.packets("wire.client.syn", "wire.client.hello")
		silent, _ := c.silent()
		if !silent && c.Age(ps[len(ps)-1]) < windowLength {
			return true
		}
	}
	host := c.overrideHost()
	return host != "" && c.isServer(host) == diag.Yes
}
