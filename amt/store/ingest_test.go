package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"amtmedic/amt"
)

// older makes a database as an earlier version left it: its tables by the migrations up to a number, and
// what the statements fill in. It gives its name for Open.
func older(t *testing.T, version int64, statements ...string) (target string) {
	t.Helper()
	target, driver, name := filepath.Join(t.TempDir(), "core.db"), "sqlite", "sqlite"
	source := dsn(target, modeWrite)
	if server != nil {
		target, driver, name = server.URL(server.Database(t)), "pgx", "postgres"
		source = target
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	dir, err := fs.Sub(migrations, "migrations/"+name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(dialects[name], db, dir, goose.WithDisableGlobalRegistry(true))
	if err == nil {
		_, err = p.UpTo(t.Context(), version)
	}
	for _, q := range statements {
		if err == nil {
			_, err = db.ExecContext(t.Context(), q)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// A database from before keeps every log row, and what is written after it stands beside that.
func TestLogOfOlderDatabase(t *testing.T) {
	old, young := amt.UUID{7, 1}, amt.UUID{7, 2}
	at := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	us := at.UnixMicro()
	row := func(us int64, code string) string {
		return fmt.Sprintf(`INSERT INTO csti_log (at_us, uuid, severity, code, detail) VALUES (%d, '%s', 0, '%s', 'before: %s')`, us, old, code, code)
	}
	target := older(t, 8,
		fmt.Sprintf(`INSERT INTO csti_amts (uuid, ip, first_hello_us, last_hello_us) VALUES ('%s', '10.20.0.7', %d, %d)`, old, us, us),
		fmt.Sprintf(`INSERT INTO csto_queue_entries (uuid, kind, enqueued_us) VALUES ('%s', 3, %d)`, old, us),
		row(us, "hello"), row(us+5, "provisioned"),
		fmt.Sprintf(`INSERT INTO csti_log (at_us, severity, code, detail) VALUES (%d, 0, 'setting', 'before: of no client')`, us))
	s, err := Open(t.Context(), target, Options{KeyFile: filepath.Join(t.TempDir(), "k"), Now: func() time.Time { return at.Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, h := range []Hello{{Version: 3, UUID: old}, {Version: 3, UUID: young}} {
		record(t, s, h)
	}
	want := map[amt.UUID]string{
		old:        "before: hello; before: provisioned",
		young:      "hello 1 of version 3 from invalid IP, retry count 0, 0 root hashes: queued",
		amt.UUID{}: "before: of no client",
	}
	for u, text := range want {
		rows, err := s.Log(t.Context(), u, 10)
		if got := texts(rows); err != nil || got != text {
			t.Errorf("log of %s: %q, want %q (%v)", u, got, text, err)
		}
	}
	rows, err := s.ListLog(t.Context(), LogOptions{})
	if err != nil || len(rows) < 4 || texts(rows)[:5] != "hello" {
		t.Errorf("all rows: %q, %v", texts(rows), err)
	}
	if life, err := s.History(t.Context(), old); err != nil || len(life) != 2 || life[1].Event != "provisioned" {
		t.Errorf("its life: %+v, %v", life, err)
	}
}

// texts joins the texts of log rows.
func texts(rows []LogRow) string {
	var all []string
	for _, r := range rows {
		all = append(all, r.Text)
	}
	return strings.Join(all, "; ")
}

// Every log row of a client is found by its UUID: that of its first hello, whether it came alone or in a
// group, and all others, although they do not stand in the same index.
func TestLogByClient(t *testing.T) {
	now := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	s := freshAt(t, Options{Now: func() time.Time { now = now.Add(time.Millisecond); return now }})
	if _, err := s.ImportKeys(t.Context(), []Pair{intelPair()}); err != nil {
		t.Fatal(err)
	}
	group := func(hellos ...Hello) {
		t.Helper()
		var all []*recording
		for _, h := range hellos {
			all = append(all, &recording{h: h, uuid: h.UUID.String(), now: s.now().UnixMicro()})
		}
		if err := s.write(t.Context(), func(x *tx) error { return x.recordGroup(all) }); err != nil {
			t.Fatal(err)
		}
	}
	record(t, s, Hello{Version: 3, UUID: amt.UUID{1}})
	group(Hello{Version: 3, UUID: amt.UUID{2}}, Hello{Version: 2, PID: goodPID, UUID: amt.UUID{3}}, Hello{Version: 7, UUID: amt.UUID{4}}, Hello{Version: 2, PID: "00000000", UUID: amt.UUID{5}})
	for range logEvery {
		group(Hello{Version: 3, UUID: amt.UUID{1}}, Hello{Version: 3, UUID: amt.UUID{2}})
	}
	jobs, err := s.Claim(t.Context(), "w", 10, time.Minute)
	if err != nil || len(jobs) != 3 {
		t.Fatal(jobs, err)
	}
	for _, j := range jobs {
		if err := s.Finish(context.Background(), j, Done{Text: "done"}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.ListLog(t.Context(), LogOptions{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []int{1: 3, 2: 3, 3: 2, 4: 1, 5: 1} { // first hello, one of logEvery, provisioned
		u := amt.UUID{byte(n)}
		if n == 0 {
			continue
		}
		rows, err := s.Log(t.Context(), u, 1000)
		listed, err2 := s.ListLog(t.Context(), LogOptions{UUID: u, Limit: 1000})
		of := 0
		for _, r := range all {
			if r.UUID == u {
				of++
			}
		}
		if err != nil || err2 != nil || len(rows) != want || len(listed) != want || of != want {
			t.Errorf("client %d: %d rows, %d listed, %d of all, want %d: %q (%v, %v)", n, len(rows), len(listed), of, want, texts(rows), err, err2)
		}
	}
}
