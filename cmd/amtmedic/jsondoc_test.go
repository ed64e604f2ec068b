package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"amtmedic/amt/keys"
	"amtmedic/amt/setupbin"
)

// jsonDoc is docs/json.md: the fields of each section, as paths.
type jsonDoc map[string]map[string]bool

func readJSONDoc(t *testing.T) jsonDoc {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	doc, section := jsonDoc{}, ""
	field := regexp.MustCompile("`([a-z0-9_.\\[\\]]+)`")
	for line := range strings.Lines(string(b)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(title)
			doc[section] = map[string]bool{}
		}
		if cells := strings.Split(line, "|"); len(cells) > 2 && section != "" {
			for _, m := range field.FindAllStringSubmatch(cells[1], -1) {
				doc[section][m[1]] = true
			}
		}
	}
	return doc
}

// has reports whether a path of a section is documented: by itself, as part of a field that is
// documented as a whole, or as a shape with a section of its own.
func (d jsonDoc) has(section, path string) bool {
	if d[section][path] {
		return true
	}
	if rest, ok := strings.CutPrefix(path, "hello."); ok && section == "capture scan" {
		return d.has("hello decode", rest)
	}
	if head, rest, ok := strings.Cut(path, "[]."); ok && slices.Contains([]string{"problems", "notes", "taken", "changes"}, head) && d[section][head] {
		return d["Problem"][rest]
	}
	for _, whole := range []string{"added[]", "removed[]", "changed[].before", "changed[].after", "contradictions[].facts[]"} {
		if strings.HasPrefix(path, whole+".") { // facts
			return d[section][strings.TrimSuffix(whole, "[]")]
		}
	}
	return false
}

// paths lists the fields of a JSON value.
func paths(v any, at string, to map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			name := strings.TrimPrefix(at+"."+k, ".")
			if !isContainer(e) {
				to[name] = true
			}
			paths(e, name, to)
		}
	case []any:
		for _, e := range v {
			if isContainer(e) {
				paths(e, at+"[]", to)
			} else {
				to[at] = true
			}
		}
		if len(v) == 0 {
			to[strings.TrimSuffix(at, "[]")] = true
		}
	}
}

func isContainer(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// check compares the fields of JSON lines with a section.
func (d jsonDoc) check(t *testing.T, section string, lines []byte) {
	t.Helper()
	if d[section] == nil {
		t.Fatalf("docs/json.md has no section %q", section)
	}
	n := 0
	sc := bufio.NewScanner(bytes.NewReader(lines))
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var v any
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatalf("%s: not a JSON line: %.100s", section, sc.Bytes())
		}
		n++
		found := map[string]bool{}
		paths(v, "", found)
		for _, p := range slices.Sorted(maps.Keys(found)) {
			if !d.has(section, p) && !d.hasBelow(section, p) {
				t.Errorf("docs/json.md does not tell of %s in the section %q", p, section)
			}
		}
	}
	if n == 0 {
		t.Errorf("%s: no JSON line", section)
	}
}

// hasBelow reports whether an empty list or null is documented by the fields of its entries.
func (d jsonDoc) hasBelow(section, path string) bool {
	if rest, ok := strings.CutPrefix(path, "hello."); ok && section == "capture scan" {
		section, path = "hello decode", rest
	}
	for p := range d[section] {
		if strings.HasPrefix(p, path+"[]") || strings.HasPrefix(p, path+".") {
			return true
		}
	}
	return false
}

// TestDocJSON runs commands with --json and compares the fields with docs/json.md.
func TestDocJSON(t *testing.T) {
	doc := readJSONDoc(t)
	e, stdout, stderr := testEnv(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	home := os.Getenv("AMTMEDIC_HOME")
	for id, facts := range map[string]string{"case-20261125-1000-aa": docFacts[0], "case-20261125-1100-bb": docFacts[1]} {
		if err := os.MkdirAll(filepath.Join(home, id), 0o700); err != nil {
			t.Fatal(err)
		}
		at := map[bool]string{true: "10", false: "11"}[id[14:16] == "10"]
		for name, text := range map[string]string{"facts.jsonl": facts,
			"case.json": `{"format":"amtmedic-case/1","id":"` + id + `","created":"2026-11-25T` + at + `:00:00Z"}`} {
			if err := os.WriteFile(filepath.Join(home, id, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	keyFile := file("keys.csv", "id,pid,pps,current_password,admin_password,used\n1,4KRG65QT,,,,\n2,short,x,,,\n")
	mapFile := file("map.csv", "uuid,fqdn,profile\n4c4c4544-0058-3910-8059-b7c04f4b5a31,pc.corp.example,default\nbad,x,\n")
	profileFile := file("office.yaml", "name: office\nnetwork_password: {rule: fixed, value: S3cret-Pass!}\nacl: [{user: joe, realms: [2]}]\ntls: {mode: mutual, names: [corp.example]}\n")
	psk := file("psk.hex", "0000020003000000 44454c4c580010398059b7c04f4b5a31 344b524736355154")
	a, b := filepath.Join(dir, "a.zip"), filepath.Join(dir, "b.zip")
	sealed, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dbCopy := filepath.Join(dir, "copy.age")
	for _, c := range []struct {
		section string
		args    []string
	}{
		{"hello decode", []string{"hello", "decode", "--hex", psk}},
		{"hello decode", []string{"hello", "decode", "--hex", file("long.hex", "010003000000000044454c4c580010398059b7c04f4b5a3102 0114"+strings.Repeat("ab", 20)+" 0920aa")}},
		{"hello decode", []string{"hello", "decode", "--hex", file("http.hex", "47455420 2f20485454502f312e310d0a0d0a0000000000000000")}},
		{"hello send", []string{"hello", "send", "--to", "127.0.0.1:1", "--uuid", "4c4c4544-0058-3910-8059-b7c04f4b5a31", "--pid", "4KRG65QT"}},
		{"capture scan", []string{"capture", "scan", filepath.Join("..", "..", "capture", "testdata", "hellos.pcap")}},
		{"keys check", []string{"keys", "generate", "--count", "2", "--reveal"}},
		{"keys check", []string{"keys", "check", "4KRG65QX", "1234"}},
		{"keys import", []string{"keys", "import", keyFile}},
		{"keys import --preview", []string{"keys", "import", "--preview", file("other.csv", "id,pid,pps\n1,44444444,"+strings.Repeat("0", 32)+"\n")}},
		{"keys import", []string{"discover", "import", mapFile}},
		{"keys otp", []string{"keys", "otp", file("otp.csv", "uuid,otp\n4c4c4544-0058-3910-8059-b7c04f4b5a31,OneTime-1234\n")}},
		{"setupbin show", []string{"setupbin", "show", "--reveal", file("setup.bin", docSetupBin(t))}},
		{"usbkey inspect", []string{"usbkey", "prepare", filepath.Join(dir, "key.img"), "--file", filepath.Join(dir, "setup.bin"), "--size", "20"}},
		{"bundle", []string{"bundle", "create", a, "--case", "case-20261125-1000-aa"}},
		{"bundle", []string{"bundle", "create", b}},
		{"bundle", []string{"bundle", "show", a}},
		{"bundle", []string{"bundle", "verify", b}},
		{"bundle", []string{"bundle", "diff", a, b}},
		{"bundle", []string{"bundle", "open", b}},
		{"verdict", []string{"diagnose", b}},
		{"verdict", []string{"diagnose", file("pre.jsonl", docFacts[0])}},
		{"lab --list", []string{"lab", "--list"}},
		{"profiles check", []string{"profiles", "check", profileFile}},
		{"profiles import", []string{"profiles", "import", profileFile}},
		{"profiles list", []string{"profiles", "list"}},
		{"web token list", []string{"web", "token", "create", "console-1", "--days", "7"}},
		{"web token list", []string{"web", "token", "list"}},
		{"web audit", []string{"web", "audit", "list"}},
		{"web audit", []string{"web", "audit", "trim", "--rows", "1000", "--yes"}},
		{"profiles show", []string{"profiles", "show", "office", "--reveal"}},
		{"ca show", []string{"ca", "show", "--make"}},
		{"ca list", []string{"ca", "list"}},
		{"fleet report", []string{"fleet", "report"}},
		{"fleet export", []string{"fleet", "export", "-"}},
		{"fleet import", []string{"fleet", "import", "--preview", file("names.json", `{"guid":"4c4c4544-0058-3910-8059-b7c04f4b5a30","fqdn":"new.corp.example"}{"uuid":"x","fqdn":"pc.corp.example"}`)}},
		{"fleet replace", []string{"fleet", "replace", "4c4c4544-0058-3910-8059-b7c04f4b5a31", "4c4c4544-0058-3910-8059-b7c04f4b5a32", "--yes"}},
		{"fleet history", []string{"fleet", "history", "4c4c4544-0058-3910-8059-b7c04f4b5a31"}},
		{"db check", []string{"db", "check"}},
		{"db rotate-key", []string{"db", "rotate-key"}},
		{"db rotate-data-key", []string{"db", "rotate-data-key", "--grace", "1ms"}},
		{"db export", []string{"db", "export", dbCopy, "--recipient", sealed.Recipient().String()}},
		{"db import", []string{"db", "import", dbCopy, "--preview", "--identity", file("identity.txt", sealed.String()+"\n")}},
		{"explain", []string{"explain", "rc-dns-split-horizon"}},
		{"explain", []string{"explain", "chk-pid"}},
		{"explain", []string{"explain", "sym-system-missing"}},
		{"explain", []string{"explain", "ok-provisioned"}},
	} {
		if c.section == "ca list" { // it needs one to list
			if code := run(e, []string{"ca", "export", "--manager", filepath.Join(dir, "manager.pem")}); code != exitOK {
				t.Fatal(stderr.String())
			}
		}
		from := len(stdout.String())
		if code := run(e, append(c.args, "--json")); code == exitFault || code == exitUsage {
			t.Errorf("%v: exit %d, %s", c.args, code, stderr.String())
			continue
		}
		doc.check(t, c.section, []byte(stdout.String()[from:]))
	}
	for _, path := range []string{a, b} {
		doc.check(t, "verdict", verdictOf(t, path))
	}
}

// docSetupBin gives a setup.bin with one record.
func docSetupBin(t *testing.T) string {
	t.Helper()
	pair, err := keys.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f, err := setupbin.Build(setupbin.V10, [][]setupbin.Variable{setupbin.FromKeys(keys.Row{Pair: pair})}, setupbin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return string(f.Bytes())
}

// verdictOf gives verdict.json of a bundle on one line.
func verdictOf(t *testing.T, path string) []byte {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := z.Open("verdict.json")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	var line bytes.Buffer
	if err == nil {
		err = json.Compact(&line, b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return line.Bytes()
}

// docFacts are two cases for the documents of bundles: undecided, and decided.
var docFacts = [2]string{
	`{"at":"2026-11-25T10:00:00Z","key":"client.prov_state","value":"pre"}
{"at":"2026-11-25T10:00:00Z","key":"client.sku","value":"amt"}
`,
	`{"at":"2026-11-25T11:00:00Z","key":"client.prov_state","value":"in"}
{"at":"2026-11-25T11:00:01Z","key":"case.method","value":"psk"}
{"at":"2026-11-25T11:00:04Z","vantage":"server","key":"wire.server.hello","value":{"version":2,"uuid":"4c4c4544-0058-3910-8059-b7c04f4b5a31","pid":"4WMAPX70"}}
{"at":"2026-11-25T11:00:05Z","key":"db.pid_map","value":"none"}
`}

// Fields that no run above happens to print are found in the source: every name in a json tag of
// this package stands somewhere in docs/json.md.
func TestDocJSONNamesEveryTag(t *testing.T) {
	names := map[string]bool{}
	for _, section := range readJSONDoc(t) {
		for p := range section {
			parts := regexp.MustCompile(`[.\[\]]+`).Split(p, -1)
			for _, n := range parts {
				names[n] = true
			}
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok || field.Tag == nil {
				return true
			}
			tag, _, _ := strings.Cut(reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("json"), ",")
			if tag != "" && tag != "-" && !names[tag] {
				t.Errorf("%s: docs/json.md does not tell of the field %s", name, tag)
			}
			return true
		})
	}
}
