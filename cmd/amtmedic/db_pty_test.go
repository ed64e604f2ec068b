//go:build unix

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// typed runs a command at a terminal and types the lines, each when its question stands there.
func typed(t *testing.T, run func(*env, []string) (int, error), args []string, dialog ...string) (code int, shown string, err error) {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	defer tty.Close()
	screen := &safeBuffer{}
	go func() { _, _ = io.Copy(screen, master) }()
	e := &env{ctx: t.Context(), stdin: tty, stdout: tty, stderr: tty}
	done := make(chan struct{})
	go func() {
		defer close(done)
		code, err = run(e, args)
	}()
	for i := 0; i < len(dialog); i += 2 {
		waitFor(t, screen, dialog[i])
		_, _ = master.WriteString(dialog[i+1] + "\n")
	}
	<-done
	return code, screen.String(), err
}

// The passphrase of a database is asked for where nothing else gives it: a new one twice. It is never shown.
func TestDatabaseAsksForPassphrase(t *testing.T) {
	for _, name := range []string{"AMTMEDIC_KEY_PASSPHRASE", "AMTMEDIC_KEY_PASSPHRASE_FILE", "AMTMEDIC_KEY_FILE", "AMTMEDIC_KEY_FROM", newPassphrase, copyPassphrase} {
		t.Setenv(name, "")
	}
	dir := t.TempDir()
	db, csv, file := filepath.Join(dir, "core.db"), filepath.Join(dir, "keys.csv"), filepath.Join(dir, "copy.age")
	if err := os.WriteFile(csv, []byte("id,pid,pps,current_password,admin_password,used\n1,0000-037M,"+walkPPS+",admin,N3w-P@ssword,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const twice, again = "new passphrase of the database, not shown", "the same again, not shown"
	for _, c := range []struct {
		name   string
		run    func(*env, []string) (int, error)
		args   []string
		code   int
		err    string
		dialog []string
	}{
		{"two that differ", runKeys, []string{"import", csv, "--db", db, "--key-from", "passphrase"}, exitFound, "the two are not the same", []string{twice, "first-sesame", again, "fist-sesame"}},
		{"a new one", runKeys, []string{"import", csv, "--db", db, "--key-from", "passphrase"}, exitOK, "", []string{twice, "first-sesame", again, "first-sesame"}},
		{"a wrong one", runKeys, []string{"export", "--db", db}, exitFound, "the key of the database cannot be used", []string{"passphrase of the database, not shown", "wrong-sesame"}},
		{"none", runKeys, []string{"export", "--db", db}, exitFound, "none was given", []string{"passphrase of the database, not shown", ""}},
		{"the right one", runKeys, []string{"export", "--db", db}, exitOK, "", []string{"passphrase of the database, not shown", "first-sesame"}},
		{"another one", runDB, []string{"rotate-key", "--db", db}, exitOK, "", []string{"passphrase of the database, not shown", "first-sesame", twice, "second-sesame", again, "second-sesame"}},
		{"the old one", runKeys, []string{"export", "--db", db}, exitFound, "the key of the database cannot be used", []string{"passphrase of the database, not shown", "first-sesame"}},
		{"check", runDB, []string{"check", "--db", db}, exitOK, "", []string{"passphrase of the database, not shown", "second-sesame"}},
		{"export", runDB, []string{"export", file, "--db", db}, exitOK, "", []string{"new passphrase of the copy, not shown", "copy-sesame", again, "copy-sesame", "passphrase of the database, not shown", "second-sesame"}},
		{"import, not agreed to", runDB, []string{"import", file, "--db", filepath.Join(dir, "other.db")}, exitFound, "nothing was changed", []string{"passphrase of the copy, not shown", "copy-sesame", "Type yes", "no"}},
	} {
		code, shown, err := typed(t, c.run, c.args, c.dialog...)
		if code != c.code || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: exit %d, %v\n%s", c.name, code, err, shown)
		}
		if strings.Contains(shown, "sesame") || err != nil && strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: what was typed is shown: %s", c.name, shown)
		}
	}
}
