package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// Request makes a key, keeps it sealed, and gives the request in PEM form by which a company's authority
// may sign it as one of its own: with the wish to be an authority itself. organization may be empty.
func (c *CA) Request(ctx context.Context, name, organization string) ([]byte, error) {
	key, err := c.o.NewKey()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	subject := pkix.Name{CommonName: name}
	if organization != "" {
		subject.Organization = []string{organization}
	}
	basic, err := asn1.Marshal(struct {
		CA   bool
		Path int
	}{true, 0})
	if err != nil {
		return nil, fmt.Errorf("write a request: %w", err)
	}
	usage, err := asn1.Marshal(asn1.BitString{Bytes: []byte{0x06}, BitLength: 7}) // keyCertSign, cRLSign
	if err != nil {
		return nil, fmt.Errorf("write a request: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, SignatureAlgorithm: x509.SHA256WithRSA,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: basic}, {Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: usage}}}, key)
	if err != nil {
		return nil, fmt.Errorf("sign a request: %w", err)
	}
	secret, err := writeKey(key)
	if err != nil {
		return nil, err
	}
	if _, err := c.st.AddAuthority(ctx, store.Authority{Kind: External, Key: secret}); err != nil {
		return nil, &amt.Error{Op: "keep certificate authority", Err: err}
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// Import takes what a company's authority signed: a certificate for the key of a request, with its chain
// up to the root, in any order. From then on it signs for profiles with that authority.
func (c *CA) Import(ctx context.Context, file []byte) (*Authority, error) {
	certs, err := parse(file)
	if err != nil {
		return nil, refused(err, "the file is PEM with the certificate, then its chain")
	}
	row, own, err := c.requested(ctx, certs)
	if err != nil {
		return nil, err
	}
	chain, err := order(own, certs)
	if err != nil {
		return nil, err
	}
	if err := c.judge(own, chain); err != nil {
		return nil, err
	}
	if err := c.st.ActivateAuthority(ctx, row, string(encode(append([]*x509.Certificate{own}, chain...)...))); err != nil {
		return nil, &amt.Error{Op: "keep certificate authority", Err: err}
	}
	c.mu.Lock()
	delete(c.open, row)
	delete(c.managers, row)
	c.mu.Unlock()
	return c.ByID(ctx, row)
}

func refused(err error, hint string) error {
	return &amt.Error{Op: "import certificate authority", Err: err, Hint: hint}
}

// requested finds the request that one of the certificates answers, the newest first.
func (c *CA) requested(ctx context.Context, certs []*x509.Certificate) (int64, *x509.Certificate, error) {
	all, err := c.st.Authorities(ctx)
	if err != nil {
		return 0, nil, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Kind != External {
			continue
		}
		row, ok, err := c.st.Authority(ctx, all[i].ID)
		if err != nil || !ok {
			return 0, nil, err
		}
		key, err := readKey(row.Key)
		if err != nil {
			return 0, nil, &amt.Error{Op: "read certificate authority", Subject: fmt.Sprint(row.ID), Err: err}
		}
		for _, x := range certs {
			if samePublic(x.PublicKey, crypto.PublicKey(key.Public())) {
				return row.ID, x, nil
			}
		}
	}
	if len(certs) == 0 {
		return 0, nil, refused(errors.New("it holds no certificate"), "the file is PEM with the certificate, then its chain")
	}
	return 0, nil, refused(errors.New("none of its certificates is for a key that was requested here"), "\"amtmedic ca csr\" makes the request; its answer belongs to the same database")
}

// order gives the chain above a certificate up to the root.
func order(own *x509.Certificate, certs []*x509.Certificate) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for at := own; !bytes.Equal(at.RawSubject, at.RawIssuer); {
		var up *x509.Certificate
		for _, x := range certs {
			if x != at && bytes.Equal(x.RawSubject, at.RawIssuer) && at.CheckSignatureFrom(x) == nil {
				up = x
			}
		}
		if up == nil || len(chain) > 8 {
			return nil, refused(fmt.Errorf("the chain ends at %q: the certificate of its issuer %q is not in the file", at.Subject, at.Issuer), "add the certificates up to the root to the file")
		}
		chain, at = append(chain, up), up
	}
	return chain, nil
}

// judge refuses a certificate that cannot sign for clients.
func (c *CA) judge(own *x509.Certificate, chain []*x509.Certificate) error {
	now := c.o.Now()
	switch {
	case len(chain) == 0:
		return refused(errors.New("it is signed by itself"), "a company's authority has to sign the request")
	case !own.BasicConstraintsValid || !own.IsCA:
		return refused(errors.New("it may not sign others: CA is false in its basic constraints"), "ask for the certificate of a subordinate authority")
	case own.KeyUsage&x509.KeyUsageCertSign == 0:
		return refused(errors.New("its key usage lacks certificate signing"), "ask for the certificate of a subordinate authority")
	case own.KeyUsage&x509.KeyUsageCRLSign == 0:
		return refused(errors.New("its key usage lacks the signing of revocation lists"), "ask for the certificate of a subordinate authority")
	case now.After(own.NotAfter):
		return refused(fmt.Errorf("it is over since %s", own.NotAfter.UTC().Format(time.RFC3339)), "")
	}
	if k, ok := own.PublicKey.(*rsa.PublicKey); !ok || k.N.BitLen() < keyBits {
		return refused(errors.New("its key is not RSA of 2048 bits"), "")
	}
	if ahead := own.NotBefore.Sub(now); ahead > 0 && ahead < time.Hour { // the signer's clock is a little ahead of ours
		now = own.NotBefore
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	o.Roots.AddCert(chain[len(chain)-1])
	for _, up := range chain {
		o.Intermediates.AddCert(up)
	}
	if _, err := own.Verify(o); err != nil {
		return refused(err, "")
	}
	return nil
}
