package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/hello"
)

func runCert(e *env, args []string) (int, error) {
	return subcommand(e, "cert", []command{
		{"check", "judge a provisioning certificate", runCertCheck},
		{"create-lab", "make a practice root and provisioning certificate", runCertCreateLab},
	}, args)
}

// certCheck is the JSON form of a judged certificate.
type certCheck struct {
	Subject    string        `json:"subject"`
	Names      []string      `json:"names"`
	Suffix     string        `json:"suffix"`
	RootSHA1   string        `json:"root_sha1"`
	RootSHA256 string        `json:"root_sha256"`
	NotBefore  *time.Time    `json:"not_before"`
	NotAfter   *time.Time    `json:"not_after"`
	Chain      []string      `json:"chain"`
	Problems   []amt.Problem `json:"problems"`
	Notes      []amt.Problem `json:"notes"`
}

func runCertCheck(e *env, args []string) (int, error) {
	fs := flags("cert check FILE [--suffix NAME] [--amt-version V] [--hello FILE] [--hash ALG:HEX]... [--password-file FILE] [--json]")
	suffix := fs.String("suffix", "", "domain `NAME` that the client has: its MEBx, or DHCP option 15")
	version := fs.String("amt-version", "", "AMT `version` of the client")
	helloFile := fs.String("hello", "", "`FILE` with a hello of the client, raw or hex: its hashes say which roots it trusts")
	var hashes texts
	fs.Var(&hashes, "hash", "digest of a root that the client trusts, `ALG:HEX`, from MEBx or a tool (repeatable)")
	passwordFile := fs.String("password-file", "", "`FILE` whose first line opens a PFX (default: the environment variable AMTMEDIC_CERT_PASSWORD, then the terminal)")
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "cert check takes one file, - is standard input")
	}
	q := cert.Question{Now: time.Now(), Suffix: *suffix}
	if q.Version, err = optionalVersion(*version); err != nil {
		return exitUsage, misuse(fs, "--amt-version: %v", err)
	}
	if *helloFile != "" {
		if q.Hashes, err = hashesOf(e, *helloFile); err != nil {
			return exitUsage, err
		}
	}
	for _, text := range hashes {
		h, err := hello.ParseHash(text)
		if err != nil {
			return exitUsage, misuse(fs, "--hash: %v", err)
		}
		q.Hashes = append(q.Hashes, h)
	}
	f, err := readCert(e, words[0], *passwordFile)
	if err != nil {
		return exitUsage, err
	}
	r := cert.Judge(f, q)
	code := exitOK
	if len(r.Problems) > 0 {
		code = exitFound
	}
	if *asJSON {
		return code, writeJSON(e.stdout, certJSON(r))
	}
	return code, printCert(e.stdout, f, r)
}

// hashesOf reads the root hashes of a hello; a client without any trusts nobody.
func hashesOf(e *env, name string) ([]hello.Hash, error) {
	fail := func(err error) error {
		return &amt.Error{Op: "read hello", Subject: plain(name), Err: err, Hint: "amtmedic hello decode shows what is in it"}
	}
	b, err := readHello(e, name, false)
	if err != nil {
		return nil, err
	}
	m, err := hello.Decode(b)
	if err != nil {
		return nil, fail(err)
	}
	if m.Version != 3 {
		return nil, fail(errors.New("it is no hello of a Remote Configuration client"))
	}
	return append([]hello.Hash{}, m.Hashes...), nil
}

func certJSON(r *cert.Report) certCheck {
	out := certCheck{Subject: plain(r.Subject), Names: []string{}, Suffix: plain(r.Suffix), RootSHA256: r.RootSHA256(), Chain: []string{}, Problems: r.Problems, Notes: r.Notes}
	for _, n := range r.Names {
		out.Names = append(out.Names, plain(n))
	}
	for _, h := range r.Roots {
		if h.Algorithm == hello.SHA1 {
			out.RootSHA1 = hex.EncodeToString(h.Digest)
		}
	}
	for _, c := range r.Chain.Certificates {
		out.Chain = append(out.Chain, plain(c.Subject.String()))
	}
	if leaf := r.Chain.Leaf(); leaf != nil {
		from, until := leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
		out.NotBefore, out.NotAfter = &from, &until
	}
	return out
}

func printCert(w io.Writer, f *cert.File, r *cert.Report) error {
	if leaf := r.Chain.Leaf(); leaf != nil {
		fmt.Fprintf(w, "%s, %d certificates\n", f.Form, len(f.Certificates))
		fmt.Fprintf(w, "subject   %s\n", plain(r.Subject))
		fmt.Fprintf(w, "names     %s\n", plain(strings.Join(r.Names, ", ")))
		fmt.Fprintf(w, "valid     %s to %s\n", leaf.NotBefore.UTC().Format("2006-01-02"), leaf.NotAfter.UTC().Format("2006-01-02"))
		for i, c := range r.Chain.Certificates[1:] {
			fmt.Fprintf(w, "issuer %d  %s\n", i+1, plain(c.Subject.String()))
		}
		for _, h := range r.Roots {
			fmt.Fprintf(w, "root      %-7s %s\n", h.Algorithm, hex.EncodeToString(h.Digest))
		}
	}
	printProblems(w, "note", r.Notes)
	printProblems(w, "problem", r.Problems)
	if len(r.Problems) == 0 {
		_, err := fmt.Fprintln(w, "sound")
		return err
	}
	return nil
}
