package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

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
		return exitUsage, misuse(fs, "discover import takes one file with the header %s, - is standard input", mapHeader)
	}
	raw, err := readInput(e, words[0])
	if err != nil {
		return exitUsage, &amt.Error{Op: "read UUID map", Subject: plain(words[0]), Err: err}
	}
	rows, problems, err := readMap(raw)
	if err != nil {
		return exitUsage, &amt.Error{Op: "read UUID map", Subject: plain(words[0]), Err: err, Hint: "the first line is " + mapHeader}
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

const mapHeader = "uuid,fqdn,profile"

// readMap reads a UUID map. The error is a file without its header; lines with a problem are left
// out and named.
func readMap(raw []byte) (rows []store.MapRow, problems []amt.Problem, err error) {
	cr := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))))
	cr.FieldsPerRecord, cr.TrimLeadingSpace = -1, true
	head, err := cr.Read()
	if err != nil || len(head) < 2 || !strings.EqualFold(strings.TrimSpace(head[0]), "uuid") || !strings.EqualFold(strings.TrimSpace(head[1]), "fqdn") {
		return nil, nil, errors.New("it is no UUID map")
	}
	problems = []amt.Problem{}
	seen := map[amt.UUID]int{}
	for {
		fields, err := cr.Read()
		if errors.Is(err, io.EOF) {
			return rows, problems, nil
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			problems = append(problems, amt.In(fmt.Sprintf("line %d", syntax.StartLine), "line", "%v", syntax.Err))
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		n, _ := cr.FieldPos(0)
		row, err := mapRow(fields)
		if first, twice := seen[row.UUID]; err == nil && twice {
			err = fmt.Errorf("UUID %s stands in line %d already", row.UUID, first)
		}
		if err != nil {
			problems = append(problems, amt.In(fmt.Sprintf("line %d", n), "line", "%v", err))
			continue
		}
		seen[row.UUID] = n
		rows = append(rows, row)
	}
}

func mapRow(fields []string) (store.MapRow, error) {
	row := store.MapRow{Source: "import"}
	if len(fields) < 2 {
		return row, errors.New("UUID and FQDN were expected")
	}
	var err error
	if row.UUID, err = amt.ParseUUID(strings.Trim(strings.TrimSpace(fields[0]), "{}")); err != nil {
		return row, err
	}
	row.FQDN = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(fields[1]), "."))
	if err := hostName(row.FQDN); err != nil {
		return row, err
	}
	if len(fields) > 2 {
		row.Profile = strings.TrimSpace(fields[2])
	}
	return row, nil
}

// hostName says why s cannot be the name of a computer (RFC 1123; the underscore is seen in the field).
func hostName(s string) error {
	if s == "" || len(s) > 253 {
		return fmt.Errorf("an FQDN has 1 to 253 characters, this one has %d", len(s))
	}
	for label := range strings.SplitSeq(s, ".") {
		bad := strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""
		if bad || label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("%q is not the name of a computer", plain(s))
		}
	}
	return nil
}
