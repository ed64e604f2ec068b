package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/setupbin"
)

// maxSetupBin is the most that is read of a setup.bin, in bytes: more than 100,000 records.
const maxSetupBin = 64 << 20

func runSetupBin(e *env, args []string) (int, error) {
	return subcommand(e, "setupbin", []command{
		{"show", "explain a setup.bin record by record", runSetupBinShow},
		{"write", "make a setup.bin of a key file", runSetupBinWrite},
	}, args)
}

// setupBinShow is the JSON form of a setup.bin, without its records: those are written one by one
// behind it, because a file may have a hundred thousand.
type setupBinShow struct {
	Version         string        `json:"version"`
	FileType        string        `json:"file_type"` // the 16 bytes as stored, in hex
	RecordsTotal    uint32        `json:"records_total"`
	RecordsConsumed uint32        `json:"records_consumed"`
	RecordsFree     int           `json:"records_free"`
	RecordsKept     bool          `json:"records_kept"` // not consumed
	Problems        []amt.Problem `json:"problems"`
	Notes           []amt.Problem `json:"notes"`
}

type setupBinRecord struct {
	Number    uint32             `json:"number"`
	Offset    int                `json:"offset"`
	Valid     bool               `json:"valid"`
	Scrambled bool               `json:"scrambled"`
	PID       string             `json:"pid"`
	PPS       string             `json:"pps,omitempty"` // with --reveal only
	Variables []setupBinVariable `json:"variables"`
}

type setupBinVariable struct {
	Module uint16 `json:"module"`
	ID     uint16 `json:"id"`
	Name   string `json:"name"`
	Length int    `json:"length"`
	Value  string `json:"value,omitempty"` // in words; of a secret with --reveal only
	Hex    string `json:"hex,omitempty"`   // the bytes; of a secret with --reveal only
	Secret bool   `json:"secret"`
}

func runSetupBinShow(e *env, args []string) (int, error) {
	fs := flags("setupbin show FILE [--amt-version V] [--reveal] [--json]")
	firmware := fs.String("amt-version", "", "AMT `version` of the client; without it the oldest that reads the file")
	reveal := fs.Bool("reveal", false, "print passwords and PPS")
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "setupbin show takes one file, - is standard input")
	}
	v, err := optionalVersion(*firmware)
	if err != nil {
		return exitUsage, misuse(fs, "--amt-version: %v", err)
	}
	f, err := readSetupBin(e, words[0])
	if err != nil {
		return exitUsage, err
	}
	out := setupBinShow{Version: f.Version.String(), FileType: hex.EncodeToString(f.TypeID[:]), RecordsTotal: f.Total,
		RecordsConsumed: f.Consumed, RecordsFree: f.Free(), RecordsKept: f.Keeps()}
	out.Problems, out.Notes = f.Judge(v)
	code := exitOK
	if len(out.Problems) > 0 {
		code = exitFound
	}
	w := bufio.NewWriterSize(e.stdout, 64<<10)
	if *asJSON {
		err = out.writeJSON(w, f, *reveal)
	} else {
		out.print(w, f, *reveal)
	}
	return code, errors.Join(err, w.Flush())
}

// optionalVersion reads an AMT version; an empty text is none.
func optionalVersion(s string) (amt.Version, error) {
	if s == "" {
		return amt.Version{}, nil
	}
	return amt.ParseVersion(s)
}

func readSetupBin(e *env, name string) (*setupbin.File, error) {
	b, err := readUpTo(e, name, maxSetupBin)
	if err != nil {
		return nil, &amt.Error{Op: "read setup.bin", Subject: plain(name), Err: err}
	}
	f, err := setupbin.Read(b)
	if err != nil {
		return nil, &amt.Error{Op: "read setup.bin", Subject: plain(name), Err: err, Hint: "copy the file again from where it was made"}
	}
	return f, nil
}

// describe puts record i into its JSON form.
func describe(f *setupbin.File, i int, reveal bool) setupBinRecord {
	r := f.Records[i]
	rec := setupBinRecord{Number: r.Number, Offset: f.Offset(i), Valid: r.Valid(), Scrambled: r.Flags&setupbin.FlagScrambled != 0,
		Variables: []setupBinVariable{}}
	for _, v := range r.Variables {
		value := v.Value.Reveal()
		x := setupBinVariable{Module: v.Module, ID: v.ID, Name: v.Name(), Length: len(value), Secret: v.Secret()}
		if !x.Secret || reveal {
			x.Value, x.Hex = plain(strings.ToValidUTF8(v.Words(true), "?")), hex.EncodeToString([]byte(value))
		}
		switch {
		case v.Key() == "2/1" && !x.Secret:
			rec.PID = plain(strings.ToValidUTF8(keys.Bare(value), "?"))
		case v.Key() == "2/2" && reveal:
			rec.PPS = plain(strings.ToValidUTF8(keys.Bare(value), "?"))
		}
		rec.Variables = append(rec.Variables, x)
	}
	return rec
}

// writeJSON writes one object: the head, and the records behind it.
func (s setupBinShow) writeJSON(w *bufio.Writer, f *setupbin.File, reveal bool) error {
	var head bytes.Buffer
	if err := writeJSON(&head, s); err != nil {
		return err
	}
	_, _ = w.Write(bytes.TrimSuffix(head.Bytes(), []byte("}\n"))) // the writer keeps its first error for Flush
	_, _ = w.WriteString(`,"records":[`)
	for i := range f.Records {
		if i > 0 {
			_ = w.WriteByte(',')
		}
		head.Reset()
		if err := writeJSON(&head, describe(f, i, reveal)); err != nil {
			return err
		}
		_, _ = w.Write(bytes.TrimSuffix(head.Bytes(), []byte("\n")))
	}
	_, err := w.WriteString("]}\n")
	return err
}

// print writes the file in words and closes with the verdict.
func (s setupBinShow) print(w io.Writer, f *setupbin.File, reveal bool) {
	if !f.Known() { // the numbers of its header mean nothing
		fmt.Fprintln(w, "this is no setup.bin")
		printProblems(w, "problem", s.Problems)
		fmt.Fprintln(w, "unfit: nothing in it can be explained")
		return
	}
	kept := "each serves one client"
	if s.RecordsKept {
		kept = "they are not consumed: each serves any number of clients"
	}
	fmt.Fprintf(w, "setup.bin, version %s: the header says %s, %d used; %s\n", s.Version, count(int(s.RecordsTotal), "record"), s.RecordsConsumed, kept)
	for i := range f.Records {
		r := describe(f, i, reveal)
		state := "free"
		if !r.Valid {
			state = "used"
		}
		if r.Scrambled {
			state += ", scrambled"
		}
		fmt.Fprintf(w, "record %d at byte %d: %s\n", i+1, r.Offset, state)
		for _, v := range r.Variables {
			value := v.Value
			if v.Secret && !reveal {
				value = amt.Secret{}.String()
			}
			fmt.Fprintf(w, "  %-5s %-33s %s\n", fmt.Sprintf("%d/%d", v.Module, v.ID), v.Name, value)
		}
	}
	printProblems(w, "problem", s.Problems)
	printProblems(w, "note", s.Notes)
	if len(s.Problems) == 0 {
		fmt.Fprintln(w, "sound")
	} else {
		fmt.Fprintf(w, "unfit: %s\n", count(len(s.Problems), "problem"))
	}
}

// setting is a repeatable flag MODULE/VARIABLE=VALUE.
type setting struct{ vars []setupbin.Variable }

func (s *setting) String() string { return "" }

func (s *setting) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("not MODULE/VARIABLE=VALUE, such as 2/3=corp.example")
	}
	v, err := setupbin.Parse(key, value)
	if err != nil {
		return err
	}
	s.vars = append(s.vars, v)
	return nil
}

func runSetupBinWrite(e *env, args []string) (int, error) {
	fs := flags("setupbin write --version V --keys FILE.csv --out FILE [--set M/V=VALUE]... [--keep] [--scramble] [--force]")
	version := fs.String("version", "1.0", "file `version`: 1.0 for AMT 2.0 on, 2.0 for 3.0, 2.1 for 4.0, 3.0 for 6.0, or 4.0")
	keyFile := fs.String("keys", "", "key `file` with a row for each record, - is standard input; used rows are left out")
	out := fs.String("out", "", "`file` to write; only you can read it")
	var set setting
	fs.Var(&set, "set", "a further `variable` for each record, such as 2/3=corp.example (setupbin show names them)")
	keep := fs.Bool("keep", false, "records are not consumed (from 2.0 on)")
	scramble := fs.Bool("scramble", false, "store the records scrambled (4.0); it hides nothing")
	force := fs.Bool("force", false, "replace the file of --out when it holds something")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 || *keyFile == "" || *out == "" {
		return exitUsage, misuse(fs, "setupbin write takes --keys and --out, and no operand")
	}
	v, err := setupbin.ParseVersion(*version)
	if err != nil {
		return exitUsage, misuse(fs, "--version: %v", err)
	}
	raw, err := readUpTo(e, *keyFile, maxSetupBin)
	if err != nil {
		return exitUsage, &amt.Error{Op: "read key file", Subject: plain(*keyFile), Err: err}
	}
	rows, problems, err := keys.ReadCSV(bytes.NewReader(raw))
	if err != nil {
		return exitUsage, err
	}
	if len(problems) > 0 {
		printProblems(e.stderr, "amtmedic: problem", problems)
		return exitFound, &amt.Error{Op: "write setup.bin", Subject: plain(*out), Err: errors.New("the key file has problems"), Hint: "nothing was written; amend the lines above"}
	}
	f, left, err := buildSetupBin(v, rows, set.vars, setupbin.Options{Keep: *keep, Scramble: *scramble})
	if err != nil {
		return exitFound, &amt.Error{Op: "write setup.bin", Subject: plain(*out), Err: err}
	}
	bad, notes := f.Judge(amt.Version{})
	printProblems(e.stderr, "amtmedic: problem", bad)
	printProblems(e.stderr, "amtmedic: note", notes)
	if len(bad) > 0 {
		return exitFound, &amt.Error{Op: "write setup.bin", Subject: plain(*out), Err: errors.New("firmware would not take it"), Hint: "nothing was written; amend the key file or the settings"}
	}
	if err := writeSecretFile("write setup.bin", *out, *force, func(w io.Writer) error {
		_, err := w.Write(f.Bytes())
		return err
	}); err != nil {
		return exitFound, err
	}
	fmt.Fprintf(e.stderr, "amtmedic: %s in %s, %s left out because they were used; import the keys into the setup server before the clients get theirs\n",
		count(len(f.Records), "record"), plain(*out), count(left, "row"))
	return exitOK, nil
}

// buildSetupBin makes a file of the rows that were not used yet.
func buildSetupBin(v setupbin.Version, rows []keys.Row, more []setupbin.Variable, o setupbin.Options) (f *setupbin.File, left int, err error) {
	var records [][]setupbin.Variable
	for _, r := range rows {
		if r.Used {
			left++
			continue
		}
		records = append(records, setupbin.FromKeys(r, more...))
	}
	if len(records) == 0 {
		return nil, left, errors.New("the key file has no row that was not used")
	}
	f, err = setupbin.Build(v, records, o)
	return f, left, err
}
