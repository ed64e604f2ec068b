package cert

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

var now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func version(t testing.TB, s string) amt.Version {
	t.Helper()
	if s == "" {
		return amt.Version{}
	}
	v, err := amt.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func made(t testing.TB, s Spec) (*Made, []byte) {
	t.Helper()
	if s.Suffix == "" {
		s.Suffix = "corp.example"
	}
	s.Now = now
	if s.Bits == 0 {
		s.Bits = 1024 // quick to make; judged without a version
	}
	m, err := Make(s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.ServerPEM()
	if err != nil {
		t.Fatal(err)
	}
	return m, b
}

func read(t testing.TB, b []byte) *File {
	t.Helper()
	f, err := Read(b, amt.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func TestJudge(t *testing.T) {
	sound, all := made(t, Spec{Intermediate: true})
	parts := slices.DeleteFunc(strings.SplitAfter(string(all), "-----END CERTIFICATE-----\n"), func(s string) bool { return s == "" })
	keyEnd := strings.Index(parts[0], "-----BEGIN CERTIFICATE")
	key, leaf, between, root := parts[0][:keyEnd], parts[0][keyEnd:], parts[1], parts[2]
	_, noUsage := made(t, Spec{NoUsage: true})
	_, spelled := made(t, Spec{NoUsage: true, Unit: "Intel(r) Client Setup Certificate"})
	_, unit := made(t, Spec{NoUsage: true, Unit: SetupUnit})
	_, expired := made(t, Spec{Life: -time.Hour})
	_, ending := made(t, Spec{Life: 24 * time.Hour})
	other, otherPEM := made(t, Spec{})
	_, big := made(t, Spec{Bits: 3072})
	second, _ := made(t, Spec{Intermediate: true})
	twin, twinRoot := pemOf(second.Intermediate), string(second.RootPEM())
	_, console := made(t, Spec{NoUsage: true, Usage: asn1.ObjectIdentifier{2, 16, 840, 1, 113741, 1, 2, 1}})
	for name, c := range map[string]struct {
		pem      string
		q        Question
		problems string
		notes    string
	}{
		"sound":                {string(all), Question{Suffix: "corp.example"}, "", "key-size key-size key-size"},
		"no key":               {leaf + between + root, Question{}, "no-key", ""},
		"locked key":           {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n" + leaf + between + root, Question{}, "key-locked", ""},
		"foreign key":          {string(otherPEM[:strings.Index(string(otherPEM), "-----BEGIN CERTIFICATE")]) + leaf + between + root, Question{}, "key-mismatch", ""},
		"old locked key":       {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n" + leaf + between + root, Question{}, "key-locked", ""},
		"another key first":    {strings.Split(string(otherPEM), "-----BEGIN CERT")[0] + key + leaf + between + root, Question{}, "", "more-keys"},
		"same name, other key": {key + leaf + twin + twinRoot, Question{}, "link-broken", "unused-certificate"},
		"only a key":           {key, Question{}, "no-certificate", ""},
		"two keys":             {key + key + leaf + between + root, Question{}, "", "more-keys"},
		"no root":              {key + leaf + between, Question{}, "chain-incomplete", ""},
		"no intermediate":      {key + leaf + root, Question{}, "chain-incomplete", "unused-certificate"},
		"wrong order":          {key + root + between + leaf, Question{}, "chain-order", ""},
		"a foreign one in it":  {string(all) + string(other.RootPEM()), Question{}, "", "unused-certificate"},
		"no usage":             {string(noUsage), Question{}, "no-setup-usage", ""},
		"usage of a console":   {string(console), Question{}, "no-setup-usage", ""},
		"unit spelled wrong":   {string(spelled), Question{}, "unit-spelling", ""},
		"unit":                 {string(unit), Question{}, "", ""},
		"expired":              {string(expired), Question{}, "expired", ""},
		"expires tomorrow":     {string(ending), Question{}, "", "expires-soon"},
		"before its time":      {string(all), Question{Now: now.Add(-48 * time.Hour)}, "not-yet-valid not-yet-valid not-yet-valid", ""},
		"another domain":       {string(all), Question{Suffix: "other.example"}, "suffix-mismatch", ""},
		"last two labels":      {string(all), Question{Suffix: "oslo.corp.example"}, "", "suffix-unsure"},
		"small keys for 16":    {string(all), Question{Version: version(t, "16.1")}, "key-size key-size key-size", ""},
		"large keys for 5":     {string(big), Question{Version: version(t, "5.0")}, "key-size key-size", ""},
		"large keys for 9":     {string(big), Question{Version: version(t, "9.0")}, "", ""},
		"root among the known": {string(all), Question{Hashes: Digests(sound.Root)[:1]}, "", ""},
		"root by SHA-1 only":   {string(all), Question{Version: version(t, "12.0"), Hashes: Digests(sound.Root)[:1]}, "", "root-by-sha1"},
		"issuer trusted":       {string(all), Question{Hashes: Digests(sound.Intermediate)}, "root-not-trusted", ""},
		"root unknown":         {string(all), Question{Hashes: Digests(other.Root)}, "root-not-trusted", ""},
		"client trusts nobody": {string(all), Question{Hashes: []hello.Hash{}}, "root-not-trusted", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.q.Now.IsZero() {
				c.q.Now = now
			}
			r := Judge(read(t, []byte(c.pem)), c.q)
			if got := strings.Join(amt.Codes(r.Problems), " "); got != c.problems {
				t.Errorf("problems %q, want %q", got, c.problems)
			}
			for _, want := range strings.Fields(c.notes) {
				if !slices.Contains(amt.Codes(r.Notes), want) {
					t.Errorf("notes %q lack %q", amt.Codes(r.Notes), want)
				}
			}
			for _, p := range append(r.Problems, r.Notes...) {
				if p.Text == "" || p.Where == "" {
					t.Errorf("%+v says too little", p)
				}
			}
		})
	}
}

func TestSuffixFits(t *testing.T) {
	for _, c := range []struct {
		version, name, suffix string
		want                  Fit
	}{
		{"", "provisionserver.corp.example", "corp.example", Yes},
		{"2.2", "PROVISIONSERVER.Corp.Example.", "corp.example.", Yes},
		{"9.0", "corp.example", "corp.example", Yes},
		{"9.0", "scs.corp.com", "oslo.corp.com", Yes},
		{"3.2.1", "scs.corp.com", "oslo.corp.com", Yes},
		{"3.2.0", "scs.corp.com", "oslo.corp.com", Unsure},
		{"2.6", "scs.corp.com", "oslo.corp.com", Yes},
		{"2.6", "scs.corp.org", "oslo.corp.org", Unsure},
		{"2.2", "scs.corp.com", "oslo.corp.com", No},
		{"", "scs.corp.com", "oslo.corp.com", Unsure},
		{"9.0", "scs.corp.example", "oslo.corp.example", Unsure},
		{"9.0", "scs.corp.example", "corp.test", No},
		{"9.0", "scs.corp.example", "", No},
		{"9.0", "scs", "corp.example", No},
	} {
		if got := SuffixFits(version(t, c.version), c.name, c.suffix); got != c.want {
			t.Errorf("%s for %s, AMT %q: %v, want %v", c.name, c.suffix, c.version, got, c.want)
		}
	}
}

// peer finds a program that we did not write.
func peer(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("%s is missing: nothing was tried with it", name)
	}
	return p
}

func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(peer(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func save(t *testing.T, dir, name string, b []byte) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// The chain that Make makes is one that OpenSSL verifies, with the usages that the contract names.
func TestMadeChainIsAChainToOpenSSL(t *testing.T) {
	dir := t.TempDir()
	m, b := made(t, Spec{Intermediate: true, Bits: 2048})
	pem := save(t, dir, "provisioning.pem", b)
	root := save(t, dir, "root.pem", m.RootPEM())
	out := tool(t, "openssl", "verify", "-attime", "1795428000", "-purpose", "sslserver", "-CAfile", root, "-untrusted", pem, pem)
	if !strings.Contains(out, "OK") {
		t.Errorf("openssl verify: %s", out)
	}
	text := tool(t, "openssl", "x509", "-in", pem, "-noout", "-text")
	for _, want := range []string{"CN = provisionserver.corp.example", "2.16.840.1.113741.1.2.3", "TLS Web Server Authentication", "sha256WithRSAEncryption", "2048 bit"} {
		if !strings.Contains(text, want) {
			t.Errorf("openssl does not see %q", want)
		}
	}
	digest := strings.ToLower(strings.ReplaceAll(tool(t, "openssl", "x509", "-in", root, "-noout", "-fingerprint", "-sha256"), ":", ""))
	if r := Judge(read(t, b), Question{Now: now}); !strings.Contains(digest, r.RootSHA256()) || r.RootSHA256() == "" {
		t.Errorf("root %s, openssl says %s", r.RootSHA256(), digest)
	}
}

// PFX files as OpenSSL makes them, today's and those of its old versions and of Windows.
func TestPFX(t *testing.T) {
	dir := t.TempDir()
	_, b := made(t, Spec{Intermediate: true})
	pem := save(t, dir, "provisioning.pem", b)
	for name, args := range map[string][]string{"modern": nil, "legacy": {"-legacy"}, "3des": {"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"}} {
		t.Run(name, func(t *testing.T) {
			pfx := filepath.Join(dir, name+".pfx")
			tool(t, "openssl", append([]string{"pkcs12", "-export", "-in", pem, "-out", pfx, "-passout", "pass:sesame"}, args...)...)
			raw, err := os.ReadFile(pfx)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Read(raw, amt.NewSecret("sesame"))
			if err != nil {
				t.Fatal(err)
			}
			if r := Judge(f, Question{Now: now}); f.Form != "PFX" || len(r.Problems) > 0 || len(r.Chain.Certificates) != 3 {
				t.Errorf("%s: %v, %d certificates", f.Form, r.Problems, len(r.Chain.Certificates))
			}
			if _, err := Read(raw, amt.NewSecret("simsim")); !errors.Is(err, ErrPassword) {
				t.Errorf("wrong password: %v", err)
			}
			if _, err := Read(raw[:len(raw)/2], amt.NewSecret("sesame")); err == nil || errors.Is(err, ErrPassword) {
				t.Errorf("half a file: %v", err)
			}
		})
	}
}

// Chains with SHA-1 and small keys, as old authorities made them.
func TestOldChain(t *testing.T) {
	dir := t.TempDir()
	p := func(name string) string { return filepath.Join(dir, name) }
	tool(t, "openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-sha1", "-days", "3650", "-subj", "/CN=old root", "-keyout", p("root.key"), "-out", p("root.pem"))
	tool(t, "openssl", "req", "-newkey", "rsa:1024", "-nodes", "-subj", "/OU="+SetupUnit+"/CN=scs.corp.example", "-keyout", p("leaf.key"), "-out", p("leaf.csr"))
	tool(t, "openssl", "x509", "-req", "-sha1", "-days", "365", "-in", p("leaf.csr"), "-CA", p("root.pem"), "-CAkey", p("root.key"), "-CAcreateserial", "-out", p("leaf.pem"))
	var all []byte
	for _, n := range []string{"leaf.key", "leaf.pem", "root.pem"} {
		b, err := os.ReadFile(p(n))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	for v, want := range map[string]string{"3.2.1": "", "14.0": "", "16.0": "key-size signature-hash key-size signature-hash"} {
		r := Judge(read(t, all), Question{Now: time.Now(), Version: version(t, v), Suffix: "corp.example"})
		if got := strings.Join(amt.Codes(r.Problems), " "); got != want {
			t.Errorf("AMT %s: %q, want %q", v, got, want)
		}
	}
}

func TestPinned(t *testing.T) {
	c := ClientConfig(tls.Certificate{})
	a, b := [][]byte{[]byte("one")}, [][]byte{[]byte("two")}
	if err := errors.Join(c.VerifyPeerCertificate(a, nil), c.VerifyPeerCertificate(a, nil)); err != nil {
		t.Error(err)
	}
	if c.VerifyPeerCertificate(b, nil) == nil || c.VerifyPeerCertificate(nil, nil) == nil {
		t.Error("another certificate, or none, is taken")
	}
}

func FuzzRead(f *testing.F) {
	m, b := made(f, Spec{})
	f.Add(b)
	f.Add(m.Root.Raw)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if file, err := Read(b, amt.NewSecret("x")); err == nil {
			Judge(file, Question{Now: now, Suffix: "corp.example"})
			_, _ = file.Identity()
		}
	})
}

func TestIdentity(t *testing.T) {
	_, b := made(t, Spec{Intermediate: true})
	id, err := read(t, b).Identity()
	if err != nil || len(id.Certificate) != 3 {
		t.Fatalf("%d certificates, %v", len(id.Certificate), err)
	}
	root, err := x509.ParseCertificate(id.Certificate[2])
	if err != nil || !bytes.Equal(root.RawIssuer, root.RawSubject) {
		t.Errorf("the last one is no root, %v", err)
	}
	if _, err := read(t, b[bytes.Index(b, []byte("-----BEGIN CERT")):]).Identity(); err == nil {
		t.Error("an identity without key")
	}
}

// A file that would keep the program busy is refused at once, whatever its password is.
func TestTooManyRounds(t *testing.T) {
	kdf, err := asn1.Marshal(struct {
		Salt   []byte
		Rounds int
	}{make([]byte, 8), maxRounds + 1})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := asn1.Marshal(struct {
		Version int
		Safe    []byte
	}{3, kdf})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Read(whole, amt.NewSecret("x")); err == nil || !strings.Contains(err.Error(), "rounds") {
		t.Errorf("%v", err)
	}
}
