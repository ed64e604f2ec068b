package page

import (
	"maps"
	"slices"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
	"amtmedic/diag/remedy"
	"amtmedic/tui/part/text"
)

// Clean gives a copy of a snapshot in which no text carries control characters. Everything that a
// page draws has come through here: names from the network, packets and logs are foreign text.
func Clean(s flow.Snapshot) flow.Snapshot { return Rewrite(text.Clean).Snapshot(s) }

// Rewrite changes every text that a page draws, and nothing that goes back to the walk.
type Rewrite func(string) string

// Snapshot gives a rewritten copy.
func (f Rewrite) Snapshot(s flow.Snapshot) flow.Snapshot {
	s.World, s.CaseID, s.Notice = f(s.World), f(s.CaseID), f(s.Notice)
	s.Judgement = f.judgement(s.Judgement)
	s.Step = f.step(s.Step)
	s.Facts = f.facts(s.Facts)
	s.Client = f.texts(s.Client)
	s.Skipped = f.texts(s.Skipped)
	s.Problems = f.texts(s.Problems)
	if s.Provisioning != nil {
		p := f.progress(*s.Provisioning)
		s.Provisioning = &p
	}
	s.Actions = slices.Clone(s.Actions)
	for i, a := range s.Actions {
		a.Remedy, a.Stage, a.Title, a.Detail = f(a.Remedy), f(a.Stage), f(a.Title), f(a.Detail)
		s.Actions[i] = a
	}
	return s
}

func (f Rewrite) progress(p probe.Progress) probe.Progress {
	p.Core, p.FQDN, p.Profile, p.Cause, p.Reason = f(p.Core), f(p.FQDN), f(p.Profile), f(p.Cause), f(p.Reason)
	p.Steps = slices.Clone(p.Steps)
	for i, s := range p.Steps {
		p.Steps[i].Title, p.Steps[i].Detail = f(s.Title), f(s.Detail)
	}
	return p
}

func (f Rewrite) texts(in []string) []string {
	out := slices.Clone(in)
	for i := range out {
		out[i] = f(out[i])
	}
	return out
}

func (f Rewrite) remedy(r diag.Remedy) diag.Remedy {
	r.ID, r.Kind, r.Text = f(r.ID), f(r.Kind), f(r.Text)
	return r
}

func (f Rewrite) step(s flow.Step) flow.Step {
	s.Check.ID, s.Check.Title = f(s.Check.ID), f(s.Check.Title)
	s.Check.Why, s.Check.How = f(s.Check.Why), f(s.Check.How)
	s.What, s.WaitsFor, s.Seen = f(s.What), f(s.WaitsFor), f.texts(s.Seen)
	if s.Remedy != nil {
		r := f.remedy(*s.Remedy)
		s.Remedy = &r
	}
	if s.Question != nil {
		q := f.Question(*s.Question)
		s.Question = &q
	}
	return s
}

// CleanQuestion is Clean for a question. Its id goes back to the walk with the answer, and its facts
// are not drawn: they stay as they are.
func CleanQuestion(q probe.Question) probe.Question { return Rewrite(text.Clean).Question(q) }

// Question gives a rewritten copy.
func (f Rewrite) Question(q probe.Question) probe.Question {
	q.Check, q.Title, q.Why, q.How = f(q.Check), f(q.Title), f(q.Why), f.texts(q.How)
	q.Options = slices.Clone(q.Options)
	for i, o := range q.Options {
		q.Options[i].Label, q.Options[i].Follows = f(o.Label), f(o.Follows)
	}
	if q.Field != nil {
		field := *q.Field
		field.Label, field.Hint = f(field.Label), f(field.Hint)
		q.Field = &field
	}
	return q
}

func (f Rewrite) facts(in []diag.Fact) []diag.Fact {
	out := slices.Clone(in)
	for i, x := range out {
		x.Key, x.Probe, x.Vantage = f(x.Key), f(x.Probe), diag.Vantage(f(string(x.Vantage)))
		x.Value, x.Evidence = f.value(x.Value), f.texts(x.Evidence)
		out[i] = x
	}
	return out
}

func (f Rewrite) value(v any) any {
	switch v := v.(type) {
	case string:
		return f(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = f.value(v[i])
		}
		return out
	case map[string]any:
		out := maps.Clone(v)
		for k := range v {
			delete(out, k)
			out[f(k)] = f.value(v[k])
		}
		return out
	}
	return v
}

func (f Rewrite) judgement(j diag.Judgement) diag.Judgement {
	for _, p := range []*string{&j.Case, &j.UUID, &j.Verdict, &j.Component, &j.Sentence, &j.Change, &j.Mode, &j.Method} {
		*p = f(*p)
	}
	j.Remedies = slices.Clone(j.Remedies)
	for i, r := range j.Remedies {
		j.Remedies[i] = f.remedy(r)
	}
	for _, p := range []*[]string{&j.Further, &j.Consequences, &j.DecidedBy, &j.Wanted, &j.Possible} {
		*p = f.texts(*p)
	}
	if j.Next != nil {
		j.Next = &diag.Next{ID: f(j.Next.ID), Text: f(j.Next.Text)}
	}
	j.Derived = f.facts(j.Derived)
	j.Checks = slices.Clone(j.Checks)
	for i, r := range j.Checks {
		j.Checks[i].Check, j.Checks[i].Notes = f(r.Check), f.texts(r.Notes)
		j.Checks[i].Missing = f.texts(r.Missing)
		j.Checks[i].Causes = slices.Clone(r.Causes)
		for k, c := range r.Causes {
			c.ID, c.Decided, c.Missing = f(c.ID), f.texts(c.Decided), f.texts(c.Missing)
			j.Checks[i].Causes[k] = c
		}
	}
	j.Contradictions = slices.Clone(j.Contradictions)
	for i, c := range j.Contradictions {
		j.Contradictions[i] = diag.Contradiction{Key: f(c.Key), Facts: f.facts(c.Facts)}
	}
	return j
}

// CleanPlan is Clean for the preview of a remedy.
func CleanPlan(p remedy.Plan) remedy.Plan { return Rewrite(text.Clean).Plan(p) }

// Plan gives a rewritten copy.
func (f Rewrite) Plan(p remedy.Plan) remedy.Plan {
	p.Title, p.Undo, p.Confirm = f(p.Title), f(p.Undo), f(p.Confirm)
	p.ByHand = f.texts(p.ByHand)
	p.Rows, p.Fields = slices.Clone(p.Rows), slices.Clone(p.Fields)
	for i, r := range p.Rows {
		p.Rows[i] = remedy.Row{Label: f(r.Label), Text: f(r.Text)}
	}
	for i, x := range p.Fields {
		p.Fields[i].Label, p.Fields[i].Hint = f(x.Label), f(x.Hint)
	}
	return p
}
