package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// opensslIn runs openssl in a folder.
func opensslIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(peerProgram(t, "openssl"), args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %q: %v %s", args, err, out)
	}
	return string(out)
}

// consoles makes with openssl what a site has: an authority, the web service's certificate, and those of
// consoles: admitted, known to nobody, made by another authority, and one for servers only.
func consoles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root := func(name string) {
		opensslIn(t, dir, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name+".key", "-out", name+".pem", "-days", "2", "-subj", "/CN="+name)
	}
	leaf := func(name, ca, subject, extensions string) {
		if err := os.WriteFile(filepath.Join(dir, name+".ext"), []byte(extensions), 0o600); err != nil {
			t.Fatal(err)
		}
		opensslIn(t, dir, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name+".key", "-out", name+".csr", "-subj", subject)
		opensslIn(t, dir, "x509", "-req", "-in", name+".csr", "-CA", ca+".pem", "-CAkey", ca+".key", "-CAcreateserial", "-days", "2", "-extfile", name+".ext", "-out", name+".pem")
	}
	root("site")
	root("stranger")
	leaf("web", "site", "/CN=localhost", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
	leaf("console", "site", "/O=Corp, Inc./CN=console-1", "extendedKeyUsage=clientAuth\n")
	leaf("unknown", "site", "/O=Corp, Inc./CN=console-2", "extendedKeyUsage=clientAuth\n")
	leaf("forged", "stranger", "/O=Corp, Inc./CN=console-1", "extendedKeyUsage=clientAuth\n")
	leaf("server", "site", "/O=Corp, Inc./CN=console-1", "extendedKeyUsage=serverAuth\n")
	return dir
}

// A certificate of a console stands for a token, or is needed beside it: curl with what openssl made.
func TestServeWebClientCertificates(t *testing.T) {
	t.Parallel()
	peerProgram(t, "curl")
	dir := consoles(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	db := in("core.db")
	if err := os.WriteFile(in("p.yaml"), []byte("name: default\ntls: {mode: server}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	amtmedic(t, 0, "profiles", "import", in("p.yaml"), "--db", db)
	token := "Authorization: Bearer " + webToken(t, db, "person", "admin")
	subject := strings.TrimSpace(amtmedic(t, 0, "web", "token", "create", "console-1", "--role", "operate", "--certificate", in("console.pem"), "--db", db))
	want(t, subject, `CN=console-1,O=Corp\, Inc.`)
	if said := opensslIn(t, dir, "x509", "-in", "console.pem", "-noout", "-subject", "-nameopt", "RFC2253"); strings.TrimSpace(strings.TrimPrefix(said, "subject=")) != `CN=console-1,O=Corp\, Inc.` {
		t.Errorf("openssl writes the subject as %q", said)
	}
	want(t, amtmedic(t, 1, "web", "token", "create", "console-2", "--certificate", `CN=console-1,O=Corp\, Inc.`, "--db", db), "has a name already")
	want(t, amtmedic(t, 0, "web", "token", "list", "--db", db), "CERTIFICATE", `CN=console-1,O=Corp\, Inc.`)
	for mode, cases := range map[string][]struct{ cert, header, path, status string }{
		"accept": {
			{"console", "", "/amts", "200"}, {"console", "", "/audit", "403"}, {"", "", "/amts", "401"}, {"unknown", "", "/amts", "401"}, {"unknown", token, "/audit", "200"},
			{"", token, "/audit", "200"}, {"forged", "", "/amts", "000"}, {"server", "", "/amts", "000"}, {"", "", "/health", "200"}, {"console", "Authorization: Bearer wrong", "/amts", "401"},
		},
		"require": {
			{"console", "", "/amts", "401"}, {"console", token, "/audit", "200"}, {"unknown", token, "/audit", "200"}, {"", token, "/audit", "000"}, {"forged", token, "/audit", "000"},
			{"", "", "/health", "000"}, {"console", "", "/health", "200"},
		},
	} {
		s := startServe(t, db, "--receive-only", "--web", "127.0.0.1:0", "--web-cert", in("web.pem"), "--web-key", in("web.key"), "--web-client-ca", in("site.pem"), "--web-client-cert", mode)
		url := webOf(t, s)
		want(t, s.text(), map[string]string{"accept": `"web_needs":"certificate or token"`, "require": `"web_needs":"certificate and token"`}[mode])
		for _, c := range cases {
			args := []string{"--cacert", in("site.pem")}
			if c.cert != "" {
				args = append(args, "--cert", in(c.cert+".pem"), "--key", in(c.cert+".key"))
			}
			if c.header != "" {
				args = append(args, "-H", c.header)
			}
			if code, body := askCurl(t, append(args, url+c.path)...); code != c.status {
				t.Errorf("%s, certificate %q, token %v, %s: %s, want %s: %s", mode, c.cert, c.header != "", c.path, code, c.status, body)
			}
		}
		if mode == "accept" {
			show := []string{"--cacert", in("site.pem"), "--cert", in("console.pem"), "--key", in("console.key"), "-H", "Content-Type: application/json"}
			if code, body := askCurl(t, append(show, "-X", "PUT", "-d", `{"fqdn":"pc1.corp.example"}`, url+"/uuid-maps/"+walkUUID)...); code != "200" {
				t.Errorf("a change: %s %s", code, body)
			}
			_, audit := askCurl(t, "--cacert", in("site.pem"), "-H", token, url+"/audit")
			want(t, audit, `"who":"console-1"`, `"action":"certificate admit"`, `"action":"put-uuid-map"`)
			want(t, s.text(), "console-2", `"tls_mode":"server"`) // who was refused
			_, health := askCurl(t, "--cacert", in("site.pem"), url+"/health")
			want(t, health, `"status":"ok"`, `"https":true`, `"tls_mode":"server"`)
		}
		if code := s.end(syscall.SIGTERM); code != 0 {
			t.Errorf("exit %d", code)
		}
	}
	amtmedic(t, 0, "web", "token", "revoke", "console-1", "--db", db)
	want(t, amtmedic(t, 0, "web", "token", "list", "--db", db), "revoked")
	for _, args := range [][]string{{"--web-client-ca", in("site.pem")}, {"--web-client-cert", "require", "--web-cert", in("web.pem"), "--web-key", in("web.key")}, {"--web-client-cert", "maybe"}} {
		amtmedic(t, 2, append([]string{"serve", "--db", db, "--listen", "127.0.0.1:0", "--web", "127.0.0.1:0"}, args...)...)
	}
	want(t, amtmedic(t, 1, "serve", "--db", db, "--listen", "127.0.0.1:0", "--web", "127.0.0.1:0", "--web-cert", in("web.pem"), "--web-key", in("web.key"), "--web-client-ca", in("web.key")), "it has no certificate")
}
