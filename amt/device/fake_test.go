package device

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/wsman"
)

// firmware is what a made-up client holds: enough to see what a configuration does to it.
type firmware struct {
	id    Identity
	state State
	clock time.Duration // off
	names Names
	mebx  string
	admin Login // in effect
	next  Login // set, in effect from the commit on
	pair  Pair
	users map[string]User
	tls   TLSState
	power string

	redirection Redirection
	consent     Consent
	network     Network

	hours  int
	asks   bool // for a log-in during setup
	down   int  // connections that are refused before it answers again
	log    []string
	before func(op string) error // fails an operation before it has an effect
	after  func(op string) error // loses its answer
	secret func(op string, s amt.Secret)
}

func newFirmware() *firmware {
	v, _ := amt.ParseVersion("9.0.0")
	u, _ := amt.ParseUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	return &firmware{id: Identity{Version: v, UUID: u, Realm: "Digest:1"}, state: State{Provisioning: In}, clock: -time.Hour,
		admin: admin("admin"), asks: true, users: map[string]User{}, secret: func(string, amt.Secret) {}}
}

// fake is a Device at a firmware: as it is during setup, or as it is after the commit.
type fake struct {
	fw       *firmware
	later    bool
	logins   []Login
	accepted *Login
}

func fail(kind Kind, sent bool) error {
	return &Error{Op: "test", Kind: kind, Err: errors.New("as injected"), Sent: sent}
}

// do runs an operation: connection, log-in, injected faults.
func (d *fake) do(op string, effect func() error) error {
	fw := d.fw
	fw.log = append(fw.log, op)
	if fw.down > 0 {
		fw.down--
		return fail(KindUnreachable, false)
	}
	if d.later != (fw.state.Provisioning == Post) {
		return fail(KindUnreachable, false)
	}
	if fw.asks || fw.state.Provisioning == Post {
		i := slices.IndexFunc(d.logins, func(l Login) bool { return l.User == fw.admin.User && l.Password.Equal(fw.admin.Password) })
		if i < 0 {
			return fail(KindLogin, false)
		}
		d.accepted = &d.logins[i]
	}
	if fw.before != nil {
		if err := fw.before(op); err != nil {
			return err
		}
	}
	if err := effect(); err != nil {
		return err
	}
	if fw.after != nil {
		return fw.after(op)
	}
	return nil
}

func (d *fake) API() API              { return WSMan }
func (d *fake) LogIn(logins ...Login) { d.logins, d.accepted = logins, nil }
func (d *fake) Close() error          { return nil }
func (d *fake) Accepted() (Login, bool) {
	if d.accepted == nil {
		return Login{}, false
	}
	return *d.accepted, true
}

func (d *fake) Identify(context.Context) (id Identity, err error) {
	return d.fw.id, d.do("identify", func() error { return nil })
}

func (d *fake) State(context.Context) (State, error) {
	err := d.do("state", func() error { return nil })
	return d.fw.state, err
}

func (d *fake) Clock(context.Context) (time.Time, error) {
	return time.Now().Add(d.fw.clock), d.do("clock", func() error { return nil })
}

func (d *fake) SetClock(_ context.Context, now func() time.Time) error {
	return d.do("set clock", func() error { d.fw.clock = time.Until(now()); return nil })
}

func (d *fake) Names(context.Context) (Names, error) {
	return d.fw.names, d.do("names", func() error { return nil })
}

func (d *fake) SetNames(_ context.Context, n Names) error {
	return d.do("set names", func() error { d.fw.names = n; return nil })
}

func (d *fake) SetMEBxPassword(_ context.Context, p amt.Secret) error {
	d.fw.secret("mebx", p)
	return d.do("set mebx", func() error {
		if d.fw.mebx != "" {
			return &Error{Op: "test", Kind: KindReturn, Err: &wsman.ReturnError{Code: wsman.CodeNotPermitted}}
		}
		d.fw.mebx = p.Reveal()
		return nil
	})
}

func (d *fake) SetAdmin(_ context.Context, l Login) error {
	d.fw.secret("admin", l.Password)
	err := d.do("set admin", func() error { d.fw.next = l; return nil })
	if err == nil || AfterSend(err) {
		d.logins = append([]Login{l}, without(d.logins, l)...)
	}
	return err
}

func (d *fake) Users(context.Context) ([]User, error) {
	var out []User
	for _, u := range d.fw.users {
		out = append(out, u)
	}
	return out, d.do("users", func() error { return nil })
}

func (d *fake) SetUser(_ context.Context, u User) error {
	d.fw.secret("user", u.Password)
	return d.do("set user", func() error { d.fw.users[u.Name] = u; return nil })
}

func (d *fake) RemoveUser(_ context.Context, name string) error {
	return d.do("remove user", func() error { delete(d.fw.users, name); return nil })
}

func (d *fake) TLS(context.Context) (TLSState, error) {
	return d.fw.tls, d.do("tls", func() error { return nil })
}

func (d *fake) SetTLS(_ context.Context, t TLS) error {
	return d.do("set tls", func() error { d.fw.tls.Remote = t.On; return nil })
}

func (d *fake) PowerPolicies(context.Context) ([]PowerPolicy, error) { return nil, nil }

func (d *fake) SetPowerPolicy(_ context.Context, id string) error {
	return d.do("set power", func() error { d.fw.power = id; return nil })
}

func (d *fake) TidyTLS(context.Context, *x509.Certificate) error { return nil }

func (d *fake) Redirection(context.Context) (Redirection, error) { return d.fw.redirection, nil }

func (d *fake) SetRedirection(_ context.Context, r Redirection) error {
	return d.do("set redirection", func() error { d.fw.redirection = r; return nil })
}

func (d *fake) Consent(context.Context) (Consent, error) { return d.fw.consent, nil }

func (d *fake) SetConsent(_ context.Context, c Consent) error {
	return d.do("set consent", func() error { d.fw.consent = c; return nil })
}

func (d *fake) Network(context.Context) (Network, error) { return d.fw.network, nil }

func (d *fake) SetNetwork(_ context.Context, n Network) error {
	return d.do("set network", func() error { d.fw.network = n; return nil })
}

func (d *fake) SetPair(_ context.Context, pid amt.PID, pps amt.Secret) error {
	d.fw.secret("pair", pps)
	return d.do("set pair", func() error { d.fw.pair = Pair{pid, pps}; return nil })
}

func (d *fake) ExtendWindow(_ context.Context, hours int) error {
	return d.do("extend", func() error { d.fw.hours = hours; return nil })
}

func (d *fake) Commit(context.Context) error {
	return d.do("commit", func() error {
		fw := d.fw
		if fw.names.Host == "" || fw.next.User == "" || fw.clock.Abs() > time.Minute {
			return &Error{Op: "test", Kind: KindReturn, Err: &wsman.ReturnError{Method: "CommitChanges", Code: wsman.CodeDataMissing}}
		}
		fw.state.Provisioning, fw.admin, fw.down = Post, fw.next, 2
		return nil
	})
}

func (d *fake) Unprovision(context.Context, bool) error { return errors.ErrUnsupported }

// kept is a Progress in memory.
type kept struct {
	done   []string
	before []string
	fail   string // step whose Before fails
}

func (k *kept) Finished(step string) bool { return slices.Contains(k.done, step) }

func (k *kept) Before(_ context.Context, step string) error {
	if step == k.fail {
		return errors.New("disk full")
	}
	k.before = append(k.before, step)
	return nil
}

func (k *kept) Done(_ context.Context, step string) error {
	k.done = append(k.done, step)
	return nil
}

// wanted are settings that use every step.
func wanted(fw *firmware) Settings {
	return Settings{
		UUID: fw.id.UUID, Known: []Login{admin("N3w-Passw0rd"), admin("admin")}, Hours: 6, Names: Names{"pc1", "corp.example"},
		MEBx: amt.NewSecret("M3bx-Passw0rd"), Admin: admin("N3w-Passw0rd"), TLS: &TLS{On: true}, Power: "SCHEME 1",
		Users: []User{{Name: "tech", Password: amt.NewSecret("Us3r-Passw0rd"), Realms: []int{3}}},
		Pair:  &Pair{"4KRG65QT", amt.NewSecret(testPPS)}, Settle: 10 * time.Second,
		Wait:   func(ctx context.Context, _ time.Duration) error { return pause(ctx, time.Millisecond) },
		Reopen: func(l ...Login) Device { return &fake{fw: fw, later: true, logins: l} },
	}
}

// finished says what a configured firmware lacks.
func (fw *firmware) finished(s Settings) error {
	switch {
	case fw.state.Provisioning != Post:
		return fmt.Errorf("state %s", fw.state.Provisioning)
	case fw.names != s.Names, fw.hours != s.Hours, fw.mebx != s.MEBx.Reveal(), fw.power != s.Power, !fw.tls.Remote:
		return fmt.Errorf("%+v", fw)
	case !fw.admin.Password.Equal(s.Admin.Password), !fw.pair.PPS.Equal(s.Pair.PPS), len(fw.users) != 1:
		return errors.New("a secret was not set")
	case fw.clock.Abs() > 5*time.Second:
		return fmt.Errorf("clock off by %v", fw.clock)
	}
	return nil
}
