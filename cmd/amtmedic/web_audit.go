package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"amtmedic/amt/store"
)

func runWebAudit(e *env, args []string) (int, error) {
	return subcommand(e, "web audit", []command{
		{"list", "list the changes, newest first", runWebAuditList},
		{"trim", "remove old rows; that it was done stays in it", runWebAuditTrim},
	}, args)
}

// auditLine is the JSON form of an audit row, one a line.
type auditLine struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Who     string    `json:"who"`
	Address string    `json:"address"`
	Action  string    `json:"action"`
	Object  string    `json:"object"`
	Was     string    `json:"was"`
	Becomes string    `json:"becomes"`
	Result  string    `json:"result"`
}

func runWebAuditList(e *env, args []string) (int, error) {
	fs := flags("web audit list [--before ID] [--limit N] [--db FILE|URL] [--json]")
	db := addDB(fs)
	before := fs.Int64("before", 0, "only rows before the one of this `ID`")
	limit := fs.Int("limit", 100, "at most `N` rows, 1 to 1000")
	asJSON := fs.Bool("json", false, "print one JSON object for each row")
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(rest) > 0:
		return exitUsage, misuse(fs, "web audit list takes no operand; the database goes to --db")
	case *limit < 1 || *limit > 1000 || *before < 0:
		return exitUsage, misuse(fs, "--limit is a number from 1 to 1000, --before one above 0")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	rows, err := st.ListAudit(e.ctx, *before, *limit)
	if err != nil {
		return exitFound, err
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !*asJSON && len(rows) > 0 {
		fmt.Fprintln(w, "ID\tAT\tWHO\tFROM\tACTION\tOBJECT\tWAS\tBECOMES\tRESULT")
	}
	for _, a := range rows {
		if *asJSON {
			err = errors.Join(err, writeJSON(&b, auditLine(a)))
			continue
		}
		words := []string{fmt.Sprint(a.ID), a.At.UTC().Format(time.RFC3339)}
		for _, s := range []string{a.Who, a.Address, a.Action, a.Object, a.Was, a.Becomes, a.Result} {
			words = append(words, dash(plain(s)))
		}
		fmt.Fprintln(w, strings.Join(words, "\t"))
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		return exitFound, err
	}
	_, err = b.WriteTo(e.stdout)
	return exitOK, err
}

func runWebAuditTrim(e *env, args []string) (int, error) {
	fs := flags("web audit trim [--days N] [--rows N] [--yes] [--db FILE|URL] [--json]")
	db := addDB(fs)
	days := fs.Int("days", 0, "remove rows that are older than `N` days")
	rows := fs.Int("rows", 0, "keep the newest `N` rows")
	yes := fs.Bool("yes", false, "agree to the preview without being asked")
	asJSON := fs.Bool("json", false, "print one JSON object")
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(rest) > 0:
		return exitUsage, misuse(fs, "web audit trim takes no operand; the database goes to --db")
	case *days < 0 || *days > 36500 || *rows < 0 || *days+*rows == 0:
		return exitUsage, misuse(fs, "say with --days or --rows what stays; both are numbers above 0")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	var before time.Time
	if *days > 0 {
		before = time.Now().AddDate(0, 0, -*days)
		fmt.Fprintf(e.stderr, "Audit rows from before %s are removed.\n", before.UTC().Format(time.RFC3339))
	}
	if *rows > 0 {
		fmt.Fprintf(e.stderr, "Of the audit the newest %s are kept.\n", count(*rows, "row"))
	}
	fmt.Fprintln(e.stderr, "That they were removed, and which, is a row itself. Undo: none; \"amtmedic web audit list --json\" keeps a copy.")
	if err := agreeLocal(e, *yes); err != nil {
		return exitFound, err
	}
	n, err := st.TrimAudit(e.ctx, store.WhoCommandLine, before, *rows)
	if err != nil {
		return exitFound, err
	}
	if *asJSON {
		return exitOK, writeJSON(e.stdout, struct {
			Removed int64 `json:"removed"`
		}{n})
	}
	_, err = fmt.Fprintf(e.stdout, "%s removed\n", count(int(n), "row"))
	return exitOK, err
}
