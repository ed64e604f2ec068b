package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// readPages gives the text of the pages that match a pattern, by name.
func readPages(t *testing.T, pattern string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages match %s: %v", pattern, err)
	}
	pages := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		pages[f] = string(text)
	}
	return pages
}

// The guide names only symptoms, checks, causes and remedies that the program knows.
func TestGuideNamesKnownIDs(t *testing.T) {
	var known strings.Builder
	for _, s := range readSources(t) {
		if s.dir == "diag/check" && !s.test {
			known.WriteString(s.text)
		}
	}
	id := regexp.MustCompile(`\b(sym|chk|rc|ok)-[a-z0-9]+(-[a-z0-9]+)*\b`)
	for name, text := range readPages(t, "guide/*.md") {
		for i, line := range strings.Split(text, "\n") {
			for _, m := range id.FindAllString(line, -1) {
				if !strings.Contains(known.String(), `"`+m+`"`) {
					t.Errorf("docs/%s:%d: package check does not know %s", name, i+1, m)
				}
			}
		}
	}
}

// The commands that the README and the guide show exist.
func TestPagesShowExistingCommands(t *testing.T) {
	table, err := os.ReadFile(filepath.Join(root, "cmd", "amtmedic", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	pages := readPages(t, "guide/*.md")
	for name, text := range readPages(t, filepath.Join(root, "README.md")) {
		pages[name] = text
	}
	use := regexp.MustCompile("(?:^    |`|cmd/)amtmedic ([a-z]+)")
	for name, text := range pages {
		for i, line := range strings.Split(text, "\n") {
			for _, m := range use.FindAllStringSubmatch(line, -1) {
				if !strings.Contains(string(table), `{"`+m[1]+`", "`) {
					t.Errorf("%s:%d shows amtmedic %s, which is not in the command table", name, i+1, m[1])
				}
			}
		}
	}
}
