package lab

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// Probes lists what can be measured in the world, given what is known so far.
func (w *World) Probes(v *diag.View) []probe.Probe {
	var out []probe.Probe
	foreign := append(probe.Database(w.readStore(v)), w.names(diag.AtClient, w.at.clientDNS, v), w.names(diag.AtServer, w.at.serverDNS, v), w.connect(v))
	for _, p := range foreign {
		out = append(out, w.inWorldTime(p))
	}
	out = append(out, w.serverState(), w.backNames(v), w.watch(diag.AtClient, v), w.watch(diag.AtServer, v))
	if w.plan.oemKeys {
		out = append(out, w.oemKeys(v))
	}
	if w.plan.method == amt.PKI {
		out = append(out, w.certificates(v)...)
	}
	if w.plan.works {
		out = append(out, w.inWorldTime(w.session(v)))
	}
	if w.script() != "" {
		out = append(out, w.scriptProbe(v))
	}
	return out
}

// certificates gives the probes of the server's certificate file.
func (w *World) certificates(v *diag.View) []probe.Probe {
	out := []probe.Probe{probe.Certificate(certificateName, w.readCertificate)}
	if hashes, known := probe.Trusted(v); known {
		out = append(out, probe.CertificateRoot(certificateName, w.readCertificate, hashes))
	}
	return out
}

// quick is how long one DNS question may take: there are no slow links here.
const quick = 250 * time.Millisecond

// names asks the name server of one side. It waits for the client's suffix: without it the name
// that firmware asks for is not known.
func (w *World) names(side diag.Vantage, at netip.Addr, v *diag.View) probe.Probe {
	t := probe.Target{Side: side, Resolvers: []string{w.net.real(netip.AddrPortFrom(at, dnsPort)).String()},
		ServerFQDN: v.Str("srv.fqdn"), Try: quick, Limit: 5 * time.Second}
	suffix, known := w.suffix(v)
	if known && suffix != "" {
		t.Suffixes = []string{suffix}
	}
	p := probe.Names(t)[0]
	if !known {
		p.Run, p.Needs = nil, "the suffix of the client"
	}
	return p
}

// suffix gives the client's suffix as far as it is known: from the ME itself, else from its lease.
func (w *World) suffix(v *diag.View) (string, bool) {
	if v.Known("client.suffix") {
		return v.Str("client.suffix"), true
	}
	o := v.Obj("wire.client.dhcp")
	return o.Str("suffix"), o.Has("suffix")
}

// connect tries the provisioning port from a PC beside the client, at the address that the client's
// own names give, or that it was seen to use.
func (w *World) connect(v *diag.View) probe.Probe {
	p := probe.Port{Key: "net.9971", Local: w.at.beside, Limit: 1500 * time.Millisecond}
	to := w.target(v)
	if to.IsValid() {
		p.To = to
		p.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return w.net.dialTCP(ctx, netip.AddrPortFrom(w.at.beside, 0), to)
		}
	}
	return probe.Connect(p)
}

// target gives where the client sends its hellos, the zero value while that is not known.
func (w *World) target(v *diag.View) netip.AddrPort {
	if a, err := netip.ParseAddrPort(v.Obj("wire.client.syn").Str("dst")); err == nil {
		return a
	}
	for _, f := range v.Each("dns.client") {
		o := diag.ObjOf(f)
		if s, ok := w.suffix(v); ok && o.Str("qname") == strings.ToLower(amt.ServerName)+"."+s {
			addrs, _ := o.Texts("addr")
			for _, a := range addrs {
				if ip, err := netip.ParseAddr(a); err == nil {
					return netip.AddrPortFrom(ip, amt.HelloPort)
				}
			}
		}
	}
	return netip.AddrPort{}
}

func (w *World) readStore(v *diag.View) probe.DB {
	d := probe.DB{Target: w.database(), Options: store.Options{Now: w.clock.now}, Now: w.clock.now, PID: amt.PID(v.PID())}
	if u, err := amt.ParseUUID(v.UUID()); err == nil {
		d.UUID = u
	}
	return d
}

// serverState gives the probe of the server itself: its service, its sockets, its addresses.
func (w *World) serverState() probe.Probe {
	gives := []string{"srv.amtconfig", "srv.listen", "srv.addr", "srv.fqdn", "db.discovery", "fleet.same_uuid"}
	asks := w.plan.works || w.plan.method == amt.PKI // elsewhere no session was seen, and its station stays open
	if asks {
		gives = append(gives, "srv.ca")
	}
	return probe.Probe{ID: "server", Check: "chk-service", What: "look at the provisioning server", Cost: probe.Read, Limit: 2 * time.Second,
		Gives: gives,
		Run: func(ctx context.Context, r probe.Report) error {
			state, listening := w.service.state()
			list := []string{}
			for _, a := range listening {
				list = append(list, a.String())
			}
			facts := map[string]any{"srv.amtconfig": state, "srv.listen": list, "srv.addr": []string{w.at.server.String()},
				"srv.fqdn": w.plan.id.server, "db.discovery": diag.None, "fleet.same_uuid": 0}
			if asks {
				facts["srv.ca"] = w.authority(ctx)
			}
			for key, value := range facts {
				r.Fact(diag.Fact{Key: key, Vantage: diag.AtServer, Value: value})
			}
			r.Saw(fmt.Sprintf("service %s, listening on %v", state, list))
			return nil
		}}
}

// backNames asks at the server for the name of the client's address.
func (w *World) backNames(v *diag.View) probe.Probe {
	p := probe.Probe{ID: "names-back", Check: "chk-params", Gives: []string{"dns.reverse"}, Cost: probe.Reach, Limit: 2 * time.Second,
		What: "ask the server's DNS for the name of the client's address"}
	from, err := netip.ParseAddrPort(v.Obj("wire.server.hello").Str("src"))
	if err != nil {
		p.Needs = "a hello of the client"
		return p
	}
	p.Run = func(ctx context.Context, r probe.Report) error {
		name, err := dns.ReverseAddr(from.Addr().String())
		if err != nil {
			return err
		}
		c := dns.Client{Timeout: time.Second}
		m, _, err := c.ExchangeContext(ctx, new(dns.Msg).SetQuestion(name, dns.TypePTR), w.net.real(netip.AddrPortFrom(w.at.serverDNS, dnsPort)).String())
		if err != nil {
			return &amt.Error{Op: "ask DNS", Subject: name, Err: err}
		}
		names := []string{}
		for _, rr := range m.Answer {
			if ptr, ok := rr.(*dns.PTR); ok {
				names = append(names, ptr.Ptr)
			}
		}
		r.Saw(fmt.Sprintf("%s is %v", from.Addr(), names))
		r.Fact(diag.Fact{Key: "dns.reverse", Vantage: diag.AtServer, Value: map[string]any{"addr": from.Addr().String(), "name": names}})
		return nil
	}
	return p
}

// oemFile is the name of the key file that came with the PCs.
const oemFile = "oem-keys.csv"

// oemKeys looks the client's PID up in the key file of the maker.
func (w *World) oemKeys(v *diag.View) probe.Probe {
	p := probe.Probe{ID: "oem-keys", Check: "chk-pid", Gives: []string{"keys.oem_has_pid"}, Cost: probe.Read, Limit: time.Second,
		What: "look for the PID in the maker's key file"}
	pid := v.PID()
	if pid == "" {
		p.Needs = "the PID of the client"
		return p
	}
	p.Run = func(_ context.Context, r probe.Report) error {
		f, err := os.Open(w.oemPath())
		if err != nil {
			return &amt.Error{Op: "read key file", Err: err}
		}
		defer func() { _ = f.Close() }()
		rows, _, err := keys.ReadCSV(f)
		if err != nil {
			return &amt.Error{Op: "read key file", Subject: w.oemPath(), Err: err}
		}
		has := false
		for _, row := range rows {
			has = has || string(row.PID) == pid
		}
		r.Fact(diag.Fact{Key: "keys.oem_has_pid", Value: has, Evidence: diag.Evidence{w.oemPath()}})
		return nil
	}
	return p
}

func (w *World) oemPath() string { return filepath.Join(w.work, oemFile) }

// inWorldTime makes a probe of package probe speak in the world's time.
func (w *World) inWorldTime(p probe.Probe) probe.Probe {
	if run := p.Run; run != nil {
		p.Run = func(ctx context.Context, r probe.Report) error { return run(ctx, worldReport{r, w}) }
	}
	return p
}

// worldReport turns the real deadlines of probes into the world's time.
type worldReport struct {
	probe.Report
	w *World
}

// Fact names a name server by its address in the world, whatever stands for it on this machine.
func (r worldReport) Fact(f diag.Fact) {
	if v, ok := f.Value.(map[string]any); ok {
		for _, s := range r.w.nameServers {
			if v["server"] == r.w.net.real(s.addr).String() {
				v = maps.Clone(v)
				v["server"] = s.addr.Addr().String()
				f.Value = v
			}
		}
	}
	r.Report.Fact(f)
}

func (r worldReport) Until(t time.Time, what string) {
	r.Report.Until(r.w.clock.now().Add(time.Until(t)), what)
}
