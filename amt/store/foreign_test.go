package store

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const consoleSQL = `CREATE TABLE "Console Inventory" (id INTEGER, "Computer Name" VARCHAR(80), guid VARCHAR(36), agent INT);
	INSERT INTO "Console Inventory" VALUES (1, 'PC7.corp.example', '03020100-0504-0706-0809-0A0B0C0D0E0F', 7);
	INSERT INTO "Console Inventory" VALUES (2, NULL, '4c4c4544-0058-3910-8059-b7c04f4b5a31', NULL);`

// console makes a foreign database with a program that we did not write: sqlite3, or psql during
// TestOnPostgres. query runs a statement with it.
func console(t *testing.T) (target string, query func(string) string) {
	t.Helper()
	run := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if server != nil {
		name := server.Database(t)
		target = server.URL(name)
		query = func(s string) string { return strings.TrimSpace(server.Psql(t, name, s)) }
	} else {
		bin, err := exec.LookPath("sqlite3")
		if err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("sqlite3 is missing")
			}
			t.Skip("sqlite3 is missing: no foreign database could be made")
		}
		target = filepath.Join(t.TempDir(), "console.db")
		query = func(s string) string { return run(bin, target, s) }
	}
	query(consoleSQL)
	return target, query
}

func TestForeign(t *testing.T) {
	target, query := console(t)
	const table = "Console Inventory"
	f, err := OpenForeign(t.Context(), target, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if strings.Contains(f.Name(), "sesame") {
		t.Errorf("the name shows the password: %s", f.Name())
	}
	columns, err := f.Columns(t.Context(), table)
	if err != nil || strings.Join(columns, ",") != "id,Computer Name,guid,agent" {
		t.Fatalf("columns %q, %v", columns, err)
	}
	rows, err := f.Rows(t.Context(), table, []string{"guid", "Computer Name", "agent"})
	if err != nil || len(rows) != 2 || strings.Join(rows[0], "|") != "03020100-0504-0706-0809-0A0B0C0D0E0F|PC7.corp.example|7" || rows[1][1] != "" {
		t.Errorf("rows %q, %v", rows, err)
	}
	if _, err := f.Columns(t.Context(), "nonesuch"); !errors.Is(err, ErrNoTable) {
		t.Errorf("no such table: %v", err)
	}
	change := []ForeignChange{{Key: "guid", Value: uuidText, Set: map[string]string{"Computer Name": "o'hara.corp.example"}}, {Set: map[string]string{"guid": "x", "Computer Name": `"; DROP TABLE x; --`}}}
	if err := f.Write(t.Context(), table, change); err == nil {
		t.Error("written through a connection that only reads")
	}
	w, err := OpenForeign(t.Context(), target, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	if err := w.Write(t.Context(), table, append(change, ForeignChange{Key: "guid", Value: "nobody", Set: map[string]string{"agent": "1"}})); err == nil {
		t.Error("a row that is not there was changed")
	}
	if got := query(`SELECT "Computer Name" FROM "Console Inventory" WHERE id=1`); got != "PC7.corp.example" {
		t.Errorf("half written: %s", got)
	}
	if err := w.Write(t.Context(), table, change); err != nil {
		t.Fatal(err)
	}
	if got := query(`SELECT "Computer Name" FROM "Console Inventory" WHERE id=1 OR guid='x' ORDER BY coalesce(id, 9)`); !strings.HasPrefix(got, "o'hara.corp.example\n\"; DROP") {
		t.Errorf("written: %s", got)
	}
	if err := w.Write(t.Context(), "csti_amts", change); !errors.Is(err, ErrOurs) {
		t.Errorf("a table of a core: %v", err)
	}
	if server == nil {
		return
	}
	// a console's table in a schema of its own, with PostgreSQL's own types
	query(`CREATE SCHEMA console; CREATE TABLE console.pcs (guid uuid, ip inet, last_hello timestamptz, seen date, n int);
		INSERT INTO console.pcs (guid, n) VALUES ('` + nextText + `', 7)`)
	typed := map[string]string{"ip": "10.20.0.7", "last_hello": "2026-11-25T08:00:00Z"}
	if err := w.Write(t.Context(), "console.pcs", []ForeignChange{{Key: "guid", Value: strings.ToUpper(nextText), Set: typed}, {Set: map[string]string{"guid": uuidText, "n": "9"}}}); err != nil {
		t.Fatal(err)
	}
	if have, err := f.Tables(t.Context()); err != nil || !slices.Contains(have, "console.pcs") {
		t.Errorf("tables %q, %v", have, err)
	}
	rows, err = f.Rows(t.Context(), "console.pcs", []string{"guid", "ip", "last_hello", "n"})
	slices.SortFunc(rows, slices.Compare)
	if err != nil || len(rows) != 2 || rows[0][3] != "9" || rows[1][0] != nextText || rows[1][1] != "10.20.0.7/32" || !strings.HasPrefix(rows[1][2], "2026-11-25 ") {
		t.Errorf("typed rows %q, %v", rows, err)
	}
}

func TestForeignThatIsNone(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "x.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 99)), 0o600); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]error{filepath.Join(dir, "none.db"): ErrNotFound, text: ErrUnreachable, "postgres://u:sesame@127.0.0.1:1/x": ErrUnreachable, "postgres://u:sesame@[::1": nil, "mysql://x": nil} {
		f, err := OpenForeign(t.Context(), target, false)
		if err == nil {
			_ = f.Close()
		}
		if err == nil || want != nil && !errors.Is(err, want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", target, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("a database was made")
	}
}
