package main

import (
	"bytes"
	"errors"
	"fmt"
	"text/tabwriter"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// dbCheck is the JSON form of an inspection.
type dbCheck struct {
	Database  string        `json:"database"`
	Kind      string        `json:"kind"`
	Schema    int64         `json:"schema"`
	Known     int64         `json:"schema_known"`
	KeyFrom   string        `json:"key_from"`
	ActiveKey uint32        `json:"active_key"`
	Keys      int           `json:"keys"`
	Secrets   int           `json:"secrets"`
	Opened    int           `json:"opened"`
	Tables    []tableCount  `json:"tables"`
	Problems  []amt.Problem `json:"problems"`
	Notes     []amt.Problem `json:"notes"`
	Unchecked []amt.Problem `json:"unchecked"`
}

// tableCount tells how many rows a table has.
type tableCount struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

func runDBCheck(e *env, args []string) (int, error) {
	fs := flags("db check [--db FILE|URL] [--json]")
	db := addDB(fs)
	asJSON := fs.Bool("json", false, "print one JSON object")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "db check takes no operand; the database goes to --db")
	}
	target, err := db.target()
	if err != nil {
		return exitFound, err
	}
	in, err := store.Inspect(e.ctx, target, db.options(e))
	switch {
	case e.ctx.Err() != nil:
		return exitInterrupt, &amt.Error{Op: "db check", Err: errors.New("interrupted before all was looked at")}
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrNoTable):
		return exitUsage, err // input that cannot be read
	case errors.Is(err, store.ErrDenied), errors.Is(err, store.ErrUnreachable) && !errors.Is(err, store.ErrNoDatabase):
		return exitUndecided, err
	case err != nil:
		return exitFound, err
	}
	out := dbCheck{Database: in.Path, Kind: "sqlite", Schema: in.Schema, Known: in.Known, KeyFrom: in.KeyFrom, ActiveKey: in.Active, Keys: in.Keys, Secrets: in.Cells, Opened: in.Opened,
		Tables: []tableCount{}, Problems: append([]amt.Problem{}, in.Problems...), Notes: append([]amt.Problem{}, in.Notes...), Unchecked: append([]amt.Problem{}, in.Undone...)}
	if in.Shared {
		out.Kind = "postgres"
	}
	for _, t := range in.Rows {
		out.Tables = append(out.Tables, tableCount(t))
	}
	code := exitOK
	switch {
	case len(out.Problems) > 0:
		code = exitFound
	case len(out.Unchecked) > 0:
		code = exitUndecided
	}
	if *asJSON {
		return code, writeJSON(e.stdout, out)
	}
	return code, printDBCheck(e, out)
}

func printDBCheck(e *env, c dbCheck) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s, tables of version %d, key from: %s, data key %d\n", plain(c.Database), c.Kind, c.Schema, c.KeyFrom, c.ActiveKey)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, t := range c.Tables {
		fmt.Fprintf(w, "%d\t  %s\n", t.Rows, t.Table)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "secrets: %d, decrypted: %d\n", c.Secrets, c.Opened)
	printProblems(&b, "problem", c.Problems)
	printProblems(&b, "unchecked", c.Unchecked)
	printProblems(&b, "note", c.Notes)
	switch {
	case len(c.Problems) > 0:
		fmt.Fprintf(&b, "not sound: %s\n", count(len(c.Problems), "problem"))
	case len(c.Unchecked) > 0:
		fmt.Fprintln(&b, "sound as far as could be looked at")
	default:
		fmt.Fprintln(&b, "sound")
	}
	_, err := b.WriteTo(e.stdout)
	return err
}
