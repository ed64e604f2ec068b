package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/inventory"
	"amtmedic/amt/store"
)

// inventoryMerge is the JSON form of what an import or a synchronization changes.
type inventoryMerge struct {
	Changes   []amt.Problem `json:"changes"` // code: new, renamed, profile; with --push row, new-row
	Same      int           `json:"same"`
	Ignored   int           `json:"ignored"`
	Conflicts int           `json:"conflicts"`
	Taken     []amt.Problem `json:"taken"` // the conflicts, in words
	Problems  []amt.Problem `json:"problems"`
	Applied   bool          `json:"applied"`
	Promoted  int           `json:"promoted"` // delayed clients that waited for their name
}

// mergeFlags are those of import and sync.
type mergeFlags struct {
	db                         dbFlags
	only, yes, partial, asJSON *bool
}

func addMerge(fs *flag.FlagSet) mergeFlags {
	return mergeFlags{addDB(fs),
		fs.Bool("preview", false, "say what would change, and change nothing"),
		fs.Bool("yes", false, "agree to the preview without being asked"),
		fs.Bool("skip-conflicts", false, "make the other changes although some rows contradict; without it nothing is changed then"),
		fs.Bool("json", false, "print one JSON object")}
}

func runFleetExport(e *env, args []string) (int, error) {
	fs := flags("fleet export [FILE] [--force] [--db FILE|URL] [--json]")
	db := addDB(fs)
	force := fs.Bool("force", false, "replace the file when it holds something")
	asJSON := fs.Bool("json", false, "one JSON object for each client instead of CSV; a file whose name ends in .json gets one array")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) > 1 {
		return exitUsage, misuse(fs, "fleet export takes one file")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	var rows []inventory.Row
	for f, err := range st.Fleet(e.ctx) {
		if err != nil {
			return exitFound, &amt.Error{Op: "read clients", Subject: st.Path(), Err: err}
		}
		rows = append(rows, inventory.FromFleet(f))
	}
	write := inventory.WriteCSV
	switch {
	case *asJSON:
		write = inventory.WriteLines
	case len(words) > 0 && strings.HasSuffix(strings.ToLower(words[0]), ".json"):
		write = inventory.WriteJSON
	}
	if len(words) == 0 || words[0] == "-" {
		var b bytes.Buffer
		if err := write(&b, rows); err != nil {
			return exitFound, err
		}
		_, err := b.WriteTo(e.stdout)
		return exitOK, err
	}
	if err := writeSecretFile("export inventory", words[0], *force, func(w io.Writer) error { return write(w, rows) }); err != nil {
		return exitFound, err
	}
	fmt.Fprintf(e.stderr, "%s: %s\n", plain(words[0]), count(len(rows), "client"))
	return exitOK, nil
}

func runFleetImport(e *env, args []string) (int, error) {
	fs := flags("fleet import FILE [--preview] [--yes] [--skip-conflicts] [--db FILE|URL] [--json]")
	m := addMerge(fs)
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "fleet import takes one file, CSV with a header or JSON; - is standard input")
	}
	raw, err := readUpTo(e, words[0], 256<<20)
	var rows []inventory.Row
	var problems []amt.Problem
	if err == nil {
		rows, problems, err = inventory.Read(raw)
	}
	if err != nil {
		return exitUsage, &amt.Error{Op: "read inventory", Subject: plain(words[0]), Err: err, Hint: "CSV with a header, or JSON; columns: " + strings.Join(inventory.Columns, ",") + " (uuid and fqdn are needed)"}
	}
	st, err := m.db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	return m.merge(e, st, rows, problems, "import")
}

// ofFleet reads what an inventory is compared with.
func ofFleet(e *env, st *store.Store) ([]store.FleetRow, error) {
	var out []store.FleetRow
	for f, err := range st.Fleet(e.ctx) {
		if err != nil {
			return nil, &amt.Error{Op: "read clients", Subject: st.Path(), Err: err}
		}
		out = append(out, f)
	}
	return out, nil
}

// merge plans, shows, asks, applies.
func (m mergeFlags) merge(e *env, st *store.Store, rows []inventory.Row, problems []amt.Problem, source string) (int, error) {
	ours, err := ofFleet(e, st)
	if err != nil {
		return exitFound, err
	}
	profiles, err := st.Profiles(e.ctx)
	if err != nil {
		return exitFound, &amt.Error{Op: "read profiles", Subject: st.Path(), Err: err}
	}
	plan := inventory.Plan(rows, ours, profiles)
	out := inventoryMerge{Same: plan.Same, Ignored: plan.Ignored, Taken: plan.Conflicts, Conflicts: len(plan.Conflicts), Problems: problems, Changes: []amt.Problem{}}
	for _, c := range plan.Changes {
		code := "profile"
		switch {
		case c.New:
			code = "new"
		case c.FQDN != c.WasFQDN:
			code = "renamed"
		}
		out.Changes = append(out.Changes, amt.In(c.UUID.String(), code, "%s", inventory.Words(c)))
	}
	return m.settle(e, &out, func() (err error) {
		out.Promoted, err = st.ApplyNames(e.ctx, plan.Changes, source)
		return err
	})
}

// settle shows a preview, has it agreed to, makes the changes, and reports.
func (m mergeFlags) settle(e *env, out *inventoryMerge, apply func() error) (int, error) {
	code := exitOK
	if out.Conflicts > 0 || len(out.Problems) > 0 {
		code = exitFound
	}
	if !*m.asJSON {
		showSome(e, "change", out.Changes)
		showSome(e, "conflict", out.Taken)
		showSome(e, "problem", out.Problems)
	}
	var failed error
	switch {
	case *m.only || len(out.Changes) == 0:
	case code != exitOK && !*m.partial:
		fmt.Fprintln(e.stderr, "amtmedic: hint: rows contradict or cannot be read, so nothing is changed; --skip-conflicts makes the other changes")
	default:
		if failed = agreeLocal(e, *m.yes); failed == nil {
			failed = apply()
			out.Applied = failed == nil
		}
	}
	if failed != nil {
		code = exitFound
	}
	if *m.asJSON {
		if err := writeJSON(e.stdout, out); err != nil {
			return exitFound, err
		}
		return code, failed
	}
	if failed != nil {
		return code, failed
	}
	word := "nothing was changed"
	if out.Applied {
		word = "changed"
	}
	fmt.Fprintf(e.stdout, "%s; changes %d, same %d, ignored %d, conflicts %d, problems %d\n", word, len(out.Changes), out.Same, out.Ignored, out.Conflicts, len(out.Problems))
	if out.Promoted > 0 {
		fmt.Fprintf(e.stdout, "%s waited for these names and went to the queue\n", count(out.Promoted, "client"))
	}
	return code, nil
}

// shownLines is how many lines of a kind a preview has; --json has all.
const shownLines = 50

func showSome(e *env, word string, list []amt.Problem) {
	printProblems(e.stderr, "  "+word, list[:min(len(list), shownLines)])
	if n := len(list) - shownLines; n > 0 {
		fmt.Fprintf(e.stderr, "  and %s more; --json names all\n", count(n, word))
	}
}
