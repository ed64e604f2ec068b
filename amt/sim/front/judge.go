package front

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/tlspsk"
)

// The marks of a provisioning certificate: one of its usages, or its organizational unit.
const setupUnit = "Intel(R) Client Setup Certificate"

func setupUsage() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 113741, 1, 2, 3}
}

// The alerts that say why a certificate was refused, beside those of package tlspsk.
const (
	alertBadCertificate         tlspsk.Alert = 42
	alertUnsupportedCertificate tlspsk.Alert = 43
	alertCertificateExpired     tlspsk.Alert = 45
	alertUnknownCA              tlspsk.Alert = 48
)

// refusal is why the other side's certificate is not taken, with the alert that tells it. Which
// alert real firmware sends is not known; these are the ones that OpenSSL sends.
type refusal struct {
	alert tlspsk.Alert
	err   error
}

func refuse(alert tlspsk.Alert, format string, a ...any) *refusal {
	return &refusal{alert, fmt.Errorf(format, a...)}
}

func (r *refusal) Error() string { return r.err.Error() }

// maxChain is the longest chain that is read; no source names the firmware's own limit.
const maxChain = 8

// judgeSetup judges a provisioning certificate as firmware does: usage or unit, the chain up to a
// root whose hash is active, validity, and the domain (provisioning-protocol 3.1, tls.md 2.5).
func judgeSetup(version amt.Version, v View, chain []*x509.Certificate) *refusal {
	if len(chain) == 0 {
		return refuse(tlspsk.AlertHandshakeFailure, "no certificate was sent")
	}
	if !isSetup(chain[0]) {
		return refuse(alertUnsupportedCertificate, "the certificate has neither the usage 2.16.840.1.113741.1.2.3 beside server authentication nor the unit %q", setupUnit)
	}
	if r := judgeChain(version, v, chain); r != nil {
		return r
	}
	if !domainFits(version, chain[0].Subject.CommonName, v.Suffix) {
		return refuse(alertBadCertificate, "the name %q does not fit the client's domain %q", chain[0].Subject.CommonName, v.Suffix)
	}
	return nil
}

// isSetup looks for the marks. The unit counts as it is written, upper and lower case included.
func isSetup(c *x509.Certificate) bool {
	if slices.Contains(c.Subject.OrganizationalUnit, setupUnit) {
		return true
	}
	return slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && slices.ContainsFunc(c.UnknownExtKeyUsage, setupUsage().Equal)
}

// judgeChain wants the whole chain in order, leaf first, the trusted root itself last.
func judgeChain(version amt.Version, v View, chain []*x509.Certificate) *refusal {
	if len(chain) > maxChain {
		return refuse(alertBadCertificate, "the chain has %d certificates, at most %d are read", len(chain), maxChain)
	}
	root := chain[len(chain)-1]
	if !bytes.Equal(root.RawSubject, root.RawIssuer) {
		return refuse(alertUnknownCA, "the chain ends in %q and does not contain its root", root.Subject)
	}
	if !isTrusted(root, v.Hashes) {
		return refuse(alertUnknownCA, "the root %q is not among the %d active hashes", root.Subject, len(v.Hashes))
	}
	for i, c := range chain {
		if v.Now.Before(c.NotBefore) || v.Now.After(c.NotAfter) {
			return refuse(alertCertificateExpired, "%q is valid from %s to %s, and the client's clock says %s", c.Subject,
				c.NotBefore.UTC().Format("2006-01-02"), c.NotAfter.UTC().Format("2006-01-02"), v.Now.UTC().Format("2006-01-02"))
		}
		if r := fitsVersion(version, c); r != nil {
			return r
		}
		if r := isIssuedBy(c, chain[min(i+1, len(chain)-1)]); r != nil {
			return r
		}
	}
	return nil
}

func isTrusted(root *x509.Certificate, hashes []hello.Hash) bool {
	s1, s256, s384 := sha1.Sum(root.Raw), sha256.Sum256(root.Raw), sha512.Sum384(root.Raw)
	digest := map[hello.Algorithm][]byte{hello.SHA1: s1[:], hello.SHA256: s256[:], hello.SHA384: s384[:]}
	return slices.ContainsFunc(hashes, func(h hello.Hash) bool { return len(h.Digest) > 0 && bytes.Equal(digest[h.Algorithm], h.Digest) })
}

// fitsVersion refuses keys and hash algorithms that a version does not take: RSA only, above 2048
// bits from 6.0 on, neither below 2048 nor SHA-1 from 16.0 on.
func fitsVersion(version amt.Version, c *x509.Certificate) *refusal {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	switch {
	case !ok:
		return refuse(alertUnsupportedCertificate, "the key of %q is not RSA", c.Subject)
	case key.N.BitLen() > 2048 && !version.AtLeast(6, 0):
		return refuse(alertBadCertificate, "the key of %q has %d bits, this version takes up to 2048", c.Subject, key.N.BitLen())
	case key.N.BitLen() < 2048 && version.AtLeast(16, 0):
		return refuse(alertBadCertificate, "the key of %q has %d bits, this version wants 2048", c.Subject, key.N.BitLen())
	case isSHA1(c) && version.AtLeast(16, 0):
		return refuse(alertBadCertificate, "%q is signed with SHA-1, which this version refuses", c.Subject)
	}
	return nil
}

func isSHA1(c *x509.Certificate) bool {
	return c.SignatureAlgorithm == x509.SHA1WithRSA || c.SignatureAlgorithm == x509.MD5WithRSA
}

// isIssuedBy checks name, right and signature of an issuer; that of a root is itself.
func isIssuedBy(c, issuer *x509.Certificate) *refusal {
	switch {
	case !bytes.Equal(c.RawIssuer, issuer.RawSubject):
		return refuse(alertUnknownCA, "%q is issued by %q, and %q stands next in the chain", c.Subject, c.Issuer, issuer.Subject)
	case c != issuer && issuer.BasicConstraintsValid && !issuer.IsCA, issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCertSign == 0:
		return refuse(alertUnknownCA, "%q issued %q and may not issue certificates", issuer.Subject, c.Subject)
	}
	if err := checkSignature(c, issuer); err != nil {
		return refuse(tlspsk.AlertDecryptError, "the signature of %q does not fit the key of %q: %w", c.Subject, issuer.Subject, err)
	}
	return nil
}

// checkSignature also takes SHA-1, which package x509 gave up and old chains have.
func checkSignature(c, issuer *x509.Certificate) error {
	if c.SignatureAlgorithm != x509.SHA1WithRSA {
		return issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	}
	key, ok := issuer.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("the issuer's key is not RSA")
	}
	sum := sha1.Sum(c.RawTBSCertificate)
	return rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], c.Signature)
}

// domainFits compares the certificate's name with the client's domain, by the rule of the version
// (symptom-catalogue 7.7): in full, or in the last two labels below some top-level domains. Where
// the sources leave the rule open it is the strict one. Without a domain nothing fits.
func domainFits(version amt.Version, name, suffix string) bool {
	name, suffix = normal(name), normal(suffix)
	_, domain, _ := strings.Cut(name, ".")
	if suffix == "" || domain == "" {
		return false
	}
	if name == suffix || domain == suffix {
		return true
	}
	var top []string
	switch {
	case patched(version):
		top = []string{"com", "net", "org"}
	case version.Major() == 2 && version.Minor() >= 6:
		top = []string{"com", "net"}
	}
	a, b := labels(name), labels(suffix)
	if len(a) < 2 || len(b) < 2 || !slices.Contains(top, b[len(b)-1]) {
		return false
	}
	return slices.Equal(a[len(a)-2:], b[len(b)-2:])
}

// patched reports 3.2.1 or later, where the wide rule came.
func patched(v amt.Version) bool {
	line, _ := amt.ParseVersion("3.2.1")
	return v.Compare(line) >= 0
}

func normal(s string) string { return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), ".")) }

func labels(s string) []string { return strings.Split(s, ".") }

// judgeManager judges the certificate of a managing program once mutual TLS is in force.
func judgeManager(v View, chain []*x509.Certificate) *refusal {
	if len(chain) == 0 {
		return refuse(tlspsk.AlertHandshakeFailure, "no certificate was sent")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: v.Roots, Intermediates: between, CurrentTime: v.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return &refusal{alertCertificateExpired, err}
	case err != nil:
		return &refusal{alertUnknownCA, err}
	}
	name := normal(chain[0].Subject.CommonName)
	if len(v.TrustedCNs) > 0 && !slices.ContainsFunc(v.TrustedCNs, func(cn string) bool {
		return name == normal(cn) || strings.HasSuffix(name, "."+normal(cn))
	}) {
		return refuse(alertBadCertificate, "the name %q is none of the trusted ones", chain[0].Subject.CommonName)
	}
	return nil
}
