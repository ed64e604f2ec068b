package bundle

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/flow"
)

//go:embed page
var pages embed.FS

// report is what the readable pages show; every text in it is clean.
type report struct {
	Manifest       Manifest
	Label          string
	UUID           string
	Verdict        string
	Component      string
	Confidence     string
	Sentence       string
	Change         string
	Until          string
	Next           *diag.Next
	Road           []roadStation
	Decided        []factRow
	Facts          []factRow
	Remedies       []diag.Remedy
	Further        []causeRow
	Consequences   []causeRow
	Contradictions []string
	Actions        []actionRow
}

type factRow struct{ At, From, Key, Text, Evidence string }

type causeRow struct{ ID, Sentence string }

type actionRow struct{ At, Remedy, Stage, Text string }

// newReport makes the report of a case. explain gives the sentence of a cause; it may be nil.
func newReport(m Manifest, j diag.Judgement, facts []diag.Fact, actions []flow.Action, explain func(id string) string) report {
	r := report{Manifest: m, Label: clean(m.Case.Name, 80), UUID: j.UUID, Verdict: clean(j.Verdict, 80), Component: clean(j.Component, 80),
		Confidence: string(j.Confidence), Sentence: clean(j.Sentence, 500), Change: clean(j.Change, 500), Until: stamp(m.Created), Next: j.Next, Remedies: j.Remedies}
	if r.Label == "" {
		r.Label = m.Case.ID
	}
	if r.Sentence == "" && j.Verdict == "" {
		r.Sentence = "The facts do not decide yet."
	}
	causes := func(ids []string) (out []causeRow) {
		for _, id := range ids {
			c := causeRow{ID: clean(id, 80)}
			if explain != nil {
				c.Sentence = clean(explain(id), 500)
			}
			out = append(out, c)
		}
		return out
	}
	r.Further, r.Consequences = causes(j.Further), causes(j.Consequences)
	for s, l := range j.Road {
		r.Road = append(r.Road, roadStation{diag.Station(s).String(), lightWords[l]})
	}
	for _, f := range facts {
		row := factRow{stamp(f.At), sourceOf(f), clean(f.Key, 80), Words(f.Value, 1000), clean(strings.Join(f.Evidence, ", "), 200)}
		r.Facts = append(r.Facts, row)
		if slices.Contains(j.DecidedBy, f.Key) && f.Value != diag.UnknownValue {
			r.Decided = append(r.Decided, row)
		}
	}
	for _, c := range j.Contradictions {
		var values []string
		for _, f := range c.Facts {
			values = append(values, Words(f.Value, 200)+" ("+sourceOf(f)+", "+stamp(f.At)+")")
		}
		r.Contradictions = append(r.Contradictions, clean(c.Key, 80)+": "+strings.Join(values, " against "))
	}
	for _, a := range actions {
		text := clean(a.Title, 300)
		if a.Detail != "" {
			text += ": " + clean(a.Detail, 500)
		}
		r.Actions = append(r.Actions, actionRow{stamp(a.At), clean(a.Remedy, 80), clean(a.Stage, 40), text})
	}
	return r
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// pagesOf writes README.txt, report.md and report.html.
func (r report) pagesOf() (map[string][]byte, error) {
	funcs := map[string]any{"md": markdown.Replace, "inc": func(i int) int { return i + 1 }}
	texts, err := texttemplate.New("").Funcs(funcs).ParseFS(pages, "page/README.txt", "page/report.md")
	if err != nil {
		return nil, err
	}
	html, err := htmltemplate.ParseFS(pages, "page/report.html")
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, name := range []string{ReadmeName, ReportName, ReportHTMLName} {
		var b bytes.Buffer
		var err error
		if name == ReportHTMLName {
			err = html.ExecuteTemplate(&b, name, r)
		} else {
			err = texts.ExecuteTemplate(&b, name, r)
		}
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		out[name] = b.Bytes()
	}
	return out, nil
}
