package docs_test

import (
	"fmt"
	"go/ast"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// layers are the parts of the top level that hold code, lowest first: a package imports its own
// layer and those below. docs is a leaf that anyone may import.
var layers = []string{"amt", "capture", "diag", "tui", "cmd"}

// homes says which packages may use an outside library, by the longest prefix that fits. A library
// that is not here has no home. An empty list: only tests may use it.
var homes = map[string][]string{
	"github.com/charmbracelet":           {"tui"},
	"github.com/charmbracelet/x/vt":      {},
	"github.com/charmbracelet/x/exp":     {},
	"github.com/aymanbagabas/go-osc52":   {"tui"},
	"github.com/muesli/termenv":          {"tui"},
	"github.com/google/gopacket":         {"capture"},
	"github.com/miekg/dns":               {"capture", "diag/probe", "diag/lab", "diag/remedy"},
	"github.com/icholy/digest":           {"amt/device", "amt/sim"},
	"github.com/goccy/go-yaml":           {"amt/profile"},
	"github.com/danielgtaylor/huma":      {"amt/scsweb"},
	"github.com/prometheus":              {"amt/scsweb"},
	"github.com/klauspost/compress":      {"capture", "diag/bundle"},
	"github.com/pressly/goose":           {"amt/store"},
	"software.sslmate.com/src/go-pkcs12": {"amt/cert"},
	"modernc.org/sqlite":                 {"amt/store"},
	"github.com/jackc/pgx":               {"amt/store"},
	"golang.org/x/crypto":                {"amt"},
	"golang.org/x/net":                   {"amt", "capture", "diag"},
	"golang.org/x/sys":                   {"amt", "capture", "diag", "tui", "cmd"},
	"golang.org/x/term":                  {"tui", "cmd"},
	"github.com/rogpeppe/go-internal":    {},
	"github.com/kardianos/service":       {"cmd"},
	"github.com/zalando/go-keyring":      {"amt/store"},
	"filippo.io/age":                     {"amt/store"},
	"github.com/creack/pty":              {},
}

// pure lists the packages that do no input or output and have no clock of their own.
var pure = []string{"amt", "amt/eoi", "amt/hello", "amt/keys", "amt/matrix", "amt/profile", "amt/setupbin", "amt/wsman", "diag", "diag/check"}

// impure lists what a pure package must not import, sub-packages included.
var impure = []string{"os", "net", "syscall", "log", "io/ioutil", "path/filepath", "database/sql",
	"runtime", "testing", "crypto/rand", "math/rand", "plugin", "C"}

// harmless lists sub-packages of impure ones that touch nothing.
var harmless = []string{"net/netip", "net/url", "log/slog"}

// harmlessNames lists what may be used of an impure package, because it only works on text.
var harmlessNames = map[string][]string{"net": {"SplitHostPort", "JoinHostPort", "ParseIP", "ParseMAC"}}

func layer(dir string) int {
	return slices.IndexFunc(layers, func(l string) bool { return under(dir, l) })
}

func TestImportsPointDownwards(t *testing.T) {
	each(t, pointsUp)
}

// each applies a rule to every file of the module. A rule gives what it finds, in words.
func each(t *testing.T, rule func(*source) []string) {
	for _, s := range readSources(t) {
		for _, found := range rule(s) {
			t.Errorf("%s %s", s.name, found)
		}
	}
}

func pointsUp(s *source) (found []string) {
	from := layer(s.dir)
	for _, imp := range s.imports {
		dir, ok := own(imp)
		if !ok || dir == "docs" {
			continue
		}
		switch to := layer(dir); {
		case s.dir == "docs":
			found = append(found, "is in docs, a leaf, and imports "+dir)
		case from < 0 || to < 0:
			found = append(found, fmt.Sprintf("imports %s: the layers are %v", dir, layers))
		case to > from:
			found = append(found, fmt.Sprintf("imports %s: nothing in %s points back up", dir, layers[from]))
		}
	}
	return found
}

func TestImportsKeepToTheTable(t *testing.T) {
	table := readTable(t)
	for _, s := range readSources(t) {
		row, ok := rowOf(table, s.dir)
		if !ok || s.test {
			continue // a package without a row is found by TestArchitectureTableIsComplete
		}
		for _, imp := range s.imports {
			dir, ok := own(imp)
			if !ok || dir == s.dir || dir == "docs" {
				continue
			}
			if !slices.ContainsFunc(row.may, func(may string) bool { return allows(may, dir) }) {
				t.Errorf("%s imports %s; docs/architecture.md allows %s: %s",
					s.name, dir, s.dir, strings.Join(row.may, ", "))
			}
		}
	}
}

// allows reports whether an entry of the table covers an import: a package, or all below one.
func allows(may, dir string) bool {
	return may == dir || strings.HasSuffix(may, "/...") && under(dir, may)
}

func TestSimulatorIsOnlyForLabAndTests(t *testing.T) {
	imports := map[string][]string{}
	for _, s := range readSources(t) {
		for _, imp := range s.imports {
			if dir, ok := own(imp); ok && !s.test {
				imports[s.dir] = append(imports[s.dir], dir)
			}
		}
	}
	for _, start := range []string{"amt/provision", "amt/device"} {
		seen := map[string]string{start: start}
		for todo := []string{start}; len(todo) > 0; todo = todo[1:] {
			for _, dir := range imports[todo[0]] {
				if _, ok := seen[dir]; ok {
					continue
				}
				seen[dir] = seen[todo[0]] + " -> " + dir
				todo = append(todo, dir)
				if under(dir, "amt/sim") {
					t.Errorf("the core must not know the simulator: %s", seen[dir])
				}
			}
		}
	}
}

func TestOutsideLibrariesHaveOneHome(t *testing.T) {
	each(t, awayFromHome)
}

func awayFromHome(s *source) (found []string) {
	for _, imp := range s.imports {
		if !outside(imp) || s.test {
			continue
		}
		dirs, known := home(imp)
		switch {
		case !known:
			found = append(found, fmt.Sprintf("imports %s, which has no home yet: see docs/CONTRIBUTING.md", imp))
		case len(dirs) == 0:
			found = append(found, fmt.Sprintf("imports %s, which is for tests only", imp))
		case !slices.ContainsFunc(dirs, func(d string) bool { return under(s.dir, d) }):
			found = append(found, fmt.Sprintf("imports %s, whose home is %v", imp, dirs))
		}
	}
	return found
}

// home finds the packages that may use an import, by the longest prefix.
func home(imp string) ([]string, bool) {
	for p := imp; p != "."; p = path.Dir(p) {
		if dirs, ok := homes[p]; ok {
			return dirs, true
		}
	}
	return nil, false
}

func TestPurePackagesTouchNothing(t *testing.T) {
	each(t, touches)
}

// clock is what a pure package must not use of package time.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTicker", "NewTimer"}

func touches(s *source) (found []string) {
	if s.test || !slices.Contains(pure, s.dir) {
		return nil
	}
	for _, imp := range s.imports {
		switch {
		case slices.Contains(harmless, imp):
		case harmlessNames[imp] != nil:
			for _, n := range usedNames(s.file, path.Base(imp)) {
				if !slices.Contains(harmlessNames[imp], n) {
					found = append(found, fmt.Sprintf("is pure and uses %s.%s", imp, n))
				}
			}
		case slices.ContainsFunc(impure, func(i string) bool { return under(imp, i) }):
			found = append(found, "is pure and imports "+imp)
		}
		if dir, ok := own(imp); ok && !slices.Contains(pure, dir) && dir != "docs" {
			found = append(found, fmt.Sprintf("is pure and imports %s, which is not", dir))
		}
	}
	for _, n := range usedNames(s.file, "time") {
		if slices.Contains(clock, n) {
			found = append(found, fmt.Sprintf("is pure and uses time.%s: the time is a parameter", n))
		}
	}
	return found
}

// usedNames gives what a file uses of a package that it imports under the given name.
func usedNames(f *ast.File, pkg string) []string {
	var names []string
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg {
				names = append(names, sel.Sel.Name)
			}
		}
		return true
	})
	return names
}

// row is one line of the table of packages in architecture.md.
type row struct {
	sentence string
	may      []string
}

// readTable reads the table of packages: package, sentence, own packages that it may import.
func readTable(t *testing.T) map[string]row {
	t.Helper()
	text, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("^\\| `([a-z0-9/.]+)` \\| ([^|]+) \\| ([^|]+) \\|$")
	name := regexp.MustCompile("`([a-z0-9/.]+)`")
	table := map[string]row{}
	for _, l := range strings.Split(string(text), "\n") {
		m := line.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		r := row{sentence: m[2]}
		for _, n := range name.FindAllStringSubmatch(m[3], -1) {
			r.may = append(r.may, n[1])
		}
		table[m[1]] = r
	}
	if len(table) < 5 {
		t.Fatalf("architecture.md: only %d rows of the table of packages could be read", len(table))
	}
	return table
}

// rowOf gives the row of a package: its own, or that of a family such as tui/page/...
func rowOf(table map[string]row, dir string) (row, bool) {
	if r, ok := table[dir]; ok {
		return r, true
	}
	for d := path.Dir(dir); d != "."; d = path.Dir(d) {
		if r, ok := table[d+"/..."]; ok {
			return r, true
		}
	}
	return row{}, false
}

func TestArchitectureTableIsComplete(t *testing.T) {
	table, dirs := readTable(t), packageDirs(readSources(t))
	for _, d := range dirs {
		if _, ok := rowOf(table, d); !ok {
			t.Errorf("package %s has no row in docs/architecture.md", d)
		}
	}
	for d := range table {
		if !slices.ContainsFunc(dirs, func(dir string) bool { return allows(d, dir) }) {
			t.Errorf("docs/architecture.md describes package %s, which does not exist", d)
		}
	}
}

func TestTableKeepsDirection(t *testing.T) {
	for d, r := range readTable(t) {
		for _, may := range r.may {
			dir := strings.TrimSuffix(may, "/...")
			if layer(dir) > layer(strings.TrimSuffix(d, "/...")) {
				t.Errorf("docs/architecture.md allows %s to import %s: the table must keep the direction %v",
					d, may, layers)
			}
		}
	}
}
