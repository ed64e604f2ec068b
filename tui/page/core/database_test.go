package core

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"amtmedic/amt/store"
)

// A database that is not there is never made by looking: only by the word.
func TestMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "core.db")
	d := drive(t, path, "clients").want("There is no database", "amtmedic serve makes one", path)
	d.keys("r", "tab", "enter").want("Make an empty database").keys("enter", "type:no", "enter").want("nothing is done yet").keys("esc")
	d.again()
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("something was made: %v", err)
	}
	d.keys("enter", "type:yes", "enter").want("✓ done: the database is there").keys("enter").want("No client has said hello yet")
	d.keys("4").want("The PID map is empty").keys("3").want("No client is delayed").keys("2").want("Nobody waits").keys("5", "6").want("hello_port")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	d.again().want("There is no database")
}

// It opens by itself when a server makes it.
func TestAppears(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.db")
	d := drive(t, path, "keys").want("There is no database")
	change(t, path, func(*store.Store) error { return nil })
	d.again().want("The PID map is empty")
}

// What cannot be read says why, and what to do; it is tried again.
func TestBroken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	d := drive(t, path, "clients").want("! open database", "tried again every few seconds", "cannot be read")
	d.fits()
	if d.ticks == 0 {
		t.Error("it is not tried again")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	change(t, path, func(*store.Store) error { return nil })
	d.again().want("No client has said hello yet").lacks("tried again")
}

// Rows stay on the screen when they cannot be read again, with a word about it.
func TestStale(t *testing.T) {
	path := copied(t)
	d := drive(t, path, "clients").want("pc-00003")
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	d.p.db.drop()
	d.again().want("pc-00003", "! not read again:")
	d.fits()
}

func TestReadOnly(t *testing.T) {
	path := copied(t)
	d := drive(t, path, "delayed")
	d.p.env.ReadOnly = true
	d.keys("r").want("Read-only").keys("type:yes", "enter").want("Read-only", "Delayed 2,000").keys("esc")
	d.keys("tab", "i").want("Read-only").keys("esc", "6", "enter").want("Read-only")
	d = drive(t, filepath.Join(t.TempDir(), "core.db"), "clients")
	d.p.env.ReadOnly = true
	if d.keys("enter"); d.p.ask != nil {
		t.Error("a database is offered where nothing may be changed")
	}
}

// While it is held nothing is looked at; what a key asks for is read all the same.
func TestHold(t *testing.T) {
	path := copied(t)
	d := drive(t, path, "serverlog").keys(" ").want("held")
	change(t, path, func(st *store.Store) error {
		return st.AppendLog(t.Context(), store.LogRow{Code: "test", Text: "a new row"})
	})
	d.again().lacks("a new row").keys(" ").again().want("a new row", "following")
}

func TestLabel(t *testing.T) {
	for target, want := range map[string]string{
		"/var/lib/core.db": "/var/lib/core.db",
		"postgres://core:geheim@10.1.0.10/core?sslpassword=x": "postgres://core@10.1.0.10/core",
	} {
		if got := NewDatabase(target, store.Options{}).Label(); got != want {
			t.Errorf("%s is shown as %s", target, got)
		}
	}
}
