package scsweb

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"
)

// bench is a web service on a database of its own, with a token of each role.
type bench struct {
	t      *testing.T
	st     *store.Store
	web    *Server
	url    string
	tokens map[store.Role]string
	log    *logBuffer
	woken  chan struct{}
}

// logBuffer collects log lines of several goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newBench(t *testing.T, o Options) *bench {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "core.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, st: st, tokens: map[store.Role]string{"": "", "wrong": "amw_wrong"}, log: &logBuffer{}, woken: make(chan struct{}, 100)}
	for _, r := range store.Roles() {
		token, _, err := st.CreateToken(t.Context(), string(r), r, 0, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		b.tokens[r] = token.Reveal()
	}
	o.Store, o.Log, o.Wake = st, slog.New(slog.NewJSONHandler(b.log, nil)), func() { b.woken <- struct{}{} }
	b.web = New(o)
	srv := httptest.NewServer(b.web.Handler())
	b.url = srv.URL + Prefix
	t.Cleanup(func() {
		b.web.hub.close()
		srv.Close()
		_ = st.Close()
	})
	return b
}

// do sends a request and gives status and body.
func (b *bench) do(role store.Role, method, path, body string, header ...string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if token := b.tokens[role]; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, string(out)
}

// want sends a request, and gives the body when the status is the wanted one.
func (b *bench) want(status int, role store.Role, method, path, body string, parts ...string) string {
	b.t.Helper()
	got, out := b.do(role, method, path, body)
	if got != status {
		b.t.Errorf("%s %s as %q: %d, want %d: %.300s", method, path, role, got, status, out)
	}
	for _, p := range parts {
		if !strings.Contains(out, p) {
			b.t.Errorf("%s %s: %q is missing in %.600s", method, path, p, out)
		}
	}
	return out
}

func testUUID(t *testing.T, i int) amt.UUID {
	t.Helper()
	u, err := amt.ParseUUID(fmt.Sprintf("%08x-0504-0706-0809-0a0b0c0d0e0f", i))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (b *bench) hello(i int, pid amt.PID) amt.UUID {
	b.t.Helper()
	h := store.Hello{From: netip.MustParseAddrPort("127.0.0.9:16994"), Version: 3, UUID: testUUID(b.t, i)}
	if pid != "" {
		h.Version, h.PID = 2, pid
	}
	if _, err := b.st.RecordHello(b.t.Context(), h); err != nil {
		b.t.Fatal(err)
	}
	return h.UUID
}

// operations gives every operation of the document as "METHOD path" without parameters.
func operations(t *testing.T) map[string]map[string]any {
	t.Helper()
	raw, err := OpenAPI("1")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]map[string]any
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]any{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			out[strings.ToUpper(method)+" "+strings.TrimPrefix(path, Prefix)] = op
		}
	}
	return out
}

// roleTable is the least role of every operation; a new one has to be entered here.
var roleTable = map[string]store.Role{
	"GET /amts": "read", "GET /amts/{uuid}": "read", "POST /amts/{uuid}/look-again": "operate", "GET /queue": "read", "GET /delayed": "read",
	"GET /maintenance": "read", "POST /amts/{uuid}/maintenance": "operate", "DELETE /amts/{uuid}/maintenance": "operate",
	"GET /uuid-maps": "read", "PUT /uuid-maps/{uuid}": "operate", "DELETE /uuid-maps/{uuid}": "operate", "POST /uuid-maps/import": "operate",
	"GET /pid-map": "read", "PUT /pid-map/{pid}": "operate", "DELETE /pid-map/{pid}": "operate", "POST /pid-map/import": "operate",
	"GET /profiles": "read", "GET /profiles/{name}": "read", "PUT /profiles/{name}": "admin", "DELETE /profiles/{name}": "admin",
	"GET /configuration": "read", "PUT /configuration/{name}": "admin", "GET /log": "read", "GET /audit": "admin",
	"GET /openapi.json": "read", "GET /health": anybody, "GET /metrics": here, "GET /events": "read",
}

// Every operation, asked with every kind of token: only the role decides between 401, 403 and the rest.
func TestRoles(t *testing.T) {
	now := time.Now()
	b := newBench(t, Options{Now: func() time.Time { now = now.Add(time.Minute); return now }}) // failures are forgotten
	ops := operations(t)
	for op := range ops {
		if _, ok := roleTable[op]; !ok {
			t.Errorf("%s is not in the table of roles", op)
		}
	}
	for op, need := range roleTable {
		if ops[op] == nil {
			t.Errorf("there is no %s", op)
			continue
		}
		method, path, _ := strings.Cut(op, " ")
		path = strings.NewReplacer("{uuid}", "00000001-0504-0706-0809-0a0b0c0d0e0f", "{pid}", "0000037M", "{name}", "nonesuch").Replace(path)
		for _, have := range []store.Role{"", "wrong", store.RoleRead, store.RoleOperate, store.RoleAdmin} {
			if op == "GET /events" && have.Allows(store.RoleRead) {
				continue // a stream does not end
			}
			code, body := b.do(have, method, path, "", "X-Forwarded-For", "10.0.0.1")
			want := "let through"
			switch {
			case need == anybody:
			case !have.Allows(store.RoleRead):
				want = "401"
			case need != here && !have.Allows(need):
				want = "403"
			}
			got := "let through"
			if code == 401 || code == 403 {
				got = fmt.Sprint(code)
			}
			if got != want {
				t.Errorf("%s with %q: %s, want %s: %s", op, have, got, want, body)
			}
		}
	}
	if code, _ := b.do("", "GET", "/metrics", ""); code != 200 {
		t.Errorf("metrics from this machine: %d", code)
	}
}

// Refused changes change nothing and leave no audit row.
func TestNoAnonymousWrites(t *testing.T) {
	b := newBench(t, Options{})
	u := b.hello(1, "")
	for _, role := range []store.Role{"", "wrong"} {
		b.want(401, role, "PUT", "/uuid-maps/"+u.String(), `{"fqdn":"pc1.corp.example"}`)
	}
	b.want(403, store.RoleRead, "PUT", "/uuid-maps/"+u.String(), `{"fqdn":"pc1.corp.example"}`)
	if _, had, err := b.st.MapRow(t.Context(), u); had || err != nil {
		t.Errorf("a row was written: %v", err)
	}
	if rows, err := b.st.ListAudit(t.Context(), 0, 0); err != nil || len(rows) != len(store.Roles()) {
		t.Errorf("%d audit rows, %v", len(rows), err)
	}
}

// After some failures a source learns only to wait; each that was answered is logged, without the token.
func TestFailuresAreLimited(t *testing.T) {
	now := time.Now()
	b := newBench(t, Options{Now: func() time.Time { return now }})
	codes := map[int]int{}
	for range 40 {
		code, _ := b.do("wrong", "GET", "/amts", "")
		codes[code]++
	}
	if codes[401] != failureBurst || codes[429] != 40-failureBurst {
		t.Errorf("%v", codes)
	}
	b.want(200, store.RoleRead, "GET", "/amts", "")
	now = now.Add(failureEvery)
	b.want(401, "wrong", "GET", "/amts", "")
	b.want(429, "wrong", "GET", "/amts", "")
	if n := strings.Count(b.log.text(), "request refused"); n != failureBurst+1 || strings.Contains(b.log.text(), "amw_") {
		t.Errorf("%d lines: %s", n, b.log.text())
	}
	f := newFailures()
	for i := range 3 * failureTable {
		f.note(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if len(f.next) > failureTable+1 {
		t.Errorf("%d sources are remembered", len(f.next))
	}
}

// A revoked and an expired token open nothing, at once.
func TestTokensEnd(t *testing.T) {
	now := time.Now()
	b := newBench(t, Options{Now: func() time.Time { return now }})
	short, _, err := b.st.CreateToken(t.Context(), "short", store.RoleRead, time.Hour, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b.tokens["short"] = short.Reveal()
	b.want(200, "short", "GET", "/amts", "")
	now = now.Add(2 * time.Hour)
	b.want(401, "short", "GET", "/amts", "")
	b.want(200, store.RoleRead, "GET", "/amts", "")
	if _, err := b.st.RevokeToken(t.Context(), "read"); err != nil {
		t.Fatal(err)
	}
	b.want(401, store.RoleRead, "GET", "/amts", "")
}

const goodPPS = "NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ"

// One console's day: a delayed client, its name, its key, a look at it, and what the audit says of it.
func TestChangesAndAudit(t *testing.T) {
	b := newBench(t, Options{})
	u := b.hello(3, "0000037M").String()
	b.want(200, "read", "GET", "/amts?state=delayed", "", u, "rc-pid-unknown")
	b.want(200, "read", "GET", "/delayed", "", u)
	b.want(200, "read", "GET", "/amts/"+u, "", `"queue":null`, `"delayed":{"uuid":"`+u, `"steps":[]`)
	b.want(200, "operate", "PUT", "/uuid-maps/"+u, `{"fqdn":"PC3.corp.example."}`, `"fqdn":"pc3.corp.example"`)
	b.want(409, "operate", "PUT", "/uuid-maps/"+testUUID(t, 4).String(), `{"fqdn":"pc3.corp.example"}`, "is the name of")
	b.want(422, "operate", "PUT", "/uuid-maps/"+u, `{"fqdn":"no name"}`)
	b.want(422, "operate", "PUT", "/uuid-maps/no-uuid", `{"fqdn":"pc"}`)
	b.want(200, "operate", "PUT", "/pid-map/0000-037M", `{"pps":"`+goodPPS+`","admin_password":"N3w-P@ssword"}`, `"pid":"0000037M"`)
	b.want(200, "read", "GET", "/queue", "", u)
	b.want(409, "operate", "POST", "/amts/"+u+"/look-again", "", "not delayed")
	other := b.hello(5, "0000047P").String()
	b.want(204, "operate", "POST", "/amts/"+other+"/look-again", "")
	b.want(404, "operate", "POST", "/amts/"+testUUID(t, 9).String()+"/look-again", "")
	b.want(200, "admin", "PUT", "/configuration/retry_s", `{"value":"120"}`)
	b.want(422, "admin", "PUT", "/configuration/retry_s", `{"value":"soon"}`)
	b.want(422, "admin", "PUT", "/configuration/uuid_policy", `{"value":"foo"}`)
	b.want(422, "admin", "PUT", "/configuration/maintain_clock_days", `{"value":"junk"}`)
	b.want(404, "admin", "PUT", "/configuration/nonesuch", `{"value":"x"}`)
	b.want(204, "operate", "DELETE", "/uuid-maps/"+u, "")
	b.want(404, "operate", "DELETE", "/uuid-maps/"+u, "")
	b.want(204, "operate", "DELETE", "/pid-map/0000037M", "")
	rows, err := b.st.ListAudit(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range rows {
		if a.Who != "command line" {
			got = append(got, fmt.Sprintf("%s %s %s [%s>%s] %s", a.Who, a.Action, a.Object, a.Was, a.Becomes, a.Result))
			if a.Address != "127.0.0.1" {
				t.Errorf("address %q", a.Address)
			}
		}
	}
	want := []string{
		"operate delete-pid 0000037M [id 1, used false>] done",
		"operate delete-uuid-map " + u + " [pc3.corp.example>] done",
		"admin put-configuration retry_s [3600>120] done",
		"operate look-again " + other + " [delayed>queued] done",
		"operate look-again " + u + " [unprovisioned>queued] refused: the client is not delayed; its state is unprovisioned",
		"operate put-pid 0000037M [>added] done",
		"operate put-uuid-map " + testUUID(t, 4).String() + " [>pc3.corp.example] refused: pc3.corp.example is the name of " + u + " already",
		"operate put-uuid-map " + u + " [>pc3.corp.example] done",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("audit:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	b.want(200, "admin", "GET", "/audit?limit=2", "", `"next":"`)
	if len(b.woken) == 0 {
		t.Error("the worker was not woken")
	}
}

// Secrets that were written, in right and in wrong places, are in no answer, audit row or log line.
func TestSecretsStayInside(t *testing.T) {
	b := newBench(t, Options{})
	const secret = "S3cretS3cretS3cretS3cretS3cretX1"
	var seen strings.Builder
	for _, c := range []struct{ method, path, body string }{
		{"PUT", "/pid-map/0000037M", `{"pps":"` + secret + `"}`},
		{"PUT", "/pid-map/0000037M", `{"pps":"` + secret + secret + `"}`},
		{"PUT", "/pid-map/0000037M", `{"pps":["` + secret + `"]}`},
		{"PUT", "/pid-map/0000037M", `{"pps":"` + goodPPS + `","unknown":"` + secret + `"}`},
		{"PUT", "/pid-map/0000037M", `{"pps":"` + goodPPS + `","admin_password":"` + secret + `x"}`},
		{"PUT", "/pid-map/0000037M", `{"pps":"` + goodPPS + `","admin_password":"` + secret + `"}`},
		{"PUT", "/pid-map/0000037M", secret},
		{"POST", "/pid-map/import", "id,pid,pps,current_password,admin_password,used\n7,0000037M," + goodPPS + ",," + secret + ",0\n8,bad," + secret + ",,,\n"},
		{"PUT", "/profiles/office", `{"name":"office","network_password":{"rule":"fixed","value":"` + secret[:17] + `!"}}`},
		{"PUT", "/profiles/office", `{"name":"office","network_password":{"rule":"` + secret[:17] + `!"}}`},
		{"PUT", "/profiles/office", `{"name":"office","network_password":"` + secret[:17] + `!","` + secret[:17] + `!"`},
		{"GET", "/profiles/office", ""}, {"GET", "/profiles", ""}, {"GET", "/pid-map", ""}, {"GET", "/audit", ""}, {"GET", "/log", ""}, {"GET", "/configuration", ""},
	} {
		code, body := b.do("admin", c.method, c.path, c.body)
		fmt.Fprintf(&seen, "%s %s: %d %s\n", c.method, c.path, code, body)
	}
	b.want(200, "read", "GET", "/profiles/office", "", `"rule":"fixed"`)
	pair, ok, err := b.st.Key(t.Context(), "0000037M")
	if err != nil || !ok || pair.AdminPassword.Reveal() != secret {
		t.Fatalf("the key was not kept: %v, %v", ok, err)
	}
	for _, text := range []string{seen.String(), b.log.text()} {
		if strings.Contains(text, secret[:16]) || strings.Contains(text, goodPPS[:16]) {
			t.Errorf("a secret is in\n%s", text)
		}
	}
}

// A profile comes back as it was put; what would put tls_mode against the scheme is refused.
func TestProfiles(t *testing.T) {
	b := newBench(t, Options{})
	body := b.want(200, "read", "GET", "/profiles/default", "", `"name":"default"`)
	b.want(200, "admin", "PUT", "/profiles/default", body)
	b.want(422, "admin", "PUT", "/profiles/other", body, "not that of the path")
	b.want(422, "admin", "PUT", "/profiles/x", `{"name":"x","tls":{"mode":"often"}}`, "not sound")
	b.want(200, "admin", "PUT", "/profiles/secure", `{"name":"secure","tls":{"mode":"server"}}`)
	b.want(409, "admin", "PUT", "/profiles/default", `{"name":"default","tls":{"mode":"server"}}`, CauseHTTPSOff)
	b.want(409, "admin", "PUT", "/configuration/default_profile", `{"value":"secure"}`, CauseHTTPSOff)
	b.want(409, "admin", "PUT", "/configuration/tls_mode", `{"value":"server"}`, CauseHTTPSOff)
	b.want(409, "admin", "PUT", "/configuration/default_profile", `{"value":"nonesuch"}`)
	b.want(200, "", "GET", "/health", "", `"status":"ok"`)
	b.want(409, "admin", "DELETE", "/profiles/default", "")
	b.want(404, "admin", "DELETE", "/profiles/nonesuch", "")
	if _, err := b.st.PutProfiles(t.Context(), nil, "secure"); err != nil { // by the command line
		t.Fatal(err)
	}
	b.web.health.at = time.Time{}
	b.want(503, "", "GET", "/health", "", CauseHTTPSOff, `"https":false`, `"tls_mode":"server"`)
	if n := strings.Count(b.log.text(), "web service: degraded"); n != 1 {
		t.Errorf("the log tells it %d times: %s", n, b.log.text())
	}
}

// The four cells of the table.
func TestCheckScheme(t *testing.T) {
	for _, c := range []struct {
		mode  string
		https bool
		code  string
	}{
		{"off", false, ""}, {"server", true, ""}, {"mutual", true, ""}, {"on", true, ""}, {"", false, ""},
		{"off", true, CauseHTTPSOn}, {"server", false, CauseHTTPSOff}, {"mutual", false, CauseHTTPSOff},
	} {
		err := CheckScheme(c.mode, c.https)
		if (err == nil) != (c.code == "") || err != nil && !strings.HasPrefix(err.Error(), c.code+": ") {
			t.Errorf("tls_mode %s, https %v: %v", c.mode, c.https, err)
		}
	}
}

// Names come in as CSV and as JSON of three shapes.
func TestImports(t *testing.T) {
	b := newBench(t, Options{})
	u := func(i int) string { return testUUID(t, i).String() }
	for _, c := range []struct {
		name, body string
		code       int
		parts      []string
	}{
		{"CSV", "uuid,fqdn,profile\n" + u(1) + ",pc1.corp.example,default\nbad,x\n", 200, []string{`"imported":1`, `"where":"line 3"`}},
		{"array", `[{"uuid":"` + u(2) + `","fqdn":"pc2.corp.example","more":1},{"uuid":"` + u(2) + `","fqdn":"pc2"},{"uuid":7}]`, 200, []string{`"imported":1`, "object 2", "object 3"}},
		{"lines", `{"uuid":"` + u(3) + `","fqdn":"pc3"}` + "\n" + `{"uuid":"` + u(4) + `","fqdn":"pc1.corp.example"}`, 200, []string{`"imported":1`, `"conflicts":1`, u(4)}},
		{"cut off", `[{"uuid":"` + u(5) + `"`, 422, []string{"cut off"}},
		{"neither", "hello", 422, []string{store.MapHeader}},
		{"empty", "", 422, nil},
	} {
		code, out := b.do("operate", "POST", "/uuid-maps/import", c.body, "Content-Type", "text/csv")
		if code != c.code && (c.name != "empty" || code < 400) {
			t.Errorf("%s: %d %s", c.name, code, out)
		}
		for _, p := range c.parts {
			if !strings.Contains(out, p) {
				t.Errorf("%s: %q is missing in %s", c.name, p, out)
			}
		}
	}
	pair, err := keys.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b.want(200, "operate", "POST", "/pid-map/import", "id,pid,pps\n1,"+string(pair.PID)+","+pair.PPS.Reveal()+"\n", `"imported":1`)
	b.want(200, "read", "GET", "/pid-map", "", string(pair.PID), `"used":false`)
}
