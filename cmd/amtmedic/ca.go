package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/ca"
	"amtmedic/amt/store"
)

func runCA(e *env, args []string) (int, error) {
	return subcommand(e, "ca", []command{
		{"show", "list the certificate authorities of TLS profiles", runCAShow},
		{"export", "write the root that others have to trust, or what a manager shows", runCAExport},
		{"csr", "write a request to a company's authority", runCACSR},
		{"import", "take what a company's authority signed", runCAImport},
		{"list", "list the certificates that they signed", runCAList},
		{"revoke", "revoke a certificate, or all of one client", runCARevoke},
		{"crl", "write the list of revoked certificates", runCACRL},
	}, args)
}

// caLine is the JSON form of an authority, one a line.
type caLine struct {
	ID       int64      `json:"id"`
	Kind     string     `json:"kind"`
	State    string     `json:"state"` // signs, retired, requested
	Subject  string     `json:"subject"`
	Root     string     `json:"root"`        // subject of the root
	SHA256   string     `json:"root_sha256"` // of the root
	NotAfter *time.Time `json:"not_after"`   // null while it is requested
	Good     int        `json:"good"`        // certificates that count
	Revoked  int        `json:"revoked"`
}

func runCAShow(e *env, args []string) (int, error) {
	fs := flags("ca show [--make] [--db FILE] [--json]")
	db := addDB(fs)
	create := fs.Bool("make", false, "make our own authority now, if it is missing")
	asJSON := fs.Bool("json", false, "print one JSON object for each authority")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "ca show takes no operand; the database goes to --db")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	c := ca.New(st, ca.Options{})
	if *create {
		if _, err := c.Authority(e.ctx, ca.Own); err != nil {
			return exitFound, err
		}
	}
	lines, err := caLines(e, st, c)
	if err != nil {
		return exitFound, err
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !*asJSON && len(lines) > 0 {
		fmt.Fprintln(w, "ID\tKIND\tSTATE\tVALID UNTIL\tGOOD\tREVOKED\tSUBJECT\tROOT")
	}
	for _, l := range lines {
		if *asJSON {
			if err := writeJSON(&b, l); err != nil {
				return exitFound, err
			}
			continue
		}
		until := ""
		if l.NotAfter != nil {
			until = l.NotAfter.Format(time.DateOnly)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", l.ID, l.Kind, l.State, dash(until), l.Good, l.Revoked, dash(l.Subject), dash(l.Root))
	}
	if err := w.Flush(); err != nil {
		return exitFound, err
	}
	if len(lines) == 0 && !*asJSON {
		fmt.Fprintln(e.stderr, "amtmedic: there is no certificate authority yet; the first client with a TLS profile makes our own, or --make")
	}
	_, err = b.WriteTo(e.stdout)
	return exitOK, err
}

func caLines(e *env, st *store.Store, c *ca.CA) ([]caLine, error) {
	all, err := st.Authorities(e.ctx)
	if err != nil {
		return nil, &amt.Error{Op: "read certificate authorities", Subject: st.Path(), Err: err}
	}
	var out []caLine
	for _, row := range all {
		l := caLine{ID: row.ID, Kind: row.Kind, State: "requested"}
		if row.Certs != "" {
			a, err := c.ByID(e.ctx, row.ID)
			if err != nil {
				return nil, err
			}
			l.State = map[bool]string{true: "signs", false: "retired"}[row.Active]
			l.Subject, l.Root = a.Certificate.Subject.String(), a.Root().Subject.String()
			l.SHA256 = fmt.Sprintf("%x", sha256.Sum256(a.Root().Raw))
			until := a.Certificate.NotAfter.UTC()
			l.NotAfter = &until
		}
		for _, x := range []struct {
			q store.CertificateQuery
			n *int
		}{{store.CertificateQuery{Authority: row.ID, Good: true}, &l.Good}, {store.CertificateQuery{Authority: row.ID, Revoked: true}, &l.Revoked}} {
			some, err := st.Certificates(e.ctx, x.q)
			if err != nil {
				return nil, &amt.Error{Op: "read certificates", Subject: st.Path(), Err: err}
			}
			*x.n = len(some)
		}
		out = append(out, l)
	}
	return out, nil
}

// addAuthority is the flag that chooses one.
func addAuthority(fs *flag.FlagSet) *string {
	return fs.String("authority", ca.Own, "`KIND`: own, or external (one of ours that a company's authority signed)")
}

// openAuthority opens the database and finds the chosen one. The caller closes the store.
func openAuthority(e *env, fs *flag.FlagSet, db dbFlags, kind string) (st *store.Store, c *ca.CA, a *ca.Authority, code int, err error) {
	if kind != ca.Own && kind != ca.External {
		return nil, nil, nil, exitUsage, misuse(fs, "--authority: %q is neither own nor external", plain(kind))
	}
	if st, err = db.open(e); err != nil {
		return nil, nil, nil, exitFound, err
	}
	c = ca.New(st, ca.Options{})
	if a, err = c.Find(e.ctx, kind); err != nil {
		return nil, nil, nil, exitFound, errors.Join(err, st.Close())
	}
	return st, c, a, exitOK, nil
}

func runCAExport(e *env, args []string) (int, error) {
	fs := flags("ca export [--authority KIND] [--chain] [--out FILE] [--manager FILE] [--force] [--db FILE]")
	db := addDB(fs)
	kind := addAuthority(fs)
	chain := fs.Bool("chain", false, "all certificates from ours up to the root, not the root alone")
	out := fs.String("out", "", "`FILE` to write, PEM; without it they go to standard output")
	own := fs.String("manager", "", "write `FILE` too: certificate, chain and private key by which programs manage clients with mutual TLS; keep it secret")
	force := fs.Bool("force", false, "replace files that are there")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "ca export takes no operand; the file goes to --out")
	}
	st, c, a, code, err := openAuthority(e, fs, db, *kind)
	if err != nil {
		return code, err
	}
	defer func() { _ = st.Close() }()
	if *own != "" {
		if err := writeManager(e, c, a, *own, *force); err != nil {
			return exitFound, err
		}
	}
	text := a.RootPEM()
	if *chain {
		text = a.PEM()
	}
	return writeOut(e, "export certificates", *out, *force, text)
}

// writeOut writes to a file, or to standard output.
func writeOut(e *env, op, name string, force bool, text []byte) (int, error) {
	if name == "" || name == "-" {
		_, err := e.stdout.Write(text)
		return exitOK, err
	}
	if err := writeSecretFile(op, name, force, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return exitFound, err
	}
	return exitOK, nil
}

func writeManager(e *env, c *ca.CA, a *ca.Authority, name string, force bool) error {
	id, err := c.Manager(e.ctx, a)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(id.PrivateKey)
	if err != nil {
		return &amt.Error{Op: "export manager certificate", Err: err}
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, x := range id.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x})...)
	}
	return writeSecretFile("export manager certificate", name, force, func(w io.Writer) error { _, err := w.Write(text); return err })
}

func runCACSR(e *env, args []string) (int, error) {
	fs := flags("ca csr [--name NAME] [--organization NAME] [--out FILE] [--force] [--db FILE]")
	db := addDB(fs)
	name := fs.String("name", "AMT management authority", "`NAME` that the authority is to have")
	organization := fs.String("organization", "", "`NAME` of the organization")
	out := fs.String("out", "", "`FILE` to write, PEM; without it the request goes to standard output")
	force := fs.Bool("force", false, "replace the file when it holds something")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "ca csr takes no operand; the file goes to --out")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	text, err := ca.New(st, ca.Options{}).Request(e.ctx, *name, *organization)
	if err != nil {
		return exitFound, err
	}
	code, err := writeOut(e, "write request", *out, *force, text)
	if err == nil {
		fmt.Fprintln(e.stderr, "amtmedic: the key of this request stays in the database; have it signed as a subordinate authority, then: amtmedic ca import FILE, with the chain up to the root")
	}
	return code, err
}

func runCAImport(e *env, args []string) (int, error) {
	fs := flags("ca import FILE [--db FILE]")
	db := addDB(fs)
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "ca import takes one file: what was signed, with its chain up to the root, PEM; - is standard input")
	}
	raw, err := readUpTo(e, words[0], 1<<20)
	if err != nil {
		return exitUsage, &amt.Error{Op: "read certificates", Subject: plain(words[0]), Err: err}
	}
	if !bytes.Contains(raw, []byte("-----BEGIN CERTIFICATE-----")) {
		return exitUsage, &amt.Error{Op: "read certificates", Subject: plain(words[0]), Err: errors.New("it holds no certificate"), Hint: "the file is PEM with the certificate, then its chain"}
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	a, err := ca.New(st, ca.Options{}).Import(e.ctx, raw)
	if err != nil {
		return exitFound, err
	}
	n, err := st.PromoteReason(e.ctx, "rc-ca-unavailable", "a certificate authority was imported")
	if err != nil {
		return exitFound, err
	}
	fmt.Fprintf(e.stdout, "authority %d signs for profiles with tls.authority external, until %s; root %s\n", a.ID, a.Certificate.NotAfter.UTC().Format(time.DateOnly), plain(a.Root().Subject.String()))
	if n > 0 {
		fmt.Fprintf(e.stdout, "%s waited for it and went to the queue\n", count(n, "client"))
	}
	return exitOK, nil
}

func runCACRL(e *env, args []string) (int, error) {
	fs := flags("ca crl [--authority KIND] [--out FILE] [--der] [--force] [--db FILE]")
	db := addDB(fs)
	kind := addAuthority(fs)
	out := fs.String("out", "", "`FILE` to write; without it the list goes to standard output")
	der := fs.Bool("der", false, "binary form, as web servers publish it, instead of PEM")
	force := fs.Bool("force", false, "replace the file when it holds something")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "ca crl takes no operand; the file goes to --out")
	}
	if *der && *out == "" {
		return exitUsage, &amt.Error{Op: "write revocation list", Err: errors.New("the binary form does not go to a terminal"), Hint: "name a file with --out, - is standard output"}
	}
	st, c, a, code, err := openAuthority(e, fs, db, *kind)
	if err != nil {
		return code, err
	}
	defer func() { _ = st.Close() }()
	list, err := c.CRL(e.ctx, a)
	if err != nil {
		return exitFound, err
	}
	if !*der {
		list = ca.CRLPEM(list)
	}
	return writeOut(e, "write revocation list", *out, *force, list)
}
