package main

import (
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/check"
)

// reportFlags say how a judgement is told, and what of it.
type reportFlags struct {
	fs             *flag.FlagSet
	format         *string
	asJSON, checks *bool
	only, accept   texts

	want     func(check string) bool
	accepted []acceptedCause
}

// formats are the forms of a report.
var formats = []string{"text", "json", "markdown", "junit"}

func addFormatFlags(fs *flag.FlagSet) *reportFlags {
	return &reportFlags{fs: fs, asJSON: fs.Bool("json", false, "print the verdict object; the same as --format json"),
		format: fs.String("format", "text", "text, json, markdown or junit")}
}

func addReportFlags(fs *flag.FlagSet) *reportFlags {
	o := addFormatFlags(fs)
	o.checks = fs.Bool("checks", false, "print a table of the checks and their states instead of the verdict")
	fs.Var(&o.only, "only", "only the checks whose id is `PATTERN`, such as 'chk-dns-*' (repeatable)")
	fs.Var(&o.accept, "accept", "leave a known finding out of the verdict, `ID=REASON` (repeatable)")
	return o
}

// read checks what the flags say.
func (o *reportFlags) read() (err error) {
	if !slices.Contains(formats, *o.format) {
		return misuse(o.fs, "there is no format %q; there are %s", plain(*o.format), strings.Join(formats, ", "))
	}
	if *o.asJSON {
		given := false
		o.fs.Visit(func(f *flag.Flag) { given = given || f.Name == "format" })
		if given && *o.format != "json" {
			return misuse(o.fs, "--json and --format %s contradict each other", *o.format)
		}
		*o.format = "json"
	}
	if o.want, err = checkPattern(o.only); err != nil {
		return err
	}
	o.accepted, err = readAccepted(o.accept)
	return err
}

// table reports whether the checks are asked for, not the verdict.
func (o *reportFlags) table() bool { return o.checks != nil && *o.checks || len(o.only) > 0 }

// judge judges with what the site accepts.
func (o *reportFlags) judge(facts []diag.Fact, at time.Time) diag.Judgement {
	if len(o.accepted) == 0 {
		return check.Judge(facts, at)
	}
	var ids []string
	for _, a := range o.accepted {
		ids = append(ids, a.ID)
	}
	j, _ := check.JudgeAccepting(facts, at, ids)
	return j
}

// found gives those of the accepted causes that the facts show.
func (o *reportFlags) found(facts []diag.Fact, at time.Time) []acceptedCause {
	var ids []string
	for _, a := range o.accepted {
		ids = append(ids, a.ID)
	}
	_, found := check.JudgeAccepting(facts, at, ids)
	return slices.DeleteFunc(slices.Clone(o.accepted), func(a acceptedCause) bool { return !slices.Contains(found, a.ID) })
}

// judged is what a report tells.
type judged struct {
	lead     string // a line before the text: which practice world
	before   diag.Judgement
	facts    []diag.Fact
	accepted []acceptedCause
	after    *diag.Judgement // after a repair
	later    []diag.Fact     // the facts then
	repairs  []string        // what was done, a line each
}

// verdictObject is the verdict object with what stands beside it.
type verdictObject struct {
	*diag.Judgement
	Accepted []acceptedCause `json:"accepted,omitempty"`
	After    *diag.Judgement `json:"after,omitempty"`
}

// code is the exit code of a report, the same in every form.
func (o *reportFlags) code(r *judged) int {
	last := &r.before
	if r.after != nil {
		last = r.after
	}
	if len(o.only) > 0 {
		return linesCode(checkLines(last, r.accepted, o.want))
	}
	return last.ExitCode()
}

// print writes a report in the form that was asked for, and gives its exit code.
func (o *reportFlags) print(w io.Writer, r *judged) (int, error) {
	if o.want == nil {
		o.want = func(string) bool { return true }
	}
	var err error
	switch {
	case *o.format == "junit":
		err = o.printJUnit(w, r)
	case *o.format == "markdown":
		err = o.printMarkdown(w, r)
	case o.table():
		err = printChecks(w, checkLines(&r.before, r.accepted, o.want), *o.format == "json")
	case *o.format == "json":
		err = writeJSON(w, verdictObject{&r.before, r.accepted, r.after})
	default:
		printText(w, r)
	}
	if err != nil {
		return exitFault, err
	}
	return o.code(r), nil
}

func printText(w io.Writer, r *judged) {
	if r.lead != "" {
		fmt.Fprintln(w, r.lead)
	}
	for _, a := range r.accepted {
		fmt.Fprintf(w, "%-13s %s: %s\n", "accepted", a.ID, plain(a.Reason))
	}
	printVerdict(w, &r.before, r.facts)
	if r.after == nil {
		return
	}
	for _, a := range r.repairs {
		fmt.Fprintln(w, a)
	}
	fmt.Fprintln(w, "\nafter the repair")
	printVerdict(w, r.after, r.later)
}

// The elements of a JUnit report, as build servers read them.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string       `xml:"name,attr"`
		Tests      int          `xml:"tests,attr"`
		Failures   int          `xml:"failures,attr"`
		Errors     int          `xml:"errors,attr"`
		Skipped    int          `xml:"skipped,attr"`
		Properties []junitValue `xml:"properties>property"`
		Cases      []junitCase  `xml:"testcase"`
		Out        string       `xml:"system-out,omitempty"`
	}
	junitValue struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitOutcome `xml:"failure"`
		Skipped *junitOutcome `xml:"skipped"`
	}
	junitOutcome struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// printJUnit writes one test case for each check. A check without an answer, one that does not
// apply, and one that was skipped are skipped there, each with its reason; only faults are failures.
func (o *reportFlags) printJUnit(w io.Writer, r *judged) error {
	all := junitSuites{Name: "amtmedic"}
	add := func(name string, j *diag.Judgement, facts []diag.Fact) {
		s := o.suite(name, j, facts, r.accepted)
		all.Tests, all.Failures, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Skipped+s.Skipped
		all.Suites = append(all.Suites, s)
	}
	name := "case " + plain(r.before.Case)
	if r.after == nil {
		add(name, &r.before, r.facts)
	} else { // what was found before a repair is told; the outcome is that of the second look
		add(name+" after the repair", r.after, r.later)
		var b strings.Builder
		printText(&b, &judged{before: r.before, facts: r.facts, accepted: r.accepted})
		all.Suites[0].Out = b.String() + strings.Join(r.repairs, "\n") + "\n"
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (o *reportFlags) suite(name string, j *diag.Judgement, facts []diag.Fact, accepted []acceptedCause) junitSuite {
	s := junitSuite{Name: name, Properties: []junitValue{{"verdict", j.Verdict}, {"confidence", string(j.Confidence)}, {"uuid", j.UUID}}}
	for _, l := range checkLines(j, accepted, o.want) {
		c := junitCase{Class: "amtmedic." + l.Station, Name: l.ID + ": " + l.Title}
		switch {
		case l.fault:
			c.Failure = failure(j, facts, l)
			s.Failures++
		case l.State != stateWords[diag.Good]:
			c.Skipped = &junitOutcome{Message: plain(strings.TrimSuffix(l.State+": "+l.Why, ": "))}
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	s.Tests = len(s.Cases)
	return s
}

// failure tells the cause that a check names, with the facts that decided and what to do.
func failure(j *diag.Judgement, facts []diag.Fact, l checkLine) *junitOutcome {
	id := l.Causes[0]
	for _, c := range l.Causes {
		if c == j.Verdict || slices.Contains(j.Further, c) && id != j.Verdict {
			id = c
		}
	}
	f := &junitOutcome{Message: titleOf(id), Type: id}
	if id != j.Verdict {
		f.Text = "A further fault, beside " + j.Verdict + "."
		return f
	}
	var b strings.Builder
	for _, k := range j.DecidedBy {
		fmt.Fprintln(&b, evidenceLine(k, append(facts, j.Derived...)))
	}
	for i, rm := range j.Remedies {
		fmt.Fprintf(&b, "remedy %d: %s (%s)\n", i+1, plain(rm.Text), rm.ID)
	}
	f.Text = b.String()
	return f
}
