package probe

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"amtmedic/amt/cert"
	"amtmedic/amt/hello"
	"amtmedic/diag"
)

// Certificate gives the probe that reads the provisioning certificate of the setup server. load reads
// the file; what it gives is never written anywhere. name is for the screen and for evidence.
func Certificate(name string, load func() (*cert.File, error)) Probe {
	return Probe{
		ID: "certificate", Check: "chk-rcfg", What: "read the provisioning certificate " + name, Cost: Read, Limit: 20 * time.Second,
		Gives: []string{"cert.present", "cert.private_key", "cert.eku", "cert.ou", "cert.names", "cert.not_before", "cert.not_after", "cert.chain",
			"cert.root_digests", "cert.algorithms", "cert.key_bits"},
		Run: func(_ context.Context, r Report) error {
			f, err := load()
			if err != nil {
				return err
			}
			for _, fact := range CertFacts(f, name) {
				r.Fact(fact)
			}
			r.Saw(certLine(f))
			return nil
		},
	}
}

// CertificateRoot gives the probe that compares the root of the certificate with what the client trusts,
// hashes from its hello or a local tool. The digest by which the client knows the root is the one that
// counts: firmware before AMT 11 may list SHA-1 only.
func CertificateRoot(name string, load func() (*cert.File, error), hashes []hello.Hash) Probe {
	return Probe{
		ID: "certificate-root", Check: "chk-rcfg", What: "look for the root of " + name + " among those that the client trusts", Cost: Read, Limit: 20 * time.Second,
		Gives: []string{"cert.root_digest", "cert.root_in_client_hashes"},
		Run: func(_ context.Context, r Report) error {
			f, err := load()
			if err != nil {
				return err
			}
			for _, fact := range RootFacts(f, name, hashes) {
				r.Fact(fact)
			}
			return nil
		},
	}
}

// Trusted gives the hashes that the client trusts: of its latest hello, and of a local tool.
// known is false while nobody looked.
func Trusted(v *diag.View) (hashes []hello.Hash, known bool) {
	add := func(list []diag.Obj) {
		known = true
		for _, o := range list {
			if h, err := hello.ParseHash(o.Str("algorithm") + ":" + o.Str("digest")); err == nil {
				hashes = append(hashes, h)
			} else if d, err := hex.DecodeString(o.Str("digest")); err == nil {
				hashes = append(hashes, hello.Hash{Digest: d}) // of an algorithm that no root is known by
			}
		}
	}
	for _, key := range []string{"wire.client.hello", "wire.server.hello"} {
		for _, f := range slices.Backward(v.All(key)) {
			if o := diag.ObjOf(f); o.Has("hashes") {
				add(diag.Objs(o.Any("hashes")))
				break
			}
		}
	}
	if f, ok := v.Get("client.hashes"); ok {
		add(diag.Objs(f.Value))
	}
	return hashes, known
}

// RootFacts says by which digest the client knows the root, and whether it does. Without a root nothing
// is said.
func RootFacts(f *cert.File, name string, hashes []hello.Hash) []diag.Fact {
	root := f.Chain().Root()
	if root == nil {
		return nil
	}
	all := cert.Digests(root)
	shown := all[slices.IndexFunc(all, func(h hello.Hash) bool { return h.Algorithm == hello.SHA256 })]
	i := slices.IndexFunc(all, func(h hello.Hash) bool {
		return slices.ContainsFunc(hashes, func(k hello.Hash) bool { return k.Algorithm == h.Algorithm && bytes.Equal(k.Digest, h.Digest) })
	})
	if i >= 0 {
		shown = all[i]
	}
	evidence := diag.Evidence{name + ": root " + root.Subject.String()}
	return []diag.Fact{
		{Key: "cert.root_digest", Value: hex.EncodeToString(shown.Digest), Evidence: evidence},
		{Key: "cert.root_in_client_hashes", Value: i >= 0, Evidence: evidence},
	}
}

func certLine(f *cert.File) string {
	c := f.Chain()
	if c.Leaf() == nil {
		return "certificate: the file holds none"
	}
	words := "its root is missing"
	if root := c.Root(); root != nil {
		words = "up to " + root.Subject.String()
	}
	return fmt.Sprintf("certificate: %s, until %s, %s", c.Leaf().Subject, c.Leaf().NotAfter.UTC().Format(time.DateOnly), words)
}

// oidServerAuth is the usage of server authentication (RFC 5280 4.2.1.12).
const oidServerAuth = "1.3.6.1.5.5.7.3.1"

// oidUsage is the extension that lists extended key usages (RFC 5280 4.2.1.12).
var oidUsage = asn1.ObjectIdentifier{2, 5, 29, 37}

// CertFacts says of a certificate file what the catalogue asks about one. Nothing is judged: whether the
// root is one that the client trusts is for the check, which knows the client's hashes.
func CertFacts(f *cert.File, name string) []diag.Fact {
	var out []diag.Fact
	add := func(key string, v any, evidence string) {
		out = append(out, diag.Fact{Key: key, Value: v, Evidence: diag.Evidence{name + ": " + evidence}})
	}
	c := f.Chain()
	leaf := c.Leaf()
	add("cert.present", leaf != nil, f.Form)
	if leaf == nil {
		return out
	}
	if !f.LockedKey { // one that needs a password may be the right one
		add("cert.private_key", f.Belongs(), "private key")
	}
	add("cert.eku", anyList(usages(leaf)), "extended key usage")
	add("cert.ou", unit(leaf), "subject "+leaf.Subject.String())
	add("cert.names", anyList(lower(cert.Names(leaf))), "subject "+leaf.Subject.String())
	add("cert.not_before", leaf.NotBefore.UTC().Format(time.RFC3339), "validity")
	add("cert.not_after", leaf.NotAfter.UTC().Format(time.RFC3339), "validity")
	chain := "incomplete"
	if c.Complete {
		chain = "complete"
	}
	add("cert.chain", chain, fmt.Sprintf("%d certificates, the last one issued by %s", len(c.Certificates), c.Certificates[len(c.Certificates)-1].Issuer))
	add("cert.algorithms", anyList(digests(c)), "signatures")
	if bits := keyBits(c); bits != nil {
		add("cert.key_bits", bits, "public keys")
	}
	if root := c.Root(); root != nil {
		all := []any{}
		for _, h := range cert.Digests(root) {
			all = append(all, map[string]any{"algorithm": h.Algorithm.String(), "digest": hex.EncodeToString(h.Digest)})
		}
		add("cert.root_digests", all, "root "+root.Subject.String())
	}
	return out
}

func anyList(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func lower(names []string) []string {
	out := []string{}
	for _, n := range names {
		out = append(out, strings.ToLower(strings.TrimSuffix(n, ".")))
	}
	return out
}

// usages lists the extended key usages as OIDs. A certificate that the exact unit marks and that limits
// its usages in no way serves for all of them, server authentication too.
func usages(c *x509.Certificate) []string {
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidUsage) {
			continue
		}
		var ids []asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(e.Value, &ids); err != nil {
			return nil
		}
		out := make([]string, len(ids))
		for i, id := range ids {
			out[i] = id.String()
		}
		return out
	}
	return []string{oidServerAuth}
}

// unit gives the organizational unit that counts: the exact one before others.
func unit(c *x509.Certificate) string {
	if slices.Contains(c.Subject.OrganizationalUnit, cert.SetupUnit) {
		return cert.SetupUnit
	}
	if len(c.Subject.OrganizationalUnit) == 0 {
		return ""
	}
	return c.Subject.OrganizationalUnit[0]
}

// digests names the signature digests of a chain, leaf first.
func digests(c cert.Chain) []string {
	words := map[x509.SignatureAlgorithm]string{
		x509.MD2WithRSA: "md2", x509.MD5WithRSA: "md5", x509.SHA1WithRSA: "sha1", x509.ECDSAWithSHA1: "sha1", x509.DSAWithSHA1: "sha1",
		x509.SHA256WithRSA: "sha256", x509.SHA256WithRSAPSS: "sha256", x509.ECDSAWithSHA256: "sha256", x509.DSAWithSHA256: "sha256",
		x509.SHA384WithRSA: "sha384", x509.SHA384WithRSAPSS: "sha384", x509.ECDSAWithSHA384: "sha384",
		x509.SHA512WithRSA: "sha512", x509.SHA512WithRSAPSS: "sha512", x509.ECDSAWithSHA512: "sha512",
	}
	var out []string
	for _, x := range c.Certificates {
		w, ok := words[x.SignatureAlgorithm]
		if !ok {
			w = strings.ToLower(x.SignatureAlgorithm.String())
		}
		out = append(out, w)
	}
	return out
}

// keyBits gives the RSA key lengths of a chain, leaf first; nil where a key is of another kind.
func keyBits(c cert.Chain) []any {
	var out []any
	for _, x := range c.Certificates {
		key, ok := x.PublicKey.(*rsa.PublicKey)
		if !ok {
			return nil
		}
		out = append(out, float64(key.N.BitLen()))
	}
	return out
}
