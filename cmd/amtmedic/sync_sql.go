package main

import (
	"errors"
	"fmt"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/inventory"
	"amtmedic/amt/store"
)

func runFleetSync(e *env, args []string) (int, error) {
	fs := flags("fleet sync URL --table NAME [--push] [--preview] [--yes] [--skip-conflicts] [--db FILE|URL] [--json]")
	m := addMerge(fs)
	table := fs.String("table", "", "`NAME` of the table, in PostgreSQL perhaps with its schema and a dot before it")
	push := fs.Bool("push", false, "bring ours into the table, instead of taking names and profiles from it")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "fleet sync takes one database: an SQLite file, or a postgres:// URL")
	}
	f, err := store.OpenForeign(e.ctx, words[0], *push && !*m.only)
	if err != nil {
		return foreignError(err)
	}
	defer func() { _ = f.Close() }()
	if *table == "" {
		have, err := f.Tables(e.ctx)
		if err != nil {
			return foreignError(err)
		}
		return exitUsage, misuse(fs, "name the table with --table; there are: %s", plain(strings.Join(have[:min(len(have), 30)], ", ")))
	}
	columns, cells, err := readForeign(e, f, *table)
	if err != nil {
		return foreignError(err)
	}
	st, err := m.db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	if *push {
		return m.push(e, st, f, *table, columns, cells)
	}
	rows, err := inventory.FromTable(columns, cells, "row")
	if err != nil {
		return exitUsage, &amt.Error{Op: "read table", Subject: plain(*table), Err: err}
	}
	return m.merge(e, st, rows, []amt.Problem{}, "sync")
}

// foreignError sorts what kept us from the table: a missing file or table is wrong input, a server that
// does not answer was not checked.
func foreignError(err error) (int, error) {
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrNoTable):
		return exitUsage, err
	case errors.Is(err, store.ErrUnreachable), errors.Is(err, store.ErrDenied):
		return exitUndecided, err
	}
	return exitFound, err
}

// readForeign reads the columns that mean something to us.
func readForeign(e *env, f *store.Foreign, table string) (columns []string, cells [][]string, err error) {
	all, err := f.Columns(e.ctx, table)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range all {
		if inventory.Column(c) != "" {
			columns = append(columns, c)
		}
	}
	if _, err := inventory.FromTable(columns, nil, ""); err != nil { // said with all of its columns
		_, err = inventory.FromTable(all, nil, "")
		return nil, nil, &amt.Error{Op: "read table", Subject: plain(table), Err: err}
	}
	cells, err = f.Rows(e.ctx, table, columns)
	return columns, cells, err
}

// push plans, shows, asks, writes into the foreign table.
func (m mergeFlags) push(e *env, st *store.Store, f *store.Foreign, table string, columns []string, cells [][]string) (int, error) {
	ours, err := ofFleet(e, st)
	if err != nil {
		return exitFound, err
	}
	plan, err := inventory.Push(columns, cells, ours)
	if err != nil {
		return exitUsage, err
	}
	out := inventoryMerge{Same: plan.Same, Taken: plan.Conflicts, Conflicts: len(plan.Conflicts), Problems: []amt.Problem{}, Changes: []amt.Problem{}}
	for _, c := range plan.Changes {
		code := "row"
		if c.Key == "" {
			code = "new-row"
		}
		out.Changes = append(out.Changes, amt.In("", code, "%s", inventory.SentWords(c)))
	}
	if !*m.asJSON {
		fmt.Fprintf(e.stderr, "Into table %s of %s, columns %s:\n", plain(table), plain(f.Name()), plain(strings.Join(plan.Columns, ", ")))
	}
	return m.settle(e, &out, func() error { return f.Write(e.ctx, table, plan.Changes) })
}
