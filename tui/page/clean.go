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
func Clean(s flow.Snapshot) flow.Snapshot {
	s.World, s.CaseID, s.Notice = text.Clean(s.World), text.Clean(s.CaseID), text.Clean(s.Notice)
	s.Judgement = cleanJudgement(s.Judgement)
	s.Step = cleanStep(s.Step)
	s.Facts = cleanFacts(s.Facts)
	s.Client = cleanTexts(s.Client)
	s.Skipped = cleanTexts(s.Skipped)
	s.Actions = slices.Clone(s.Actions)
	for i, a := range s.Actions {
		a.Remedy, a.Stage, a.Title, a.Detail = text.Clean(a.Remedy), text.Clean(a.Stage), text.Clean(a.Title), text.Clean(a.Detail)
		s.Actions[i] = a
	}
	return s
}

func cleanTexts(in []string) []string {
	out := slices.Clone(in)
	for i := range out {
		out[i] = text.Clean(out[i])
	}
	return out
}

func cleanRemedy(r diag.Remedy) diag.Remedy {
	r.ID, r.Kind, r.Text = text.Clean(r.ID), text.Clean(r.Kind), text.Clean(r.Text)
	return r
}

func cleanStep(s flow.Step) flow.Step {
	s.Check.ID, s.Check.Title = text.Clean(s.Check.ID), text.Clean(s.Check.Title)
	s.Check.Why, s.Check.How = text.Clean(s.Check.Why), text.Clean(s.Check.How)
	s.What, s.WaitsFor, s.Seen = text.Clean(s.What), text.Clean(s.WaitsFor), cleanTexts(s.Seen)
	if s.Remedy != nil {
		r := cleanRemedy(*s.Remedy)
		s.Remedy = &r
	}
	if s.Question != nil {
		q := CleanQuestion(*s.Question)
		s.Question = &q
	}
	return s
}

// CleanQuestion is Clean for a question. Its id goes back to the walk with the answer, and its facts
// are not drawn: they stay as they are.
func CleanQuestion(q probe.Question) probe.Question {
	q.Check, q.Title, q.Why, q.How = text.Clean(q.Check), text.Clean(q.Title), text.Clean(q.Why), cleanTexts(q.How)
	q.Options = slices.Clone(q.Options)
	for i, o := range q.Options {
		q.Options[i].Label, q.Options[i].Follows = text.Clean(o.Label), text.Clean(o.Follows)
	}
	if q.Field != nil {
		f := *q.Field
		f.Label, f.Hint = text.Clean(f.Label), text.Clean(f.Hint)
		q.Field = &f
	}
	return q
}

func cleanFacts(in []diag.Fact) []diag.Fact {
	out := slices.Clone(in)
	for i, f := range out {
		f.Key, f.Probe, f.Vantage = text.Clean(f.Key), text.Clean(f.Probe), diag.Vantage(text.Clean(string(f.Vantage)))
		f.Value, f.Evidence = cleanValue(f.Value), cleanTexts(f.Evidence)
		out[i] = f
	}
	return out
}

func cleanValue(v any) any {
	switch v := v.(type) {
	case string:
		return text.Clean(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = cleanValue(v[i])
		}
		return out
	case map[string]any:
		out := maps.Clone(v)
		for k := range v {
			delete(out, k)
			out[text.Clean(k)] = cleanValue(v[k])
		}
		return out
	}
	return v
}

func cleanJudgement(j diag.Judgement) diag.Judgement {
	for _, p := range []*string{&j.Case, &j.UUID, &j.Verdict, &j.Component, &j.Sentence, &j.Change, &j.Mode, &j.Method} {
		*p = text.Clean(*p)
	}
	j.Remedies = slices.Clone(j.Remedies)
	for i, r := range j.Remedies {
		j.Remedies[i] = cleanRemedy(r)
	}
	for _, p := range []*[]string{&j.Further, &j.Consequences, &j.DecidedBy, &j.Wanted, &j.Possible} {
		*p = cleanTexts(*p)
	}
	if j.Next != nil {
		j.Next = &diag.Next{ID: text.Clean(j.Next.ID), Text: text.Clean(j.Next.Text)}
	}
	j.Derived = cleanFacts(j.Derived)
	j.Checks = slices.Clone(j.Checks)
	for i, r := range j.Checks {
		j.Checks[i].Check, j.Checks[i].Notes = text.Clean(r.Check), cleanTexts(r.Notes)
		j.Checks[i].Missing = cleanTexts(r.Missing)
		j.Checks[i].Causes = slices.Clone(r.Causes)
		for k, c := range r.Causes {
			c.ID, c.Decided, c.Missing = text.Clean(c.ID), cleanTexts(c.Decided), cleanTexts(c.Missing)
			j.Checks[i].Causes[k] = c
		}
	}
	j.Contradictions = slices.Clone(j.Contradictions)
	for i, c := range j.Contradictions {
		j.Contradictions[i] = diag.Contradiction{Key: text.Clean(c.Key), Facts: cleanFacts(c.Facts)}
	}
	return j
}

// CleanPlan is Clean for the preview of a remedy.
func CleanPlan(p remedy.Plan) remedy.Plan {
	p.Title, p.Undo, p.Confirm = text.Clean(p.Title), text.Clean(p.Undo), text.Clean(p.Confirm)
	p.ByHand = cleanTexts(p.ByHand)
	p.Rows, p.Fields = slices.Clone(p.Rows), slices.Clone(p.Fields)
	for i, r := range p.Rows {
		p.Rows[i] = remedy.Row{Label: text.Clean(r.Label), Text: text.Clean(r.Text)}
	}
	for i, f := range p.Fields {
		p.Fields[i].Label, p.Fields[i].Hint = text.Clean(f.Label), text.Clean(f.Hint)
	}
	return p
}
