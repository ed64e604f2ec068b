package lab

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/hello"
	"amtmedic/amt/provision"
)

// chainKey is the key of every practice chain of this program: making one takes a tenth of a second,
// and nothing is protected by it.
var chainKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// weakBits is a key length that old firmware took, and that from 16.0 on is refused.
const weakBits = 1024

// certificate says what stands in the certificate file of the practice server. The zero value is a
// sound chain: leaf, authority, root.
type certificate struct {
	absent    bool   // there is no file
	keyless   bool   // the private key is on another machine
	foreign   bool   // of an authority that no firmware knows
	ordinary  bool   // without the provisioning usage
	over      bool   // its time has run out
	unlinked  bool   // the authority between leaf and root was forgotten
	weak      bool   // with a key of weakBits
	elsewhere string // issued for this domain instead of the client's; empty is the client's
}

// roots are the authorities of practice: the first one is known to the firmware.
var roots = [2]string{"Practice Root", "Practice Root of a private authority"}

// between is the authority that signs the certificate of the server.
const between = "Practice Authority"

// issuer makes practice certificates at one moment.
type issuer struct {
	key *rsa.PrivateKey
	now time.Time
}

// sign makes a certificate; a nil parent signs itself.
func (i issuer) sign(c, parent *x509.Certificate, key *rsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	c.SerialNumber, c.SignatureAlgorithm, c.BasicConstraintsValid = serial, x509.SHA256WithRSA, true
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, i.key)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", c.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

func (i issuer) authority(name string, parent *x509.Certificate) (*x509.Certificate, error) {
	const year = 365 * 24 * time.Hour
	return i.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name, Organization: []string{"not for use"}},
		NotBefore: i.now.Add(-year), NotAfter: i.now.Add(10 * year), IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}, parent, i.key)
}

// leaf makes the provisioning certificate with its key.
func (i issuer) leaf(c certificate, domain string, parent *x509.Certificate) (*x509.Certificate, *rsa.PrivateKey, error) {
	key := i.key
	if c.weak {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, weakBits); err != nil {
			return nil, nil, err
		}
	}
	if c.elsewhere != "" {
		domain = c.elsewhere
	}
	name := "provisionserver." + domain
	x := &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: i.now.Add(-30 * 24 * time.Hour), NotAfter: i.now.Add(300 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if !c.ordinary {
		x.UnknownExtKeyUsage = []asn1.ObjectIdentifier{cert.SetupUsage()}
	}
	if c.over {
		x.NotBefore, x.NotAfter = i.now.Add(-400*24*time.Hour), i.now.Add(-35*24*time.Hour)
	}
	made, err := i.sign(x, parent, key)
	return made, key, err
}

// certify makes the roots of a world, the hashes that its client has, and the certificate of its server.
func (w *World) certify() error {
	key, err := chainKey()
	if err != nil {
		return err
	}
	w.issuer = issuer{key, w.clock.now()}
	for n, name := range roots {
		if w.roots[n], err = w.issuer.authority(name, nil); err != nil {
			return err
		}
	}
	w.trusted = w.hashes(w.plan.version())
	return w.writeCertificate(w.plan.cert)
}

// hashes are those of the roots that the PC's firmware trusts: one of practice and one of a real
// authority. Before 6.0 firmware lists SHA-1 only, from 11.0 on SHA-256 only.
func (w *World) hashes(v amt.Version) []hello.Hash {
	var out []hello.Hash
	all := cert.Digests(w.roots[0])
	goDaddy := []string{"sha1:47beabc922eae80e78783462a79f45c254fde68b", "sha256:45140b3247eb9cc8c5b4f0d7b53091f73292089e6e5a63e2749dd3aca9198eda"}
	for n, known := range []bool{!v.AtLeast(11, 0), v.AtLeast(6, 0)} {
		if !known {
			continue
		}
		if h, err := hello.ParseHash(goDaddy[n]); err == nil {
			out = append(out, h)
		}
		out = append(out, all[n])
	}
	return out
}

// certificatePath is where the provisioning certificate of the practice server lies.
func (w *World) certificatePath() string { return filepath.Join(w.work, certificateName) }

const certificateName = "provisioning.pem"

// writeCertificate writes the file anew.
func (w *World) writeCertificate(c certificate) error {
	if c.absent {
		return nil
	}
	root := w.roots[0]
	if c.foreign {
		root = w.roots[1]
	}
	middle, err := w.issuer.authority(between, root)
	if err != nil {
		return err
	}
	leaf, key, err := w.issuer.leaf(c, w.plan.id.suffix, middle)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if !c.keyless {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		if err := pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
			return err
		}
	}
	for _, x := range []*x509.Certificate{leaf, middle, root} {
		if x == middle && c.unlinked {
			continue
		}
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: x.Raw}); err != nil {
			return err
		}
	}
	return os.WriteFile(w.certificatePath(), b.Bytes(), 0o600)
}

// readCertificate reads the file as the provisioning service does. One that is not there is an empty one.
func (w *World) readCertificate() (*cert.File, error) {
	b, err := os.ReadFile(w.certificatePath())
	if errors.Is(err, fs.ErrNotExist) {
		return &cert.File{Form: "no file"}, nil
	}
	if err != nil {
		return nil, err
	}
	return cert.Read(b, amt.Secret{})
}

// present gives the settings of a session that shows the certificate as the file has it now.
func (w *World) present(provision.Task) (*tls.Config, error) {
	f, err := w.readCertificate()
	if err != nil {
		return nil, err
	}
	if f.Chain().Leaf() == nil {
		return nil, &provision.Refusal{Cause: "rc-cert-missing", Words: "this server has no provisioning certificate"}
	}
	id, err := f.Identity()
	switch {
	case err != nil && f.Key != nil:
		return nil, &provision.Refusal{Cause: "rc-cert-chain-incomplete", Words: "the provisioning certificate cannot be used", Err: err}
	case err != nil:
		return nil, &provision.Refusal{Cause: "rc-cert-no-key", Words: "the provisioning certificate cannot be used", Err: err}
	}
	return cert.ClientConfig(id), nil
}
