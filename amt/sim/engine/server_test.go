package engine

import (
	"crypto/md5"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

// plainServer puts an engine behind a plain HTTP server with a digest log-in, for programs of strangers.
// The real network side is another package; this one is just enough for a test.
func plainServer(t testing.TB, e *Engine) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
		if err != nil {
			return
		}
		from, _ := netip.ParseAddrPort(r.RemoteAddr)
		ans := e.Answer(Session{User: digestUser(e, r), From: from, Now: time.Now()}, r.Method, r.URL.Path, nil, body)
		if ans.Do == DropBefore {
			if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = c.Close()
			}
			return
		}
		for k, v := range ans.Header {
			w.Header().Set(k, v)
		}
		w.Header().Set("Server", "Intel(R) Active Management Technology "+e.version())
		if ans.Status == 401 {
			w.Header().Set("WWW-Authenticate", `Digest realm="`+e.Realm()+`", nonce="00aa00bb00cc00dd00ee00ff11223344",stale="false",qop="auth"`)
		}
		w.WriteHeader(ans.Status)
		_, _ = w.Write(ans.Body)
	}))
	srv.Listener, _ = net.Listen("tcp", "127.0.0.1:0")
	srv.Start()
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

var pairPattern = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^\s,]+))`)

// digestUser gives the user whose log-in holds, or nobody.
func digestUser(e *Engine, r *http.Request) string {
	h, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Digest ")
	if !ok {
		return ""
	}
	v := map[string]string{}
	for _, m := range pairPattern.FindAllStringSubmatch(h, -1) {
		v[m[1]] = m[2] + m[3]
	}
	ha1, ok := e.Digest(v["username"])
	sum := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	want := sum(ha1 + ":" + v["nonce"] + ":" + v["nc"] + ":" + v["cnonce"] + ":" + v["qop"] + ":" + sum(r.Method+":"+v["uri"]))
	if !ok || v["response"] != want {
		return ""
	}
	return v["username"]
}
