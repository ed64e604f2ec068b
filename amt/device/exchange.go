package device

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/icholy/digest"

	"amtmedic/amt/wsman"
)

var (
	errTooLarge = errors.New("the answer is larger than 1 MiB")
	errClosed   = errors.New("the client closed the connection")
)

// call is one HTTP request of an adapter.
type call struct {
	op     string // for errors
	path   string // "/wsman"
	header string // further header lines, each with its CR LF
	body   []byte
	once   bool // is not sent again when it is unknown whether the client acted on it
}

// reply is its answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do carries a call: it connects if need be, logs in when the client asks for it, and answers a stale
// nonce once. Replies of every status but 401 are given back.
func (s *Session) do(ctx context.Context, c call) (reply, error) {
	again := false
	for {
		r, tried, err := s.send(ctx, c)
		if err != nil {
			return reply{}, s.inContext(ctx, err)
		}
		if r.status != http.StatusUnauthorized {
			if tried && r.status == http.StatusOK { // other statuses may come before the log-in is looked at
				s.prove()
			}
			return r, nil
		}
		if err := s.challenged(r, tried, &again); err != nil {
			return reply{}, err
		}
	}
}

// prove notes that the log-in in use was accepted. The others stay behind it.
func (s *Session) prove() {
	if s.proved {
		return
	}
	l := s.logins[s.try]
	s.logins = slices.Insert(slices.Delete(slices.Clone(s.logins), s.try, s.try+1), 0, l)
	s.try, s.proved = 0, true
}

// authorization is the header's value for the known challenge, empty before there was one.
func (s *Session) authorization(c call) (string, error) {
	if s.chal == nil || s.try >= len(s.logins) {
		return "", nil
	}
	s.count++
	l := s.logins[s.try]
	cred, err := digest.Digest(s.chal, digest.Options{Method: http.MethodPost, URI: c.path, Count: s.count,
		Username: l.User, Password: l.Password.Reveal(), A1: s.a1(l),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(c.body))), nil }})
	if err != nil {
		return "", err
	}
	return cred.String(), nil
}

// a1 gives the part of the answer that stays the same for all requests, where it is an MD5.
func (s *Session) a1(l Login) string {
	if s.chal.Algorithm != "" && !strings.EqualFold(s.chal.Algorithm, "MD5") {
		return ""
	}
	if k := s.known; k.realm == s.chal.Realm && k.User == l.User && k.Password.Equal(l.Password) && k.a1 != "" {
		return k.a1
	}
	sum := HA1(s.chal.Realm, l)
	s.known = proof{Login: l, realm: s.chal.Realm, a1: hex.EncodeToString(sum[:])}
	return s.known.a1
}

// proof is what stands for a log-in in a realm.
type proof struct {
	Login
	realm, a1 string
}

// challenged takes the challenge of a 401 and decides what to try next: the first log-in, the same
// one when only the nonce was too old, or the next one. Otherwise the log-in is refused.
func (s *Session) challenged(r reply, tried bool, again *bool) error {
	chal, err := digest.FindChallenge(r.header)
	if err != nil {
		return s.failure("log in", KindLogin, fmt.Errorf("401 without a digest challenge that can be answered: %w", err))
	}
	s.chal, s.count = chal, 0
	switch {
	case len(s.logins) == 0:
		return s.failure("log in", KindLogin, errors.New("401: the client asks for a log-in, and none is known"))
	case !tried:
		return nil
	case (chal.Stale || s.proved) && !*again:
		*again = true // once for each request: firmware does not always say that a nonce is stale
		return nil
	case s.try+1 < len(s.logins):
		s.try++
		s.proved, *again = false, false
		return nil
	}
	users := "user " + strconv.Quote(s.logins[s.try].User)
	if n := len(s.logins); n > 1 {
		users = fmt.Sprintf("%d log-ins", n)
	}
	was := ""
	if s.proved {
		was = ", although it was accepted before"
	}
	s.try, s.proved = 0, false
	return s.failure("log in", KindLogin, fmt.Errorf("401: the client refuses %s%s", users, was))
}

// send makes one exchange. A connection that the client closed while it was idle is replaced, and
// a call that may be repeated is sent once more when the client closed it at that very moment, with
// a nonce count of its own. tried tells that a log-in was sent.
func (s *Session) send(ctx context.Context, c call) (r reply, tried bool, err error) {
	for fresh := false; ; fresh = true {
		l := s.link
		if l != nil && (fresh || !l.alive(c.once)) {
			s.drop()
			l = nil
		}
		if l == nil {
			if l, err = s.connect(ctx); err != nil {
				return reply{}, false, err
			}
		}
		auth, err := s.authorization(c)
		if err != nil {
			return reply{}, false, s.failure("log in", KindLogin, err)
		}
		reused := l.used
		r, broken := s.exchange(ctx, l, c, auth)
		if broken == nil {
			if reused {
				s.parted = 0
			}
			return r, auth != "", nil
		}
		if reused && broken.Kind == KindDropped && l.src.n == 0 {
			s.parted++
		}
		s.drop()
		if !reused || c.once && broken.Sent || broken.Kind != KindDropped || l.src.n > 0 {
			return reply{}, false, broken
		}
	}
}

// partsAfterAll is how often one after the other a client closes a connection without a word until each
// request gets one of its own.
const partsAfterAll = 2

// exchange writes a request and reads its answer on an open connection.
func (s *Session) exchange(ctx context.Context, l *link, c call, auth string) (r reply, e *Error) {
	begun := time.Now()
	l.begin()
	_ = l.SetDeadline(begun.Add(s.o.CallTime))
	stop := context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) })
	request := s.request(c, auth)
	received := 0
	defer func() {
		s.stats.Received += received
		if s.o.OnExchange != nil {
			s.o.OnExchange(Exchange{Op: c.op, Status: r.status, Sent: len(request), Received: received, Took: time.Since(begun)})
		}
	}()
	_, werr := l.Write(request)
	if werr != nil {
		// The client may have answered before it had read everything; what it said is worth more.
		_ = l.SetDeadline(time.Now().Add(time.Second))
	}
	s.stats.Sent += len(request)
	r, keep, err := l.read()
	received = l.src.n
	if err == nil {
		s.stats.Exchanges++
		l.used, l.since = true, time.Now()
		if !stop() || !keep || werr != nil || s.parted >= partsAfterAll {
			s.drop()
		} else {
			_ = l.SetDeadline(time.Time{})
		}
		return r, nil
	}
	stop()
	if werr != nil {
		return r, s.broken(ctx, l, c, werr, false)
	}
	return r, s.broken(ctx, l, c, err, true)
}

// request gives the bytes of a request. It leaves in one write: a firmware with a small reader gets
// header and body together.
func (s *Session) request(c call, auth string) []byte {
	b := make([]byte, 0, len(c.body)+700)
	b = append(b, "POST "+c.path+" HTTP/1.1\r\nHost: "+s.o.Address+"\r\n"+c.header...)
	if auth != "" {
		b = append(b, "Authorization: "+auth+"\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(c.body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, c.body...)
}

// read reads one answer. keep tells that the connection may take another request.
func (l *link) read() (r reply, keep bool, err error) {
	if err := l.first(); err != nil {
		return r, false, err
	}
	asked := &http.Request{Method: http.MethodPost}
	for {
		res, err := http.ReadResponse(l.in, asked)
		if err != nil {
			return r, false, err
		}
		if res.StatusCode < 200 {
			continue
		}
		defer func() { _ = res.Body.Close() }()
		r.status, r.header = res.StatusCode, res.Header
		if r.body, err = io.ReadAll(io.LimitReader(res.Body, wsman.MaxSize+1)); err != nil {
			return r, false, err
		}
		if len(r.body) > wsman.MaxSize {
			return r, false, errTooLarge
		}
		return r, !res.Close && l.in.Buffered() == 0, nil
	}
}

// broken sorts why an exchange did not end with an answer.
func (s *Session) broken(ctx context.Context, l *link, c call, err error, sent bool) *Error {
	if l.src.end != nil && sent {
		err = l.src.end // what the HTTP reader makes of half an answer says less
	}
	e := s.failure(c.op, KindDropped, err)
	e.Sent = sent
	if len(l.src.head) > 0 {
		e.Evidence = s.evidence(l.src.head)
	}
	switch {
	case ctx.Err() != nil:
		e.Kind = contextKind(ctx.Err())
	case isTimeout(err):
		e.Kind = KindTimeout
	case isClosed(err):
		if l.src.n == 0 {
			e.Err = fmt.Errorf("%w before it answered: %w", errClosed, err)
		} else {
			e.Err = fmt.Errorf("%w in the middle of its answer: %w", errClosed, err)
		}
	case l.src.n > 0:
		e.Kind, e.Err = KindAnswer, errors.New(string(s.evidence([]byte(err.Error())))) // it quotes the answer
	}
	e.Hint = hints[e.Kind]
	return e
}

// inContext makes an error of a call that its caller ended one of that kind.
func (s *Session) inContext(parent context.Context, err error) error {
	var e *Error
	if errors.As(err, &e) && parent.Err() != nil {
		e.Kind, e.Hint = contextKind(parent.Err()), ""
	}
	return err
}

// evidence copies the beginning of an answer without the secrets that were sent or asked for: a
// proxy or a broken firmware may echo them.
func (s *Session) evidence(b []byte) []byte {
	text := string(b[:min(len(b), maxEvidence+maxSecret)])
	for _, secret := range s.secrets {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), wsman.Escape(secret)} {
			text = strings.ReplaceAll(text, form, "[secret]")
		}
	}
	for _, name := range []string{"ProvisioningServerOTP>", "DigestPassword>", "NetworkAdminPassword>", "Password>", "PPS>"} {
		text = cutElement(text, name)
	}
	return []byte(text[:min(len(text), maxEvidence)])
}

// cutElement hides the text that follows an opening tag whose name ends so.
func cutElement(text, tag string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, tag)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i+len(tag)])
		text = text[i+len(tag):]
		end := strings.IndexByte(text, '<')
		if end < 0 {
			end = len(text)
		}
		if strings.TrimSpace(text[:end]) != "" {
			b.WriteString("[secret]")
		}
		text = text[end:]
	}
}
