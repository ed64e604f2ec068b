package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"amtmedic/amt"
)

// Foreign is a database of another program, such as a console's inventory. Nothing of it is ever made,
// and rows change only by Write.
type Foreign struct {
	name string // as it may be shown
	db   *sql.DB
	e    *engine
}

// ErrOurs: the table is one of a provisioning core, which other ways write.
var ErrOurs = errors.New("it is a table of a provisioning core: its rows are changed by the commands for them")

const foreignLimit = 5_000_000 // rows

// OpenForeign opens the SQLite file or the postgres:// URL of another program's database; file: and
// sqlite: may stand before a file's name. The caller closes it.
func OpenForeign(ctx context.Context, target string, write bool) (*Foreign, error) {
	if isPostgres(target) {
		return foreignPostgres(ctx, target, write)
	}
	for _, scheme := range []string{"sqlite:", "file:"} {
		if rest, ok := strings.CutPrefix(target, scheme); ok {
			target = rest
			if strings.HasPrefix(rest, "//") { // file:///path, file://localhost/path
				if u, err := url.Parse("file:" + rest); err == nil {
					target = u.Path
				}
			}
		}
	}
	path, err := filePath(target)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, &amt.Error{Op: "open database", Subject: path, Err: classify(err)}
	}
	name := dsn(path, modeReadOnly)
	if write { // neither its journal mode nor anything else is changed
		name = strings.Replace(strings.Replace(name, "mode=ro", "mode=rw", 1), "&_pragma=query_only(1)", "&_txlock=immediate", 1)
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, classify(err)
	}
	return ready(ctx, &Foreign{path, db, embedded})
}

func foreignPostgres(ctx context.Context, target string, write bool) (*Foreign, error) {
	cfg, err := pgx.ParseConfig(target)
	if err != nil { // the driver's own words may quote the URL with its password
		return nil, &amt.Error{Op: "open database", Subject: shown(target), Err: errors.New("the URL cannot be read"), Hint: "it has the form postgres://USER:PASSWORD@HOST:PORT/DATABASE"}
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	cfg.RuntimeParams["application_name"] = "amtmedic"
	if !write {
		cfg.RuntimeParams["default_transaction_read_only"] = "on"
	}
	return ready(ctx, &Foreign{shown(target), stdlib.OpenDB(*cfg), postgres})
}

// ready makes sure that the database answers.
func ready(ctx context.Context, f *Foreign) (*Foreign, error) {
	f.db.SetMaxOpenConns(1)
	var one int
	err := f.db.QueryRowContext(ctx, "SELECT 1").Scan(&one)
	if err == nil && !f.e.shared { // a file that is no database answers only when it is read
		err = f.db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&one)
	}
	if err != nil {
		return nil, errors.Join(&amt.Error{Op: "open database", Subject: f.name, Err: oneLine{classify(err)}}, f.db.Close())
	}
	return f, nil
}

// Name gives the file or the URL, without its password.
func (f *Foreign) Name() string { return f.name }

// Close ends the connection.
func (f *Foreign) Close() error { return f.db.Close() }

// Columns gives the names of a table's columns in their order. The table may have a schema before a dot.
// ErrNoTable names the tables that are there.
func (f *Foreign) Columns(ctx context.Context, table string) ([]string, error) {
	query, args := `SELECT name FROM pragma_table_info(?) ORDER BY cid`, []any{table}
	if f.e.shared {
		schema, name := schemaOf(table)
		query, args = `SELECT column_name FROM information_schema.columns WHERE table_schema=coalesce(nullif(?, ''), current_schema()) AND table_name=? ORDER BY ordinal_position`, []any{schema, name}
	}
	out, err := f.texts(ctx, query, args...)
	if err != nil || len(out) > 0 {
		return out, err
	}
	have, err := f.Tables(ctx)
	if err != nil {
		return nil, err
	}
	hint := "it has no tables"
	if len(have) > 0 {
		hint = "its tables: " + strings.Join(have[:min(len(have), 20)], ", ")
	}
	return nil, &amt.Error{Op: "read table", Subject: table, Err: fmt.Errorf("%w in %s", ErrNoTable, f.name), Hint: hint}
}

// Tables lists the tables and views.
func (f *Foreign) Tables(ctx context.Context) ([]string, error) {
	if f.e.shared {
		return f.texts(ctx, `SELECT CASE WHEN table_schema=current_schema() THEN table_name ELSE table_schema || '.' || table_name END AS name
			FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`)
	}
	return f.texts(ctx, `SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
}

func (f *Foreign) texts(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := f.db.QueryContext(ctx, f.e.rebind(query), args...)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, classify(err)
		}
		out = append(out, v)
	}
	return out, classify(rows.Err())
}

// Rows gives columns of a table as text, NULL as the empty text; columns are names from Columns.
func (f *Foreign) Rows(ctx context.Context, table string, columns []string) ([][]string, error) {
	var list []string
	for _, c := range columns {
		list = append(list, "coalesce(CAST("+quoted(c)+" AS text), '')")
	}
	rows, err := f.db.QueryContext(ctx, "SELECT "+strings.Join(list, ", ")+" FROM "+f.table(table))
	if err != nil {
		return nil, &amt.Error{Op: "read table", Subject: table, Err: classify(err)}
	}
	defer func() { _ = rows.Close() }()
	var out [][]string
	for rows.Next() {
		row := make([]string, len(columns))
		dest := make([]any, len(columns))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, &amt.Error{Op: "read table", Subject: table, Err: classify(err)}
		}
		if out = append(out, row); len(out) > foreignLimit {
			return nil, &amt.Error{Op: "read table", Subject: table, Err: fmt.Errorf("it has more than %d rows", foreignLimit)}
		}
	}
	return out, classify(rows.Err())
}

// ForeignChange is a row to be written: the columns of Set by their names, for the row whose column Key
// has the text Value, whatever the case of its letters. Without Key it is a new row.
type ForeignChange struct {
	Key, Value string
	Set        map[string]string
}

// Write makes changes in one transaction, all of them or none. Each change of a row must meet exactly one.
func (f *Foreign) Write(ctx context.Context, table string, changes []ForeignChange) error {
	_, name := schemaOf(strings.ToLower(table))
	if strings.HasPrefix(name, "csti_") || strings.HasPrefix(name, "csto_") {
		return &amt.Error{Op: "write table", Subject: table, Err: ErrOurs}
	}
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return &amt.Error{Op: "write table", Subject: table, Err: classify(err)}
	}
	defer func() { _ = tx.Rollback() }() // nothing after the commit
	for _, c := range changes {
		if err := f.change(ctx, tx, table, c); err != nil {
			return &amt.Error{Op: "write table", Subject: table, Err: oneLine{classify(err)}, Hint: "nothing was written"}
		}
	}
	if err := tx.Commit(); err != nil {
		return &amt.Error{Op: "write table", Subject: table, Err: classify(err)}
	}
	return nil
}

func (f *Foreign) change(ctx context.Context, tx *sql.Tx, table string, c ForeignChange) error {
	var names, marks, sets []string
	var args []any
	for n, v := range c.Set {
		names, marks, sets, args = append(names, quoted(n)), append(marks, "?"), append(sets, quoted(n)+"=?"), append(args, v)
	}
	if len(names) == 0 {
		return nil
	}
	query := "INSERT INTO " + f.table(table) + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")"
	if c.Key != "" {
		query = "UPDATE " + f.table(table) + " SET " + strings.Join(sets, ", ") + " WHERE lower(CAST(" + quoted(c.Key) + " AS text))=?"
		args = append(args, strings.ToLower(c.Value))
	}
	res, err := tx.ExecContext(ctx, f.e.rebind(query), args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, fmt.Errorf("%d rows have %s %q, not one", n, c.Key, c.Value))
	}
	return nil
}

// table writes a table's name: in PostgreSQL what stands before a dot is its schema.
func (f *Foreign) table(table string) string {
	if schema, name := schemaOf(table); f.e.shared && schema != "" {
		return quoted(schema) + "." + quoted(name)
	}
	return quoted(table)
}

func schemaOf(table string) (schema, name string) {
	if s, n, ok := strings.Cut(table, "."); ok {
		return s, n
	}
	return "", table
}

// quoted writes an identifier of SQL.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
