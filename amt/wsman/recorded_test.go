package wsman

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// recorded gives the folder of answers that were recorded from firmware by other people.
func recorded(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("AMTMEDIC_FOREIGN_DATA")
	if dir == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("AMTMEDIC_FOREIGN_DATA is not set")
		}
		t.Skip("AMTMEDIC_FOREIGN_DATA does not name the folder of recorded answers")
	}
	return filepath.Join(dir, "wsman")
}

func recordedFiles(t testing.TB) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(recorded(t), func(p string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(p) == ".xml" {
			names = append(names, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 297 {
		t.Fatalf("%d recorded answers, want 297", len(names))
	}
	sort.Strings(names)
	return names
}

// Every recorded answer is read, and each of its elements, attributes and texts is there as Python's
// parser finds it.
func TestRecordedAnswersAreReadWithoutLoss(t *testing.T) {
	names := recordedFiles(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("python3 is not installed")
	}
	cmd := exec.Command(python, filepath.Join("testdata", "tree.py"))
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	trees := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(trees) != len(names) {
		t.Fatalf("%d trees for %d files", len(trees), len(names))
	}
	for i, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(data); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		root, err := ParseTree(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ours, err := json.Marshal(asList(&root))
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(ours, &a) != nil || json.Unmarshal(trees[i], &b) != nil {
			t.Fatalf("%s: not JSON", name)
		}
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if !bytes.Equal(x, y) {
			t.Errorf("%s\n ours   %.600s\n python %.600s", name, x, y)
		}
	}
}

func asList(n *Node) []any {
	attrs := [][]string{}
	for _, a := range n.Attrs {
		attrs = append(attrs, []string{a.Space, a.Name, a.Value})
	}
	sort.Slice(attrs, func(i, j int) bool { return strings.Join(attrs[i], "\x00") < strings.Join(attrs[j], "\x00") })
	children := []any{}
	for i := range n.Nodes {
		children = append(children, asList(&n.Nodes[i]))
	}
	return []any{n.Space, n.Local, attrs, n.Text, children}
}

// Every recorded answer also passes as what its Action says it is.
func TestRecordedAnswersByKind(t *testing.T) {
	dir := recorded(t)
	kinds := map[string]int{}
	for _, name := range recordedFiles(t) {
		a := parseFile(t, name)
		rel, _ := filepath.Rel(dir, name)
		content := a.Content()
		var err error
		kind := "empty"
		switch {
		case content == nil:
		case content.Local == "EnumerateResponse":
			kind = "enumerate"
			_, err = a.Context()
		case content.Local == "PullResponse":
			kind = "pull"
			_, _, err = a.Pulled()
		case content.Local == "ResourceCreated":
			kind = "created"
			_, err = a.Created()
		case strings.HasSuffix(content.Local, "_OUTPUT"):
			kind = "output"
			_, err = a.Output("", strings.TrimSuffix(content.Local, "_OUTPUT"))
		default:
			kind = "instance"
			_, err = a.Instance(content.Local)
		}
		kinds[kind]++
		if err != nil && !strings.Contains(err.Error(), "return value") {
			t.Errorf("%s: %v", rel, err)
		}
	}
	t.Log(kinds)
	for _, kind := range []string{"empty", "enumerate", "pull", "created", "output", "instance"} {
		if kinds[kind] == 0 {
			t.Errorf("no recorded answer is of kind %s", kind)
		}
	}
}

func parseFile(t testing.TB, name string) *Answer {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Parse(data)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return a
}
