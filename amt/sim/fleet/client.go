package fleet

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/sim"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/sim/front"
)

// User is who logs in over the network.
const User = "admin"

// Client is one simulated client. Its fields do not change; what it became over the network is in
// its state.
type Client struct {
	f        *Fleet
	UUID     amt.UUID
	Address  netip.Addr
	FQDN     string
	Pair     keys.Pair  // zero for a client without
	Password amt.Secret // of User, at the start
	OTP      amt.Secret // that an agent planted; zero for none

	hellos *sim.Client
	engine atomic.Pointer[engine.Engine] // a full unprovision makes a new one
	ports  *front.Client
}

// newClient makes client number i (from 0).
func (f *Fleet) newClient(i int, addr netip.Addr) (*Client, error) {
	c := &f.cfg
	m := &Client{f: f, Address: addr, FQDN: fqdn(i, c.Suffix), Password: amt.NewSecret(engine.FactoryPassword)}
	if err := m.draw(); err != nil {
		return nil, err
	}
	hashes := f.hashes
	psk := c.Method == amt.PSK
	cfg := sim.Config{UUID: m.UUID, Version: c.Version, Enabled: true, Password: m.Password, PID: m.Pair.PID, PPS: m.Pair.PPS,
		RemoteConfiguration: !psk && c.Stage != engine.Pre, ShipsRemote: !psk, Hashes: hashes, Provisioned: c.Stage == engine.Post,
		Lease:    sim.Lease{Address: addr, Suffix: c.Suffix, DNS: []netip.AddrPort{c.To}}, // network answers in its place
		Override: sim.Override{Addr: c.To.Addr(), Port: c.To.Port()},
		Clock:    clock{c.Now}, Network: network{c.To, f.dialers}, Patience: 10 * time.Second, OnEvent: m.moved}
	if c.Fast {
		pace := max(2*time.Second, time.Duration(c.Count)*perHello)
		cfg.FirstAfter = time.Duration(i+1) * perHello
		cfg.Schedule, cfg.Window, cfg.LaterWindow = sim.Schedule{{Tries: 1 << 20, Every: pace}}, 24*time.Hour, 24*time.Hour
		cfg.Hold = func() bool { return m.ports != nil && m.ports.Sessions() > 0 }
	}
	m.hellos = sim.New(cfg)
	m.restart(engine.Config{Stage: c.Stage, Password: m.Password, MEBxChanged: m.Password.Reveal() != sim.FactoryPassword, PID: m.Pair.PID, PPS: m.Pair.PPS, OTP: m.OTP})
	return m, nil
}

// window is the longest setup window; the hello side decides when it ends.
const window = 255 * time.Hour

// restart starts the management side in the state of e.
func (m *Client) restart(e engine.Config) {
	c := &m.f.cfg
	e.UUID, e.Version, e.Addr, e.Domain, e.Window = m.UUID, c.Version, m.Address, c.Suffix, window
	e.Random, e.Now, e.Keys, e.OnChange = c.Random, c.Now, m.f.pool.key, m.changed
	if e.Stage == engine.Post {
		e.Host, _, _ = strings.Cut(m.FQDN, ".")
	}
	if c.Method == amt.PKI {
		e.Hashes = m.f.hashes
	}
	next := engine.New(e)
	for _, fault := range c.Faults {
		if fault.At == "" {
			next.Fault(fault.Engine)
		}
	}
	m.engine.Store(next)
}

// perHello keeps fast hellos of all clients together at 200 a second.
const perHello = 5 * time.Millisecond

func fqdn(i int, suffix string) string {
	if suffix == "" {
		suffix = "example"
	}
	return fmt.Sprintf("amt%05d.%s", i+1, suffix)
}

// draw makes what is random: the UUID, a pair for a PSK client that has one, and the password that
// somebody set together with the pair or by provisioning.
func (m *Client) draw() (err error) {
	c := &m.f.cfg
	if _, err = c.Random.Read(m.UUID[:]); err != nil {
		return fmt.Errorf("random UUID: %w", err)
	}
	m.UUID[6], m.UUID[8] = m.UUID[6]&0x0F|0x40, m.UUID[8]&0x3F|0x80
	if c.Method == amt.PSK && c.Stage != engine.Pre {
		if m.Pair, err = keys.Generate(c.Random); err != nil {
			return err
		}
	}
	if c.Method == amt.PSK && c.Stage == engine.In || c.Stage == engine.Post {
		m.Password, err = keys.Password(c.Random)
	}
	if err == nil && c.OTP {
		var b [12]byte
		_, err = c.Random.Read(b[:])
		m.OTP = amt.NewSecret(hex.EncodeToString(b[:]))
	}
	return err
}

// Line gives the state of the client.
func (m *Client) Line() Line {
	return Line{UUID: m.UUID, Address: m.Address.String(), State: m.engine.Load().State().Stage, HellosSent: m.hellos.State().HellosSent}
}

// Ports gives where the client listens; zero for what is closed or shared.
func (m *Client) Ports() (plain, secure, ping netip.AddrPort) { return m.ports.Addresses() }

// View tells the ports how to behave (front.Host).
func (m *Client) View() front.View {
	s := m.engine.Load().State()
	h := m.hellos.State()
	v := front.View{State: string(s.Stage), PID: s.PID, PPS: s.PPS, Hashes: s.Hashes, Suffix: h.Suffix, Now: m.f.cfg.Now()}
	switch s.Stage {
	case engine.In:
		open := h.Window != "expired" // before its first hello the client counts as just started
		if !m.f.cfg.To.IsValid() {
			open = s.WindowEnds.After(v.Now)
		}
		switch {
		case open && s.PID != "" && !m.f.cfg.Version.AtLeast(11, 0):
			v.TLS = front.PairTLS
		case open:
			v.TLS = front.SetupTLS
		}
	case engine.Post:
		v.Plain = s.Plain && !front.PlainClosed(m.f.cfg.Version)
		if s.TLS || front.PlainClosed(m.f.cfg.Version) {
			v.TLS, v.Mutual, v.TrustedCNs = front.OwnTLS, s.Mutual, s.TrustedCNs
			v.Roots = pool(s.Roots)
			if cert, err := m.engine.Load().Certificate(); err == nil {
				v.Certificate = cert
			}
		}
	}
	return v
}

func pool(ders [][]byte) *x509.CertPool {
	p := x509.NewCertPool()
	for _, der := range ders {
		if c, err := x509.ParseCertificate(der); err == nil {
			p.AddCert(c)
		}
	}
	return p
}

// Answer answers a request (front.Host).
func (m *Client) Answer(r front.Request) front.Reply {
	a := m.engine.Load().Answer(engine.Session{Secure: r.Secure, Setup: r.Setup, Certificate: r.Certificate, User: r.User, From: r.From, Now: m.f.cfg.Now()},
		r.Method, r.Path, r.Header, r.Body)
	then := map[engine.Action]front.Then{engine.DropBefore: front.DropBefore, engine.DropAfter: front.DropAfter, engine.Restart: front.Restart}[a.Do]
	return front.Reply{Status: a.Status, Header: a.Header, Body: a.Body, Then: then, Delay: a.Delay}
}

// Digest gives what proves the password of a user (front.Host).
func (m *Client) Digest(user string) (string, bool) { return m.engine.Load().Digest(user) }

// Realm is that of the log-in (front.Host).
func (m *Client) Realm() string { return m.engine.Load().Realm() }

// moved hears of the hello side: the setup window opens and closes the port of the setup.
func (m *Client) moved(e sim.Event) {
	switch e.Kind {
	case sim.EventWindowOpen, sim.EventWindowClosed:
		m.sync()
	}
}

func (m *Client) sync() {
	if m.ports == nil {
		return
	}
	if err := m.ports.Sync(); err != nil {
		m.f.cfg.OnTalk(fmt.Sprintf("%s: %v", m.Address, err))
	}
}

// changed hears of the management side.
func (m *Client) changed(c engine.Change) {
	switch c.Kind {
	case engine.ChangeStage:
		m.staged(c)
	case engine.ChangePair:
		m.hellos.SetPair(c.State.PID, c.State.PPS)
	case engine.ChangeWindow:
		m.hellos.SetWindowEnd(c.State.WindowEnds)
	case engine.ChangePassword, engine.ChangeMEBx:
		m.hellos.SetCredentials(c.State.PasswordChanged)
	}
	m.sync()
}

// staged follows the client to another provisioning state.
func (m *Client) staged(c engine.Change) {
	if c.State.Stage == engine.Post {
		m.hellos.Commit()
		m.f.provisioned.Add(1)
	} else if m.hellos.State().Provisioning == "post" {
		m.f.provisioned.Add(-1)
		m.hellos.Unprovision(c.Partial)
		if m.hellos.State().SetupData == "rcfg" && c.State.Stage == engine.Pre { // as it left the factory, it begins by itself
			m.restart(engine.Config{Stage: engine.In, MEBxChanged: true})
		}
	}
	m.f.line(m)
}
