package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// row makes a client that said hello so many hours ago.
func row(hours int, m amt.Method, change func(*store.FleetRow)) store.FleetRow {
	at := noon.Add(-time.Duration(hours) * time.Hour)
	r := store.FleetRow{UUID: amt.UUID{byte(hours), 1}, Hello: true, Method: m, State: store.Unprovisioned, FirstHello: at, LastHello: at, Changed: at}
	if change != nil {
		change(&r)
	}
	return r
}

func delayed(reason string) func(*store.FleetRow) {
	return func(r *store.FleetRow) {
		r.State, r.Reason, r.Since = store.StateDelayed, reason, r.FirstHello
		r.KeyKnown = !strings.HasPrefix(reason, "rc-pid")
	}
}

func done(tls string, certificate bool) func(*store.FleetRow) {
	return func(r *store.FleetRow) {
		r.State, r.Done, r.Session, r.FQDN, r.AMTVersion, r.TLS, r.Certificate = store.Provisioned, true, true, "pc.corp.example", "9.0.1", tls, certificate
	}
}

func someFleet() []store.FleetRow {
	return []store.FleetRow{
		{UUID: amt.UUID{9}, Mapped: true, MapFQDN: "never.corp.example"},
		row(1, amt.PSK, delayed("rc-pid-unknown: failed to find PID mapping")),
		row(30, amt.PSK, delayed("rc-pid-unknown: failed to find PID mapping")),
		row(200, amt.PSK, delayed("rc-pid-unknown: failed to find PID mapping")),
		row(2, amt.PSK, delayed("rc-fqdn-unresolved: no name for this UUID")),
		row(3, amt.PKI, delayed("rc-cert-no-oid: the certificate is refused")),
		row(4, amt.PKI, delayed("<script>alert(1)</script>")),
		row(5, "", nil),
		row(6, amt.PSK, func(r *store.FleetRow) { r.KeyKnown, r.MapFQDN, r.Queued = true, "q.corp.example", true }),
		row(7, amt.PKI, func(r *store.FleetRow) {
			r.Session, r.State, r.AMTVersion, r.Queued = true, store.InProgress, "<b>9</b>\x1b[1m", true
		}),
		row(8, amt.PKI, done("off", false)), row(48, amt.PKI, done("server", true)), row(49, amt.PKI, done("mutual", false)),
		row(2000, amt.PSK, done("", false)),
		row(90, amt.PSK, func(r *store.FleetRow) {
			r.Retired, r.ReplacedBy, r.LastHello = noon.Add(-50*time.Hour), amt.UUID{1}, noon
		}),
	}
}

func each(rows []store.FleetRow, err error) iter.Seq2[store.FleetRow, error] {
	return func(yield func(store.FleetRow, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
		if err != nil {
			yield(store.FleetRow{}, err)
		}
	}
}

func report(t *testing.T) Report {
	t.Helper()
	r, err := Compute(each(someFleet(), nil), noon, Options{Title: func(id string) string { return "title of " + id }, Maintenance: []store.MaintenanceCount{
		{Kind: store.MaintainClock, Queued: 1, Done: 9},
		{Kind: store.MaintainPassword, Delayed: 2, Done: 3, Failed: map[string]int{"rc-auth-failed: refused": 1, "rc-host-unreachable: no answer": 2, "rc-auth-failed: other words": 3, "<b>": 1}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReached(t *testing.T) {
	want := []string{StageKnown, StageHello, StageHello, StageHello, StageKey, StageHello, StageKey, StageHello, StageNamed, StageSession, StageTLS, StageTLS, StageProvisioned, StageTLS}
	for i, r := range someFleet()[:len(want)] {
		if got := stages[Reached(r)].id; got != want[i] {
			t.Errorf("row %d: %s, want %s", i, got, want[i])
		}
	}
}

func TestCompute(t *testing.T) {
	r := report(t)
	var counts, stay []int
	for _, s := range r.Stages {
		counts, stay = append(counts, s.Count), append(stay, s.Stay)
	}
	sum := 0
	for i, n := range counts {
		sum += stay[i]
		if i > 0 && n > counts[i-1] {
			t.Errorf("a funnel that widens: %v", counts)
		}
	}
	if counts[0] != 14 || sum != 14 || r.Known != 14 || r.Retired != 1 || r.Replaced != 1 || r.Returned != 1 || r.Delayed != 6 || r.Queued != 1 || r.InProgress != 1 {
		t.Errorf("%v %v %+v", counts, stay, r)
	}
	c := r.Causes[0]
	if c.ID != "rc-pid-unknown" || c.Count != 3 || c.Longest != 200*3600 || c.Median != 30*3600 || c.Text != "title of rc-pid-unknown" || len(r.Causes) != 4 {
		t.Errorf("causes %+v", r.Causes)
	}
	m := r.Maintenance
	if len(m) != 2 || m[1].Failed != 7 || Failures(m[1].Causes) != "rc-auth-failed (4), rc-host-unreachable (2), other (1)" || m[0].Failed != 0 {
		t.Errorf("maintenance %+v", m)
	}
	if _, err := Compute(each(nil, errors.New("cut off")), noon, Options{}); err == nil {
		t.Error("rows that end in an error make a report")
	}
	empty, err := Compute(each(nil, nil), noon, Options{})
	b, _ := json.Marshal(empty)
	if err != nil || strings.Contains(string(b), "null") {
		t.Errorf("no rows: %s, %v", b, err)
	}
}

func TestPrinted(t *testing.T) {
	var table, html bytes.Buffer
	plain := func(s string) string { return strings.ReplaceAll(s, "\x1b", "?") }
	if err := errors.Join(WriteTable(&table, report(t), plain), WriteHTML(&html, report(t))); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", table.Bytes())
	golden(t, "report.golden.html", html.Bytes())
	for _, bad := range []string{"<script", "<b>9", "http://", "https://", "src=", "href=", "ZgotmplZ", "javascript"} {
		if strings.Contains(html.String(), bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	if strings.ContainsRune(table.String(), 0x1b) {
		t.Error("the table has an escape byte")
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n")), got) {
		t.Errorf("%s differs:\n%s", name, got)
	}
}

func TestWords(t *testing.T) {
	for s, want := range map[int64]string{0: "0 s", 59: "59 s", 60: "1 min", 3600: "1 h", 47 * 3600: "47 h", 48 * 3600: "2 d"} {
		if got := Age(s); got != want {
			t.Errorf("%d: %s", s, got)
		}
	}
	for f, want := range map[float64]string{0: "0 %", 0.999: "99 %", 1: "100 %", 0.29: "29 %"} {
		if got := Percent(f); got != want {
			t.Errorf("%g: %s", f, got)
		}
	}
	for reason, want := range map[string]string{"rc-x-1: words": "rc-x-1", "rc-x": "rc-x", "words: rc-x": "other", "rc-<b>: x": "other", "": "other"} {
		if got := CauseOf(reason); got != want {
			t.Errorf("%q: %s", reason, got)
		}
	}
}
