package main

import (
	"bytes"
	"fmt"
	"text/tabwriter"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// clientLine is the JSON form of a client, one a line.
type clientLine struct {
	UUID       amt.UUID   `json:"uuid"`
	FQDN       string     `json:"fqdn"`
	State      string     `json:"state"`
	Method     amt.Method `json:"method"`
	AMTVersion string     `json:"amt_version"`
	LastHello  time.Time  `json:"last_hello"`
	Reason     string     `json:"reason"`
	Address    string     `json:"address"` // of its last hello
	PID        amt.PID    `json:"pid"`
	Hellos     int64      `json:"hellos"`
	Password   string     `json:"password,omitempty"` // with --reveal only
}

func runClients(e *env, args []string) (int, error) {
	fs := flags("clients [--db FILE] [--reveal] [--json]")
	db := addDB(fs)
	reveal := fs.Bool("reveal", false, "print the admin password that this server set in each client")
	asJSON := fs.Bool("json", false, "print one JSON object for each client")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "clients takes no operand; the database goes to --db")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	all, err := st.Clients(e.ctx)
	if err != nil {
		return exitFound, &amt.Error{Op: "read clients", Subject: st.Path(), Err: err}
	}
	var passwords map[amt.UUID]string
	if *reveal {
		if passwords, err = revealPasswords(e, st, all); err != nil {
			return exitFound, &amt.Error{Op: "read passwords", Subject: st.Path(), Err: err}
		}
	}
	var b bytes.Buffer
	if err := printClients(&b, all, passwords, *asJSON); err != nil {
		return exitFound, err
	}
	if len(all) == 0 && !*asJSON {
		fmt.Fprintf(e.stderr, "amtmedic: no client ever said hello to %s\n", plain(st.Path()))
	}
	_, err = b.WriteTo(e.stdout)
	return exitOK, err
}

// revealPasswords gives the password of each client that has one: the one that a log-in verified, else
// the one that was about to be set.
func revealPasswords(e *env, st *store.Store, all []store.Client) (map[amt.UUID]string, error) {
	out := map[amt.UUID]string{}
	for _, c := range all {
		verified, next, err := st.Passwords(e.ctx, c.UUID)
		if err != nil {
			return nil, err
		}
		if verified.IsZero() {
			verified = next
		}
		out[c.UUID] = verified.Reveal()
	}
	return out, nil
}

// printClients writes the table; passwords is nil unless they were asked for.
func printClients(b *bytes.Buffer, all []store.Client, passwords map[amt.UUID]string, asJSON bool) error {
	if asJSON {
		for _, c := range all {
			if err := writeJSON(b, clientLine{c.UUID, c.FQDN, string(c.State), c.Method, c.AMTVersion, c.LastHello, c.Reason, c.IP, c.PID, c.Hellos, passwords[c.UUID]}); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	column := ""
	if passwords != nil {
		column = "PASSWORD\t"
	}
	fmt.Fprintln(w, "UUID\tFQDN\tSTATE\tMETHOD\tAMT\tLAST HELLO\t"+column+"REASON")
	for _, c := range all {
		if passwords != nil {
			column = dash(passwords[c.UUID]) + "\t"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s%s\n", c.UUID, dash(c.FQDN), c.State, dash(string(c.Method)), dash(c.AMTVersion),
			c.LastHello.Format(time.RFC3339), column, dash(c.Reason))
	}
	return w.Flush()
}

// dash stands for what is not known, so that every column of a table has something in it.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return plain(s)
}
