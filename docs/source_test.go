package docs_test

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Limits of the house style.
const (
	maxFileLines = 600
	maxFuncLines = 120
)

func TestFilesAndFunctionsStaySmall(t *testing.T) {
	for _, s := range readSources(t) {
		if s.generated() {
			continue
		}
		if n := strings.Count(s.text, "\n"); n > maxFileLines {
			t.Errorf("%s has %d lines, more than %d: split it by jobs", s.name, n, maxFileLines)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || s.test {
				continue
			}
			if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; n > maxFuncLines {
				t.Errorf("%s: %s has %d lines, more than %d", s.where(f.Pos()), f.Name.Name, n, maxFuncLines)
			}
		}
	}
}

// One init function exists in the module: the one that answers for the terminal's background before
// Bubble Tea would ask (docs/decisions, bubbletea).
func TestNoInitFunctions(t *testing.T) {
	count := 0
	for _, s := range readSources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || f.Name.Name != "init" {
				continue
			}
			count++
			lo, hi := s.fset.Position(f.Pos()).Offset, s.fset.Position(f.End()).Offset
			if !under(s.dir, "tui") || !strings.Contains(s.text[lo:hi], "SetHasDarkBackground") {
				t.Errorf("%s: init functions hide what happens at start; call it from main", s.where(f.Pos()))
			}
		}
	}
	if count > 1 {
		t.Errorf("%d init functions, one is allowed", count)
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range readSources(t) {
		if s.test || s.generated() || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			for _, id := range undocumented(d) {
				t.Errorf("%s: exported %s has no comment", s.where(id.Pos()), id.Name)
			}
		}
	}
}

// undocumented gives the exported names of a declaration that no comment speaks about. A comment
// above a group of constants or variables speaks for the group, one behind a line for the line.
func undocumented(d ast.Decl) []*ast.Ident {
	var bare []*ast.Ident
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || exportedType(d.Recv.List[0].Type)) {
			bare = append(bare, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
					bare = append(bare, spec.Name)
				}
			case *ast.ValueSpec:
				for _, n := range spec.Names {
					if n.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
						bare = append(bare, n)
					}
				}
			}
		}
	}
	return bare
}

// exportedType reports whether a receiver's type is exported.
func exportedType(e ast.Expr) bool {
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	doc, name := map[string]bool{}, map[string]string{}
	for _, s := range readSources(t) {
		if s.test {
			continue
		}
		doc[s.dir] = doc[s.dir] || s.file.Doc != nil
		name[s.dir] = s.file.Name.Name
	}
	empty := []string{"util", "utils", "common", "helper", "helpers", "types", "models", "misc", "shared"}
	for dir, ok := range doc {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
		if slices.Contains(empty, name[dir]) || slices.Contains(empty, path.Base(dir)) {
			t.Errorf("package %s: the name says nothing about what it holds", dir)
		}
	}
}

func TestNothingIsLeftOpen(t *testing.T) {
	open := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)
	for _, s := range readSources(t) {
		for _, g := range s.file.Comments {
			for _, c := range g.List {
				if c.Pos().IsValid() && open.MatchString(c.Text) {
					t.Errorf("%s: an open end belongs into an issue, not into a comment", s.where(c.Pos()))
				}
			}
		}
	}
}

// Paths of one developer's machine mean nothing on another.
func TestNoPathsOfOneMachine(t *testing.T) {
	paths := regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])(/(root|home|work|Users)/[\w.]|[A-Z]:\\Users\\\w)`)
	madeUp := regexp.MustCompile(`/home/(a|b|user|you|engineer)\b`) // homes in samples
	for _, name := range treeFiles(t) {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 1<<20 || !utf8.Valid(text) {
			continue
		}
		for i, line := range strings.Split(string(text), "\n") {
			if m := paths.FindString(line); m != "" && !madeUp.MatchString(line) {
				t.Errorf("%s:%d names a path of one machine: %q", name, i+1, m)
			}
		}
	}
}
