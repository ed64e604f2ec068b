package main

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// Maintenance that waits is listed and taken back at the command line.
func TestMaintainList(t *testing.T) {
	e, stdout, stderr := testEnv(t)
	db := filepath.Join(t.TempDir(), "core.db")
	st, err := store.Open(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	a, b := amt.UUID{1, 1}, amt.UUID{1, 2}
	for _, u := range []amt.UUID{a, b} {
		if _, err := st.RecordHello(t.Context(), store.Hello{From: netip.MustParseAddrPort("127.0.0.9:16994"), Version: 3, UUID: u}); err != nil {
			t.Fatal(err)
		}
		jobs, err := st.Claim(t.Context(), "w", 1, time.Minute)
		if err != nil || len(jobs) != 1 {
			t.Fatal(jobs, err)
		}
		if err := st.Finish(t.Context(), jobs[0], store.Done{FQDN: "pc.corp.example", Text: "done"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range []amt.UUID{a, b} {
		if err := st.Maintain(t.Context(), u, store.MaintainClock, "asked for"); err != nil {
			t.Fatal(err)
		}
	}
	says := func(code int, args []string, parts ...string) string {
		t.Helper()
		from := len(stdout.String())
		if got := run(e, append([]string{"maintain", "--db", db}, args...)); got != code {
			t.Errorf("%q: exit %d, want %d: %s", args, got, code, stderr.String())
		}
		out := stdout.String()[from:]
		want(t, out, parts...)
		return out
	}
	says(0, []string{"--list"}, "REASON", a.String(), b.String(), "clock", "queued", "pc.corp.example")
	readJSONDoc(t).check(t, "maintain --list", []byte(says(0, []string{"--list", "--json"})))
	says(0, []string{"--cancel", a.String()}, "cancelled: clock")
	readJSONDoc(t).check(t, "maintain --cancel", []byte(says(1, []string{"--cancel", a.String(), b.String(), "--json"}, `"cancelled":false`, "no maintenance waits", `"cancelled":true`)))
	if out := says(0, []string{"--list"}); out != "" || !strings.Contains(stderr.String(), "no maintenance waits") {
		t.Errorf("%q, %s", out, stderr.String())
	}
	says(0, []string{"clock", "--all", "--yes"}, "queued")
	says(0, []string{"--cancel", "--all"}, "cancelled: clock")
	for _, args := range [][]string{{"--list", a.String()}, {"--cancel"}, {"--cancel", "--all", a.String()}, {"--cancel", "x"}, {"--list", "--cancel"}} {
		says(2, args)
	}
}
