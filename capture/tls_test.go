package capture

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// tapped is a connection whose writes are noted in the order in which both ends made them.
type tapped struct {
	net.Conn
	firmware bool
	mu       *sync.Mutex
	said     *[]said
}

type said struct {
	firmware bool
	bytes    []byte
}

func (c *tapped) Write(b []byte) (int, error) {
	c.mu.Lock()
	*c.said = append(*c.said, said{c.firmware, append([]byte{}, b...)})
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// handshake lets two ends of crypto/tls speak over a pipe, the firmware as the TLS server, and gives
// what they said.
func handshake(t *testing.T, server, firmware *tls.Config) []said {
	t.Helper()
	var list []said
	var mu sync.Mutex
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	end := time.Now().Add(10 * time.Second)
	_, _ = a.SetDeadline(end), b.SetDeadline(end)
	done := make(chan struct{})
	go func() {
		defer close(done)
		fw := tls.Server(&tapped{b, true, &mu, &list}, firmware)
		if fw.Handshake() == nil {
			_, _ = fw.Write([]byte("HTTP/1.1 401 Unauthorized\r\n\r\n"))
			_, _ = fw.Read(make([]byte, 100))
		}
		_ = b.Close()
	}()
	srv := tls.Client(&tapped{a, false, &mu, &list}, server)
	if srv.Handshake() == nil {
		_, _ = srv.Read(make([]byte, 100))
		_, _ = srv.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	}
	_ = a.Close()
	<-done
	return list
}

func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "amt"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
}

// TestBackTLS follows handshakes of crypto/tls: version, end and alert.
func TestBackTLS(t *testing.T) {
	fw := func(least, most uint16) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}, MinVersion: least, MaxVersion: most}
	}
	srv := func(least, most uint16) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, MinVersion: least, MaxVersion: most}
	}
	untrusting := srv(tls.VersionTLS12, tls.VersionTLS12)
	untrusting.InsecureSkipVerify, untrusting.ServerName = false, "amt"
	for name, tt := range map[string]struct {
		server, firmware *tls.Config
		want             string
	}{
		"1.0":                   {srv(tls.VersionTLS10, tls.VersionTLS12), fw(tls.VersionTLS10, tls.VersionTLS10), "ok, TLS 1.0"},
		"1.1":                   {srv(tls.VersionTLS10, tls.VersionTLS13), fw(tls.VersionTLS10, tls.VersionTLS11), "ok, TLS 1.1"},
		"1.2":                   {srv(tls.VersionTLS12, tls.VersionTLS13), fw(tls.VersionTLS10, tls.VersionTLS12), "ok, TLS 1.2"},
		"1.3":                   {srv(tls.VersionTLS12, tls.VersionTLS13), fw(tls.VersionTLS12, tls.VersionTLS13), "ok, TLS 1.3"},
		"no version in common":  {srv(tls.VersionTLS12, tls.VersionTLS12), fw(tls.VersionTLS10, tls.VersionTLS11), "tls-alert 70 protocol_version by the client, TLS 1.2"},
		"server does not trust": {untrusting, fw(tls.VersionTLS10, tls.VersionTLS12), "tls-alert 42 bad_certificate by the server, TLS 1.2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			from, to := mustPort("10.1.0.10:50123"), mustPort("10.20.0.7:16993")
			seq := map[bool]uint32{false: 501, true: 901}
			s.tcp(from, to, SYN, 500, 0, nil).tcp(to, from, SYN|ACK, 900, 501, nil)
			for _, m := range handshake(t, tt.server, tt.firmware) {
				src, dst := from, to
				if m.firmware {
					src, dst = to, from
				}
				for b := m.bytes; len(b) > 0; b = b[min(len(b), 1400):] {
					s.tcp(src, dst, ACK, seq[m.firmware], seq[!m.firmware], b[:min(len(b), 1400)])
					seq[m.firmware] += uint32(min(len(b), 1400))
				}
			}
			es, _ := scanNotes(t, s.packets)
			if len(es) != 1 || es[0].Kind != KindBack || es[0].Words() != tt.want {
				t.Errorf("events %+v", es)
			}
		})
	}
}

// TestBackHTTP follows HTTP without TLS: the first answer asks for the log-in, the next one counts.
func TestBackHTTP(t *testing.T) {
	const (
		ask    = "GET /index.htm HTTP/1.1\r\nHost: x\r\n\r\n"
		denied = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest\r\n\r\nlog in"
		fine   = "HTTP/1.1 200 OK\r\n\r\n"
	)
	for name, tt := range map[string]struct {
		say  []string // the server begins, the firmware answers
		end  bool
		want string
	}{
		"at once":             {[]string{ask, fine}, false, "ok, HTTP status 200"},
		"after the log-in":    {[]string{ask, denied, ask, fine}, false, "ok, HTTP status 200"},
		"log-in refused":      {[]string{ask, denied, ask, denied}, false, "ok, HTTP status 401"},
		"no log-in":           {[]string{ask, denied}, true, "ok, HTTP status 401"},
		"no log-in, no end":   {[]string{ask, denied}, false, "ok, HTTP status 401"},
		"log-in not answered": {[]string{ask, denied, ask}, true, "ok, HTTP status 401"},
		"no HTTP":             {[]string{ask, "SSH-2.0-x\r\n"}, false, "ok"},
		"cut":                 {[]string{ask, "HTTP/1.1 2"}, true, "ok"},
		"no answer":           {[]string{ask}, true, "connected"},
	} {
		for _, size := range []int{5, 1400} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				s := newScript(t)
				from, to := mustPort("10.1.0.10:50123"), mustPort("10.20.0.7:16992")
				seq := [2]uint32{501, 901}
				s.tcp(from, to, SYN, 500, 0, nil).tcp(to, from, SYN|ACK, 900, 501, nil)
				ends := [2]netip.AddrPort{from, to}
				for i, text := range tt.say {
					src, dst := i%2, 1-i%2
					for b := []byte(text); len(b) > 0; b = b[min(len(b), size):] {
						s.tcp(ends[src], ends[dst], ACK, seq[src], seq[dst], b[:min(len(b), size)])
						seq[src] += uint32(min(len(b), size))
					}
				}
				if tt.end {
					s.tcp(from, to, ACK|FIN, seq[0], seq[1], nil)
				}
				es, _ := scanNotes(t, s.packets)
				if len(es) != 1 || es[0].Words() != tt.want {
					t.Errorf("events %+v", es)
				}
				b, err := es[0].MarshalJSON()
				if want := es[0].HTTP > 0; err != nil || strings.Contains(string(b), `"http_status":`) != want {
					t.Errorf("JSON %s: %v", b, err)
				}
			})
		}
	}
}
