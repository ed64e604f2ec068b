package device

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"
)

// guard is the log-in of a client as a script of its challenges.
type guard struct {
	password string
	nonce    int  // number of the current one
	stale    bool // whether it says that a nonce is stale
	uses     int  // requests that a nonce is good for; 0: any
	used     int
	log      []string // what came: "none", "wrong", "stale" or the nonce count
}

// serve answers requests of one connection.
func (g *guard) serve(p *peer) {
	for {
		r, _, ok := p.request()
		if !ok {
			return
		}
		stale := false
		switch c, err := digest.ParseCredentials(r.Header.Get("Authorization")); {
		case err != nil:
			g.log = append(g.log, "none")
		case c.Nonce != fmt.Sprint("nonce", g.nonce) || g.uses > 0 && g.used == g.uses:
			g.log, stale = append(g.log, "stale"), g.stale
		default:
			want, _ := digest.Digest(&digest.Challenge{Realm: c.Realm, Nonce: c.Nonce, QOP: []string{"auth"}},
				digest.Options{Method: "POST", URI: "/wsman", Count: c.Nc, Username: "admin", Password: g.password, Cnonce: c.Cnonce})
			if want.Response == c.Response && c.Username == "admin" {
				g.log = append(g.log, fmt.Sprint(c.Nc))
				g.used++
				p.answer(200, "", stateAnswer)
				continue
			}
			g.log = append(g.log, "wrong")
		}
		g.nonce, g.used = g.nonce+1, 0
		p.answer(401, fmt.Sprintf(challenge, fmt.Sprint("nonce", g.nonce), stale), "")
	}
}

// What is sent for a log-in, and how often: firmware may count refused attempts.
func TestLogInAttempts(t *testing.T) {
	cases := map[string]struct {
		g      guard
		logins []Login
		calls  int
		want   string
		kind   Kind // of the last call
	}{
		"challenge once, then counted": {guard{password: "right"}, []Login{admin("right")}, 3, "none 1 2 3", ""},
		"second password":              {guard{password: "right"}, []Login{admin("old"), admin("right"), admin("other")}, 2, "none wrong 1 2", ""},
		"wrong once only":              {guard{password: "right"}, []Login{admin("wrong")}, 1, "none wrong", KindLogin},
		"none of two":                  {guard{password: "right"}, []Login{admin("a"), admin("b")}, 1, "none wrong wrong", KindLogin},
		"stale, said so":               {guard{password: "right", uses: 2, stale: true}, []Login{admin("right")}, 4, "none 1 2 stale 1 2", ""},
		"stale, not said":              {guard{password: "right", uses: 2}, []Login{admin("right")}, 4, "none 1 2 stale 1 2", ""},
		"no log-in known":              {guard{password: "right"}, nil, 1, "none", KindLogin},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, c.g.serve)
			sess := plain(t, s, c.logins...)
			d := NewWSMan(sess)
			var err error
			for range c.calls {
				_, err = d.State(testContext(t))
			}
			if KindOf(err) != c.kind {
				t.Errorf("got %v", err)
			}
			if got := strings.Join(c.g.log, " "); got != c.want {
				t.Errorf("came %q, want %q", got, c.want)
			}
			if l, ok := d.Accepted(); ok != (c.kind == "") || ok && l.Password.Reveal() != "right" {
				t.Errorf("accepted %v, %v", l.Password.Reveal(), ok)
			}
			if c.kind != "" && strings.Contains(err.Error(), "right") {
				t.Errorf("a password is in %v", err)
			}
		})
	}
}

// After a change of the administrator the new log-in comes first; the old one serves firmware that
// changes at the commit only.
func TestLogInAfterSetAdmin(t *testing.T) {
	for name, c := range map[string]struct{ password, want string }{
		"at once":   {"new", "none 1 2"},
		"at commit": {"old", "none 1 wrong 1 2"},
	} {
		t.Run(name, func(t *testing.T) {
			g := guard{password: "old"}
			s := newScripted(t, g.serve)
			d := NewWSMan(plain(t, s, admin("old")))
			if _, err := d.State(testContext(t)); err != nil {
				t.Fatal(err)
			}
			g.password = c.password
			d.LogIn(admin("new"), admin("old"))
			for range 1 + len(c.want)/13 {
				if _, err := d.State(testContext(t)); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Join(g.log, " "); got != c.want {
				t.Errorf("came %q, want %q", got, c.want)
			}
		})
	}
}

// lighttpd starts a web server that strangers wrote, with digest log-in at /wsman, where a recorded
// answer lies.
func lighttpd(t *testing.T, algorithm string) string {
	t.Helper()
	bin := "/usr/sbin/lighttpd"
	if _, err := os.Stat(bin); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("lighttpd is not installed")
	}
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	answer := write("answer.xml", recorded(t, "amt", "setupandconfiguration", "get.xml"), 0o644)
	write("wsman", "cat >/dev/null\nprintf 'Content-Type: application/soap+xml\\r\\n\\r\\n'\ncat "+answer+"\n", 0o755)
	users := write("users", "admin:P@ssw0rd1\n", 0o600)
	for range 5 { // the port may be taken between its choice and its use
		port := freePort(t)
		config := write("lighttpd.conf", fmt.Sprintf(`server.document-root = "%s"
server.bind = "127.0.0.1"
server.port = %s
server.modules = ("mod_auth", "mod_authn_file", "mod_cgi")
cgi.assign = ("wsman" => "/bin/sh")
auth.backend = "plain"
auth.backend.plain.userfile = "%s"
auth.require = ("/wsman" => ("method" => "digest", "algorithm" => "%s", "realm" => "Digest:BA870000000000000000000000000000", "require" => "valid-user"))
`, dir, port, users, algorithm), 0o600)
		if startPeer(t, "127.0.0.1:"+port, bin, "-D", "-f", config) {
			return "127.0.0.1:" + port
		}
	}
	t.Fatal("lighttpd does not start")
	return ""
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// startPeer starts a foreign server and waits until it listens; false when it ended before.
func startPeer(t testing.TB, address, program string, args ...string) bool {
	t.Helper()
	cmd := exec.Command(program, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Log(said.String())
		}
	})
	for end := time.Now().Add(within); time.Now().Before(end); {
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return true
		}
	}
	return false
}

// A stranger's server accepts our log-in, for two algorithms, and refuses a wrong one.
func TestLogInAtLighttpd(t *testing.T) {
	for _, algorithm := range []string{"MD5", "SHA-256"} {
		t.Run(algorithm, func(t *testing.T) {
			address := lighttpd(t, algorithm)
			sess := open(t, Options{Address: address, Logins: []Login{admin("admin"), admin("P@ssw0rd1")}})
			d := NewWSMan(sess)
			for range 4 {
				st, err := d.State(testContext(t))
				if err != nil || st.Provisioning != Post {
					t.Fatalf("%v, %v", st, err)
				}
			}
			if got := sess.Stats().Exchanges; got != 6 { // no log-in, wrong, right, three more
				t.Errorf("%d exchanges", got)
			}
			_, err := NewWSMan(open(t, Options{Address: address, Logins: []Login{admin("wrong")}})).State(testContext(t))
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindLogin || e.Op != "log in" {
				t.Errorf("wrong password: %v", err)
			}
		})
	}
}
