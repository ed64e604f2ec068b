package cert

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// Spec is a practice chain. Suffix and Now are required; the other fields change what a sound one has,
// so that a fault can be shown.
type Spec struct {
	Suffix       string
	Now          time.Time
	Intermediate bool          // an authority between root and leaf
	Bits         int           // of the keys; zero is 2048
	Life         time.Duration // of the leaf; zero is one year, below zero it is over already
	NoUsage      bool          // without the provisioning usage
	Unit         string        // organizational unit of the leaf
}

// Made is a practice chain with its keys. Nobody should trust its root outside a laboratory.
type Made struct {
	Root         *x509.Certificate
	Intermediate *x509.Certificate // nil without one
	Leaf         *x509.Certificate
	Key          *rsa.PrivateKey // of the leaf
}

const year = 365 * 24 * time.Hour

// Make makes a root and a provisioning certificate for provisionserver.SUFFIX: RSA, SHA-256, with
// both usages. The keys of the authorities are forgotten.
func Make(s Spec) (*Made, error) {
	if s.Bits == 0 {
		s.Bits = 2048
	}
	if s.Life == 0 {
		s.Life = year
	}
	m := &Made{}
	rootKey, err := rsa.GenerateKey(rand.Reader, s.Bits)
	if err != nil {
		return nil, err
	}
	if m.Root, err = issue(authority("amtmedic practice root "+s.Suffix, s.Now), nil, rootKey, rootKey); err != nil {
		return nil, err
	}
	issuer, issuerKey := m.Root, rootKey
	if s.Intermediate {
		key, err := rsa.GenerateKey(rand.Reader, s.Bits)
		if err != nil {
			return nil, err
		}
		if m.Intermediate, err = issue(authority("amtmedic practice authority "+s.Suffix, s.Now), issuer, key, issuerKey); err != nil {
			return nil, err
		}
		issuer, issuerKey = m.Intermediate, key
	}
	if m.Key, err = rsa.GenerateKey(rand.Reader, s.Bits); err != nil {
		return nil, err
	}
	m.Leaf, err = issue(s.leaf(), issuer, m.Key, issuerKey)
	return m, err
}

func authority(name string, now time.Time) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(10 * year),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
}

func (s Spec) leaf() *x509.Certificate {
	name := "provisionserver." + s.Suffix
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: s.Now.Add(-24 * time.Hour), NotAfter: s.Now.Add(s.Life),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, UnknownExtKeyUsage: []asn1.ObjectIdentifier{SetupUsage()}}
	if s.NoUsage {
		c.UnknownExtKeyUsage = nil
	}
	if s.Unit != "" {
		c.Subject.OrganizationalUnit = []string{s.Unit}
	}
	if s.Life < 0 {
		c.NotBefore = c.NotAfter.Add(-year)
	}
	return c
}

// issue signs template, by itself where issuer is nil.
func issue(template, issuer *x509.Certificate, key, issuerKey *rsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber, template.SignatureAlgorithm = serial, x509.SHA256WithRSA
	if issuer == nil {
		issuer = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// RootPEM is the root alone, for those who have to trust it.
func (m *Made) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.Root.Raw})
}

// ServerPEM is what a setup server loads: private key (unencrypted), leaf, chain, root.
func (m *Made) ServerPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(m.Key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	blocks := []*pem.Block{{Type: "PRIVATE KEY", Bytes: der}, {Type: "CERTIFICATE", Bytes: m.Leaf.Raw}}
	if m.Intermediate != nil {
		blocks = append(blocks, &pem.Block{Type: "CERTIFICATE", Bytes: m.Intermediate.Raw})
	}
	for _, block := range append(blocks, &pem.Block{Type: "CERTIFICATE", Bytes: m.Root.Raw}) {
		if err := pem.Encode(&b, block); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
