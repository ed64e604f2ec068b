package front

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icholy/digest"

	"amtmedic/amt"
)

// TestResponseOfTheStandard is the example of RFC 2617 3.5.
func TestResponseOfTheStandard(t *testing.T) {
	ha1 := md5.Sum([]byte("Mufasa:testrealm@host.com:Circle Of Life"))
	c := &digest.Credentials{Nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", URI: "/dir/index.html", Nc: 1, Cnonce: "0a4f113b", QOP: "auth"}
	if got := response(hex.EncodeToString(ha1[:]), "GET", c, nil); got != "6629fae49393a05397450978507c4ef1" {
		t.Errorf("response %s", got)
	}
}

func newLogin() *login { return &login{uuid: amt.UUID{1}, seal: []byte("secret of the process")} }

func TestNonces(t *testing.T) {
	now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	l := newLogin()
	a := l.nonce(now)
	if strings.Contains(a, "=") || a == l.nonce(now) {
		t.Errorf("nonce %q", a)
	}
	steps := []struct {
		name  string
		nonce string
		count int
		after time.Duration
		want  bool
	}{
		{"first", a, 1, 0, true},
		{"again", a, 1, 0, false},
		{"out of order", a, 3, 0, true},
		{"late", a, 2, 0, true},
		{"late again", a, 2, 0, false},
		{"far ahead", a, 1000, 0, true},
		{"too late", a, 936, 0, false},
		{"just in time", a, 937, 0, true},
		{"just in time again", a, 937, 0, false},
		{"the last second", a, 1001, nonceLife, true},
		{"expired", a, 1002, nonceLife + time.Second, false},
		{"made up", strings.Repeat("0", len(a)), 1, 0, false},
		{"not hex", "x", 1, 0, false},
		{"another client's", (&login{uuid: amt.UUID{2}, seal: l.seal}).nonce(now), 1, 0, false},
		{"another process's", (&login{uuid: l.uuid, seal: []byte("other")}).nonce(now), 1, 0, false},
	}
	for _, s := range steps {
		if got := l.take(s.nonce, s.count, now.Add(s.after)); got != s.want {
			t.Errorf("%s: %v", s.name, got)
		}
	}
}

// TestForgottenNoncesStayUsed: with more nonces in use than are kept, none is taken a second time.
func TestForgottenNoncesStayUsed(t *testing.T) {
	now := time.Now()
	l := newLogin()
	var all []string
	for range 3 * maxNonces {
		n := l.nonce(now)
		if !l.take(n, 1, now) {
			t.Fatal("a fresh nonce is refused")
		}
		all = append(all, n)
	}
	for i, n := range all {
		if l.take(n, 1, now) {
			t.Fatalf("nonce %d was taken again", i)
		}
	}
	if len(l.used) > maxNonces {
		t.Errorf("%d nonces are kept", len(l.used))
	}
}

func TestOneCountOneWinner(t *testing.T) {
	l := newLogin()
	n := l.nonce(time.Now())
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := map[int]int{}
	for i := range 64 {
		wg.Go(func() {
			if l.take(n, i%8+1, time.Now()) {
				mu.Lock()
				defer mu.Unlock()
				won[i%8+1]++
			}
		})
	}
	wg.Wait()
	for count, n := range won {
		if n != 1 {
			t.Errorf("count %d was taken %d times", count, n)
		}
	}
	if len(won) != 8 {
		t.Errorf("%d of 8 counts were taken", len(won))
	}
}

// logIn makes a request as the library's client would, changed by edit.
func logIn(l *login, d *desk, edit func(*digest.Credentials)) *http.Request {
	r := httptest.NewRequest("POST", "/wsman", nil)
	c := &digest.Credentials{Username: "admin", Realm: d.realm, Nonce: l.nonce(time.Now()), URI: "/wsman", Algorithm: "MD5", Cnonce: "0a4f113b", QOP: "auth", Nc: 1}
	ha1, _ := d.Digest("admin")
	c.Response = response(ha1, "POST", c, nil)
	if edit != nil {
		edit(c)
	}
	r.Header.Set("Authorization", c.String())
	return r
}

func TestCheck(t *testing.T) {
	d := &desk{realm: "Digest:4C4C", password: "P@ssw0rd1"}
	tests := []struct {
		name string
		edit func(*digest.Credentials)
		want verdict
	}{
		{"right", nil, accepted},
		{"upper case", func(c *digest.Credentials) { c.Response = strings.ToUpper(c.Response) }, accepted},
		{"no password at all", func(c *digest.Credentials) { c.Response = "" }, wrong}, // INTEL-SA-00075
		{"a part of the response", func(c *digest.Credentials) { c.Response = c.Response[:1] }, wrong},
		{"another user", func(c *digest.Credentials) { c.Username = "root" }, wrong},
		{"another realm", func(c *digest.Credentials) { c.Realm = "x" }, wrong},
		{"another address", func(c *digest.Credentials) { c.URI = "/" }, wrong},
		{"another count", func(c *digest.Credentials) { c.Nc = 2 }, wrong},
		{"no qop", func(c *digest.Credentials) { c.QOP = "" }, missing},
		{"another algorithm", func(c *digest.Credentials) { c.Algorithm = "SHA-256" }, missing},
		{"foreign nonce", func(c *digest.Credentials) {
			c.Nonce = strings.Repeat("a", 56)
			ha1, _ := d.Digest("admin")
			c.Response = response(ha1, "POST", c, nil)
		}, stale},
	}
	for _, tt := range tests {
		l := newLogin()
		if _, v := l.check(logIn(l, d, tt.edit), nil, d, time.Now()); v != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, v, tt.want)
		}
	}
	r := httptest.NewRequest("POST", "/wsman", nil)
	r.SetBasicAuth("admin", d.password)
	if _, v := newLogin().check(r, nil, d, time.Now()); v != missing {
		t.Errorf("basic log-in: %d", v)
	}
}

func FuzzCheck(f *testing.F) {
	d := &desk{realm: "Digest:4C4C", password: "P@ssw0rd1"}
	l := newLogin()
	f.Add(logIn(l, d, nil).Header.Get("Authorization"))
	f.Add(`Digest username="admin", realm="Digest:4C4C", nonce="00", uri="/wsman", nc=80000000, qop=auth-int, response=""`)
	f.Add("Digest \x00=")
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest("POST", "/wsman", nil)
		r.Header["Authorization"] = []string{text}
		l := newLogin() // its nonces are not in the corpus
		if user, v := l.check(r, nil, d, time.Now()); v == accepted {
			t.Errorf("%q let %q in", text, user)
		}
	})
}

func TestChallenge(t *testing.T) {
	for _, tt := range []struct {
		version, qop string
	}{{"3.2.1", "auth"}, {"9.0.0", "auth,auth-int"}} {
		text := newLogin().challenge("Digest:4C4C", version(t, tt.version), true, time.Now())
		c, err := digest.ParseChallenge(text)
		if err != nil || c.Realm != "Digest:4C4C" || !c.Stale || strings.Join(c.QOP, ",") != tt.qop || strings.Contains(c.Nonce, "=") {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
}

func ExampleServer() {
	s, err := New(Options{AnyPort: true, NoPing: true})
	fmt.Println(s != nil, err)
	// Output: true <nil>
}
