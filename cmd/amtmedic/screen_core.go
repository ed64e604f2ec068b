package main

import (
	"path/filepath"

	"amtmedic/diag/journal"
	"amtmedic/tui/page/core"
)

// core names the database that the pages of the provisioning core show: the one of --db, else the one
// beside the cases. Nothing is opened or made here. It is nil where neither can be named.
func (o *siteOptions) core() *core.Database {
	target := o.database()
	if target == "" {
		return nil
	}
	return core.NewDatabase(target, keyOptions(*o.keyFile))
}

// database names the database of the core; empty where it cannot be named.
func (o *siteOptions) database() string {
	if *o.db != "" {
		return *o.db
	}
	dir, err := journal.Dir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "core.db")
}
