package engine

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"amtmedic/amt"
)

// settings is what the firmware remembers.
type settings struct {
	stage       Stage
	control     int
	host        string
	domain      string
	pid         amt.PID
	pps         amt.Secret
	ha1         string // of admin, over the realm
	changed     bool   // network password of admin
	mebxChanged bool
	windowEnds  time.Time
	generation  uint64
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
		c.Keys = func(bits int) (*rsa.PrivateKey, error) { return rsa.GenerateKey(c.Random, bits) }
	}
	e := &Engine{cfg: c}
	e.st = settings{stage: c.Stage, host: c.Host, domain: c.Domain, pid: c.PID, pps: c.PPS, mebxChanged: c.MEBxChanged,
		changed: c.Password.Reveal() != FactoryPassword, windowEnds: c.Now().Add(c.Window)}
	if c.Stage == Post {
		e.st.control = 2
	}
	e.st.ha1 = digestOf("admin", e.Realm(), c.Password.Reveal())
	return e
}

// Realm gives the realm of the digest log-in.
func (e *Engine) Realm() string {
	if e.cfg.Realm != "" {
		return e.cfg.Realm
	}
	if !e.cfg.Version.AtLeast(6, 0) {
		return "Intel(R) AMT (ID:" + e.cfg.UUID.String() + ")"
	}
	return "Digest:" + strings.ToUpper(hex.EncodeToString(e.cfg.UUID[:]))
}

// Digest gives MD5(user:realm:password) in lower-case hexadecimal of a digest user, for the log-in.
func (e *Engine) Digest(user string) (ha1 string, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if user != "admin" || e.st.ha1 == "" {
		return "", false
	}
	return e.st.ha1, true
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
	return State{Stage: s.stage, Version: e.cfg.Version, ControlMode: s.control, Plain: s.stage == Post, TLS: s.stage == In,
		PID: s.pid, PPS: s.pps, Hashes: e.cfg.Hashes, Host: s.host, Domain: s.domain, PasswordChanged: s.changed,
		WindowEnds: s.windowEnds, Generation: s.generation}
}

// Certificate gives what 16993 shows now: a self-signed certificate of the firmware during setup
// (made when it is first asked for), that of AMT_TLSCredentialContext afterwards.
func (e *Engine) Certificate() (tls.Certificate, error) {
	return tls.Certificate{}, errors.New("no certificate is set")
}

// Answer gives the answer to one HTTP request. Call it also for a request without a log-in: when one
// is needed the status is 401, and the network side adds its challenge.
func (e *Engine) Answer(s Session, method, path string, header map[string]string, body []byte) Answer {
	return Answer{Status: 404}
}

func digestOf(user, realm, password string) string {
	sum := md5.Sum([]byte(user + ":" + realm + ":" + password))
	return hex.EncodeToString(sum[:])
}
