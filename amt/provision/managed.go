package provision

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"amtmedic/amt/ca"
	"amtmedic/amt/device"
	"amtmedic/amt/profile"
)

// managed is how one client is managed from its commit on.
type managed struct {
	ca    *ca.CA // nil without TLS
	t     Task
	shown atomic.Pointer[x509.Certificate] // by the client at its last handshake, verified
}

// managed puts TLS into the settings of a session where the profile wants it: what is set, and that the
// log-in after the commit goes to 16993 and takes nothing but a certificate of ours for this client.
func (f *Firmware) managed(ctx context.Context, t Task, api device.API, s *device.Settings) (*managed, error) {
	m := &managed{t: t}
	want := t.Profile.TLS
	switch {
	case !want.On():
		if api == device.WSMan {
			s.TLS = &device.TLS{} // it may have kept it from another time
		}
		return m, nil
	case api == device.EOI:
		return nil, &Refusal{Cause: "rc-no-profile", Words: fmt.Sprintf("profile %q uses TLS, and how the services of AMT 2.x set it is stated by no public source", t.Profile.Name)}
	case f.CA == nil:
		return nil, &Refusal{Cause: "rc-ca-unavailable", Words: "this server has no certificate authority"}
	}
	m.ca = f.CA
	a, err := f.CA.Authority(ctx, want.Authority)
	if err != nil {
		return nil, noAuthority(want.Authority, err)
	}
	var id tls.Certificate
	if want.Mode == profile.TLSMutual {
		if id, err = f.CA.Manager(ctx, a); err != nil {
			return nil, err
		}
	}
	cfg, err := m.verified(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.TLS, err = m.settings(ctx, a); err != nil {
		return nil, err
	}
	s.Reopen = func(logins ...device.Login) device.Device {
		return device.NewWSMan(device.Open(device.Options{Address: at(t, portTLS), TLS: cfg, Logins: logins, Dial: f.Dial, OnExchange: f.OnExchange}))
	}
	s.ReopenTLS = nil
	return m, nil
}

// noAuthority tells an authority that is missing from a database that fails.
func noAuthority(kind string, err error) error {
	if !errors.Is(err, ca.ErrNone) {
		return err
	}
	return &Refusal{Cause: "rc-ca-unavailable", Words: fmt.Sprintf("the profile wants the %s certificate authority, and there is none", kind), Err: err}
}

// verified is the TLS of a session with the provisioned client; the certificate that it took is kept.
func (m *managed) verified(ctx context.Context, id tls.Certificate) (*tls.Config, error) {
	cfg, err := m.ca.ClientTLS(ctx, m.t.Properties.FQDN, id)
	if err != nil {
		return nil, err
	}
	check := cfg.VerifyConnection
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		if err := check(s); err != nil {
			return err
		}
		m.shown.Store(s.PeerCertificates[0])
		return nil
	}
	return cfg, nil
}

// settings gives what is set in the client.
func (m *managed) settings(ctx context.Context, a *ca.Authority) (*device.TLS, error) {
	p := m.t.Profile.TLS
	standing, err := m.ca.Standing(ctx, m.t.Job.UUID)
	if err != nil {
		return nil, err
	}
	out := &device.TLS{On: true, Local: p.Local, Plain: p.Plain, Mutual: p.Mode == profile.TLSMutual, Root: a.Certificate, Name: m.t.Properties.FQDN, Standing: standing,
		Sign: func(ctx context.Context, key crypto.PublicKey) ([]byte, error) {
			x, err := m.ca.Client(ctx, a, m.t.Job.UUID, m.t.Properties.FQDN, key, p.Days)
			if err != nil {
				return nil, err
			}
			return x.Raw, nil
		}}
	if !out.Mutual {
		return out, nil
	}
	out.Roots = []*x509.Certificate{a.Root()}
	for _, text := range p.Roots {
		root, err := profile.ReadRoot(text)
		if err != nil {
			return nil, &Refusal{Cause: "rc-no-profile", Words: fmt.Sprintf("profile %q has a trusted root that cannot be read", m.t.Profile.Name), Err: err}
		}
		out.Roots = append(out.Roots, root)
	}
	if len(p.Names) > 0 {
		out.Names = slices.Clone(p.Names)
		if !slices.Contains(out.Names, ca.ManagerName) {
			out.Names = append(out.Names, ca.ManagerName)
		}
	}
	return out, nil
}

// done revokes what the client showed before. The one that it shows now was taken by the log-in.
func (m *managed) done(ctx context.Context) error {
	if m.ca == nil {
		return nil
	}
	shown := m.shown.Load()
	if shown == nil {
		return errors.New("the log-in after the commit saw no certificate")
	}
	_, err := m.ca.Supersede(ctx, m.t.Job.UUID, shown)
	return err
}
