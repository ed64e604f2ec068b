package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/ca"
	"amtmedic/amt/profile"
	"amtmedic/amt/store"
)

// profileCheck is the JSON form of what profiles check found.
type profileCheck struct {
	Profiles []string      `json:"profiles"` // names
	Problems []amt.Problem `json:"problems"`
	Notes    []amt.Problem `json:"notes"`
}

func runProfilesCheck(e *env, args []string) (int, error) {
	fs := flags("profiles check FILE... [--amt-version V] [--json]")
	version := fs.String("amt-version", "", "firmware that is meant, such as 9.0: notes say what it does not have")
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) == 0 {
		return exitUsage, misuse(fs, "profiles check takes files; - is standard input")
	}
	var v amt.Version
	if *version != "" {
		if v, err = amt.ParseVersion(*version); err != nil {
			return exitUsage, misuse(fs, "--amt-version: %v", err)
		}
	}
	docs, err := readProfiles(e, words)
	if err != nil {
		return exitUsage, err
	}
	out := profileCheck{Profiles: []string{}, Problems: []amt.Problem{}, Notes: []amt.Problem{}}
	for _, d := range docs {
		out.Profiles = append(out.Profiles, d.Profile.Name)
		found := d.Judge(nil)
		if len(found) == 0 {
			out.Notes = append(out.Notes, d.notes(profile.Notes(d.Profile, v))...)
		}
		out.Problems = append(out.Problems, d.of(found)...)
	}
	out.Problems = append(out.Problems, twice(docs)...)
	code := exitOK
	if len(out.Problems) > 0 {
		code = exitFound
	}
	if *asJSON {
		return code, writeJSON(e.stdout, out)
	}
	printProblems(e.stdout, "problem", out.Problems)
	printProblems(e.stdout, "note", out.Notes)
	if code == exitOK {
		fmt.Fprintf(e.stdout, "sound: %s\n", plain(strings.Join(out.Profiles, ", ")))
	}
	return code, nil
}

// fileProfile is a profile with the file that it stands in.
type fileProfile struct {
	profile.Document
	file          string // as it was named
	files, others bool   // other files were named too; other profiles were read too
}

// of says of problems in which file they are, where there are several.
func (d fileProfile) of(found []amt.Problem) []amt.Problem { return under(d.files, d.file, found) }

// notes says of notes also which profile they concern: they name no line.
func (d fileProfile) notes(found []amt.Problem) []amt.Problem {
	return d.of(under(d.others, "profile "+d.Profile.Name, found))
}

// under puts a word before the place of problems.
func under(needed bool, word string, found []amt.Problem) []amt.Problem {
	if !needed {
		return found
	}
	out := slices.Clone(found)
	for i := range out {
		out[i].Where = strings.TrimSuffix(word+": "+out[i].Where, ": ")
	}
	return out
}

// readProfiles reads every document of every file.
func readProfiles(e *env, names []string) ([]fileProfile, error) {
	var out []fileProfile
	for _, name := range names {
		raw, err := readUpTo(e, name, 1<<20)
		var docs []profile.Document
		if err == nil {
			docs, err = profile.ReadYAML(raw)
		}
		if err != nil {
			return nil, &amt.Error{Op: "read profile", Subject: plain(name), Err: err, Hint: "\"amtmedic profiles show default\" prints the form"}
		}
		for _, d := range docs {
			out = append(out, fileProfile{Document: d, file: name, files: len(names) > 1})
		}
	}
	for i := range out {
		out[i].others = len(out) > 1
	}
	return out, nil
}

// twice finds names that several documents have.
func twice(docs []fileProfile) (found []amt.Problem) {
	first := map[string]fileProfile{}
	for _, d := range docs {
		n := d.Profile.Name
		f, known := first[n]
		switch {
		case !known:
			first[n] = d
			continue
		case f.file == d.file:
			found = append(found, d.of([]amt.Problem{amt.In("name", profile.CodeTwice, "%q is the name of two profiles", n)})...)
		default:
			found = append(found, d.of([]amt.Problem{amt.In("name", profile.CodeTwice, "%q is the name of a profile in %s too", n, f.file)})...)
		}
	}
	return found
}

// profileImport is the JSON form of what profiles import did.
type profileImport struct {
	Imported int           `json:"imported"`
	New      []string      `json:"new"`
	Changed  []string      `json:"changed"`
	Same     []string      `json:"same"`
	TLSMode  string        `json:"tls_mode"` // of AMT management, as the default profile has it
	Promoted int           `json:"promoted"` // delayed clients that waited for a profile
	Problems []amt.Problem `json:"problems"`
	Notes    []amt.Problem `json:"notes"`
}

func runProfilesImport(e *env, args []string) (int, error) {
	fs := flags("profiles import FILE... [--default NAME] [--db FILE] [--json]")
	db := addDB(fs)
	standard := fs.String("default", "", "make the profile `NAME` the default one")
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) == 0 && *standard == "" {
		return exitUsage, misuse(fs, "profiles import takes files; - is standard input")
	}
	docs, err := readProfiles(e, words)
	if err != nil {
		return exitUsage, err
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	out := profileImport{New: []string{}, Changed: []string{}, Same: []string{}, Problems: twice(docs), Notes: []amt.Problem{}}
	rows, err := judgeImport(e, st, docs, &out)
	if err != nil {
		return exitFound, err
	}
	if len(out.Problems) > 0 {
		return reportProfileImport(e, out, *asJSON)
	}
	sum, err := st.PutProfiles(e.ctx, rows, *standard)
	if err != nil {
		return exitFound, importError(st, err)
	}
	out.Imported = len(sum.Made) + len(sum.Changed)
	out.New, out.Changed, out.Same = append(out.New, sum.Made...), append(out.Changed, sum.Changed...), append(out.Same, sum.Same...)
	out.TLSMode, out.Promoted = sum.TLSMode, sum.Promoted
	return reportProfileImport(e, out, *asJSON)
}

// judgeImport compares the documents with what the database has.
func judgeImport(e *env, st *store.Store, docs []fileProfile, out *profileImport) ([]store.ProfileRow, error) {
	var rows []store.ProfileRow
	authority := ca.New(st, ca.Options{})
	for _, d := range docs {
		old, err := oldProfile(e, st, d.Profile.Name)
		if err != nil {
			return nil, err
		}
		found := d.Judge(old)
		out.Problems = append(out.Problems, d.of(found)...)
		if len(found) > 0 {
			continue
		}
		out.Notes = append(out.Notes, d.notes(profile.Notes(d.Profile, amt.Version{}))...)
		if d.Profile.TLS.On() && d.Profile.TLS.Authority == profile.ExternalAuthority {
			switch _, err := authority.Find(e.ctx, ca.External); {
			case errors.Is(err, ca.ErrNone):
				out.Notes = append(out.Notes, d.of([]amt.Problem{amt.In("tls.authority", "no-authority", "profile %s: no company's authority has signed one of ours yet: its clients wait until \"amtmedic ca import\"", d.Profile.Name)})...)
			case err != nil:
				return nil, err
			}
		}
		body, err := d.Profile.JSON()
		if err != nil {
			return nil, err
		}
		if old != nil && sameProfile(*old, body) {
			out.Same = append(out.Same, d.Profile.Name)
			continue
		}
		rows = append(rows, store.ProfileRow{Name: d.Profile.Name, Body: body})
	}
	return rows, nil
}

// sameProfile reports whether a profile says what a body says, in whichever form it stands.
func sameProfile(old profile.Profile, body string) bool {
	text, err := old.JSON()
	return err == nil && text == body
}

// oldProfile gives the profile that is replaced, with its secrets; nil when there is none, or one that
// cannot be read and is replaced for that.
func oldProfile(e *env, st *store.Store, name string) (*profile.Profile, error) {
	body, ok, err := st.OpenProfile(e.ctx, name)
	if err != nil {
		return nil, &amt.Error{Op: "read profile", Subject: plain(name), Err: err}
	}
	if !ok {
		return nil, nil
	}
	old, err := profile.ReadJSON(name, body)
	if err != nil {
		return nil, nil
	}
	return &old, nil
}

func importError(st *store.Store, err error) error {
	hint := ""
	if errors.Is(err, store.ErrContradiction) {
		hint = "the web directory requires https exactly when AMT management uses TLS (amtmedic explain rc-https-on-no-tls, rc-https-off-with-tls): import the profiles that have to change in one command, with --default"
	}
	return &amt.Error{Op: "import profiles", Subject: st.Path(), Err: err, Hint: hint}
}

func reportProfileImport(e *env, out profileImport, asJSON bool) (int, error) {
	code := exitOK
	if len(out.Problems) > 0 {
		out.Notes, code = []amt.Problem{}, exitFound
	}
	if out.Problems == nil {
		out.Problems = []amt.Problem{}
	}
	if asJSON {
		return code, writeJSON(e.stdout, out)
	}
	printProblems(e.stdout, "problem", out.Problems)
	if code != exitOK {
		fmt.Fprintln(e.stdout, "nothing was imported")
		return code, nil
	}
	printProblems(e.stdout, "note", out.Notes)
	_, err := fmt.Fprintf(e.stdout, "new %d, changed %d, same %d; tls_mode is %s\n", len(out.New), len(out.Changed), len(out.Same), out.TLSMode)
	if out.Promoted > 0 {
		fmt.Fprintf(e.stdout, "%s waited for a profile and went to the queue\n", count(out.Promoted, "client"))
	}
	return code, err
}

func runProfilesExport(e *env, args []string) (int, error) {
	fs := flags("profiles export [NAME...] [--out FILE] [--reveal] [--force] [--db FILE]")
	db := addDB(fs)
	out := fs.String("out", "", "`FILE` to write; only you can read it")
	reveal := fs.Bool("reveal", false, "with fixed passwords; without it an import keeps those that are there")
	force := fs.Bool("force", false, "replace the file of --out when it holds something")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	if len(words) == 0 {
		if words, err = st.Profiles(e.ctx); err != nil {
			return exitFound, &amt.Error{Op: "read profiles", Subject: st.Path(), Err: err}
		}
	}
	var b bytes.Buffer
	for i, name := range words {
		p, err := openProfile(e, st, name, *reveal)
		if err != nil {
			return exitFound, err
		}
		text, err := p.YAML(*reveal)
		if err != nil {
			return exitFound, err
		}
		if i > 0 {
			b.WriteString("---\n")
		}
		b.Write(text)
	}
	if *out != "" {
		return exitOK, writeSecretFile("export profiles", *out, *force, func(w io.Writer) error { _, err := b.WriteTo(w); return err })
	}
	_, err = b.WriteTo(e.stdout)
	return exitOK, err
}
