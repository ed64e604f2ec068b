package front

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	mathrand "math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// desk is a host for tests: it knows admin, answers 200 to who is let in, and restarts on /restart.
type desk struct {
	trusting bool // takes everybody, as if a log-in had come before
	mu       sync.Mutex
	view     View
	realm    string
	password string
	requests []Request
}

func (d *desk) View() View {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.view
}

func (d *desk) set(fn func(*View)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fn(&d.view)
}

func (d *desk) Answer(r Request) Reply {
	d.mu.Lock()
	d.requests = append(d.requests, r)
	d.mu.Unlock()
	html := map[string]string{"Content-Type": "text/html"}
	switch {
	case r.Path == "/":
		return Reply{Status: 303, Header: map[string]string{"Location": "/logon.htm"}}
	case r.User == "" && !r.Certificate && !d.trusting:
		return Reply{Status: 401}
	case r.Path == "/restart":
		return Reply{Status: 200, Header: html, Body: []byte("restarting"), Then: Restart}
	case r.Path == "/before":
		return Reply{Then: DropBefore}
	case r.Path == "/after":
		return Reply{Status: 200, Header: html, Body: []byte("the last words"), Then: DropAfter}
	case r.Path == "/wsman":
		return Reply{Status: 200, Header: html, Body: append([]byte("you said "), r.Body...)}
	}
	return Reply{Status: 404, Header: html, Body: []byte("nothing here")}
}

func (d *desk) Digest(user string) (string, bool) {
	sum := md5.Sum([]byte(user + ":" + d.realm + ":" + d.password))
	return hex.EncodeToString(sum[:]), user == "admin"
}

func (d *desk) Realm() string { return d.realm }

// bench is a running server with one client.
type bench struct {
	*Client
	desk *desk
	uuid amt.UUID

	mu     sync.Mutex
	events []Event
	fault  map[Step]Fault
}

func version(t testing.TB, s string) amt.Version {
	t.Helper()
	v, err := amt.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func start(t *testing.T, amtVersion string, v View) *bench {
	t.Helper()
	return startAt(t, amtVersion, v, Options{AnyPort: true})
}

func startAt(t *testing.T, amtVersion string, v View, o Options) *bench {
	t.Helper()
	return startDesk(t, amtVersion, o, &desk{view: v, realm: "Digest:4C4C4544", password: "P@ssw0rd1"})
}

func startDesk(t *testing.T, amtVersion string, o Options, d *desk) *bench {
	t.Helper()
	b := &bench{desk: d, uuid: amt.UUID{0x4c, 0x4c, 1}, fault: map[Step]Fault{}}
	if b.desk.view.Now.IsZero() {
		b.desk.view.Now = time.Now()
	}
	o.Saw, o.Fault = b.saw, b.faultAt
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	at := netip.MustParseAddr("127.0.0.1")
	if !o.AnyPort { // the real ports, at an address that no other test has
		at = netip.AddrFrom4([4]byte{127, byte(10 + mathrand.IntN(100)), byte(mathrand.IntN(250)), 9})
	}
	if b.Client, err = s.Add(at, b.uuid, version(t, amtVersion), b.desk); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) saw(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

func (b *bench) faultAt(at Step) Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fault[at]
}

// refused gives the reason of the last refusal.
func (b *bench) refused() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.events) - 1; i >= 0; i-- {
		if b.events[i].Err != nil {
			return b.events[i].Err.Error()
		}
	}
	return ""
}

// program finds a foreign program; without it the test is skipped, or fails in CI.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: %v", name, err)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// run starts a foreign program with input and gives all that it said. Its exit code says nothing.
func run(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, name), args...)
	if input != "" {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Close() }()
		if _, err := w.WriteString(input); err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = r // stays open: an end would make the program leave before the answer
	}
	out, _ := cmd.CombinedOutput()
	return string(out)
}

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func template(name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), SignatureAlgorithm: x509.SHA256WithRSA}
}

func sign(t testing.TB, c, parent *x509.Certificate, key *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, testKey())
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// chain makes leaf, intermediate and root; edit changes the leaf first.
func chain(t testing.TB, name string, edit func(leaf *x509.Certificate)) []*x509.Certificate {
	t.Helper()
	ca := func(name string) *x509.Certificate {
		c := template(name)
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		return c
	}
	r := ca("Practice Root")
	root := sign(t, r, r, testKey())
	middle := sign(t, ca("Practice CA"), root, testKey())
	l := template(name)
	l.ExtKeyUsage, l.UnknownExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []asn1.ObjectIdentifier{setupUsage()}
	if edit != nil {
		edit(l)
	}
	return []*x509.Certificate{sign(t, l, middle, testKey()), middle, root}
}

func hashOf(c *x509.Certificate) []hello.Hash {
	sum := sha256.Sum256(c.Raw)
	return []hello.Hash{{Algorithm: hello.SHA256, Digest: sum[:]}}
}

// pemFiles writes leaf, rest of the chain and key.
func pemFiles(t *testing.T, certs []*x509.Certificate) (leaf, rest, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, ders ...[]byte) string {
		var b []byte
		for _, der := range ders {
			b = append(b, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var others [][]byte
	for _, c := range certs[1:] {
		others = append(others, c.Raw)
	}
	return write("leaf.pem", "CERTIFICATE", certs[0].Raw), write("rest.pem", "CERTIFICATE", others...),
		write("key.pem", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(testKey()))
}
