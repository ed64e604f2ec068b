// Package ca is the certificate authority of TLS profiles: our own, made on demand, or one of ours that
// a company's authority signed. Keys stand sealed in the store. New is the entry point; Client signs the
// certificate of a client's firmware, Manager that of those who connect with mutual TLS, CRL the list of
// what was revoked.
package ca

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// Kinds of authorities, in the words of profiles.
const (
	Own      = "own"
	External = "external"
)

// ErrNone: there is no authority of that kind.
var ErrNone = errors.New("there is no such certificate authority yet")

// keyBits fits all firmware: up to AMT 5 it takes 2048 at most (provisioning-protocol 3.1).
const keyBits = 2048

const (
	day      = 24 * time.Hour
	rootLife = 10 * 365 * day
	backDate = day // clocks of clients were just set, those of others may be behind
)

// Options change how a CA works. The zero value is good.
type Options struct {
	Now    func() time.Time                // nil is time.Now
	NewKey func() (*rsa.PrivateKey, error) // nil makes RSA keys of 2048 bits
}

// CA signs with the authorities of a store. It is safe for several goroutines and processes.
type CA struct {
	st *store.Store
	o  Options

	making   sync.Mutex // one root is made at a time
	mu       sync.Mutex
	open     map[int64]*Authority // by id; their keys need not be unsealed for every client
	managers map[int64]manager
}

// New gives the authorities of a store. It makes none yet.
func New(st *store.Store, o Options) *CA {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewKey == nil {
		o.NewKey = func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, keyBits) }
	}
	return &CA{st: st, o: o, open: map[int64]*Authority{}, managers: map[int64]manager{}}
}

// Authority is one that signs.
type Authority struct {
	ID          int64
	Kind        string
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // above it, up to the root; empty where it is the root itself
	key         crypto.Signer
}

// Root is what others have to trust.
func (a *Authority) Root() *x509.Certificate {
	if n := len(a.Chain); n > 0 {
		return a.Chain[n-1]
	}
	return a.Certificate
}

// PEM gives its certificate and its chain.
func (a *Authority) PEM() []byte {
	return encode(append([]*x509.Certificate{a.Certificate}, a.Chain...)...)
}

// RootPEM gives the root alone.
func (a *Authority) RootPEM() []byte { return encode(a.Root()) }

func encode(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// Authority gives the one that signs for a kind. Our own is made when it is missing; for External it is
// ErrNone until a company's authority has signed one.
func (c *CA) Authority(ctx context.Context, kind string) (*Authority, error) {
	a, err := c.Find(ctx, kind)
	if err == nil || !errors.Is(err, ErrNone) || kind != Own {
		return a, err
	}
	c.making.Lock()
	defer c.making.Unlock()
	if a, err = c.Find(ctx, kind); err == nil || !errors.Is(err, ErrNone) {
		return a, err
	}
	made, err := c.make()
	if err != nil {
		return nil, err
	}
	id, err := c.st.AddAuthority(ctx, *made) // another server may have been quicker
	if err != nil {
		return nil, &amt.Error{Op: "keep certificate authority", Err: err}
	}
	return c.ByID(ctx, id)
}

// Find gives the one that signs for a kind, ErrNone when there is none. It makes none.
func (c *CA) Find(ctx context.Context, kind string) (*Authority, error) {
	all, err := c.st.Authorities(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.Kind == kind && a.Active {
			return c.ByID(ctx, a.ID)
		}
	}
	hint := "a profile with TLS makes it when its first client is configured; \"amtmedic ca show --make\" makes it now"
	if kind == External {
		hint = "\"amtmedic ca csr\" writes a request for a company's authority; \"amtmedic ca import\" takes what it signed"
	}
	return nil, &amt.Error{Op: "find certificate authority", Subject: kind, Err: ErrNone, Hint: hint}
}

// ByID gives one, also one that signs no more.
func (c *CA) ByID(ctx context.Context, id int64) (*Authority, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.open[id]; a != nil {
		return a, nil
	}
	row, ok, err := c.st.Authority(ctx, id)
	if err != nil {
		return nil, err
	}
	if !ok || row.Certs == "" {
		return nil, &amt.Error{Op: "read certificate authority", Subject: fmt.Sprint(id), Err: ErrNone}
	}
	a := &Authority{ID: id, Kind: row.Kind}
	certs, err := parse([]byte(row.Certs))
	if err == nil && len(certs) == 0 {
		err = errors.New("its row holds no certificate")
	}
	if err == nil {
		a.Certificate, a.Chain = certs[0], certs[1:]
		a.key, err = readKey(row.Key)
	}
	if err != nil {
		return nil, &amt.Error{Op: "read certificate authority", Subject: fmt.Sprint(id), Err: err}
	}
	c.open[id] = a
	return a, nil
}

// parse reads every certificate of a PEM text.
func parse(b []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return out, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if len(out) == 16 {
			return nil, errors.New("it has more than 16 certificates")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, cert)
	}
}

func readKey(s amt.Secret) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(s.Reveal()))
	if block == nil {
		return nil, errors.New("its private key cannot be read")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("its private key cannot be read") // the parser's own words may quote it
	}
	signer, ok := k.(crypto.Signer)
	if !ok {
		return nil, errors.New("its private key cannot sign")
	}
	return signer, nil
}

func writeKey(k *rsa.PrivateKey) (amt.Secret, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return amt.Secret{}, fmt.Errorf("write a private key: %w", err)
	}
	return amt.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), nil
}

// make makes a root of our own.
func (c *CA) make() (*store.Authority, error) {
	key, err := c.o.NewKey()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	id := keyID(&key.PublicKey)
	now := c.o.Now()
	t := &x509.Certificate{Subject: pkix.Name{CommonName: fmt.Sprintf("amtmedic management authority %x", id[:4])},
		NotBefore: now.Add(-backDate), NotAfter: now.Add(rootLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: id}
	cert, err := sign(t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	secret, err := writeKey(key)
	return &store.Authority{Kind: Own, Certs: string(encode(cert)), Key: secret, Active: true}, err
}

// keyID is the key identifier of RFC 5280 4.2.1.2 (1).
func keyID(k *rsa.PublicKey) []byte {
	sum := sha1.Sum(x509.MarshalPKCS1PublicKey(k))
	return sum[:]
}

// sign signs a template with a serial number of its own. SHA-256: what firmware below AMT 6 makes of it
// in a certificate that is shown to it (mutual TLS) is not known to us.
func sign(t, issuer *x509.Certificate, key crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	t.SerialNumber = serial
	if _, ok := signer.Public().(*rsa.PublicKey); ok {
		t.SignatureAlgorithm = x509.SHA256WithRSA
	}
	der, err := x509.CreateCertificate(rand.Reader, t, issuer, key, signer)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", t.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// Serial gives the serial number as the store has it.
func Serial(c *x509.Certificate) string { return fmt.Sprintf("%032x", c.SerialNumber) }
