package cert

import (
	"bytes"
	"crypto"
	_ "crypto/md5" // for oldDigests
	"crypto/rsa"
	_ "crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
)

// SetupUnit is the organizational unit that marks a provisioning certificate, written exactly so
// (tls.md 2.5).
const SetupUnit = "Intel(R) Client Setup Certificate"

// SetupUsage is the extended key usage that marks a provisioning certificate (tls.md 2.5).
func SetupUsage() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 113741, 1, 2, 3}
}

// Chain is a leaf with what certifies it, each certified by the next. Complete: it ends in a root.
type Chain struct {
	Certificates []*x509.Certificate
	Complete     bool
	Ordered      bool                // the file has them in this order
	Unused       []*x509.Certificate // that the file has beside the chain
	// Namesake bears the name of the missing issuer and did not sign; nil otherwise.
	Namesake *x509.Certificate
}

// Leaf is the first certificate, nil of an empty chain.
func (c Chain) Leaf() *x509.Certificate {
	if len(c.Certificates) == 0 {
		return nil
	}
	return c.Certificates[0]
}

// Root is the self-signed end of a complete chain, else nil.
func (c Chain) Root() *x509.Certificate {
	if !c.Complete {
		return nil
	}
	return c.Certificates[len(c.Certificates)-1]
}

// Chain puts the certificates of a file in order: the one of the key first, or without a key the one
// that looks most like a provisioning certificate.
func (f *File) Chain() Chain {
	leaf := f.leaf()
	if leaf == nil {
		return Chain{}
	}
	c := Chain{Certificates: []*x509.Certificate{leaf}}
	for last := leaf; ; {
		if isRoot(last) {
			c.Complete = true
			break
		}
		next := issuerOf(last, f.Certificates, c.Certificates)
		if next == nil {
			c.Namesake = namesakeOf(last, f.Certificates)
			break
		}
		c.Certificates = append(c.Certificates, next)
		last = next
	}
	for _, x := range f.Certificates {
		if !slices.ContainsFunc(c.Certificates, x.Equal) && !slices.ContainsFunc(c.Unused, x.Equal) {
			c.Unused = append(c.Unused, x)
		}
	}
	n := len(c.Certificates)
	c.Ordered = len(f.Certificates) >= n && slices.EqualFunc(f.Certificates[:n], c.Certificates, (*x509.Certificate).Equal)
	return c
}

func (f *File) leaf() *x509.Certificate {
	if f.Key != nil {
		for _, c := range f.Certificates {
			if belongs(f.Key, c) {
				return c
			}
		}
	}
	for _, want := range []func(*x509.Certificate) bool{marked, func(c *x509.Certificate) bool { return !c.IsCA }} {
		if i := slices.IndexFunc(f.Certificates, want); i >= 0 {
			return f.Certificates[i]
		}
	}
	if len(f.Certificates) == 0 {
		return nil
	}
	return f.Certificates[0]
}

// belongs compares public keys.
func belongs(key crypto.Signer, c *x509.Certificate) bool {
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(c.PublicKey)
}

// Belongs reports whether the file has a private key, and it is the one of the chain's leaf.
func (f *File) Belongs() bool {
	leaf := f.leaf()
	return f.Key != nil && leaf != nil && belongs(f.Key, leaf)
}

// marked reports the usage or the unit of a provisioning certificate.
func marked(c *x509.Certificate) bool {
	return slices.Contains(c.Subject.OrganizationalUnit, SetupUnit) || slices.ContainsFunc(c.UnknownExtKeyUsage, SetupUsage().Equal)
}

func isRoot(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && CheckSignature(c, c) == nil
}

// issuerOf finds who certified c: name and signature have to fit. Of several with one name and key
// (an authority that is also cross-certified) the root is taken: the shortest chain.
func issuerOf(c *x509.Certificate, all, not []*x509.Certificate) *x509.Certificate {
	var found *x509.Certificate
	for _, x := range all {
		if !bytes.Equal(c.RawIssuer, x.RawSubject) || slices.ContainsFunc(not, x.Equal) || CheckSignature(c, x) != nil {
			continue
		}
		if found == nil || !isRoot(found) && isRoot(x) {
			found = x
		}
	}
	return found
}

// namesakeOf finds a certificate with the name of c's issuer, whoever signed c.
func namesakeOf(c *x509.Certificate, all []*x509.Certificate) *x509.Certificate {
	for _, x := range all {
		if bytes.Equal(c.RawIssuer, x.RawSubject) && CheckSignature(c, x) != nil {
			return x
		}
	}
	return nil
}

// oldDigests are the signatures that package x509 does not check any more.
var oldDigests = map[x509.SignatureAlgorithm]crypto.Hash{x509.SHA1WithRSA: crypto.SHA1, x509.MD5WithRSA: crypto.MD5}

// CheckSignature checks that issuer's key signed c. Unlike package x509 it also takes SHA-1 and MD5,
// which roots of this field's age are signed with; it does not judge them.
func CheckSignature(c, issuer *x509.Certificate) error {
	digest, old := oldDigests[c.SignatureAlgorithm]
	if !old {
		return issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	}
	key, ok := issuer.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("the issuer's key is not RSA")
	}
	h := digest.New()
	h.Write(c.RawTBSCertificate)
	return rsa.VerifyPKCS1v15(key, digest, h.Sum(nil), c.Signature)
}
