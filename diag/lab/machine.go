package lab

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/keys"
	"amtmedic/amt/sim"
)

// machine is the simulated PC with the person who set it up: the firmware, the passwords that the
// person knows, and what was done to it in this case. It does not know which fault was chosen, only
// the state that it is in.
type machine struct {
	*sim.Client
	net    *network
	clock  *clock
	own    amt.Secret // the MEBx password of this site
	sound  keys.Pair  // what stands on the person's list for this PC
	method string     // how it is to be set up, in the words of the fact case.method

	mu      sync.Mutex
	tried   chan struct{} // closed at the end of the first try since the last start; nil then
	adapter bool          // the cable is in a USB adapter
	keyedBy string        // hand, usb or oem
	began   time.Time     // when its hellos were started last; zero when not in this case
	how     string        // drain or start-call
}

// settling is how long the world runs faster after the client's hellos were started: what it does
// first is over by then.
const settling = 2 * time.Minute

// newMachine makes the PC that the plan describes. trusted are the hashes that its firmware has, of a PC
// that is set up by certificate.
func newMachine(p *plan, at place, n *network, c *clock, trusted []hello.Hash) *machine {
	m := &machine{net: n, clock: c, own: p.id.password, sound: p.id.pair, keyedBy: p.keyedBy, method: "psk"}
	version := p.version()
	cfg := sim.Config{UUID: p.id.uuid, Version: version, Enabled: p.enabled, Lease: p.lease(at), Network: n, Clock: c,
		Patience: dialLimit, OnEvent: m.saw}
	switch p.mebx {
	case mebxChanged:
		cfg.Password = p.id.password
	case mebxLocked:
		cfg.Password = p.id.lost
	}
	switch {
	case p.method == amt.PKI:
		m.method, cfg.RemoteConfiguration, cfg.ShipsRemote, cfg.Hashes = "rcfg", p.prepared, true, trusted
	case p.prepared:
		cfg.PID, cfg.PPS = p.pair.PID, p.pair.PPS
	}
	if p.wrongServer {
		cfg.Override.Addr = at.wrong
	}
	m.adapter, cfg.Provisioned = p.adapter, p.foreign
	if p.expired {
		cfg.Window = time.Nanosecond // it was over before this case began
	}
	m.Client = sim.New(cfg)
	return m
}

// lease is what DHCP gives the client: nothing over a port that is not its own.
func (p *plan) lease(at place) sim.Lease {
	if p.unleased || p.adapter {
		return sim.Lease{Mode: sim.NoIP}
	}
	return sim.Lease{Address: at.client, Suffix: p.suffix, DNS: []netip.AddrPort{netip.AddrPortFrom(at.clientDNS, dnsPort)}}
}

// saw notes the end of a try.
func (m *machine) saw(e sim.Event) {
	switch e.Kind {
	case sim.EventAcknowledged, sim.EventUnanswered:
	case sim.EventConnect:
		if e.Err == nil {
			return
		}
	case sim.EventLookup: // the bare name comes last; no name at all means that none can be asked
		if e.Err == nil || strings.Contains(e.Name, ".") {
			return
		}
	default:
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tried != nil && !e.At.Before(m.began.Add(bootTime)) { // not one that the restart cut short
		close(m.tried)
		m.tried = nil
	}
}

// started notes that the client's hellos begin anew.
func (m *machine) started(how string) {
	m.mu.Lock()
	m.began, m.how = m.clock.now(), how
	if m.tried == nil {
		m.tried = make(chan struct{})
	}
	until := m.began.Add(settling)
	m.mu.Unlock()
	m.clock.hasten(until, speed)
	if m.State().Enabled { // an engine that is off asks for no address
		m.net.leased(m.State().Lease)
	}
}

// repaired notes that something was repaired and the hellos go on as they were: from now on it
// counts what the client does.
func (m *machine) repaired() {
	if m.State().Window != "open" {
		return // a client that says nothing goes on saying nothing
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.began, m.how = m.clock.now(), "nothing"
}

// start gives from when on it counts what the client does, and what was done to it then; zero when
// nothing was.
func (m *machine) start() (at time.Time, how string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.began, cmp.Or(m.how, "nothing")
}

// drain cuts the power until nothing is left, and gives it back.
func (m *machine) drain() {
	m.started("drain")
	m.PowerDrain()
}

// awaitTry waits until the first try since the last start has come to its end, but not long: a
// world may be one in which it never does.
func (m *machine) awaitTry(ctx context.Context, limit time.Duration) {
	m.mu.Lock()
	tried := m.tried
	m.mu.Unlock()
	if tried == nil {
		return
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-tried:
		m.clock.relax()
	case <-t.C:
	case <-ctx.Done():
	}
}

// bootTime is what firmware needs at least from its start to its first try.
const bootTime = 4 * time.Second

// tryLimit is the real time in which a try ends where nothing is broken, also on a busy machine;
// firstLimit is what a person would wait for the first picture.
const (
	tryLimit   = 800 * time.Millisecond
	firstLimit = 300 * time.Millisecond
)

// letEnd gives a hello that is under way a moment to be answered, so that what is read next is not
// read in the middle of it.
func (m *machine) letEnd(ctx context.Context) {
	for range 60 {
		if s := m.State(); s.Acknowledged >= s.HellosSent || ctx.Err() != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

var errLockedOut = errors.New("no password that is known here opens the MEBx")

// logIn opens the MEBx with what the person knows: the factory password, then the site's own.
func (m *machine) logIn() (*sim.MEBx, error) {
	x := m.MEBx()
	for _, p := range []amt.Secret{amt.NewSecret(sim.FactoryPassword), m.own} {
		if x.Login(p) == nil {
			return x, nil
		}
	}
	return nil, errLockedOut
}

// atMEBx does something in the MEBx, which insists on another password than the factory one first.
func (m *machine) atMEBx(do func(*sim.MEBx) error) error {
	x, err := m.logIn()
	if err != nil {
		return err
	}
	if !m.State().PasswordChanged {
		if err := x.ChangePassword(m.own); err != nil {
			return err
		}
	}
	return do(x)
}

// enterPair types the pair of the person's list into the MEBx.
func (m *machine) enterPair(p keys.Pair) error {
	err := m.atMEBx(func(x *sim.MEBx) error { return x.EnterPIDPPS(string(p.PID), p.PPS) })
	if err != nil {
		return err
	}
	m.keyedNow("hand")
	return nil
}

// keyedNow notes how the pair came onto the PC just now; the firmware starts its hellos with it.
func (m *machine) keyedNow(how string) {
	m.mu.Lock()
	m.keyedBy = how
	m.mu.Unlock()
	m.started("start-call")
}

// switchOn enables AMT in the BIOS.
func (m *machine) switchOn() error {
	if err := m.MEBx().EnableAMT(); err != nil {
		return err
	}
	m.started("start-call")
	return nil
}

// plugged gives the network socket that is in use, in the words of the fact client.nic.
func (m *machine) plugged() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.adapter {
		return "other-nic-only"
	}
	return "onboard-up"
}

// replug puts the cable into AMT's own port.
func (m *machine) replug() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.adapter = false
}

func (m *machine) keyed() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keyedBy
}
