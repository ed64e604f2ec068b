package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/icholy/digest"

	"amtmedic/amt/keys"
	"amtmedic/amt/store"
	"amtmedic/amt/tlspsk"
)

// What one client is asked (TestExchangesOfASession of package provision counts it), and about how long a
// request and an answer are.
const (
	exchangesBefore, exchangesAfter = 18, 6
	requestBytes, answerBytes       = 1200, 1300
)

// Clients in the queue to the provisioned state, with simulated ones on the same two processors, beside two
// peers: the handshakes that both ends make alone, and as many exchanges over as many connections between
// net/http's client and server that carry a digest log-in and mean nothing. The second is the least that a
// session can cost here: what is ours alone is the processor time of the server.
func TestSessionPerformance(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("a long test: AMTMEDIC_LONG=1")
	}
	config := pairConfig(t)
	bare, bareCPU := bareHandshakes(t, config)
	floor, floorCPU := plainSessions(t, config)
	const n = 1000
	for _, method := range []string{"psk", "pki"} {
		r := provisionQueue(t, method, n)
		if method == "psk" {
			servePerf("psk clients provisioned a second from a full queue, beside TLS-PSK handshakes a second alone",
				fmt.Sprintf("%.0f", r.rate), fmt.Sprintf("%.0f", bare), fmt.Sprintf("%.2f", r.rate/bare), "-")
			servePerf("the same beside sessions of net/http with as many exchanges and the same handshake, both ends",
				fmt.Sprintf("%.0f", r.rate), fmt.Sprintf("%.0f", floor), fmt.Sprintf("%.2f", r.rate/floor), ">= 0.5")
			servePerf("processor time of the server for a psk client beside that of both ends of such a session, ms",
				fmt.Sprintf("%.2f", r.server), fmt.Sprintf("%.2f", floorCPU), fmt.Sprintf("%.2f", r.server/floorCPU), "<= 1.0")
			servePerf("the same beside that of both ends of a bare handshake, ms",
				fmt.Sprintf("%.2f", r.server), fmt.Sprintf("%.2f", bareCPU), fmt.Sprintf("%.1f", r.server/bareCPU), "-")
		} else {
			servePerf("pki clients provisioned a second from a full queue", fmt.Sprintf("%.0f", r.rate), "-", "-", "-")
			servePerf("processor time of the server for a pki client, ms", fmt.Sprintf("%.2f", r.server), "-", "-", "-")
		}
		servePerf("processor time of the simulated "+method+" client, which is not the server's, ms", fmt.Sprintf("%.2f", r.client), "-", "-", "-")
	}
}

// provisioned is what it took to provision clients.
type provisioned struct{ rate, server, client float64 } // a second; ms of processor time for each

// provisionQueue lets clients say hello to a server that only receives, and measures the one after it.
func provisionQueue(t *testing.T, method string, n int) provisioned {
	t.Helper()
	dir := t.TempDir()
	db, lab, inv := filepath.Join(dir, "core.db"), filepath.Join(dir, "lab"), filepath.Join(dir, "inv")
	amtmedic(t, 0, "cert", "create-lab", "--out", lab, "--suffix", "corp.example")
	profile := filepath.Join(dir, "profile.yaml")
	if err := os.WriteFile(profile, []byte("name: default\nacl:\n  - {user: helpdesk, realms: [redirection, remote-control]}\nconsent: kvm\nredirection: {sol: on}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	amtmedic(t, 0, "profiles", "import", profile, "--db", db)
	s := startServe(t, db, "--receive-only")
	sim := exec.Command("amtmedic", "sim", "--to", s.addr, "--fast", "--keep", "--inventory", inv, "--count", fmt.Sprint(n), "--method", method,
		"--amt-version", map[string]string{"psk": "3.2.1", "pki": "9.0"}[method], "--address", map[string]string{"psk": "127.0.40.1", "pki": "127.0.48.1"}[method],
		"--trust", filepath.Join(lab, "root.pem"), "--suffix", "corp.example")
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Process.Kill(); _ = sim.Wait() })
	awaited(t, "an inventory", func() bool {
		_, err := os.Stat(filepath.Join(inv, "clients.csv"))
		return !errors.Is(err, fs.ErrNotExist)
	})
	if method == "psk" {
		amtmedic(t, 0, "keys", "import", filepath.Join(inv, "keys.csv"), "--db", db)
	}
	amtmedic(t, 0, "discover", "import", filepath.Join(inv, "map.csv"), "--db", db)
	awaited(t, "a full queue", func() bool { return queued(t, db) == n })
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.done

	clientBefore := processor(t, sim.Process.Pid)
	s = startServe(t, db, "--provisioning-cert", filepath.Join(lab, "provisioning.pem"))
	awaited(t, "the last client", func() bool { return strings.Count(s.text(), `"msg":"provisioned"`) >= n })
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(n) }
	out := provisioned{rate: float64(n) / working(t, s.text()).Seconds(), server: ms(processor(t, s.cmd.Process.Pid)), client: ms(processor(t, sim.Process.Pid) - clientBefore)}
	_ = s.cmd.Process.Kill()
	<-s.done
	_ = sim.Process.Kill()
	return out
}

func awaited(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// queued counts the queue without a process for each look.
func queued(t *testing.T, db string) int {
	t.Helper()
	st, err := store.OpenExisting(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	q, err := st.QueueStats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return q.Queued
}

// pairConfig is both ends of TLS-PSK.
func pairConfig(t *testing.T) *tlspsk.Config {
	t.Helper()
	pair, err := keys.Generate(strings.NewReader(strings.Repeat("amtmedic", 512)))
	if err != nil {
		t.Fatal(err)
	}
	identity, key := tlspsk.PlainPair(string(pair.PID), pair.PPS.Reveal())
	return &tlspsk.Config{Identity: identity, Key: func(string) ([]byte, bool) { return key, true }}
}

// rateOf runs do from 32 goroutines for two seconds, and gives how often a second it was done and the ms of
// processor time that each took.
func rateOf(t *testing.T, do func() error) (rate, cpu float64) {
	t.Helper()
	var done atomic.Int32
	var wg sync.WaitGroup
	begin, before := time.Now(), processor(t, os.Getpid())
	for range 32 {
		wg.Go(func() {
			for time.Since(begin) < 2*time.Second {
				if err := do(); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	n := float64(max(done.Load(), 1))
	return n / time.Since(begin).Seconds(), (processor(t, os.Getpid()) - before).Seconds() * 1000 / n
}

// bareHandshakes measures TLS-PSK handshakes, both ends in this process.
func bareHandshakes(t *testing.T, config *tlspsk.Config) (rate, cpu float64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				if s := tlspsk.Server(c, config); s.Handshake() == nil {
					_, _ = s.Read(make([]byte, 1))
				}
			}()
		}
	}()
	return rateOf(t, func() error {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		return tlspsk.Client(c, config).Handshake()
	})
}

// secured is a listener whose connections speak TLS-PSK.
type secured struct {
	net.Listener
	config *tlspsk.Config
}

func (l secured) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tlspsk.Server(c, l.config), nil
}

// plainSessions measures sessions that mean nothing: exchanges with a digest log-in over TLS-PSK, then some
// over a connection without, by net/http at both ends of this process.
func plainSessions(t *testing.T, config *tlspsk.Config) (rate, cpu float64) {
	t.Helper()
	answer := bytes.Repeat([]byte("a"), answerBytes)
	srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		text := r.Header.Get("Authorization")
		cred, err := digest.ParseCredentials(text)
		if err == nil {
			var want *digest.Credentials
			want, err = digest.Digest(&digest.Challenge{Realm: cred.Realm, Nonce: cred.Nonce, QOP: []string{"auth"}},
				digest.Options{Method: r.Method, URI: cred.URI, Count: cred.Nc, Cnonce: cred.Cnonce, Username: "admin", Password: "P@ssw0rd"})
			if err == nil && want.Response != cred.Response {
				err = errors.New("wrong")
			}
		}
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Digest realm="Digest:BA87", nonce="6e6f6e6365", stale="false", qop="auth"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(answer)
	})}
	var addr [2]string
	for i := range addr {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if addr[i] = ln.Addr().String(); i == 0 {
			ln = secured{ln, config}
		}
		go func() { _ = srv.Serve(ln) }()
	}
	defer func() { _ = srv.Close() }()
	body := strings.Repeat("r", requestBytes)
	return rateOf(t, func() error {
		return errors.Join(plainSession(addr[0], config, exchangesBefore, body), plainSession(addr[1], nil, exchangesAfter, body))
	})
}

// plainSession makes one connection and some exchanges on it; the first is the challenge.
func plainSession(addr string, config *tlspsk.Config, exchanges int, body string) error {
	tr := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil || config == nil {
			return c, err
		}
		s := tlspsk.Client(c, config)
		return s, s.HandshakeContext(ctx)
	}}
	defer tr.CloseIdleConnections()
	var chal *digest.Challenge
	for i := range exchanges {
		r, err := http.NewRequest(http.MethodPost, "http://client/wsman", strings.NewReader(body))
		if err != nil {
			return err
		}
		if chal != nil {
			cred, err := digest.Digest(chal, digest.Options{Method: r.Method, URI: "/wsman", Count: i, Username: "admin", Password: "P@ssw0rd"})
			if err != nil {
				return err
			}
			r.Header.Set("Authorization", cred.String())
		}
		res, err := tr.RoundTrip(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err == nil && i == 0 {
			chal, err = digest.FindChallenge(res.Header)
		} else if err == nil && res.StatusCode != http.StatusOK {
			err = errors.New(res.Status)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
