package main

import (
	"fmt"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// runDiscover takes the word import, or targets: a host of that name can be written with its domain.
func runDiscover(e *env, args []string) (int, error) {
	if e.describe != nil {
		e.describe([]command{{"import", "import names of clients: a UUID map", runDiscoverImport}})
	}
	if len(args) > 0 && args[0] == "import" {
		return runDiscoverImport(e, args[1:])
	}
	return runDiscoverNet(e, args)
}

// mapImport is the JSON form of what discover import did.
type mapImport struct {
	Imported  int           `json:"imported"`
	Conflicts int           `json:"conflicts"`
	Problems  []amt.Problem `json:"problems"`
	Promoted  int           `json:"promoted"` // delayed clients that waited for their name
	Taken     []amt.Problem `json:"taken"`    // the conflicts, in words
}

func runDiscoverImport(e *env, args []string) (int, error) {
	fs := flags("discover import FILE.csv [--db FILE] [--json]")
	db := addDB(fs)
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "discover import takes one file with the header %s, - is standard input", store.MapHeader)
	}
	raw, err := readInput(e, words[0])
	if err != nil {
		return exitUsage, &amt.Error{Op: "read UUID map", Subject: plain(words[0]), Err: err}
	}
	rows, problems, err := store.ReadMap(raw)
	if err != nil {
		return exitUsage, &amt.Error{Op: "read UUID map", Subject: plain(words[0]), Err: err, Hint: "the first line is " + store.MapHeader}
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	sum, err := st.ImportMap(e.ctx, rows)
	if err != nil {
		return exitFound, err
	}
	return reportMapImport(e, sum, problems, *asJSON)
}

func reportMapImport(e *env, sum store.MapImport, problems []amt.Problem, asJSON bool) (int, error) {
	out := mapImport{Imported: sum.Imported, Conflicts: len(sum.Conflicts), Problems: problems, Promoted: sum.Promoted, Taken: []amt.Problem{}}
	for _, c := range sum.Conflicts {
		out.Taken = append(out.Taken, amt.In(c.Row.UUID.String(), "not-imported", "%s", c.Text))
	}
	code := exitOK
	if len(out.Problems) > 0 || out.Conflicts > 0 {
		code = exitFound
	}
	if asJSON {
		return code, writeJSON(e.stdout, out)
	}
	_, err := fmt.Fprintf(e.stdout, "imported %d, conflicts %d, problems %d\n", out.Imported, out.Conflicts, len(out.Problems))
	printProblems(e.stdout, "  conflict", out.Taken)
	printProblems(e.stdout, "  problem", out.Problems)
	if out.Promoted > 0 {
		fmt.Fprintf(e.stdout, "%s waited for these names and went to the queue\n", count(out.Promoted, "client"))
	}
	return code, err
}
