package main

import (
	"flag"
	"os"
	"path/filepath"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/diag/journal"
)

// dbFlags are the flags of every command that works on the database.
type dbFlags struct{ db, keyFile *string }

func addDB(fs *flag.FlagSet) dbFlags {
	return dbFlags{
		db:      fs.String("db", "", "database `FILE`, made when missing, or postgres:// URL (default: core.db beside the cases)"),
		keyFile: fs.String("key-file", os.Getenv("AMTMEDIC_KEY_FILE"), "`FILE` with the key that protects the secrets in the database (default: AMTMEDIC_KEY_FILE, else NAME.key beside the database)"),
	}
}

// open opens the database, and makes it when it is missing.
func (d dbFlags) open(e *env) (*store.Store, error) {
	target := *d.db
	if target == "" {
		dir, err := journal.Dir()
		if err != nil {
			return nil, err
		}
		target = filepath.Join(dir, "core.db")
	}
	return store.Open(e.ctx, target, keyOptions(*d.keyFile))
}

// keyOptions says where the key of a database comes from: a key file, or the passphrase of the
// environment, which an argument would show to every user of the machine.
func keyOptions(keyFile string) store.Options {
	return store.Options{KeyFile: keyFile, Passphrase: amt.NewSecret(os.Getenv("AMTMEDIC_KEY_PASSPHRASE"))}
}
