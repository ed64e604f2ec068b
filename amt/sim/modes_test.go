package sim

import (
	"context"
	"errors"
	"testing"
	"time"

	"amtmedic/amt"
)

const (
	goodPID = "0000-037M" // Intel's published pair
	goodPPS = "NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XJ"
	newPass = "N3w-P@ssword"
)

// stillClock stands still until it is moved.
type stillClock struct {
	now   chan time.Time // holds the time
	moved chan chan struct{}
}

func newStillClock() *stillClock {
	c := &stillClock{now: make(chan time.Time, 1), moved: make(chan chan struct{}, 1)}
	c.now <- time.Date(2008, 3, 12, 8, 0, 0, 0, time.UTC)
	c.moved <- make(chan struct{})
	return c
}

func (c *stillClock) Now() time.Time { t := <-c.now; c.now <- t; return t }

func (c *stillClock) advance(d time.Duration) {
	c.now <- (<-c.now).Add(d)
	close(<-c.moved)
	c.moved <- make(chan struct{})
}

func (c *stillClock) SleepUntil(ctx context.Context, t time.Time) error {
	for {
		m := <-c.moved
		c.moved <- m
		if !c.Now().Before(t) {
			return ctx.Err()
		}
		select {
		case <-m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func version(t *testing.T, s string) amt.Version {
	t.Helper()
	v, err := amt.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func loggedIn(t *testing.T, c *Client, password string) *MEBx {
	t.Helper()
	m := c.MEBx()
	if err := m.Login(amt.NewSecret(password)); err != nil {
		t.Fatal(err)
	}
	return m
}

// drained is a client after a power cycle, as it comes from a table row.
func drained(c Config) *Client {
	if c.Clock == nil {
		c.Clock = newStillClock()
	}
	cl := New(c)
	cl.PowerDrain()
	return cl
}

// The table "Moving between modes" of symptom-catalogue 2.
func TestMovingBetweenModes(t *testing.T) {
	changed, pps := amt.NewSecret(newPass), amt.NewSecret(goodPPS)
	silent := func(c *Client) { // the window ends
		c.expire(c.State().WindowEnds)
	}
	psk := Config{Enabled: true, Password: changed, PID: "0000037M", PPS: pps}
	pki := Config{Enabled: true, RemoteConfiguration: true}
	done := Config{Enabled: true, Password: changed, PID: "0000037M", PPS: pps, Provisioned: true}
	with := func(c Config, f func(*Config)) Config { f(&c); return c }
	for _, r := range []struct {
		name string
		from Config
		want amt.Mode
		do   func(t *testing.T, c *Client) error
		to   amt.Mode
		err  error
	}{
		{"1-2 enable", Config{}, "1", func(t *testing.T, c *Client) error { return c.MEBx().EnableAMT() }, "2", nil},
		{"1-3 enable", Config{Password: changed}, "1", func(t *testing.T, c *Client) error { return c.MEBx().EnableAMT() }, "3", nil},
		{"2-4 USB", Config{Enabled: true}, "2", func(t *testing.T, c *Client) error { return c.InsertUSB(goodPID, pps, changed) }, "4", nil},
		{"2-4 by hand", Config{Enabled: true}, "2", func(t *testing.T, c *Client) error {
			m := loggedIn(t, c, FactoryPassword)
			if err := m.EnterPIDPPS(goodPID, pps); !errors.Is(err, ErrPassword) {
				t.Errorf("with the factory password: %v", err)
			}
			if err := m.ChangePassword(changed); err != nil {
				return err
			}
			return m.EnterPIDPPS(goodPID, pps)
		}, "4", nil},
		{"2-3 password", Config{Enabled: true}, "2", func(t *testing.T, c *Client) error { return loggedIn(t, c, FactoryPassword).ChangePassword(changed) }, "3", nil},
		{"2 weak password", Config{Enabled: true}, "2", func(t *testing.T, c *Client) error {
			return loggedIn(t, c, FactoryPassword).ChangePassword(amt.NewSecret("password1"))
		}, "2", ErrWeak},
		{"3 USB is ignored", Config{Enabled: true, Password: changed}, "3", func(t *testing.T, c *Client) error { return c.InsertUSB(goodPID, pps, changed) }, "3", ErrNotFactory},
		{"3-4 by hand", Config{Enabled: true, Password: changed}, "3", func(t *testing.T, c *Client) error { return loggedIn(t, c, newPass).EnterPIDPPS(goodPID, pps) }, "4", nil},
		{"3 wrong PID", Config{Enabled: true, Password: changed}, "3", func(t *testing.T, c *Client) error { return loggedIn(t, c, newPass).EnterPIDPPS("0000-0371", pps) }, "3", ErrPair},
		{"3 wrong PPS", Config{Enabled: true, Password: changed}, "3", func(t *testing.T, c *Client) error {
			return loggedIn(t, c, newPass).EnterPIDPPS(goodPID, amt.NewSecret("NKLE"+goodPPS[4:]))
		}, "3", ErrPair},
		{"3-5 remote configuration", Config{Enabled: true, Password: changed}, "3", func(t *testing.T, c *Client) error { return loggedIn(t, c, newPass).SetRemoteConfiguration(true) }, "5", nil},
		{"3 firmware without it", Config{Enabled: true, Password: changed, Version: version(t, "2.5")}, "3", func(t *testing.T, c *Client) error { return loggedIn(t, c, newPass).SetRemoteConfiguration(true) }, "3", ErrUnsupported},
		{"3 firmware without PSK", Config{Enabled: true, Password: changed, Version: version(t, "11.0")}, "3", func(t *testing.T, c *Client) error { return loggedIn(t, c, newPass).EnterPIDPPS(goodPID, pps) }, "3", ErrUnsupported},
		{"4-6 window ends", psk, "4", func(t *testing.T, c *Client) error { silent(c); return nil }, "6", nil},
		{"5-6 window ends", pki, "5", func(t *testing.T, c *Client) error { silent(c); return nil }, "6", nil},
		{"6-4 power drain", psk, "4", func(t *testing.T, c *Client) error { silent(c); c.PowerDrain(); return nil }, "4", nil},
		{"6-5 power drain", pki, "5", func(t *testing.T, c *Client) error { silent(c); c.PowerDrain(); return nil }, "5", nil},
		{"6-4 partial unprovision", psk, "4", func(t *testing.T, c *Client) error { silent(c); return loggedIn(t, c, newPass).PartialUnprovision() }, "4", nil},
		{"4-2 reset", psk, "4", func(t *testing.T, c *Client) error { return c.CMOSReset() }, "2", nil},
		{"3-2 reset", Config{Enabled: true, Password: changed}, "3", func(t *testing.T, c *Client) error { return c.CMOSReset() }, "2", nil},
		{"provisioned-2 reset", done, "provisioned", func(t *testing.T, c *Client) error { return c.CMOSReset() }, "2", nil},
		{"no reset from 10 on", with(pki, func(c *Config) { c.Version = version(t, "10.0") }), "5", func(t *testing.T, c *Client) error { return c.CMOSReset() }, "5", ErrUnsupported},
		{"3-5 reset of what ships remote", Config{Enabled: true, Password: changed, ShipsRemote: true}, "3", func(t *testing.T, c *Client) error { return c.CMOSReset() }, "5", nil},
		{"provisioned-4 partial", done, "provisioned", func(t *testing.T, c *Client) error { return loggedIn(t, c, newPass).PartialUnprovision() }, "4", nil},
		{"provisioned-3 full", done, "provisioned", func(t *testing.T, c *Client) error { return loggedIn(t, c, newPass).FullUnprovision() }, "3", nil},
		{"provisioned takes no pair", done, "provisioned", func(t *testing.T, c *Client) error { return loggedIn(t, c, newPass).EnterPIDPPS(goodPID, pps) }, "provisioned", ErrProvisioned},
		{"4-5 by hand", psk, "4", func(t *testing.T, c *Client) error { return loggedIn(t, c, newPass).SetRemoteConfiguration(true) }, "5", nil},
		{"4-1 disable", psk, "4", func(t *testing.T, c *Client) error { return loggedIn(t, c, newPass).DisableAMT() }, "1", nil},
		{"smb sends nothing", Config{Enabled: true, SmallBusiness: true, RemoteConfiguration: true}, "smb", func(t *testing.T, c *Client) error { c.PowerDrain(); return nil }, "smb", nil},
		{"timer 0: silent from the start", with(pki, func(c *Config) { c.Window = -1 }), "6", func(t *testing.T, c *Client) error { c.PowerDrain(); return nil }, "6", nil},
		{"nobody logged in", psk, "4", func(t *testing.T, c *Client) error { return c.MEBx().DisableAMT() }, "4", ErrLoggedOut},
		{"wrong password", psk, "4", func(t *testing.T, c *Client) error { return c.MEBx().Login(amt.NewSecret(FactoryPassword)) }, "4", ErrLogIn},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := drained(r.from)
			if got := c.State().Mode; got != r.want {
				t.Fatalf("begins in mode %s, not %s", got, r.want)
			}
			if err := r.do(t, c); !errors.Is(err, r.err) {
				t.Errorf("error %v, want %v", err, r.err)
			}
			if got := c.State().Mode; got != r.to {
				t.Errorf("ends in mode %s, not %s", got, r.to)
			}
		})
	}
}

// What the start-configuration call answers, symptom-catalogue 2 "States reported".
func TestStartConfiguration(t *testing.T) {
	lease := Lease{Address: mustAddr("10.20.0.7"), Suffix: "corp.example"}
	pki := Config{Enabled: true, RemoteConfiguration: true, Lease: lease}
	with := func(f func(*Config)) Config { c := pki; f(&c); return c }
	for _, r := range []struct {
		name   string
		cfg    Config
		silent bool
		want   Answer
		mode   amt.Mode
	}{
		{"in the window", pki, false, StartInWindow, "5"},
		{"after it", pki, true, StartSuccess, "5"},
		{"psk, after it", Config{Enabled: true, PID: "0000037M", Lease: lease}, true, StartSuccess, "4"},
		{"timer 0", with(func(c *Config) { c.Window = -1 }), false, StartSuccess, "5"},
		{"provisioned", with(func(c *Config) { c.Provisioned = true }), false, StartInvalidMode, "provisioned"},
		{"nothing prepared", Config{Enabled: true, Lease: lease}, false, StartInvalidMode, "2"},
		{"certificate not ready", with(func(c *Config) { c.CertNotReady = true }), true, StartCertNotReady, "6"},
		{"random seed not ready", with(func(c *Config) { c.RNGNotReady = true }), true, StartRNGNotReady, "6"},
		{"no address", with(func(c *Config) { c.Lease = Lease{Mode: NoIP} }), true, StartNotReady, "6"},
		{"no suffix, from 6.0", with(func(c *Config) { c.Lease.Suffix, c.Version = "", version(t, "6.0") }), true, StartNotReady, "6"},
		{"no suffix, before 6.0", with(func(c *Config) { c.Lease.Suffix = "" }), true, StartSuccess, "5"},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := drained(r.cfg)
			if r.silent {
				c.expire(c.State().WindowEnds)
			}
			if got := c.StartConfiguration(); got != r.want || c.State().Mode != r.mode {
				t.Errorf("answer %s, mode %s", got, c.State().Mode)
			}
		})
	}
}

func TestScreen(t *testing.T) {
	c := drained(Config{Enabled: true, Password: amt.NewSecret(newPass), PID: "0000037M", Lease: Lease{Address: mustAddr("10.20.0.7"), Suffix: "corp.example"}})
	if _, err := c.MEBx().Screen(); !errors.Is(err, ErrLoggedOut) {
		t.Errorf("without log-in: %v", err)
	}
	m := loggedIn(t, c, newPass)
	for _, o := range []string{"10.1.0.10:9972", "10.1.0.10", "scs.corp.example", ""} {
		if err := m.SetServerOverride(o); err != nil {
			t.Fatal(err)
		}
		if s, err := m.Screen(); err != nil || s.ServerOverride != o {
			t.Errorf("stored %q, shown %q, %v", o, s.ServerOverride, err)
		}
	}
	if err := m.SetDomain("other.example."); err != nil {
		t.Fatal(err)
	}
	got, err := m.Screen()
	want := Screen{FirmwareVersion: "3.2.1", Enabled: true, State: "in", Model: "enterprise", SetupData: "pid", PID: "0000-037M",
		Suffix: "other.example", Domain: "other.example", IPMode: "dhcp-lease", Address: "10.20.0.7", NetworkAccess: true}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

// The schedules as their sources state them (provisioning-protocol 2.1).
func TestSchedules(t *testing.T) {
	for _, r := range []struct {
		name   string
		s      Schedule
		tries  int
		gaps   map[int]time.Duration // before try n
		window time.Duration
	}{
		{"A", SchedulePSK(), 15, map[int]time.Duration{1: time.Minute, 4: time.Minute, 5: 10 * time.Minute, 9: 10 * time.Minute, 10: time.Hour, 14: time.Hour}, 6 * time.Hour},
		{"B", SchedulePKI(), 40, map[int]time.Duration{4: time.Minute, 5: 5 * time.Minute, 16: 5 * time.Minute, 17: time.Hour, 39: time.Hour}, 24 * time.Hour},
	} {
		n := 0
		for ; ; n++ {
			at, ok := r.s.At(n)
			if !ok {
				break
			}
			before, _ := r.s.At(n - 1)
			if want, said := r.gaps[n]; said && at-before != want {
				t.Errorf("%s: %v before try %d, want %v", r.name, at-before, n, want)
			}
		}
		if n != r.tries || r.s.window() != r.window {
			t.Errorf("%s: %d tries, window %v", r.name, n, r.s.window())
		}
	}
}
