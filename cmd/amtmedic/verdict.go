package main

import (
	"fmt"
	"io"
	"strings"

	"amtmedic/diag"
	"amtmedic/diag/check"
)

// printVerdict writes a judgement as text. Its last line names the verdict's id.
func printVerdict(w io.Writer, j *diag.Judgement, facts []diag.Fact) {
	fmt.Fprintln(w, roadLine(j))
	if j.UUID != "" {
		fmt.Fprintf(w, "client        %s\n", j.UUID)
	}
	if j.Sentence != "" {
		fmt.Fprintf(w, "verdict       %s\n", j.Sentence)
	}
	for i, k := range j.DecidedBy {
		fmt.Fprintf(w, "%-13s %s\n", first(i, "decided by"), evidenceLine(k, append(facts, j.Derived...)))
	}
	for i, c := range j.Contradictions {
		fmt.Fprintf(w, "%-13s %s\n", first(i, "contradiction"), contradictionLine(c))
	}
	list(w, "because of it", j.Consequences)
	list(w, "further", j.Further)
	if j.Change != "" {
		fmt.Fprintf(w, "would change  %s\n", j.Change)
	}
	for i, r := range j.Remedies {
		how := map[bool]string{true: "automatic", false: "by hand"}[r.Kind == "automatic"]
		if r.Destructive {
			how += ", destructive"
		}
		fmt.Fprintf(w, "%-13s %d  %s (%s)\n", first(i, "what to do"), i+1, plain(r.Text), how)
	}
	list(w, "would fit", j.Possible)
	if j.Next != nil {
		fmt.Fprintf(w, "next          %s (%s)\n", j.Next.Text, j.Next.ID)
	} else if j.Confidence == diag.Likely && len(j.Wanted) > 0 {
		fmt.Fprintf(w, "to be sure    %s\n", strings.Join(j.Wanted[:min(4, len(j.Wanted))], ", "))
	}
	fmt.Fprintln(w, closingLine(j))
}

// closingLine is the one line that says how it ended.
func closingLine(j *diag.Judgement) string {
	if j.Verdict == "" {
		return "undecided: more has to be known"
	}
	parts := []string{j.Verdict}
	if j.Component != "" {
		parts = append(parts, j.Component)
	}
	return strings.Join(append(parts, string(j.Confidence)), " · ")
}

func first(i int, word string) string {
	if i == 0 {
		return word
	}
	return ""
}

func list(w io.Writer, word string, ids []string) {
	for i, id := range ids {
		c, _ := check.Lookup(id)
		fmt.Fprintf(w, "%-13s %s (%s)\n", first(i, word), c.Sentence, id)
	}
}

var roadMark = map[diag.Light]string{diag.Good: "+", diag.Broken: "x", diag.Busy: "o", diag.Unknown: "?", diag.NotApplicable: "-",
	diag.Contradicted: "!", diag.Suspect: "?", diag.Unlooked: ".", diag.NotJudged: "."}

// roadLine is the road in one line of plain characters.
func roadLine(j *diag.Judgement) string {
	var parts []string
	for st := range j.Road {
		parts = append(parts, roadMark[j.Road[st]]+" "+diag.Station(st).String())
	}
	return strings.Join(parts, "  ")
}

func contradictionLine(c diag.Contradiction) string {
	var vs []string
	for _, f := range c.Facts {
		vs = append(vs, valueText(f.Value))
	}
	return c.Key + ": " + strings.Join(vs, " and ")
}

// evidenceLine shows the latest fact of a key: vantage, value, where from, when.
func evidenceLine(key string, facts []diag.Fact) string {
	var f diag.Fact
	for _, g := range facts {
		if g.Key == key && g.Value != diag.UnknownValue && !g.At.Before(f.At) {
			f = g
		}
	}
	s := fmt.Sprintf("%-7s %s  %s", f.Vantage, key, valueText(f.Value))
	if !f.At.IsZero() {
		s += "  " + f.At.Format("15:04:05")
	}
	if f.Probe != "" {
		s += "  by " + plain(f.Probe)
	}
	if len(f.Evidence) > 0 {
		s += "  in " + plain(strings.Join(f.Evidence, ", "))
	}
	return s
}

func valueText(v any) string {
	var b strings.Builder
	if err := writeJSON(&b, v); err != nil {
		return fmt.Sprint(v)
	}
	s := plain(strings.Trim(strings.TrimSpace(b.String()), `"`))
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return s
}
