package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/bundle"
	"amtmedic/diag/check"
	"amtmedic/diag/journal"
)

func runBundle(e *env, args []string) (int, error) {
	return subcommand(e, "bundle", []command{
		{"create", "write a case into one file for an escalation team", bundleCreate},
		{"show", "what a bundle holds", bundleShow},
		{"verify", "check the files of a bundle and judge its facts again", bundleVerify},
		{"open", "look at a bundle in the workstation", bundleOpen},
		{"diff", "what changed between two bundles", bundleDiff},
	}, args)
}

// bundleJSON is the object that every bundle command prints with --json.
type bundleJSON struct {
	Case        string           `json:"case"`
	Verdict     string           `json:"verdict"`
	Files       []bundle.File    `json:"files"`
	Problems    []amt.Problem    `json:"problems"`
	Fingerprint string           `json:"fingerprint"`
	Created     *time.Time       `json:"created"` // null when the manifest cannot be read
	Tool        string           `json:"tool"`
	Omitted     []bundle.Omitted `json:"omitted"`
}

func bundleCreate(e *env, args []string) (int, error) {
	fs := flags("bundle create [--case ID] FILE")
	id := fs.String("case", "", "`ID` of the case (default: the newest)")
	asJSON := fs.Bool("json", false, "print one JSON object")
	ops, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(ops) != 1 {
		return exitUsage, misuse(fs, "bundle create writes one file, %d are named", len(ops))
	}
	r, err := readCase(*id)
	if err != nil {
		return exitUsage, err
	}
	o := bundle.Options{Judge: check.Judge, Explain: causeSentence, Tool: toolInfo()}
	var s bundle.Summary
	if ops[0] == "-" {
		s, err = bundle.Create(e.ctx, e.stdout, r, o)
	} else {
		s, err = bundle.WriteFile(e.ctx, ops[0], r, o)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return exitInterrupt, err
	case err != nil:
		return exitFound, err
	}
	out := e.stdout
	if ops[0] == "-" {
		out = e.stderr
	}
	if *asJSON {
		return exitOK, writeJSON(out, bundleJSON{s.Manifest.Case.ID, s.Judgement.Verdict, s.Manifest.Files, []amt.Problem{}, s.Fingerprint,
			&s.Manifest.Created, toolWords(s.Manifest.Tool), s.Manifest.Omitted})
	}
	fmt.Fprintf(out, "case         %s\nverdict      %s\nwritten      %s, %d bytes, %d files\n", caseWords(s.Manifest.Case), verdictWord(s.Judgement.Verdict),
		plain(ops[0]), s.Bytes, len(s.Manifest.Files)+1)
	printOmitted(out, s.Manifest.Omitted)
	for _, h := range s.Redactions {
		fmt.Fprintf(out, "hidden       %d in %s by the rule %s\n", h.Count, h.File, h.Rule)
	}
	fmt.Fprintf(out, "fingerprint  %s\n", s.Fingerprint)
	return exitOK, nil
}

// readCase reads a case, or the newest one when no id is given.
func readCase(id string) (*journal.Record, error) {
	dir, err := journal.Dir()
	if err != nil {
		return nil, err
	}
	if id == "" {
		if id, err = journal.Newest(dir); err != nil {
			return nil, err
		}
		if id == "" {
			return nil, &amt.Error{Op: "read case", Subject: dir, Err: errors.New("there is no case yet"), Hint: "amtmedic diagnose and amtmedic lab make one"}
		}
	}
	return journal.Read(dir, id)
}

func bundleShow(e *env, args []string) (int, error) { return bundleRead(e, "show", args, false) }

func bundleVerify(e *env, args []string) (int, error) { return bundleRead(e, "verify", args, true) }

// bundleRead is show and verify: verify judges the facts again.
func bundleRead(e *env, name string, args []string, judge bool) (int, error) {
	fs := flags("bundle " + name + " FILE")
	asJSON := fs.Bool("json", false, "print one JSON object")
	ops, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(ops) != 1 {
		return exitUsage, misuse(fs, "bundle %s reads one file, %d are named", name, len(ops))
	}
	b, err := bundle.OpenFile(ops[0])
	if err != nil {
		return exitUsage, err
	}
	problems := b.Problems
	if judge {
		problems = b.Verify(check.Judge)
	}
	code := exitOK
	if len(problems) > 0 {
		code = exitFound
	}
	if *asJSON {
		return code, writeJSON(e.stdout, bundleObject(b, problems))
	}
	m := b.Manifest
	fmt.Fprintf(e.stdout, "case         %s\nverdict      %s\ncreated      %s by %s\n", caseWords(m.Case), verdictWord(b.Verdict), m.Created.UTC().Format(time.RFC3339), toolWords(m.Tool))
	if !judge {
		for _, f := range m.Files {
			fmt.Fprintf(e.stdout, "  %10d  %-10s %s\n", f.Bytes, plain(f.Kind), plain(f.Path))
		}
		printOmitted(e.stdout, m.Omitted)
	}
	fmt.Fprintf(e.stdout, "fingerprint  %s\n", b.Fingerprint)
	printProblems(e.stdout, "problem", problems)
	if judge && code == exitOK {
		fmt.Fprintf(e.stdout, "sound: %d files as written, and the facts give the same verdict\n", len(m.Files)+1)
	} else if code != exitOK {
		fmt.Fprintf(e.stdout, "unfit: %s\n", count(len(problems), "problem"))
	}
	return code, nil
}

func bundleObject(b *bundle.Bundle, problems []amt.Problem) bundleJSON {
	o := bundleJSON{Case: b.Manifest.Case.ID, Verdict: b.Verdict, Files: b.Manifest.Files, Problems: problems, Fingerprint: b.Fingerprint,
		Tool: toolWords(b.Manifest.Tool), Omitted: b.Manifest.Omitted}
	if !b.Manifest.Created.IsZero() {
		o.Created = &b.Manifest.Created
	}
	return o
}

// bundleDiffJSON is what bundle diff prints: the fields of the second bundle, and what changed.
type bundleDiffJSON struct {
	bundleJSON
	Before  bundleSide    `json:"before"`
	After   bundleSide    `json:"after"`
	Added   []diag.Fact   `json:"added"`
	Removed []diag.Fact   `json:"removed"`
	Changed []bundle.Pair `json:"changed"`
}

type bundleSide struct {
	Case    string `json:"case"`
	Verdict string `json:"verdict"`
}

func bundleDiff(e *env, args []string) (int, error) {
	fs := flags("bundle diff A B")
	asJSON := fs.Bool("json", false, "print one JSON object")
	ops, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(ops) != 2 {
		return exitUsage, misuse(fs, "bundle diff compares two files, %d are named", len(ops))
	}
	var two [2]*bundle.Bundle
	problems := []amt.Problem{}
	for i, name := range ops {
		if two[i], err = bundle.OpenFile(name); err != nil {
			return exitUsage, err
		}
		for _, p := range two[i].Problems {
			p.Where = name + ": " + p.Where
			problems = append(problems, p)
		}
	}
	code := exitOK
	if len(problems) > 0 {
		code = exitFound
	}
	d := bundle.Diff(two[0], two[1])
	side := func(b *bundle.Bundle) bundleSide { return bundleSide{b.Manifest.Case.ID, b.Verdict} }
	if *asJSON {
		return code, writeJSON(e.stdout, bundleDiffJSON{bundleObject(two[1], problems), side(two[0]), side(two[1]), d.Added, d.Removed, d.Changed})
	}
	printDiff(e.stdout, two, d)
	printProblems(e.stdout, "problem", problems)
	return code, nil
}

func printDiff(w io.Writer, two [2]*bundle.Bundle, d bundle.Difference) {
	for i, word := range []string{"before", "after"} {
		fmt.Fprintf(w, "%-8s %s  %s\n", word, verdictWord(two[i].Verdict), caseWords(two[i].Manifest.Case))
	}
	line := func(sign string, f diag.Fact, text string) {
		from := string(f.Vantage)
		if from == "" {
			from = "-"
		}
		fmt.Fprintf(w, "%s %-28s %-7s %s\n", sign, plain(f.Key), from, text)
	}
	const room = 160
	for _, f := range d.Removed {
		line("-", f, bundle.Words(f.Value, room))
	}
	for _, f := range d.Added {
		line("+", f, bundle.Words(f.Value, room))
	}
	for _, p := range d.Changed {
		line("~", p.After, bundle.Words(p.Before.Value, room)+" -> "+bundle.Words(p.After.Value, room))
	}
	fmt.Fprintf(w, "%d added, %d removed, %d changed\n", len(d.Added), len(d.Removed), len(d.Changed))
}

func printOmitted(w io.Writer, os []bundle.Omitted) {
	for _, o := range os {
		fmt.Fprintf(w, "left out     %s: %s\n", plain(o.What), plain(o.Why))
	}
}

func verdictWord(id string) string {
	if id == "" {
		return "undecided"
	}
	return id
}

func caseWords(c bundle.CaseInfo) string {
	if c.Name != "" {
		return plain(c.ID) + " (" + plain(c.Name) + ")"
	}
	return plain(c.ID)
}

func toolWords(t bundle.Tool) string { return strings.TrimSpace(t.Name + " " + t.Version) }

// causeSentence gives the sentence of a cause of the catalogue.
func causeSentence(id string) string {
	c, _ := check.Lookup(id)
	return c.Sentence
}

// toolInfo names this program in a bundle.
func toolInfo() bundle.Tool {
	t := bundle.Tool{Name: "amtmedic", Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, s := range bi.Settings {
			if s.Key == "vcs.revision" {
				t.Commit = s.Value
			}
		}
	}
	return t
}
