package front

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"

	"amtmedic/amt"
)

func want(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is missing in:\n%s", p, text)
		}
	}
}

func TestCurlLogsInOverPlainHTTP(t *testing.T) {
	b := start(t, "3.2.1", View{State: "post", Plain: true})
	at, _, _ := b.Addresses()
	url := "http://" + at.String()
	want(t, run(t, "", "curl", "-si", url+"/"), "HTTP/1.1 303", "Location: /logon.htm", "Server: Intel(R) Active Management Technology 3.2.1\r\n", "Content-Length: 0")
	want(t, run(t, "", "curl", "-si", url+"/wsman"), "HTTP/1.1 401", `WWW-Authenticate: Digest realm="Digest:4C4C4544", nonce="`, `stale="false"`, `qop="auth"`)
	want(t, run(t, "", "curl", "-si", "--digest", "-u", "admin:P@ssw0rd1", "-d", "hello", url+"/wsman"), "HTTP/1.1 200", "you said hello")
	want(t, run(t, "", "curl", "-si", "--digest", "-u", "admin:P@ssw0rd1", url+"/no/such/page"), "HTTP/1.1 404")
	wrong := run(t, "", "curl", "-si", "--digest", "-u", "admin:secret", url+"/wsman")
	if strings.Contains(wrong, "200 OK") || strings.Count(wrong, "HTTP/1.1 401") != 2 {
		t.Errorf("a wrong password gives:\n%s", wrong)
	}
	want(t, b.refused(), "user, password or realm do not fit")
	if strings.Contains(run(t, "", "curl", "-si", "--digest", "-u", "Admin:P@ssw0rd1", url+"/wsman"), "200 OK") {
		t.Error("another user was let in")
	}
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, make([]byte, maxBody+1), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, run(t, "", "curl", "-si", "-H", "Expect:", "--data-binary", "@"+long, url+"/wsman"), "HTTP/1.1 413")
}

func TestNonceCountIsTakenOnce(t *testing.T) {
	b := start(t, "9.0", View{State: "post", Plain: true})
	at, _, _ := b.Addresses()
	url := "http://" + at.String() + "/wsman"
	talk := run(t, "", "curl", "-sv", "--digest", "-u", "admin:P@ssw0rd1", url)
	m := regexp.MustCompile(`(?m)^> (Authorization: Digest username.*?)\r?$`).FindStringSubmatch(talk)
	if m == nil || !strings.Contains(talk, "< HTTP/1.1 200") {
		t.Fatalf("curl did not log in:\n%s", talk)
	}
	again := run(t, "", "curl", "-si", "-H", m[1], url) // another connection, the same nonce and count
	want(t, again, "HTTP/1.1 401", `stale="true"`, "Server: Intel(R) Active Management Technology 9.0.0")
}

// TestOneNonceForManyRequests uses another author's client: one challenge, counts upwards, each
// request on a connection of its own, with and without the body covered.
func TestOneNonceForManyRequests(t *testing.T) {
	for _, v := range []string{"3.2.1", "9.0"} {
		b := start(t, v, View{State: "post", Plain: true})
		at, _, _ := b.Addresses()
		tr := &digest.Transport{Username: "admin", Password: "P@ssw0rd1", Transport: &http.Transport{DisableKeepAlives: true}}
		if v == "9.0" {
			tr.FindChallenge = func(h http.Header) (*digest.Challenge, error) {
				c, err := digest.FindChallenge(h)
				if err == nil {
					c.QOP = []string{"auth-int"}
				}
				return c, err
			}
		}
		client := &http.Client{Transport: tr, Timeout: 10 * time.Second}
		for i := range 5 {
			resp, err := client.Post("http://"+at.String()+"/wsman", "text/xml", strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != 200 || string(body) != "you said hello" {
				t.Errorf("%s, request %d: %s %q", v, i, resp.Status, body)
			}
		}
		if b.login.last != 1 {
			t.Errorf("%s: %d challenges for 5 requests, want 1", v, b.login.last)
		}
	}
}

func TestCurlOverTLS(t *testing.T) {
	for v, args := range map[string][]string{"16.1": nil, "12.0": nil, "9.0": {"--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"}, "3.2.1": {"--tlsv1.0", "--tls-max", "1.0", "--ciphers", "DEFAULT@SECLEVEL=0"}} {
		t.Run(v, func(t *testing.T) {
			b := start(t, v, View{State: "post", TLS: OwnTLS})
			_, at, _ := b.Addresses()
			out := run(t, "", "curl", append(args, "-skvi", "--digest", "-u", "admin:P@ssw0rd1", "-d", "over TLS", "https://"+at.String()+"/wsman")...)
			want(t, out, "HTTP/1.1 200", "you said over TLS", "CN="+b.uuid.String())
		})
	}
}

var pair = struct {
	pid amt.PID
	pps amt.Secret
}{"4KRG65QT", amt.NewSecret("ABCDEFGH12345678JKLMNPQR98765432")}

func TestOpenSSLWithThePair(t *testing.T) {
	b := start(t, "3.2.1", View{State: "in", TLS: PairTLS, PID: pair.pid, PPS: pair.pps})
	_, at, _ := b.Addresses()
	get := "GET /wsman HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	key := hex.EncodeToString([]byte(pair.pps.Reveal()))
	args := func(id, key string) []string {
		return []string{"s_client", "-connect", at.String(), "-psk_identity", id, "-psk", key, "-cipher", "PSK:@SECLEVEL=0", "-tls1", "-ign_eof"}
	}
	want(t, run(t, get, "openssl", args("4KRG65QT", key)...), "HTTP/1.1 401 Unauthorized", "Server: Intel(R) Active Management Technology 3.2.1", "TLSv1")
	for name, bad := range map[string][]string{
		"wrong key": args("4KRG65QT", strings.Repeat("41", 32)), "another PID": args("4KRG65QU", key), "dashed PID": args("4KRG-65QT", key),
	} {
		if out := run(t, get, "openssl", bad...); strings.Contains(out, "HTTP/1.1") || !strings.Contains(out, "alert bad record mac") {
			t.Errorf("%s gives:\n%s", name, out)
		}
	}
	if out := run(t, get, "openssl", append(args("4KRG65QT", key), "-tls1_2")...); strings.Contains(out, "HTTP/1.1") {
		t.Errorf("AMT 3.2.1 spoke TLS 1.2:\n%s", out)
	}
	b.desk.set(func(v *View) { v.PID, v.PPS = "", amt.Secret{} })
	if out := run(t, get, "openssl", args("", "")...); strings.Contains(out, "HTTP/1.1") {
		t.Errorf("a client without a pair let somebody in:\n%s", out)
	}
}

func TestGnuTLSWithThePair(t *testing.T) {
	b := start(t, "3.2.1", View{State: "in", TLS: PairTLS, PID: pair.pid, PPS: pair.pps})
	_, at, _ := b.Addresses()
	for _, suite := range []string{"AES-128-CBC", "AES-256-CBC", "3DES-CBC", "ARCFOUR-128"} {
		out := run(t, "GET /wsman HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "gnutls-cli", "-p", fmt.Sprint(at.Port()), at.Addr().String(), "--pskusername", "4KRG65QT",
			"--pskkey", hex.EncodeToString([]byte(pair.pps.Reveal())), "--priority", "NONE:+VERS-TLS1.0:+PSK:+"+suite+":+SHA1:+COMP-NULL:+SIGN-ALL")
		want(t, out, "HTTP/1.1 401 Unauthorized", suite)
	}
}

// TestOpenSSLWithCertificates judges what strangers see of our refusals: the alerts.
func TestOpenSSLWithCertificates(t *testing.T) {
	good := chain(t, "provisionserver.corp.example", nil)
	tests := []struct {
		name, alert, reason string
		certs               []*x509.Certificate
		change              func(*View)
	}{
		{"accepted", "", "", good, nil},
		{"no certificate", "alert number 40", "didn't provide a certificate", nil, nil},
		{"no OID", "alert number 43", "neither the usage", chain(t, "provisionserver.corp.example", func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil }), nil},
		{"foreign root", "alert number 48", "not among", good, func(v *View) { v.Hashes = hashOf(good[0]) }},
		{"root not sent", "alert number 48", "does not contain its root", good[:2], nil},
		{"wrong suffix", "alert number 42", "does not fit", good, func(v *View) { v.Suffix = "branch.example" }},
		{"no suffix", "alert number 42", "does not fit", good, func(v *View) { v.Suffix = "" }},
		{"expired", "alert number 45", "is valid from", good, func(v *View) { v.Now = time.Now().Add(48 * time.Hour) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := View{State: "in", TLS: SetupTLS, Hashes: hashOf(good[2]), Suffix: "corp.example", Now: time.Now()}
			if tt.change != nil {
				tt.change(&v)
			}
			b := start(t, "9.0", v)
			_, at, _ := b.Addresses()
			args := []string{"s_client", "-connect", at.String(), "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0", "-ign_eof"}
			if tt.certs != nil {
				leaf, rest, key := pemFiles(t, tt.certs)
				args = append(args, "-cert", leaf, "-key", key, "-cert_chain", rest)
			}
			out := run(t, "POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", "openssl", args...)
			if tt.alert == "" {
				want(t, out, "HTTP/1.1 200 OK", "you said hi")
				return
			}
			want(t, out, tt.alert)
			want(t, b.refused(), tt.reason)
			if strings.Contains(out, "HTTP/1.1") {
				t.Errorf("it was let in:\n%s", out)
			}
		})
	}
}

func TestRMCPPing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.0/8 is loopback on Linux alone")
	}
	b := startAt(t, "9.0", View{State: "in", TLS: SetupTLS}, Options{})
	if err := b.s.PingError(); err != nil {
		t.Skipf("UDP 623 needs a privilege: %v", err)
	}
	at := b.addr.String()
	want(t, run(t, "", "rmcpping", "-c", "1", "-v", at), "pong received from "+at, "message_tag=", "1 pings transmitted, 1 pongs received")
}

// TestOpenSSLWithMutualTLS: after the setup the managing program may have to show a certificate.
func TestOpenSSLWithMutualTLS(t *testing.T) {
	console := chain(t, "console.corp.example", nil)
	for name, trusted := range map[string]bool{"trusted": true, "foreign": false} {
		roots := x509.NewCertPool()
		if trusted {
			roots.AddCert(console[2])
		}
		b := start(t, "12.0", View{State: "post", TLS: OwnTLS, Mutual: true, Roots: roots})
		_, at, _ := b.Addresses()
		leaf, rest, key := pemFiles(t, console)
		out := run(t, "GET /wsman HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "openssl", "s_client", "-connect", at.String(), "-tls1_2", "-ign_eof", "-cert", leaf, "-key", key, "-cert_chain", rest)
		if trusted {
			want(t, out, "HTTP/1.1 401 Unauthorized", "TLSv1.2") // the log-in is asked for all the same
		} else if !strings.Contains(out, "alert number 48") || strings.Contains(out, "HTTP/1.1") {
			t.Errorf("%s: %s", name, out)
		}
	}
}
