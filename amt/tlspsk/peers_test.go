package tlspsk

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The pair of these tests is made up.
const (
	testPID = "A1B2-C3D4"
	testPPS = "ABCD-EFGH-1234-5678-JKLM-NPQR-9876-5432"
)

// peerWait bounds one conversation with a foreign program.
const peerWait = 15 * time.Second

func pair() (identity string, key []byte) { return PlainPair(testPID, testPPS) }

// fixed is a Config.Key that knows one identity.
func fixed(identity string, key []byte) func(string) ([]byte, bool) {
	return func(id string) ([]byte, bool) { return key, id == identity }
}

// config is what both sides of most tests use, limited to one version and one suite unless they are 0.
func config(version, suite uint16) *Config {
	id, key := pair()
	c := &Config{Identity: id, Key: fixed(id, key), MinVersion: version, MaxVersion: version, HandshakeTimeout: peerWait}
	if suite != 0 {
		c.Suites = []uint16{suite}
	}
	return c
}

// need finds a foreign program, or skips; where CI is set it fails.
func need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed", program)
	}
	return path
}

// gather collects what a program prints, for the test that went wrong.
type gather struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (g *gather) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.b.Len() > 1<<16 {
		return len(p), nil
	}
	return g.b.Write(p)
}

func (g *gather) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.String()
}

// peer is a foreign program under way.
type peer struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  io.ReadCloser
	said *gather
	addr string // of a server
	wait func() // until the program has ended and all that it said is in said
}

// start runs a program until the test ends.
func start(t testing.TB, program string, args ...string) *peer {
	t.Helper()
	p := &peer{said: &gather{}}
	ctx, cancel := context.WithCancel(context.Background())
	p.cmd = exec.CommandContext(ctx, need(t, program), args...)
	p.cmd.Env = append(os.Environ(), "LC_ALL=C")
	p.cmd.Stderr = p.said
	p.in, _ = p.cmd.StdinPipe()
	p.out, _ = p.cmd.StdoutPipe()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.wait = sync.OnceFunc(func() { _ = p.cmd.Wait() })
	t.Cleanup(func() {
		cancel()
		p.wait()
		if t.Failed() {
			t.Logf("%s %s\n%s", program, strings.Join(args, " "), p.said)
		}
	})
	return p
}

// freePort names a port that nobody listens on now, on any address. It is below those that systems give to
// outgoing connections: one of these could take it before a foreign server does.
func freePort(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(20000 + rand.IntN(12000))
		if l, err := net.Listen("tcp", ":"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// opensslVersion gives the option for a version.
func opensslVersion(v uint16) string {
	return map[uint16]string{VersionTLS10: "-tls1", VersionTLS11: "-tls1_1", VersionTLS12: "-tls1_2"}[v]
}

var opensslSuite = map[uint16]string{SuiteAES128SHA: "PSK-AES128-CBC-SHA", SuiteAES256SHA: "PSK-AES256-CBC-SHA",
	Suite3DESSHA: "PSK-3DES-EDE-CBC-SHA", SuiteRC4128SHA: "PSK-RC4-SHA"}

// opensslHas skips where OpenSSL was built without a suite: also under CI, as no build of Debian's has
// all of them.
func opensslHas(t testing.TB, suite uint16) {
	t.Helper()
	out, err := exec.Command(need(t, "openssl"), "ciphers", "-psk", opensslSuite[suite]+":@SECLEVEL=0").CombinedOutput()
	if err != nil || !strings.Contains(string(out), opensslSuite[suite]) {
		t.Skip("this OpenSSL is built without " + opensslSuite[suite])
	}
}

// opensslServer starts s_server for one connection after the other.
func opensslServer(t testing.TB, version, suite uint16, args ...string) *peer {
	t.Helper()
	id, key := pair()
	port := freePort(t)
	p := start(t, "openssl", append([]string{"s_server", "-accept", "127.0.0.1:" + port, "-nocert",
		"-psk", hex.EncodeToString(key), "-psk_identity", id,
		"-cipher", opensslSuite[suite] + ":@SECLEVEL=0", opensslVersion(version)}, args...)...)
	p.addr = "127.0.0.1:" + port
	awaitPort(t, p)
	return p
}

// awaitPort waits until a server listens, without disturbing it with a connection.
func awaitPort(t testing.TB, p *peer) {
	t.Helper()
	_, port, _ := net.SplitHostPort(p.addr)
	var want string
	if n, err := net.LookupPort("tcp", port); err == nil {
		want = fmt.Sprintf(":%04X ", n)
	}
	for end := time.Now().Add(peerWait); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, name := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
			table, err := os.ReadFile(name)
			if err != nil && strings.HasSuffix(name, "tcp") {
				time.Sleep(time.Second) // no such table on this system
				return
			}
			for line := range strings.Lines(string(table)) {
				if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1]+" ", want) && f[3] == "0A" {
					return
				}
			}
		}
	}
	t.Fatalf("nobody listens on %s: %s", p.addr, p.said)
}

// gnutlsPriority allows one version and one suite.
func gnutlsPriority(version, suite uint16) string {
	return fmt.Sprintf("NONE:+VERS-TLS1.%d:+PSK:+%s:+SHA1:+COMP-NULL:+SIGN-ALL", version-VersionTLS10,
		map[uint16]string{SuiteAES128SHA: "AES-128-CBC", SuiteAES256SHA: "AES-256-CBC",
			Suite3DESSHA: "3DES-CBC", SuiteRC4128SHA: "ARCFOUR-128"}[suite])
}

// gnutlsServer starts gnutls-serv as an echo server. It has no option for an address: for the time of
// the test it listens on all of them.
func gnutlsServer(t testing.TB, priority string, args ...string) *peer {
	t.Helper()
	need(t, "gnutls-serv")
	id, key := pair()
	file := filepath.Join(t.TempDir(), "psk")
	if err := os.WriteFile(file, fmt.Appendf(nil, "%s:%x\n", id, key), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	p := start(t, "gnutls-serv", append([]string{"-p", port, "--pskpasswd", file, "--echo", "--crlf", "--quiet", "--priority", priority}, args...)...)
	go func() { _, _ = io.Copy(p.said, p.out) }()
	p.addr = "127.0.0.1:" + port
	awaitPort(t, p)
	return p
}

// dial opens a session to a peer. The handshake is done, or its error is given.
func dial(t testing.TB, addr string, cfg *Config) (*Conn, error) {
	t.Helper()
	raw, err := net.DialTimeout("tcp", addr, peerWait)
	// A server that listens on IPv6 may not have come to IPv4 yet.
	for end := time.Now().Add(peerWait); errors.Is(err, syscall.ECONNREFUSED) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		raw, err = net.DialTimeout("tcp", addr, peerWait)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(peerWait))
	c := Client(raw, cfg)
	return c, c.Handshake()
}

// opensslClient starts s_client towards our server.
func opensslClient(t testing.TB, addr string, version, suite uint16, args ...string) *peer {
	t.Helper()
	id, key := pair()
	return start(t, "openssl", append([]string{"s_client", "-connect", addr, "-psk", hex.EncodeToString(key),
		"-psk_identity", id, "-cipher", opensslSuite[suite] + ":@SECLEVEL=0", opensslVersion(version)}, args...)...)
}

// gnutlsClient starts gnutls-cli towards our server; what it has to say goes to a file.
func gnutlsClient(t testing.TB, addr, priority string, args ...string) *peer {
	t.Helper()
	need(t, "gnutls-cli")
	id, key := pair()
	host, port, _ := net.SplitHostPort(addr)
	return start(t, "gnutls-cli", append([]string{host, "-p", port, "--pskusername", id, "--pskkey", hex.EncodeToString(key),
		"--priority", priority, "--logfile", filepath.Join(t.TempDir(), "log")}, args...)...)
}
