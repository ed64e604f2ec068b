package bundle

import (
	"encoding/json"

	"amtmedic/diag"
)

// Pair is one fact as two bundles tell it.
type Pair struct {
	Before diag.Fact `json:"before"`
	After  diag.Fact `json:"after"`
}

// Difference is what changed between two bundles, by the present state of every key.
type Difference struct {
	Added   []diag.Fact
	Removed []diag.Fact
	Changed []Pair
}

// subject tells apart facts that stand beside each other: key, vantage, and the thing asked about.
type subject struct{ key, vantage, about string }

// subjectOf gives what a fact is about. Keys that may hold several facts at once are told apart by
// the name or address that they are about, symptoms and reports by their text.
func subjectOf(f diag.Fact) subject {
	s := subject{f.Key, string(f.Vantage), ""}
	if k, ok := diag.Lookup(f.Key); ok && f.Vantage == "" {
		s.vantage = string(k.Side)
	}
	o := diag.ObjOf(f)
	for _, field := range []string{"qname", "name", "addr", "uuid", "pid"} {
		if s.about == "" {
			s.about = o.Str(field)
		}
	}
	if f.Key == "case.symptom" || f.Key == "case.report" {
		s.about = valueText(f.Value)
	}
	return s
}

func valueText(v any) string {
	b, err := json.Marshal(v) // sorts the fields of objects
	if err != nil {
		return ""
	}
	return string(b)
}

// Diff compares the present states of two bundles: of several facts about one thing the latest
// counts. Times alone are no difference.
func Diff(a, b *Bundle) Difference {
	before, was := present(a.Facts)
	after, is := present(b.Facts)
	d := Difference{[]diag.Fact{}, []diag.Fact{}, []Pair{}}
	for _, f := range before {
		i, there := is[subjectOf(f)]
		switch {
		case !there:
			d.Removed = append(d.Removed, f)
		case valueText(after[i].Value) != valueText(f.Value):
			d.Changed = append(d.Changed, Pair{f, after[i]})
		}
	}
	for _, g := range after {
		if _, there := was[subjectOf(g)]; !there {
			d.Added = append(d.Added, g)
		}
	}
	return d
}

// present keeps the latest fact about each thing, in the order in which the things were first seen,
// and says where each stands.
func present(facts []diag.Fact) (out []diag.Fact, at map[subject]int) {
	at = map[subject]int{}
	for _, f := range facts {
		s := subjectOf(f)
		if i, seen := at[s]; !seen {
			at[s] = len(out)
			out = append(out, f)
		} else if !f.At.Before(out[i].At) {
			out[i] = f
		}
	}
	return out, at
}
