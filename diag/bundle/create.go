package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/journal"
)

// DefaultLimit is how many bytes of evidence a bundle takes: issue trackers take 25 MB.
const DefaultLimit = 20 << 20

// Options say how a bundle is made. Judge is needed.
type Options struct {
	Judge   Judge
	Explain func(id string) string // sentence of a cause, for the reports; may be nil
	Tool    Tool
	Secrets []amt.Secret // values that must not appear, besides what looks like a secret
	Limit   int64        // bytes of evidence; 0 means DefaultLimit
}

// Summary says what was written.
type Summary struct {
	Manifest    Manifest
	Judgement   diag.Judgement
	Redactions  []Redaction
	Fingerprint string
	Bytes       int64
}

// content is a case as it goes into the bundle: secrets hidden, derived facts added.
type content struct {
	facts      []diag.Fact
	actions    []flow.Action
	log        []byte
	redactions []Redaction
	judgement  diag.Judgement
	moment     time.Time
}

// Create writes the bundle of a case. It fails when hiding secrets would change the verdict, or
// when something secret would remain.
func Create(ctx context.Context, w io.Writer, r *journal.Record, o Options) (Summary, error) {
	g := newGuard(o.Secrets)
	c, err := gather(r, o.Judge, g)
	if err != nil {
		return Summary{}, err
	}
	limit := o.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	captures, omitted, err := readCaptures(r.Wire, limit, g)
	if err != nil {
		return Summary{}, err
	}
	for _, d := range r.Damage {
		omitted = append(omitted, Omitted{"line of the case", string(g.hide([]byte(clean(d, 200)), map[string]int{}))})
	}
	m := manifestOf(r.Info, c, o.Tool, limit)
	m.Omitted = omitted
	members, err := membersOf(m, c, o.Explain)
	if err != nil {
		return Summary{}, err
	}
	cut := map[string]bool{}
	for _, k := range captures {
		members[k.name], cut[k.name] = k.bytes, k.cut
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if len(g.find(members[name])) > 0 {
			return Summary{}, fmt.Errorf("write bundle: %s would hold what looks like a secret", name)
		}
		sum := sha256.Sum256(members[name])
		m.Files = append(m.Files, File{name, int64(len(members[name])), hex.EncodeToString(sum[:]), kindOf(name), sideOf(name), cut[name]})
	}
	index, err := indented(m)
	if err != nil {
		return Summary{}, err
	}
	if len(g.find(index)) > 0 {
		return Summary{}, errors.New("write bundle: the name of the case looks like a secret")
	}
	n, err := writeZip(ctx, w, members, index, m.Created)
	return Summary{m, c.judgement, c.redactions, Fingerprint(index), n}, err
}

// gather hides secrets in a case, judges it, and makes sure that hiding changed nothing.
func gather(r *journal.Record, judge Judge, g guard) (*content, error) {
	c := &content{moment: momentOf(r), redactions: []Redaction{}}
	hide := func(file string, b []byte) []byte {
		count := map[string]int{}
		b = g.hide(b, count)
		c.count(file, count)
		return b
	}
	raw, err := factLines(r.Facts, func(count map[string]int) { c.count(FactsName, count) })
	if err != nil {
		return nil, fmt.Errorf("write facts: %w", err)
	}
	if c.facts, err = diag.ReadFacts(bytes.NewReader(hide(FactsName, raw))); err != nil {
		return nil, fmt.Errorf("write facts: hiding secrets left no valid fact: %w", err)
	}
	for _, a := range r.Actions {
		line, err := jsonLine(a)
		if err != nil {
			return nil, fmt.Errorf("write actions: %w", err)
		}
		if err := json.Unmarshal(hide(ActionsName, line), &a); err != nil {
			return nil, fmt.Errorf("write actions: %w", err)
		}
		c.actions = append(c.actions, a)
	}
	c.log = hide(LogName, cleanLog(r.Log))
	before := judge(observed(r.Facts), c.moment)
	for _, f := range before.Derived {
		if !slices.ContainsFunc(c.facts, func(g diag.Fact) bool {
			return g.Key == f.Key && reflect.DeepEqual(g.Value, f.Value) && g.At.Equal(f.At)
		}) {
			f.At = f.At.UTC()
			c.facts = append(c.facts, f)
		}
	}
	c.judgement = judge(observed(c.facts), c.moment)
	before.Case, c.judgement.Case = r.Info.ID, r.Info.ID
	if d := differences(before, c.judgement); len(d) > 0 {
		return nil, &amt.Error{Op: "write bundle", Subject: r.Info.ID, Hint: "take the secret out of what was typed in, then write the bundle again",
			Err: fmt.Errorf("the facts as they would be written give another verdict (%v)", d)}
	}
	return c, nil
}

func (c *content) count(file string, byRule map[string]int) {
	for _, rule := range slices.Sorted(maps.Keys(byRule)) {
		c.redactions = append(c.redactions, Redaction{rule, file, byRule[rule]})
	}
}

// momentOf is the latest moment that the case tells of: the same case gives the same bundle.
func momentOf(r *journal.Record) time.Time {
	at := r.Info.Created
	for _, f := range r.Facts {
		if f.At.After(at) {
			at = f.At
		}
	}
	for _, a := range r.Actions {
		if a.At.After(at) {
			at = a.At
		}
	}
	return at.UTC().Truncate(time.Second)
}

func factLines(facts []diag.Fact, counted func(map[string]int)) ([]byte, error) {
	var out bytes.Buffer
	count := map[string]int{}
	for _, f := range facts {
		f.Value = hideFields(f.Value, count)
		line, err := jsonLine(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Key, err)
		}
		out.Write(line)
	}
	counted(count)
	return out.Bytes(), nil
}

func manifestOf(i journal.Info, c *content, tool Tool, limit int64) Manifest {
	m := Manifest{Format: Format, Created: c.moment, Tool: tool, Profile: "internal", Clocks: clocksOf(c.facts), Files: []File{}, Limits: Limits{limit},
		Case: CaseInfo{ID: i.ID, Name: clean(i.Name, 80), Created: i.Created, Symptoms: []string{}, Practice: i.Practice}}
	for _, f := range c.facts {
		if s, ok := f.Value.(string); ok && f.Key == "case.symptom" && s != diag.UnknownValue && !slices.Contains(m.Case.Symptoms, s) {
			m.Case.Symptoms = append(m.Case.Symptoms, s)
		}
		if f.At.IsZero() {
			continue
		}
		if m.Window.From.IsZero() || f.At.Before(m.Window.From) {
			m.Window.From = f.At
		}
		if f.At.After(m.Window.To) {
			m.Window.To = f.At
		}
	}
	return m
}

// membersOf makes every member but captures and manifest.
func membersOf(m Manifest, c *content, explain func(string) string) (map[string][]byte, error) {
	members, err := newReport(m, c.judgement, c.facts, c.actions, explain).pagesOf()
	if err != nil {
		return nil, err
	}
	if members[VerdictName], err = verdictJSON(c.judgement); err != nil {
		return nil, err
	}
	if members[RedactionsName], err = indented(c.redactions); err != nil {
		return nil, err
	}
	members[LogName] = c.log
	for name, values := range map[string][]any{FactsName: anys(c.facts), ActionsName: anys(c.actions), TimelineName: anys(timeline(c.facts, c.actions, m.Clocks))} {
		var all []byte
		for _, v := range values {
			line, err := jsonLine(v)
			if err != nil {
				return nil, err
			}
			all = append(all, line...)
		}
		members[name] = all
	}
	return members, nil
}

func anys[T any](l []T) []any {
	out := make([]any, len(l))
	for i, v := range l {
		out[i] = v
	}
	return out
}

func jsonLine(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// cleanLog makes the log harmless line by line.
func cleanLog(b []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(b) {
		out.WriteString(clean(string(line), 2000) + "\n")
	}
	return out.Bytes()
}
