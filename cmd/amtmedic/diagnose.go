package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/bundle"
)

func runDiagnose(e *env, args []string) (int, error) {
	fs := flags("diagnose [FACTS.jsonl | BUNDLE | -] [--json | --format FORM] [--checks] [--only PATTERN]... [--accept ID=REASON]... [--list] [--server HOST] [--resolver HOST[:PORT]]... [--server-resolver HOST[:PORT]]... [--suffix NAME]... [--capture [client:|server:]FILE]... [--interface NAME] [--db FILE] [--local] [--usb PATH] [--provisioning-cert FILE] [--answer KEY=VALUE]...")
	o := addReportFlags(fs)
	list := fs.Bool("list", false, "list the checks without running any")
	here := siteFlags(fs)
	operands, err := parse(fs, args)
	if err == nil {
		err = o.read()
	}
	if err != nil {
		return exitUsage, err
	}
	switch {
	case *list:
		return listChecks(e, *o.format == "json", o.want)
	case len(operands) > 1:
		return exitUsage, misuse(fs, "one facts file at a time, not %d", len(operands))
	case len(operands) == 1 && here.given():
		return exitUsage, misuse(fs, "recorded facts are judged as they are: leave out --server, --capture and the like, or leave out %s", plain(operands[0]))
	case len(operands) == 1:
		return diagnoseRecorded(e, operands[0], o)
	}
	e, end := e.guarded()
	return end(diagnoseHere(e, here, o))
}

// diagnoseRecorded judges the facts of a file or bundle and nothing else.
func diagnoseRecorded(e *env, name string, o *reportFlags) (int, error) {
	id, facts, at, err := recordedFacts(e, name)
	if err != nil {
		return exitUsage, err
	}
	j := o.judge(facts, at)
	j.Case = id
	return o.print(e.stdout, &judged{before: j, facts: facts, accepted: o.found(facts, at)})
}

// recordedFacts reads a facts file, a bundle, or standard input.
func recordedFacts(e *env, name string) (id string, facts []diag.Fact, at time.Time, err error) {
	if name != "-" && bundle.IsBundle(name) {
		r, err := bundle.Facts(name)
		if err != nil {
			return "", nil, at, err
		}
		printProblems(e.stderr, "bundle", r.Problems)
		return r.Case, r.Facts, r.Moment, nil
	}
	in := e.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", nil, at, &amt.Error{Op: "read facts", Err: err}
		}
		defer f.Close()
		in = f
	}
	facts, err = diag.ReadFacts(in)
	if err != nil {
		return "", nil, at, factsError(name, err)
	}
	id = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	if name == "-" {
		id = "stdin"
	}
	return id, facts, time.Now(), nil
}

// factsError names every line that is no fact.
func factsError(name string, err error) error {
	lines := strings.Split(err.Error(), "\n")
	for i, l := range lines {
		if _, key, ok := strings.Cut(l, ": key "); ok { // which the reason names again
			key, _, _ = strings.Cut(key, ": ")
			l = strings.Replace(l, key+": "+key+": ", key+": ", 1)
		}
		lines[i] = plain(l)
	}
	const most = 20
	if n := len(lines); n > most {
		lines = append(lines[:most], fmt.Sprintf("and %d more lines", n-most))
	}
	return &amt.Error{Op: "read facts", Subject: plain(name), Err: errors.New(strings.Join(lines, "\n  ")),
		Hint: "each line is one fact such as {\"key\":\"client.enabled\",\"value\":true}; docs/facts.md lists the keys and their values"}
}

// parseAnswer reads KEY=VALUE; VALUE is JSON where it reads as such, else text, else a list parted by
// commas.
func parseAnswer(s string) (diag.Fact, error) {
	key, text, ok := strings.Cut(s, "=")
	if !ok {
		return diag.Fact{}, fmt.Errorf("%q is not KEY=VALUE", plain(s))
	}
	k, known := diag.Lookup(key)
	if !known {
		return diag.Fact{}, fmt.Errorf("%q is no key of a fact; docs/facts.md lists them", plain(key))
	}
	list := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	tries := []any{text, list} // "3.2" reads as a number, and the key wants a text
	var value any
	if err := json.Unmarshal([]byte(text), &value); err == nil {
		tries = append([]any{value}, tries...)
	}
	var first error
	for _, v := range tries {
		f, err := diag.Make(diag.Fact{Key: key, Value: v, Probe: "person"})
		if err == nil {
			return f, nil
		}
		if first == nil {
			first = err
		}
	}
	return diag.Fact{}, fmt.Errorf("%s; it takes %s", plain(first.Error()), k.Form())
}
