package main

import (
	"bytes"
	"fmt"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"
)

// keyImport is the JSON form of what keys import did.
type keyImport struct {
	Imported  int           `json:"imported"`
	Conflicts int           `json:"conflicts"`
	Problems  []amt.Problem `json:"problems"`
	Promoted  int           `json:"promoted"` // delayed clients that waited for one of the keys
	Taken     []amt.Problem `json:"taken"`    // the conflicts, in words
}

func runKeysImport(e *env, args []string) (int, error) {
	fs := flags("keys import FILE.csv [--db FILE] [--json]")
	db := addDB(fs)
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "keys import takes one key file, - is standard input")
	}
	raw, err := readInput(e, words[0])
	if err != nil {
		return exitUsage, &amt.Error{Op: "read key file", Subject: plain(words[0]), Err: err}
	}
	rows, problems, err := keys.ReadCSV(bytes.NewReader(raw))
	if err != nil {
		return exitUsage, err
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	pairs := make([]store.Pair, len(rows))
	for i, r := range rows {
		pairs[i] = store.Pair{ID: r.ID, PID: r.PID, PPS: r.PPS, CurrentPassword: r.CurrentPassword, AdminPassword: r.AdminPassword, Used: r.Used}
	}
	sum, err := st.ImportKeys(e.ctx, pairs)
	if err != nil {
		return exitFound, err
	}
	return reportKeyImport(e, sum, problems, *asJSON)
}

func reportKeyImport(e *env, sum store.KeyImport, problems []amt.Problem, asJSON bool) (int, error) {
	out := keyImport{Imported: sum.Imported, Conflicts: len(sum.Conflicts), Problems: problems, Promoted: sum.Promoted, Taken: []amt.Problem{}}
	for _, c := range sum.Conflicts {
		out.Taken = append(out.Taken, amt.In(fmt.Sprintf("id %d", c.ID), "pid-taken", "PID %s stands in the map under id %d", c.PID.Dashed(), c.Taken))
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
		fmt.Fprintf(e.stdout, "%s waited for these keys and went to the queue\n", count(out.Promoted, "client"))
	}
	return code, err
}

// count writes a number with its noun: 1 client, 2 clients.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// exportLine is the JSON form of a pair of the map, one a line.
type exportLine struct {
	ID       int64         `json:"id"`
	PID      string        `json:"pid"`
	PPS      string        `json:"pps,omitempty"` // with --reveal only
	Used     bool          `json:"used"`
	Problems []amt.Problem `json:"problems"`
}

func runKeysExport(e *env, args []string) (int, error) {
	fs := flags("keys export [--db FILE] [--out FILE.csv] [--reveal] [--json]")
	db := addDB(fs)
	out := fs.String("out", "", "key `file` to write, with PPS and passwords; only you can read it")
	force := fs.Bool("force", false, "replace the file of --out when it holds something")
	reveal := fs.Bool("reveal", false, "print the PPS")
	asJSON := fs.Bool("json", false, "print one JSON object for each pair")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "keys export takes no operand; the file goes to --out")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	var b bytes.Buffer
	var rows []keys.Row
	for p, err := range st.Keys(e.ctx) {
		if err != nil {
			return exitFound, &amt.Error{Op: "export keys", Subject: st.Path(), Err: err}
		}
		row := keys.Row{Pair: keys.Pair{PID: p.PID, PPS: p.PPS}, ID: p.ID, CurrentPassword: p.CurrentPassword, AdminPassword: p.AdminPassword, Used: p.Used}
		rows = append(rows, row)
		if err := printExport(&b, row, *reveal, *asJSON); err != nil {
			return exitFound, err
		}
	}
	if *out != "" {
		if err := writeKeyFile(*out, rows, *force); err != nil {
			return exitFound, err
		}
	}
	_, err = b.WriteTo(e.stdout)
	return exitOK, err
}

func printExport(b *bytes.Buffer, r keys.Row, reveal, asJSON bool) error {
	if !asJSON {
		return printPair(b, r.Pair, reveal, false)
	}
	line := exportLine{ID: r.ID, PID: string(r.PID), Used: r.Used, Problems: keys.Check(string(r.PID), r.PPS)}
	if reveal {
		line.PPS = r.PPS.Reveal()
	}
	return writeJSON(b, line)
}
