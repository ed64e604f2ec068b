package bundle

import (
	"bytes"
	"encoding/json"
	"time"

	"amtmedic/diag"
)

// Judge judges facts; at is the moment of the diagnosis when no fact has a time.
type Judge func(facts []diag.Fact, at time.Time) diag.Judgement

// beyond is what verdict.json holds besides the verdict object of the command line.
type beyond struct {
	Sentence       string          `json:"sentence"`
	Change         string          `json:"change"` // what would change the verdict
	Mode           string          `json:"mode"`
	Method         string          `json:"method"`
	Road           []roadStation   `json:"road"`
	Checks         []checkState    `json:"checks"`
	Contradictions []contradiction `json:"contradictions"`
}

type roadStation struct {
	Station string `json:"station"`
	State   string `json:"state"`
}

type checkState struct {
	ID      string   `json:"id"`
	Station string   `json:"station"`
	State   string   `json:"state"`
	Causes  []named  `json:"causes"`
	Missing []string `json:"missing"`
	Notes   []string `json:"notes"`
}

type named struct {
	ID         string          `json:"id"`
	Confidence diag.Confidence `json:"confidence"`
	DecidedBy  []string        `json:"decided_by"`
	Missing    []string        `json:"missing"`
}

type contradiction struct {
	Key   string      `json:"key"`
	Facts []diag.Fact `json:"facts"`
}

// lightWords are the states of stations and checks.
var lightWords = map[diag.Light]string{diag.Unlooked: "not looked at", diag.Good: "good", diag.Broken: "broken", diag.Busy: "in progress",
	diag.Unknown: "unknown", diag.NotApplicable: "not applicable", diag.Contradicted: "contradicted", diag.Suspect: "suspect", diag.NotJudged: "not judged"}

// verdictJSON makes verdict.json: the verdict object, and behind it what screens show besides.
func verdictJSON(j diag.Judgement) ([]byte, error) {
	j.Further, j.Consequences, j.DecidedBy = list(j.Further), list(j.Consequences), list(j.DecidedBy)
	j.Remedies = list(j.Remedies)
	b := beyond{Sentence: j.Sentence, Change: j.Change, Mode: j.Mode, Method: j.Method, Road: []roadStation{}, Checks: []checkState{}, Contradictions: []contradiction{}}
	for s, l := range j.Road {
		b.Road = append(b.Road, roadStation{diag.Station(s).String(), lightWords[l]})
	}
	for _, c := range j.Checks {
		cs := checkState{ID: c.Check, Station: c.Station.String(), State: lightWords[c.Light], Causes: []named{}, Missing: list(c.Missing), Notes: list(c.Notes)}
		for _, n := range c.Causes {
			cs.Causes = append(cs.Causes, named{n.ID, n.Confidence, list(n.Decided), list(n.Missing)})
		}
		b.Checks = append(b.Checks, cs)
	}
	for _, c := range j.Contradictions {
		b.Contradictions = append(b.Contradictions, contradiction{c.Key, list(c.Facts)})
	}
	return joined(j, b)
}

// joined puts the fields of two objects into one, indented.
func joined(a, b any) ([]byte, error) {
	first, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	second, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Indent(&out, append(append(first[:len(first)-1], ','), second[1:]...), "", "  ")
	out.WriteByte('\n')
	return out.Bytes(), err
}

// list makes an empty list of none, so that JSON never says null.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
