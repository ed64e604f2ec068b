package main

import (
	"encoding/json"
	"os"
	"os/exec"
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

// TestEveryFaultIsFound builds the world of every fault that can be built here, two at a time or more. Each
// must lead to its own cause, be repaired to a green road, and leave a case that judges the same on its own.
func TestEveryFaultIsFound(t *testing.T) {
	t.Parallel()
	for _, f := range append([]lab.Fault{{ID: lab.None, Available: true}, {ID: lab.NonePKI, Available: true}}, lab.List()...) {
		t.Run(f.ID, func(t *testing.T) {
			if !f.Available {
				if os.Getenv("CI") != "" {
					t.Fatalf("%s cannot be built in CI: needs %s", f.ID, f.Needs)
				}
				t.Skipf("cannot be built here: needs %s", f.Needs)
			}
			t.Parallel()
			home := t.TempDir()
			v, code := practised(t, home, f.ID)
			if f.ID == lab.None || f.ID == lab.NonePKI {
				if v.Verdict != "ok-in-progress" {
					t.Errorf("the healthy world gives %s", v.Verdict)
				}
			} else if v.Verdict != f.ID {
				t.Errorf("verdict %q, further %v", v.Verdict, v.Further)
			}
			want := "ok-provisioned"
			if f.ID == lab.None || f.ID == lab.NonePKI { // nothing was repaired: the client is being provisioned as it was
				want = "ok-in-progress"
			}
			if v.After == nil || v.After.Verdict != want || len(v.After.Further) > 0 || code != exitOK {
				t.Errorf("after the repair: %+v, exit %d", v.After, code)
			}
			judgesTheSame(t, home, v)
		})
	}
}

// inHome runs the program with its cases in a folder.
func inHome(t *testing.T, home string, words ...string) (code int, v verdictLine) {
	t.Helper()
	c := exec.Command("amtmedic", words...)
	c.Env = append(os.Environ(), "AMTMEDIC_HOME="+home)
	var errs safeBuffer
	c.Stderr = &errs
	out, _ := c.Output()
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("%v: %v: %q, %q", words, err, out, errs.String())
	}
	return c.ProcessState.ExitCode(), v
}

// practised breaks and repairs a world. It must end in time; one that other tests held up gets another try.
func practised(t *testing.T, home, fault string) (v verdictLine, code int) {
	t.Helper()
	for range 3 {
		began := time.Now()
		code, v = inHome(t, home, "lab", "--fault", fault, "--headless", "--json", "--repair")
		took := time.Since(began)
		if took <= 15*time.Second {
			return v, code
		}
		t.Logf("took %s", took)
	}
	t.Error("no try ended within 15 s")
	return v, code
}

// judgesTheSame reads the facts of the case back from disk.
func judgesTheSame(t *testing.T, home string, v verdictLine) {
	t.Helper()
	last := v
	if v.After != nil {
		last = *v.After
	}
	file := filepath.Join(home, v.Case, "facts.jsonl")
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
	_, again := inHome(t, t.TempDir(), "diagnose", file, "--json")
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
