package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/diag/journal"
)

// dbFlags are the flags of every command that works on the database.
type dbFlags struct{ db, keyFile, keyFrom *string }

func addDB(fs *flag.FlagSet) dbFlags {
	return dbFlags{
		db:      fs.String("db", "", "database `FILE`, made when missing, or postgres:// URL (default: core.db beside the cases)"),
		keyFile: fs.String("key-file", os.Getenv("AMTMEDIC_KEY_FILE"), "`FILE` with the key that protects the secrets in the database (default: AMTMEDIC_KEY_FILE, else NAME.key beside the database)"),
		keyFrom: fs.String("key-from", os.Getenv("AMTMEDIC_KEY_FROM"), "where the key of a new database comes from, `WORD`: file, passphrase, keyring (default: AMTMEDIC_KEY_FROM, else a file); one that is there remembers it"),
	}
}

// target is the database that is meant.
func (d dbFlags) target() (string, error) {
	if *d.db != "" {
		return *d.db, nil
	}
	dir, err := journal.Dir()
	return filepath.Join(dir, "core.db"), err
}

// open opens the database, and makes it when it is missing.
func (d dbFlags) open(e *env) (*store.Store, error) {
	target, err := d.target()
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", store.KeyInFile, store.KeyByPassphrase, store.KeyInKeyring}, *d.keyFrom) {
		return nil, &amt.Error{Op: "open database", Subject: "--key-from " + plain(*d.keyFrom), Err: errors.New("it is file, passphrase or keyring")}
	}
	return store.Open(e.ctx, target, d.options(e))
}

// options says where the key of the database comes from. A person at a terminal is asked for a passphrase
// that nothing else gives.
func (d dbFlags) options(e *env) store.Options {
	o := keyOptions(*d.keyFile)
	o.KeyFrom = *d.keyFrom
	if canAsk(e) {
		o.Ask = func(_ context.Context, isNew bool) (amt.Secret, error) {
			return askPassphrase(e, "passphrase of the database", isNew)
		}
	}
	return o
}

// keyOptions says where the key of a database comes from: a key file, or the passphrase of the environment
// or of a file that it names, since an argument would show it to every user of the machine.
func keyOptions(keyFile string) store.Options {
	o := store.Options{KeyFile: keyFile, KeyFrom: os.Getenv("AMTMEDIC_KEY_FROM"), Passphrase: amt.NewSecret(os.Getenv("AMTMEDIC_KEY_PASSPHRASE"))}
	o.PassphraseFile = os.Getenv("AMTMEDIC_KEY_PASSPHRASE_FILE")
	return o
}

// canAsk reports whether a person can be asked for what must not be shown.
func canAsk(e *env) bool {
	tty, ok := e.stdin.(*os.File)
	if !ok || !isTerminal(tty) {
		return false
	}
	show, err := hideTyping(tty)
	if err == nil {
		show()
	}
	return err == nil
}

// askPassphrase asks at the terminal, twice for a new one.
func askPassphrase(e *env, what string, isNew bool) (amt.Secret, error) {
	if isNew {
		what = "new " + what
	}
	first, ok := askPassword(e, what)
	if e.ctx.Err() != nil {
		return amt.Secret{}, e.ctx.Err()
	}
	if !ok || first.IsZero() {
		return amt.Secret{}, &amt.Error{Op: "read passphrase", Err: errors.New("none was given")}
	}
	if !isNew {
		return first, nil
	}
	second, _ := askPassword(e, "the same again")
	if !second.Equal(first) {
		return amt.Secret{}, &amt.Error{Op: "read passphrase", Err: errors.New("the two are not the same; nothing was changed")}
	}
	return first, nil
}

// passphrase finds one that a command needs beside that of the database: in the environment, in a file, or
// at the terminal.
func passphrase(e *env, variable, file, what string, isNew bool, hint string) (amt.Secret, error) {
	if file != "" {
		return store.ReadPassphrase(file)
	}
	if text := os.Getenv(variable); text != "" {
		return amt.NewSecret(text), nil
	}
	if !canAsk(e) {
		return amt.Secret{}, &amt.Error{Op: "read passphrase", Err: fmt.Errorf("no %s was given, and there is no terminal to ask on", what), Hint: hint}
	}
	return askPassphrase(e, what, isNew)
}

// dbCommands are the words behind db.
func dbCommands() []command {
	return []command{
		{"check", "whether rows, secrets and keys of a database are whole; changes nothing", runDBCheck},
		{"rotate-key", "protect the data keys by a new key: file, passphrase, keyring", runDBRotateKey},
		{"rotate-data-key", "encrypt all secrets anew under a new data key, while servers run", runDBRotateDataKey},
		{"export", "write a sealed copy of the whole database", runDBExport},
		{"import", "take a sealed copy in, after a preview", runDBImport},
	}
}

func runDB(e *env, args []string) (int, error) { return subcommand(e, "db", dbCommands(), args) }

// audited keeps in the audit that something was done by hand, and how it ended.
func audited(e *env, st *store.Store, action, becomes string, do func() error) error {
	id, err := st.BeginAudit(e.ctx, store.Audit{Who: "command line", Action: action, Object: "database", Becomes: becomes})
	if err != nil {
		return err
	}
	result := store.AuditDone
	if err = do(); err != nil {
		result = "failed: " + plain(err.Error())
	}
	ctx := context.WithoutCancel(e.ctx)
	return errors.Join(err, st.EndAudit(ctx, id, result))
}
