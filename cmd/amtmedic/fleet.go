package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/fleet"
)

func runFleet(e *env, args []string) (int, error) {
	return subcommand(e, "fleet", []command{
		{"report", "how far the clients are on the way to activation, and what keeps the rest", runFleetReport},
		{"replace", "move name and profile of a client to the UUID of its new mainboard", runFleetReplace},
		{"retire", "take a client out of service", runFleetRetire},
		{"reuse", "put a client into service under a new name", runFleetReuse},
		{"history", "what happened to a client in its life", runFleetHistory},
		{"export", "write the clients as a file for an inventory", runFleetExport},
		{"import", "take names and profiles from the file of an inventory", runFleetImport},
		{"sync", "take names and profiles from a table of an SQL database, or bring ours there", runFleetSync},
	}, args)
}

func runFleetReport(e *env, args []string) (int, error) {
	fs := flags("fleet report [--html FILE] [--days N] [--db FILE|URL] [--json]")
	db := addDB(fs)
	page := fs.String("html", "", "write `FILE`, a page that needs nothing else; - is standard output")
	days := fs.Int("days", 30, "how many `days` back the figures over time go")
	asJSON := fs.Bool("json", false, "print one JSON object")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "fleet report takes no operand; the database goes to --db")
	}
	if *days < 1 || *days > 3660 {
		return exitUsage, misuse(fs, "--days is 1 to 3660")
	}
	if *asJSON && *page == "-" {
		return exitUsage, misuse(fs, "--json and --html - both want standard output")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	counts, err := st.MaintenanceCounts(e.ctx)
	if err != nil {
		return exitFound, &amt.Error{Op: "read maintenance", Subject: st.Path(), Err: err}
	}
	r, err := fleet.Compute(st.Fleet(e.ctx), time.Now(), fleet.Options{Title: titleOf, Days: *days, Maintenance: counts})
	if err != nil {
		return exitFound, &amt.Error{Op: "read clients", Subject: st.Path(), Err: err}
	}
	if *page != "" {
		var b bytes.Buffer
		if err := fleet.WriteHTML(&b, r); err != nil {
			return exitFound, err
		}
		if *page == "-" {
			_, err := b.WriteTo(e.stdout)
			return exitOK, err
		}
		if err := os.WriteFile(*page, b.Bytes(), 0o644); err != nil {
			return exitFound, &amt.Error{Op: "write report", Subject: plain(*page), Err: err}
		}
	}
	switch {
	case *asJSON:
		return exitOK, writeJSON(e.stdout, r)
	case *page != "":
		_, err := fmt.Fprintf(e.stdout, "%s: %s\n", plain(*page), count(r.Known, "client"))
		return exitOK, err
	}
	return exitOK, fleet.WriteTable(e.stdout, r, plain)
}
