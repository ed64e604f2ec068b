package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"amtmedic/amt"
)

// Inspection is what Inspect found.
type Inspection struct {
	Path     string
	Shared   bool          // PostgreSQL
	Schema   int64         // number of the newest migration that was made
	Known    int64         // of this program's newest
	KeyFrom  string        // KeyInFile, KeyByPassphrase or KeyInKeyring
	Active   uint32        // the data key that is used
	Keys     int           // data keys
	Cells    int           // encrypted values
	Opened   int           // those that could be decrypted
	Rows     []TableRows   // in the order of their names
	Problems []amt.Problem // what makes it unfit
	Notes    []amt.Problem
	Undone   []amt.Problem // what could not be looked at, and why
}

// TableRows tells how many rows a table has.
type TableRows struct {
	Table string
	Rows  int64
}

// shownRows is how many rows a problem names at most.
const shownRows = 5

// Inspect looks at a database without changing it: its pages, its schema, whether its rows go together,
// and whether every secret can be decrypted. Only one that cannot be opened at all is an error.
func Inspect(ctx context.Context, target string, o Options) (*Inspection, error) {
	s, err := look(ctx, target, o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	in := &Inspection{Path: s.path, Shared: s.e.shared}
	for _, part := range []func(context.Context, *Store) error{in.pages, in.schema, in.tables, in.references, in.keys, in.cells} {
		if err := part(ctx, s); err != nil {
			if ctx.Err() != nil {
				return in, ctx.Err()
			}
			in.broken(err)
		}
	}
	return in, nil
}

// broken notes that a part could not be read.
func (in *Inspection) broken(err error) {
	in.Problems = append(in.Problems, amt.In("database", "unreadable", "%v", oneLine{err}))
}

// pages has SQLite check its file. PostgreSQL has checks of its own.
func (in *Inspection) pages(ctx context.Context, s *Store) error {
	if s.e.shared {
		in.Notes = append(in.Notes, amt.In("database", "pages", "PostgreSQL checks its pages by itself, where it was set up with checksums"))
		return nil
	}
	for _, check := range []string{`PRAGMA integrity_check(20)`, `PRAGMA foreign_key_check`} {
		rows, err := s.read.QueryContext(ctx, check)
		if err != nil {
			return classify(err)
		}
		for rows.Next() {
			var text, row, parent, fkey any
			if check == `PRAGMA foreign_key_check` {
				err = rows.Scan(&text, &row, &parent, &fkey)
				in.Problems = append(in.Problems, amt.In(fmt.Sprint(text), "foreign-key", "row %v points to a row of %v that is not there", row, parent))
			} else if err = rows.Scan(&text); err == nil && text != "ok" {
				in.Problems = append(in.Problems, amt.In("file", "damaged", "%v", text))
			}
			if err != nil {
				break
			}
		}
		if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return classify(err)
		}
	}
	return nil
}

// schema compares the migrations that were made with those of this program.
func (in *Inspection) schema(ctx context.Context, s *Store) error {
	name := "sqlite"
	if s.e.shared {
		name = "postgres"
	}
	known, err := migrationNumbers(name)
	if err != nil {
		return err
	}
	in.Known = known[len(known)-1]
	made := map[int64]bool{}
	rows, err := s.read.QueryContext(ctx, `SELECT version_id FROM goose_db_version ORDER BY version_id`)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(&in.Schema); err != nil {
			return err
		}
		made[in.Schema] = true
	}
	switch {
	case in.Schema > in.Known:
		in.Problems = append(in.Problems, amt.In("schema", "schema-new", "its tables are of a newer version: %d; this program knows %d", in.Schema, in.Known))
	case in.Schema < in.Known:
		in.Notes = append(in.Notes, amt.In("schema", "schema-old", "its tables are of an older version: %d of %d; the next command that writes brings them up to date", in.Schema, in.Known))
	}
	for _, n := range known {
		if n < in.Schema && !made[n] {
			in.Problems = append(in.Problems, amt.In("schema", "schema-gap", "step %d of its tables was left out", n))
		}
	}
	return classify(rows.Err())
}

// migrationNumbers lists the migrations of this program, ascending.
func migrationNumbers(dialect string) ([]int64, error) {
	files, err := fs.ReadDir(migrations, "migrations/"+dialect)
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, f := range files {
		word, _, _ := strings.Cut(f.Name(), "_")
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", f.Name(), err)
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

// tables counts the rows of every table that is copied or sealed.
func (in *Inspection) tables(ctx context.Context, s *Store) error {
	for _, name := range slices.Sorted(slices.Values(append(portableNames(), "secret_keys", "servers"))) {
		t := TableRows{Table: name}
		if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM `+name).Scan(&t.Rows); err != nil {
			if in.Schema < in.Known && errors.Is(classify(err), ErrNoTable) {
				continue // it comes with a later version
			}
			in.broken(fmt.Errorf("%s: %w", name, classify(err)))
			continue
		}
		in.Rows = append(in.Rows, t)
	}
	return nil
}

// reference is a query that gives the rows which break a rule.
type reference struct {
	code, where, text string
	note              bool // it helps to know, and is no fault
	query             string
}

// references are the rules that the tables do not enforce by themselves. NOT EXISTS, since PostgreSQL searches
// what NOT IN names from its beginning for every row, once it is large.
var references = []reference{
	{"default-profile", "csti_configuration", "the default profile is not there", false, `SELECT value FROM csti_configuration WHERE name='default_profile' AND NOT EXISTS (SELECT 1 FROM csti_profiles x WHERE x.name=csti_configuration.value)`},
	{"profile-gone", "csti_uuid_maps", "they name a profile that is not there", false, `SELECT uuid FROM csti_uuid_maps WHERE profile_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM csti_profiles x WHERE x.id=csti_uuid_maps.profile_id)`},
	{"profile-gone", "csti_amts", "they name a profile that is not there", false, `SELECT uuid FROM csti_amts WHERE profile_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM csti_profiles x WHERE x.id=csti_amts.profile_id)`},
	{"authority-gone", "csti_certificates", "the authority that signed them is not there", false, `SELECT serial FROM csti_certificates WHERE NOT EXISTS (SELECT 1 FROM csti_authorities x WHERE x.id=csti_certificates.authority_id)`},
	{"client-gone", "csto_queue_entries", "they are of clients that are not there", false, `SELECT uuid FROM csto_queue_entries WHERE NOT EXISTS (SELECT 1 FROM csti_amts x WHERE x.uuid=csto_queue_entries.uuid)`},
	{"client-gone", "csto_delayed_entries", "they are of clients that are not there", false, `SELECT uuid FROM csto_delayed_entries WHERE NOT EXISTS (SELECT 1 FROM csti_amts x WHERE x.uuid=csto_delayed_entries.uuid)`},
	{"client-gone", "csto_steps", "they are of clients that are not there", false, `SELECT DISTINCT uuid FROM csto_steps WHERE NOT EXISTS (SELECT 1 FROM csti_amts x WHERE x.uuid=csto_steps.uuid)`},
	{"client-gone", "csto_maintenance", "they are of clients that are not there", false, `SELECT DISTINCT uuid FROM csto_maintenance WHERE NOT EXISTS (SELECT 1 FROM csti_amts x WHERE x.uuid=csto_maintenance.uuid)`},
	{"client-gone", "csti_client_secrets", "they are of clients that are not there", false, `SELECT DISTINCT uuid FROM csti_client_secrets WHERE name<>'otp' AND NOT EXISTS (SELECT 1 FROM csti_amts x WHERE x.uuid=csti_client_secrets.uuid)`},
	{"client-gone", "csti_amts", "they were replaced by clients that are not there", false, `SELECT uuid FROM csti_amts WHERE replaced_by IS NOT NULL AND NOT EXISTS (SELECT 1 FROM csti_amts x WHERE x.uuid=csti_amts.replaced_by)`},
	{"two-entries", "csto_queue_entries", "the clients are queued and delayed at once", false, `SELECT uuid FROM csto_queue_entries WHERE uuid IN (SELECT uuid FROM csto_delayed_entries)`},
	{"no-lease", "csto_queue_entries", "a worker has them, without a lease that could run out", false, `SELECT uuid FROM csto_queue_entries WHERE claimed_by IS NOT NULL AND lease_us IS NULL`},
	{"no-worker", "csto_queue_entries", "they have a lease, and nobody has them", false, `SELECT uuid FROM csto_queue_entries WHERE claimed_by IS NULL AND lease_us IS NOT NULL`},
	{"lease-over", "csto_queue_entries", "the lease of their worker has run out: its server ended or cannot reach the database; the next one takes them", true, `SELECT uuid FROM csto_queue_entries WHERE claimed_by IS NOT NULL AND lease_us<?1`},
	{"worker-gone", "csto_queue_entries", "their worker is none of the servers of this database any more: they are taken over when the lease runs out", true, `SELECT uuid FROM csto_queue_entries WHERE claimed_by IS NOT NULL AND lease_us>=?1 AND NOT EXISTS (SELECT 1 FROM servers x WHERE x.name=csto_queue_entries.claimed_by)`},
	{"server-gone", "servers", "they did not end in order, and are not heard of any more", true, `SELECT name FROM servers WHERE within_us>0 AND heartbeat_us+within_us<?1`},
	{"pair-client", "csti_pid_map", "they are marked as used by clients that never said hello here", true, `SELECT pid FROM csti_pid_map WHERE uuid IS NOT NULL AND NOT EXISTS (SELECT 1 FROM csti_amts x WHERE x.uuid=csti_pid_map.uuid)`},
	{"pair-gone", "csti_amts", "they were provisioned with a PID that is not in the map any more", true, `SELECT uuid FROM csti_amts WHERE state=2 AND hello_version=2 AND pid IS NOT NULL AND NOT EXISTS (SELECT 1 FROM csti_pid_map x WHERE x.pid=csti_amts.pid)`},
}

// references looks for rows that break a rule.
func (in *Inspection) references(ctx context.Context, s *Store) error {
	for _, r := range references {
		var args []any
		if strings.Contains(r.query, "?1") {
			args = append(args, s.now().UnixMicro())
		}
		rows, err := s.words(ctx, r.query, args...)
		switch {
		case err != nil && in.Schema < in.Known && errors.Is(err, ErrNoTable):
			in.Undone = append(in.Undone, amt.In(r.where, "schema-old", "a column that this looks at comes with a later version"))
		case err != nil:
			in.broken(fmt.Errorf("%s: %w", r.where, err))
		case len(rows) > 0:
			p := amt.In(r.where, r.code, "%d: %s: %s", len(rows), r.text, someOf(rows))
			if r.note {
				in.Notes = append(in.Notes, p)
			} else {
				in.Problems = append(in.Problems, p)
			}
		}
	}
	return nil
}

// someOf names the first of many.
func someOf(rows []string) string {
	if len(rows) > shownRows {
		return strings.Join(rows[:shownRows], ", ") + ", ..."
	}
	return strings.Join(rows, ", ")
}

// words reads the first column of all rows as text.
func (s *Store) words(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var w string
		if err := rows.Scan(&w); err != nil {
			return nil, classify(err)
		}
		out = append(out, w)
	}
	return out, classify(rows.Err())
}

// keys finds the key of the database, and opens the data keys with it.
func (in *Inspection) keys(ctx context.Context, s *Store) error {
	row, err := s.remembered(ctx, s.read)
	in.KeyFrom = row.kind()
	if err != nil {
		return err
	}
	var active int
	if err := s.read.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(active), 0), coalesce(max(CASE WHEN active=1 THEN id END), 0) FROM secret_keys WHERE id>0`).Scan(&in.Keys, &active, &in.Active); err != nil {
		return classify(err)
	}
	switch {
	case active != 1:
		in.Problems = append(in.Problems, amt.In("secret_keys", "active-key", "one data key has to be in use, and %d are", active))
	case in.Keys > 1:
		in.Notes = append(in.Notes, amt.In("secret_keys", "rotation", "%d data keys: a rotation is under way, or was cut off; \"amtmedic db rotate-data-key\" goes on with it", in.Keys))
	}
	kek, err := s.lookKEK(ctx, s.read)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case err != nil:
		in.Problems = append(in.Problems, amt.In("secret_keys", "key", "%v", s.keyError(kek.from, err)))
		return nil
	case kek.keys == nil:
		if _, why := readKeyFile(kek.from); row.kind() == KeyInFile && kek.from != "" && why != nil {
			in.Undone = append(in.Undone, amt.In("secret_keys", "key-file", "key file: %v", why))
		}
		return nil // cells tells the rest
	}
	if len(kek.keys) > 1 {
		in.Notes = append(in.Notes, amt.In(kek.from, "key-file", "it holds %d keys: an exchange of the key was cut off, which \"amtmedic db rotate-key\" ends, or another database has its key there", len(kek.keys)))
	}
	keys, id, err := loadKeys(ctx, s.read, kek.keys, nil)
	if err != nil {
		in.Problems = append(in.Problems, amt.In("secret_keys", "key", "%v", s.keyError(kek.from, err)))
		return nil
	}
	s.keys.keys, s.keys.active = keys, id
	s.keys.load = s.reload // a rotation may begin meanwhile
	return nil
}

// cells decrypts every secret.
func (in *Inspection) cells(ctx context.Context, s *Store) error {
	for _, c := range sealedColumns {
		if err := in.column(ctx, s, c); err != nil {
			return err
		}
	}
	if err := in.bodies(ctx, s); err != nil {
		return err
	}
	if in.Cells > 0 && len(s.keys.keys) == 0 {
		in.Undone = append(in.Undone, amt.In("secrets", "no-key", "%d secrets are there, and the key of the database (%s) is not at hand, or another one", in.Cells, in.KeyFrom))
	}
	return nil
}

func (in *Inspection) column(ctx context.Context, s *Store, c sealedColumn) error {
	rows, err := s.read.QueryContext(ctx, `SELECT `+c.keys()+`, `+c.column+` FROM `+c.table+` WHERE `+c.column+` IS NOT NULL`)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = rows.Close() }()
	var bad []string
	for rows.Next() {
		cell, err := c.scanCell(rows.Scan)
		if err != nil {
			return classify(err)
		}
		in.Cells++
		if len(s.keys.keys) == 0 {
			continue
		}
		if _, err := s.keys.openText(cell.cell, c.place(cell.row)); err != nil {
			bad = append(bad, c.place(cell.row).row)
			continue
		}
		in.Opened++
	}
	if len(bad) > 0 {
		in.Problems = append(in.Problems, amt.In(c.String(), "cell", "%d secrets cannot be decrypted: %s", len(bad), someOf(bad)))
	}
	return classify(rows.Err())
}

// bodies decrypts the secrets of profiles.
func (in *Inspection) bodies(ctx context.Context, s *Store) error {
	rows, err := s.read.QueryContext(ctx, `SELECT id, name, body FROM csti_profiles ORDER BY id`)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		var name, body string
		if err := rows.Scan(&id, &name, &body); err != nil {
			return classify(err)
		}
		n := len(bodyKeys(body))
		if in.Cells += n; len(s.keys.keys) == 0 && n > 0 {
			continue
		}
		if _, err := s.openBody(id, body); err != nil {
			in.Problems = append(in.Problems, amt.In("csti_profiles", "cell", "profile %s: %v", name, err))
			continue
		}
		in.Opened += n
	}
	return classify(rows.Err())
}
