package store

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"amtmedic/amt"
)

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	ours := filepath.Join(dir, "ours.db")
	if err := open(t, ours).Close(); err != nil {
		t.Fatal(err)
	}
	file := func(name, text string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	foreignKey := file("foreign.key", strings.Repeat("ab", 32)+"\n", 0o600)
	for _, c := range []struct {
		name     string
		target   string
		existing bool
		o        Options
		want     error
	}{
		{"shared, no key file", "postgres://core:sesame@db/IntelAMT", false, Options{}, ErrKey},
		{"shared, nobody there", "postgres://core:sesame@127.0.0.1:1/IntelAMT", true, Options{}, ErrUnreachable},
		{"shared, not a URL", "postgres://core:sesame@[db/IntelAMT", true, Options{}, nil},
		{"no file", filepath.Join(dir, "none.db"), true, Options{}, ErrNotFound},
		{"no folder", filepath.Join(dir, "none", "x.db"), true, Options{}, ErrNotFound},
		{"empty file", file("empty.db", "", 0o600), true, Options{}, ErrNoTable},
		{"not a database", file("text.db", strings.Repeat("this is not a database ", 100), 0o600), true, Options{}, ErrUnreachable},
		{"not a database, to write", filepath.Join(dir, "text.db"), false, Options{}, ErrUnreachable},
		{"a folder", dir, true, Options{}, ErrUnreachable},
		{"another key", ours, true, Options{KeyFile: foreignKey}, ErrKey},
		{"another key, to write", ours, false, Options{KeyFile: foreignKey}, ErrKey},
		{"key file lost, to write", ours, false, Options{KeyFile: filepath.Join(dir, "lost.key")}, ErrKey},
		{"no key in it", ours, false, Options{KeyFile: file("short.key", "abcd\n", 0o600)}, ErrKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			call := Open
			if c.existing {
				call = OpenExisting
			}
			s, err := call(t.Context(), c.target, c.o)
			var said *amt.Error
			if err == nil || c.want != nil && !errors.Is(err, c.want) || strings.Contains(err.Error(), "sesame") || !errors.As(err, &said) || said.Hint == "" && c.want != ErrUnreachable {
				t.Errorf("%v", err)
			}
			if err == nil {
				_ = s.Close()
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "lost.key")); err == nil {
		t.Error("a new key file was made for a database that has another")
	}
}

func TestKeyFileThatOthersRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows keeps rights in another form")
	}
	path := filepath.Join(t.TempDir(), "core.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path+".key", 0o640); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrKey) {
		t.Errorf("%v %v", s, err)
	}
}

func TestOpenExistingNeverWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.db")
	w := open(t, path)
	record(t, w, hello(t, 2, goodPID))
	s, err := OpenExisting(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.RecordHello(t.Context(), hello(t, 3, "")); !errors.Is(err, ErrDenied) {
		t.Errorf("write: %v", err)
	}
	if st, err := s.QueueStats(t.Context()); err != nil || st.Delayed != 1 || st.LastChange.IsZero() {
		t.Errorf("%+v %v", st, err)
	}
}

func TestConfigRowMissing(t *testing.T) {
	s := fresh(t)
	if c, err := s.Config(t.Context()); err != nil || c["tls_mode"] != "off" {
		t.Errorf("%v %v", c, err)
	}
	del := func(table string) {
		if err := s.write(t.Context(), func(x *tx) error { return x.exec(table) }); err != nil {
			t.Fatal(err)
		}
	}
	del(`DELETE FROM csti_configuration`)
	if _, err := s.Config(t.Context()); !errors.Is(err, ErrNoConfig) {
		t.Errorf("no rows: %v", err)
	}
	del(`DROP TABLE csti_configuration`)
	if _, err := s.Config(t.Context()); !errors.Is(err, ErrNoTable) {
		t.Errorf("no table: %v", err)
	}
	if s2, err := OpenExisting(t.Context(), s.Path(), Options{}); !errors.Is(err, ErrNoTable) {
		t.Errorf("open without table: %v %v", s2, err)
	}
}

// Two programs that make the same new database at the same moment end with one key and one profile.
func TestTwoMakers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.db")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s, err := Open(t.Context(), path, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = s.Close() }()
			if _, err := s.ImportKeys(t.Context(), []Pair{{PID: amt.PID("AAAAAAA" + string(rune('0'+i))), PPS: amt.NewSecret(goodPPS)}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, n := open(t, path), 0
	for p, err := range s.Keys(t.Context()) {
		if n++; err != nil || p.PPS.Reveal() != goodPPS {
			t.Error(err)
		}
	}
	if n != 4 {
		t.Errorf("%d keys", n)
	}
}

func TestQueueLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.db")
	a, b := open(t, path), open(t, path)
	l, err := a.LockQueue("amtmedic serve, process 4711 on site-a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.LockQueue("second"); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "process 4711 on site-a") {
		t.Errorf("second: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if l, err = b.LockQueue("third"); err != nil {
		t.Fatal(err)
	}
	_ = l.Release()
}

// A file of another program is left as it is.
func TestForeignDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE bookmarks (url TEXT)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrNoTable) {
		t.Errorf("%v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
}

func TestFileWithoutRights(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("root and Windows read it all the same")
	}
	path := filepath.Join(t.TempDir(), "core.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenExisting(t.Context(), path, Options{}); !errors.Is(err, ErrDenied) {
		t.Errorf("to look: %v", err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrDenied) {
		t.Errorf("to work: %v", err)
	}
}

// A link to the database file is the same database: one key file, one lock.
func TestLockBehindLink(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "core.db"), filepath.Join(dir, "link.db")
	a := open(t, file)
	defer func() { _ = a.Close() }()
	if err := os.Symlink("core.db", link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	l, err := a.LockQueue("first")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Release() }()
	b, err := Open(t.Context(), link, Options{})
	if err != nil {
		t.Fatal(err) // with a key file of the link's name it would be ErrKey
	}
	defer func() { _ = b.Close() }()
	if _, err := b.LockQueue("second"); !errors.Is(err, ErrLocked) {
		t.Errorf("a second server by way of a link: %v", err)
	}
}
