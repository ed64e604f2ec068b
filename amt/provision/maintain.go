package provision

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/device"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"
)

// Maintainer works on clients that are provisioned, through their own firmware.
type Maintainer struct {
	Store    *store.Store
	Firmware *Firmware
	Random   io.Reader
}

// Maintain does what a job asks for. It can be called again after any error; one that is a Refusal names
// its reason. What is sent and secret is stored before.
func (m *Maintainer) Maintain(ctx context.Context, j store.Job) (store.Maintained, error) {
	if j.Maintenance() == store.MaintainCertificate {
		return m.renew(ctx, j)
	}
	s, err := m.open(ctx, j)
	if err != nil {
		return store.Maintained{}, err
	}
	defer func() { _ = s.d.Close() }()
	state, err := s.d.State(ctx) // with the log-in: nothing is sent to a client that is not ours
	if device.KindOf(err) == device.KindUnreachable || device.KindOf(err) == device.KindReset {
		state, err = m.switched(ctx, s, err)
	}
	if err != nil {
		return store.Maintained{}, refusalOf(err)
	}
	if state.Provisioning != device.Post {
		return store.Maintained{}, &Refusal{Cause: "rc-half-provisioned", Words: "the client is not provisioned any more; its next hello brings it back"}
	}
	do := map[store.Maintenance]func(context.Context, *maintained) (store.Maintained, error){
		store.MaintainClock: m.clock, store.MaintainPassword: m.password, store.MaintainPair: m.pair, store.MaintainProfile: m.profile,
		store.Unprovision: func(ctx context.Context, s *maintained) (store.Maintained, error) {
			return m.unprovision(ctx, s, false)
		},
		store.UnprovisionFull: func(ctx context.Context, s *maintained) (store.Maintained, error) { return m.unprovision(ctx, s, true) },
	}[j.Maintenance()]
	if do == nil {
		return store.Maintained{}, fmt.Errorf("queue entry of kind %d: this version does not know it", j.Kind)
	}
	return do(ctx, s)
}

// maintained is a session with a provisioned client.
type maintained struct {
	t    Task
	d    device.Device
	open func(logins ...device.Login) device.Device
	tls  bool // it shows a certificate of ours

	j       store.Job
	version amt.Version // as it was last seen; zero when it was not
}

// open logs in the way the client was left: over its certificate where it has one of ours; over the
// one that it made itself where the firmware has no port without TLS (16.1 on); else without TLS.
func (m *Maintainer) open(ctx context.Context, j store.Job) (*maintained, error) {
	t, have, err := provisioned(ctx, m.Store, j)
	if err != nil {
		return nil, err
	}
	s := &maintained{t: t, j: j}
	row, _, err := m.Store.Client(ctx, j.UUID)
	if err != nil {
		return nil, err
	}
	version, _ := amt.ParseVersion(row.AMTVersion) // the zero one speaks WS-Man without TLS
	s.version = version
	o := device.Options{Address: at(t, portPlain), Dial: m.Firmware.Dial}
	switch {
	case len(have) > 0 && m.Firmware.CA != nil:
		s.tls = true
		if o.TLS, err = (&managed{ca: m.Firmware.CA, t: t}).overCertificate(ctx, have); err != nil {
			return nil, err
		}
		o.Address = at(t, portTLS)
	case version.AtLeast(16, 1):
		o.Address, o.TLS = at(t, portTLS), cert.ClientConfig(tls.Certificate{})
	}
	api := device.WSMan
	if version.Major() == 2 {
		api = device.EOI
	}
	s.open = func(logins ...device.Login) device.Device {
		o := o
		o.Logins = logins
		return device.New(api, device.Open(o))
	}
	s.d = s.open(adminLogins(t.Known)...)
	return s, nil
}

func adminLogins(passwords []amt.Secret) []device.Login {
	var out []device.Login
	for _, p := range passwords {
		out = append(out, device.Login{User: adminUser, Password: p})
	}
	return out
}

func (m *Maintainer) renew(ctx context.Context, j store.Job) (store.Maintained, error) {
	if m.Firmware.CA == nil {
		return store.Maintained{}, &Refusal{Cause: "rc-ca-unavailable", Words: "this server has no certificate authority"}
	}
	got, err := (&Renewer{Store: m.Store, Firmware: m.Firmware}).Renew(ctx, j.UUID)
	if errors.Is(err, ErrNoTLS) {
		return store.Maintained{Text: "it has no certificate of ours: nothing to renew"}, nil
	}
	if err != nil {
		return store.Maintained{}, err
	}
	text := "its certificate is new enough, until " + got.Certificate.NotAfter.UTC().Format(time.DateOnly)
	if got.Changed {
		text = fmt.Sprintf("a new certificate until %s; %d revoked", got.Certificate.NotAfter.UTC().Format(time.DateOnly), got.Revoked)
	}
	return store.Maintained{Text: text}, nil
}

func (m *Maintainer) clock(ctx context.Context, s *maintained) (store.Maintained, error) {
	before, err := s.d.Clock(ctx)
	if err != nil {
		return store.Maintained{}, refusalOf(err)
	}
	off := time.Until(before).Round(time.Second)
	if err := s.d.SetClock(ctx, time.Now); err != nil {
		return store.Maintained{}, refusalOf(err)
	}
	after, err := s.d.Clock(ctx)
	if err != nil {
		return store.Maintained{}, refusalOf(err)
	}
	return store.Maintained{Text: fmt.Sprintf("was off by %v, is off by %v", off, time.Until(after).Round(time.Second))}, nil
}

// password gives the administrator a new one, by the rule of the profile. It is stored before it is
// sent, and counts once a log-in with it and nothing else was seen.
func (m *Maintainer) password(ctx context.Context, s *maintained) (store.Maintained, error) {
	var err error
	if s.t.Password.IsZero() {
		if s.t.Password, err = s.t.Profile.Network.Make(m.Random); err != nil {
			return store.Maintained{}, err
		}
	}
	if err := m.Store.SetNextPassword(ctx, s.t.Job, s.t.Password); err != nil {
		return store.Maintained{}, err
	}
	l := device.Login{User: adminUser, Password: s.t.Password}
	if err := s.d.SetAdmin(ctx, l); err != nil && !device.AfterSend(err) {
		return store.Maintained{}, refusalOf(err)
	}
	return store.Maintained{Password: s.t.Password, Text: "the administrator has a new password"}, s.logsIn(ctx, l)
}

// logsIn sees a log-in over a new connection.
func (s *maintained) logsIn(ctx context.Context, l device.Login) error {
	d := s.open(l)
	defer func() { _ = d.Close() }()
	if _, err := d.State(ctx); err != nil {
		return refusalOf(err)
	}
	return nil
}

// pair gives the client a new PID/PPS pair, for its next setup. It stands in the map before it is sent;
// the old one stays there, so that whichever the client names in its next hello is known.
func (m *Maintainer) pair(ctx context.Context, s *maintained) (store.Maintained, error) {
	if s.t.Method != amt.PSK {
		return store.Maintained{Text: "it is set up by Remote Configuration: there is no pair to change"}, nil
	}
	next, ok, err := m.Store.NextPair(ctx, s.t.Job)
	if err != nil {
		return store.Maintained{}, err
	}
	if !ok {
		p, err := keys.Generate(m.Random)
		if err != nil {
			return store.Maintained{}, err
		}
		next = store.Pair{PID: p.PID, PPS: p.PPS, Used: true, UUID: s.t.Job.UUID}
		if r, err := m.Store.ImportKeys(ctx, []store.Pair{next}); err != nil {
			return store.Maintained{}, err
		} else if r.Imported != 1 {
			return store.Maintained{}, fmt.Errorf("the PID %s stands in the map already", p.PID.Dashed())
		}
	}
	if err := s.d.SetPair(ctx, next.PID, next.PPS); err != nil {
		if device.KindOf(err) == device.KindMissing {
			return store.Maintained{Text: "this firmware has no pairs any more: nothing to change"}, nil
		}
		return store.Maintained{}, refusalOf(err)
	}
	return store.Maintained{PID: next.PID, Text: fmt.Sprintf("its pair has the PID %s now, before it was %s", next.PID, s.t.Job.PID)}, nil
}

// profile sets again what the profile of the client says, its name included, and TLS last where the client
// was provisioned otherwise.
func (m *Maintainer) profile(ctx context.Context, s *maintained) (store.Maintained, error) {
	set := m.Firmware.settings(s.t, s.d.API(), adminLogins(s.t.Known))
	set.Hours, set.MEBx, set.Users, set.OnlyUsers, set.Admin = 0, amt.Secret{}, nil, false, device.Login{}
	var notes string
	for _, step := range device.Plan(s.d, set) {
		err := step.Do(ctx)
		if err == nil {
			continue
		}
		words := ""
		if step.Lenient != nil {
			words = step.Lenient(err)
		}
		if words == "" {
			return store.Maintained{}, refusalOf(err)
		}
		notes += "; " + words
	}
	if _, err := device.Verify(ctx, s.d, set); err != nil {
		return store.Maintained{}, refusalOf(err)
	}
	if s.t.Profile.TLS.On() != s.tls {
		words, err := m.switchTLS(ctx, s)
		if err != nil {
			return store.Maintained{}, err
		}
		notes += "; " + words
	}
	return store.Maintained{Text: fmt.Sprintf("profile %s is applied again%s", s.t.Profile.Name, notes)}, nil
}

// unprovision undoes the setup. The client may restart its network side before it answers: then it is
// looked at, and done when it does not let us in as a provisioned client any more.
func (m *Maintainer) unprovision(ctx context.Context, s *maintained, full bool) (store.Maintained, error) {
	err := s.d.Unprovision(ctx, full)
	if err != nil && !device.AfterSend(err) {
		return store.Maintained{}, refusalOf(err)
	}
	text := "partial: it keeps administrator, pair and names, and says hello again"
	if full {
		text = "full: it is as it came from the factory"
	}
	if err != nil {
		if still, lookErr := s.stillProvisioned(ctx); still {
			return store.Maintained{}, refusalOf(errors.Join(err, lookErr))
		}
		text += "; its answer was lost, and it does not answer as a provisioned client any more"
	}
	if m.Firmware.CA == nil {
		return store.Maintained{Text: text}, nil
	}
	n, err := m.Firmware.CA.Retire(ctx, s.t.Job.UUID)
	if n > 0 {
		text += fmt.Sprintf("; %d certificates revoked", n)
	}
	return store.Maintained{Text: text}, err
}

func (s *maintained) stillProvisioned(ctx context.Context) (bool, error) {
	d := s.open(adminLogins(s.t.Known)...)
	defer func() { _ = d.Close() }()
	state, err := d.State(ctx)
	return err == nil && state.Provisioning == device.Post, err
}
