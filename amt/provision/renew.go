package provision

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/ca"
	"amtmedic/amt/device"
	"amtmedic/amt/profile"
	"amtmedic/amt/store"
)

// ErrNoTLS: the client was not provisioned with a certificate of ours.
var ErrNoTLS = errors.New("the client has no certificate of ours")

// Renewed is what a renewal left in a client.
type Renewed struct {
	Certificate *x509.Certificate // that it shows now, as a log-in over it saw
	Changed     bool              // false: the one that it had is new enough
	Revoked     int               // certificates of it that count no more
}

// Renewer gives provisioned clients new certificates.
type Renewer struct {
	Store    *store.Store
	Firmware *Firmware // its CA is needed
}

// Due lists the clients whose certificate ends before at.
func (r *Renewer) Due(ctx context.Context, at time.Time) ([]amt.UUID, error) {
	due, err := r.Firmware.CA.Due(ctx, at)
	if err != nil {
		return nil, err
	}
	var out []amt.UUID
	for _, x := range due {
		out = append(out, x.UUID)
	}
	return out, nil
}

// Renew gives one provisioned client a new certificate for the key that it has, in a session over the
// old one; a log-in over the new one is seen before the old one is revoked. It can be called again after
// any error. One that is a Refusal names its reason; ErrNoTLS when there is nothing to renew.
func (r *Renewer) Renew(ctx context.Context, u amt.UUID) (Renewed, error) {
	t, have, err := r.task(ctx, u)
	if err != nil {
		return Renewed{}, err
	}
	m := &managed{ca: r.Firmware.CA, t: t}
	open, err := r.opener(ctx, m, have)
	if err != nil {
		return Renewed{}, err
	}
	d := open()
	defer func() { _ = d.Close() }()
	state, err := d.TLS(ctx)
	if err != nil {
		return Renewed{}, refusalOf(err)
	}
	want, err := r.settings(ctx, m, state, have)
	if err != nil {
		return Renewed{}, err
	}
	before := m.shown.Load()
	var signed []byte
	sign := want.Sign
	want.Sign = func(ctx context.Context, key crypto.PublicKey) (der []byte, err error) {
		signed, err = sign(ctx, key)
		return signed, err
	}
	if err := d.SetTLS(ctx, *want); err != nil {
		return Renewed{}, refusalOf(err)
	}
	// Changes of TLS take effect with it. When its answer is lost, the certificate tells what became of it.
	if err := d.Commit(ctx); err != nil && !device.AfterSend(err) {
		return Renewed{}, refusalOf(err)
	}
	_ = d.Close()
	if err := r.settled(ctx, m, open, signed); err != nil {
		return Renewed{}, err
	}
	return r.finish(ctx, m, open, want.Root, before)
}

// task gathers what is known of a provisioned client, with its good certificates.
func (r *Renewer) task(ctx context.Context, u amt.UUID) (Task, []store.Certificate, error) {
	t, have, err := provisioned(ctx, r.Store, store.Job{UUID: u})
	if err == nil && len(have) == 0 {
		err = fmt.Errorf("renew the certificate of %s: %w", u, ErrNoTLS)
	}
	return t, have, err
}

// provisioned gathers what is known of the provisioned client of a job, with its good certificates.
func provisioned(ctx context.Context, st *store.Store, j store.Job) (Task, []store.Certificate, error) {
	c, ok, err := st.Client(ctx, j.UUID)
	if err != nil {
		return Task{}, nil, err
	}
	if !ok {
		return Task{}, nil, store.ErrNoClient
	}
	have, err := st.Certificates(ctx, store.CertificateQuery{UUID: j.UUID, Purpose: store.PurposeClient, Good: true})
	if err != nil {
		return Task{}, nil, err
	}
	t := Task{Job: j, Method: c.Method, Properties: Properties{FQDN: c.FQDN}}
	if t.Job.Address, err = netip.ParseAddr(c.IP); err != nil {
		return t, nil, &Refusal{Cause: "rc-return-path-blocked", Words: "its row in csti_amts has no address"}
	}
	verified, next, err := st.Passwords(ctx, j.UUID)
	if err != nil {
		return t, nil, err
	}
	t.Password = next
	for _, p := range []amt.Secret{verified, next} {
		if !p.IsZero() {
			t.Known = append(t.Known, p)
		}
	}
	name, _, err := st.Profile(ctx, j.UUID)
	if err != nil {
		return t, nil, err
	}
	t.Profile, err = openProfile(ctx, st, name)
	return t, have, err
}

// opener gives the client as it is reached over its certificate. What it trusts is the authority of the
// certificate that it has.
func (r *Renewer) opener(ctx context.Context, m *managed, have []store.Certificate) (func() device.Device, error) {
	cfg, err := m.overCertificate(ctx, have)
	if err != nil {
		return nil, err
	}
	return func() device.Device {
		return device.NewWSMan(device.Open(device.Options{Address: at(m.t, portTLS), TLS: cfg, Logins: adminLogins(m.t.Known), Dial: r.Firmware.Dial}))
	}, nil
}

// overCertificate is the TLS of a session that takes nothing but a certificate of ours.
func (m *managed) overCertificate(ctx context.Context, have []store.Certificate) (*tls.Config, error) {
	a, err := m.ca.ByID(ctx, have[0].Authority)
	if err != nil {
		return nil, err
	}
	id, err := m.ca.Manager(ctx, a) // shown only where the client asks for it
	if err != nil {
		return nil, err
	}
	return m.verified(ctx, id)
}

// settings keep what the client has, but for its certificate. It comes from the authority of the
// profile; with mutual TLS from the one that the client trusts: firmware takes no other root while that
// is in force.
func (r *Renewer) settings(ctx context.Context, m *managed, state device.TLSState, have []store.Certificate) (*device.TLS, error) {
	a, err := m.ca.ByID(ctx, have[0].Authority)
	if err != nil {
		return nil, err
	}
	if kind := m.t.Profile.TLS.Authority; !state.Mutual && m.t.Profile.TLS.On() {
		if a, err = m.ca.Authority(ctx, kind); err != nil {
			return nil, noAuthority(kind, err)
		}
	}
	if m.t.Profile.TLS.Days == 0 {
		m.t.Profile.TLS.Days = profile.DefaultDays
	}
	want, err := m.settings(ctx, a)
	if err != nil {
		return nil, err
	}
	want.Local, want.Plain, want.Mutual, want.Names, want.Roots = state.Local, state.Plain, state.Mutual, state.Names, nil
	want.KeepFor = math.MaxInt64 // none is kept as it is
	return want, nil
}

// settled waits until the client answers over what was signed for it.
func (r *Renewer) settled(ctx context.Context, m *managed, open func() device.Device, signed []byte) error {
	d := open()
	defer func() { _ = d.Close() }()
	if err := device.Settled(ctx, d, r.Firmware.Settle); err != nil {
		return refusalOf(err)
	}
	if shown := m.shown.Load(); signed != nil && !bytes.Equal(shown.Raw, signed) {
		return &Refusal{Cause: "rc-half-provisioned", Words: "the client shows its old certificate still; the new one is in its store"}
	}
	return nil
}

// finish takes away what the old certificate left, and revokes it.
func (r *Renewer) finish(ctx context.Context, m *managed, open func() device.Device, authority, before *x509.Certificate) (out Renewed, err error) {
	out.Certificate = m.shown.Load()
	out.Changed = before == nil || !out.Certificate.Equal(before)
	d := open()
	defer func() { _ = d.Close() }()
	if err := d.TidyTLS(ctx, authority); err != nil {
		return out, refusalOf(err)
	}
	if out.Revoked, err = m.ca.Supersede(ctx, m.t.Job.UUID, out.Certificate); err != nil || !out.Changed {
		return out, err
	}
	return out, r.Store.AppendLog(ctx, store.LogRow{UUID: m.t.Job.UUID, Severity: store.SeverityInfo, Code: "certificate",
		Text: fmt.Sprintf("certificate renewed, valid until %s, serial %s", out.Certificate.NotAfter.UTC().Format(time.RFC3339), ca.Serial(out.Certificate))})
}
