package check

import (
	"encoding/json"
	"fmt"
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

// TestGrid judges every case of testdata/cases/*.txt: a name, facts, and what must come out.
func TestGrid(t *testing.T) {
	files, _ := filepath.Glob("testdata/cases/*.txt")
	seen := map[string]bool{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for block := range strings.SplitSeq(string(b), "\n== ") {
			name, rest, _ := strings.Cut(strings.TrimPrefix(block, "== "), "\n")
			facts, want, ok := strings.Cut(rest, "\n=> ")
			if !ok {
				t.Errorf("%s: case %q has no =>", file, name)
				continue
			}
			t.Run(filepath.Base(file)+"/"+name, func(t *testing.T) {
				fs := readFacts(t, facts)
				j := Judge(fs, base)
				if got := short(j); got != strings.TrimSpace(want) {
					t.Errorf("\n got %s\nwant %s\nchecks: %s", got, strings.TrimSpace(want), spoken(j))
				}
				keepsItsPromises(t, fs, j)
				shuffled := slices.Clone(fs)
				slices.Reverse(shuffled)
				if again := short(Judge(shuffled, base)); again != short(j) {
					t.Errorf("the order of the lines matters: %s, %s", short(j), again)
				}
			})
			seen[strings.Fields(want)[0]] = true
		}
	}
	for _, c := range Causes() {
		if !seen[c.ID] && !testing.Short() {
			t.Logf("no case leads to %s yet", c.ID)
		}
	}
}

// short is the outcome in one line: verdict, confidence, consequences, further.
func short(j diag.Judgement) string {
	s := j.Verdict
	if s == "" {
		return "undecided " + j.Next.ID
	}
	s += " " + string(j.Confidence)
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
