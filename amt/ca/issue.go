package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/store"
)

// ManagerName is the name in the certificate of those who connect to clients with mutual TLS. Profiles
// with a list of names get it added.
const ManagerName = "manager.amtmedic.internal"

// remoteConsole is the key usage by which firmware tells a managing program on the network (Intel's
// Implementation and Reference Guide, TLS authentication).
var remoteConsole = asn1.ObjectIdentifier{2, 16, 840, 1, 113741, 1, 2, 1}

// Client signs the certificate of a client's firmware for its key, valid for a number of days or as long
// as the authority itself. It is durable when this returns. Asked again by a session that goes on, it
// gives the same certificate.
func (c *CA) Client(ctx context.Context, a *Authority, u amt.UUID, name string, key crypto.PublicKey, days int) (*x509.Certificate, error) {
	now := c.o.Now()
	life := time.Duration(days) * day
	if k, ok := key.(*rsa.PublicKey); ok && k.N.BitLen() < 1024 {
		return nil, &amt.Error{Op: "sign certificate", Subject: name, Err: fmt.Errorf("the client's key has %d bits", k.N.BitLen())}
	}
	if err := over(a, name, now); err != nil {
		return nil, err
	}
	have, err := c.st.Certificates(ctx, store.CertificateQuery{UUID: u, Purpose: store.PurposeClient, Authority: a.ID, Good: true})
	if err != nil {
		return nil, err
	}
	for _, h := range have {
		old, err := x509.ParseCertificate(h.DER)
		if err == nil && samePublic(old.PublicKey, key) && old.VerifyHostname(name) == nil && old.NotAfter.After(c.limit(a, now.Add(life-life/8)).Add(-time.Minute)) {
			return old, nil
		}
	}
	t := &x509.Certificate{Subject: pkix.Name{CommonName: common(name)}, DNSNames: []string{name},
		NotBefore: now.Add(-backDate), NotAfter: c.limit(a, now.Add(life)), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	made, err := sign(t, a.Certificate, key, a.key)
	if err != nil {
		return nil, err
	}
	return made, c.st.AddCertificate(ctx, store.Certificate{Serial: Serial(made), Authority: a.ID, Purpose: store.PurposeClient, UUID: u, Name: name,
		DER: made.Raw, NotBefore: made.NotBefore, NotAfter: made.NotAfter})
}

// limit ends a certificate with that of its authority.
func (c *CA) limit(a *Authority, t time.Time) time.Time {
	if end := a.Certificate.NotAfter; t.After(end) {
		return end
	}
	return t
}

func over(a *Authority, name string, now time.Time) error {
	if now.Before(a.Certificate.NotAfter) {
		return nil
	}
	return &amt.Error{Op: "sign certificate", Subject: name, Err: fmt.Errorf("the authority's own certificate is over since %s", a.Certificate.NotAfter.UTC().Format(time.RFC3339))}
}

// common gives a name for the subject, which holds 64 characters; the whole one stands in the
// alternative names.
func common(name string) string {
	if len(name) > 64 {
		return name[:64]
	}
	return name
}

func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// manager is a certificate with key that was opened before.
type manager struct{ id tls.Certificate }

const (
	managerLife = 365 * day
	managerKeep = 30 * day // before its end a new one is made
)

// Manager gives what those who connect to clients with mutual TLS show: a certificate of the authority
// with its chain and root. It is made when it is missing or runs out.
func (c *CA) Manager(ctx context.Context, a *Authority) (tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Now()
	fresh := func(x *x509.Certificate) bool {
		return now.Before(x.NotAfter) && (x.NotAfter.After(now.Add(managerKeep)) || !x.NotAfter.Before(a.Certificate.NotAfter))
	}
	have, err := c.st.Certificates(ctx, store.CertificateQuery{Purpose: store.PurposeManager, Authority: a.ID, Good: true})
	if err != nil {
		return tls.Certificate{}, err
	}
	for _, h := range have {
		x, err := x509.ParseCertificate(h.DER)
		if err != nil || !fresh(x) {
			continue
		}
		if m, ok := c.managers[a.ID]; ok && m.id.Leaf.Equal(x) { // its key need not be unsealed again
			return m.id, nil
		}
		secret, err := c.st.CertificateKey(ctx, h.Serial)
		if err != nil {
			return tls.Certificate{}, err
		}
		key, err := readKey(secret)
		if err != nil {
			return tls.Certificate{}, &amt.Error{Op: "read manager certificate", Subject: h.Serial, Err: err}
		}
		return c.keepManager(a, x, key), nil
	}
	return c.makeManager(ctx, a, now)
}

func (c *CA) keepManager(a *Authority, x *x509.Certificate, key crypto.PrivateKey) tls.Certificate {
	id := tls.Certificate{Certificate: [][]byte{x.Raw, a.Certificate.Raw}, PrivateKey: key, Leaf: x}
	for _, up := range a.Chain {
		id.Certificate = append(id.Certificate, up.Raw)
	}
	c.managers[a.ID] = manager{id}
	return id
}

func (c *CA) makeManager(ctx context.Context, a *Authority, now time.Time) (tls.Certificate, error) {
	if err := over(a, ManagerName, now); err != nil {
		return tls.Certificate{}, err
	}
	key, err := c.o.NewKey()
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	t := &x509.Certificate{Subject: pkix.Name{CommonName: ManagerName}, DNSNames: []string{ManagerName},
		NotBefore: now.Add(-backDate), NotAfter: c.limit(a, now.Add(managerLife)), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, UnknownExtKeyUsage: []asn1.ObjectIdentifier{remoteConsole}}
	x, err := sign(t, a.Certificate, &key.PublicKey, a.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	secret, err := writeKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := c.st.AddCertificate(ctx, store.Certificate{Serial: Serial(x), Authority: a.ID, Purpose: store.PurposeManager, Name: ManagerName,
		DER: x.Raw, Key: secret, NotBefore: x.NotBefore, NotAfter: x.NotAfter}); err != nil {
		return tls.Certificate{}, err
	}
	return c.keepManager(a, x, key), nil
}

// ClientTLS is the TLS of a session with a provisioned client: old versions and suites, as all of
// firmware, but its certificate has to be one of ours for that name. id is shown where the client asks
// for one; the zero value shows none.
func (c *CA) ClientTLS(ctx context.Context, name string, id tls.Certificate) (*tls.Config, error) {
	all, err := c.st.Authorities(ctx)
	if err != nil {
		return nil, err
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), DNSName: name}
	for _, row := range all {
		if row.Certs == "" {
			continue
		}
		a, err := c.ByID(ctx, row.ID)
		if err != nil {
			return nil, err
		}
		o.Roots.AddCert(a.Root())
		for _, up := range append([]*x509.Certificate{a.Certificate}, a.Chain...) {
			o.Intermediates.AddCert(up)
		}
	}
	t := cert.ClientConfig(id)
	t.VerifyPeerCertificate = nil
	t.VerifyConnection = func(s tls.ConnectionState) error { // in place of the check that InsecureSkipVerify leaves out, which wants today's suites
		if len(s.PeerCertificates) == 0 {
			return errors.New("the client shows no certificate")
		}
		o := o
		o.CurrentTime = c.o.Now()
		_, err := s.PeerCertificates[0].Verify(o)
		return err
	}
	return t, nil
}

// Of gives the authority that signed a client's certificate, nil when it is none of ours.
func (c *CA) Of(ctx context.Context, x *x509.Certificate) (*Authority, error) {
	all, err := c.st.Authorities(ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range all {
		if row.Certs == "" {
			continue
		}
		a, err := c.ByID(ctx, row.ID)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(a.Certificate.RawSubject, x.RawIssuer) && x.CheckSignatureFrom(a.Certificate) == nil {
			return a, nil
		}
	}
	return nil, nil
}
