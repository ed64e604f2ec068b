package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/setupbin"
	"amtmedic/amt/store"
)

// keyImport is the JSON form of what keys import did.
type keyImport struct {
	Imported  int           `json:"imported"`
	Conflicts int           `json:"conflicts"`
	Problems  []amt.Problem `json:"problems"`
	Promoted  int           `json:"promoted"` // delayed clients that waited for one of the keys
	Taken     []amt.Problem `json:"taken"`    // the conflicts, in words
	New       int           `json:"new"`      // rows that the map did not have
	Same      int           `json:"same"`     // rows that it had as they are
	Replaced  int           `json:"replaced"` // rows that it had otherwise
	Changes   []amt.Problem `json:"changes"`  // those, in words
}

func runKeysImport(e *env, args []string) (int, error) {
	fs := flags("keys import FILE [--preview] [--db FILE] [--json]")
	db := addDB(fs)
	preview := fs.Bool("preview", false, "say what would change, and change nothing")
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "keys import takes one file: a key file (CSV), a list in plain text, or a setup.bin; - is standard input")
	}
	raw, err := readUpTo(e, words[0], maxSetupBin)
	if err != nil {
		return exitUsage, &amt.Error{Op: "read key file", Subject: plain(words[0]), Err: err}
	}
	rows, problems, err := readPairFile(raw)
	if err != nil {
		return exitUsage, err
	}
	if len(rows) == 0 && !slices.ContainsFunc(problems, func(p amt.Problem) bool { return p.Code != keys.CodeLine }) {
		// no line of it is one of a key file: the database is not touched for it
		_, err := reportKeyImport(e, store.KeyPlan{}, store.KeyImport{}, problems, *asJSON)
		return exitUsage, err
	}
	pairs := make([]store.Pair, len(rows))
	for i, r := range rows {
		pairs[i] = store.Pair{ID: r.ID, PID: r.PID, PPS: r.PPS, CurrentPassword: r.CurrentPassword, AdminPassword: r.AdminPassword, Used: r.Used}
	}
	if *preview && db.missing() { // it would be made
		return previewKeys(e, nil, pairs, problems, *asJSON)
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	if *preview {
		return previewKeys(e, st, pairs, problems, *asJSON)
	}
	plan, err := store.PlanKeys(e.ctx, st, pairs)
	if err != nil {
		return exitFound, err
	}
	sum, err := st.ImportKeys(e.ctx, pairs)
	if err != nil {
		return exitFound, err
	}
	return reportKeyImport(e, plan, sum, problems, *asJSON)
}

// readPairFile reads a setup.bin, a key file or a list in plain text.
func readPairFile(raw []byte) ([]keys.Row, []amt.Problem, error) {
	f, err := setupbin.Read(raw)
	if err != nil || !f.Known() {
		return keys.Read(raw)
	}
	rows, problems := f.Keys()
	if found, _ := f.Judge(amt.Version{}); len(f.Records) < int(min(f.Total, 1<<30)) {
		for _, p := range found {
			if p.Code == setupbin.CodeTruncated {
				problems = append(problems, p)
			}
		}
	}
	if len(rows) == 0 && len(problems) == 0 {
		problems = append(problems, amt.In("setup.bin", keys.CodeEmpty, "no record of it has a PID and a PPS"))
	}
	return rows, problems, nil
}

// missing reports whether the database is a file that does not exist yet.
func (d dbFlags) missing() bool {
	target, err := d.target()
	if err != nil {
		return false
	}
	_, err = os.Stat(target)
	return errors.Is(err, fs.ErrNotExist) && !strings.Contains(target, "://")
}

// keyPreview is the JSON form of what an import would do.
type keyPreview struct {
	New       int           `json:"new"`
	Same      int           `json:"same"`     // they stand in the map as they are
	Replaced  int           `json:"replaced"` // the map has another pair or PPS in their place
	Conflicts int           `json:"conflicts"`
	Problems  []amt.Problem `json:"problems"`
	Changes   []amt.Problem `json:"changes"` // what would be replaced, in words
	Taken     []amt.Problem `json:"taken"`   // the conflicts, in words
}

// previewKeys compares pairs with the map; st is nil for an empty one.
func previewKeys(e *env, st *store.Store, pairs []store.Pair, problems []amt.Problem, asJSON bool) (int, error) {
	plan, err := store.PlanKeys(e.ctx, st, pairs)
	if err != nil {
		return exitFound, err
	}
	out := keyPreview{New: plan.New, Same: plan.Same, Replaced: len(plan.Changes), Conflicts: len(plan.Conflicts), Problems: problems, Changes: changeWords(plan.Changes), Taken: takenWords(plan.Conflicts)}
	code := exitOK
	if len(out.Problems) > 0 || out.Conflicts > 0 {
		code = exitFound
	}
	if asJSON {
		return code, writeJSON(e.stdout, out)
	}
	_, err = fmt.Fprintf(e.stdout, "nothing was written; new %d, same %d, replaced %d, conflicts %d, problems %d\n", out.New, out.Same, out.Replaced, out.Conflicts, len(out.Problems))
	printProblems(e.stdout, "  change", out.Changes)
	printProblems(e.stdout, "  conflict", out.Taken)
	printProblems(e.stdout, "  problem", out.Problems)
	warnOfLoss(e, out.Changes, "would give way")
	return code, err
}

// warnOfLoss says that pairs leave the map because others come under their ids, as with two files of keys
// generate that both count from 1.
func warnOfLoss(e *env, changes []amt.Problem, verb string) {
	n := 0
	for _, c := range changes {
		if c.Code == "pid-changes" {
			n++
		}
	}
	if n > 0 {
		fmt.Fprintf(e.stderr, "amtmedic: warning: %s of the database %s, because the file has other pairs under the same id; with an empty id pairs are added\n", count(n, "pair"), verb)
	}
}

// changeWords says what is replaced.
func changeWords(changes []store.PairChange) []amt.Problem {
	out := []amt.Problem{}
	for _, c := range changes {
		out = append(out, amt.In(fmt.Sprintf("id %d", c.ID), c.Code(), "%s", c.String()))
	}
	return out
}

// takenWords says what is left out.
func takenWords(conflicts []store.KeyConflict) []amt.Problem {
	out := []amt.Problem{}
	for _, c := range conflicts {
		out = append(out, amt.In(fmt.Sprintf("id %d", c.ID), "pid-taken", "%s", c.String()))
	}
	return out
}

// reportKeyImport says what an import did, and what of it was a repeat of what the map had.
func reportKeyImport(e *env, plan store.KeyPlan, sum store.KeyImport, problems []amt.Problem, asJSON bool) (int, error) {
	out := keyImport{Imported: sum.Imported, Conflicts: len(sum.Conflicts), Problems: problems, Promoted: sum.Promoted, Taken: takenWords(sum.Conflicts),
		New: plan.New, Same: plan.Same, Replaced: len(plan.Changes), Changes: changeWords(plan.Changes)}
	code := exitOK
	if len(out.Problems) > 0 || out.Conflicts > 0 {
		code = exitFound
	}
	if asJSON {
		return code, writeJSON(e.stdout, out)
	}
	_, err := fmt.Fprintf(e.stdout, "imported %d, conflicts %d, problems %d\n", out.Imported, out.Conflicts, len(out.Problems))
	if out.Same+out.Replaced > 0 {
		fmt.Fprintf(e.stdout, "of them new %d, same as before %d, replaced %d\n", out.New, out.Same, out.Replaced)
	}
	printProblems(e.stdout, "  change", out.Changes)
	printProblems(e.stdout, "  conflict", out.Taken)
	printProblems(e.stdout, "  problem", out.Problems)
	warnOfLoss(e, out.Changes, "gave way")
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
