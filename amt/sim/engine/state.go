package engine

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"amtmedic/amt"
)

// settings is what the firmware remembers. A full unprovision makes a new one.
type settings struct {
	stage      Stage
	control    int // 0 none, 1 client, 2 admin
	host       string
	domain     string
	pid        amt.PID
	pps        amt.Secret
	admin      user
	changed    bool // the password of admin is not the factory one
	mebx       bool // the MEBx password was changed
	windowEnds time.Time
	generation uint64

	users       map[int]*user
	general     map[string]string // values of AMT_GeneralSettings that were put
	ethernet    map[string]string
	clock       time.Duration // ahead of Now
	clockSet    bool
	rng         bool
	otp         string
	setupFQDN   string
	noZeroTouch bool

	certs   map[int]storedCert
	keys    map[int]*rsa.PrivateKey
	context int // handle of the certificate for TLS, -1 for none
	remote  tlsSetting
	local   tlsSetting
	force   tlsInForce

	power     int // CIM power state, 2 is on
	boot      string
	redirect  int // EnabledState of AMT_RedirectionService less 32768: bit 0 IDE-R, bit 1 SOL
	listener  bool
	optIn     int
	hostSetup hostSetup
	cleared   bool // the log
}

// New makes the engine of one client.
func New(c Config) *Engine {
	if c.Stage == "" {
		c.Stage = In
	}
	if c.Password.IsZero() {
		c.Password = amt.NewSecret(FactoryPassword)
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Window == 0 {
		c.Window = 24 * time.Hour
	}
	if c.Keys == nil {
		random := c.Random
		c.Keys = func(bits int) (*rsa.PrivateKey, error) { return rsa.GenerateKey(random, bits) }
	}
	e := &Engine{cfg: c}
	e.st = e.factory(c.Now())
	s := &e.st
	s.stage, s.host, s.domain, s.pid, s.pps, s.mebx = c.Stage, c.Host, c.Domain, c.PID, c.PPS, c.MEBxChanged
	s.changed = c.Password.Reveal() != FactoryPassword
	s.clock, s.otp = c.ClockOff, c.OTP.Reveal()
	s.admin.ha1 = digestOf("admin", e.Realm(), c.Password.Reveal())
	if c.Stage == Post {
		s.control, s.clockSet = 2, true
	}
	return e
}

// PlantOTP stores the one-time password that an agent in the client's own system hands over.
func (e *Engine) PlantOTP(otp amt.Secret) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.st.otp = otp.Reveal()
}

// factory gives what remains after a full unprovision; the stage is Pre.
func (e *Engine) factory(now time.Time) settings {
	return settings{stage: Pre, admin: user{name: "admin", ha1: digestOf("admin", e.Realm(), FactoryPassword), enabled: true},
		windowEnds: now.Add(e.cfg.Window), context: -1, local: tlsSetting{plain: true}, remote: tlsSetting{plain: true},
		force: tlsInForce{setting: tlsSetting{plain: true}}, power: 2, redirect: 3, listener: true}
}

// Realm gives the realm of the digest log-in. Public samples show two forms: "Digest:" with 32
// hexadecimal digits, and the UUID in words for old firmware; where the border lies is a guess
// (provisioning-protocol 3.2).
func (e *Engine) Realm() string {
	if e.cfg.Realm != "" {
		return e.cfg.Realm
	}
	if !e.cfg.Version.AtLeast(6, 0) {
		return "Intel(R) AMT (ID:" + e.cfg.UUID.String() + ")"
	}
	sum := md5.Sum(e.cfg.UUID[:])
	return "Digest:" + strings.ToUpper(hex.EncodeToString(sum[:]))
}

// version gives three parts at least, as firmware tells them.
func (e *Engine) version() string {
	s := e.cfg.Version.String()
	for strings.Count(s, ".") < 2 {
		s += ".0"
	}
	if p := strings.SplitN(s, ".", 4); len(p) == 4 {
		s = strings.Join(p[:3], ".")
	}
	return s
}

// build gives the fourth part of the version, or a number of our own.
func (e *Engine) build() string {
	if p := strings.SplitN(e.cfg.Version.String(), ".", 4); len(p) == 4 {
		return p[3]
	}
	return "1000"
}

// Digest gives MD5(user:realm:password) in lower-case hexadecimal of a digest user, for the log-in.
func (e *Engine) Digest(name string) (ha1 string, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	u := e.userNamed(name)
	if u == nil || u.ha1 == "" || !u.enabled {
		return "", false
	}
	return u.ha1, true
}

// State gives a snapshot.
func (e *Engine) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state()
}

// state makes the snapshot. The lock is held.
func (e *Engine) state() State {
	s := &e.st
	st := State{Stage: s.stage, Version: e.cfg.Version, ControlMode: s.control,
		PID: s.pid, PPS: s.pps, Hashes: e.cfg.Hashes, Host: s.host, Domain: s.domain, PasswordChanged: s.changed,
		WindowEnds: s.windowEnds, Generation: s.generation}
	switch s.stage {
	case In:
		st.TLS = true
	case Post:
		st.TLS, st.Plain = s.force.setting.enabled, !s.force.setting.enabled || s.force.setting.plain
		if e.cfg.Version.AtLeast(16, 1) { // the ports without TLS are closed (provisioning-protocol 4.1)
			st.TLS, st.Plain = true, false
		}
		if st.TLS && s.force.setting.mutual {
			st.Mutual, st.Roots, st.TrustedCNs = true, s.force.roots, s.force.setting.names
		}
	}
	return st
}

// changed notes a change of state, to be told when the lock is free.
func (e *Engine) changed(c *call, kind ChangeKind) *Change {
	e.st.generation++
	c.changes = append(c.changes, Change{Kind: kind, At: c.s.Now, From: c.s.From, State: e.state()})
	return &c.changes[len(c.changes)-1]
}

// firmwareTime is what the firmware takes for the time.
func (e *Engine) firmwareTime(now time.Time) time.Time { return now.Add(e.st.clock) }

func digestOf(user, realm, password string) string {
	return fmt.Sprintf("%x", md5.Sum([]byte(user+":"+realm+":"+password)))
}
