package device_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/device"
	"amtmedic/amt/hello"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/sim/fleet"
	"amtmedic/amt/tlspsk"
)

const suffix = "corp.example"

// authority is a root with keys for everything that a test signs. It is made once: RSA keys take long.
type authority struct {
	root *x509.Certificate
	key  *rsa.PrivateKey
	prov tls.Certificate // provisioning certificate with its root
}

var newAuthority = sync.OnceValue(func() *authority {
	a := &authority{}
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var err error
	a.key, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test root"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(1000 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, root, root, a.key.Public(), a.key)
	must(err)
	a.root, err = x509.ParseCertificate(der)
	must(err)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	leaf, err := a.sign(key.Public(), "provisionserver."+suffix, asn1.ObjectIdentifier{2, 16, 840, 1, 113741, 1, 2, 3})
	must(err)
	a.prov = tls.Certificate{Certificate: [][]byte{leaf, der}, PrivateKey: key}
	return a
})

// sign makes a server certificate, with a further usage when oid names one.
func (a *authority) sign(key crypto.PublicKey, name string, oid asn1.ObjectIdentifier) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<40))
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(1000 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if oid != nil {
		c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oid}
	}
	return x509.CreateCertificate(rand.Reader, c, a.root, key, a.key)
}

// legacy is what firmware of all years speaks with certificates (crypto/tls must be told).
func legacy() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}}
}

// bench is one simulated client and the server's side of its setup.
type bench struct {
	t      testing.TB
	method amt.Method
	client *fleet.Client
	hellos chan hello.Message
	asked  []string // operations, of all sessions

	quick bool // short limits for sessions
	last  *device.Session
}

// simulate starts a client that says hello to us.
func simulate(t testing.TB, method amt.Method, version string, faults ...string) *bench {
	t.Helper()
	v, err := amt.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, method: method, hellos: make(chan hello.Message, 100)}
	c := fleet.Config{Count: 1, Method: method, Version: v, Stage: engine.In, First: netip.MustParseAddr("127.0.0.1"), To: b.listen(), Suffix: suffix, Fast: true, AnyPort: true}
	if method == amt.PKI {
		c.Roots = []*x509.Certificate{newAuthority().root}
	}
	for _, text := range faults {
		f, err := fleet.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		c.Faults = append(c.Faults, f)
	}
	f, err := fleet.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := f.Run(ctx, true); err != nil {
			t.Errorf("simulated client: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-over })
	b.client = f.Clients()[0]
	return b
}

// listen takes hellos.
func (b *bench) listen() netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			data, _ := io.ReadAll(io.LimitReader(c, 4096))
			_ = c.Close()
			if m, err := hello.Decode(data); err == nil {
				select {
				case b.hellos <- m:
				default:
				}
			}
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// open opens the client's port of the moment: simulated ones are chosen by the system.
func (b *bench) open(secure bool, o device.Options) *device.Session {
	o.Address = "client:16992"
	if secure {
		o.Address = "client:16993"
	}
	o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		plain, tls, _ := b.client.Ports()
		if secure {
			plain = tls
		}
		if !plain.IsValid() {
			return nil, errors.New("the port is closed")
		}
		return (&net.Dialer{}).DialContext(ctx, network, plain.String())
	}
	if b.quick {
		o.CallTime = 1500 * time.Millisecond
	}
	o.OnExchange = func(e device.Exchange) { b.asked = append(b.asked, fmt.Sprintf("%s %d", e.Op, e.Status)) }
	s := device.Open(o)
	b.last = s
	b.t.Cleanup(func() {
		_ = s.Close()
	})
	return s
}

// setup opens the session that a hello asks for.
func (b *bench) setup(m hello.Message) *device.Session {
	o := device.Options{}
	if b.method == amt.PSK {
		if m.PID != b.client.Pair.PID {
			b.t.Fatalf("hello with PID %s, not %s", m.PID, b.client.Pair.PID)
		}
		id, key := tlspsk.PlainPair(string(m.PID), b.client.Pair.PPS.Reveal())
		o.PSK = &tlspsk.Config{Identity: id, Key: func(string) ([]byte, bool) { return key, true }}
	} else {
		o.TLS = cert.ClientConfig(newAuthority().prov)
	}
	return b.open(true, o)
}

// settings are those of a profile with everything.
func (b *bench) settings(m hello.Message, withTLS bool) device.Settings {
	a := newAuthority()
	s := device.Settings{
		UUID: m.UUID, Known: []device.Login{{User: "admin", Password: b.client.Password}}, Hours: 6,
		Names: device.Names{Host: "pc-0815", Domain: suffix}, Admin: device.Login{User: "admin", Password: amt.NewSecret("N3w-Passw0rd!")},
		Users:  []device.User{{Name: "tech", Password: amt.NewSecret("T3ch-Passw0rd"), Access: device.AnyAccess, Realms: []int{2, 5}}},
		Settle: 20 * time.Second,
	}
	if b.method == amt.PKI {
		s.MEBx = amt.NewSecret("M3bx-Passw0rd!")
	}
	if withTLS {
		s.TLS = &device.TLS{On: true, Root: a.root, Name: s.Names.FQDN(), Sign: func(_ context.Context, key crypto.PublicKey) ([]byte, error) {
			return a.sign(key, s.Names.FQDN(), nil)
		}}
	}
	s.ReopenTLS = func(logins ...device.Login) device.Device {
		if withTLS {
			return s.Reopen(logins...)
		}
		return device.NewWSMan(b.open(true, device.Options{Logins: logins, TLS: legacy()}))
	}
	s.Reopen = func(logins ...device.Login) device.Device {
		o := device.Options{Logins: logins}
		if withTLS {
			o.TLS = legacy()
			o.TLS.InsecureSkipVerify, o.TLS.ServerName, o.TLS.RootCAs = false, s.Names.FQDN(), x509.NewCertPool()
			o.TLS.RootCAs.AddCert(a.root)
		}
		return device.NewWSMan(b.open(withTLS, o))
	}
	return s
}

// notes is a Progress in memory.
type notes struct {
	done, before []string
}

func (n *notes) Finished(step string) bool { return slices.Contains(n.done, step) }

func (n *notes) Before(_ context.Context, step string) error {
	n.before = append(n.before, step)
	return nil
}

func (n *notes) Done(_ context.Context, step string) error {
	n.done = append(n.done, step)
	return nil
}

func (b *bench) first() hello.Message {
	select {
	case m := <-b.hellos:
		return m
	case <-time.After(30 * time.Second):
		b.t.Fatal("no hello")
	}
	return hello.Message{}
}

func context30(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Simulated clients of both methods, from hello to verified.
func TestConfiguresSimulatedClients(t *testing.T) {
	cases := map[string]struct {
		method  amt.Method
		version string
		tls     bool
	}{
		"psk 3.2.1":       {amt.PSK, "3.2.1", false},
		"psk 3.2.1, TLS":  {amt.PSK, "3.2.1", true},
		"pki 3.0.0":       {amt.PKI, "3.0.0", false},
		"pki 9.0.0":       {amt.PKI, "9.0.0", false},
		"pki 9.0.0, TLS":  {amt.PKI, "9.0.0", true},
		"pki 16.0.0":      {amt.PKI, "16.0.0", false},
		"pki 16.0.0, TLS": {amt.PKI, "16.0.0", true},
		"pki 16.1.0":      {amt.PKI, "16.1.0", false}, // has no port without TLS
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := simulate(t, c.method, c.version)
			m := b.first()
			if m.UUID != b.client.UUID {
				t.Fatalf("hello of %s", m.UUID)
			}
			session := b.setup(m)
			p := &notes{}
			r, err := device.Configure(context30(t), device.NewWSMan(session), b.settings(m, c.tls), p)
			if err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(b.asked, "\n"))
			}
			if r.Identity.UUID != b.client.UUID || r.Identity.Version.String() != c.version || r.Commit != device.Committed || r.Login.Password.Reveal() != "N3w-Passw0rd!" {
				t.Errorf("%+v", r)
			}
			if !p.Finished(device.StepVerify) || b.client.Line().State != engine.Post {
				t.Errorf("steps %v, state %s", p.done, b.client.Line().State)
			}
			t.Logf("%d exchanges, %d bytes out, %d in; %+v; notes %q", len(b.asked), session.Stats().Sent, session.Stats().Received, session.Security(), r.Notes)
		})
	}
}
