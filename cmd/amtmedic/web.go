package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/scsweb"
	"amtmedic/amt/store"
)

func runWeb(e *env, args []string) (int, error) {
	return subcommand(e, "web", []command{
		{"token", "make, list and revoke the tokens of consoles", runWebToken},
		{"audit", "who changed what, and trim it", runWebAudit},
		{"openapi", "print the description of the interface, OpenAPI 3.1", runWebOpenAPI},
	}, args)
}

func runWebToken(e *env, args []string) (int, error) {
	return subcommand(e, "web token", []command{
		{"create", "make a token and show it, for the only time", runWebTokenCreate},
		{"list", "list the tokens, without themselves", runWebTokenList},
		{"revoke", "end a token at once", runWebTokenRevoke},
	}, args)
}

func runWebOpenAPI(e *env, args []string) (int, error) {
	fs := flags("web openapi")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "web openapi takes no operand")
	}
	b, err := scsweb.OpenAPI(version)
	if err != nil {
		return exitFault, err
	}
	_, err = fmt.Fprintf(e.stdout, "%s\n", b)
	return exitOK, err
}

// tokenLine is the JSON form of a token, one a line.
type tokenLine struct {
	Name    string     `json:"name"`
	Subject string     `json:"subject"` // of the certificate that stands for a token; empty for a token
	Role    string     `json:"role"`
	State   string     `json:"state"` // good, expired, revoked
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires"`         // null: never
	Used    *time.Time `json:"used"`            // null: never
	Token   string     `json:"token,omitempty"` // of web token create only
}

func newTokenLine(k store.Token, now time.Time) tokenLine {
	out := tokenLine{Name: k.Name, Subject: k.Subject, Role: string(k.Role), State: "good", Created: k.Created}
	switch {
	case !k.Revoked.IsZero():
		out.State = "revoked"
	case !k.Good(now):
		out.State = "expired"
	}
	if !k.Expires.IsZero() {
		out.Expires = &k.Expires
	}
	if !k.Used.IsZero() {
		out.Used = &k.Used
	}
	return out
}

func runWebTokenCreate(e *env, args []string) (int, error) {
	fs := flags("web token create NAME [--role ROLE] [--days N] [--certificate FILE|SUBJECT] [--db FILE] [--json]")
	db := addDB(fs)
	role := fs.String("role", string(store.RoleRead), "`ROLE` of its bearer: read; operate, which also changes names, keys and the queue; admin, which also changes profiles and settings")
	certificate := fs.String("certificate", "", "make no token: whoever shows the client certificate of this `FILE` (PEM), or one with this SUBJECT (such as CN=console-1,O=Corp), has the role, where serve is told --web-client-ca")
	days := fs.Int("days", 0, "days until it expires, `N` (default: never)")
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(words) != 1:
		return exitUsage, misuse(fs, "web token create takes the name of the console or person")
	case !slices.Contains(store.Roles(), store.Role(*role)):
		return exitUsage, misuse(fs, "--role is read, operate or admin")
	case *days < 0 || *days > 36500:
		return exitUsage, misuse(fs, "--days is a number from 0 to 36500")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	life := time.Duration(*days) * 24 * time.Hour
	if *certificate != "" {
		return admitCertificate(e, st, store.Token{Name: words[0], Role: store.Role(*role)}, life, *certificate, *asJSON)
	}
	token, k, err := st.CreateToken(e.ctx, words[0], store.Role(*role), life, rand.Reader)
	if err != nil {
		return exitFound, tokenError(words[0], err)
	}
	if *asJSON {
		line := newTokenLine(k, k.Created)
		line.Token = token.Reveal()
		return exitOK, writeJSON(e.stdout, line)
	}
	fmt.Fprintln(e.stderr, "amtmedic: this is the only time that the token is shown; the database keeps its SHA-256")
	_, err = fmt.Fprintln(e.stdout, token.Reveal())
	return exitOK, err
}

func runWebTokenList(e *env, args []string) (int, error) {
	fs := flags("web token list [--db FILE] [--json]")
	db := addDB(fs)
	asJSON := fs.Bool("json", false, "print one JSON object for each token")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "web token list takes no operand; the database goes to --db")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	all, err := st.ListTokens(e.ctx)
	if err != nil {
		return exitFound, &amt.Error{Op: "read tokens", Subject: st.Path(), Err: err}
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !*asJSON && len(all) > 0 {
		fmt.Fprintln(w, "NAME\tROLE\tSTATE\tCREATED\tEXPIRES\tLAST USED\tCERTIFICATE")
	}
	when := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.Format(time.RFC3339)
	}
	for _, k := range all {
		line := newTokenLine(k, time.Now())
		if *asJSON {
			err = errors.Join(err, writeJSON(&b, line))
			continue
		}
		fmt.Fprintln(w, strings.Join([]string{plain(line.Name), line.Role, line.State, when(&line.Created), when(line.Expires), when(line.Used), dash(plain(line.Subject))}, "\t"))
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		return exitFound, err
	}
	if len(all) == 0 && !*asJSON {
		fmt.Fprintln(e.stderr, "amtmedic: there is no token; \"amtmedic web token create NAME\" makes one")
	}
	_, err = b.WriteTo(e.stdout)
	return exitOK, err
}

func runWebTokenRevoke(e *env, args []string) (int, error) {
	fs := flags("web token revoke NAME [--db FILE]")
	db := addDB(fs)
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "web token revoke takes the name of one token")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	ok, err := st.RevokeToken(e.ctx, words[0])
	switch {
	case err != nil:
		return exitFound, err
	case !ok:
		return exitFound, &amt.Error{Op: "revoke token", Subject: plain(words[0]), Err: errors.New("no token of that name is in force"), Hint: "\"amtmedic web token list\" shows what there is"}
	}
	fmt.Fprintf(e.stderr, "amtmedic: the token of %s opens nothing any more\n", plain(words[0]))
	return exitOK, nil
}
