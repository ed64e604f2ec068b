package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/diag"
)

var base = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// readFacts reads the short form of the test table: one fact a line, "[-AGE] [@VANTAGE] KEY VALUE";
// VALUE is JSON or a bare word.
func readFacts(t *testing.T, text string) []diag.Fact {
	t.Helper()
	var out []diag.Fact
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := diag.Fact{At: base}
		for {
			word, rest, _ := strings.Cut(line, " ")
			if strings.HasPrefix(word, "-") {
				d, err := time.ParseDuration(word[1:])
				if err != nil {
					t.Fatal(err)
				}
				f.At = base.Add(-d)
			} else if strings.HasPrefix(word, "@") {
				f.Vantage = diag.Vantage(word[1:])
			} else {
				f.Key = word
				line = strings.TrimSpace(rest)
				break
			}
			line = strings.TrimSpace(rest)
		}
		if err := json.Unmarshal([]byte(line), &f.Value); err != nil {
			f.Value = line
		}
		g, err := diag.Make(f)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if _, known := diag.Lookup(g.Key); !known {
			t.Fatalf("%s is no key", g.Key)
		}
		out = append(out, g)
	}
	return out
}

// testCase is one block of testdata/cases/*.txt: "== name", facts, "=> outcome". A block "== def NAME"
// without outcome gives facts that the other cases of its file take over with "use NAME".
type testCase struct{ file, name, facts, want string }

func readCases(t *testing.T) []testCase {
	t.Helper()
	files, _ := filepath.Glob("testdata/cases/*.txt")
	var out []testCase
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		defs, names := map[string]string{}, map[string]bool{}
		for block := range strings.SplitSeq("\n"+string(b), "\n== ") {
			name, rest, _ := strings.Cut(block, "\n")
			if name == "" {
				continue // what stands before the first case
			}
			if word, isDef := strings.CutPrefix(name, "def "); isDef {
				defs[word] = rest
				continue
			}
			facts, want, ok := strings.Cut("\n"+rest, "\n=> ")
			want, _, _ = strings.Cut(want, "\n")
			if !ok || names[name] {
				t.Fatalf("%s: case %q has no =>, or stands there twice", file, name)
			}
			names[name] = true
			var lines []string
			for line := range strings.SplitSeq(facts, "\n") {
				if word, isUse := strings.CutPrefix(line, "use "); isUse {
					if line, isUse = defs[word]; !isUse {
						t.Fatalf("%s: case %q uses %s, which is not defined", file, name, word)
					}
				}
				lines = append(lines, line)
			}
			facts = strings.Join(lines, "\n")
			out = append(out, testCase{filepath.Base(file), name, facts, strings.TrimSpace(want)})
		}
	}
	return out
}

// TestGrid judges every case, and demands one for each cause and each verdict without fault.
func TestGrid(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range readCases(t) {
		t.Run(c.file+"/"+c.name, func(t *testing.T) {
			fs := readFacts(t, c.facts)
			j := Judge(fs, base)
			if got := short(j); got != c.want {
				t.Errorf("\n got %s\nwant %s\nchecks: %s", got, c.want, spoken(j))
			}
			keepsItsPromises(t, fs, j)
			neverMind(t, fs, j)
		})
		seen[c.want] = true
	}
	for _, c := range Causes() {
		proven := slices.ContainsFunc(slices.Collect(maps.Keys(seen)), func(w string) bool { return strings.HasPrefix(w, c.ID+" proven") })
		if !proven && c.ID != "rc-scs-version-unstable" { // which is never more than likely (rule 11)
			t.Errorf("no case proves %s", c.ID)
		}
	}
}

// neverMind: the order of the lines, facts of unknown value and unknown keys change nothing.
func neverMind(t *testing.T, fs []diag.Fact, j diag.Judgement) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(uint64(len(fs)), 7))
	for range 3 {
		other := slices.Clone(fs)
		rnd.Shuffle(len(other), func(a, b int) { other[a], other[b] = other[b], other[a] })
		k := diag.Keys()[rnd.IntN(len(diag.Keys()))]
		other = append(other, diag.Fact{At: base.Add(time.Hour), Key: k.Name, Value: diag.UnknownValue}, diag.Fact{Key: "no.such_key", Value: "x", At: base.Add(time.Hour)})
		again := Judge(other, base)
		if short(again) != short(j) || !slices.Equal(again.DecidedBy, j.DecidedBy) || !slices.Equal(again.Remedies, j.Remedies) {
			t.Errorf("order of the lines or an unknown %s matters:\n%s %v\n%s %v", k.Name, short(j), j.DecidedBy, short(again), again.DecidedBy)
		}
	}
}

// short is the outcome in one line: verdict, confidence, consequences, further.
func short(j diag.Judgement) string {
	s := j.Verdict + " " + string(j.Confidence)
	if j.Verdict == "" {
		s = "undecided " + j.Next.ID
	}
	if len(j.Consequences) > 0 {
		s += " because-of-it=" + strings.Join(j.Consequences, ",")
	}
	if len(j.Further) > 0 {
		s += " further=" + strings.Join(j.Further, ",")
	}
	return s
}

func spoken(j diag.Judgement) string {
	var out []string
	for _, r := range j.Checks {
		for _, c := range r.Causes {
			out = append(out, fmt.Sprintf("%s:%s(%s)", r.Check, c.ID, c.Confidence))
		}
	}
	return strings.Join(out, " ")
}

// keepsItsPromises checks what command-line.md says of every verdict object.
func keepsItsPromises(t *testing.T, facts []diag.Fact, j diag.Judgement) {
	t.Helper()
	for _, k := range j.DecidedBy {
		there := slices.ContainsFunc(append(facts, j.Derived...), func(f diag.Fact) bool { return f.Key == k && f.Value != diag.UnknownValue })
		if !there {
			t.Errorf("decided_by names %s, which is no fact of the case", k)
		}
	}
	if (j.Verdict == "") != (j.Next != nil) {
		t.Errorf("verdict %q with next %v", j.Verdict, j.Next)
	}
	if j.Verdict != "" && len(j.DecidedBy) == 0 {
		t.Errorf("nothing decided %s", j.Verdict)
	}
	harsh := false
	for _, r := range j.Remedies {
		if harsh && !r.Destructive {
			t.Errorf("remedy %s stands behind a destructive one", r.ID)
		}
		harsh = r.Destructive
	}
	if slices.Contains(j.Further, j.Verdict) {
		t.Error("the verdict is among further")
	}
}
