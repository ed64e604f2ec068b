package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

func runKeys(e *env, args []string) (int, error) {
	return subcommand(e, "keys", []command{
		{"generate", "make new PID/PPS pairs", runKeysGenerate},
		{"check", "test the check characters of pairs", runKeysCheck},
		{"import", "put a key file into the database", runKeysImport},
		{"otp", "put one-time passwords of Remote Configuration into the database", runKeysOTP},
		{"export", "print or write the pairs of the database", runKeysExport},
	}, args)
}

// pairLine is the JSON form of a pair, one a line.
type pairLine struct {
	Line     int           `json:"line,omitempty"` // of the input
	PID      string        `json:"pid"`
	PPS      string        `json:"pps,omitempty"` // with --reveal only
	Problems []amt.Problem `json:"problems"`
	Notes    []amt.Problem `json:"notes"`
}

// maxPairs limits one run of keys generate; a setup.bin with more would take minutes at POST.
const maxPairs = 100000

func runKeysGenerate(e *env, args []string) (int, error) {
	fs := flags("keys generate [--count N] [--out FILE.csv] [--reveal] [--json]")
	count := fs.Int("count", 1, "number of pairs")
	out := fs.String("out", "", "key `file` to write, with a MEBx password for each pair; only you can read it")
	force := fs.Bool("force", false, "replace the file of --out when it holds something")
	reveal := fs.Bool("reveal", false, "print the PPS")
	asJSON := fs.Bool("json", false, "print one JSON object for each pair")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "keys generate takes no operand; the file goes to --out")
	}
	if *count < 1 || *count > maxPairs {
		return exitUsage, misuse(fs, "--count is from 1 to %d", maxPairs)
	}
	rows, err := keys.GenerateRows(rand.Reader, *count)
	if err != nil {
		return exitFound, err
	}
	if *out != "" {
		if err := writeKeyFile(*out, rows, *force); err != nil {
			return exitFound, err
		}
		fmt.Fprintf(e.stderr, "amtmedic: %d pairs are in %s; import them into the setup server before the clients get theirs\n", len(rows), plain(*out))
	} else if !*reveal {
		fmt.Fprintln(e.stderr, "amtmedic: note: the PPS are neither shown nor kept; use --out FILE.csv or --reveal")
	}
	var b bytes.Buffer
	for _, r := range rows {
		if err := printPair(&b, r.Pair, *reveal, *asJSON); err != nil {
			return exitFound, err
		}
	}
	_, err = b.WriteTo(e.stdout)
	return exitOK, err
}

func printPair(w io.Writer, p keys.Pair, reveal, asJSON bool) error {
	if asJSON {
		line := pairLine{PID: string(p.PID), Problems: []amt.Problem{}, Notes: []amt.Problem{}}
		if reveal {
			line.PPS = p.PPS.Reveal()
		}
		return writeJSON(w, line)
	}
	pps := p.PPS.String()
	if reveal {
		pps = p.Dashed()
	}
	_, err := fmt.Fprintf(w, "%s  %s\n", p.PID.Dashed(), pps)
	return err
}

// writeKeyFile writes a key file as writeSecretFile does.
func writeKeyFile(name string, rows []keys.Row, force bool) error {
	return writeSecretFile("write key file", name, force, func(w io.Writer) error { return keys.WriteCSV(w, rows) })
}

func runKeysCheck(e *env, args []string) (int, error) {
	fs := flags("keys check PID [PPS] | keys check -")
	reveal := fs.Bool("reveal", false, "print the PPS")
	asJSON := fs.Bool("json", false, "print one JSON object for each pair")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	var lines []keyLine
	switch {
	case len(words) == 1 && words[0] == "-":
		if lines, err = readPairs(e); err != nil {
			return exitUsage, err
		}
	case len(words) == 1 || len(words) == 2:
		lines = []keyLine{{fields: words}}
	default:
		return exitUsage, misuse(fs, "keys check takes a PID and its PPS (better as a line on standard input, with -), or a PID alone")
	}
	code := exitOK
	var b bytes.Buffer
	for _, l := range lines {
		out := l.judge(*reveal)
		if len(out.Problems) > 0 {
			code = exitFound
		}
		if err := out.print(&b, *asJSON); err != nil {
			return exitFound, err
		}
	}
	_, err = b.WriteTo(e.stdout)
	return code, err
}

// keyLine is one pair as it was given: a PID and perhaps a PPS, or what a key file said about a line.
type keyLine struct {
	number int
	fields []string
}

// readPairs reads lines of PID and PPS from standard input, separated by white space or a comma, or
// the PID and PPS columns of a key file.
func readPairs(e *env) ([]keyLine, error) {
	b, err := readInput(e, "-")
	if err != nil {
		return nil, &amt.Error{Op: "read pairs", Err: err}
	}
	text := strings.TrimPrefix(string(b), "\ufeff")
	var lines []keyLine
	pidAt, ppsAt := 0, 1
	for i, l := range strings.Split(text, "\n") {
		fields := strings.FieldsFunc(l, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' })
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if strings.ContainsAny(l, ",;") {
			fields = splitFields(l)
		}
		if p, s, ok := headerColumns(fields); ok {
			pidAt, ppsAt = p, s
			continue
		}
		at := [2]int{pidAt, ppsAt}
		if at == [2]int{0, 1} && len(fields) > 2 && len(keys.Bare(fields[1])) == keys.PIDLen && len(keys.Bare(fields[2])) == keys.PPSLen {
			at = [2]int{1, 2} // a key file without its header begins with the id
		}
		picked := []string{}
		for _, at := range at {
			if at < len(fields) {
				picked = append(picked, fields[at])
			}
		}
		lines = append(lines, keyLine{i + 1, picked})
	}
	if len(lines) == 0 {
		return nil, &amt.Error{Op: "read pairs", Err: errors.New("no pair on standard input"), Hint: "one pair a line: PID, white space, PPS; or a key file with the header " + keys.Header}
	}
	return lines, nil
}

// splitFields cuts a CSV line at its separators. A quoted separator can only stand in a password,
// which comes after PID and PPS.
func splitFields(l string) []string {
	fields := strings.Split(strings.ReplaceAll(l, ";", ","), ",")
	for i := range fields {
		fields[i] = strings.Trim(fields[i], " \t\r\"")
	}
	return fields
}

func headerColumns(fields []string) (pid, pps int, ok bool) {
	pid, pps = -1, -1
	for i, f := range fields {
		switch strings.ToLower(f) {
		case "pid":
			pid = i
		case "pps":
			pps = i
		}
	}
	return pid, pps, pid >= 0 && pps >= 0
}

// judge tests one pair. A PPS never reaches the answer without --reveal, also when the two were
// given in the wrong order.
func (l keyLine) judge(reveal bool) pairLine {
	out := pairLine{Line: l.number, Problems: []amt.Problem{}, Notes: []amt.Problem{}}
	var pid, pps string
	if len(l.fields) > 0 {
		pid = l.fields[0]
	}
	if len(l.fields) > 1 {
		pps = l.fields[1]
	}
	if len(keys.Bare(pid)) == keys.PPSLen && len(keys.Bare(pps)) <= keys.PIDLen {
		pid, pps = pps, pid
		out.Notes = append(out.Notes, amt.In("pid, pps", "order", "the PPS stood before the PID; they were taken the right way round"))
	}
	if len(keys.Bare(pid)) <= keys.PIDLen {
		out.PID = plain(keys.Bare(pid))
	}
	out.Problems = append(out.Problems, keys.CheckPID(pid)...)
	if len(l.fields) > 1 {
		secret := amt.NewSecret(pps)
		out.Problems = append(out.Problems, keys.CheckPPS(secret)...)
		if reveal {
			out.PPS = plain(keys.Bare(pps))
		}
	}
	out.Notes = append(out.Notes, keys.LowerCase("pid", pid)...)
	out.Notes = append(out.Notes, keys.LowerCase("pps", pps)...)
	if len(out.Problems) == 0 {
		out.Notes = append(out.Notes, keys.Blind())
	}
	return out
}

func (p pairLine) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, p)
	}
	verdict := "sound"
	if len(p.Problems) > 0 {
		verdict = "wrong"
	}
	name := amt.PID(p.PID).Dashed()
	if name == "" {
		name = "?"
	}
	if p.Line > 0 {
		name = fmt.Sprintf("line %d: %s", p.Line, name)
	}
	if p.PPS != "" {
		name += "  " + keys.Pair{PPS: amt.NewSecret(p.PPS)}.Dashed()
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", name, verdict)
	printProblems(w, "  problem", p.Problems)
	printProblems(w, "  note", p.Notes)
	return err
}
