package discover

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

const amt5 = "Intel(R) Active Management Technology 5.2.1"

// ask scans one address with the ports of a test and gives what was found; nil is nothing.
func askOne(t *testing.T, target string, p Ports) (h *Host, reached bool) {
	t.Helper()
	ts, err := ParseTargets([]string{target})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err = Run(ctx, ts, Options{Rate: 1000, Timeout: 10 * time.Second, Ports: p, Done: func(e Event) { h, reached = e.Host, e.Reached }})
	if err != nil {
		t.Fatal(err)
	}
	return h, reached
}

// closed gives a port of an address where nothing listens.
func closed(t *testing.T, host string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// amtHeader answers as the web server of firmware does to somebody without a log-in.
var amtHeader = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", amt5)
	w.Header().Set("Location", "/logon.htm")
	w.WriteHeader(http.StatusSeeOther)
})

// replayed is a connection whose first bytes were read already.
type replayed struct {
	net.Conn
	r io.Reader
}

func (r replayed) Read(b []byte) (int, error) { return r.r.Read(b) }

// oldFirmware is a port with TLS 1.0 that treats hellos of anything newer as told: it hangs up, or
// sends an alert.
func oldFirmware(t *testing.T, alert byte) int {
	s := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	t.Cleanup(s.Close)
	c := AnyTLS()
	c.MaxVersion, c.Certificates = tls.VersionTLS10, s.TLS.Certificates
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				head := make([]byte, 11) // record 5, handshake 4, version 2
				if _, err := io.ReadFull(conn, head); err != nil {
					return
				}
				if head[9] != 3 || head[10] > 1 {
					if alert != 0 {
						_, _ = conn.Write([]byte{21, 3, 1, 0, 2, 2, alert})
					}
					return
				}
				secure := tls.Server(replayed{conn, io.MultiReader(bytes.NewReader(head), conn)}, c)
				if _, err := secure.Read(make([]byte, 4096)); err == nil {
					_, _ = fmt.Fprintf(secure, "HTTP/1.1 303 See Other\r\nServer: %s\r\n\r\n", amt5)
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// A port that speaks only TLS 1.0, and hangs up on anything newer, still tells its header.
func TestOnlyOldTLS(t *testing.T) {
	for name, alert := range map[string]byte{"hangs up": 0, "protocol version": 70, "handshake failure": 40} {
		p := Ports{Plain: closed(t, "127.0.0.1"), TLS: oldFirmware(t, alert), Ping: closed(t, "127.0.0.1")}
		h, _ := askOne(t, "127.0.0.1", p)
		if h == nil || h.TLS != "1.0" || h.AMTVersion != "5.2.1" || len(h.Ports) != 1 || h.Ports[0] != p.TLS {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

// IPv6 addresses are asked like others.
func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 on this machine: %v", err)
	}
	s := httptest.NewUnstartedServer(amtHeader)
	s.Listener = l
	s.Start()
	defer s.Close()
	h, reached := askOne(t, "[::1]", Ports{Plain: l.Addr().(*net.TCPAddr).Port, TLS: closed(t, "::1"), Ping: closed(t, "::1")})
	if h == nil || !reached || h.Address != "::1" || h.Host != "::1" || h.AMTVersion != "5.2.1" || h.State != Post {
		t.Errorf("%+v, %v", h, reached)
	}
}

// An address where everything refuses was reached, and has no AMT.
func TestRefusalIsAnAnswer(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		if l, err := net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			continue
		} else {
			_ = l.Close()
		}
		h, reached := askOne(t, host, Ports{Plain: closed(t, host), TLS: closed(t, host), Ping: closed(t, host)})
		if h != nil || !reached {
			t.Errorf("%s: %+v, %v", host, h, reached)
		}
	}
}
