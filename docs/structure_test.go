// Package docs_test holds the module to what docs/architecture.md and docs/CONTRIBUTING.md promise:
// it reads the source of every package. It reads import lines with go/parser; a test that asks
// "go list" is served from the test cache and misses changes.
package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the path of this module, root the folder it lies in.
const (
	module = "amtmedic"
	root   = ".."
)

// source is one Go file of the module.
type source struct {
	name    string // path from the root, with slashes
	dir     string // package's folder, "." for the root
	test    bool
	text    string
	file    *ast.File
	fset    *token.FileSet
	imports []string
}

// where gives file and line of a place in the source.
func (s *source) where(p token.Pos) string {
	return fmt.Sprintf("%s:%d", s.name, s.fset.Position(p).Line)
}

// generated reports whether a program made the file.
func (s *source) generated() bool { return ast.IsGenerated(s.file) }

// readSources parses every Go file of the module.
func readSources(t *testing.T) []*source {
	t.Helper()
	var all []*source
	for _, name := range treeFiles(t) {
		if path.Ext(name) != ".go" || strings.Contains("/"+name, "/testdata/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		s, err := parse(name, string(text))
		if err != nil {
			t.Errorf("parse: %v", err)
			continue
		}
		all = append(all, s)
	}
	if len(all) < 10 {
		t.Fatalf("only %d Go files found below %s", len(all), root)
	}
	return all
}

// parse makes a source of a file's text.
func parse(name, text string) (*source, error) {
	s := &source{name: name, dir: path.Dir(name), text: text,
		test: strings.HasSuffix(name, "_test.go"), fset: token.NewFileSet()}
	var err error
	if s.file, err = parser.ParseFile(s.fset, name, text, parser.ParseComments); err != nil {
		return nil, err
	}
	for _, i := range s.file.Imports {
		s.imports = append(s.imports, strings.Trim(i.Path.Value, `"`))
	}
	return s, nil
}

// treeFiles lists the files of the work tree, folders that begin with a dot (but .ci) left out.
func treeFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if b := d.Name(); strings.HasPrefix(b, ".") && b != root && b != ".ci" {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Name() == ".git" { // a linked work tree has a file of that name
			return nil
		}
		rel, err := filepath.Rel(root, p)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// packageDirs gives the folders that hold a package with code besides its tests.
func packageDirs(all []*source) []string {
	var dirs []string
	for _, s := range all {
		if !s.test && !slices.Contains(dirs, s.dir) {
			dirs = append(dirs, s.dir)
		}
	}
	slices.Sort(dirs)
	return dirs
}

// own gives the package's folder of an import of this module, and whether it is one.
func own(imp string) (string, bool) {
	dir, ok := strings.CutPrefix(imp, module+"/")
	return dir, ok
}

// outside reports whether an import is of another module: its first element has a dot.
func outside(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return strings.Contains(first, ".")
}

// under reports whether pkg is dir or lies below it. A dir that ends in "/..." means only what lies
// below.
func under(pkg, dir string) bool {
	if below, ok := strings.CutSuffix(dir, "/..."); ok {
		return strings.HasPrefix(pkg, below+"/")
	}
	return pkg == dir || strings.HasPrefix(pkg, dir+"/")
}
