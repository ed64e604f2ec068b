package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxDirect is how many outside modules the program may name.
const maxDirect = 30

// requirement is one line of go.mod.
type requirement struct {
	path, version string
	indirect      bool
}

func readGoMod(t *testing.T) []requirement {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^(?:require )?\s*(\S+\.\S+/\S+) (v\S+)( // indirect)?$`)
	var all []requirement
	for _, l := range strings.Split(string(text), "\n") {
		if m := line.FindStringSubmatch(l); m != nil {
			all = append(all, requirement{m[1], m[2], m[3] != ""})
		}
	}
	if len(all) == 0 {
		t.Fatal("go.mod: no requirement could be read")
	}
	return all
}

// readRecords gives the modules that decision records are about: the lines that begin "Module:".
func readRecords(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("decisions/[0-9]*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no decision records: %v", err)
	}
	line := regexp.MustCompile("(?m)^Module: (.*)$")
	name := regexp.MustCompile("`([^` ]+)`")
	records := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			for _, n := range name.FindAllStringSubmatch(m[1], -1) {
				if other, ok := records[n[1]]; ok {
					t.Errorf("%s and %s are both about %s", other, f, n[1])
				}
				records[n[1]] = f
			}
		}
	}
	return records
}

func TestEveryLibraryHasADecisionRecord(t *testing.T) {
	mods, records := readGoMod(t), readRecords(t)
	direct := map[string]string{} // module -> who names it
	for _, m := range mods {
		if !m.indirect {
			direct[m.path] = "go.mod"
		}
	}
	for _, s := range readSources(t) {
		for _, imp := range s.imports {
			if !outside(imp) {
				continue
			}
			if m := moduleOf(mods, imp); m != "" {
				direct[m] = s.name
			} else {
				t.Errorf("%s imports %s, which go.mod does not name", s.name, imp)
			}
		}
	}
	for m, who := range direct {
		if records[m] == "" {
			t.Errorf("%s (named by %s) has no record in docs/decisions", m, who)
		}
	}
	if len(direct) > maxDirect {
		t.Errorf("%d direct dependencies, more than %d", len(direct), maxDirect)
	}
	for m, f := range records {
		if !slices.ContainsFunc(mods, func(r requirement) bool { return r.path == m }) {
			t.Errorf("%s is about %s, which go.mod does not name", f, m)
		}
	}
}

// moduleOf gives the module of an import: the longest path of go.mod that it begins with.
func moduleOf(mods []requirement, imp string) string {
	best := ""
	for _, m := range mods {
		if under(imp, m.path) && len(m.path) > len(best) {
			best = m.path
		}
	}
	return best
}

// The module's path must sort before Bubble Tea's: docs/decisions, bubbletea, duty 1.
func TestModuleSortsBeforeBubbleTea(t *testing.T) {
	if module >= "github.com/charmbracelet/bubbletea" {
		t.Errorf("module path %q sorts too late: every command would stall on a silent terminal", module)
	}
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(string(text), "\n"); first != "module "+module {
		t.Errorf("go.mod begins with %q", first)
	}
}

func TestTopLevelIsFixed(t *testing.T) {
	allowed := []string{"cmd", "tui", "diag", "capture", "amt", "docs", "go.mod", "go.sum",
		"README.md", "LICENSE", "CHANGELOG.md"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s at the top level: it holds only %v", e.Name(), allowed)
		}
	}
}

// README.md is short, and its two commands stand alone in blocks that can be copied.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n > 120 {
		t.Errorf("README.md has %d lines, more than 120", n)
	}
	var got []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		got = append(got, strings.TrimSpace(m[1]))
	}
	if want := []string{"go run ./cmd/amtmedic lab", "go test ./..."}; len(got) < 2 || !slices.Equal(got[:2], want) {
		t.Errorf("README.md: the first two sh blocks are %q, want %q", got, want)
	}
}

// Links between the documents lead somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)
	for _, name := range treeFiles(t) {
		if filepath.Ext(name) != ".md" || strings.Contains(name, "testdata/") {
			continue
		}
		file := filepath.Join(root, filepath.FromSlash(name))
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, m[1])
			}
		}
	}
}
