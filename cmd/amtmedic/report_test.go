package main

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"amtmedic/diag"
	"amtmedic/diag/check"
)

// reportFacts are facts files with their exit codes.
var reportFacts = []struct {
	name, lines, verdict string
	exit                 int
}{
	{"nothing known", `{"key":"client.amt_version","value":"3.2.1"}`, "", exitUndecided},
	{"a root cause", `{"key":"client.enabled","value":false}
{"key":"client.enable_kind","value":"bios-disabled"}`, "rc-amt-disabled", exitFound},
	{"hostile words", `{"key":"client.enabled","value":false}
{"key":"client.enable_kind","value":"bios-disabled"}
{"key":"case.report","value":"\u001b[2J<b>&]]> \ufffe | # \u0000"}`, "rc-amt-disabled", exitFound},
}

func factsFile(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a&b.jsonl")
	if err := os.WriteFile(path, []byte(lines+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The exit code is the same in every form, and no form writes an escape byte.
func TestExitCodeIsTheSameInEveryForm(t *testing.T) {
	for _, c := range reportFacts {
		path := factsFile(t, c.lines)
		for _, args := range [][]string{{}, {"--json"}, {"--format", "json"}, {"--format", "text"}, {"--format", "markdown"}, {"--format", "junit"}, {"--checks"}, {"--checks", "--json"}} {
			e, out, errs := testEnv(t)
			code := run(e, append([]string{"diagnose", path}, args...))
			if code != c.exit || out.String() == "" || strings.ContainsRune(out.String(), '\x1b') {
				t.Errorf("%s, %v: exit %d, want %d: %s%s", c.name, args, code, c.exit, out, errs)
			}
		}
	}
}

func TestFormatRefuses(t *testing.T) {
	path := factsFile(t, reportFacts[0].lines)
	for _, args := range [][]string{{"--format", "yaml"}, {"--format", "junit", "--json"}, {"--only", "chk-nothing"}, {"--only", "["}, {"--accept", "rc-amt-disabled"},
		{"--accept", "rc-amt-disabled="}, {"--accept", "rc-amt-disable=x"}, {"--accept", "ok-provisioned=x"}, {"--accept", "rc-no-amt=x", "--accept", "rc-no-amt=y"}} {
		e, out, errs := testEnv(t)
		if code := run(e, append([]string{"diagnose", path}, args...)); code != exitUsage || out.String() != "" || !strings.Contains(errs.String(), "hint: ") {
			t.Errorf("%v: exit %d, %s%s", args, code, out, errs)
		}
	}
}

// suiteOf reads a JUnit report back.
func suiteOf(t *testing.T, args ...string) junitSuites {
	t.Helper()
	e, out, errs := testEnv(t)
	run(e, args)
	var s junitSuites
	if err := xml.Unmarshal([]byte(out.String()), &s); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	return s
}

// One test case for each check; the fault fails, and what is unknown or skipped does not.
func TestJUnit(t *testing.T) {
	s := suiteOf(t, "diagnose", factsFile(t, reportFacts[1].lines), "--format", "junit")
	if s.Tests != len(check.Checks()) || s.Failures != 1 || len(s.Suites) != 1 || len(s.Suites[0].Cases) != s.Tests {
		t.Errorf("%d tests, %d failures in %d suites", s.Tests, s.Failures, len(s.Suites))
	}
	skipped := map[string]int{}
	for _, c := range s.Suites[0].Cases {
		switch {
		case c.Failure != nil && c.Skipped != nil:
			t.Errorf("%s failed and was skipped", c.Name)
		case c.Failure != nil && (c.Failure.Type != "rc-amt-disabled" || !strings.Contains(c.Failure.Text, "client.enabled") || !strings.HasPrefix(c.Name, "chk-enabled")):
			t.Errorf("%s: %+v", c.Name, c.Failure)
		case c.Skipped != nil:
			state, _, _ := strings.Cut(c.Skipped.Message, ":")
			skipped[state]++
		}
	}
	if skipped["skipped"] < 10 || skipped["not looked at"]+skipped["unknown"] < 1 {
		t.Errorf("states of what has no outcome: %v", skipped)
	}
	if s = suiteOf(t, "diagnose", factsFile(t, reportFacts[0].lines), "--format", "junit"); s.Failures != 0 || s.Skipped == 0 {
		t.Errorf("nothing known: %d failures, %d skipped", s.Failures, s.Skipped)
	}
}

const pythonJUnit = `
import sys, xml.etree.ElementTree as E
r = E.parse(sys.argv[1]).getroot()
assert r.tag == "testsuites", r.tag
cases = r.findall("testsuite/testcase")
assert len(cases) == int(r.get("tests")) > 0
assert len(r.findall("testsuite/testcase/failure")) == int(r.get("failures"))
assert len(r.findall("testsuite/testcase/skipped")) == int(r.get("skipped"))
assert int(r.get("errors")) == 0
assert all(c.get("name") and c.get("classname") for c in cases)
assert len(set(c.get("name") for c in cases)) == len(cases)
print("read", len(cases))
`

// A reader that is not ours takes the XML, whatever stands in the facts.
func TestJUnitForStrangers(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3 is missing")
		}
		t.Skip("needs python3")
	}
	for _, c := range reportFacts {
		e, out, _ := testEnv(t)
		run(e, []string{"diagnose", factsFile(t, c.lines), "--format", "junit"})
		path := filepath.Join(t.TempDir(), "report.xml")
		if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := exec.Command(python, "-c", pythonJUnit, path).CombinedOutput(); err != nil || !strings.HasPrefix(string(said), "read") {
			t.Errorf("%s: %v\n%s", c.name, err, said)
		}
	}
}

func TestMarkdownReport(t *testing.T) {
	e, out, _ := testEnv(t)
	run(e, []string{"diagnose", factsFile(t, reportFacts[1].lines), "--format", "markdown"})
	for _, want := range []string{"# Case a&amp;b: rc-amt-disabled", "## What decided", "client.enabled", "## What to do", "`rm-amt-disabled`", "| `chk-enabled` | broken |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
}

// readLines gives NDJSON lines.
func readCheckLines(t *testing.T, text string) (out []checkLine) {
	t.Helper()
	for line := range strings.Lines(text) {
		var l checkLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		out = append(out, l)
	}
	return out
}

func TestListChecks(t *testing.T) {
	e, out, _ := testEnv(t)
	if code := run(e, []string{"diagnose", "--list", "--json"}); code != exitOK || len(readCheckLines(t, out.String())) != len(check.Checks()) {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

func TestOnly(t *testing.T) {
	path := factsFile(t, reportFacts[1].lines)
	for _, c := range []struct {
		only []string
		n    int
		exit int
	}{
		{[]string{"--only", "chk-enabled"}, 1, exitFound},
		{[]string{"--only", "chk-dns-*"}, 2, exitUndecided},
		{[]string{"--only", "chk-dns-*", "--only", "chk-enabled"}, 3, exitFound},
	} {
		e, out, _ := testEnv(t)
		code := run(e, append([]string{"diagnose", path, "--json"}, c.only...))
		if ls := readCheckLines(t, out.String()); code != c.exit || len(ls) != c.n {
			t.Errorf("%v: exit %d, %d checks:\n%s", c.only, code, len(ls), out)
		}
	}
	e, out, _ := testEnv(t)
	code := run(e, []string{"diagnose", path, "--only", "chk-enabled", "--format", "junit"})
	if code != exitFound || strings.Count(out.String(), "<testcase") != 1 {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

// An accepted finding leaves the verdict, and is listed with its reason in every form.
func TestAccept(t *testing.T) {
	path := factsFile(t, reportFacts[1].lines)
	for _, form := range []string{"text", "json", "markdown", "junit"} {
		e, out, _ := testEnv(t)
		code := run(e, []string{"diagnose", path, "--format", form, "--accept", "rc-amt-disabled=until spring", "--accept", "rc-no-amt=not found here"})
		if code != exitUndecided || !strings.Contains(out.String(), "until spring") || strings.Contains(out.String(), "not found here") {
			t.Errorf("%s: exit %d:\n%s", form, code, out)
		}
		if form != "json" {
			continue
		}
		var v struct {
			Verdict  string
			Accepted []acceptedCause
		}
		if err := json.Unmarshal([]byte(out.String()), &v); err != nil || v.Verdict != "" || !slices.Equal(v.Accepted, []acceptedCause{{"rc-amt-disabled", "until spring"}}) {
			t.Errorf("%v, %+v", err, v)
		}
	}
}

// The lab's report follows the last verdict.
func TestLabReport(t *testing.T) {
	e, out, errs := testEnv(t)
	code := run(e, []string{"lab", "--headless", "--seed", "3", "--fault", "rc-dns-no-record", "--repair", "--format", "junit"})
	var s junitSuites
	if err := xml.Unmarshal([]byte(out.String()), &s); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	if code != exitOK || s.Failures != 0 || !strings.Contains(s.Suites[0].Out, "rc-dns-no-record") {
		t.Errorf("exit %d, %d failures:\n%s", code, s.Failures, out)
	}
}

// Two states never have one word, and a state that is no fault never fails.
func TestStateWords(t *testing.T) {
	seen := map[string]bool{"skipped": true, "accepted": true}
	for l := diag.Unlooked; l <= diag.NotJudged; l++ {
		w := stateWords[l]
		if w == "" || seen[w] {
			t.Errorf("light %d has the word %q", l, w)
		}
		seen[w] = true
	}
}
