package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// peerProgram gives the path of a foreign program. Without it a test skips, in CI it fails.
func peerProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("%s is missing", name)
	}
	return path
}

// webOf gives the address of a server's web service from its ready line.
func webOf(t *testing.T, s *server) string {
	t.Helper()
	m := regexp.MustCompile(`"web":"([^"]+)"`).FindStringSubmatch(s.text())
	if m == nil {
		t.Fatalf("no web address: %s", s.text())
	}
	return m[1]
}

// askCurl runs curl and gives the status and the body.
func askCurl(t *testing.T, args ...string) (status, body string) {
	t.Helper()
	cmd := exec.Command(peerProgram(t, "curl"), append([]string{"--noproxy", "*", "-sS", "--max-time", "30", "-w", "\n%{http_code}"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	text := strings.TrimRight(out.String(), "\n")
	i := strings.LastIndexByte(text, '\n')
	return text[i+1:], text[:max(i, 0)] + errs.String()
}

// webToken makes a token on the command line.
func webToken(t *testing.T, db, name, role string) string {
	t.Helper()
	var line struct{ Token string }
	if err := json.Unmarshal([]byte(amtmedic(t, 0, "web", "token", "create", name, "--role", role, "--db", db, "--json")), &line); err != nil || line.Token == "" {
		t.Fatalf("%+v, %v", line, err)
	}
	return line.Token
}

// A console of curl, over http on loopback: it reads, changes, listens, and the server ends with the
// stream open.
func TestServeWebCurl(t *testing.T) {
	t.Parallel()
	peerProgram(t, "curl")
	db := filepath.Join(t.TempDir(), "core.db")
	operate, admin := webToken(t, db, "console", "operate"), webToken(t, db, "boss", "admin")
	s := startServe(t, db, "--receive-only", "--web", ":0")
	url := webOf(t, s)
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Fatalf("without a certificate it listens on %s", url)
	}
	as := func(token string) []string {
		return []string{"-H", "Authorization: Bearer " + token, "-H", "Content-Type: application/json"}
	}
	is := func(want string, args ...string) string {
		t.Helper()
		code, body := askCurl(t, args...)
		if code != want {
			t.Errorf("curl %q: %s, want %s: %s", args, code, want, body)
		}
		return body
	}
	stream := exec.Command("curl", "--noproxy", "*", "-sSN", "-H", "Authorization: Bearer "+operate, url+"/events")
	out, err := stream.StdoutPipe()
	if err != nil || stream.Start() != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Process.Kill() }()
	events := bufio.NewScanner(out)
	for events.Scan() && events.Text() != "event: beat" {
	}
	psk := append(mustHex(t, "010002000300000000010203040506070809"+"0a0b0c0d0e0f"), "0000037M"...)
	if !acknowledged(s.addr, psk) {
		t.Fatal("the hello was not acknowledged")
	}
	for events.Scan() && !strings.HasPrefix(events.Text(), `data: {"kind"`) {
	}
	want(t, events.Text(), `"kind":"hello"`, walkUUID, `"pid":"0000037M"`, "rc-pid-unknown")
	is("401", url+"/amts")
	want(t, is("200", url+"/health"), `"status":"ok"`)
	want(t, is("200", append(as(operate), url+"/amts/"+walkUUID)...), `"state":"delayed"`, "rc-pid-unknown")
	is("200", append(as(operate), "-X", "PUT", "-d", `{"pps":"`+walkPPS+`"}`, url+"/pid-map/0000037M")...)
	want(t, is("200", append(as(operate), url+"/queue")...), walkUUID)
	is("403", append(as(operate), "-X", "PUT", "-d", `{"value":"60"}`, url+"/configuration/retry_s")...)
	is("200", append(as(admin), "-X", "PUT", "-d", `{"value":"60"}`, url+"/configuration/retry_s")...)
	csv := filepath.Join(t.TempDir(), "map.csv")
	if err := os.WriteFile(csv, []byte("uuid,fqdn,profile\n"+walkUUID+",pc1.corp.example,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, is("200", "-H", "Authorization: Bearer "+operate, "-H", "Content-Type: text/csv", "--data-binary", "@"+csv, url+"/uuid-maps/import"), `"imported":1`)
	want(t, is("200", url+"/metrics"), `amtmedic_hellos_total{result="hello"} 1`, "amtmedic_queue_entries 1")
	audit := is("200", append(as(admin), url+"/audit")...)
	want(t, audit, `"action":"put-pid"`, `"who":"console"`, `"action":"put-configuration"`, `"action":"token create"`)
	amtmedic(t, 0, "web", "token", "revoke", "console", "--db", db)
	is("401", append(as(operate), url+"/amts")...)
	want(t, amtmedic(t, 0, "web", "token", "list", "--db", db), "revoked", "boss")
	for _, text := range []string{audit, s.text()} {
		if strings.Contains(text, walkPPS) || strings.Contains(text, "amw_") {
			t.Errorf("a secret stands in %s", text)
		}
	}
	begun := time.Now()
	if code := s.end(syscall.SIGTERM); code != 0 || time.Since(begun) > 10*time.Second {
		t.Errorf("exit %d after %v: %s", code, time.Since(begun), s.text())
	}
}

// https exactly when AMT management uses TLS: all four cells, in the words of the catalogue.
func TestServeWebScheme(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, cert, key := filepath.Join(dir, "core.db"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if out, err := exec.Command(peerProgram(t, "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
		"-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1").CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v %s", err, out)
	}
	read := webToken(t, db, "console", "read")
	start := []string{"serve", "--db", db, "--listen", "127.0.0.1:0", "--receive-only", "--web", "127.0.0.1:0"}
	tls := []string{"--web-cert", cert, "--web-key", key}
	catalogue := func(id, said string) {
		t.Helper()
		first, _, _ := strings.Cut(strings.TrimPrefix(said, "amtmedic: error: "+id+": "), ": tls_mode")
		want(t, said, "amtmedic: error: "+id+": ")
		want(t, amtmedic(t, 0, "explain", id), first)
	}
	catalogue("rc-https-on-no-tls", amtmedic(t, 1, append(start, tls...)...))
	profile := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(profile, []byte("name: default\ntls: {mode: server}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	amtmedic(t, 0, "profiles", "import", profile, "--db", db)
	catalogue("rc-https-off-with-tls", amtmedic(t, 1, start...))
	s := startServe(t, db, append([]string{"--receive-only", "--web", "127.0.0.1:0"}, tls...)...)
	url := webOf(t, s)
	if !strings.HasPrefix(url, "https://") {
		t.Fatal(url)
	}
	if code, body := askCurl(t, "--cacert", cert, "-H", "Authorization: Bearer "+read, url+"/profiles"); code != "200" || !strings.Contains(body, `"tls":true`) {
		t.Errorf("%s %s", code, body)
	}
	if code, _ := askCurl(t, "--cacert", cert, "--tls-max", "1.1", url+"/health"); code != "000" {
		t.Errorf("TLS 1.1: %s", code)
	}
	if code, body := askCurl(t, "http"+strings.TrimPrefix(url, "https")+"/health"); code == "200" {
		t.Errorf("http on the https port: %s %s", code, body)
	}
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// What would be wrong or dangerous is refused before anything listens.
func TestServeWebRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := filepath.Join(dir, "core.db")
	base := []string{"serve", "--db", db, "--listen", "127.0.0.1:0", "--receive-only"}
	bad := filepath.Join(dir, "bad.pem")
	if err := os.WriteFile(bad, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		code int
		args []string
		says string
	}{
		{"beyond loopback in clear", 1, []string{"--web", "0.0.0.0:0"}, "--web-insecure"},
		{"a certificate alone", 2, []string{"--web", "127.0.0.1:0", "--web-cert", bad}, "go together"},
		{"flags without a service", 2, []string{"--web-insecure"}, "go with --web"},
		{"both", 2, []string{"--web", "127.0.0.1:0", "--web-cert", bad, "--web-key", bad, "--web-insecure"}, "without a certificate"},
		{"no port", 2, []string{"--web", "localhost"}, "not HOST:PORT"},
		{"an address of others", 1, []string{"--web", "192.0.2.1:80"}, "listen for the web service"},
	} {
		t.Run(c.name, func(t *testing.T) { want(t, amtmedic(t, c.code, append(base, c.args...)...), c.says) })
	}
	amtmedic(t, 2, "web", "token", "create", "--db", db)
	amtmedic(t, 2, "web", "token", "create", "x", "--role", "root", "--db", db)
	amtmedic(t, 1, "web", "token", "revoke", "nobody", "--db", db)
	amtmedic(t, 0, "web", "token", "create", "x", "--db", db)
	want(t, amtmedic(t, 1, "web", "token", "create", "x", "--db", db), "the name is taken")
	want(t, amtmedic(t, 0, "web", "openapi"), `"openapi": "3.1.0"`)
}
