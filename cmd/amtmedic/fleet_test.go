package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"amtmedic/amt/fleet"
	"amtmedic/amt/store"
	"amtmedic/amt/store/storetest"
)

// The report of a filled database says what the queue says.
func TestFleetReport(t *testing.T) {
	e, stdout, stderr := testEnv(t)
	db := filepath.Join(t.TempDir(), "core.db")
	if err := storetest.Fill(t.Context(), db, 200); err != nil {
		t.Fatal(err)
	}
	if code := run(e, []string{"fleet", "report", "--db", db, "--json"}); code != exitOK {
		t.Fatal(stderr.String())
	}
	var r fleet.Report
	if err := json.Unmarshal([]byte(stdout.String()), &r); err != nil {
		t.Fatal(err)
	}
	st, err := store.OpenExisting(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	c, err := st.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]int{}
	for _, s := range r.Stages {
		byID[s.ID] = s.Count
	}
	waiting := 0
	for _, x := range r.Causes {
		waiting += x.Count
		if x.Text == "" {
			t.Errorf("cause %s has no sentence", x.ID)
		}
	}
	if r.Known != 200 || byID[fleet.StageProvisioned] != c.Clients[store.Provisioned] || r.Delayed != c.Delayed || waiting != c.Delayed || r.Queued+r.InProgress != c.Queued || c.Delayed == 0 {
		t.Errorf("report %+v\ncounts %+v", r, c)
	}
}

// A console's database, made by a program that we did not write, is read, merged, and written.
func TestFleetSync(t *testing.T) {
	bin, err := exec.LookPath("sqlite3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("sqlite3 is missing")
		}
		t.Skip("sqlite3 is missing: no console's database could be made")
	}
	dir := t.TempDir()
	db, console := filepath.Join(dir, "core.db"), filepath.Join(dir, "console.db")
	if err := storetest.Fill(t.Context(), db, 20); err != nil {
		t.Fatal(err)
	}
	query := func(sql string) string {
		t.Helper()
		out, err := exec.Command(bin, console, sql).CombinedOutput()
		if err != nil {
			t.Fatalf("sqlite3: %v %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	mac := "4c4c4544-ffff-4310-8059-b7c04fffffff"
	query(`CREATE TABLE computers (id INTEGER PRIMARY KEY, "Computer Name" TEXT, guid TEXT, amt_state TEXT, amt_version TEXT, agent INT);
		INSERT INTO computers ("Computer Name", guid, agent) VALUES ('` + storetest.FQDN(0) + `', upper('` + storetest.UUID(0).String() + `'), 7), ('new.corp.example', '{` + mac + `}', 8), ('` + storetest.FQDN(1) + `', '4c4c4544-eeee-4310-8059-b7c04feeeeee', 9)`)
	e, stdout, stderr := testEnv(t)
	do := func(want int, words string, args ...string) {
		t.Helper()
		before, beforeErr := len(stdout.String()), len(stderr.String())
		if code := run(e, append(args, "--db", db)); code != want {
			t.Fatalf("%v: exit %d, want %d: %s", args, code, want, stderr.String()[beforeErr:])
		}
		if got := stdout.String()[before:] + stderr.String()[beforeErr:]; !strings.Contains(got, words) {
			t.Errorf("%v: %s\nlacks %q", args, got, words)
		}
	}
	do(exitUsage, "computers", "fleet", "sync", console)
	do(exitUsage, "its tables: computers", "fleet", "sync", console, "--table", "pcs")
	do(exitFound, storetest.FQDN(1)+" is the name of "+storetest.UUID(1).String(), "fleet", "sync", console, "--table", "computers", "--yes")
	if code := run(e, []string{"fleet", "export", "--db", db}); code != exitOK || strings.Contains(stdout.String(), "new.corp") {
		t.Errorf("a contradiction did not keep the others from being changed: %s", stdout.String())
	}
	do(exitFound, "changed; changes 1, same 1, ignored 0, conflicts 1", "fleet", "sync", console, "--table", "computers", "--yes", "--skip-conflicts")
	do(exitOK, mac+",new.corp.example,,never", "fleet", "export")

	do(exitFound, "--yes agrees", "fleet", "sync", "sqlite:"+console, "--table", "computers", "--push", "--skip-conflicts")
	if got := query(`SELECT count(*) FROM computers`); got != "3" {
		t.Errorf("%s rows before anybody agreed", got)
	}
	do(exitFound, "conflicts 1", "fleet", "sync", console, "--table", "computers", "--push", "--skip-conflicts", "--yes")
	if got := query(`SELECT count(*) FROM computers; SELECT amt_state, amt_version, agent FROM computers WHERE id=1`); got != "21\nprovisioned|2.2.20|7" {
		t.Errorf("after the push: %s", got)
	}
	do(exitFound, "changes 0, same 20", "fleet", "sync", console, "--table", "computers", "--push", "--preview")
}
