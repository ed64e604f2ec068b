package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// All that depends on the SQLite driver stands in this file: names of connections, error codes; and
// the migrations of both databases.

//go:embed migrations
var migrations embed.FS

var dialects = map[string]goose.Dialect{"sqlite": goose.DialectSQLite3, "postgres": goose.DialectPostgres}

// embedded is one file: one session writes.
var embedded = &engine{
	sessions: 1, batch: 256, chunk: 32, limit: time.Hour, begin: "BEGIN IMMEDIATE", // the driver's busy time-out is what bounds it
	tables: `SELECT count(*) FROM sqlite_master WHERE type='table'
		AND name IN ('csti_configuration','csti_amts','csti_pid_map','csti_uuid_maps','csto_queue_entries','csto_delayed_entries')`,
	rebind: func(q string) string { return q }, args: func(a []any) []any { return a }, met: func(error) bool { return false },
}

type openMode int

const (
	modeWrite    openMode = iota // the one writer
	modeQuery                    // readers beside a writer of this process
	modeReadOnly                 // somebody else's database
	modeFrozen                   // the same, which nobody has open and nobody can write to
)

// The writer's cache holds most pages of the indexes over 100,000 clients; the driver takes twice as much memory.
// Its write-ahead log grows to 32 MiB before it is moved into the file: a page that many groups touch is then
// moved once for all of them.
const (
	writerCache     = "_pragma=cache_size(-8192)"        // KiB
	checkpointAfter = "_pragma=wal_autocheckpoint(8000)" // pages of 4 KiB
	statementUndo   = "_pragma=temp_store(MEMORY)"       // of a statement over many rows, instead of a file
)

// dsn names the connection. synchronous FULL: a hello that was acknowledged survives power loss
// (https://www.sqlite.org/pragma.html#pragma_synchronous).
func dsn(path string, m openMode) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a drive letter
	}
	q := []string{"_pragma=busy_timeout(10000)", "_pragma=foreign_keys(1)"}
	switch m {
	case modeWrite:
		q = append(q, "_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)", "_txlock=immediate",
			writerCache, checkpointAfter, statementUndo)
		if runtime.GOOS == "darwin" {
			q = append(q, "_pragma=fullfsync(1)") // fsync there leaves data in the drive's cache
		}
		// As every Linux distribution's SQLite does: what a commit needs is flushed, the time of the file is not.
		// An error says that this system has no such call.
		_, _ = sqlite.Fdatasync(true)
	case modeQuery:
		q = append(q, "_pragma=query_only(1)")
	case modeReadOnly:
		q = append(q, "mode=ro", "_pragma=query_only(1)")
	case modeFrozen:
		q = append(q, "mode=ro", "immutable=1", "_pragma=query_only(1)")
	}
	return "file://" + (&url.URL{Path: p}).EscapedPath() + "?" + strings.Join(q, "&")
}

func openReaders(path string, m openMode) (*reader, error) {
	db, err := sql.Open("sqlite", dsn(path, m))
	if err != nil {
		return nil, classify(err)
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	return &reader{db, embedded}, nil
}

// checkOurs looks into a file that is there already, without changing it: the database of another
// program must not get our tables.
func checkOurs(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	db, err := openReaders(path, modeReadOnly)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var all, ours int
	if err := db.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(name IN ('goose_db_version', 'csti_amts')), 0)
		FROM sqlite_master WHERE type='table'`).Scan(&all, &ours); err != nil {
		return classify(err)
	}
	if all > 0 && ours == 0 {
		return fmt.Errorf("%w: it is the database of another program", ErrNoTable)
	}
	return nil
}

// migrate brings the tables to this version. Two programs may make a new database at the same
// moment: the slower one finds a table already there, and looks again.
func migrate(ctx context.Context, db *sql.DB, name string) error {
	dir, err := fs.Sub(migrations, "migrations/"+name)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		if err = migrateOnce(ctx, db, dialects[name], dir); err == nil || try == 5 || ctx.Err() != nil || isClassified(classify(err)) && !isBusy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(50<<try) * time.Millisecond):
		}
	}
}

// isBusy reports that another program held the file: the switch to WAL does not wait for it.
func isBusy(err error) bool {
	var se *sqlite.Error
	return errors.As(err, &se) && se.Code()&0xff == codeBusy
}

func migrateOnce(ctx context.Context, db *sql.DB, dialect goose.Dialect, dir fs.FS) error {
	p, err := goose.NewProvider(dialect, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("make tables: %w", err)
	}
	return nil
}

// Primary result codes, https://www.sqlite.org/rescode.html.
const (
	codePerm     = 3
	codeBusy     = 5
	codeReadOnly = 8
	codeIOErr    = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeAuth     = 23
	codeNotADB   = 26
)

// classify joins the cause that a probe tells apart to an error of file system or driver.
func classify(err error) error {
	if err == nil || isClassified(err) {
		return err
	}
	cause := error(nil)
	var se *sqlite.Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		cause = ErrNotFound
	case causeOfSystem(err) != nil:
		cause = causeOfSystem(err)
	case errors.Is(err, fs.ErrPermission):
		cause = ErrDenied
	case errors.As(err, &se):
		cause = causeOf(se.Code()&0xff, se.Error())
	default:
		var pe *fs.PathError
		if cause = causeOfPostgres(err); cause == nil && errors.As(err, &pe) {
			cause = ErrUnreachable
		}
	}
	if cause == nil {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}

func causeOf(code int, text string) error {
	switch code {
	case codePerm, codeAuth:
		return ErrDenied
	case codeReadOnly:
		return ErrReadOnly
	case codeFull:
		return ErrFull
	case codeNotADB:
		return ErrNoDatabase
	case codeBusy, codeIOErr, codeCorrupt, codeCantOpen:
		return ErrUnreachable
	}
	if strings.Contains(text, "no such table") || strings.Contains(text, "no such column") {
		return ErrNoTable
	}
	return nil
}

func isClassified(err error) bool {
	for _, c := range []error{ErrNotFound, ErrUnreachable, ErrDenied, ErrNoTable, ErrNoConfig, ErrKey, ErrLocked} {
		if errors.Is(err, c) {
			return true
		}
	}
	return false
}
