package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
)

// Verify gives everything that is wrong with the bundle: the problems of opening it, and where
// judging its facts again gives something else than verdict.json.
func (b *Bundle) Verify(judge Judge) []amt.Problem {
	ps := slices.Clone(b.Problems)
	if b.verdict == nil || slices.ContainsFunc(ps, func(p amt.Problem) bool { return p.Where == FactsName }) {
		return ps
	}
	j := b.Judge(judge)
	now, err := verdictJSON(j)
	var again map[string]any
	if err == nil {
		err = json.Unmarshal(now, &again)
	}
	if err != nil {
		return append(ps, amt.In(VerdictName, CodeVerdict, "the facts cannot be judged again: %v", err))
	}
	for _, k := range slices.Sorted(maps.Keys(again)) {
		if reflect.DeepEqual(again[k], b.verdict[k]) {
			continue
		}
		code := CodeVerdict
		if !slices.Contains(verdictFields, k) {
			code = CodeChecks
		}
		ps = append(ps, amt.In(VerdictName, code, "%s is %s, the facts give %s now%s", k, brief(b.verdict[k]), brief(again[k]), b.otherTool()))
	}
	for _, k := range j.DecidedBy {
		if !slices.ContainsFunc(b.Facts, func(f diag.Fact) bool { return f.Key == k }) {
			ps = append(ps, amt.In(FactsName, CodeDecided, "%s decided, and is not among the facts", k))
		}
	}
	return ps
}

// verdictFields are the fields of the verdict object of the command line.
var verdictFields = []string{"case", "uuid", "verdict", "component", "confidence", "further", "consequences", "decided_by", "remedies", "next"}

// otherTool reminds of a catalogue that may have changed since.
func (b *Bundle) otherTool() string {
	return fmt.Sprintf(" (the bundle was written by %s %s)", b.Manifest.Tool.Name, b.Manifest.Tool.Version)
}

func brief(v any) string {
	s, err := json.Marshal(v)
	if err != nil {
		return "unreadable"
	}
	return clean(string(s), 120)
}

// Judge judges the facts of the bundle at the moment when it was made.
func (b *Bundle) Judge(judge Judge) diag.Judgement {
	j := judge(observed(b.Facts), b.Manifest.Created)
	j.Case = b.Manifest.Case.ID
	return j
}

// observed leaves out the facts that an earlier judgement derived: a conclusion is no observation,
// and judging it again as one would change what decided.
func observed(facts []diag.Fact) []diag.Fact {
	return slices.DeleteFunc(slices.Clone(facts), func(f diag.Fact) bool { return f.Probe == derivedProbe })
}

// derivedProbe is what a derived fact names as its probe.
const derivedProbe = "derived"

// differences names the fields of the verdict object in which two judgements differ.
func differences(a, b diag.Judgement) []string {
	var out []string
	var x, y map[string]any
	p, perr := verdictJSON(a)
	q, qerr := verdictJSON(b)
	if err := errors.Join(perr, qerr, json.Unmarshal(p, &x), json.Unmarshal(q, &y)); err != nil {
		return []string{err.Error()}
	}
	for _, k := range verdictFields {
		if !reflect.DeepEqual(x[k], y[k]) {
			out = append(out, k)
		}
	}
	return out
}

// IsZip reports whether a file begins as a zip does, so that a command can tell a bundle from a
// facts file.
func IsZip(r io.ReaderAt) bool {
	var head [4]byte
	_, err := r.ReadAt(head[:], 0)
	return err == nil && bytes.HasPrefix(head[:], []byte("PK")) && (head[2] == 3 || head[2] == 5)
}

// Recorded is what a bundle gives to somebody who judges it as a facts file.
type Recorded struct {
	Case     string        // id of the case
	Facts    []diag.Fact   // without derived ones
	Moment   time.Time     // of the diagnosis, when no fact has a time
	Problems []amt.Problem // what is wrong with other members
}

// Facts reads the facts of a bundle. It refuses facts that are not those that were written.
func Facts(path string) (*Recorded, error) {
	b, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	for _, p := range b.Problems {
		if p.Where == FactsName || p.Where == ManifestName {
			return nil, &amt.Error{Op: "read facts of bundle", Subject: path, Err: fmt.Errorf("%s: %s", p.Where, p.Text),
				Hint: "amtmedic bundle verify lists everything that is wrong with it"}
		}
	}
	return &Recorded{b.Manifest.Case.ID, observed(b.Facts), b.Manifest.Created, b.Problems}, nil
}

// IsBundle reports whether a path leads to a file that begins as a bundle does.
func IsBundle(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	fi, err := f.Stat()
	return err == nil && fi.Mode().IsRegular() && IsZip(f)
}

func sortedNames[V any](m map[string]V) []string {
	return slices.SortedFunc(maps.Keys(m), strings.Compare)
}
