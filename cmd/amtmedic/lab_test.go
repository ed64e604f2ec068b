package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/lab"
)

// verdictLine is the verdict object as another program reads it.
type verdictLine struct {
	Case         string
	UUID         string
	Verdict      string
	Confidence   string
	Further      []string
	Consequences []string
	DecidedBy    []string `json:"decided_by"`
	Remedies     []diag.Remedy
	Next         *diag.Next
	After        *verdictLine
}

// runWords runs the program in this process.
func runWords(t *testing.T, words ...string) (code int, stdout, stderr string) {
	t.Helper()
	e, out, errs := testEnv(t)
	return run(e, words), out.String(), errs.String()
}

// TestEveryFaultIsFound builds the world of every fault that can be built here. Each must lead to
// its own cause, be repaired to a green road, and leave a case that judges the same on its own.
func TestEveryFaultIsFound(t *testing.T) {
	for _, f := range append([]lab.Fault{{ID: "none", Available: true}}, lab.List()...) {
		t.Run(f.ID, func(t *testing.T) {
			if !f.Available {
				if os.Getenv("CI") != "" {
					t.Fatalf("%s cannot be built in CI: needs %s", f.ID, f.Needs)
				}
				t.Skipf("cannot be built here: needs %s", f.Needs)
			}
			began := time.Now()
			code, out, errs := runWords(t, "lab", "--fault", f.ID, "--headless", "--json", "--repair")
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("took %s", took)
			}
			var v verdictLine
			if err := json.Unmarshal([]byte(out), &v); err != nil {
				t.Fatalf("%v: %q, %q", err, out, errs)
			}
			if f.ID == "none" {
				if v.Verdict != "ok-in-progress" {
					t.Errorf("the healthy world gives %s", v.Verdict)
				}
			} else if v.Verdict != f.ID {
				t.Errorf("verdict %q, further %v", v.Verdict, v.Further)
			}
			want := "ok-provisioned"
			if f.ID == "none" { // nothing was repaired: the client is being provisioned as it was
				want = "ok-in-progress"
			}
			if v.After == nil || v.After.Verdict != want || len(v.After.Further) > 0 || code != exitOK {
				t.Errorf("after the repair: %+v, exit %d", v.After, code)
			}
			judgesTheSame(t, v)
		})
	}
}

// judgesTheSame reads the facts of the case back from disk.
func judgesTheSame(t *testing.T, v verdictLine) {
	t.Helper()
	last := v
	if v.After != nil {
		last = *v.After
	}
	file := filepath.Join(os.Getenv("AMTMEDIC_HOME"), v.Case, "facts.jsonl")
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	facts, err := diag.ReadFacts(f)
	if err != nil {
		t.Fatalf("the case does not read back: %v", err)
	}
	for _, k := range v.DecidedBy {
		if !slices.ContainsFunc(facts, func(f diag.Fact) bool { return f.Key == k }) && k != "client.mode" {
			t.Errorf("decided_by names %s, which is not in the case", k)
		}
	}
	home := os.Getenv("AMTMEDIC_HOME")
	_, out, _ := runWords(t, "diagnose", file, "--json")
	t.Setenv("AMTMEDIC_HOME", home)
	var again verdictLine
	if err := json.Unmarshal([]byte(out), &again); err != nil {
		t.Fatal(err)
	}
	if again.Verdict != last.Verdict || again.Confidence != last.Confidence || !slices.Equal(again.Further, last.Further) {
		t.Errorf("on its own the case gives %s %s, walked it gave %s %s", again.Verdict, again.Confidence, last.Verdict, last.Confidence)
	}
}

func TestLabExitCodes(t *testing.T) {
	for _, c := range []struct {
		words string
		code  int
		says  string
	}{
		{"lab --fault rc-dns-no-record --headless --json", exitFound, ""},
		{"lab --headless", exitOK, ""},
		{"lab --fault rc-bogus --headless", exitUsage, "near to it"},
		{"lab --fault rc-dns-no-recrd --headless", exitUsage, "rc-dns-no-record"},
		{"lab --fault rc-dns-no-record --fault rc-dns-wrong-target --headless", exitUsage, "contradict"},
		{"lab extra", exitUsage, "no operand"},
	} {
		code, _, errs := runWords(t, strings.Fields(c.words)...)
		if code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit %d, %q", c.words, code, errs)
		}
		if c.code == exitUsage {
			left, _ := os.ReadDir(os.Getenv("AMTMEDIC_HOME"))
			for _, d := range left {
				if d.IsDir() {
					t.Errorf("%s left the case %s behind", c.words, d.Name())
				}
			}
		}
	}
}

// TestSeedMakesTheWorld: the same seed gives the same client, another seed another one.
func TestSeedMakesTheWorld(t *testing.T) {
	uuid := func(seed string) string {
		_, out, _ := runWords(t, "lab", "--headless", "--json", "--seed", seed)
		var v verdictLine
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			t.Fatal(err)
		}
		if _, err := amt.ParseUUID(v.UUID); err != nil {
			t.Fatal(err)
		}
		return v.UUID
	}
	a, b, c := uuid("41"), uuid("41"), uuid("42")
	if a != b || a == c {
		t.Errorf("seed 41 gives %s and %s, seed 42 %s", a, b, c)
	}
}
