package scsweb

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
)

// maxBody bounds every request body, whatever its operation allows.
const maxBody = 16 << 20

// guard stands before every request: headers that keep browsers and caches from doing more than asked,
// a bound for the body, and a fault of ours that ends one request and not the process.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		if s.HTTPS() {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		defer func() {
			f := recover()
			if f == nil {
				return
			}
			if f == http.ErrAbortHandler { //nolint:errorlint // the value itself is the signal
				panic(f)
			}
			s.o.Log.Error("web service: a fault in the program ended a request", "fault", f, "path", r.URL.Path, "stack", string(debug.Stack()))
			h.Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"title":"Internal Server Error","status":500,"detail":"fault inside the program; the log of the server tells more"}`+"\n")
		}()
		if r.ContentLength != 0 {
			w = ending{w}
		}
		next.ServeHTTP(w, r)
	})
}

// ending closes the connection of a request with a body that was refused: the rest of the body is not
// waited for.
type ending struct{ http.ResponseWriter }

// WriteHeader sends the status.
func (e ending) WriteHeader(code int) {
	if code >= http.StatusBadRequest {
		e.Header().Set("Connection", "close")
	}
	e.ResponseWriter.WriteHeader(code)
}

// Unwrap gives the writer beneath, for deadlines and flushes.
func (e ending) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// local reports whether a request comes from this machine itself: from loopback, not passed on by a
// proxy that runs here, and not made by a page in a browser that found its own name to be loopback.
func local(remote, host string, header func(string) string) bool {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil || !ap.Addr().Unmap().IsLoopback() || !namesLoopback(host) {
		return false
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if header(name) != "" {
			return false
		}
	}
	return true
}

// namesLoopback reports whether a Host header means this machine without the help of DNS.
func namesLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
