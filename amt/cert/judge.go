package cert

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// Question is what a certificate is judged for. Empty fields are not asked.
type Question struct {
	Now     time.Time // required
	Version amt.Version
	Suffix  string       // domain that the client has
	Hashes  []hello.Hash // of the roots that the client trusts, from its hello
}

// Report is what the doctor found. Problems make the certificate unfit; notes are worth knowing.
type Report struct {
	Subject  string
	Names    []string // common name and DNS names
	Suffix   string   // domain of the common name: what the client's suffix is compared with
	NotAfter time.Time
	Chain    Chain
	Roots    []hello.Hash // digests of the root under each algorithm; empty without a root
	Problems []amt.Problem
	Notes    []amt.Problem
}

// RootSHA256 is the digest of the root in hex, empty without a root.
func (r *Report) RootSHA256() string {
	for _, h := range r.Roots {
		if h.Algorithm == hello.SHA256 {
			return hex.EncodeToString(h.Digest)
		}
	}
	return ""
}

// Judge says whether a setup server can show the certificate to a client.
func Judge(f *File, q Question) *Report {
	j := &judge{f: f, q: q, r: &Report{Problems: []amt.Problem{}, Notes: []amt.Problem{}}}
	j.r.Chain = f.Chain()
	leaf := j.r.Chain.Leaf()
	if leaf == nil {
		j.bad("no-certificate", "certificates", "the file holds a private key and no certificate")
		return j.r
	}
	j.r.Subject, j.r.NotAfter = leaf.Subject.String(), leaf.NotAfter
	j.r.Names = Names(leaf)
	_, j.r.Suffix, _ = strings.Cut(normal(leaf.Subject.CommonName), ".")
	if root := j.r.Chain.Root(); root != nil {
		j.r.Roots = Digests(root)
	}
	j.key(leaf)
	j.usage(leaf)
	j.chain()
	j.dates()
	j.strength()
	j.suffix(leaf)
	j.hashes()
	return j.r
}

// Names gives common name and DNS names, each once.
func Names(c *x509.Certificate) []string {
	var out []string
	for _, n := range append([]string{c.Subject.CommonName}, c.DNSNames...) {
		if n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// Digests gives the digests of a certificate under each algorithm that a hello may have.
func Digests(c *x509.Certificate) []hello.Hash {
	s1, s256, s384 := sha1.Sum(c.Raw), sha256.Sum256(c.Raw), sha512.Sum384(c.Raw)
	return []hello.Hash{{Algorithm: hello.SHA1, Digest: s1[:]}, {Algorithm: hello.SHA256, Digest: s256[:]}, {Algorithm: hello.SHA384, Digest: s384[:]}}
}

type judge struct {
	f *File
	q Question
	r *Report
}

func (j *judge) bad(code, where, format string, a ...any) {
	j.r.Problems = append(j.r.Problems, amt.In(where, code, format, a...))
}

func (j *judge) note(code, where, format string, a ...any) {
	j.r.Notes = append(j.r.Notes, amt.In(where, code, format, a...))
}

func (j *judge) key(leaf *x509.Certificate) {
	switch {
	case j.f.Key == nil && j.f.LockedKey:
		j.bad("key-locked", "private key", "the private key needs a password, which is asked for a PFX only: openssl pkey -in FILE -out key.pem takes it off (the copy is a secret: mode 0600)")
	case j.f.Key == nil:
		j.bad("no-key", "private key", "there is no private key; complete the request on the machine that made it, or restore a backup with key")
	case !belongs(j.f.Key, leaf):
		j.bad("key-mismatch", "private key", "the private key belongs to none of the certificates")
	}
	if j.f.MoreKeys > 0 {
		j.note("more-keys", "private key", "%d more private keys are in the file; the one that belongs to the certificate is used", j.f.MoreKeys)
	}
}

func (j *judge) usage(leaf *x509.Certificate) {
	unit := slices.Contains(leaf.Subject.OrganizationalUnit, SetupUnit)
	usage := slices.ContainsFunc(leaf.UnknownExtKeyUsage, SetupUsage().Equal)
	server := slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	switch {
	case unit || usage && server:
	case usage:
		j.bad("no-server-auth", "extended key usage", "it has %s and lacks server authentication, 1.3.6.1.5.5.7.3.1", SetupUsage())
	default:
		for _, u := range leaf.Subject.OrganizationalUnit {
			if squeezed(u) == squeezed(SetupUnit) {
				j.bad("unit-spelling", "organizational unit", "the unit is %q; firmware takes exactly %q", u, SetupUnit)
				return
			}
		}
		if near := j.nearUsage(leaf); near != "" {
			j.bad("no-setup-usage", "extended key usage", "%s; firmware wants the usage %s or the unit %q", near, SetupUsage(), SetupUnit)
			break
		}
		j.bad("no-setup-usage", "extended key usage", "it has neither the usage %s nor the unit %q: the authority made an ordinary certificate", SetupUsage(), SetupUnit)
	}
	if unit && !server && len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 {
		j.note("no-server-auth", "extended key usage", "the unit marks it, yet its usages lack server authentication, which some firmware may want")
	}
}

// nearUsage names what was perhaps meant to mark the certificate, empty when nothing was.
func (j *judge) nearUsage(leaf *x509.Certificate) string {
	for _, u := range leaf.UnknownExtKeyUsage {
		if arc := SetupUsage(); len(u) == len(arc) && u[:len(u)-1].Equal(arc[:len(arc)-1]) {
			return "it has the usage " + u.String() + ", which is of the same family and not the one for setup"
		}
	}
	for attribute, values := range map[string][]string{"organization": leaf.Subject.Organization, "common name": {leaf.Subject.CommonName}} {
		for _, v := range values {
			if squeezed(v) == squeezed(SetupUnit) {
				return "it has " + strconv.Quote(v) + " as its " + attribute + " and not as its organizational unit"
			}
		}
	}
	return ""
}

// squeezed leaves what a person reads as the same.
func squeezed(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(strings.ReplaceAll(s, "®", "(R)")))
}

func (j *judge) chain() {
	c := j.r.Chain
	last := c.Certificates[len(c.Certificates)-1]
	switch {
	case c.Complete:
	case c.Namesake != nil:
		j.bad("link-broken", last.Subject.String(), "the key of %q did not sign it, though it names that issuer: another certificate of the same name is needed", c.Namesake.Subject.String())
	default:
		j.bad("chain-incomplete", "chain", "the certificate of %q is missing: the client compares the digest of the root, which has to be sent too", last.Issuer.String())
	}
	if j.f.Form == "PEM" && c.Complete && !c.Ordered {
		j.bad("chain-order", "chain", "the certificates stand in another order than leaf, issuer, and so on up to the root")
	}
	for i, x := range c.Certificates {
		switch {
		case i == 0 && x.IsCA:
			j.note("leaf-is-ca", x.Subject.String(), "it is an authority by its basic constraints; a provisioning certificate is not")
		case i > 0 && x.Version >= 3 && (!x.BasicConstraintsValid || !x.IsCA):
			j.bad("issuer-no-ca", x.Subject.String(), "it certifies others and is no authority by its basic constraints")
		case i > 0 && x.MaxPathLen >= 0 && (x.MaxPathLen > 0 || x.MaxPathLenZero) && x.MaxPathLen < i-1:
			j.bad("path-too-long", x.Subject.String(), "it permits %d authorities below it, and %d are there", x.MaxPathLen, i-1)
		}
	}
	for _, x := range c.Unused {
		j.note("unused-certificate", x.Subject.String(), "it is not part of the chain")
	}
	if n := len(c.Certificates); c.Complete && n > 3 {
		j.note("long-chain", "chain", "the chain has %d certificates; one with four failed where one with three worked", n)
	}
}

// soon is how long before the end of its validity a certificate is worth a word.
const soon = 30 * 24 * time.Hour

func (j *judge) dates() {
	for _, c := range j.r.Chain.Certificates {
		where := c.Subject.String()
		switch {
		case j.q.Now.Before(c.NotBefore):
			j.bad("not-yet-valid", where, "it is valid from %s on; is the clock right?", day(c.NotBefore))
		case j.q.Now.After(c.NotAfter):
			j.bad("expired", where, "it was valid until %s; is the clock right?", day(c.NotAfter))
		case j.q.Now.Add(soon).After(c.NotAfter):
			j.note("expires-soon", where, "it is valid until %s", day(c.NotAfter))
		}
	}
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// strength compares keys and signatures with what the version takes (tls.md 2.5).
func (j *judge) strength() {
	v := j.q.Version
	for _, c := range j.r.Chain.Certificates {
		where := c.Subject.String()
		key, isRSA := c.PublicKey.(*rsa.PublicKey)
		if !isRSA {
			j.note("key-kind", where, "its key is not RSA; whether firmware takes that is not known")
			continue
		}
		bits := key.N.BitLen()
		switch {
		case bits < 2048 && v.AtLeast(16, 0):
			j.bad("key-size", where, "its RSA key has %d bits; AMT %s wants 2048", bits, v)
		case bits < 2048 && (v.AtLeast(15, 0) || v.IsZero()):
			j.note("key-size", where, "its RSA key has %d bits; AMT 16, and 15 on H chipsets, want 2048", bits)
		case bits > 2048 && !v.IsZero() && !v.AtLeast(6, 0):
			j.bad("key-size", where, "its RSA key has %d bits; before AMT 6.0 firmware takes 1024 and 2048", bits)
		case bits > 2048 && v.IsZero():
			j.note("key-size", where, "its RSA key has %d bits; firmware before AMT 6.0 takes 1024 and 2048", bits)
		case bits > 4096:
			j.note("key-size", where, "its RSA key has %d bits; 4096 is the most that a source names", bits)
		case v.AtLeast(22, 0) && bits <= 2048:
			j.note("key-size", where, "its RSA key has %d bits; AMT 22 is announced to want more (unverified)", bits)
		}
		j.signature(c, where)
	}
}

func (j *judge) signature(c *x509.Certificate, where string) {
	v := j.q.Version
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.MD2WithRSA:
		if isRoot(c) {
			return // only its digest counts
		}
		j.bad("signature-hash", where, "it is signed with %s", c.SignatureAlgorithm)
	case x509.SHA1WithRSA:
		switch {
		case v.AtLeast(16, 0):
			j.bad("signature-hash", where, "it is signed with SHA-1, which AMT %s refuses anywhere in the chain", v)
		case v.AtLeast(15, 0) || v.IsZero():
			j.note("signature-hash", where, "it is signed with SHA-1, which AMT 16, and 15 on H chipsets, refuse anywhere in the chain")
		}
	}
}

func (j *judge) suffix(leaf *x509.Certificate) {
	if strings.HasPrefix(leaf.Subject.CommonName, "*.") {
		j.note("wildcard", "subject", "its name is a wildcard; which firmware takes that is not known")
	}
	if j.q.Suffix == "" {
		return
	}
	cn := SuffixFits(j.q.Version, leaf.Subject.CommonName, j.q.Suffix)
	fit := cn
	for _, n := range j.r.Names {
		fit = max(fit, SuffixFits(j.q.Version, n, j.q.Suffix))
	}
	if fit > cn {
		j.note("suffix-by-alternative-name", "subject", "only an alternative name is of the client's domain, not the common name %q; the sources speak of the common name", leaf.Subject.CommonName)
	}
	switch fit {
	case No:
		j.bad("suffix-mismatch", "subject", "its name %q is not of the client's domain %q", leaf.Subject.CommonName, j.q.Suffix)
	case Unsure:
		j.note("suffix-unsure", "subject", "its name %q and the client's domain %q share only the last two labels; whether this firmware is content with that is not certain", leaf.Subject.CommonName, j.q.Suffix)
	}
}

// hashes compares the root with those that the client trusts.
func (j *judge) hashes() {
	if j.q.Hashes == nil || len(j.r.Roots) == 0 {
		return
	}
	name := j.r.Chain.Root().Subject.String()
	i := slices.IndexFunc(j.r.Roots, j.inHello)
	switch {
	case i < 0 && slices.ContainsFunc(j.r.Chain.Certificates, j.isTrusted):
		j.bad("root-not-trusted", "root", "the client trusts a certificate in the middle of the chain, not its root %q: end the chain there", name)
	case i < 0:
		j.bad("root-not-trusted", "root", "the root %q is none of the %d that the client trusts", name, len(j.q.Hashes))
	case j.r.Roots[i].Algorithm == hello.SHA1 && j.q.Version.AtLeast(11, 0):
		j.note("root-by-sha1", "root", "the client knows the root by its SHA-1 digest only; from ME 11.0 on no such digest is built in, it was entered by hand")
	}
}

func (j *judge) inHello(h hello.Hash) bool {
	return slices.ContainsFunc(j.q.Hashes, func(k hello.Hash) bool { return k.Algorithm == h.Algorithm && bytes.Equal(k.Digest, h.Digest) })
}

func (j *judge) isTrusted(c *x509.Certificate) bool {
	return slices.ContainsFunc(Digests(c), j.inHello)
}
