package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tlsSite is a server whose default profile uses TLS, and what a stranger needs to judge its clients.
type tlsSite struct {
	*server
	t              *testing.T
	db, lab        string
	root, own, crl string // PEM files
}

// startTLS makes database, profile and practice certificate, and starts the server.
func startTLS(t *testing.T, mode string, args ...string) *tlsSite {
	t.Helper()
	dir := t.TempDir()
	s := &tlsSite{t: t, db: filepath.Join(dir, "core.db"), lab: filepath.Join(dir, "lab"), root: filepath.Join(dir, "root.pem"), own: filepath.Join(dir, "own.pem"), crl: filepath.Join(dir, "crl.pem")}
	text := "name: default\ntls: " + mode + "\nacl:\n  - {user: helpdesk, realms: [redirection, remote-control]}\nconsent: kvm\nredirection: {sol: on}\n"
	file := filepath.Join(dir, "profile.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := amtmedic(t, 0, "profiles", "import", file, "--db", s.db); !strings.Contains(mode, "{") && !strings.Contains(out, "tls_mode is "+mode) {
		t.Errorf("import says %s", out)
	}
	amtmedic(t, 0, "cert", "create-lab", "--out", s.lab, "--suffix", "corp.example")
	s.server = startServe(t, s.db, append([]string{"--provisioning-cert", filepath.Join(s.lab, "provisioning.pem")}, args...)...)
	return s
}

// clients starts clients and tells the server what it needs to know of them.
func (s *tlsSite) clients(method, version, address string, n int) {
	s.t.Helper()
	inv, _ := simulated(s.t, s.addr, "--count", fmt.Sprint(n), "--address", address, "--method", method, "--amt-version", version,
		"--trust", filepath.Join(s.lab, "root.pem"), "--suffix", "corp.example", "--keep")
	if method == "psk" {
		amtmedic(s.t, 0, "keys", "import", filepath.Join(inv, "keys.csv"), "--db", s.db)
	}
	renamed(s.t, filepath.Join(inv, "map.csv"), method+strings.ReplaceAll(version, ".", "")+"-")
	amtmedic(s.t, 0, "discover", "import", filepath.Join(inv, "map.csv"), "--db", s.db)
}

// wait gives the clients once all are provisioned.
func (s *tlsSite) wait(n int, each func()) []clientLine {
	s.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		all := known(s.t, s.db)
		done := 0
		for _, c := range all {
			if c.State == "provisioned" {
				done++
			}
		}
		if done == n {
			return all
		}
		if time.Now().After(end) {
			s.t.Fatalf("%d of %d are provisioned:\n%s\n%s", done, n, amtmedic(s.t, 0, "clients", "--db", s.db), tail(s.text(), 3000))
		}
		each()
	}
}

// strangers runs a program that we did not write.
func strangers(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	bin, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(name + " is missing")
		}
		t.Skip(name + " is missing: nobody else judged the clients")
	}
	cmd := exec.Command(bin, args...)
	cmd.Stdin = strings.NewReader("Q\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// export writes what others need.
func (s *tlsSite) export() {
	s.t.Helper()
	amtmedic(s.t, 0, "ca", "export", "--out", s.root, "--manager", s.own, "--force", "--db", s.db)
	amtmedic(s.t, 0, "ca", "crl", "--out", s.crl, "--force", "--db", s.db)
}

// handshake lets openssl judge what a client shows on 16993; with asks for our own certificate too.
func (s *tlsSite) handshake(c clientLine, own bool) (string, error) {
	args := []string{"s_client", "-connect", c.Address + ":16993", "-CAfile", s.root, "-verify_return_error", "-verify_hostname", c.FQDN,
		"-CRL", s.crl, "-crl_check", "-cipher", "ALL:@SECLEVEL=0", "-legacy_server_connect", "-ign_eof"}
	if own {
		args = append(args, "-cert", s.own, "-key", s.own)
	}
	bin, err := exec.LookPath("openssl")
	if err != nil {
		return strangers(s.t, "openssl")
	}
	cmd := exec.Command(bin, args...)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.1\r\nHost: " + c.FQDN + "\r\nConnection: close\r\n\r\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// logIn lets curl log in over TLS, and gives the HTTP status, 000 where no handshake came about.
func (s *tlsSite) logIn(c clientLine, user, password string, own bool) string {
	s.t.Helper()
	args := []string{"-s", "-o", filepath.Join(s.t.TempDir(), "page"), "-w", "%{http_code}", "--max-time", "20", "--digest", "-u", user + ":" + password,
		"--cacert", s.root, "--tlsv1.0", "--ciphers", "DEFAULT:@SECLEVEL=0", "--resolve", c.FQDN + ":16993:" + c.Address}
	if own {
		args = append(args, "--cert", s.own)
	}
	out, _ := strangers(s.t, "curl", append(args, "https://"+c.FQDN+":16993/index.htm")...)
	return out
}

// secretOf gives a random password of one client.
func (s *tlsSite) secretOf(c clientLine, name string) string {
	s.t.Helper()
	for line := range strings.Lines(amtmedic(s.t, 0, "profiles", "secrets", c.UUID.String(), "--reveal", "--json", "--db", s.db)) {
		var l secretLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			s.t.Fatal(err)
		}
		if l.Name == name {
			return l.Value
		}
	}
	s.t.Errorf("%s has no %s", c.UUID, name)
	return ""
}

// Clients of both methods whose profile uses TLS end on 16993 with a certificate of ours: openssl
// verifies it, curl logs in over it, with mutual TLS only with a certificate of ours.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	for i, mode := range []string{"server", "mutual"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := startTLS(t, mode)
			s.clients("psk", "3.2.1", fmt.Sprintf("127.0.%d.1", 66+2*i), 2)
			s.clients("pki", "9.0", fmt.Sprintf("127.0.%d.1", 67+2*i), 2)
			s.clients("pki", "16.1", fmt.Sprintf("127.0.%d.9", 67+2*i), 1)
			all := s.wait(5, func() {})
			s.export()
			mutual := mode == "mutual"
			for _, c := range all {
				if out, err := s.handshake(c, mutual); err != nil || !strings.Contains(out, "Verify return code: 0 (ok)") {
					t.Errorf("%s, AMT %s: openssl: %v\n%s", c.FQDN, c.AMTVersion, err, tail(out, 1500))
				}
				if mutual {
					if out := s.logIn(c, "admin", c.Password, false); out != "000" {
						t.Errorf("%s: without a certificate: %s", c.FQDN, out)
					}
				}
				if out := s.logIn(c, "admin", c.Password, mutual); out != "200" {
					t.Errorf("%s: the administrator: %s", c.FQDN, out)
				}
				if out := s.logIn(c, "helpdesk", s.secretOf(c, "user:helpdesk"), mutual); out != "200" {
					t.Errorf("%s: the user: %s", c.FQDN, out)
				}
				if strings.Contains(s.text(), s.secretOf(c, "user:helpdesk")) {
					t.Error("a password stands in the log")
				}
			}
			if code := s.end(syscall.SIGTERM); code != 0 {
				t.Errorf("exit %d", code)
			}
		})
	}
}

// A company's authority, played by openssl, signs ours. Clients whose profile wants it wait until then.
func TestServeExternalAuthority(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	must := func(out string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(out)
		}
	}
	must(strangers(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path("corp.key"), "-out", path("corp.pem"), "-days", "3650",
		"-subj", "/O=Corp/CN=Corp Root", "-addext", "keyUsage=critical,keyCertSign,cRLSign"))
	s := startTLS(t, "{mode: mutual, authority: external, names: [corp.example]}")
	s.clients("pki", "9.0", "127.0.71.1", 1)
	for end := time.Now().Add(30 * time.Second); !strings.Contains(amtmedic(t, 0, "clients", "--db", s.db), "rc-ca-unavailable"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(amtmedic(t, 0, "clients", "--db", s.db))
		}
	}
	amtmedic(t, 0, "ca", "csr", "--organization", "Corp", "--out", path("req.pem"), "--db", s.db)
	must(strangers(t, "openssl", "x509", "-req", "-in", path("req.pem"), "-CA", path("corp.pem"), "-CAkey", path("corp.key"), "-CAcreateserial", "-days", "1000", "-copy_extensions", "copy", "-out", path("sub.pem")))
	var chain []byte
	for _, name := range []string{"sub.pem", "corp.pem"} {
		raw, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, raw...)
	}
	if err := os.WriteFile(s.root, chain, 0o600); err != nil { // openssl has to know both: the client shows its own alone
		t.Fatal(err)
	}
	if out := amtmedic(t, 0, "ca", "import", s.root, "--db", s.db); !strings.Contains(out, "1 client waited for it") {
		t.Errorf("import says %s", out)
	}
	all := s.wait(1, func() {})
	amtmedic(t, 0, "ca", "export", "--authority", "external", "--out", path("root.pem"), "--manager", s.own, "--db", s.db)
	if out := s.logIn(all[0], "admin", all[0].Password, true); out != "200" {
		t.Errorf("with our certificate: %s", out)
	}
	if out := s.logIn(all[0], "admin", all[0].Password, false); out != "000" {
		t.Errorf("without: %s", out)
	}
	must(strangers(t, "cmp", path("root.pem"), path("corp.pem")))
}

// A server that is killed again and again leaves no client without a certificate that counts, and no
// certificate that nobody knows.
func TestServeTLSKilled(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("a long test: AMTMEDIC_LONG=1")
	}
	s := startTLS(t, "server", "--sessions", "2")
	port := s.addr[strings.LastIndexByte(s.addr, ':')+1:]
	inv, _ := simulated(t, s.addr, "--count", "12", "--address", "127.0.70.1", "--keep", "--inject", "*=slow:30ms")
	amtmedic(t, 0, "keys", "import", filepath.Join(inv, "keys.csv"), "--db", s.db)
	amtmedic(t, 0, "discover", "import", filepath.Join(inv, "map.csv"), "--db", s.db)
	kills := 0
	all := s.wait(12, func() {
		if kills < 15 {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
			kills++
			s.server = startServe(t, s.db, "--sessions", "2", "--listen", "127.0.0.1:"+port)
			time.Sleep(700 * time.Millisecond)
		}
	})
	if kills < 4 {
		t.Errorf("only %d kills: the test says little", kills)
	}
	s.export()
	for _, c := range all {
		if out, err := s.handshake(c, false); err != nil || !strings.Contains(out, "Verify return code: 0 (ok)") {
			t.Errorf("%s: openssl: %v\n%s", c.FQDN, err, tail(out, 1500))
		}
		if out := s.logIn(c, "admin", c.Password, false); out != "200" {
			t.Errorf("%s: the administrator: %s", c.FQDN, out)
		}
		if out := s.logIn(c, "helpdesk", s.secretOf(c, "user:helpdesk"), false); out != "200" {
			t.Errorf("%s: the user: %s", c.FQDN, out)
		}
	}
	t.Logf("%d kills", kills)
}
