package ca

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// keys are made once: RSA takes long.
var keys = sync.OnceValue(func() []*rsa.PrivateKey {
	var out []*rsa.PrivateKey
	for range 4 {
		k, err := rsa.GenerateKey(rand.Reader, keyBits)
		if err != nil {
			panic(err)
		}
		out = append(out, k)
	}
	return out
})

// bench is a CA on a new database whose clock stands still.
type bench struct {
	*CA
	st  *store.Store
	now time.Time
	n   int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{now: time.Now()}
	var err error
	if b.st, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "core.db"), store.Options{Now: func() time.Time { return b.now }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.st.Close() })
	b.CA = b.again()
	return b
}

// again is the CA as another process has it.
func (b *bench) again() *CA {
	return New(b.st, Options{Now: func() time.Time { return b.now }, NewKey: func() (*rsa.PrivateKey, error) {
		b.n++
		return keys()[b.n%3], nil
	}})
}

func (b *bench) own(t *testing.T) *Authority {
	t.Helper()
	a, err := b.Authority(t.Context(), Own)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var u1 = amt.UUID{1}

func (b *bench) client(t *testing.T, a *Authority, days int) *x509.Certificate {
	t.Helper()
	x, err := b.Client(t.Context(), a, u1, "pc1.corp.example", &keys()[3].PublicKey, days)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// openssl runs that program, which we did not write.
func openssl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	bin, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is missing")
		}
		t.Skip("openssl is missing: nobody else judged the certificates")
	}
	out, err := exec.Command(bin, args...).CombinedOutput()
	return string(out), err
}

func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOwnAuthority(t *testing.T) {
	b := newBench(t)
	if _, err := b.Find(t.Context(), Own); !errors.Is(err, ErrNone) {
		t.Errorf("before it was made: %v", err)
	}
	a := b.own(t)
	if again := b.own(t); again.ID != a.ID {
		t.Errorf("a second authority was made: %d, %d", a.ID, again.ID)
	}
	other, err := b.again().Authority(t.Context(), Own)
	if err != nil || !other.Certificate.Equal(a.Certificate) {
		t.Errorf("another process has another authority: %v", err)
	}
	if _, err := b.Authority(t.Context(), External); !errors.Is(err, ErrNone) {
		t.Errorf("external: %v", err)
	}
	leaf := b.client(t, a, 30)
	root, cert := file(t, "root.pem", a.RootPEM()), file(t, "leaf.pem", encode(leaf))
	if out, err := openssl(t, "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "pc1.corp.example", "-CAfile", root, cert); err != nil {
		t.Errorf("openssl: %s", out)
	}
	if out, err := openssl(t, "verify", "-purpose", "sslserver", "-verify_hostname", "pc2.corp.example", "-CAfile", root, cert); err == nil {
		t.Errorf("openssl takes it for another name: %s", out)
	}
	if d := leaf.NotAfter.Sub(b.now).Round(time.Hour); d != 30*day {
		t.Errorf("valid for %v", d)
	}
}

// A session that goes on gets the certificate that the earlier one was given; another key, name or a
// certificate that runs out gives a new one.
func TestSameCertificateAgain(t *testing.T) {
	b := newBench(t)
	a := b.own(t)
	first := b.client(t, a, 80)
	if again := b.client(t, a, 80); !again.Equal(first) {
		t.Error("another certificate for the same key")
	}
	for name, ask := range map[string]func() (*x509.Certificate, error){
		"key": func() (*x509.Certificate, error) {
			return b.Client(t.Context(), a, u1, "pc1.corp.example", &keys()[2].PublicKey, 80)
		},
		"name": func() (*x509.Certificate, error) {
			return b.Client(t.Context(), a, u1, "pc9.corp.example", &keys()[3].PublicKey, 80)
		},
		"client": func() (*x509.Certificate, error) {
			return b.Client(t.Context(), a, amt.UUID{2}, "pc1.corp.example", &keys()[3].PublicKey, 80)
		},
		"time": func() (*x509.Certificate, error) {
			b.now = b.now.Add(15 * day)
			return b.Client(t.Context(), a, u1, "pc1.corp.example", &keys()[3].PublicKey, 80)
		},
	} {
		if x, err := ask(); err != nil || x.Equal(first) {
			t.Errorf("another %s: the same certificate, %v", name, err)
		}
	}
	if x, err := b.Client(t.Context(), a, u1, "pc1.corp.example", &keys()[3].PublicKey, 100000); err != nil || x.NotAfter.After(a.Certificate.NotAfter) {
		t.Errorf("it outlives its authority: %v", err)
	}
	b.now = b.now.Add(rootLife)
	if _, err := b.Client(t.Context(), a, u1, "pc1.corp.example", &keys()[3].PublicKey, 10); err == nil {
		t.Error("an authority that is over has signed")
	}
}

func TestRevocationList(t *testing.T) {
	b := newBench(t)
	a := b.own(t)
	old := b.client(t, a, 80)
	b.now = b.now.Add(40 * day)
	shown := b.client(t, a, 80)
	if due, err := b.Due(t.Context(), b.now.Add(81*day)); err != nil || len(due) != 1 || due[0].Serial != Serial(shown) {
		t.Errorf("due: %+v, %v", due, err)
	}
	if due, err := b.Due(t.Context(), b.now.Add(79*day)); err != nil || len(due) != 0 {
		t.Errorf("due too early: %+v, %v", due, err)
	}
	if n, err := b.Supersede(t.Context(), u1, shown); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	standing, err := b.Standing(t.Context(), u1)
	if err != nil {
		t.Fatal(err)
	}
	for x, want := range map[*x509.Certificate]bool{old: false, shown: true, a.Certificate: false} {
		if good, leaked := standing(x); good != want || leaked {
			t.Errorf("%s counts: %v, its key is known to others: %v", Serial(x), good, leaked)
		}
	}
	var numbers []string
	for range 2 {
		der, err := b.CRL(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil || list.CheckSignatureFrom(a.Certificate) != nil || len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].ReasonCode != Superseded {
			t.Fatalf("%+v, %v", list, err)
		}
		numbers = append(numbers, list.Number.String())
	}
	if numbers[0] != "1" || numbers[1] != "2" {
		t.Errorf("numbers %v", numbers)
	}
	der, err := b.CRL(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	root, crl := file(t, "root.pem", a.RootPEM()), file(t, "crl.pem", CRLPEM(der))
	seconds := b.now.Add(time.Minute).Unix()
	for name, c := range map[string]struct {
		x    *x509.Certificate
		good bool
	}{"shown": {shown, true}, "superseded": {old, false}} {
		out, err := openssl(t, "verify", "-attime", strconv.FormatInt(seconds, 10), "-crl_check", "-CRLfile", crl, "-CAfile", root, file(t, "x.pem", encode(c.x)))
		if (err == nil) != c.good || !c.good && !strings.Contains(out, "revoked") {
			t.Errorf("%s: openssl says %s", name, out)
		}
	}
	if n, err := b.Retire(t.Context(), u1); n != 1 || err != nil {
		t.Errorf("retire: %d, %v", n, err)
	}
	b.now = b.now.Add(100 * day)
	if der, err = b.CRL(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if list, err := x509.ParseRevocationList(der); err != nil || len(list.RevokedCertificateEntries) != 0 {
		t.Errorf("what is over by itself stands in the list: %v", err)
	}
}

// A company's authority, played by openssl, signs the request; what is signed then verifies.
func TestExternalAuthority(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if out, err := openssl(t, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path("corp.key"), "-out", path("corp.pem"), "-days", "3650", "-subj", "/O=Corp/CN=Corp Root", "-addext", "keyUsage=critical,keyCertSign,cRLSign"); err != nil {
		t.Fatal(out)
	}
	csr, err := b.Request(t.Context(), "Corp AMT management", "Corp")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("req.pem"), csr, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := openssl(t, "req", "-in", path("req.pem"), "-verify", "-noout", "-text"); err != nil || !strings.Contains(out, "CA:TRUE, pathlen:0") || !strings.Contains(out, "Certificate Sign, CRL Sign") || !strings.Contains(out, "Corp AMT management") {
		t.Fatalf("the request: %s", out)
	}
	signed := func(name string, more ...string) []byte {
		out, err := openssl(t, append([]string{"x509", "-req", "-in", path("req.pem"), "-CA", path("corp.pem"), "-CAkey", path("corp.key"), "-CAcreateserial", "-days", "1000", "-out", path(name)}, more...)...)
		if err != nil {
			t.Fatal(out)
		}
		raw, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	good, plain := signed("sub.pem", "-copy_extensions", "copy"), signed("plain.pem")
	root, err := os.ReadFile(path("corp.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"nothing": nil, "no root": good, "no authority": append(bytes.Clone(plain), root...), "root alone": root} {
		if _, err := b.Import(t.Context(), file); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	a, err := b.Import(t.Context(), append(bytes.Clone(root), good...)) // in the wrong order
	if err != nil {
		t.Fatal(err)
	}
	if found, err := b.again().Authority(t.Context(), External); err != nil || found.ID != a.ID || !bytes.Equal(found.RootPEM(), root) {
		t.Errorf("%+v, %v", found, err)
	}
	leaf := b.client(t, a, 90)
	b.now = time.Now() // not before the moment of openssl's signature
	der, err := b.CRL(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := openssl(t, "verify", "-x509_strict", "-purpose", "sslserver", "-crl_check", "-CRLfile", file(t, "crl.pem", CRLPEM(der)), "-CAfile", path("corp.pem"), "-untrusted", path("sub.pem"), file(t, "leaf.pem", encode(leaf))); err != nil {
		t.Errorf("openssl: %s", out)
	}
	if x, err := b.Of(t.Context(), leaf); err != nil || x == nil || x.ID != a.ID {
		t.Errorf("%+v, %v", x, err)
	}
	m, err := b.Manager(t.Context(), a)
	if err != nil || len(m.Certificate) != 3 {
		t.Errorf("%d certificates, %v", len(m.Certificate), err)
	}
}

// A manager and a client of ours find each other good, others not.
func TestManagerAndClientTLS(t *testing.T) {
	b := newBench(t)
	a := b.own(t)
	leaf := b.client(t, a, 30)
	m, err := b.Manager(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.again().Manager(t.Context(), a); err != nil || !again.Leaf.Equal(m.Leaf) {
		t.Errorf("another process has another manager: %v", err)
	}
	if out, err := openssl(t, "verify", "-purpose", "sslclient", "-CAfile", file(t, "root.pem", a.RootPEM()), file(t, "m.pem", encode(m.Leaf))); err != nil {
		t.Errorf("openssl: %s", out)
	}
	stranger := newBench(t)
	stranger.n = 1 // another key
	theirs := stranger.client(t, stranger.own(t), 30)
	pool := x509.NewCertPool()
	pool.AddCert(a.Root())
	for name, c := range map[string]struct {
		shown *x509.Certificate
		asked string
		good  bool
	}{"ours": {leaf, "pc1.corp.example", true}, "another name": {leaf, "pc2.corp.example", false}, "of strangers": {theirs, "pc1.corp.example", false}} {
		cfg, err := b.ClientTLS(t.Context(), c.asked, m)
		if err != nil {
			t.Fatal(err)
		}
		server := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MaxVersion: tls.VersionTLS12,
			Certificates: []tls.Certificate{{Certificate: [][]byte{c.shown.Raw}, PrivateKey: keys()[3]}}}
		if err := shake(t, cfg, server); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.now = b.now.Add(managerLife - managerKeep + time.Hour)
	if next, err := b.Manager(t.Context(), a); err != nil || next.Leaf.Equal(m.Leaf) {
		t.Errorf("the manager's certificate was not renewed: %v", err)
	} else if ok, err := b.st.RevokeCertificate(t.Context(), Serial(next.Leaf), KeyCompromise); !ok || err != nil {
		t.Error(ok, err)
	} else if after, err := b.Manager(t.Context(), a); err != nil || after.Leaf.Equal(next.Leaf) {
		t.Errorf("a revoked certificate of the manager is shown: %v", err)
	}
}

func shake(t *testing.T, client, server *tls.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = c.Close() }()
		done <- tls.Server(c, server).HandshakeContext(ctx)
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	err = tls.Client(c, client).HandshakeContext(ctx)
	if err != nil {
		_ = c.Close()
	}
	return errors.Join(err, <-done)
}

func TestKeysAreSealed(t *testing.T) {
	b := newBench(t)
	a := b.own(t)
	if _, err := b.Manager(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if err := b.st.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(b.st.Path())
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(keys()[1])
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("PRIVATE KEY")) || bytes.Contains(raw, der[40:80]) || bytes.Contains(raw, pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: der})[20:60]) {
		t.Error("the database file holds a private key in clear")
	}
	if !bytes.Contains(raw, []byte("BEGIN CERTIFICATE")) {
		t.Error("the database file does not hold what was looked for it in")
	}
}
