package front

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxBody is the most that a request may carry, in bytes. Firmware takes less; what it does with
// more is not known.
const maxBody = 256 << 10

// sessionKey finds the session of a request in its context.
type sessionKey struct{}

var (
	errWrongLogIn = errors.New("user, password or realm do not fit")
	errStale      = errors.New("the nonce expired, or its count was used before")
)

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	sess, ok := r.Context().Value(sessionKey{}).(*session)
	if !ok {
		return
	}
	c := sess.c
	h := w.Header()
	h["Server"] = []string{serverHeader(c.version)}
	h["Date"] = nil // firmware tells no time here
	how := s.opt.Fault(AtHTTP)
	if how != None && !sess.broken(w, how) {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		status := http.StatusBadRequest
		if errors.As(err, &large) {
			status = http.StatusRequestEntityTooLarge
		}
		plainPage(w, status)
		return
	}
	req := Request{Secure: sess.secure, Setup: sess.setup(), Certificate: sess.security == SetupTLS, From: addrPort(sess.raw.RemoteAddr()),
		Method: r.Method, Path: r.URL.Path, Header: flat(r.Header), Body: body}
	if r.Header.Get("Authorization") != "" && !(req.Certificate && c.host.View().State != "post") {
		var v verdict
		req.User, v = c.login.check(r, body, c.host, s.opt.Now())
		if v == accepted && how == Stale && !strings.Contains(r.Header.Get("Authorization"), "nc=00000001") {
			v = stale
		}
		if v != accepted {
			c.refuseLogIn(w, sess, v)
			return
		}
	}
	c.reply(w, sess, how, c.host.Answer(req))
}

// refuseLogIn answers a log-in that does not fit.
func (c *Client) refuseLogIn(w http.ResponseWriter, sess *session, v verdict) {
	if err := map[verdict]error{wrong: errWrongLogIn, stale: errStale}[v]; err != nil {
		c.s.opt.Saw(Event{Kind: LogInRefused, Client: c.addr, From: addrPort(sess.raw.RemoteAddr()), Err: err})
	}
	c.challenge(w, v == stale)
}

// challenge answers 401.
func (c *Client) challenge(w http.ResponseWriter, isStale bool) {
	w.Header()["WWW-Authenticate"] = []string{c.login.challenge(c.host.Realm(), c.version, isStale, c.s.opt.Now())} // as firmware writes it
	plainPage(w, http.StatusUnauthorized)
}

// plainPage answers with a page that only names the status.
func plainPage(w http.ResponseWriter, status int) {
	text := strconv.Itoa(status) + " " + http.StatusText(status)
	page := "<html><head><title>" + text + "</title></head><body><h1>" + text + "</h1></body></html>\r\n"
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, page)
}

// flat gives the first value of every header, by its name in lower case.
func flat(h http.Header) map[string]string {
	out := make(map[string]string, len(h))
	for name, values := range h {
		if len(values) > 0 {
			out[strings.ToLower(name)] = values[0]
		}
	}
	return out
}

// reply sends the host's answer and does what comes then.
func (c *Client) reply(w http.ResponseWriter, sess *session, how Fault, a Reply) {
	if a.Delay > 0 && !c.s.wait(a.Delay) {
		return
	}
	switch {
	case a.Then == DropBefore:
		sess.hijack(w, nil)
		return
	case a.Status == http.StatusUnauthorized:
		c.challenge(w, false)
		return
	}
	if a.Then == Restart {
		sess.ending.Store(true)
		defer c.closeOthers(sess)
	}
	h := w.Header()
	for name, value := range a.Header {
		h.Set(name, value)
	}
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = nil
	}
	if a.Then == DropAfter {
		sess.hijack(w, func(b *bufio.Writer) {
			_, _ = fmt.Fprintf(b, "HTTP/1.1 %d %s\r\n", a.Status, http.StatusText(a.Status))
			_ = h.Write(b)
			_, _ = b.WriteString("\r\n")
			_, _ = b.Write(a.Body)
		})
		return
	}
	inManner(w, how, a.Status, a.Body)
}

// hijack takes the connection from the HTTP server and ends it: after what say writes without a
// word of TLS, without say by a reset.
func (s *session) hijack(w http.ResponseWriter, say func(*bufio.Writer)) {
	s.leave()
	hj, ok := w.(http.Hijacker)
	if !ok || say == nil {
		reset(s.raw)
		return
	}
	if _, rw, err := hj.Hijack(); err == nil {
		say(rw.Writer)
		_ = rw.Flush()
	}
	_ = s.raw.Close()
}
