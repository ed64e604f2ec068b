package main

import (
	"bytes"
	"fmt"
	"text/tabwriter"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// serverLine is the JSON form of a setup server, one a line.
type serverLine struct {
	Name     string    `json:"name"`
	Host     string    `json:"host"`
	Process  int       `json:"process"`
	Version  string    `json:"version"`
	Address  string    `json:"address"`
	Sessions int       `json:"sessions"`
	Started  time.Time `json:"started"`
	Seen     time.Time `json:"last_seen"`
	Alive    bool      `json:"alive"`
}

func runServiceServers(e *env, args []string) (int, error) {
	fs := flags("service servers [--db FILE|URL] [--json]")
	db := addDB(fs)
	asJSON := fs.Bool("json", false, "print one JSON object for each server")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "service servers takes no operand; the database goes to --db")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	all, err := st.Servers(e.ctx)
	if err != nil {
		return exitFound, &amt.Error{Op: "read servers", Subject: st.Path(), Err: err}
	}
	var b bytes.Buffer
	if err := printServers(&b, all, *asJSON); err != nil {
		return exitFound, err
	}
	if len(all) == 0 && !*asJSON {
		fmt.Fprintf(e.stderr, "amtmedic: no setup server works on %s\n", plain(st.Path()))
	}
	_, err = b.WriteTo(e.stdout)
	return exitOK, err
}

func printServers(b *bytes.Buffer, all []store.ServerRow, asJSON bool) error {
	if asJSON {
		for _, s := range all {
			if err := writeJSON(b, serverLine{s.Name, s.Host, s.Process, s.Version, s.Address, s.Sessions, s.Started, s.Seen, s.Alive}); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tHELLOS AT\tSESSIONS\tSTARTED\tLAST SEEN\tSTATE")
	for _, s := range all {
		state := "works"
		if !s.Alive {
			state = "silent"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", plain(s.Name), plain(s.Address), s.Sessions, s.Started.Format(time.RFC3339), s.Seen.Format(time.RFC3339), state)
	}
	return w.Flush()
}
