package sim

import (
	"net/netip"
	"strings"
	"time"

	"amtmedic/amt"
)

// MEBx is somebody in front of the client's setup screen. Each one logs in for itself.
type MEBx struct {
	c  *Client
	in string // the password that was taken
}

// Screen is what the MEBx shows, as plain text and switches.
type Screen struct {
	FirmwareVersion     string
	Enabled             bool
	State               string // pre, in, post
	Model               string // enterprise, smb
	SetupData           string // none, pid, rcfg
	PID                 string // XXXX-XXXX, empty for none
	RemoteConfiguration bool
	ServerOverride      string // address[:port] or FQDN, empty for none
	Suffix              string // the domain in use
	Domain              string // the stored one
	IPMode              string
	Address             string
	NetworkAccess       bool
}

// MEBx opens the setup screen.
func (c *Client) MEBx() *MEBx { return &MEBx{c: c} }

// Login tries a password.
func (m *MEBx) Login(password amt.Secret) error {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.in = ""
	if password.Reveal() != m.c.fw.password {
		return ErrLogIn
	}
	m.in = m.c.fw.password
	return nil
}

// Screen reads what is shown to who is logged in.
func (m *MEBx) Screen() (Screen, error) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if m.in == "" || m.in != m.c.fw.password {
		return Screen{}, ErrLoggedOut
	}
	s := m.c.fw.snapshot()
	out := Screen{FirmwareVersion: s.Version.String(), Enabled: s.Enabled, State: s.Provisioning, Model: "enterprise", SetupData: s.SetupData,
		PID: s.PID.Dashed(), RemoteConfiguration: s.RemoteConfiguration, ServerOverride: s.Override.String(), Suffix: s.Suffix, Domain: m.c.fw.domain,
		IPMode: string(s.Lease.Mode), NetworkAccess: s.NetworkAccess}
	if s.SmallBusiness {
		out.Model = "smb"
	}
	if s.Lease.Address.IsValid() {
		out.Address = s.Lease.Address.String()
	}
	return out, nil
}

// set changes a setting. The MEBx insists on a new password first while it has the factory one.
func (m *MEBx) set(fn func(f *firmware, now time.Time) error) error {
	return m.c.change(func(f *firmware, now time.Time) error {
		switch {
		case m.in == "" || m.in != f.password:
			return ErrLoggedOut
		case !f.changed():
			return ErrPassword
		}
		return fn(f, now)
	})
}

// ChangePassword sets another password; it ends factory mode, and with it One-Touch.
func (m *MEBx) ChangePassword(next amt.Secret) error {
	return m.c.change(func(f *firmware, _ time.Time) error {
		switch {
		case m.in == "" || m.in != f.password:
			return ErrLoggedOut
		case !strong(next.Reveal()):
			return ErrWeak
		}
		f.password, m.in = next.Reveal(), next.Reveal()
		return nil
	})
}

// strong is the rule of the MEBx for passwords (provisioning-protocol 3.4).
func strong(p string) bool {
	const upper, lower, digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"
	special := strings.Trim(strings.Map(func(r rune) rune {
		if strings.ContainsRune(upper+lower+digits, r) {
			return -1
		}
		return r
	}, p), " ")
	return len(p) >= 8 && len(p) <= 32 && strings.ContainsAny(p, upper) && strings.ContainsAny(p, lower) && strings.ContainsAny(p, digits) && special != ""
}

// EnableAMT switches AMT on; with setup data the hellos begin.
func (m *MEBx) EnableAMT() error {
	return m.c.change(func(f *firmware, now time.Time) error { // asked before any password, in the BIOS
		if !f.enabled {
			f.enabled = true
			f.open(now, false)
		}
		return nil
	})
}

// DisableAMT switches AMT off.
func (m *MEBx) DisableAMT() error {
	return m.set(func(f *firmware, _ time.Time) error {
		f.enabled = false
		f.close()
		return nil
	})
}

// EnterPIDPPS types a pair in. The hellos begin anew.
func (m *MEBx) EnterPIDPPS(pid string, pps amt.Secret) error {
	return m.prepare(func(f *firmware) error { return f.enter(pid, pps) })
}

// SetRemoteConfiguration selects Remote Configuration, which drops a pair, or switches it off.
func (m *MEBx) SetRemoteConfiguration(on bool) error {
	return m.prepare(func(f *firmware) error {
		if on && !f.hasPKI() {
			return ErrUnsupported
		}
		if f.rcfg = on; on {
			f.pid, f.pps = "", amt.Secret{}
		}
		return nil
	})
}

// prepare changes what the client is set up by, and restarts its hellos.
func (m *MEBx) prepare(fn func(f *firmware) error) error {
	return m.set(func(f *firmware, now time.Time) error {
		switch {
		case !f.enabled:
			return ErrDisabled
		case f.provisioned:
			return ErrProvisioned
		}
		if err := fn(f); err != nil {
			return err
		}
		f.noNet = false
		f.open(now, false)
		return nil
	})
}

// SetServerOverride stores a server: an address with or without port, or an FQDN. The next try
// uses it.
func (m *MEBx) SetServerOverride(server string) error {
	o := Override{FQDN: strings.TrimSuffix(server, ".")}
	if a, err := netip.ParseAddr(server); err == nil {
		o = Override{Addr: a}
	} else if ap, err := netip.ParseAddrPort(server); err == nil {
		o = Override{Addr: ap.Addr(), Port: ap.Port()}
	}
	return m.set(func(f *firmware, _ time.Time) error { f.override = o; return nil })
}

// ClearServerOverride removes the stored server: the name is looked up again.
func (m *MEBx) ClearServerOverride() error { return m.SetServerOverride("") }

// SetDomain stores a domain that comes before that of the lease; empty removes it.
func (m *MEBx) SetDomain(domain string) error {
	return m.set(func(f *firmware, _ time.Time) error { f.domain = strings.TrimSuffix(domain, "."); return nil })
}

// SetNetworkAccess activates or ends network access; with setup data the hellos begin.
func (m *MEBx) SetNetworkAccess(on bool) error {
	return m.set(func(f *firmware, now time.Time) error {
		f.noNet = !on
		f.open(now, false)
		return nil
	})
}

// PartialUnprovision forgets the configuration, keeps pair and server, and sends hellos again.
func (m *MEBx) PartialUnprovision() error {
	return m.set(func(f *firmware, now time.Time) error { f.unprovision(now, true); return nil })
}

// FullUnprovision forgets pair, server, Remote Configuration and, before 12.0, the domain. The
// password stays, so the client ends in mode 3.
func (m *MEBx) FullUnprovision() error {
	return m.set(func(f *firmware, now time.Time) error { f.unprovision(now, false); return nil })
}
