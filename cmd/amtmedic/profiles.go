package main

import (
	"bytes"
	"errors"
	"fmt"
	"text/tabwriter"

	"amtmedic/amt"
	"amtmedic/amt/profile"
	"amtmedic/amt/store"
)

func runProfiles(e *env, args []string) (int, error) {
	return subcommand(e, "profiles", []command{
		{"list", "list the profiles", runProfilesList},
		{"show", "print one profile", runProfilesShow},
		{"check", "say what a profile file lacks, without a database", runProfilesCheck},
		{"import", "add or replace profiles from YAML files", runProfilesImport},
		{"export", "write profiles as YAML", runProfilesExport},
		{"remove", "remove a profile that nothing uses", runProfilesRemove},
		{"secrets", "list the random passwords that one client has beside its administrator's", runProfilesSecrets},
	}, args)
}

// profileLine is the JSON form of a profile in a list, one a line.
type profileLine struct {
	Name     string        `json:"name"`
	Default  bool          `json:"default"`
	Method   string        `json:"method"`
	TLS      string        `json:"tls"`
	Mapped   int           `json:"mapped"`
	Clients  int           `json:"clients"`
	Problems []amt.Problem `json:"problems"`
}

func runProfilesList(e *env, args []string) (int, error) {
	fs := flags("profiles list [--db FILE] [--json]")
	db := addDB(fs)
	asJSON := fs.Bool("json", false, "print one JSON object for each profile")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "profiles list takes no operand; the database goes to --db")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	rows, err := st.ListProfiles(e.ctx)
	if err != nil {
		return exitFound, &amt.Error{Op: "read profiles", Subject: st.Path(), Err: err}
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !*asJSON {
		fmt.Fprintln(w, "NAME\tDEFAULT\tMETHOD\tTLS\tMAPPED\tCLIENTS\tPROBLEM")
	}
	for _, r := range rows {
		line := profileLine{Name: r.Name, Default: r.Default, Mapped: r.Mapped, Clients: r.Clients, Problems: []amt.Problem{}}
		p, err := profile.ReadJSON(r.Name, r.Body)
		if err != nil {
			line.Problems = append(line.Problems, amt.In("", "unfit", "%v", err))
		}
		line.Method, line.TLS = p.Method, p.TLS.Mode
		if *asJSON {
			if err := writeJSON(&b, line); err != nil {
				return exitFound, err
			}
			continue
		}
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", plain(r.Name), map[bool]string{true: "yes", false: "-"}[r.Default], dash(p.Method), dash(p.TLS.Mode), r.Mapped, r.Clients, dash(problem))
	}
	if err := w.Flush(); err != nil {
		return exitFound, err
	}
	_, err = b.WriteTo(e.stdout)
	return exitOK, err
}

// openProfile reads one profile of a database. With its secrets the key of the database is needed.
func openProfile(e *env, st *store.Store, name string, secrets bool) (profile.Profile, error) {
	read := st.ProfileBody
	if secrets {
		read = st.OpenProfile
	}
	body, ok, err := read(e.ctx, name)
	if err == nil && !ok {
		return profile.Profile{}, &amt.Error{Op: "read profile", Subject: plain(name), Err: errors.New("there is no profile of that name"), Hint: "amtmedic profiles list shows what there is"}
	}
	if err != nil {
		return profile.Profile{}, &amt.Error{Op: "read profile", Subject: plain(name), Err: err}
	}
	p, err := profile.ReadJSON(name, body)
	if err != nil {
		return p, &amt.Error{Op: "read profile", Err: err, Hint: "amtmedic profiles import replaces it by a sound one"}
	}
	return p, nil
}

func runProfilesShow(e *env, args []string) (int, error) {
	fs := flags("profiles show NAME [--db FILE] [--reveal] [--json]")
	db := addDB(fs)
	reveal := fs.Bool("reveal", false, "print fixed passwords")
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "profiles show takes the name of one profile")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	p, err := openProfile(e, st, words[0], *reveal)
	if err != nil {
		return exitFound, err
	}
	if *asJSON {
		return exitOK, writeJSON(e.stdout, p.View(*reveal))
	}
	text, err := p.YAML(*reveal)
	if err != nil {
		return exitFound, err
	}
	_, err = e.stdout.Write(text)
	return exitOK, err
}

// secretLine is the JSON form of a secret of one client, one a line.
type secretLine struct {
	Name  string `json:"name"`            // mebx, or user: and the name of a user
	Value string `json:"value,omitempty"` // with --reveal only
}

func runProfilesSecrets(e *env, args []string) (int, error) {
	fs := flags("profiles secrets UUID [--db FILE] [--reveal] [--json]")
	db := addDB(fs)
	reveal := fs.Bool("reveal", false, "print the passwords")
	asJSON := fs.Bool("json", false, "print one JSON object for each password")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "profiles secrets takes the UUID of one client")
	}
	u, err := amt.ParseUUID(words[0])
	if err != nil {
		return exitUsage, misuse(fs, "%v", err)
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	names, err := st.ClientSecrets(e.ctx, u)
	if err != nil {
		return exitFound, &amt.Error{Op: "read secrets", Subject: u.String(), Err: err}
	}
	var b bytes.Buffer
	for _, name := range names {
		line := secretLine{Name: name}
		if *reveal {
			v, err := st.ClientSecret(e.ctx, u, name)
			if err != nil {
				return exitFound, &amt.Error{Op: "read secrets", Subject: u.String(), Err: err}
			}
			line.Value = v.Reveal()
		}
		if *asJSON {
			if err := writeJSON(&b, line); err != nil {
				return exitFound, err
			}
			continue
		}
		fmt.Fprintf(&b, "%s  %s\n", plain(line.Name), dash(line.Value))
	}
	if len(names) == 0 && !*asJSON {
		fmt.Fprintln(e.stderr, "amtmedic: no profile gave this client a random password beside that of its administrator (amtmedic clients --reveal)")
	}
	_, err = b.WriteTo(e.stdout)
	return exitOK, err
}

func runProfilesRemove(e *env, args []string) (int, error) {
	fs := flags("profiles remove NAME [--db FILE]")
	db := addDB(fs)
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "profiles remove takes the name of one profile")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	found, err := st.RemoveProfile(e.ctx, words[0])
	switch {
	case errors.Is(err, store.ErrInUse):
		return exitFound, &amt.Error{Op: "remove profile", Subject: plain(words[0]), Err: err, Hint: "make another one the default, or give those rows of the UUID map another profile, first"}
	case err != nil:
		return exitFound, &amt.Error{Op: "remove profile", Subject: plain(words[0]), Err: err}
	case !found:
		return exitFound, &amt.Error{Op: "remove profile", Subject: plain(words[0]), Err: errors.New("there is no profile of that name"), Hint: "amtmedic profiles list shows what there is"}
	}
	fmt.Fprintf(e.stderr, "amtmedic: profile %s is removed; clients that have it stay as they are\n", plain(words[0]))
	return exitOK, nil
}
