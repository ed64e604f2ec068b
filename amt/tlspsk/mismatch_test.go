package tlspsk

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

var wrongKey = []byte("00000000000000000000000000000000")

// mismatch is one way in which our side does not fit a foreign one that has TLS 1.1, AES-128 and the
// pair of these tests.
type mismatch struct {
	name    string
	change  func(*Config)
	reasons []Reason // one of these is what our side must make of it
	alert   Alert    // what a foreign client must report, if it is not 0; for tests of our server
}

func clientKey(id string, key []byte) func(*Config) {
	return func(c *Config) { c.Identity, c.Key = id, fixed(id, key) }
}

func versions(low, high uint16) func(*Config) {
	return func(c *Config) { c.MinVersion, c.MaxVersion = low, high }
}

func onlySuite(id uint16) func(*Config) { return func(c *Config) { c.Suites = []uint16{id} } }

// A wrong key is told by an alert when it arrives before the server's reset does.
var afterKey = []Reason{ReasonKey, ReasonClosedAfterKey, ReasonResetAfterKey}

var clientMismatches = []mismatch{
	{"wrong key", clientKey("A1B2C3D4", wrongKey), afterKey, 0},
	{"unknown identity", clientKey("ZZZZ9999", wrongKey), afterKey, 0},
	{"no common suite", onlySuite(Suite3DESSHA), []Reason{ReasonSuite}, 0},
	{"server older", versions(VersionTLS12, VersionTLS12), []Reason{ReasonVersion}, 0},
	{"server newer", versions(VersionTLS10, VersionTLS10), []Reason{ReasonVersion}, 0},
}

func TestClientMismatches(t *testing.T) {
	servers := map[string]*peer{
		"openssl": opensslServer(t, VersionTLS11, SuiteAES128SHA),
		"gnutls":  gnutlsServer(t, gnutlsPriority(VersionTLS11, SuiteAES128SHA)),
	}
	go func() { _, _ = io.Copy(servers["openssl"].said, servers["openssl"].out) }()
	for name, server := range servers {
		for _, m := range clientMismatches {
			t.Run(name+"/"+m.name, func(t *testing.T) {
				cfg := config(0, 0)
				m.change(cfg)
				c, err := dial(t, server.addr, cfg)
				t.Logf("%s: %v", ReasonOf(err), err)
				if !slices.Contains(m.reasons, ReasonOf(err)) {
					t.Errorf("reason %q, want one of %q", ReasonOf(err), m.reasons)
				}
				if _, again := c.Write([]byte("x")); again != err {
					t.Errorf("the next call gives %v", again)
				}
			})
		}
	}
}

var serverMismatches = []mismatch{
	{"wrong key", clientKey("A1B2C3D4", wrongKey), []Reason{ReasonKey}, AlertBadRecordMAC},
	{"unknown identity", clientKey("ZZZZ9999", wrongKey), []Reason{ReasonIdentity}, AlertBadRecordMAC},
	{"unknown identity, told", func(c *Config) { clientKey("ZZZZ9999", wrongKey)(c); c.TellUnknown = true },
		[]Reason{ReasonIdentity}, AlertUnknownPSKIdentity},
	{"no common suite", onlySuite(Suite3DESSHA), []Reason{ReasonSuite}, AlertHandshakeFailure},
	{"client older", versions(VersionTLS12, VersionTLS12), []Reason{ReasonVersion}, AlertProtocolVersion},
	{"client newer", versions(VersionTLS10, VersionTLS10), []Reason{ReasonVersion}, 0},
}

// What a foreign client says of our server's refusal: in particular the same of a wrong key and of an
// identity that does not exist.
func TestServerMismatches(t *testing.T) {
	clients := map[string]func(testing.TB, string) *peer{
		"openssl": func(t testing.TB, addr string) *peer {
			return opensslClient(t, addr, VersionTLS11, SuiteAES128SHA)
		},
		"gnutls": func(t testing.TB, addr string) *peer {
			return start(t, "gnutls-cli", "127.0.0.1", "-p", addr[strings.LastIndex(addr, ":")+1:], "--pskusername", "A1B2C3D4",
				"--pskkey", "4142434445464748", "--priority", gnutlsPriority(VersionTLS11, SuiteAES128SHA))
		},
	}
	need(t, "gnutls-cli")
	for name, client := range clients {
		for _, m := range serverMismatches {
			t.Run(name+"/"+m.name, func(t *testing.T) {
				cfg := config(0, 0)
				m.change(cfg)
				result := make(chan error, 1)
				p := client(t, accept(t, cfg, func(c *Conn, err error) {
					_ = c.Close()
					result <- err
				}))
				said, _ := io.ReadAll(p.out)
				err := <-result
				t.Logf("%s: %v", ReasonOf(err), err)
				if !slices.Contains(m.reasons, ReasonOf(err)) {
					t.Errorf("reason %q, want one of %q", ReasonOf(err), m.reasons)
				}
				p.wait()
				all := string(said) + p.said.String()
				number := fmt.Sprintf(map[string]string{"openssl": "SSL alert number %d", "gnutls": "alert [%d]"}[name], m.alert)
				if m.alert != 0 && !strings.Contains(all, number) {
					t.Errorf("the client does not report %q:\n%s", number, all)
				}
			})
		}
	}
}

// hostile answers a client with something else than a handshake.
func hostile(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1024))
			answer(c)
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

func TestReasonsWithoutAlert(t *testing.T) {
	first := unhex(t, workedServerFirst)
	for _, test := range []struct {
		name   string
		answer func(net.Conn)
		reason Reason
	}{
		{"closed at once", func(net.Conn) {}, ReasonClosed},
		{"reset at once", reset, ReasonReset},
		{"cut in a record", func(c net.Conn) { _, _ = c.Write(first[:20]) }, ReasonClosed},
		{"closed after the key", func(c net.Conn) { _, _ = c.Write(first); _, _ = c.Read(make([]byte, 1024)) }, ReasonClosedAfterKey},
		{"reset after the key", func(c net.Conn) { _, _ = c.Write(first); _, _ = c.Read(make([]byte, 1024)); reset(c) }, ReasonResetAfterKey},
		{"decrypt_error", func(c net.Conn) {
			_, _ = c.Write(first)
			_, _ = c.Read(make([]byte, 1024))
			_, _ = c.Write(unhex(t, "15 0301 0002 02 33"))
		}, ReasonKey},
		{"unknown_psk_identity", func(c net.Conn) {
			_, _ = c.Write(first)
			_, _ = c.Read(make([]byte, 1024))
			_, _ = c.Write(unhex(t, "15 0301 0002 02 73"))
		}, ReasonIdentity},
		{"close_notify at once", func(c net.Conn) { _, _ = c.Write(unhex(t, "15 0301 0002 01 00")) }, ReasonClosed},
		{"http", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, ReasonNotTLS},
		{"one byte", func(c net.Conn) { _, _ = io.WriteString(c, "H") }, ReasonNotTLS},
		{"silent", func(c net.Conn) { time.Sleep(time.Second) }, ReasonTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := config(VersionTLS10, SuiteAES128SHA)
			cfg.HandshakeTimeout = 500 * time.Millisecond
			_, err := dial(t, hostile(t, test.answer), cfg)
			if ReasonOf(err) != test.reason {
				t.Errorf("reason %q of %v, want %q", ReasonOf(err), err, test.reason)
			}
			var e *NotTLSError
			if errors.As(err, &e) != (test.reason == ReasonNotTLS) || e != nil && !strings.HasPrefix("HTTP/1.1 400 Bad Request\r\n\r\n", string(e.Bytes)) {
				t.Errorf("%v", err)
			}
		})
	}
}
