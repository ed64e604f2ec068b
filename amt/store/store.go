// Package store keeps the tables of the provisioning core: clients that said hello, PID/PPS pairs,
// UUID maps, the queue and the delayed entries, profiles, configuration and log. Open and
// OpenExisting are the entry points. It stores and answers; it decides nothing about a client
// beyond the rules that keep the tables consistent, and it talks to no network.
//
// The tables bear the names of the SCS database, csti_* for its inventory and csto_* for its
// operations, so that whoever knows that database finds the way with any SQL tool.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"amtmedic/amt"
)

// Causes that a probe tells apart with errors.Is. They map to the facts db.exists, db.reach,
// db.auth and db.config.
var (
	ErrNotFound    = errors.New("there is no such database")              // db.exists false
	ErrUnreachable = errors.New("the database cannot be opened")          // db.reach false
	ErrDenied      = errors.New("permission denied")                      // db.auth false
	ErrNoTable     = errors.New("a table is missing")                     // db.exists false: no database of this program
	ErrNoConfig    = errors.New("the configuration row is missing")       // db.config none
	ErrKey         = errors.New("the key of the database cannot be used") // secrets cannot be read
	ErrLocked      = errors.New("another provisioning server works this queue")
	ErrNotHere     = errors.New("not in this version")
)

// Options change how a store is opened. The zero value is good.
type Options struct {
	// KeyFile holds the key that wraps the data keys. Empty: NAME.key beside the database file.
	KeyFile string
	// Passphrase protects the data keys instead of a key file: of a new database when no KeyFile is
	// named, and of every database that was made so.
	Passphrase amt.Secret
	// PassphraseFile has the passphrase in its first line, where Passphrase is empty. It is read again
	// whenever the key is needed.
	PassphraseFile string
	// Ask asks a person for the passphrase of the database, and for a new one twice. It is used when the
	// database is opened and there is no other; nil: nobody can be asked.
	Ask func(ctx context.Context, isNew bool) (amt.Secret, error)
	// KeyFrom is where the key of a new database comes from: KeyInFile, KeyByPassphrase or KeyInKeyring.
	// Empty: the passphrase where one is given and no KeyFile, else a file. A database that is there
	// remembers where its key comes from.
	KeyFrom string
	// Now gives the time of rows; nil is time.Now.
	Now func() time.Time
}

// Store is an open database. It is safe for several goroutines, and several processes may have
// the same file open; only the queue has one owner (LockQueue).
type Store struct {
	path  string
	o     Options
	now   func() time.Time
	read  *reader
	spare *reader // one connection beside all others, for keys that are loaded again
	e     *engine
	w     *writer // nil when opened read-only
	keys  *keyring
	step  func(string) // tests end the process here; nil does nothing
}

// Path gives the absolute path of the database file, or the URL of a shared one without its password.
func (s *Store) Path() string { return s.path }

// Open opens the database at target, a file path, and makes file, folders, tables, default
// profile, default configuration and key file when they are missing. A postgres:// URL opens a
// database that is there; its tables are made when they are missing, and its key file must be named.
// The caller closes the store.
func Open(ctx context.Context, target string, o Options) (*Store, error) {
	if isPostgres(target) {
		return openShared(ctx, target, o)
	}
	path, err := filePath(target)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, opened(path, classify(err))
	}
	s, err := openAt(ctx, path, o)
	if err != nil {
		return nil, opened(path, err)
	}
	return s, nil
}

func openAt(ctx context.Context, path string, o Options) (*Store, error) {
	if err := oneName(path); err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if err := checkOurs(ctx, path); err != nil {
		return nil, err
	}
	if err := createFile(path); err != nil {
		return nil, classify(err)
	}
	s := newStore(path, o, embedded)
	db, err := sql.Open("sqlite", dsn(path, modeWrite))
	if err != nil {
		return nil, classify(err)
	}
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, db, "sqlite"); err != nil {
		return nil, errors.Join(classify(err), db.Close())
	}
	if s.w, err = newWriter(ctx, db, embedded); err != nil {
		return nil, errors.Join(classify(err), db.Close())
	}
	s.w.keys = s.keys
	if s.read, err = openReaders(path, modeQuery); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.spare, err = openReaders(path, modeQuery); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.openKeys(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenExisting opens a database to look at it. It never makes or changes rows: a missing file is
// ErrNotFound, and every method that writes returns ErrDenied. Secrets can be read only when the
// key file is there; all else works without it.
func OpenExisting(ctx context.Context, target string, o Options) (*Store, error) {
	s, err := look(ctx, target, o)
	if err != nil {
		return nil, err
	}
	return s.withKeys(ctx)
}

// look opens a database to be read, without its keys.
func look(ctx context.Context, target string, o Options) (*Store, error) {
	if isPostgres(target) {
		s, err := openPostgres(ctx, target, o, false)
		if err != nil {
			return nil, opened(shown(target), err)
		}
		return s, nil
	}
	path, err := filePath(target)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, opened(path, classify(err))
	}
	_ = f.Close()
	s, err := lookAt(ctx, path, o, modeReadOnly)
	if errors.Is(err, ErrReadOnly) && !hasSideFiles(path) {
		s, err = lookAt(ctx, path, o, modeFrozen) // a copy on a medium that cannot be written
	}
	return s, err
}

func lookAt(ctx context.Context, path string, o Options, m openMode) (*Store, error) {
	var err error
	s := newStore(path, o, embedded)
	if s.read, err = openReaders(path, m); err != nil {
		return nil, opened(path, err)
	}
	if s.spare, err = openReaders(path, m); err != nil {
		return nil, errors.Join(opened(path, err), s.Close())
	}
	if err := s.ping(ctx); err != nil {
		return nil, errors.Join(opened(path, err), s.Close())
	}
	return s, nil
}

// hasSideFiles reports whether SQLite's files beside a database are there: somebody has it open, or ended
// without closing it.
func hasSideFiles(path string) bool {
	for _, side := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + side); !errors.Is(err, os.ErrNotExist) {
			return true
		}
	}
	return false
}

// withKeys loads the data keys if their key is at hand.
func (s *Store) withKeys(ctx context.Context) (*Store, error) {
	kek, err := s.lookKEK(ctx, s.read)
	if err == nil && kek.keys != nil {
		s.keys.load = s.reload
		s.keys.keys, s.keys.active, err = loadKeys(ctx, s.read, kek.keys, nil)
	}
	if err != nil {
		return nil, errors.Join(s.keyError(kek.from, err), s.Close())
	}
	return s, nil
}

// Close ends the store. What was answered before is durable.
func (s *Store) Close() error {
	var errs []error
	for _, r := range []*reader{s.read, s.spare} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	if s.w != nil {
		errs = append(errs, s.w.close())
	}
	return errors.Join(errs...)
}

// ping reads one page and checks that the tables are ours.
func (s *Store) ping(ctx context.Context) error {
	var n int
	err := s.read.QueryRowContext(ctx, s.e.tables).Scan(&n)
	switch {
	case err != nil:
		return classify(err)
	case n < 6:
		return fmt.Errorf("%w: %d of 6 tables of the provisioning core are there", ErrNoTable, n)
	}
	return nil
}

func (s *Store) write(ctx context.Context, fn func(*tx) error) error {
	if s.w == nil {
		return &amt.Error{Op: "write database", Subject: s.path, Err: fmt.Errorf("%w: it was opened to be read only", ErrDenied)}
	}
	return s.named(classify(s.w.write(ctx, fn)))
}

func newStore(path string, o Options, e *engine) *Store {
	return &Store{path: path, o: o, now: clock(o), e: e, keys: &keyring{}}
}

func clock(o Options) func() time.Time {
	if o.Now != nil {
		return o.Now
	}
	return time.Now
}

func keyFile(path string, o Options) string {
	if o.KeyFile != "" {
		return o.KeyFile
	}
	return path + ".key"
}

// filePath gives the absolute file path of a target, or says why it is none. A link is followed: key
// file and lock lie beside the file itself, so that two servers meet at one lock whichever name each
// was given.
func filePath(target string) (string, error) {
	switch {
	case strings.Contains(target, "://"):
		return "", &amt.Error{Op: "open database", Err: errors.New("a database is a file path or a postgres:// URL"),
			Hint: "give a file path: --db FILE"}
	case target == "":
		return "", &amt.Error{Op: "open database", Err: errors.New("no file is named"), Hint: "give a file path: --db FILE"}
	}
	path, err := filepath.Abs(target)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	return path, nil // it is not there yet
}

// createFile makes the database file for its owner only; SQLite gives its side files the same mode.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// opened wraps the cause of a failed opening with the next step.
func opened(path string, err error) error {
	var known *amt.Error
	if errors.As(err, &known) {
		return err
	}
	hint := ""
	switch {
	case errors.Is(err, ErrNotFound):
		hint = `"amtmedic serve --db FILE" makes a new one`
	case errors.Is(err, ErrDenied):
		hint = "run as the account of the provisioning service, or give that file's owner's rights"
	case errors.Is(err, ErrNoTable):
		hint = "is this the right file? \"amtmedic serve --db FILE\" makes the tables"
	}
	return &amt.Error{Op: "open database", Subject: path, Err: err, Hint: hint}
}
