package scsweb

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"amtmedic/amt/store"
)

// What no operation takes is answered in the form of all errors, and without a token not at all.
func TestStrays(t *testing.T) {
	now := time.Now()
	b := newBench(t, Options{Now: func() time.Time { now = now.Add(time.Minute); return now }}) // failures are forgotten
	root := strings.TrimSuffix(b.url, Prefix)
	big := strings.Repeat("x", 100<<10)
	for _, c := range []struct {
		name, method, url, body string
		want                    int
		allow                   string
	}{
		{"no such path", "GET", root + Prefix + "/nonesuch", "", 404, ""},
		{"beside the prefix", "GET", root + "/", "", 404, ""},
		{"another method", "DELETE", root + Prefix + "/amts", "", 405, "GET, HEAD"},
		{"another method, with a body", "POST", root + Prefix + "/uuid-maps/" + testUUID(t, 1).String(), "{}", 405, "PUT, DELETE"},
		{"a method of its own", "PROPFIND", root + Prefix + "/health", "", 405, "GET, HEAD"},
		{"preflight", "OPTIONS", root + Prefix + "/amts", "", 405, "GET, HEAD"},
		{"two slashes", "GET", root + Prefix + "//amts", "", 404, ""},
		{"dots", "GET", root + Prefix + "/x/../amts", "", 404, ""},
		{"slash at the end", "GET", root + Prefix + "/amts/", "", 404, ""},
		{"too long", "PUT", root + Prefix + "/uuid-maps/" + testUUID(t, 1).String(), big, 413, ""},
		{"too long, chunked", "PUT", root + Prefix + "/uuid-maps/" + testUUID(t, 1).String(), "chunked" + big, 413, ""},
		{"too long for a path that is none", "PUT", root + Prefix + "/nonesuch", big, 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for token, want := range map[string]int{"": 401, "wrong": 401, "operate": c.want} {
				req, err := http.NewRequestWithContext(t.Context(), c.method, c.url, strings.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(c.body, "chunked") {
					req.ContentLength = -1
				}
				if token != "" {
					req.Header.Set("Authorization", "Bearer "+b.tokens[store.Role(token)])
				}
				req.Header.Set("Content-Type", "application/json")
				res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req) // which follows nothing
				if err != nil {
					t.Fatal(err)
				}
				var problem struct {
					Status        int
					Title, Detail string
				}
				err = json.NewDecoder(res.Body).Decode(&problem)
				_ = res.Body.Close()
				if res.StatusCode != want || problem.Status != want || problem.Detail == "" || problem.Title == "" || err != nil || res.Header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%q: %d, want %d: %+v %s %v", token, res.StatusCode, want, problem, res.Header.Get("Content-Type"), err)
				}
				if token == "operate" && res.Header.Get("Allow") != c.allow || token != "operate" && res.Header.Get("Allow") != "" {
					t.Errorf("%q: Allow is %q, want %q", token, res.Header.Get("Allow"), c.allow)
				}
			}
		})
	}
}
