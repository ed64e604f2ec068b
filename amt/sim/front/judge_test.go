package front

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"amtmedic/amt/hello"
	"amtmedic/amt/tlspsk"
)

func TestJudgeSetup(t *testing.T) {
	const name = "provisionserver.corp.example"
	good := chain(t, name, nil)
	view := func() View { return View{Hashes: hashOf(good[2]), Suffix: "corp.example", Now: time.Now()} }
	unit := func(ou string) []*x509.Certificate {
		c := chain(t, name, func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, nil
			c.Subject.OrganizationalUnit = []string{ou}
		})
		return c
	}
	sha1 := chain(t, name, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })
	tests := []struct {
		name, version string
		chain         []*x509.Certificate
		alert         tlspsk.Alert
		reason        string
	}{
		{"usage", "9.0", good, 0, ""},
		{"unit", "9.0", unit("Intel(R) Client Setup Certificate"), 0, ""},
		{"unit in other case", "9.0", unit("Intel(R) client setup certificate"), alertUnsupportedCertificate, "neither"},
		{"no server authentication", "9.0", chain(t, name, func(c *x509.Certificate) { c.ExtKeyUsage = nil }), alertUnsupportedCertificate, "neither"},
		{"client authentication instead", "9.0", chain(t, name, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), alertUnsupportedCertificate, "neither"},
		{"nothing", "9.0", nil, tlspsk.AlertHandshakeFailure, "no certificate"},
		{"leaf alone", "9.0", good[:1], alertUnknownCA, "does not contain its root"},
		{"root left out", "9.0", good[:2], alertUnknownCA, "does not contain its root"},
		{"middle left out", "9.0", []*x509.Certificate{good[0], good[2]}, alertUnknownCA, "stands next"},
		{"out of order", "9.0", []*x509.Certificate{good[0], good[2], good[1], good[2]}, alertUnknownCA, "stands next"},
		{"another's chain", "9.0", append([]*x509.Certificate{good[0]}, good[2]), alertUnknownCA, "stands next"},
		{"not yet valid", "9.0", chain(t, name, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), alertCertificateExpired, "is valid from"},
		{"SHA-1, old", "9.0", sha1, 0, ""},
		{"SHA-1, new", "16.1", sha1, alertBadCertificate, "SHA-1"},
	}
	for _, tt := range tests {
		v := view()
		if n := len(tt.chain); n == 3 {
			v.Hashes = hashOf(tt.chain[2])
		}
		check(t, tt.name, judgeSetup(version(t, tt.version), v, tt.chain), tt.alert, tt.reason)
	}
	v := view()
	v.Hashes = nil
	check(t, "no active hash", judgeSetup(version(t, "9.0"), v, good), alertUnknownCA, "0 active hashes")
	v.Hashes = []hello.Hash{{Algorithm: hello.SHA256}, {Algorithm: 9, Digest: nil}}
	check(t, "empty hashes", judgeSetup(version(t, "9.0"), v, good), alertUnknownCA, "not among")
}

func check(t *testing.T, name string, got *refusal, alert tlspsk.Alert, reason string) {
	t.Helper()
	switch {
	case got == nil && reason == "":
	case got == nil || got.alert != alert || reason == "" || !strings.Contains(got.Error(), reason):
		t.Errorf("%s: %+v, want alert %s, %q", name, got, alert, reason)
	}
}

// TestForgedSignature: every byte of the leaf's signature and of the signed part counts.
func TestForgedSignature(t *testing.T) {
	good := chain(t, "provisionserver.corp.example", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })
	v := View{Hashes: hashOf(good[2]), Suffix: "corp.example", Now: time.Now()}
	if r := judgeSetup(version(t, "9.0"), v, good); r != nil {
		t.Fatal(r)
	}
	forged := *good[0]
	forged.Signature = append([]byte(nil), forged.Signature...)
	forged.Signature[10] ^= 1
	check(t, "signature", judgeSetup(version(t, "9.0"), v, []*x509.Certificate{&forged, good[1], good[2]}), tlspsk.AlertDecryptError, "signature")
	forged = *good[0]
	forged.RawTBSCertificate = append([]byte(nil), forged.RawTBSCertificate...)
	forged.RawTBSCertificate[40] ^= 1
	check(t, "content", judgeSetup(version(t, "9.0"), v, []*x509.Certificate{&forged, good[1], good[2]}), tlspsk.AlertDecryptError, "signature")
	// a leaf that issues another leaf
	l := template("provisionserver.evil.example")
	l.ExtKeyUsage, l.UnknownExtKeyUsage = good[0].ExtKeyUsage, good[0].UnknownExtKeyUsage
	leafIssuer := *good[0]
	leafIssuer.BasicConstraintsValid = true
	child := sign(t, l, &leafIssuer, testKey())
	v.Suffix = "evil.example"
	check(t, "issued by a leaf", judgeSetup(version(t, "9.0"), v, []*x509.Certificate{child, &leafIssuer, good[1], good[2]}), alertUnknownCA, "may not issue")
}

func TestKeysByVersion(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := template("x")
	c.SignatureAlgorithm = x509.ECDSAWithSHA256
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "elliptic curve", fitsVersion(version(t, "9.0"), ec), alertUnsupportedCertificate, "not RSA")
	var ring keyring
	for bits, refusedBy := range map[int]string{1024: "16.0", 3072: "3.2.1"} {
		k, err := ring.key(bits)
		if err != nil {
			t.Fatal(err)
		}
		c := sign(t, template("x"), template("x"), k)
		check(t, "refused", fitsVersion(version(t, refusedBy), c), alertBadCertificate, "bits")
		check(t, "taken", fitsVersion(version(t, "9.0"), c), 0, "")
	}
}

func TestDomainFits(t *testing.T) {
	for _, tt := range []struct {
		version, name, suffix string
		want                  bool
	}{
		{"9.0", "provisionserver.corp.example", "corp.example", true},
		{"9.0", "ProvisionServer.Corp.Example.", "corp.example", true},
		{"9.0", "corp.example", "corp.example", true},
		{"9.0", "*.corp.example", "corp.example", true},
		{"9.0", "provisionserver.lyon.corp.example", "corp.example", false},
		{"9.0", "provisionserver.corp.example", "lyon.corp.example", false},
		{"9.0", "provisionserver.evilcorp.example", "corp.example", false},
		{"9.0", "provisionserver.corp.example", "", false},
		{"9.0", "provisionserver", "", false},
		{"9.0", "", "corp.example", false},
		{"9.0", "scs.lyon.corp.com", "paris.corp.com", true}, // last two labels, from 3.2.1
		{"3.2.1", "scs.corp.org", "paris.corp.org", true},
		{"3.2.0", "scs.corp.com", "paris.corp.com", false},
		{"2.6", "scs.corp.com", "paris.corp.com", true},
		{"2.6", "scs.corp.org", "paris.corp.org", false},
		{"2.2", "scs.corp.com", "paris.corp.com", false},
		{"2.2", "scs.corp.com", "corp.com", true},
		{"9.0", "scs.corp.com", "paris.other.com", false},
		{"9.0", "scs.corp.com", "com", false},
		{"9.0", "scs.corp.ua", "paris.corp.ua", false},
	} {
		if got := domainFits(version(t, tt.version), tt.name, tt.suffix); got != tt.want {
			t.Errorf("%s: %q for %q: %v", tt.version, tt.name, tt.suffix, got)
		}
	}
}

func TestJudgeManager(t *testing.T) {
	c := chain(t, "console.corp.example", nil)
	roots := x509.NewCertPool()
	roots.AddCert(c[2])
	v := View{Roots: roots, Now: time.Now()}
	check(t, "trusted", judgeManager(v, c), 0, "")
	check(t, "none", judgeManager(v, nil), tlspsk.AlertHandshakeFailure, "no certificate")
	check(t, "foreign", judgeManager(View{Roots: x509.NewCertPool(), Now: v.Now}, c), alertUnknownCA, "unknown authority")
	v.TrustedCNs = []string{"corp.example"}
	check(t, "trusted name", judgeManager(v, c), 0, "")
	v.TrustedCNs = []string{"evil.example"}
	check(t, "another name", judgeManager(v, c), alertBadCertificate, "trusted ones")
	v.Now = time.Now().Add(48 * time.Hour)
	check(t, "expired", judgeManager(v, c), alertCertificateExpired, "expired")
}

// TestPong: the pongs that MeshCentral 1.1.55 decoded (provisioning-protocol 4.2).
func TestPong(t *testing.T) {
	for _, tt := range []struct {
		pong, version string
		tag           byte
		view          View
	}{
		{"0600ff06000011be4007001000000157426026008120000000000000", "2.6", 7, View{State: "pre"}},
		{"0600ff06000011be4007001000000157426130018120000000000000", "3.0", 7, View{State: "in", TLS: PairTLS}},
		{"0600ff06000011be4009001000000157426052068120000000000000", "5.2", 9, View{State: "post", Plain: true, TLS: OwnTLS}},
		{"0600ff06000011be4009001000000157426000028120000000000000", "11.8", 9, View{State: "post", Plain: true}},
	} {
		ping, _ := hex.DecodeString("06000006000011be80000000")
		ping[9] = tt.tag
		tag, ok := pingTag(ping)
		if got := hex.EncodeToString(pong(tag, version(t, tt.version), tt.view)); !ok || got != tt.pong {
			t.Errorf("%s: %v\n%s, want\n%s", tt.version, ok, got, tt.pong)
		}
	}
}

func FuzzPingTag(f *testing.F) {
	ping, _ := hex.DecodeString("06000006000011be80010000")
	f.Add(ping)
	f.Add(ping[:11])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if tag, ok := pingTag(b); ok && (len(b) < 12 || tag != b[9]) {
			t.Errorf("%x", b)
		}
	})
}
