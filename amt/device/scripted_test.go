package device

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
)

// within bounds what a test waits for: far longer than it takes, shorter than go test waits.
const within = 30 * time.Second

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	t.Cleanup(cancel)
	return ctx
}

// scripted is a server that treats each of its connections as the next function says. The last one
// treats all further connections.
type scripted struct {
	net.Listener
	mu    sync.Mutex
	conns int
	wg    sync.WaitGroup
}

func newScripted(t testing.TB, each ...func(c *peer)) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{Listener: l}
	s.wg.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			f := each[min(s.conns, len(each)-1)]
			s.conns++
			s.mu.Unlock()
			s.wg.Go(func() {
				defer func() { _ = raw.Close() }()
				_ = raw.SetDeadline(time.Now().Add(within))
				f(&peer{TCPConn: raw.(*net.TCPConn), in: bufio.NewReader(raw)})
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.wg.Wait()
	})
	return s
}

func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// peer is one connection at the server's side.
type peer struct {
	*net.TCPConn
	in *bufio.Reader
}

// request reads a request; ok is false when the client closed.
func (p *peer) request() (r *http.Request, body string, ok bool) {
	r, err := http.ReadRequest(p.in)
	if err != nil {
		return nil, "", false
	}
	b, err := io.ReadAll(r.Body)
	return r, string(b), err == nil
}

func (p *peer) say(text string) { _, _ = io.WriteString(p, text) }

// answer sends a whole answer with a body.
func (p *peer) answer(status int, header, body string) {
	p.say(fmt.Sprintf("HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), header, len(body), body))
}

// reset ends the connection with a reset.
func (p *peer) reset() {
	_ = p.SetLinger(0)
	_ = p.Close()
}

const stateAnswer = `<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:a="http://www.w3.org/2003/05/soap-envelope" xmlns:g="http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SetupAndConfigurationService"><a:Header/><a:Body><g:AMT_SetupAndConfigurationService><g:ProvisioningState>1</g:ProvisioningState></g:AMT_SetupAndConfigurationService></a:Body></a:Envelope>`

// faultAnswer is a fault with a subcode to be filled in.
const faultAnswer = `<a:Envelope xmlns:a="http://www.w3.org/2003/05/soap-envelope"><a:Header/><a:Body><a:Fault><a:Code><a:Value>a:Sender</a:Value><a:Subcode><a:Value>b:%s</a:Value></a:Subcode></a:Code><a:Reason><a:Text>no</a:Text></a:Reason></a:Fault></a:Body></a:Envelope>`

const challenge = "WWW-Authenticate: Digest realm=\"Digest:BA870000000000000000000000000000\", nonce=\"%s\", stale=\"%t\", qop=\"auth\"\r\n"

// always answers every request in the same way.
func always(status int, header, body string) func(*peer) {
	return func(p *peer) {
		for {
			if _, _, ok := p.request(); !ok {
				return
			}
			p.answer(status, header, body)
		}
	}
}

// plain opens a session without TLS that ends with the test.
func plain(t testing.TB, s *scripted, logins ...Login) *Session {
	return open(t, Options{Address: s.Addr().String(), Logins: logins})
}

func open(t testing.TB, o Options) *Session {
	sess := Open(o)
	t.Cleanup(func() { _ = sess.Close() })
	return sess
}

func admin(password string) Login { return Login{User: "admin", Password: amt.NewSecret(password)} }

// recorded gives a recorded answer of real firmware.
func recorded(t testing.TB, parts ...string) string {
	t.Helper()
	dir := os.Getenv("AMTMEDIC_FOREIGN_DATA")
	if dir == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("AMTMEDIC_FOREIGN_DATA is not set")
		}
		t.Skip("AMTMEDIC_FOREIGN_DATA does not name the folder of recorded answers")
	}
	b, err := os.ReadFile(filepath.Join(append([]string{dir, "wsman"}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// contains fails unless text holds every part.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in %q", p, text)
		}
	}
}
