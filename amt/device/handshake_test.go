package device

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"amtmedic/amt/tlspsk"
)

const (
	testPID = "4KRG65QT"
	testPPS = "ABCDEFGH12345678JKLMNPQR98765432"
)

func pair(pps string, suites ...uint16) *tlspsk.Config {
	return &tlspsk.Config{Identity: testPID, Suites: suites, Key: func(string) ([]byte, bool) { return []byte(pps), true }}
}

// openssl starts OpenSSL's test server and gives its address.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	bin, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("openssl is not installed")
	}
	for range 5 {
		address := "127.0.0.1:" + freePort(t)
		if startPeer(t, address, bin, append([]string{"s_server", "-accept", address, "-quiet"}, args...)...) {
			return address
		}
	}
	t.Fatal("openssl s_server does not start")
	return ""
}

// Each way in which a stranger's server ends a TLS-PSK handshake has its kind.
func TestPSKFaultsAtOpenSSL(t *testing.T) {
	key := func(cipher string, args ...string) []string {
		return append([]string{"-nocert", "-psk_identity", testPID, "-psk", hex.EncodeToString([]byte(testPPS)), "-cipher", cipher + ":@SECLEVEL=0"}, args...)
	}
	cases := map[string]struct {
		server []string
		client *tlspsk.Config
		kind   Kind
	}{
		"wrong PPS":       {key("PSK-AES128-CBC-SHA", "-tls1"), pair("WRONGFGH12345678JKLMNPQR98765432"), KindKey},
		"wrong PPS, 1.2":  {key("PSK-AES128-CBC-SHA", "-tls1_2"), pair("WRONGFGH12345678JKLMNPQR98765432"), KindKey},
		"unknown PID":     {[]string{"-nocert", "-psk_identity", "OTHERPID", "-psk", "00", "-cipher", "PSK-AES128-CBC-SHA:@SECLEVEL=0", "-tls1"}, pair(testPPS), KindKey},
		"no common suite": {key("PSK-AES256-CBC-SHA", "-tls1"), pair(testPPS, tlspsk.Suite3DESSHA), KindSuite},
		"too new a client": {key("PSK-AES128-CBC-SHA", "-tls1"),
			&tlspsk.Config{Identity: testPID, Key: pair(testPPS).Key, MinVersion: tlspsk.VersionTLS12}, KindVersion},
		"too new a server": {key("PSK-AES128-CBC-SHA", "-tls1_2"),
			&tlspsk.Config{Identity: testPID, Key: pair(testPPS).Key, MaxVersion: tlspsk.VersionTLS11}, KindVersion},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			sess := open(t, Options{Address: openssl(t, c.server...), PSK: c.client})
			_, err := NewWSMan(sess).State(testContext(t))
			if KindOf(err) != c.kind || AfterSend(err) {
				t.Errorf("kind %s, want %s: %v", KindOf(err), c.kind, err)
			}
			if c.kind == KindKey && sess.Stats().Connections != 1 {
				t.Errorf("%d attempts with a wrong pair", sess.Stats().Connections)
			}
		})
	}
}

func TestPSKFaultsOfOthers(t *testing.T) {
	cases := map[string]struct {
		serve func(*peer)
		kind  Kind
	}{
		"tells that the PID is unknown": {func(p *peer) {
			_ = tlspsk.Server(p.TCPConn, &tlspsk.Config{TellUnknown: true, Key: func(string) ([]byte, bool) { return nil, false }}).Handshake()
		}, KindPID},
		"closes at the hello": {func(p *peer) { _, _ = p.in.Peek(40); _, _ = io.CopyN(io.Discard, p.in, int64(p.in.Buffered())) }, KindReset},
		"resets at the hello": {func(p *peer) { _, _ = p.in.Peek(40); p.reset() }, KindReset},
		"speaks HTTP":         {func(p *peer) { _, _ = p.in.Peek(40); p.say("HTTP/1.1 400 Bad Request\r\n\r\n") }, KindTLS},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, c.serve)
			_, err := NewWSMan(open(t, Options{Address: s.Addr().String(), PSK: pair(testPPS)})).State(testContext(t))
			if KindOf(err) != c.kind || AfterSend(err) {
				t.Errorf("kind %s, want %s: %v", KindOf(err), c.kind, err)
			}
			if e := (*Error)(nil); errors.As(err, &e) && c.kind == KindTLS && !bytes.HasPrefix(e.Evidence, []byte("HTTP/1.1")) {
				t.Errorf("evidence %q", e.Evidence)
			}
		})
	}
}

// certificate makes a self-signed one.
func certificate(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// files writes a certificate and its key for OpenSSL.
func files(t *testing.T, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "EC PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// Each way in which a handshake with certificates ends at a stranger's server has its kind.
func TestCertificateFaultsAtOpenSSL(t *testing.T) {
	device, ours, other := certificate(t, "device"), certificate(t, "ours"), certificate(t, "other")
	cert, key := files(t, device)
	otherFile, _ := files(t, other)
	server := func(args ...string) []string { return append([]string{"-cert", cert, "-key", key}, args...) }
	any12 := func(certs ...tls.Certificate) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, Certificates: certs}
	}
	always := any12()
	always.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &ours, nil }
	cases := map[string]struct {
		server []string
		client *tls.Config
		kind   Kind
	}{
		"our certificate is of a stranger": {server("-Verify", "2", "-verify_return_error", "-CAfile", otherFile, "-tls1_2"), always, KindCertificate},
		"it wants one and we have none":    {server("-Verify", "2", "-verify_return_error", "-CAfile", otherFile, "-tls1_2"), any12(), KindCertificate},
		"we do not trust it":               {server(), &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "device"}, KindPeer},
		"it has another name":              {server(), &tls.Config{RootCAs: pool(device), ServerName: "somebody"}, KindPeer},
		"it is too new":                    {server("-tls1_3"), any12(), KindVersion},
		"it is too old":                    {server("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, KindVersion},
		"no common suite": {server("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"),
			&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, KindSuite},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := NewWSMan(open(t, Options{Address: openssl(t, c.server...), TLS: c.client})).State(testContext(t))
			if KindOf(err) != c.kind || AfterSend(err) {
				t.Errorf("kind %s, want %s: %v", KindOf(err), c.kind, err)
			}
		})
	}
}

func pool(c tls.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	cert, _ := x509.ParseCertificate(c.Certificate[0])
	p.AddCert(cert)
	return p
}

// peeked is a connection some of whose bytes were read already.
type peeked struct {
	*net.TCPConn
	in io.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.in.Read(b) }

// offered gives the version that a client's hello offers.
func (p *peer) offered() uint16 {
	b, err := p.in.Peek(11)
	if err != nil {
		return 0
	}
	return uint16(b[9])<<8 | uint16(b[10])
}

// Firmware that gives up on a newer hello is met with an older one, on a new connection each, and the
// version is remembered.
func TestVersionLadder(t *testing.T) {
	device := certificate(t, "device")
	giveUp := map[string]func(*peer){
		"alert":  func(p *peer) { p.say("\x15\x03\x01\x00\x02\x02\x46") },
		"closes": func(p *peer) { _, _ = p.in.Discard(p.in.Buffered()) },
	}
	for name, refuse := range giveUp {
		for kind, o := range map[string]Options{
			"pair":        {PSK: pair(testPPS)},
			"certificate": {TLS: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12}},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				s := newScripted(t, func(p *peer) {
					if p.offered() > tls.VersionTLS10 {
						refuse(p)
						return
					}
					var conn net.Conn = peeked{p.TCPConn, p.in}
					if o.PSK != nil {
						conn = tlspsk.Server(conn, &tlspsk.Config{Key: pair(testPPS).Key})
					} else {
						conn = tls.Server(conn, &tls.Config{MinVersion: tls.VersionTLS10, Certificates: []tls.Certificate{device}})
					}
					answerOver(conn)
				})
				o.Address = s.Addr().String()
				sess := open(t, o)
				d := NewWSMan(sess)
				for range 2 {
					if _, err := d.State(testContext(t)); err != nil {
						t.Fatal(err)
					}
					_ = d.Close()
				}
				if s.count() != 4 || sess.Security().Version != "TLS 1.0" { // 1.2, 1.1, 1.0, and 1.0 again
					t.Errorf("%d connections, %+v", s.count(), sess.Security())
				}
			})
		}
	}
}

// answerOver answers one request over a connection.
func answerOver(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	b := make([]byte, 8192)
	if _, err := conn.Read(b); err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+stateAnswer)
}

// A client that shows another certificate in the same session is not talked to.
func TestCertificateIsPinned(t *testing.T) {
	certs := []tls.Certificate{certificate(t, "one"), certificate(t, "one")}
	serve := func(i int) func(*peer) {
		return func(p *peer) {
			answerOver(tls.Server(p.TCPConn, &tls.Config{Certificates: certs[i : i+1]}))
		}
	}
	s := newScripted(t, serve(0), serve(0), serve(1))
	sess := open(t, Options{Address: s.Addr().String(), TLS: &tls.Config{InsecureSkipVerify: true}})
	d := NewWSMan(sess)
	for range 2 {
		if _, err := d.State(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.State(testContext(t)); KindOf(err) != KindPeer || !errors.Is(err, errOtherPeer) {
		t.Errorf("got %v", err)
	}
	if sess.Security().Suite == "" || sess.Security().Peer == [32]byte{} {
		t.Errorf("%+v", sess.Security())
	}
}
