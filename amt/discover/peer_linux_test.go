package discover

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// need skips without a program, except in CI, and gives its path.
func need(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// start runs a server until the test ends and waits for its port.
func start(t *testing.T, port int, name string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen: %s", name, out.String())
		}
	}
}

// lighttpd serves with any header Server. It gives the port.
func lighttpd(t *testing.T, tag string) int {
	program := need(t, "lighttpd")
	dir, port := t.TempDir(), closed(t, "127.0.0.1")
	conf := filepath.Join(dir, "conf")
	text := fmt.Sprintf("server.document-root = %q\nserver.bind = \"127.0.0.1\"\nserver.port = %d\nserver.tag = %q\n", dir, port, tag)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, port, program, "-D", "-f", conf)
	return port
}

// A web server that we did not write is believed when it says that it is AMT, and only then.
func TestForgedHeaderOfLighttpd(t *testing.T) {
	for tag, version := range map[string]string{amt5: "5.2.1", "lighttpd/1.4": "", "Intel(R) Standard Manageability 11.8.50": "11.8.50", "AMTServer 9": ""} {
		h, reached := askOne(t, "127.0.0.1", Ports{Plain: lighttpd(t, tag), TLS: closed(t, "127.0.0.1"), Ping: closed(t, "127.0.0.1")})
		if !reached || (h != nil) != (version != "") || h != nil && h.AMTVersion != version {
			t.Errorf("%s: %+v, %v", tag, h, reached)
		}
	}
}

// OpenSSL's TLS in front of it: each version alone, with a small key and an old signature.
func TestBehindStunnel(t *testing.T) {
	program, openssl := need(t, "stunnel"), need(t, "openssl")
	web := lighttpd(t, amt5)
	dir := t.TempDir()
	pem := filepath.Join(dir, "pem")
	out, err := exec.Command(openssl, "req", "-x509", "-newkey", "rsa:1024", "-sha1", "-nodes", "-days", "3", "-subj", "/CN=pc", "-keyout", pem, "-out", pem+"2").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for v, want := range map[string]string{"1": "1.0", "1.1": "1.1", "1.2": "1.2", "1.3": "1.3"} {
		port := closed(t, "127.0.0.1")
		conf := filepath.Join(dir, "conf"+v)
		text := fmt.Sprintf("foreground = yes\npid =\n[x]\naccept = 127.0.0.1:%d\nconnect = 127.0.0.1:%d\nkey = %s\ncert = %s2\nsslVersion = TLSv%s\nciphers = ALL:@SECLEVEL=0\n", port, web, pem, pem, v)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		start(t, port, program, conf)
		h, _ := askOne(t, "127.0.0.1", Ports{Plain: closed(t, "127.0.0.1"), TLS: port, Ping: closed(t, "127.0.0.1")})
		if h == nil || h.TLS != want || h.AMTVersion != "5.2.1" {
			t.Errorf("TLS %s: %+v", v, h)
		}
	}
}

// Our ping is the one that freeipmi's rmcpping sends, its tag apart.
func TestPingLikeFreeIPMI(t *testing.T) {
	program := need(t, "rmcpping")
	c, err := net.ListenPacket("udp", "127.0.73.1:623")
	if err != nil {
		t.Skipf("the port of the ping needs rights: %v", err)
	}
	defer c.Close()
	cmd := exec.Command(program, "-c", "1", "-t", "1", "127.0.73.1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	b := make([]byte, 512)
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	n, _, err := c.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	theirs := b[:n]
	ours := ping(theirs[min(9, n-1)])
	ours[2] = theirs[2] // the sequence number is free: 255 asks for no acknowledgement
	if !bytes.Equal(ours, theirs) {
		t.Errorf("ours   %x\ntheirs %x", ours, theirs)
	}
}
