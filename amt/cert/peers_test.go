package cert

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
)

// peerWait bounds one conversation with a foreign program.
const peerWait = 20 * time.Second

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// said gathers what a program prints.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.b.String(), text)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// shake starts a TLS server and does one handshake with it; want is what the server must print of it.
func shake(t *testing.T, port string, cfg *tls.Config, version uint16, want []string, program string, args ...string) {
	t.Helper()
	out := &said{}
	cmd := exec.Command(peer(t, program), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = out, out
	in, err := cmd.StdinPipe() // s_server ends with its input
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	end := time.Now().Add(peerWait)
	var c *tls.Conn
	for d := (&net.Dialer{Timeout: time.Second}); ; time.Sleep(20 * time.Millisecond) {
		raw, err := d.Dial("tcp4", "127.0.0.1:"+port)
		if err != nil {
			if time.Now().After(end) {
				t.Fatalf("%v\n%s", err, out)
			}
			continue
		}
		_ = raw.SetDeadline(end)
		c = tls.Client(raw, cfg)
		if err := c.Handshake(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		break
	}
	defer func() { _ = c.Close() }()
	if s := c.ConnectionState(); s.Version != version {
		t.Errorf("version %x, want %x", s.Version, version)
	}
	_, _ = io.WriteString(c, "hello\r\n")
	for _, text := range want {
		for !out.has(text) && time.Now().Before(end) {
			time.Sleep(10 * time.Millisecond)
		}
		if !out.has(text) {
			t.Errorf("the server does not say %q:\n%s", text, out)
		}
	}
}

// What a session shows, to OpenSSL as firmware would be: at every version, the root included, which
// OpenSSL sees as a self-signed certificate at the end of a chain that it does not know. The server's
// list of authorities names another one, and gets the chain all the same.
func TestClientConfigAtOpenSSL(t *testing.T) {
	dir := t.TempDir()
	_, b := made(t, Spec{Intermediate: true})
	id, err := read(t, b).Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, otherPEM := made(t, Spec{})
	own := save(t, dir, "own.pem", otherPEM)
	asked := save(t, dir, "asked.pem", other.RootPEM())
	seen := []string{"depth=2 CN = \"practice root corp.example, not for use\"", "self-signed certificate in certificate chain"}
	for name, v := range map[string]uint16{"-tls1": tls.VersionTLS10, "-tls1_1": tls.VersionTLS11, "-tls1_2": tls.VersionTLS12} {
		for _, suite := range []string{"AES128-SHA", "AES256-SHA"} {
			t.Run(name+" "+suite, func(t *testing.T) {
				port := freePort(t)
				shake(t, port, ClientConfig(id), v, seen, "openssl", "s_server", "-accept", "127.0.0.1:"+port, "-cert", own, "-key", own,
					name, "-cipher", suite+":@SECLEVEL=0", "-Verify", "3", "-CAfile", asked, "-naccept", "1")
			})
		}
	}
	t.Run("sha1 signatures", func(t *testing.T) { // the request of a 1.2 firmware that knows no other; godebug tlssha1
		port := freePort(t)
		shake(t, port, ClientConfig(id), tls.VersionTLS12, seen, "openssl", "s_server", "-accept", "127.0.0.1:"+port, "-cert", own, "-key", own,
			"-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0", "-sigalgs", "RSA+SHA1", "-client_sigalgs", "RSA+SHA1", "-Verify", "3", "-naccept", "1")
	})
}

// The suites of the oldest firmware, at GnuTLS, without the renegotiation extension: it counts the chain.
func TestClientConfigAtGnuTLS(t *testing.T) {
	dir := t.TempDir()
	_, b := made(t, Spec{Intermediate: true})
	id, err := read(t, b).Identity()
	if err != nil {
		t.Fatal(err)
	}
	_, own := made(t, Spec{})
	pem := save(t, dir, "own.pem", own)
	for name, suite := range map[string]string{"3des": "+3DES-CBC", "rc4": "+ARCFOUR-128", "aes": "+AES-128-CBC"} {
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			shake(t, port, ClientConfig(id), tls.VersionTLS10, []string{"Got a certificate list of 3 certificates"}, "gnutls-serv", "-p", port, "--echo",
				"--x509certfile", pem, "--x509keyfile", pem, "--require-client-cert",
				"--priority", "NONE:+VERS-TLS1.0:+RSA:"+suite+":+SHA1:+COMP-NULL:+SIGN-ALL:%DISABLE_SAFE_RENEGOTIATION")
		})
	}
}

// A serial number below zero, which the firmware of one maker is said to have made: godebug
// x509negativeserial. OpenSSL makes one.
func TestNegativeSerial(t *testing.T) {
	dir := t.TempDir()
	pem := filepath.Join(dir, "own.pem")
	tool(t, "openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-sha1", "-set_serial", "-5", "-subj", "/CN=old firmware", "-keyout", filepath.Join(dir, "own.key"), "-out", pem)
	b, err := os.ReadFile(pem)
	if err != nil {
		t.Fatal(err)
	}
	if f := read(t, b); f.Certificates[0].SerialNumber.Sign() >= 0 {
		t.Error("the serial number is not below zero")
	}
}

// What certtool makes, a PFX without a key, and an encrypted key with the command that our hint names.
func TestFilesOfOthers(t *testing.T) {
	dir := t.TempDir()
	m, b := made(t, Spec{})
	path := func(name string) string { return filepath.Join(dir, name) }
	load := func(name, password string) *File {
		t.Helper()
		raw, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		f, err := Read(raw, amt.NewSecret(password))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return f
	}
	all := save(t, dir, "all.pem", b)
	save(t, dir, "root.pem", m.RootPEM())
	ciphers := []string{"aes-128"}
	if os.Getenv("AMTMEDIC_LONG") != "" { // 600,000 rounds for each part take their time
		ciphers = append(ciphers, "3des-pkcs12", "rc2-40")
	}
	for _, cipher := range ciphers {
		tool(t, "certtool", "--to-p12", "--load-privkey", all, "--load-certificate", all, "--load-ca-certificate", path("root.pem"),
			"--p12-name", "setup", "--password", "sesame", "--pkcs-cipher", cipher, "--outder", "--outfile", path(cipher+".p12"))
		if r := Judge(load(cipher+".p12", "sesame"), Question{Now: now}); len(r.Problems) > 0 {
			t.Errorf("%s: %v", cipher, r.Problems)
		}
		raw, _ := os.ReadFile(path(cipher + ".p12"))
		if _, err := Read(raw, amt.NewSecret("simsim")); !errors.Is(err, ErrPassword) {
			t.Errorf("%s, wrong password: %v", cipher, err)
		}
	}
	tool(t, "openssl", "pkcs12", "-export", "-nokeys", "-in", all, "-out", path("nokey.p12"), "-passout", "pass:x")
	if r := Judge(load("nokey.p12", "x"), Question{Now: now}); strings.Join(amt.Codes(r.Problems), " ") != "no-key" {
		t.Errorf("without a key: %v", r.Problems)
	}
	tool(t, "openssl", "pkey", "-in", all, "-aes256", "-passout", "pass:x", "-out", path("locked.key"))
	if r := Judge(load("locked.key", ""), Question{Now: now}); strings.Join(amt.Codes(r.Problems), " ") != "no-certificate" {
		t.Errorf("a locked key alone: %v", r.Problems)
	}
	tool(t, "openssl", "pkey", "-in", path("locked.key"), "-passin", "pass:x", "-out", path("open.key"))
	if f := load("open.key", ""); f.Key == nil || !f.Key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(m.Key.Public()) {
		t.Error("the key that openssl pkey writes is not read")
	}
	tool(t, "openssl", "x509", "-in", all, "-outform", "DER", "-out", path("leaf.cer"))
	if f := load("leaf.cer", ""); f.Form != "DER" || len(f.Certificates) != 1 {
		t.Errorf("DER: %+v", f)
	}
	tool(t, "openssl", "pkcs12", "-export", "-in", all, "-out", path("many.p12"), "-passout", "pass:x", "-iter", "54321")
	raw, err := os.ReadFile(path("many.p12"))
	if n := rounds(raw, 0); err != nil || n != 3*54321 {
		t.Errorf("%d rounds, %v", n, err)
	}
}

// Our judgement of a chain and OpenSSL's: the same chains hold.
func TestChainsAgreeWithOpenSSL(t *testing.T) {
	dir := t.TempDir()
	for _, fault := range append([]string{""}, Faults()...) {
		for _, between := range []bool{false, true} {
			m, b := made(t, Spec{Fault: fault, Intermediate: between})
			r := Judge(read(t, b), Question{Now: now, Suffix: "corp.example", Hashes: Digests(m.Root), Version: version(t, "16.0")})
			codes := amt.Codes(r.Problems)
			ours := !strings.Contains(strings.Join(codes, " "), "expired") && !strings.Contains(strings.Join(codes, " "), "root-not-trusted")
			pem, root := save(t, dir, "all.pem", b), save(t, dir, "root.pem", m.RootPEM())
			cmd := exec.Command(peer(t, "openssl"), "verify", "-attime", "1795428000", "-auth_level", "0", "-CAfile", root, "-untrusted", pem, pem)
			out, err := cmd.CombinedOutput()
			if ours != (err == nil) {
				t.Errorf("%q: we say %v, openssl %s", fault, codes, out)
			}
			want := fault
			if fault == FaultSHA1 {
				want = "signature-hash"
			}
			if want != "" && !strings.Contains(" "+strings.Join(codes, " ")+" ", " "+want+" ") {
				t.Errorf("%q gives %v", fault, codes)
			}
		}
	}
}
