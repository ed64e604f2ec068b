package lab

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/sim/front"
)

// answerTime is how long the PC's firmware thinks about one request: a setup of some seconds, as on
// site, which a person can follow.
const answerTime = 60 * time.Millisecond

// firmware is what the PC answers at its own ports while it is set up and afterwards: TLS with its
// pair, log-in, WS-Man. It implements front.Host. Its clock is that of this machine: the world's one
// runs faster while something is waited for, and would stray during a session.
type firmware struct {
	pc     *machine
	engine *engine.Engine
	server *front.Server
	addr   netip.Addr // where its ports are on this machine

	mu    sync.Mutex
	ports *front.Client // nil until they are open
	ended chan struct{} // closed when the server has ended
}

// newFirmware opens the ports of a PC that is in setup, until run ends. What its MEBx holds is what the
// firmware has. Ports are ones that the system chooses, so that worlds stand side by side.
func newFirmware(run context.Context, pc *machine, pps amt.Secret, trusted []hello.Hash, addr netip.Addr) (*firmware, error) {
	s := pc.State()
	f := &firmware{pc: pc, addr: addr, ended: make(chan struct{})}
	c := engine.Config{UUID: s.UUID, Version: s.Version, Stage: engine.In, MEBxChanged: s.PasswordChanged,
		Domain: s.Suffix, Addr: s.Lease.Address, Hashes: trusted, ClockOff: -4 * time.Second, OnChange: f.changed}
	if s.PasswordChanged {
		c.Password = pc.own
	}
	if s.PID != "" {
		c.PID, c.PPS = s.PID, pps
	}
	f.engine = engine.New(c)
	var err error
	if f.server, err = front.New(front.Options{AnyPort: true, NoPing: true}); err != nil {
		return nil, err
	}
	go func() {
		defer close(f.ended)
		_ = f.server.Run(run) // nil at its end; what breaks before shows as a session that fails
	}()
	ports, err := f.server.Add(addr, s.UUID, s.Version, f)
	f.mu.Lock()
	f.ports = ports
	f.mu.Unlock()
	return f, err
}

// View tells the ports how to behave.
func (f *firmware) View() front.View {
	s := f.engine.State()
	v := front.View{State: string(s.Stage), PID: s.PID, PPS: s.PPS, Hashes: s.Hashes, Suffix: f.pc.State().Suffix, Now: time.Now()}
	switch s.Stage {
	case engine.In:
		v.TLS = front.SetupTLS
		if s.PID != "" {
			v.TLS = front.PairTLS
		}
	case engine.Post:
		f.managed(s, &v)
	}
	return v
}

// managed fills the ports of a provisioned client: what its profile set, and TLS alone from 16.1 on.
func (f *firmware) managed(s engine.State, v *front.View) {
	only := front.PlainClosed(s.Version)
	v.Plain = s.Plain && !only
	if !s.TLS && !only {
		return
	}
	v.TLS, v.Mutual, v.TrustedCNs, v.Roots = front.OwnTLS, s.Mutual, s.TrustedCNs, x509.NewCertPool()
	for _, der := range s.Roots {
		if c, err := x509.ParseCertificate(der); err == nil {
			v.Roots.AddCert(c)
		}
	}
	if own, err := f.engine.Certificate(); err == nil {
		v.Certificate = own
	}
}

// Answer answers a request after the firmware's own time.
func (f *firmware) Answer(r front.Request) front.Reply {
	a := f.engine.Answer(engine.Session{Secure: r.Secure, Setup: r.Setup, Certificate: r.Certificate, User: r.User, From: r.From},
		r.Method, r.Path, r.Header, r.Body)
	then := map[engine.Action]front.Then{engine.DropBefore: front.DropBefore, engine.DropAfter: front.DropAfter, engine.Restart: front.Restart}[a.Do]
	return front.Reply{Status: a.Status, Header: a.Header, Body: a.Body, Then: then, Delay: a.Delay + answerTime}
}

// Digest gives what proves the password of a user.
func (f *firmware) Digest(user string) (string, bool) { return f.engine.Digest(user) }

// Realm is that of the log-in.
func (f *firmware) Realm() string { return f.engine.Realm() }

// changed lets the PC follow what was set over the network. The setup window stays that of its hellos,
// which count in the world's time.
func (f *firmware) changed(c engine.Change) {
	switch c.Kind {
	case engine.ChangeStage:
		if c.State.Stage == engine.Post {
			f.pc.Commit()
		}
	case engine.ChangePair:
		f.pc.SetPair(c.State.PID, c.State.PPS)
	case engine.ChangePassword, engine.ChangeMEBx:
		f.pc.SetCredentials(c.State.PasswordChanged)
	}
	f.mu.Lock()
	ports := f.ports
	f.mu.Unlock()
	if ports != nil {
		_ = ports.Sync() // a port that does not open shows as one that refuses
	}
}

// real gives what stands on this machine for a port of the PC; false while the port is closed.
func (f *firmware) real(port uint16) (netip.AddrPort, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ports == nil {
		return netip.AddrPort{}, false
	}
	plain, secure, _ := f.ports.Addresses()
	at := map[uint16]netip.AddrPort{front.PortPlain: plain, front.PortTLS: secure}[port]
	return at, at.IsValid()
}

// dial opens a connection from the server back to the PC; both taps see it.
func (w *World) dial(ctx context.Context, _, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	real, open := w.firmware.real(to.Port())
	if !open || w.now(func(p *plan) bool { return p.noBack }) || to.Addr() != w.pc.State().Lease.Address {
		from := netip.AddrPortFrom(w.at.server, backPort)
		for _, t := range []*tap{w.network.tap, w.network.server} {
			s := t.stream(from, to)
			s.syn()
			s.refused()
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: errors.Join(syscall.ECONNREFUSED)}
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp4", real.String())
	if err != nil {
		return nil, err
	}
	from := netip.AddrPortFrom(w.at.server, addrPort(c.LocalAddr()).Port())
	for _, t := range []*tap{w.network.tap, w.network.server} {
		s := t.stream(from, to)
		s.syn()
		s.established()
		c = &conn{Conn: c, s: s, fromA: true, linger: -1}
	}
	return c, nil
}

// backPort is the source port shown for a connection that no socket was opened for.
const backPort = 49152
