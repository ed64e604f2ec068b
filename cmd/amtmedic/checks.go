package main

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/check"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
)

// checkLine is one check with its outcome, as every report shows it.
type checkLine struct {
	ID      string   `json:"id"`
	Station string   `json:"station"`
	State   string   `json:"state"` // stateWords, skipped, accepted
	Title   string   `json:"title"`
	Causes  []string `json:"causes"` // proven or likely ones that it names
	Why     string   `json:"why"`    // of every state but good and broken
	fault   bool     // one of the causes is the verdict or a further fault
	open    bool     // its question has no answer
}

// stateWords are the states of a check, as in verdict.json of a bundle.
var stateWords = map[diag.Light]string{diag.Unlooked: "not looked at", diag.Good: "good", diag.Broken: "broken", diag.Busy: "in progress",
	diag.Unknown: "unknown", diag.NotApplicable: "not applicable", diag.Contradicted: "contradicted", diag.Suspect: "suspect", diag.NotJudged: "not judged"}

// checkLines gives the outcome of each check that is asked for.
func checkLines(j *diag.Judgement, accepted []acceptedCause, want func(id string) bool) []checkLine {
	var out []checkLine
	root, broken := check.Lookup(j.Verdict)
	broken = broken && !j.Healthy()
	for _, r := range j.Checks {
		if !want(r.Check) {
			continue
		}
		c, _ := check.LookupCheck(r.Check)
		l := checkLine{ID: r.Check, Station: r.Station.String(), State: stateWords[r.Light], Title: c.Title, Causes: []string{}}
		for _, n := range r.Causes {
			if n.Confidence != diag.Possible {
				l.Causes = append(l.Causes, n.ID)
				l.fault = l.fault || n.ID == j.Verdict || slices.Contains(j.Further, n.ID)
			}
		}
		l.open = r.Light == diag.Unknown || r.Light == diag.Unlooked || r.Light == diag.Contradicted
		switch {
		case l.open && broken && r.Station > root.Station:
			l.State, l.Why = "skipped", j.Verdict+" stands before it"
		case r.Light == diag.Contradicted:
			l.Why = "facts contradict each other"
		case l.open && len(r.Missing) > 0:
			l.Why = "needs " + strings.Join(r.Missing, ", ")
		case r.Light == diag.Suspect && !l.fault && len(l.Causes) > 0:
			l.Why = "explained by " + j.Verdict
		case r.Light == diag.Suspect && !l.fault:
			l.Why = "a cause is possible, no more"
		case r.Light == diag.NotApplicable:
			l.acceptedBy(c, accepted)
		}
		out = append(out, l)
	}
	return out
}

// acceptedBy marks a check whose finding the site accepts.
func (l *checkLine) acceptedBy(c check.Check, accepted []acceptedCause) {
	l.Why = "not on this client's road"
	for _, a := range accepted {
		if slices.Contains(c.Causes, a.ID) {
			l.State, l.Why = "accepted", a.ID+": "+a.Reason
		}
	}
}

// linesCode is the exit code of some checks alone.
func linesCode(lines []checkLine) int {
	code := exitOK
	for _, l := range lines {
		if l.fault {
			return exitFound
		}
		if l.open {
			code = exitUndecided
		}
	}
	return code
}

// printChecks writes the table, or NDJSON.
func printChecks(w io.Writer, lines []checkLine, asJSON bool) error {
	for _, l := range lines {
		if asJSON {
			if err := writeJSON(w, l); err != nil {
				return err
			}
			continue
		}
		why := l.Why
		if l.fault {
			why = strings.Join(l.Causes, ", ")
		}
		if why != "" {
			why = "  (" + plain(why) + ")"
		}
		if _, err := fmt.Fprintf(w, "%-20s %-14s %s%s\n", l.ID, l.State, l.Title, why); err != nil {
			return err
		}
	}
	return nil
}

// listChecks lists the checks without running any.
func listChecks(e *env, asJSON bool, want func(id string) bool) (int, error) {
	for _, c := range check.Checks() {
		if !want(c.ID) {
			continue
		}
		var err error
		if asJSON {
			err = writeJSON(e.stdout, checkLine{ID: c.ID, Station: c.Station.String(), State: stateWords[diag.Unlooked], Title: c.Title, Causes: []string{}})
		} else {
			_, err = fmt.Fprintf(e.stdout, "%-20s %-12s %s\n", c.ID, c.Station, c.Title)
		}
		if err != nil {
			return exitFault, err
		}
	}
	return exitOK, nil
}

// checkPattern reads --only: ids of checks, or patterns with * and ?.
func checkPattern(patterns []string) (func(id string) bool, error) {
	if len(patterns) == 0 {
		return func(string) bool { return true }, nil
	}
	want := func(id string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { ok, err := path.Match(p, id); return err == nil && ok })
	}
	for _, p := range patterns {
		one, err := path.Match(p, "")
		if err != nil {
			return nil, &amt.Error{Op: "read --only", Subject: plain(p), Err: err, Hint: "for example --only 'chk-dns-*'"}
		}
		for _, c := range check.Checks() {
			if ok, _ := path.Match(p, c.ID); ok {
				one = true
			}
		}
		if !one {
			hint := "amtmedic diagnose --list names every check"
			if near := check.Near(p); len(near) > 0 {
				hint = "near to it are " + strings.Join(near, ", ")
			}
			return nil, &amt.Error{Op: "read --only", Subject: plain(p), Err: errors.New("no check has this id"), Hint: hint}
		}
	}
	return want, nil
}

// onlyWorld is a world in which only what serves some checks is measured and asked.
type onlyWorld struct {
	flow.World
	want func(check string) bool
}

// Probes lists those of the checks.
func (w onlyWorld) Probes(v *diag.View) []probe.Probe {
	return slices.DeleteFunc(w.World.Probes(v), func(p probe.Probe) bool { return !w.want(p.Check) })
}

// Questions lists those of the checks.
func (w onlyWorld) Questions(v *diag.View) []probe.Question {
	return slices.DeleteFunc(w.World.Questions(v), func(q probe.Question) bool { return !w.want(q.Check) })
}

// acceptedCause is a finding that the site lives with.
type acceptedCause struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// readAccepted reads --accept ID=REASON.
func readAccepted(list []string) ([]acceptedCause, error) {
	var out []acceptedCause
	for _, s := range list {
		id, reason, _ := strings.Cut(s, "=")
		id, reason = strings.TrimSpace(id), strings.TrimSpace(reason)
		fail := func(text, hint string) error {
			return &amt.Error{Op: "read --accept", Subject: plain(s), Err: errors.New(text), Hint: hint}
		}
		if _, known := check.Lookup(id); !known || !strings.HasPrefix(id, "rc-") {
			hint := "causes begin with rc-"
			if near := check.Near(id); len(near) > 0 {
				hint = "near to it are " + strings.Join(near, ", ")
			}
			return nil, fail("there is no such cause", hint)
		}
		if reason == "" {
			return nil, fail("the reason is missing", "for example --accept "+id+"='agreed with the site until spring'")
		}
		if slices.ContainsFunc(out, func(a acceptedCause) bool { return a.ID == id }) {
			return nil, fail("it is accepted twice", "one reason for each cause")
		}
		out = append(out, acceptedCause{id, reason})
	}
	return out, nil
}
