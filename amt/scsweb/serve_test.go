package scsweb

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"amtmedic/amt/provision"
	"amtmedic/amt/store"
	"amtmedic/amt/store/storetest"
)

// listening runs the web service on loopback with limits that a test can reach.
func listening(t *testing.T, l Limits) (b *bench, addr string, stop func() error) {
	t.Helper()
	b = newBench(t, Options{Limits: l})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.web.Serve(ctx, ln) }()
	ended := false
	stop = func() error {
		cancel()
		if ended {
			return nil
		}
		ended = true
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			return errors.New("it does not end")
		}
	}
	t.Cleanup(func() { _ = stop() })
	b.url = "http://" + ln.Addr().String() + Prefix
	return b, ln.Addr().String(), stop
}

// A client that dribbles its header, or stops in its body, is ended; others are answered meanwhile.
func TestSlowClients(t *testing.T) {
	b, addr, _ := listening(t, Limits{Header: 300 * time.Millisecond, Body: 600 * time.Millisecond})
	for name, begin := range map[string]string{
		"nothing":      "",
		"half a line":  "GET /amtscs",
		"half a head":  "GET " + Prefix + "/health HTTP/1.1\r\nHost: x\r\nX-A: b",
		"half a body":  "PUT " + Prefix + "/configuration/retry_s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\nAuthorization: Bearer " + b.tokens["admin"] + "\r\n\r\n{",
		"foreign body": "POST " + Prefix + "/uuid-maps/import HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(c, begin)
			out, err := io.ReadAll(c)
			if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
				t.Errorf("it is open still; %q", out)
			}
			if strings.Contains(string(out), " 200 ") {
				t.Errorf("%q", out)
			}
		})
	}
	b.want(200, "", "GET", "/health", "")
}

// Silent connections of one source do not keep out another, and are closed above the limit.
func TestConnectionsAreBounded(t *testing.T) {
	b, addr, _ := listening(t, Limits{OpenPerSource: 4, Header: time.Minute})
	var silent []net.Conn
	for range 12 {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", addr)
		if err != nil {
			t.Skipf("no second loopback address: %v", err)
		}
		silent = append(silent, c)
		defer func() { _ = c.Close() }()
	}
	closed := make(chan bool, len(silent))
	for _, c := range silent {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		go func() {
			_, err := c.Read(make([]byte, 1))
			ne := net.Error(nil)
			closed <- !errors.As(err, &ne) || !ne.Timeout()
		}()
	}
	for range 8 { // the other four stay open
		if !<-closed {
			t.Fatal("connections above the limit stay open")
		}
	}
	select {
	case <-closed:
		t.Error("a connection within the limit was closed")
	case <-time.After(100 * time.Millisecond):
	}
	b.want(200, "", "GET", "/health", "")
}

// Bodies and headers above their bounds are refused, whatever they claim to be.
func TestOversized(t *testing.T) {
	b, addr, _ := listening(t, Limits{})
	big := `{"fqdn":"` + strings.Repeat("x", 100<<10) + `"}`
	b.want(413, "operate", "PUT", "/uuid-maps/"+testUUID(t, 1).String(), big)
	b.want(413, "operate", "POST", "/uuid-maps/import", strings.Repeat("x", maxImport+10))
	b.want(413, "admin", "PUT", "/profiles/x", strings.Repeat("x", maxProfile+10))
	if code, _ := b.do("", "POST", "/uuid-maps/import", strings.Repeat("x", 1<<20), "Expect", "100-continue"); code != 401 {
		t.Errorf("an upload without a token: %d", code)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, "GET "+Prefix+"/health HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	if out, _ := io.ReadAll(c); strings.Contains(string(out), " 200 ") { // 431, or a reset before it is read
		t.Errorf("a header of 64 KiB: %q", out)
	}
	b.want(422, "read", "GET", "/amts?limit=5000", "")
	b.want(422, "read", "GET", "/amts?unknown=1", "")
	b.want(422, "read", "GET", "/queue?after=nonsense", "")
	b.want(200, "read", "GET", "/health", "")
}

// The headers that every answer has.
func TestHeaders(t *testing.T) {
	b := newBench(t, Options{})
	for _, path := range []string{"/health", "/amts", "/nonesuch"} {
		res, err := http.Get(b.url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("pages of others may read it")
		}
	}
}

// A fault of ours ends one request only.
func TestFaultEndsOneRequest(t *testing.T) {
	b := newBench(t, Options{})
	h := b.web.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken") }))
	rec := &recorder{header: http.Header{}}
	req, _ := http.NewRequest("GET", "/", http.NoBody)
	h.ServeHTTP(rec, req)
	if rec.code != 500 || !strings.Contains(b.log.text(), "broken") {
		t.Errorf("%d, %s", rec.code, b.log.text())
	}
}

type recorder struct {
	header http.Header
	code   int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(code int)        { r.code = code }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }

// Events reach a listener; one that is too slow is told what it missed; streams end with the server.
func TestEvents(t *testing.T) {
	b, _, stop := listening(t, Limits{Beat: 50 * time.Millisecond})
	req, _ := http.NewRequestWithContext(t.Context(), "GET", b.url+"/events", http.NoBody)
	req.Header.Set("Authorization", "Bearer "+b.tokens["read"])
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v, %v", res, err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	await := func(part string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", part, lines.Err())
	}
	await("event: beat")
	u := testUUID(t, 7)
	b.web.Event(provision.Event{Kind: provision.EventHello, At: time.Now(), From: netip.MustParseAddrPort("127.0.0.9:16994"), UUID: u, Outcome: store.Outcome{Action: store.Queued}})
	await("event: event")
	await(`"kind":"hello"`)
	b.web.Event(provision.Event{Kind: provision.EventDelayed, UUID: u, Err: errors.New("rc-pid-unknown: failed to find PID mapping")})
	await(`rc-pid-unknown: failed`)
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	for lines.Scan() {
	}
	slow := newHub(1)
	l := slow.enter()
	if slow.enter() != nil {
		t.Error("more listeners than the limit")
	}
	for range waitingEvents + 5 {
		slow.publish(event{})
	}
	if n := slow.takeMissed(l); n != 5 {
		t.Errorf("%d missed, want 5", n)
	}
}

// A stream ends soon after its token was revoked.
func TestEventsEndWithTheToken(t *testing.T) {
	b, _, _ := listening(t, Limits{Beat: 20 * time.Millisecond})
	req, _ := http.NewRequestWithContext(t.Context(), "GET", b.url+"/events", http.NoBody)
	req.Header.Set("Authorization", "Bearer "+b.tokens["read"])
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := b.st.RevokeToken(t.Context(), "read"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, res.Body); close(ended) }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the stream goes on with a revoked token")
	}
}

// Prometheus's own reader takes the metrics; the numbers are those of the core, and no label names a client.
func TestMetrics(t *testing.T) {
	b := newBench(t, Options{})
	u := b.hello(1, "")
	b.hello(2, "0000037M")
	for range 3 {
		b.web.Event(provision.Event{Kind: provision.EventHello, UUID: u})
	}
	b.web.Event(provision.Event{Kind: provision.EventProvisioned, Took: 2 * time.Second, Hello: 3})
	b.web.Event(provision.Event{Kind: provision.EventLeaseLost, Hello: 2})
	code, text := b.do("", "GET", "/metrics", "")
	if code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	uuid := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-`)
	for name, f := range all {
		for _, m := range f.Metric {
			key := name
			for _, l := range m.Label {
				key += "," + l.GetValue()
				if uuid.MatchString(l.GetValue()) {
					t.Errorf("%s has a UUID in it", name)
				}
			}
			got[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
	}
	for name, want := range map[string]float64{"amtmedic_hellos_total,hello": 3, "amtmedic_hellos_total,foreign": 0, "amtmedic_hello_commit_seconds": 2,
		"amtmedic_queue_entries": 1, "amtmedic_delayed_entries": 1, "amtmedic_job_seconds,pki,provisioned": 1, "amtmedic_job_seconds,psk,lease-lost": 1,
		"amtmedic_leases_lost_total": 1, "amtmedic_clients,delayed": 1, "amtmedic_pids_unused": 0} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
	if got["amtmedic_group_commit_size"] < 2 || got["amtmedic_log_rows"] < 2 {
		t.Errorf("group commits %v, log rows %v", got["amtmedic_group_commit_size"], got["amtmedic_log_rows"])
	}
}

// The document is OpenAPI 3.1: every reference leads somewhere, every operation has an id of its own,
// a summary, answers, and a token where one is needed.
func TestOpenAPI(t *testing.T) {
	raw, err := OpenAPI("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenAPI    string
		Info       struct{ Title, Version string }
		Components struct {
			Schemas         map[string]json.RawMessage
			SecuritySchemes map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Version != "1.2.3" || doc.Info.Title == "" || doc.Components.SecuritySchemes["token"] == nil {
		t.Errorf("%+v", doc.Info)
	}
	for _, m := range regexp.MustCompile(`"\$ref": "([^"]*)"`).FindAllStringSubmatch(string(raw), -1) {
		name, ok := strings.CutPrefix(m[1], "#/components/schemas/")
		if !ok || doc.Components.Schemas[name] == nil {
			t.Errorf("%s leads nowhere", m[1])
		}
	}
	var ids []string
	for op, o := range operations(t) {
		id, _ := o["operationId"].(string)
		if id == "" || slices.Contains(ids, id) || o["summary"] == "" || o["responses"] == nil {
			t.Errorf("%s: %v", op, o)
		}
		ids = append(ids, id)
		if (o["security"] == nil) != (roleTable[op] == anybody) {
			t.Errorf("%s: security %v", op, o["security"])
		}
		params, _ := o["parameters"].([]any)
		for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(op, -1) {
			if !slices.ContainsFunc(params, func(p any) bool { return p.(map[string]any)["name"] == m[1] }) {
				t.Errorf("%s does not describe %s", op, m[1])
			}
		}
	}
	b := newBench(t, Options{Version: "1.2.3"})
	served := b.want(200, "read", "GET", "/openapi.json", "")
	var x, y any
	if json.Unmarshal([]byte(served), &x) != nil || json.Unmarshal(raw, &y) != nil || fmt.Sprint(x) != fmt.Sprint(y) {
		t.Error("the service gives another document than the command")
	}
}

// 10,000 clients are read page by page: each once, in order.
func TestPages(t *testing.T) {
	const n = 10_000
	path := filepath.Join(t.TempDir(), "core.db")
	if err := storetest.Fill(t.Context(), path, n); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	token, _, err := st.CreateToken(t.Context(), "reader", store.RoleRead, 0, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Options{})
	b.web.st, b.tokens["reader"] = st, token.Reveal()
	for path, want := range map[string]int{"/amts": n, "/uuid-maps": 0, "/pid-map": n, "/queue": n / 5, "/delayed": n / 5, "/amts?state=delayed": n / 5, "/log": n} {
		seen := map[string]bool{}
		cursor := "after"
		if path == "/log" {
			cursor = "before"
		}
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		for next := ""; ; {
			var page struct {
				Items []map[string]any
				Next  string
			}
			url := path + sep + "limit=1000"
			if next != "" {
				url += "&" + cursor + "=" + next
			}
			if err := json.Unmarshal([]byte(b.want(200, "reader", "GET", url, "")), &page); err != nil {
				t.Fatal(err)
			}
			for _, row := range page.Items {
				key := fmt.Sprint(row["id"], row["uuid"])
				if seen[key] {
					t.Fatalf("%s gives %s twice", path, key)
				}
				seen[key] = true
			}
			if next = page.Next; next == "" {
				break
			}
		}
		if want > 0 && len(seen) < want || len(seen) == 0 {
			t.Errorf("%s: %d rows, want %d", path, len(seen), want)
		}
	}
	b.want(200, "reader", "GET", "/amts?search="+storetest.FQDN(77), "", storetest.UUID(77).String())
}

// The database is away: reads and changes say 503 or 500, health is degraded, and no word of it has the path.
func TestDatabaseAway(t *testing.T) {
	b := newBench(t, Options{})
	_ = b.st.Close()
	for _, path := range []string{"/amts", "/health"} {
		code, body := b.do("read", "GET", path, "")
		if code < 500 || strings.Contains(body, b.st.Path()) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestNamesLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:9972": true, "127.9.9.9": true, "[::1]:9972": true, "[::1]": true, "localhost:1": true, "LOCALHOST": true, "[::ffff:127.0.0.1]:1": true,
		"evil.example:9972": false, "": false, "localhost.evil.example": false, "10.0.0.1:1": false, "127.0.0.1.nip.example": false,
	} {
		if namesLoopback(host) != want {
			t.Errorf("%q: want %v", host, want)
		}
	}
}
