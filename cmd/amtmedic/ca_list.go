package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/ca"
	"amtmedic/amt/store"
)

// certLine is the JSON form of a certificate that was signed here, one a line.
type certLine struct {
	Serial    string     `json:"serial"`
	Authority int64      `json:"authority"`
	Purpose   string     `json:"purpose"` // client, manager
	UUID      string     `json:"uuid"`    // empty for a manager
	Name      string     `json:"name"`
	NotBefore time.Time  `json:"not_before"`
	NotAfter  time.Time  `json:"not_after"`
	Revoked   *time.Time `json:"revoked"` // null while it is good
	Reason    int        `json:"reason"`  // of the revocation
}

func runCAList(e *env, args []string) (int, error) {
	fs := flags("ca list [--within DAYS] [--db FILE] [--json]")
	db := addDB(fs)
	within := fs.Int("within", 0, "only those that end within so many `DAYS`, and are not revoked")
	asJSON := fs.Bool("json", false, "print one JSON object for each certificate")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "ca list takes no operand; the database goes to --db")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	q := store.CertificateQuery{}
	if *within > 0 {
		q.Good, q.Before = true, time.Now().AddDate(0, 0, *within)
	}
	all, err := st.Certificates(e.ctx, q)
	if err != nil {
		return exitFound, &amt.Error{Op: "read certificates", Subject: st.Path(), Err: err}
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !*asJSON && len(all) > 0 {
		fmt.Fprintln(w, "SERIAL\tPURPOSE\tNAME\tVALID UNTIL\tREVOKED\tUUID")
	}
	for _, c := range all {
		l := certLine{Serial: c.Serial, Authority: c.Authority, Purpose: c.Purpose, Name: c.Name, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Reason: c.Reason}
		if !c.UUID.IsZero() {
			l.UUID = c.UUID.String()
		}
		revoked := ""
		if !c.Revoked.IsZero() {
			l.Revoked, revoked = &c.Revoked, c.Revoked.Format(time.DateOnly)
		}
		if *asJSON {
			if err := writeJSON(&b, l); err != nil {
				return exitFound, err
			}
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.Serial, l.Purpose, plain(l.Name), l.NotAfter.Format(time.DateOnly), dash(revoked), dash(l.UUID))
	}
	if err := w.Flush(); err != nil {
		return exitFound, err
	}
	_, err = b.WriteTo(e.stdout)
	return exitOK, err
}

var serialForm = regexp.MustCompile(`^[0-9a-f]{1,40}$`)

func runCARevoke(e *env, args []string) (int, error) {
	fs := flags("ca revoke SERIAL|UUID [--reason WORD] [--db FILE]")
	db := addDB(fs)
	reason := fs.String("reason", "cessation", "`WORD`: cessation (it is managed no more), superseded, key-compromise")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "ca revoke takes the serial number of a certificate, or the UUID of a client for all of its")
	}
	number, ok := map[string]int{"cessation": ca.Cessation, "superseded": ca.Superseded, "key-compromise": ca.KeyCompromise}[*reason]
	if !ok {
		return exitUsage, misuse(fs, "--reason: %q is none of cessation, superseded, key-compromise", plain(*reason))
	}
	u, notUUID := amt.ParseUUID(words[0])
	serial := strings.ToLower(strings.ReplaceAll(words[0], ":", ""))
	if notUUID != nil && !serialForm.MatchString(serial) {
		return exitUsage, misuse(fs, "%q is neither a serial number nor a UUID", plain(words[0]))
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	n := 0
	if notUUID == nil && strings.Contains(words[0], "-") {
		n, err = st.RevokeCertificates(e.ctx, u, number)
	} else if ok, err = st.RevokeCertificate(e.ctx, strings.Repeat("0", max(0, 32-len(serial)))+serial, number); ok {
		n = 1
	}
	if err == nil && n == 0 {
		err = errors.New("no certificate that counts has it")
	}
	if err != nil {
		return exitFound, &amt.Error{Op: "revoke", Subject: plain(words[0]), Err: err, Hint: "amtmedic ca list shows what there is"}
	}
	fmt.Fprintf(e.stdout, "revoked %d; \"amtmedic ca crl\" writes the new list\n", n)
	return exitOK, nil
}
