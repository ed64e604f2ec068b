package front

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/icholy/digest"

	"amtmedic/amt"
)

// The life of nonces.
const (
	nonceLife  = 5 * time.Minute
	maxNonces  = 32 // in use at the same time, for one client
	nonceSpan  = 64 // how far nonce counts may arrive out of order
	nonceBytes = 12 // of its seal
)

// login is the digest log-in of one client (RFC 2617). A nonce belongs to the client, not to a
// connection: managers close the connection after a 401 and come back with the same nonce. It is
// sealed, so that asking for one leaves nothing behind; only those that were used are remembered.
type login struct {
	uuid  amt.UUID
	seal  []byte // secret of the process
	mu    sync.Mutex
	last  uint64 // number of the newest nonce
	floor uint64 // nonces up to this one that are not in used were forgotten
	used  []nonceUse
}

// nonceUse is what was already accepted of a nonce: its highest count, and which of the 64 below.
type nonceUse struct {
	number uint64
	issued time.Time
	top    int
	seen   uint64 // bit i: top-i was used
}

// verdict is what became of a log-in.
type verdict uint8

const (
	accepted verdict = iota
	missing          // no log-in, or one that cannot be read
	wrong            // user, password, address or realm do not fit
	stale            // all fits but the nonce: expired, forgotten, or its count was used
)

// nonce makes a new one: number, time and seal in hex. It has no '=', which some programs cut at.
func (l *login) nonce(now time.Time) string {
	l.mu.Lock()
	l.last++
	n := l.last
	l.mu.Unlock()
	b := binary.BigEndian.AppendUint64(nil, n)
	b = binary.BigEndian.AppendUint64(b, uint64(now.Unix()))
	return hex.EncodeToString(append(b, l.sealed(b)...))
}

func (l *login) sealed(b []byte) []byte {
	h := hmac.New(sha256.New, l.seal)
	h.Write(l.uuid[:])
	h.Write(b)
	return h.Sum(nil)[:nonceBytes]
}

// open reads a nonce that this client gave.
func (l *login) open(nonce string) (number uint64, issued time.Time, ok bool) {
	b, err := hex.DecodeString(nonce)
	if err != nil || len(b) != 16+nonceBytes || !hmac.Equal(b[16:], l.sealed(b[:16])) {
		return 0, time.Time{}, false
	}
	return binary.BigEndian.Uint64(b), time.Unix(int64(binary.BigEndian.Uint64(b[8:])), 0), true
}

// challenge is the WWW-Authenticate line. From 6.0 on the body may be covered too.
func (l *login) challenge(realm string, v amt.Version, isStale bool, now time.Time) string {
	qop, old := "auth", "false"
	if v.AtLeast(6, 0) {
		qop = "auth,auth-int"
	}
	if isStale {
		old = "true"
	}
	return `Digest realm="` + realm + `", nonce="` + l.nonce(now) + `", stale="` + old + `", qop="` + qop + `"`
}

// check judges the log-in of a request whose body was read.
func (l *login) check(r *http.Request, body []byte, h Host, now time.Time) (user string, v verdict) {
	text := r.Header.Get("Authorization")
	if !digest.IsDigest(text) {
		return "", missing
	}
	c, err := digest.ParseCredentials(text)
	if err != nil || c.QOP != "auth" && c.QOP != "auth-int" || c.Nc <= 0 || c.Algorithm != "" && !strings.EqualFold(c.Algorithm, "MD5") {
		return "", missing
	}
	ha1, known := h.Digest(c.Username)
	if !known {
		ha1 = strings.Repeat("0", 32) // goes on, so that an unknown user takes as long as a wrong password
	}
	want := response(ha1, r.Method, c, body)
	same := subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(c.Response))) == 1
	if !same || !known || c.Realm != h.Realm() || c.URI != r.RequestURI {
		return "", wrong
	}
	if !l.take(c.Nonce, c.Nc, now) {
		return "", stale
	}
	return c.Username, accepted
}

// response is the value that proves the password (RFC 2617 3.2.2).
func response(ha1, method string, c *digest.Credentials, body []byte) string {
	a2 := method + ":" + c.URI
	if c.QOP == "auth-int" {
		a2 += ":" + md5hex(string(body))
	}
	count := hex.EncodeToString(binary.BigEndian.AppendUint32(nil, uint32(c.Nc)))
	return md5hex(strings.Join([]string{strings.ToLower(ha1), c.Nonce, count, c.Cnonce, c.QOP, md5hex(a2)}, ":"))
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// take uses up one count of a nonce. It never gives true twice for the same pair.
func (l *login) take(nonce string, count int, now time.Time) bool {
	number, issued, ok := l.open(nonce)
	if !ok || now.Sub(issued) > nonceLife || issued.Sub(now) > nonceLife {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.used {
		if l.used[i].number == number {
			return l.used[i].take(count)
		}
	}
	if number <= l.floor || number > l.last {
		return false
	}
	l.forget(now)
	l.used = append(l.used, nonceUse{number: number, issued: issued, top: count, seen: 1})
	return true
}

// forget makes room: what expired goes, and the oldest when there are too many. What is below the
// floor is not taken any more, so that a forgotten count cannot be used again.
func (l *login) forget(now time.Time) {
	kept := l.used[:0]
	for _, u := range l.used {
		if now.Sub(u.issued) <= nonceLife {
			kept = append(kept, u)
			continue
		}
		l.floor = max(l.floor, u.number)
	}
	l.used = kept
	if len(l.used) < maxNonces {
		return
	}
	oldest := 0
	for i := range l.used {
		if l.used[i].number < l.used[oldest].number {
			oldest = i
		}
	}
	l.floor = max(l.floor, l.used[oldest].number)
	l.used = append(l.used[:oldest], l.used[oldest+1:]...)
}

func (u *nonceUse) take(count int) bool {
	switch ahead := count - u.top; {
	case ahead > 0:
		u.top = count
		if ahead >= nonceSpan {
			u.seen = 1
			return true
		}
		u.seen = u.seen<<ahead | 1
		return true
	case -ahead >= nonceSpan || u.seen>>(-ahead)&1 == 1:
		return false
	default:
		u.seen |= 1 << (-ahead)
		return true
	}
}
