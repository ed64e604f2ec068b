package main

import (
	"bytes"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"amtmedic/diag"
	"amtmedic/diag/check"
	"amtmedic/diag/probe"
	"amtmedic/diag/remedy"
)

// shown is one text that an engineer can be shown, and where it stands.
type shown struct{ where, text string }

// catalogueTexts gives the texts of checks, causes, symptoms, questions and instructions as the
// packages make them, for every cause and its every remedy, with and without a known AMT version.
func catalogueTexts() []shown {
	var out []shown
	add := func(where string, texts ...string) {
		for _, t := range texts {
			if s := (shown{where, t}); t != "" && !slices.Contains(out[max(0, len(out)-60):], s) {
				out = append(out, s)
			}
		}
	}
	for _, c := range check.Checks() {
		add(c.ID, c.Title, c.Short, c.Why, c.How)
	}
	for _, s := range check.Symptoms() {
		add(s.ID, s.Text, s.Look)
	}
	for _, s := range symptomLines() {
		add(s.ID, s.Text, s.Part, s.Hint)
	}
	for _, c := range check.Causes() {
		add(c.ID, c.Sentence, c.Change)
		for _, r := range c.Remedies {
			add(r.ID, r.Text)
			for _, version := range []string{"", "2.1", "3.2.1", "10.0", "16.1"} {
				add(r.ID, remedy.ByHand(r, nil, diag.Fact{Key: "client.amt_version", Value: version})...)
			}
		}
	}
	for _, q := range probe.Questions() {
		add(q.ID, q.Title, q.Why)
		add(q.ID, q.How...)
		for _, o := range q.Options {
			add(q.ID, o.Label, o.Follows)
		}
		if q.Field != nil {
			add(q.ID, q.Field.Label, q.Field.Hint)
		}
	}
	return out
}

// literalTexts gives the string literals of every Go file of the module that is no test: hints,
// errors, plans and screens stand among them.
func literalTexts(t *testing.T) []shown {
	t.Helper()
	var out []shown
	set := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || path != "../.." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil {
					out = append(out, shown{set.Position(l.Pos()).String(), s})
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// help runs a command with -h and gives what it prints.
func help(t *testing.T, words ...string) string {
	t.Helper()
	var out, talk bytes.Buffer
	e := &env{ctx: context.Background(), stdin: strings.NewReader(""), stdout: &out, stderr: &talk}
	if code := run(e, append(words, "-h")); code != exitOK {
		t.Fatalf("%s -h: exit %d: %s", strings.Join(words, " "), code, talk.String())
	}
	return out.String()
}

// table gives the words that may stand behind each command: its sub-commands, or none when it has
// none and takes operands.
func table(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{"help": nil}
	for _, c := range commands() {
		out[c.name] = nil
		for _, m := range regexp.MustCompile(`(?m)^  amtmedic `+c.name+` ([a-z-]+)`).FindAllStringSubmatch(help(t, c.name), -1) {
			out[c.name] = append(out[c.name], m[1])
		}
	}
	return out
}

var (
	named = regexp.MustCompile(`\bamtmedic ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?`)
	// ends is where the flags of a command end: a sentence, the next part of it, the next command.
	ends = regexp.MustCompile(`[.,;:] |, | and | or |\bamtmedic `)
	// other are sub-commands that the command line has a place for; named without "amtmedic" too.
	other   = regexp.MustCompile(`\b(mei|usbkey|setupbin|cert|sim) (status|restart-hello|enable|inspect|prepare|repair|show|write|check|create-lab)\b`)
	flagged = regexp.MustCompile(`(?:^| )--?([a-z][a-z-]*)`)
)

// prose are literals in which a word behind "amtmedic" is none of its commands.
var prose = []string{
	"amtmedic finds out why",  // the first line of the help page
	"amtmedic key file",       // the head of key files
	"amtmedic database",       // the head of copies of a database
	"amtmedic practice world", // the domain of the practice world's keys
	"amtmedic management authority",
	"amtmedic setup server", // as the system's list of services shows it
	"start amtmedic with --db",
}

// TestTextsNameCommandsThatExist: whatever command a text tells the engineer to type, this build
// has it, with its sub-command and its flags.
func TestTextsNameCommandsThatExist(t *testing.T) {
	table := table(t)
	if !slices.Equal(table["keys"], []string{"generate", "check", "import", "otp", "export"}) {
		t.Fatalf("keys has %q", table["keys"])
	}
	found := 0
	for _, s := range append(catalogueTexts(), literalTexts(t)...) {
		if slices.ContainsFunc(prose, func(p string) bool { return strings.Contains(s.text, p) }) {
			continue
		}
		for _, at := range named.FindAllStringSubmatchIndex(s.text, -1) {
			found++
			m := named.FindStringSubmatch(s.text[at[0]:at[1]])
			rest := ends.Split(s.text[at[1]:], 2)[0]
			rest, _, _ = strings.Cut(rest, " -- ") // what follows is for serve
			subs, ok := table[m[1]]
			switch {
			case !ok:
				t.Errorf("%s: there is no command %q: %q", s.where, m[1], s.text)
				continue
			case len(subs) > 0 && !slices.Contains(subs, m[2]):
				t.Errorf("%s: %s has no %q: %q", s.where, m[1], m[2], s.text)
				continue
			}
			words := []string{m[1]}
			if len(subs) > 0 {
				words = append(words, m[2])
			}
			if third := regexp.MustCompile(`^ ([a-z][a-z-]*)`).FindStringSubmatch(rest); third != nil && strings.Contains(help(t, words...), "  amtmedic "+strings.Join(words, " ")+" "+third[1]) {
				words = append(words, third[1])
			}
			for _, f := range flagged.FindAllStringSubmatch(rest, -1) {
				if !regexp.MustCompile(`(?m)^  -` + f[1] + `\b`).MatchString(help(t, words...)) {
					t.Errorf("%s: %s has no --%s: %q", s.where, strings.Join(words, " "), f[1], s.text)
				}
			}
		}
		for _, m := range other.FindAllStringSubmatch(s.text, -1) {
			if subs, ok := table[m[1]]; !ok || !slices.Contains(subs, m[2]) {
				t.Errorf("%s: there is no command %q: %q", s.where, m[0], s.text)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands are named: the texts were not read", found)
	}
}

// TestTextsAreForPeople: no text shouts, quotes the catalogue's own shorthand, or leads to an id
// that has no page.
func TestTextsAreForPeople(t *testing.T) {
	shorthand := regexp.MustCompile(`unverified|\bR-[a-z]|\bver-\d|\btable \d|\bstages? \d|->|[a-z]!|\bsrv\.log|\(uuid\)`)
	ids := regexp.MustCompile(`\b(?:chk|rc|sym)-[a-z0-9-]+`)
	known := map[string]bool{}
	for _, id := range catalogueIDs() {
		known[id] = true
	}
	for _, s := range catalogueTexts() {
		if m := shorthand.FindString(s.text); m != "" {
			t.Errorf("%s: %q stands in %q", s.where, m, s.text)
		}
		for _, id := range ids.FindAllString(s.text, -1) {
			if !known[id] {
				t.Errorf("%s: %s has no page: %q", s.where, id, s.text)
			}
		}
	}
	keys := slices.Collect(maps.Keys(factKeys()))
	for _, s := range check.Symptoms() {
		for _, text := range []string{s.Text, s.Look} {
			if r, _ := utf8.DecodeRuneInString(text); !unicode.IsUpper(r) && r != '"' && !strings.HasPrefix(text, "chk-") {
				t.Errorf("%s begins small: %q", s.ID, text)
			}
			for _, k := range keys {
				if strings.Contains(text, k) {
					t.Errorf("%s names the fact %s: %q", s.ID, k, text)
				}
			}
		}
	}
}

// factKeys are the keys that checks read.
func factKeys() map[string]bool {
	out := map[string]bool{}
	for _, c := range check.Checks() {
		for _, k := range c.Needs {
			out[k] = true
		}
	}
	return out
}
