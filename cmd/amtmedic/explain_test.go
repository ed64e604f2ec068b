package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"amtmedic/diag/check"
)

// Every id of the catalogue has a page that says something, fits a terminal, and leads only to
// pages that exist.
func TestExplainEveryID(t *testing.T) {
	for _, id := range catalogueIDs() {
		p, ok := explain(id)
		if !ok || p.Title == "" || p.Kind == "" {
			t.Errorf("%s has no page: %+v", id, p)
			continue
		}
		for _, links := range [][]explainLink{p.Checks, p.Causes, p.Neighbours, p.Symptoms} {
			for _, l := range links {
				if _, ok := explain(l.ID); !ok || l.Text == "" || l.ID == id {
					t.Errorf("%s leads to %q (%q)", id, l.ID, l.Text)
				}
			}
		}
		switch p.Kind {
		case "cause":
			if len(p.Checks) == 0 || len(p.Evidence) == 0 || len(p.Remedies) == 0 {
				t.Errorf("%s: %d checks, %d facts, %d remedies", id, len(p.Checks), len(p.Evidence), len(p.Remedies))
			}
		case "check":
			if len(p.Evidence) == 0 || p.Why == "" || p.How == "" {
				t.Errorf("%s: %+v", id, p)
			}
		case "symptom":
			if p.Look == "" { // a symptom without cause tells of nothing broken
				t.Errorf("%s: %+v", id, p)
			}
		}
		var b strings.Builder
		p.print(&b)
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > pageWidth && strings.Contains(strings.TrimSpace(line), "  ") {
				t.Errorf("%s: %d columns: %s", id, n, line)
			}
		}
	}
}

func TestNearIDs(t *testing.T) {
	for given, want := range map[string]string{
		"rc-dns-split-horizn": "rc-dns-split-horizon", "chk-pidd": "chk-pid", "ok-provisionned": "ok-provisioned",
		"sym-system-mising": "sym-system-missing", "pid-unknown": "rc-pid-unknown", "rc-": "",
	} {
		near := check.Near(given)
		if want == "" {
			continue
		}
		if len(near) == 0 || near[0] != want {
			t.Errorf("%s: %v", given, near)
		}
	}
	check.Near(strings.Repeat("x", 1<<20)) // must not take time
	if n := len(check.Causes()); n < 90 {
		t.Errorf("only %d causes", n)
	}
}
