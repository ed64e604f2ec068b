package probe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/capture"
	"amtmedic/diag"
)

// maxHeld bounds the events that wait until it is known which client the case is about.
const maxHeld = 10000

// maxFacts bounds the facts of one key: a client that sends for a day fills no case. Of more only
// the last one is reported.
const maxFacts = 500

// gatherer makes facts of the events that concern the case's client. While its address is not known
// events wait; a hello with the case's UUID tells it, or the end does when only one client was seen.
type gatherer struct {
	w       *Wire
	r       Report
	file    string
	clients []netip.Addr
	held    []capture.Event
	lost    int                 // events that did not fit into held
	others  map[netip.Addr]bool // clients seen while ours is not known
	seen    map[string]bool     // keys without side of which a packet was seen
	count   map[string]int      // facts reported of each key
	latest  map[string]diag.Fact
	vendors map[string]string       // vendor class by MAC address, as asked for a lease
	notes   []capture.Note          // that wait as held does
	mine    map[int][]capture.Event // of our client, by packet
	enough  func(time.Duration)     // live: what was waited for is there
}

func (g *gatherer) event(e capture.Event) {
	if e.DHCP != nil && e.DHCP.Vendor != "" && len(g.vendors) < maxHeld {
		g.vendors[e.DHCP.MAC] = e.DHCP.Vendor
	}
	client := e.Client()
	if e.Kind == capture.KindHello && e.Hello != nil && !g.w.UUID.IsZero() && e.Hello.UUID == g.w.UUID && !slices.Contains(g.clients, client) {
		g.adopt(client)
	}
	switch {
	case slices.Contains(g.clients, client):
		g.report(e)
	case len(g.clients) > 0:
		g.others[client] = true
	case len(g.held) < maxHeld:
		g.held = append(g.held, e)
		g.others[client] = g.others[client] || speaks(e)
	default:
		g.lost++
	}
}

// speaks reports whether an event shows a client that looks for a server.
func speaks(e capture.Event) bool {
	switch e.Kind {
	case capture.KindDHCP, capture.KindBack: // every PC takes leases, and managed ones get connections
		return false
	case capture.KindDNS:
		return e.DNS != nil && isServerName(e.DNS.QName)
	}
	return true
}

// isServerName reports whether a name is ProvisionServer, with whatever suffix.
func isServerName(qname string) bool {
	host, _, _ := strings.Cut(qname, ".")
	return strings.EqualFold(host, amt.ServerName)
}

// adopt takes an address for the client's and reports what was held back of it.
func (g *gatherer) adopt(client netip.Addr) {
	g.clients = append(g.clients, client)
	held := g.held
	g.held = nil
	for _, e := range held {
		if e.Client() == client {
			g.report(e)
		}
	}
	notes := g.notes
	g.notes = nil
	for _, n := range notes {
		g.note(n)
	}
}

func (g *gatherer) fact(e capture.Event, name string, value any) {
	key := name
	if !strings.Contains(name, ".") {
		key = "wire." + string(g.w.Side) + "." + name
	}
	f, err := diag.Make(diag.Fact{At: e.Time.UTC(), Vantage: g.w.Side, Key: key, Value: value, Evidence: g.ref(e.Packet)})
	if err != nil {
		g.r.Saw(err.Error()) // bytes of the wire may hold what no fact can
		return
	}
	g.seen[name] = true
	if g.count[key]++; g.count[key] > maxFacts {
		g.latest[key] = f
		return
	}
	g.r.Fact(f)
}

func ends(e capture.Event) map[string]any {
	return map[string]any{"src": e.Src.String(), "dst": e.Dst.String()}
}

// report makes the facts of one event of the client.
func (g *gatherer) report(e capture.Event) {
	if len(g.mine) < mostKept {
		g.mine[e.Packet] = append(g.mine[e.Packet], e)
	}
	switch e.Kind {
	case capture.KindSYN:
		g.fact(e, "syn", ends(e))
		g.saw(e, "SYN to %s", e.Dst)
		g.soon(afterSYN)
	case capture.KindSYNACK:
		g.fact(e, "synack", ends(e))
	case capture.KindRefused:
		g.fact(e, "rst", ends(e))
		g.saw(e, "refused by %s", e.Src)
		g.soon(afterHello)
	case capture.KindUnreachable:
		if slices.Contains(g.w.Ports, e.Dst.Port()) && e.ICMP != nil {
			g.fact(e, "icmp", map[string]any{"src": e.By, "type": int(e.ICMP.Type), "code": int(e.ICMP.Code)})
			g.saw(e, "unreachable, says %s", e.By)
		}
	case capture.KindClosed:
		if e.How == "fin" {
			g.fact(e, "fin", ends(e))
		}
	case capture.KindHello:
		g.fact(e, "hello", helloValue(e))
		g.saw(e, "hello, %d bytes", e.Bytes)
		g.soon(afterHello)
	case capture.KindPartial:
		g.seen["hello"] = true // bytes came: neither a hello nor none
		g.saw(e, "part of a hello, %d bytes; the rest was not captured or not sent", e.Bytes)
	case capture.KindBack:
		g.back(e)
	case capture.KindDNS:
		g.dns(e)
	case capture.KindDHCP:
		g.dhcp(e)
	}
}

func (g *gatherer) saw(e capture.Event, format string, a ...any) {
	when := ""
	if !e.Time.IsZero() {
		when = e.Time.UTC().Format("15:04:05") + "  "
	}
	g.r.Saw(when + fmt.Sprintf(format, a...))
}

func (g *gatherer) soon(wait time.Duration) {
	if g.enough != nil {
		g.enough(wait)
	}
}

// helloValue gives the fields that could be read. A foreign message has only its problems.
func helloValue(e capture.Event) map[string]any {
	v := ends(e)
	v["length"] = e.Bytes
	m := e.Hello
	if m == nil {
		return v
	}
	v["problems"] = amt.Codes(m.Problems)
	if m.UUID.IsZero() && m.Version == 0 {
		return v
	}
	v["version"], v["uuid"], v["retry"] = int(m.Version), m.UUID.String(), int(m.RetryCount)
	if pid, err := amt.ParsePID(string(m.PID)); err == nil && m.Version == hello.VersionPSK {
		v["pid"] = string(pid)
	}
	if m.Version == hello.VersionPKI {
		hashes := []any{}
		for _, h := range m.Hashes {
			hashes = append(hashes, map[string]any{"algorithm": h.Algorithm.String(), "digest": h.Digest.String()})
		}
		v["hashes"] = hashes
	}
	return v
}

// alertProtocolVersion is the TLS alert that says so (RFC 5246 7.2).
const alertProtocolVersion = 70

// back reports the server's connection to the firmware, and how it ended where that is certain.
func (g *gatherer) back(e capture.Event) {
	g.fact(e, "back", map[string]any{"dst": e.Dst.String()})
	g.fact(e, "wire.back_dst", e.Dst.String())
	how := map[string]string{capture.OutcomeOK: "ok", capture.OutcomeRefused: "refused", capture.OutcomeTimeout: "timeout",
		capture.OutcomeAlert: "tls-alert", capture.OutcomeTLSClosed: "tls-closed"}[e.Outcome]
	if how == "tls-alert" && e.Alert == alertProtocolVersion {
		how = "tls-version"
	}
	if how != "" {
		g.fact(e, "wire.back", how)
	}
	g.saw(e, "connection back to %s: %s", e.Dst, e.Words())
}

// dns reports questions for the server's name. An empty answer about IPv6 beside one about IPv4 is
// left out: it would look like the answer to both.
func (g *gatherer) dns(e capture.Event) {
	if g.w.Side != diag.AtClient || e.DNS == nil {
		return
	}
	if !isServerName(e.DNS.QName) || e.DNS.QType == "AAAA" && len(e.DNS.Addr) == 0 {
		return
	}
	g.fact(e, "dns", map[string]any{"qname": e.DNS.QName, "rcode": e.DNS.RCode, "addr": e.DNS.Addr, "server": e.DNS.Server})
	g.saw(e, "DNS %s → %s %s", e.DNS.QName, e.DNS.RCode, strings.Join(e.DNS.Addr, ", "))
}

// systems begin the vendor class (RFC 2132 9.13) with which operating systems ask for a lease.
var systems = []string{"MSFT ", "android-dhcp", "dhcpcd", "udhcp", "systemd"}

func ofSystem(vendor string) bool {
	return slices.ContainsFunc(systems, func(s string) bool { return strings.HasPrefix(vendor, s) })
}

// dhcp reports leases. Who asked is only known when the question said that it was a system: the ME
// has the same MAC address.
func (g *gatherer) dhcp(e capture.Event) {
	if g.w.Side != diag.AtClient || e.DHCP == nil || e.DHCP.Type != "ack" {
		return
	}
	v := map[string]any{"suffix": e.DHCP.Suffix, "dns": append([]string{}, e.DHCP.DNS...)}
	if e.DHCP.Addr != "" {
		v["addr"] = e.DHCP.Addr
	}
	if vendor := g.vendors[e.DHCP.MAC]; ofSystem(vendor) {
		v["by"] = "os"
	}
	g.fact(e, "dhcp", v)
	suffix := "option 15 " + e.DHCP.Suffix
	if e.DHCP.Suffix == "" {
		suffix = "no option 15"
	}
	g.saw(e, "DHCP lease %s, %s", e.DHCP.Addr, suffix)
}

// end closes the watch: how long it was, and what was not seen in it. A watch in which packets were
// lost proves no absence; nor does one in which the client could not be told from others.
func (g *gatherer) end(first, last time.Time, stats capture.Stats, failed error) {
	clients := 0
	var only netip.Addr
	for a, spoke := range g.others {
		if spoke {
			clients, only = clients+1, a
		}
	}
	if len(g.clients) == 0 && clients == 1 && g.lost == 0 {
		g.r.Saw("one client seen: " + only.String())
		g.adopt(only)
	}
	for key, f := range g.latest {
		g.r.Saw(fmt.Sprintf("%d more of %s; the last is kept", g.count[key]-maxFacts, key))
		g.r.Fact(f)
	}
	switch {
	case first.IsZero():
		g.r.Saw("the capture has no packet with a time")
		return
	case failed != nil:
		return
	case len(g.clients) == 0 && clients > 1:
		g.r.Saw(fmt.Sprintf("%d clients speak here and none is known to be ours: its UUID or address tells", clients))
		return
	case stats.Dropped > 0:
		g.r.Saw(fmt.Sprintf("%d packets were lost: what was not seen may have been there", stats.Dropped))
		return
	}
	g.none(first, last)
}

func (g *gatherer) none(first, last time.Time) {
	at := capture.Event{Time: last}
	say := func(name string, value any) {
		key := "wire." + string(g.w.Side) + "." + name
		where := g.file
		if where == "" {
			where = "live"
		}
		g.r.Fact(diag.Fact{At: at.Time.UTC(), Vantage: g.w.Side, Key: key, Value: value, Evidence: diag.Evidence{where}})
	}
	v := map[string]any{"seconds": last.Sub(first).Seconds(), "after": g.w.After}
	if g.w.Power != "" {
		v["power"] = g.w.Power
	}
	say("watch", v)
	names := []string{"syn", "synack", "rst", "icmp", "hello", "back"}
	if g.w.Side == diag.AtClient {
		names = append(names, "dns")
	}
	for _, n := range names {
		if !g.seen[n] {
			say(n, diag.None)
		}
	}
	g.r.Saw(fmt.Sprintf("watched for %s", last.Sub(first).Round(time.Second)))
}
