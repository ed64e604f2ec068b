package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store/pgtest"
)

// sound makes a database whose rows all go together.
func sound(t *testing.T) *Store {
	t.Helper()
	s := fresh(t)
	everyTable(t, s)
	if err := s.write(t.Context(), func(x *tx) error {
		return errors.Join(x.exec(`UPDATE csto_queue_entries SET lease_us=?`, time.Now().Add(time.Hour).UnixMicro()),
			x.exec(`INSERT INTO servers (name, address, heartbeat_us, within_us) VALUES ('core-1', '', ?, 3600000000)`, time.Now().UnixMicro()))
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInspect(t *testing.T) {
	const u = "'4c4c4544-0058-3910-8059-b7c04f000003'"
	for _, c := range []struct {
		name, query  string
		code, where  string // of the problem, or of the note where note is set
		note, undone bool
		o            func(*Options)
	}{
		{name: "sound"},
		{name: "cell moved", query: `UPDATE csti_amts SET admin_password=next_password WHERE uuid=` + u, code: "cell", where: "csti_amts.admin_password"},
		{name: "cell of a profile", query: `INSERT INTO csti_profiles (id, name, body) SELECT 77, 'moved', body FROM csti_profiles WHERE name='fixed'`, code: "cell", where: "csti_profiles"},
		{name: "queue without client", query: `INSERT INTO csto_queue_entries (uuid, kind, enqueued_us) VALUES ('nobody', 2, 1)`, code: "client-gone", where: "csto_queue_entries"},
		{name: "delayed without client", query: `INSERT INTO csto_delayed_entries (uuid, kind, attempts, due_us, reason) VALUES ('nobody', 2, 1, 9, 'r')`, code: "client-gone", where: "csto_delayed_entries"},
		{name: "queued and delayed", query: `INSERT INTO csto_queue_entries (uuid, kind, enqueued_us) SELECT uuid, 2, 1 FROM csto_delayed_entries`, code: "two-entries", where: "csto_queue_entries"},
		{name: "no lease", query: `UPDATE csto_queue_entries SET lease_us=NULL`, code: "no-lease", where: "csto_queue_entries"},
		{name: "lease over", query: `UPDATE csto_queue_entries SET lease_us=5`, code: "lease-over", where: "csto_queue_entries", note: true},
		{name: "worker gone", query: `UPDATE csto_queue_entries SET claimed_by='core-2'`, code: "worker-gone", where: "csto_queue_entries", note: true},
		{name: "server gone", query: `UPDATE servers SET heartbeat_us=5`, code: "server-gone", where: "servers", note: true},
		{name: "profile gone", query: `UPDATE csti_amts SET profile_id=99 WHERE uuid=` + u, code: "profile-gone", where: "csti_amts"},
		{name: "default profile", query: `UPDATE csti_configuration SET value='none such' WHERE name='default_profile'`, code: "default-profile", where: "csti_configuration"},
		{name: "replaced by nobody", query: `UPDATE csti_amts SET replaced_by='nobody' WHERE uuid=` + u, code: "client-gone", where: "csti_amts"},
		{name: "no active key", query: `UPDATE secret_keys SET active=0`, code: "active-key", where: "secret_keys"},
		{name: "pair of nobody", query: `UPDATE csti_pid_map SET used=1, uuid='nobody' WHERE id=1`, code: "pair-client", where: "csti_pid_map", note: true},
		{name: "newer schema", query: `INSERT INTO goose_db_version (version_id, is_applied) VALUES (4000, 1)`, code: "schema-new", where: "schema"},
		{name: "step left out", query: `DELETE FROM goose_db_version WHERE version_id=2`, code: "schema-gap", where: "schema"},
		{name: "older schema", query: `DELETE FROM goose_db_version WHERE version_id>6`, code: "schema-old", where: "schema", note: true},
		{name: "another key", code: "key", where: "secret_keys", undone: true, o: func(o *Options) {
			o.KeyFile = filepath.Join(t.TempDir(), "other.key")
			if _, err := makeKeyFile(o.KeyFile); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "key file away", code: "", undone: true, o: func(o *Options) { o.KeyFile = "" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sound(t)
			o := Options{KeyFile: s.o.KeyFile}
			if !s.e.shared {
				o.KeyFile = filepath.Join(t.TempDir(), "core.key")
				if err := os.Rename(s.path+".key", o.KeyFile); err != nil {
					t.Fatal(err)
				}
			}
			if c.query != "" {
				if err := s.write(t.Context(), func(x *tx) error { return x.exec(c.query) }); err != nil {
					t.Fatal(err)
				}
			}
			if c.o != nil {
				c.o(&o)
			}
			in, err := Inspect(t.Context(), targetOf(s), o)
			if err != nil {
				t.Fatal(err)
			}
			problems, notes := codesOf(in.Problems), slices.DeleteFunc(codesOf(in.Notes), func(c string) bool { return c == "database pages" })
			want := []string(nil)
			if c.code != "" {
				want = []string{c.where + " " + c.code}
			}
			if c.note {
				problems, notes = notes, problems
			}
			if !slices.Equal(problems, want) || len(notes) > 0 {
				t.Errorf("problems %v, notes %v", in.Problems, in.Notes)
			}
			if got := len(in.Undone) > 0; got != c.undone || !c.undone && c.code != "cell" && in.Opened != in.Cells || in.Cells == 0 {
				t.Errorf("%d of %d cells, undone %v", in.Opened, in.Cells, in.Undone)
			}
		})
	}
}

func codesOf(ps []amt.Problem) (out []string) {
	for _, p := range ps {
		out = append(out, p.Where+" "+p.Code)
	}
	return out
}

// A one-time password comes before the first hello of its client, and is no fault.
func TestInspectPlantedPassword(t *testing.T) {
	s := fresh(t)
	if _, err := s.ImportOTPs(t.Context(), []OTP{{UUID: amt.UUID{7}, Password: amt.NewSecret("planted")}}); err != nil {
		t.Fatal(err)
	}
	in, err := Inspect(t.Context(), s.Path(), s.o)
	if err != nil || len(in.Problems) > 0 {
		t.Errorf("%+v, %v", in.Problems, err)
	}
}

// PostgreSQL goes through all of a large NOT IN for every row: a check of 200,000 clients had no end.
func TestReferencesScale(t *testing.T) {
	for _, r := range references {
		if strings.Contains(r.query, "NOT IN (SELECT") {
			t.Errorf("%s of %s: %s", r.code, r.where, r.query)
		}
	}
}

// A rotation that begins while secrets are looked at makes none of them a fault.
func TestInspectBesideRotation(t *testing.T) {
	s := fresh(t)
	secretRows(t, s, 3)
	look, err := look(t.Context(), s.Path(), s.o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = look.Close() }()
	in := &Inspection{}
	if err := in.keys(t.Context(), look); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RotateDataKey(t.Context(), quick()); err != nil {
		t.Fatal(err)
	}
	if err := in.cells(t.Context(), look); err != nil || len(in.Problems) > 0 || in.Opened != in.Cells {
		t.Errorf("%+v, %v", in, err)
	}
}

// Pages that were changed under SQLite are found, and what is no database is an error.
func TestInspectDamaged(t *testing.T) {
	s := sound(t)
	path := s.path
	for i := range 3000 {
		if err := s.AppendLog(t.Context(), LogRow{Code: "fill", Text: fmt.Sprint(i, strings.Repeat("x", 100))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) < 1<<18 {
		t.Fatal(len(raw), err)
	}
	for i := len(raw) - 1<<17; i < len(raw)-1<<16; i++ {
		raw[i] = 0xa5
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := Inspect(t.Context(), path, Options{})
	if err != nil || len(in.Problems) == 0 {
		t.Errorf("%+v, %v", in, err)
	}
	for name, want := range map[string]error{"none": ErrNotFound, "text": ErrNoDatabase, "other": ErrNoTable} {
		file := filepath.Join(t.TempDir(), name)
		switch name {
		case "text":
			err = os.WriteFile(file, []byte(strings.Repeat("no database\n", 500)), 0o600)
		case "other":
			err = os.WriteFile(file, nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Inspect(t.Context(), file, Options{}); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInspectOnPostgres(t *testing.T) {
	server = pgtest.Start(t)
	defer func() { server = nil }()
	s := sound(t)
	in, err := Inspect(t.Context(), targetOf(s), Options{KeyFile: s.o.KeyFile})
	if err != nil || len(in.Problems)+len(in.Undone) > 0 || in.Opened != in.Cells || in.Schema != in.Known || !in.Shared {
		t.Errorf("%+v, %v", in, err)
	}
	if err := s.write(t.Context(), func(x *tx) error {
		return errors.Join(x.exec(`UPDATE csti_amts SET admin_password=next_password`), x.exec(`UPDATE csto_queue_entries SET uuid='nobody', lease_us=1`))
	}); err != nil {
		t.Fatal(err)
	}
	in, err = Inspect(t.Context(), targetOf(s), Options{KeyFile: s.o.KeyFile})
	if got := codesOf(in.Problems); err != nil || !slices.Equal(got, []string{"csto_queue_entries client-gone", "csti_amts.admin_password cell"}) {
		t.Errorf("%v, %v", got, err)
	}
	if in, err = Inspect(t.Context(), targetOf(s), Options{}); err != nil || len(in.Undone) != 1 {
		t.Errorf("without the key: %+v, %v", in, err)
	}
}
