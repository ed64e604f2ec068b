package bundle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/bundle"
	"amtmedic/diag/check"
	"amtmedic/diag/journal"
)

// Every case of the table of checks gives the same verdict as facts and as a bundle, and every fact
// that decided stands in the bundle.
func TestSameVerdictAsTheFacts(t *testing.T) {
	files, err := filepath.Glob("../check/testdata/cases/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	n := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for block := range strings.SplitSeq(string(b), "\n== ") {
			name, rest, _ := strings.Cut(strings.TrimPrefix(block, "== "), "\n")
			text, _, _ := strings.Cut(rest, "\n=> ")
			n++
			t.Run(name, func(t *testing.T) { sameVerdict(t, shortFacts(t, text)) })
		}
	}
	if n < 20 {
		t.Errorf("only %d cases were read", n)
	}
}

func sameVerdict(t *testing.T, facts []diag.Fact) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	r := &journal.Record{Info: journal.Info{ID: "case-x", Created: at}, Facts: facts}
	var out bytes.Buffer
	if _, err := bundle.Create(context.Background(), &out, r, bundle.Options{Judge: check.Judge}); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range b.Verify(check.Judge) {
		t.Errorf("problem %+v", p)
	}
	want := check.Judge(facts, at)
	want.Case = "case-x"
	x, _ := json.Marshal(want)
	y, _ := json.Marshal(b.Judge(check.Judge))
	if !reflect.DeepEqual(x, y) {
		t.Errorf("facts  %s\nbundle %s", x, y)
	}
}

// shortFacts reads the short form of the table: [-AGE] [@VANTAGE] KEY VALUE.
func shortFacts(t *testing.T, text string) (out []diag.Fact) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		f := diag.Fact{At: at}
		for f.Key == "" {
			word, rest, _ := strings.Cut(line, " ")
			line = strings.TrimSpace(rest)
			switch word[0] {
			case '-':
				d, err := time.ParseDuration(word[1:])
				if err != nil {
					t.Fatal(err)
				}
				f.At = at.Add(-d)
			case '@':
				f.Vantage = diag.Vantage(word[1:])
			default:
				f.Key = word
			}
		}
		if json.Unmarshal([]byte(line), &f.Value) != nil {
			f.Value = line
		}
		f, err := diag.Make(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}
