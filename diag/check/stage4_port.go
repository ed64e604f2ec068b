package check

import (
	"reflect"
	"slices"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
)

// connectNow: a connect to the provisioning port succeeded, and nothing later says otherwise.
func (c *caseView) connectNow() bool {
	f, ok := c.Get("net.9971")
	if !ok || f.Value != "connect" {
		return false
	}
	for _, g := range c.packets("wire.client.rst", "wire.client.icmp") {
		if g.At.After(f.At) {
			return false
		}
	}
	return true
}

// connectedSince: the port took a connection, and not before another key was looked at.
func (c *caseView) connectedSince(key string) bool {
	connect, _ := c.Get("net.9971")
	f, _ := c.Get(key)
	return c.connectNow() && !connect.At.Before(f.At)
}

func judgeConnect(c *caseView, r *diag.Result) {
	if !c.onWire() {
		c.skip()
		return
	}
	switch {
	case c.connectNow() || len(c.packets("wire.server.hello")) > 0 && !c.Known("net.9971"):
		c.pass()
	case c.Known("net.9971"):
		r.Light = diag.Suspect
		c.note("a connect to the provisioning port ends in: " + c.Str("net.9971"))
	default:
		c.want("net.9971")
	}
}

func judgeServerCapture(c *caseView, r *diag.Result) {
	if !c.onWire() {
		c.skip()
		return
	}
	arrived := c.packets("wire.server.syn", "wire.server.hello")
	none, looked := c.Get("wire.server.syn")
	sent := c.lastTo("wire.client.syn")
	if looked && none.Value == diag.None {
		sent = c.lastBefore("wire.client.syn", none.At)
	}
	var last time.Time // of the SYNs to be explained
	if sent != nil {
		last = sent.At
	}
	if n := len(arrived); n > 0 && arrived[n-1].At.After(last) {
		last = arrived[n-1].At
	}
	connect, _ := c.Get("net.9971")
	if c.connectNow() && !connect.At.Before(last) {
		c.pass()
		return
	}
	answered := c.answered(sent)
	switch {
	case sent != nil && looked && none.Value == diag.None && len(after(arrived, sent.At)) == 0:
		if answered || c.targetDoubtful() {
			break
		}
		c.name("rc-fw-9971-blocked", diag.Proven, "wire.client.syn", "wire.server.syn", "wire.client.synack", "wire.client.rst", "wire.client.icmp", "net.9971")
		return
	case len(arrived) > 0:
		c.judgeAnswer(arrived[len(arrived)-1])
		return
	}
	if c.Has("net.9971", "refused") && !c.Known("srv.amtconfig") {
		return // who listens comes first
	}
	if sent == nil {
		c.want("wire.client.syn")
	}
	c.want("wire.server.syn")
	if sent == nil && len(arrived) == 0 {
		r.Light = diag.Unlooked // nothing is known to have left, so nothing was to arrive
	}
}

// targetDoubtful: the SYN goes to a host that is known not to be the server.
func (c *caseView) targetDoubtful() bool {
	host, _ := c.synTarget()
	return host != "" && c.isServer(host) == diag.No
}

// lastTo is the latest SYN seen at the client.
func (c *caseView) lastTo(key string) *diag.Fact {
	ps := c.packets(key)
	if len(ps) == 0 {
		return nil
	}
	return &ps[len(ps)-1]
}

// lastBefore is the latest packet of a key that is not later than t.
func (c *caseView) lastBefore(key string, t time.Time) *diag.Fact {
	for _, f := range slices.Backward(c.packets(key)) {
		if !f.At.After(t) {
			return &f
		}
	}
	return nil
}

func after(fs []diag.Fact, t time.Time) []diag.Fact {
	return slices.DeleteFunc(slices.Clone(fs), func(f diag.Fact) bool { return f.At.Before(t) })
}

// answered: a SYN-ACK came back for the SYN, or later.
func (c *caseView) answered(sent *diag.Fact) bool {
	return sent != nil && slices.ContainsFunc(c.packets("wire.client.synack"), func(f diag.Fact) bool { return !f.At.Before(sent.At) })
}

// judgeAnswer: the SYN arrived; what did the server answer?
func (c *caseView) judgeAnswer(syn diag.Fact) {
	since := func(keys ...string) bool {
		return slices.ContainsFunc(c.packets(keys...), func(f diag.Fact) bool { return !f.At.Before(syn.At) })
	}
	if since("wire.server.synack", "wire.client.synack", "wire.server.hello") {
		c.pass()
		return
	}
	if since("wire.server.rst", "wire.client.rst") {
		c.res.Light = diag.Good // it arrives; the refusal is chk-listen's
		return
	}
	noAnswer := c.Has("wire.server.synack", diag.None) || c.Has("wire.client.synack", diag.None)
	noReset := c.Has("wire.server.rst", diag.None) || c.Has("wire.client.rst", diag.None)
	if !noAnswer {
		c.want("wire.server.synack")
		return
	}
	c.nameMissing("rc-server-fw-9971", likelyIf(!noReset), []string{"wire.server.rst"},
		"wire.server.syn", "wire.server.synack", "wire.client.synack", "wire.server.rst", "wire.client.rst", "net.9971")
}

func judgeListen(c *caseView, r *diag.Result) {
	if !c.onWire() {
		c.skip()
		return
	}
	ports, known := c.listenPorts()
	port := c.provPort()
	switch {
	case c.Has("srv.amtconfig", "stopped"):
		c.name("rc-amtconfig-stopped", diag.Proven, "srv.amtconfig", "srv.listen", "net.9971", "wire.client.rst")
	case known && ports[port] || known && ports[amt.HelloPort]:
		c.pass()
	case known && c.connectedSince("srv.listen"):
		c.pass()
	case c.Has("srv.amtconfig", "running") && known && len(ports) > 0:
		c.name("rc-port-mismatch", diag.Proven, "srv.amtconfig", "srv.listen", "client.server_override", "net.9971")
	case c.Has("srv.amtconfig", "running") && known:
		c.nameMissing("rc-amtconfig-hung", diag.Likely, nil, "srv.amtconfig", "srv.listen", "net.9971")
	case c.resetElsewhere():
		if n, ok := c.named["rc-dns-wrong-target"]; ok { // as sure as chk-dns-client is
			c.nameMissing(n.ID, n.Confidence, n.Missing, append(n.Decided, "wire.client.rst")...)
		}
	case c.connectNow() && !known:
		c.pass()
	default:
		c.want("srv.amtconfig", "srv.listen")
	}
}

// resetElsewhere: the RST came from another host, and that host is what the name gives.
func (c *caseView) resetElsewhere() bool {
	rst := c.packets("wire.client.rst")
	if len(rst) == 0 || c.connectNow() {
		return false
	}
	src := diag.Host(diag.ObjOf(rst[len(rst)-1]).Str("src"))
	if src == "" || c.isServer(src) != diag.No {
		return false
	}
	for _, f := range c.clientAnswers() {
		if slices.Contains(sortAnswer(f).addrs, src) {
			return true
		}
	}
	return false
}

func judgeHelloAtServer(c *caseView, r *diag.Result) {
	if !c.onWire() {
		c.skip()
		return
	}
	sent, arrived := c.lastTo("wire.client.hello"), c.lastTo("wire.server.hello")
	none, looked := c.Get("wire.server.hello")
	stands := sent != nil || len(c.packets("wire.client.synack")) > 0 || len(c.packets("wire.client.syn")) > 0 && c.connectNow()
	switch {
	case arrived != nil && none.Value != diag.None:
		c.judgeArrived(sent, *arrived)
	case looked && none.Value == diag.None && stands && !c.olderThanConnection(none):
		c.nameMissing("rc-middlebox", likelyIf(sent == nil), []string{"wire.client.hello"},
			"wire.client.synack", "wire.client.syn", "net.9971", "wire.server.hello", "wire.client.hello")
	case !looked && (c.hasRow("db.amts") || c.hasLog()):
		c.pass() // what the service has stored did arrive
	default:
		c.want("wire.server.hello")
		if sent == nil {
			c.want("wire.client.hello")
		}
		if _, left := c.lastPacket(); !left {
			r.Light = diag.Unlooked
		}
	}
}

// olderThanConnection: the "none" was noted before the connection stood.
func (c *caseView) olderThanConnection(none diag.Fact) bool {
	ps := c.packets("wire.client.synack", "wire.client.hello")
	return len(ps) > 0 && none.At.Before(ps[len(ps)-1].At)
}

func (c *caseView) judgeArrived(sent *diag.Fact, arrived diag.Fact) {
	got := diag.ObjOf(arrived)
	if sent != nil && !sent.At.IsZero() && arrived.At.Sub(sent.At).Abs() >= sameAttempt {
		sent = nil // another attempt: PID and count may have changed since
	}
	if sent != nil && !sameHello(diag.ObjOf(*sent), got) {
		c.name("rc-middlebox", diag.Proven, "wire.client.hello", "wire.server.hello")
		return
	}
	if !soundHello(got) {
		same := sent != nil && !soundHello(diag.ObjOf(*sent))
		c.nameMissing("rc-hello-malformed", likelyIf(!same), []string{"wire.client.hello"}, "wire.server.hello", "wire.client.hello")
		return
	}
	c.pass()
}

// sameAttempt: two captures of one hello are nearer to each other than two attempts are.
const sameAttempt = time.Minute

// sameHello compares what the middle must not change; the retry count of another attempt differs.
func sameHello(a, b diag.Obj) bool {
	for _, f := range []string{"uuid", "pid"} {
		if a.Has(f) && b.Has(f) && a.Str(f) != b.Str(f) {
			return false
		}
	}
	for _, f := range []string{"version", "length"} {
		x, okX := a.Num(f)
		y, okY := b.Num(f)
		if okX && okY && x != y {
			return false
		}
	}
	if a.Has("hashes") && b.Has("hashes") && !reflect.DeepEqual(a.Any("hashes"), b.Any("hashes")) {
		return false
	}
	x, okX := a.Texts("problems")
	y, okY := b.Texts("problems")
	return !okX || !okY || slices.Equal(x, y)
}
