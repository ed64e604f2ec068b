package sim

import (
	"cmp"
	"errors"
	"time"

	"amtmedic/amt"
)

// What a client refuses, for errors.Is.
var (
	ErrLogIn       = errors.New("the MEBx refuses the password")
	ErrLoggedOut   = errors.New("nobody is logged in at the MEBx")
	ErrPassword    = errors.New("the MEBx asks for a new password before anything else") // it still has the factory one
	ErrWeak        = errors.New("a password needs 8 to 32 characters, among them an upper-case and a lower-case letter, a digit and a special character")
	ErrPair        = errors.New("the firmware refuses the pair: a check character does not fit")
	ErrUnsupported = errors.New("this firmware version does not have that")
	ErrProvisioned = errors.New("refused: the client is provisioned")
	ErrDisabled    = errors.New("AMT is disabled")
	ErrNotFactory  = errors.New("the USB key is ignored: the client is not in factory mode")
	ErrRunning     = errors.New("the client runs already")
)

// firmware is what the client remembers and decides. It has no lock and no clock of its own.
type firmware struct {
	cfg                          Config
	enabled, provisioned, smb    bool
	rcfg, noNet                  bool
	password                     string
	adminSet                     bool // the password of the network user was set over the network
	pid                          amt.PID
	pps                          amt.Secret
	domain                       string
	override                     Override
	lease                        Lease
	opened, ends                 time.Time // the window; ends is zero while none is open
	everOpened                   bool
	sequence                     uint64 // changes with every opening and closing of the window
	slot                         int    // next of the schedule
	attempts                     uint32
	hellosSent, acknowledgements uint64
}

func newFirmware(c Config) firmware {
	f := firmware{cfg: c, enabled: c.Enabled, provisioned: c.Provisioned, smb: c.SmallBusiness, rcfg: c.RemoteConfiguration,
		noNet: c.NoNetworkAccess, password: c.Password.Reveal(), pid: c.PID, pps: c.PPS, domain: c.Domain, override: c.Override, lease: c.Lease}
	if f.password == "" {
		f.password = FactoryPassword
	}
	return f
}

func (f *firmware) version() amt.Version {
	if f.cfg.Version.IsZero() {
		v, _ := amt.ParseVersion("3.2.1")
		return v
	}
	return f.cfg.Version
}

// hasPSK: the PSK hello was removed with 11.0 (provisioning-protocol 1.6).
func (f *firmware) hasPSK() bool { return !f.version().AtLeast(11, 0) }

// hasPKI: Remote Configuration came with 2.2, 2.6 and 3.0; 2.5 does not have it (1.6).
func (f *firmware) hasPKI() bool {
	v := f.version()
	return v.AtLeast(2, 2) && (v.Major() != 2 || v.Minor() != 5)
}

func (f *firmware) changed() bool { return f.password != FactoryPassword || f.adminSet }

func (f *firmware) setupData() string {
	switch {
	case f.pid != "" && f.hasPSK():
		return "pid"
	case f.rcfg && f.hasPKI():
		return "rcfg"
	}
	return "none"
}

// mode names the client's mode by the table of symptom-catalogue 2.
func (f *firmware) mode() amt.Mode {
	switch data := f.setupData(); {
	case !f.enabled:
		return amt.ModeDisabled
	case f.smb:
		return amt.ModeSMB
	case f.provisioned:
		return amt.ModeProvisioned
	case data == "none" && f.changed():
		return amt.ModeChanged
	case data == "none":
		return amt.ModeFactory
	case f.ends.IsZero():
		return amt.ModeSilent
	case data == "pid":
		return amt.ModePSK
	default:
		return amt.ModePKI
	}
}

// provisioning is what the firmware reports as its state. For Remote Configuration the sources
// leave open whether a client that sends reads pre or in; here it reads in once a window was open.
func (f *firmware) provisioning() string {
	switch {
	case f.provisioned:
		return "post"
	case f.enabled && (f.setupData() == "pid" || f.setupData() == "rcfg" && f.everOpened):
		return "in"
	}
	return "pre"
}

// mayOpen reports whether there is anything to send hellos for, and a network to send them on.
func (f *firmware) mayOpen() bool {
	return f.enabled && !f.provisioned && !f.smb && !f.noNet && f.setupData() != "none"
}

func (f *firmware) schedule() Schedule {
	switch {
	case f.cfg.Schedule != nil:
		return f.cfg.Schedule
	case f.setupData() == "pid":
		return SchedulePSK()
	}
	return SchedulePKI()
}

// open begins a new sequence of hellos, by a start of the client's engine or of an agent in its
// system. It reports whether one began.
func (f *firmware) open(now time.Time, byAgent bool) bool {
	f.close()
	length := f.windowLength(byAgent)
	if !f.mayOpen() || length <= 0 {
		return false
	}
	f.sequence++
	f.everOpened = true
	f.opened, f.ends = now, now.Add(length)
	f.slot, f.attempts = 0, 0
	return true
}

// windowLength is that of the next window; a client whose timer is 0 opens none by itself.
func (f *firmware) windowLength(byAgent bool) time.Duration {
	switch {
	case f.cfg.Window < 0 && !byAgent:
		return 0
	case f.cfg.Window >= 0 && !f.everOpened:
		return cmp.Or(f.cfg.Window, f.schedule().window())
	}
	return cmp.Or(f.cfg.LaterWindow, 6*time.Hour)
}

func (f *firmware) close() {
	if !f.ends.IsZero() {
		f.sequence++
	}
	f.opened, f.ends = time.Time{}, time.Time{}
}

// due gives the next try. When it is not before the end of the window the end itself is due.
func (f *firmware) due() (at time.Time, try bool) {
	first := cmp.Or(f.cfg.FirstAfter, 5*time.Second)
	off, ok := f.schedule().At(f.slot)
	at = f.opened.Add(first + off)
	if !ok || !at.Before(f.ends) {
		return f.ends, false
	}
	return at, true
}

// take counts a try at now and skips the others that are due as well: after a time-out the client
// does not catch up.
func (f *firmware) take(now time.Time) (retry uint32) {
	f.pass(now)
	retry = f.attempts
	f.attempts++
	return retry
}

// pass leaves out all tries that are due at now.
func (f *firmware) pass(now time.Time) {
	for {
		f.slot++
		if at, try := f.due(); !try || at.After(now) {
			return
		}
	}
}

// Answer is what a start of the configuration from the client's own system says, in the words of
// the fact client.start_call.
type Answer string

// The answers of StartConfiguration.
const (
	StartSuccess      Answer = "success"
	StartInWindow     Answer = "in-window"    // refused: the client is sending already
	StartInvalidMode  Answer = "invalid-mode" // provisioned, or nothing is prepared
	StartNotReady     Answer = "not-ready"    // no address, or no domain name
	StartCertNotReady Answer = "cert-not-ready"
	StartRNGNotReady  Answer = "rng-not-ready"
)

// start is the start-configuration call (symptom-catalogue 2).
func (f *firmware) start(now time.Time) Answer {
	switch {
	case !f.mayOpen():
		return StartInvalidMode
	case !f.ends.IsZero():
		return StartInWindow
	case f.cfg.CertNotReady:
		return StartCertNotReady
	case f.cfg.RNGNotReady:
		return StartRNGNotReady
	case f.lease.Mode == NoIP, !f.lease.Address.IsValid(),
		f.version().AtLeast(6, 0) && f.suffix() == "" && f.override.IsZero():
		return StartNotReady
	}
	f.open(now, true)
	return StartSuccess
}

// suffix is the domain in use: the stored one comes first (provisioning-protocol 2.3).
func (f *firmware) suffix() string {
	if f.domain != "" {
		return f.domain
	}
	return f.lease.Suffix
}

// reset is the CMOS battery out or the reset jumper set: all is as it came from the factory.
func (f *firmware) reset() {
	f.provisioned, f.rcfg, f.noNet = false, f.cfg.ShipsRemote, false
	f.password, f.adminSet, f.pid, f.pps = FactoryPassword, false, "", amt.Secret{}
	f.domain, f.override = "", Override{}
	f.everOpened = false
	f.close()
}

func (f *firmware) snapshot() State {
	s := State{UUID: f.cfg.UUID, Version: f.version(), Mode: f.mode(), Provisioning: f.provisioning(), Enabled: f.enabled,
		PasswordChanged: f.changed(), PID: f.pid, RemoteConfiguration: f.rcfg && f.hasPKI(), SetupData: f.setupData(),
		NetworkAccess: !f.noNet, SmallBusiness: f.smb, Lease: f.lease, Suffix: f.suffix(), Override: f.override,
		Attempts: f.attempts, HellosSent: f.hellosSent, Acknowledged: f.acknowledgements, WindowEnds: f.ends}
	switch {
	case !f.ends.IsZero():
		s.Window = "open"
		if at, try := f.due(); try {
			s.Next = at
		}
	case f.everOpened:
		s.Window = "expired"
	default:
		s.Window = "never-opened"
	}
	return s
}
