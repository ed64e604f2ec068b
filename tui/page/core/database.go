package core

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/tui/part/text"
)

// How long the database may take.
const (
	readLimit   = 10 * time.Second
	changeLimit = 2 * time.Minute // an import of many keys
)

// Database is the way to the tables. To look at them it opens them to be read, and keeps them open;
// to change something it opens them once more, for that moment only. It is safe for several
// goroutines. The zero value is not useful; see NewDatabase.
type Database struct {
	target string
	o      store.Options
	// Name is shown instead of the target where it is not empty.
	Name string
	// Tick waits for the next look, as tea.Tick does; tests do not wait.
	Tick func(time.Duration, func(time.Time) tea.Msg) tea.Cmd

	mu   sync.Mutex
	st   *store.Store
	done bool
}

// NewDatabase names a database, a file path or postgres:// URL. Nothing is opened yet.
func NewDatabase(target string, o store.Options) *Database {
	return &Database{target: target, o: o, Tick: tea.Tick}
}

// Label is the name of the database as it may be shown: never with its password.
func (d *Database) Label() string {
	if d.Name != "" {
		return d.Name
	}
	if u, err := url.Parse(d.target); err == nil && strings.Contains(d.target, "://") {
		if u.User != nil {
			u.User = url.User(u.User.Username())
		}
		u.RawQuery = ""
		return text.Clean(u.String())
	}
	return text.Clean(d.target)
}

// file reports whether the database is one file, which can be made where it is missing.
func (d *Database) file() bool { return !strings.Contains(d.target, "://") }

var errDone = errors.New("the database was closed")

// reader gives the tables to be read, and opens them when they are not open.
func (d *Database) reader(ctx context.Context) (*store.Store, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done {
		return nil, errDone
	}
	if d.st == nil {
		st, err := store.OpenExisting(ctx, d.target, d.o)
		if err != nil {
			return nil, err
		}
		d.st = st
	}
	return d.st, nil
}

// read does something with the tables within the time that reading may take. After an error of the
// database itself they are opened anew the next time: the file may be another one by then.
func (d *Database) read(ctx context.Context, fn func(ctx context.Context, st *store.Store) error) error {
	ctx, stop := context.WithTimeout(ctx, readLimit)
	defer stop()
	st, err := d.reader(ctx)
	if err != nil {
		return err
	}
	if d.gone() {
		d.drop()
		return &amt.Error{Op: "read database", Subject: d.target, Err: store.ErrNotFound}
	}
	err = fn(ctx, st)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil: // the driver has words of its own for that
		return &amt.Error{Op: "read database", Subject: d.target, Err: ctx.Err()}
	}
	d.drop()
	return err
}

// gone reports whether the file went while it was open: what is read then is a ghost.
func (d *Database) gone() bool {
	if !d.file() {
		return false
	}
	_, err := os.Stat(d.target)
	return errors.Is(err, fs.ErrNotExist)
}

// change opens the tables to be changed. They must be there: nothing makes them here.
func (d *Database) change(ctx context.Context, fn func(ctx context.Context, st *store.Store) error) error {
	ctx, stop := context.WithTimeout(ctx, changeLimit)
	defer stop()
	if d.gone() {
		return &amt.Error{Op: "change database", Subject: d.target, Err: store.ErrNotFound}
	}
	st, err := store.Open(ctx, d.target, d.o)
	if err != nil {
		return err
	}
	return errors.Join(fn(ctx, st), st.Close())
}

// create makes the database. Only a person's word leads here.
func (d *Database) create(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, changeLimit)
	defer stop()
	st, err := store.Open(ctx, d.target, d.o)
	if err != nil {
		return err
	}
	return st.Close()
}

// drop closes what is open, so that the next look opens it anew.
func (d *Database) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.st != nil {
		_ = d.st.Close()
		d.st = nil
	}
}

// Close ends the use of the database.
func (d *Database) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = true
	if d.st == nil {
		return nil
	}
	st := d.st
	d.st = nil
	return st.Close()
}

// short is the name of the database for the header.
func (d *Database) short() string {
	if d.Name == "" && d.file() {
		return text.Clean(filepath.Base(d.target))
	}
	return d.Label()
}

// keyFile is the file with the key that protects the secrets.
func (d *Database) keyFile() string {
	if d.o.KeyFile != "" {
		return d.o.KeyFile
	}
	return d.target + ".key"
}
