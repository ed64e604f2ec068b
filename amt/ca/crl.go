package ca

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// Reasons of a revocation (RFC 5280 5.3.1).
const (
	KeyCompromise = 1
	Superseded    = 4
	Cessation     = 5 // the client is retired
)

// crlLife is how long a list counts.
const crlLife = 7 * day

// Supersede revokes all certificates of a client but the one that it shows by now.
func (c *CA) Supersede(ctx context.Context, u amt.UUID, shown *x509.Certificate) (int, error) {
	return c.st.RevokeCertificates(ctx, u, Superseded, Serial(shown))
}

// Retire revokes all certificates of a client that is managed no more.
func (c *CA) Retire(ctx context.Context, u amt.UUID) (int, error) {
	return c.st.RevokeCertificates(ctx, u, Cessation)
}

// Standing tells of the certificates of a client which ones count, as they stand now, and of which the key
// became known to others. One that is not in the database does not count.
func (c *CA) Standing(ctx context.Context, u amt.UUID) (func(*x509.Certificate) (good, leaked bool), error) {
	all, err := c.st.Certificates(ctx, store.CertificateQuery{UUID: u, Purpose: store.PurposeClient})
	if err != nil {
		return nil, err
	}
	return func(x *x509.Certificate) (good, leaked bool) {
		for _, row := range all {
			if bytes.Equal(row.DER, x.Raw) {
				return row.Revoked.IsZero(), !row.Revoked.IsZero() && row.Reason == KeyCompromise
			}
		}
		return false, false
	}, nil
}

// CRL signs the list of what an authority's certificates were revoked, in DER. Each list has a number
// above the one before. What is over by itself is left out.
func (c *CA) CRL(ctx context.Context, a *Authority) ([]byte, error) {
	revoked, err := c.st.Certificates(ctx, store.CertificateQuery{Authority: a.ID, Revoked: true})
	if err != nil {
		return nil, err
	}
	number, err := c.st.NextCRL(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	now := c.o.Now()
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now, NextUpdate: now.Add(crlLife)}
	for _, r := range revoked {
		if r.NotAfter.Before(now) {
			continue
		}
		serial, ok := new(big.Int).SetString(r.Serial, 16)
		if !ok {
			return nil, &amt.Error{Op: "make revocation list", Err: fmt.Errorf("the serial number %q is none", r.Serial)}
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: r.Revoked, ReasonCode: r.Reason})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Certificate, a.key)
	if err != nil {
		return nil, &amt.Error{Op: "sign revocation list", Err: err}
	}
	return der, nil
}

// CRLPEM gives a list in PEM form.
func CRLPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// Due lists the clients whose good certificate is the last one and ends before at.
func (c *CA) Due(ctx context.Context, at time.Time) ([]store.Certificate, error) {
	all, err := c.st.Certificates(ctx, store.CertificateQuery{Purpose: store.PurposeClient, Good: true})
	if err != nil {
		return nil, err
	}
	last := map[amt.UUID]store.Certificate{}
	for _, x := range all {
		if have, ok := last[x.UUID]; !ok || x.NotAfter.After(have.NotAfter) {
			last[x.UUID] = x
		}
	}
	var out []store.Certificate
	for _, x := range all {
		if last[x.UUID].Serial == x.Serial && x.NotAfter.Before(at) {
			out = append(out, x)
		}
	}
	return out, nil
}
