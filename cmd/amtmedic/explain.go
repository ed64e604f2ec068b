package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/check"
)

// explainJSON is the page of one id. Fields that do not belong to its kind are left out.
type explainJSON struct {
	ID         string        `json:"id"`
	Kind       string        `json:"kind"` // symptom, check, cause or state
	Title      string        `json:"title"`
	Station    string        `json:"station,omitempty"`
	Component  string        `json:"component,omitempty"`
	Why        string        `json:"why,omitempty"`
	How        string        `json:"how,omitempty"`
	Look       string        `json:"look,omitempty"`   // what separates the causes of a symptom
	Change     string        `json:"change,omitempty"` // the fact that would change the verdict
	Evidence   []explainKey  `json:"evidence"`
	Checks     []explainLink `json:"checks"`
	Causes     []explainLink `json:"causes"`     // of a symptom or check
	Neighbours []explainLink `json:"neighbours"` // other causes that the same checks tell apart
	Symptoms   []explainLink `json:"symptoms"`
	Remedies   []diag.Remedy `json:"remedies"`
}

// explainKey is a fact that decides.
type explainKey struct {
	Key     string `json:"key"`
	Values  string `json:"values"`
	Meaning string `json:"meaning"`
}

// explainLink leads to another page.
type explainLink struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	Note string `json:"note,omitempty"` // of a cause what would change it, of a check how it is found out
}

func runExplain(e *env, args []string) (int, error) {
	fs := flags("explain ID")
	asJSON := fs.Bool("json", false, "print one JSON object")
	ops, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(ops) != 1 {
		return exitUsage, misuse(fs, "explain takes one id, %d are named", len(ops))
	}
	p, ok := explain(strings.ToLower(strings.TrimSpace(ops[0])))
	if !ok {
		hint := "ids begin with sym-, chk-, rc- or ok-"
		if near := check.Near(strings.ToLower(ops[0])); len(near) > 0 {
			hint = "near to it are " + strings.Join(near, ", ")
		}
		return exitUsage, &amt.Error{Op: "explain", Subject: plain(ops[0]), Err: errors.New("the catalogue has no such id"), Hint: hint}
	}
	if *asJSON {
		return exitOK, writeJSON(e.stdout, p)
	}
	p.print(e.stdout)
	return exitOK, nil
}

// catalogueIDs lists the ids of all causes, checks and symptoms.
func catalogueIDs() []string {
	var ids []string
	for _, c := range check.Causes() {
		ids = append(ids, c.ID)
	}
	for _, c := range check.Checks() {
		ids = append(ids, c.ID)
	}
	for _, s := range check.Symptoms() {
		ids = append(ids, s.ID)
	}
	return ids
}

// explain makes the page of an id.
func explain(id string) (explainJSON, bool) {
	p := explainJSON{ID: id, Evidence: []explainKey{}, Checks: []explainLink{}, Causes: []explainLink{}, Neighbours: []explainLink{},
		Symptoms: []explainLink{}, Remedies: []diag.Remedy{}}
	if s, ok := check.LookupSymptom(id); ok {
		p.symptom(s)
		return p, true
	}
	if c, ok := check.LookupCheck(id); ok {
		p.check(c)
		return p, true
	}
	if c, ok := check.Lookup(id); ok {
		p.cause(c)
		return p, true
	}
	return p, false
}

func (p *explainJSON) symptom(s check.Symptom) {
	p.Kind, p.Title, p.Look = "symptom", s.Text, s.Look
	p.addCauses(&p.Causes, s.Causes)
	for _, c := range check.Checks() {
		if slices.ContainsFunc(s.Causes, func(id string) bool { return slices.Contains(c.Causes, id) }) {
			p.addCheck(c)
		}
	}
}

func (p *explainJSON) check(c check.Check) {
	p.Kind, p.Title, p.Station, p.Why, p.How = "check", c.Title, c.Station.String(), c.Why, c.How
	p.addKeys(c.Needs)
	p.addCauses(&p.Causes, c.Causes)
}

func (p *explainJSON) cause(c diag.Cause) {
	p.Kind, p.Title, p.Station, p.Component, p.Change = "cause", c.Sentence, c.Station.String(), c.Component, c.Change
	if strings.HasPrefix(c.ID, "ok-") {
		p.Kind = "state"
	}
	if len(c.Remedies) > 0 {
		p.Remedies = c.Remedies
	}
	var near []string
	for _, k := range check.Checks() {
		if slices.Contains(k.Causes, c.ID) {
			p.addCheck(k)
			p.addKeys(k.Needs)
			near = append(near, k.Causes...)
		}
	}
	for _, s := range check.Symptoms() {
		if i := slices.Index(s.Causes, c.ID); i >= 0 {
			p.Symptoms = append(p.Symptoms, explainLink{s.ID, s.Text, s.Look})
			if i == 0 && len(p.Checks) == 0 { // no check of its own: those beside it in the symptom
				near = append(near, s.Causes...)
			}
		}
	}
	near = slices.DeleteFunc(near, func(id string) bool { return id == c.ID })
	p.addCauses(&p.Neighbours, near)
}

func (p *explainJSON) addCheck(c check.Check) {
	p.Checks = append(p.Checks, explainLink{c.ID, c.Title, c.How})
}

func (p *explainJSON) addCauses(to *[]explainLink, ids []string) {
	for _, id := range ids {
		c, ok := check.Lookup(id)
		if ok && !slices.ContainsFunc(*to, func(l explainLink) bool { return l.ID == id }) {
			*to = append(*to, explainLink{id, c.Sentence, c.Change})
		}
	}
}

func (p *explainJSON) addKeys(keys []string) {
	for _, name := range keys {
		k, ok := diag.Lookup(name)
		if ok && !slices.ContainsFunc(p.Evidence, func(e explainKey) bool { return e.Key == name }) {
			p.Evidence = append(p.Evidence, explainKey{name, k.Form(), k.Meaning})
		}
	}
}

// pageWidth is the width of a page in columns, that of the smallest usual terminal.
const pageWidth = 80

func (p *explainJSON) print(w io.Writer) {
	fmt.Fprintf(w, "%s (%s)\n\n", p.ID, p.Kind)
	wrapped(w, "  ", p.Title)
	facts := [][2]string{{"Station", p.Station}, {"Component", p.Component}, {"Why", p.Why}, {"How", p.How}, {"Tell apart", p.Look}, {"Would change", p.Change}}
	fmt.Fprintln(w)
	for _, f := range facts {
		if f[1] != "" {
			wrapped(w, fmt.Sprintf("  %-14s", f[0]), f[1])
		}
	}
	if len(p.Evidence) > 0 {
		fmt.Fprint(w, "\nDecisive evidence\n")
		for _, k := range p.Evidence {
			wrapped(w, "  "+k.Key+"  ", k.Meaning+" ("+k.Values+")")
		}
	}
	p.links(w, "Causes behind it", p.Causes, "would change with: ")
	p.links(w, "Found out by, in this order", p.Checks, "how: ")
	p.links(w, "Neighbours, and what tells them apart", p.Neighbours, "would change with: ")
	p.links(w, "Seen as", p.Symptoms, "tell apart: ")
	if len(p.Remedies) > 0 {
		fmt.Fprint(w, "\nWhat to do, in this order\n")
		for i, r := range p.Remedies {
			harsh := ""
			if r.Destructive {
				harsh = ", destructive"
			}
			wrapped(w, fmt.Sprintf("  %d. ", i+1), r.Text)
			fmt.Fprintf(w, "     %s, %s%s\n", r.ID, r.Kind, harsh)
		}
	}
}

func (p *explainJSON) links(w io.Writer, title string, ls []explainLink, note string) {
	if len(ls) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, l := range ls {
		wrapped(w, "  "+l.ID+"  ", l.Text)
		if l.Note != "" {
			wrapped(w, "      "+note, l.Note)
		}
	}
}

// wrapped writes text in lines of pageWidth columns, the first behind a head, the rest indented
// like the head's own indent and two columns more, or below the text of a short head.
func wrapped(w io.Writer, head, text string) {
	indent := strings.Repeat(" ", len(head))
	if len(head) > 18 {
		indent = strings.Repeat(" ", len(head)-len(strings.TrimLeft(head, " "))+4)
	}
	line, n := head, len(head)
	for _, word := range strings.Fields(text) {
		width := len([]rune(word))
		if n+width > pageWidth && strings.TrimSpace(line) != "" {
			fmt.Fprintln(w, strings.TrimRight(line, " "))
			line, n = indent, len(indent)
		}
		line, n = line+word+" ", n+width+1
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}
