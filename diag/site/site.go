// Package site is this machine and its network as a world to walk: its resolvers, its interfaces,
// the server that was named, capture files, and the database of the provisioning core. New is the
// entry point. It decides nothing: probes measure, package check judges.
//
// This machine is taken as standing in the client's segment while nothing speaks against it. When
// one of the server's addresses is its own, what it sees is the server's side; when the client is
// known to have an address of another segment, what it sees is a third one's. Neither is said of the
// client.
package site

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/mei"
	"amtmedic/amt/store"
	"amtmedic/amt/usbkey"
	"amtmedic/capture"
	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
	"amtmedic/diag/remedy"
)

// Capture is a capture file and the side on which it was made.
type Capture struct {
	Side diag.Vantage
	Path string
}

// Options say what is known of the site before the walk.
type Options struct {
	Server          string     // provisioning server: name or address; empty while unknown
	Resolvers       []string   // DNS servers of the client; empty: those of this machine
	ServerResolvers []string   // DNS servers of the server; empty: this machine's, when it is the server
	Suffixes        []string   // search suffixes of the client; empty: those of this machine
	Captures        []Capture  // capture files
	Interface       string     // to listen on; empty listens on none
	Database        string     // of the provisioning core; empty reads none but OwnDatabase
	Local           mei.Dialer // of the Management Engine, when this machine is the client; nil asks none
	USBKey          string     // device or image file of the key that was tried; empty reads none
	// Certificate reads the provisioning certificate that CertificateName names; nil reads none.
	Certificate     func() (*cert.File, error)
	CertificateName string
	// OwnDatabase is where a provisioning core on this machine keeps its tables unless told
	// otherwise. It is read only while a core works it and this machine is the server.
	OwnDatabase string
	Store       store.Options
	USB         usbkey.System // where devices are looked for
}

// World is the site. It implements flow.World; its methods are safe for concurrent use.
type World struct {
	keep  func(side string) (io.WriteCloser, string, error) // where packets of live captures go
	files func(side string) (io.WriteCloser, string, error) // where the client's packets of capture files go

	o         Options
	system    probe.System
	systemErr error // why the resolvers of this machine are not known
	own       func() []netip.Prefix
	dial      func(ctx context.Context, network, address string) (net.Conn, error) // nil is the network

	mu      sync.Mutex
	drained bool
	last    *diag.View // what was known when probes were last asked for
	read    map[Capture]readState
	servers []*remedy.HelloServer // that repairs started in this process

	listening *capture.Live // what a probe listens with, or did last
	screens   int           // listen besides the probes, and keep the packets
}

// New looks at this machine's resolvers once. A machine that does not tell them is no error until
// they are needed.
func New(o Options) *World {
	w := &World{o: o, own: prefixes, read: map[Capture]readState{}}
	w.system, w.systemErr = probe.SystemResolvers()
	return w
}

// Close stops what a repair started.
func (w *World) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	for _, s := range w.servers {
		err = errors.Join(err, s.Close())
	}
	w.servers = nil
	return err
}

// Name is for the screen.
func (w *World) Name() string { return "this machine" }

// Now is the clock of this machine.
func (w *World) Now() time.Time { return time.Now() }

// Client gives none: the client is a real PC.
func (w *World) Client() flow.Client { return nil }

// Drained tells that the engineer has just drained the client.
func (w *World) Drained() {
	w.mu.Lock()
	w.drained = true
	w.mu.Unlock()
}

// KeepPackets lets the packets of live captures go into files of the case. open gives a new file for
// a side, and the name by which facts refer to it. Call it before the walk begins.
func (w *World) KeepPackets(open func(side string) (file io.WriteCloser, ref string, err error)) {
	w.mu.Lock()
	w.keep = open
	w.mu.Unlock()
}

// KeepFiles is KeepPackets for the packets of the client in the capture files that were named.
func (w *World) KeepFiles(open func(side string) (file io.WriteCloser, ref string, err error)) {
	w.mu.Lock()
	w.files = open
	w.mu.Unlock()
}

// recordAt gives how packets of a side are kept, nil when they are not.
func (w *World) recordAt(side diag.Vantage) func() (io.WriteCloser, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keep == nil || w.screens > 0 {
		return nil
	}
	keep := w.keep
	return func() (io.WriteCloser, string, error) { return keep(string(side)) }
}

// Questions lists everything that a person can be asked.
func (w *World) Questions(*diag.View) []probe.Question { return probe.Questions() }

// Probes lists what can be measured here, given what is known so far.
func (w *World) Probes(v *diag.View) []probe.Probe {
	w.mu.Lock()
	w.last = v
	w.mu.Unlock()
	out := w.captures(v)
	if p, ok := w.server(v); ok {
		out = append(out, p)
	}
	at := w.standsAt(v)
	out = append(out, w.nameProbes(v, at)...)
	db := w.database(at)
	listen := probe.Wire{Side: diag.AtClient, Name: w.o.Interface, Clients: clients(v), UUID: uuid(v), Ports: ports(v), After: w.after()}
	switch at {
	case diag.AtServer:
		listen.Side = at
		out = append(out, w.service(db, v))
		out = append(out, w.back(v)...)
	default:
		out = append(out, probe.Connect(probe.Port{Key: "net.9971", Side: at, To: w.target(v), Dial: w.dial}))
	}
	if w.o.Local != nil {
		out = append(out, probe.ManagementEngine(probe.ME{Dial: w.o.Local, Said: v.Get}))
	}
	if w.o.USBKey != "" {
		out = append(out, probe.USBKey(w.o.USB, w.o.USBKey, version(v)))
	}
	out = append(out, w.certificate(v)...)
	if w.o.Interface != "" {
		listen.Record, listen.Open = w.recordAt(listen.Side), w.listenOn(w.o.Interface, listen.Ports)
		out = append(out, probe.WireLive(listen))
	}
	if db != "" {
		out = append(out, w.hello(db, v))
		out = append(out, probe.Database(probe.DB{Target: db, Options: w.o.Store, UUID: uuid(v), PID: amt.PID(v.PID())})...)
	}
	return out
}

// version is that of the client's firmware, zero while unknown.
func version(v *diag.View) amt.Version {
	ver, err := amt.ParseVersion(v.Str("client.amt_version"))
	if err != nil {
		return amt.Version{}
	}
	return ver
}

// after says what was done to the client before a watch begins.
func (w *World) after() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.drained {
		return "drain"
	}
	return ""
}

func uuid(v *diag.View) amt.UUID {
	u, _ := amt.ParseUUID(v.UUID()) // zero while unknown
	return u
}

// clients are the addresses of the client as far as they are known: what the ME says, and from where
// a capture at its side saw it send.
func clients(v *diag.View) []netip.Addr {
	var out []netip.Addr
	add := func(s string) {
		if a, err := netip.ParseAddr(s); err == nil && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	add(v.Str("client.me_addr"))
	for _, k := range []string{"wire.client.syn", "wire.client.hello"} {
		for _, f := range v.All(k) {
			if src := diag.ObjOf(f).Str("src"); src != "" {
				add(diag.Host(src))
			}
		}
	}
	return out
}

// ports are those that the client's hellos may go to: the usual one, and the one stored in MEBx.
func ports(v *diag.View) []uint16 {
	out := []uint16{amt.HelloPort}
	if ap, err := netip.ParseAddrPort(v.Str("client.server_override")); err == nil && ap.Port() != amt.HelloPort {
		out = append(out, ap.Port())
	}
	return out
}

// standsAt says where this machine stands, as far as is known: it is the server, it shares a segment
// with the client, or the client is elsewhere. A client of unknown address is taken as near.
func (w *World) standsAt(v *diag.View) diag.Vantage {
	own := w.own()
	addrs, _ := v.Texts("srv.addr")
	if slices.ContainsFunc(addrs, func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err == nil && (a.IsLoopback() || slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Addr() == a }))
	}) {
		return diag.AtServer
	}
	known := clients(v)
	if len(known) == 0 || len(own) == 0 || slices.ContainsFunc(known, func(a netip.Addr) bool {
		return slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Contains(a) })
	}) {
		return diag.AtClient
	}
	return diag.AtThird
}

// prefixes are the addresses of this machine with their networks.
func prefixes() []netip.Prefix {
	var out []netip.Prefix
	list, _ := net.InterfaceAddrs() // none known: nothing is said against the client's segment
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()))
		}
	}
	return out
}
