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
	"strings"
	"time"
)

// Spec is a practice chain. Suffix and Now are required; the other fields change what a sound one has,
// so that a fault can be shown.
type Spec struct {
	Suffix       string
	Now          time.Time
	Intermediate bool                  // an authority between root and leaf
	Bits         int                   // of the keys; zero is 2048
	Life         time.Duration         // of the leaf; zero is one year, below zero it is over already
	NoUsage      bool                  // without the provisioning usage
	Usage        asn1.ObjectIdentifier // a usage more
	Unit         string                // organizational unit of the leaf
	Fault        string                // one of Faults, instead of setting the fields above; empty is sound
}

// The faults that a practice chain can have: the codes that Judge gives for them, with "sha1" for one
// that only some versions refuse.
const (
	FaultUnit        = "unit-spelling"    // the unit in another case, and no usage
	FaultUsage       = "no-setup-usage"   // an ordinary server certificate
	FaultExpired     = "expired"          // over since an hour
	FaultNoRoot      = "chain-incomplete" // the file lacks the root
	FaultForeignRoot = "root-not-trusted" // root.pem is another root than the chain's
	FaultSuffix      = "suffix-mismatch"  // issued for another domain
	FaultSHA1        = "sha1"             // all signatures with SHA-1
)

// Faults lists the faults of Spec.
func Faults() []string {
	return []string{FaultUnit, FaultUsage, FaultExpired, FaultNoRoot, FaultForeignRoot, FaultSuffix, FaultSHA1}
}

// apply sets the fields that make the fault.
func (s *Spec) apply() error {
	switch s.Fault {
	case "", FaultNoRoot, FaultForeignRoot, FaultSHA1:
	case FaultUnit:
		s.NoUsage, s.Unit = true, strings.ToUpper(SetupUnit)
	case FaultUsage:
		s.NoUsage, s.Unit = true, ""
	case FaultExpired:
		s.Life = -time.Hour
	case FaultSuffix:
		s.Suffix = "elsewhere.test"
	default:
		return fmt.Errorf("there is no practice fault %q; there are %s", s.Fault, strings.Join(Faults(), ", "))
	}
	return nil
}

// Made is a practice chain with its keys. Nobody should trust its root outside a laboratory.
type Made struct {
	Root         *x509.Certificate // that a client should trust; it is not the chain's with FaultForeignRoot
	Intermediate *x509.Certificate // nil without one
	Leaf         *x509.Certificate
	Key          *rsa.PrivateKey // of the leaf

	chainRoot *x509.Certificate // nil with FaultNoRoot
}

const year = 365 * 24 * time.Hour

// Make makes a root and a provisioning certificate for provisionserver.SUFFIX: RSA, SHA-256, with
// both usages. The keys of the authorities are forgotten.
func Make(s Spec) (*Made, error) {
	if err := s.apply(); err != nil {
		return nil, err
	}
	if s.Bits == 0 {
		s.Bits = 2048
	}
	if s.Life == 0 {
		s.Life = year
	}
	m := &Made{}
	top, topKey, err := s.authority("root", nil, nil)
	if err != nil {
		return nil, err
	}
	m.Root, m.chainRoot = top, top
	switch s.Fault {
	case FaultNoRoot:
		m.chainRoot = nil
	case FaultForeignRoot:
		if m.Root, _, err = s.authority("other root", nil, nil); err != nil {
			return nil, err
		}
	}
	if s.Intermediate {
		if top, topKey, err = s.authority("authority", top, topKey); err != nil {
			return nil, err
		}
		m.Intermediate = top
	}
	if m.Key, err = rsa.GenerateKey(rand.Reader, s.Bits); err != nil {
		return nil, err
	}
	m.Leaf, err = s.issue(s.leaf(), top, m.Key, topKey)
	return m, err
}

// authority makes one, signed by issuer or by itself.
func (s Spec) authority(name string, issuer *x509.Certificate, issuerKey *rsa.PrivateKey) (*x509.Certificate, *rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, s.Bits)
	if err != nil {
		return nil, nil, err
	}
	if issuerKey == nil {
		issuerKey = key
	}
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "practice " + name + " " + s.Suffix + ", not for use"}, NotBefore: s.Now.Add(-24 * time.Hour), NotAfter: s.Now.Add(10 * year),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	made, err := s.issue(c, issuer, key, issuerKey)
	return made, key, err
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
	if s.Usage != nil {
		c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, s.Usage)
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
func (s Spec) issue(template, issuer *x509.Certificate, key, issuerKey *rsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber, template.SignatureAlgorithm = serial, x509.SHA256WithRSA
	if s.Fault == FaultSHA1 {
		template.SignatureAlgorithm = x509.SHA1WithRSA
	}
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

// ServerPEM is what a setup server loads: private key (unencrypted), leaf, chain, root. Keep it secret.
func (m *Made) ServerPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(m.Key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		return nil, err
	}
	for _, c := range []*x509.Certificate{m.Leaf, m.Intermediate, m.chainRoot} {
		if c == nil {
			continue
		}
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
