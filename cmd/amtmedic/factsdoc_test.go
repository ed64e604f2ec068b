package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"amtmedic/diag"
)

// update rewrites the pages that are made from code: go test ./cmd/amtmedic -run Doc -update.
var update = flag.Bool("update", false, "rewrite the documents that are made from code")

// compareDoc compares a document with what the code gives, or rewrites it.
func compareDoc(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join("..", "..", "docs", name)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(got), "\r\n", "\n") != want {
		t.Errorf("docs/%s is not what the code gives: run go test ./cmd/amtmedic -run Doc -update", name)
	}
}

// factGroups are the headings of docs/facts.md, by the first word of the keys.
var factGroups = []struct{ prefix, title string }{
	{"case", "The case"}, {"client", "The client"}, {"usb", "The One-Touch key"}, {"dns", "Names"}, {"net", "Ports"},
	{"wire", "Packets"}, {"srv", "The server"}, {"tool", "The tool in use"}, {"db", "The database"},
	{"cred", "Credentials"}, {"cert", "The provisioning certificate"}, {"keys", "Key files"}, {"fleet", "Other clients"},
}

const factsIntro = `# Facts

<!-- Made from the table in diag/key.go: go test ./cmd/amtmedic -run Doc -update -->

Everything that amtmedic knows of a case is a fact: a key, a value, the time at which and the place from which it was
seen. Facts are only ever added. A fact file holds JSON lines, one fact a line; probes write it, cases and bundles hold
it, and ` + "`amtmedic diagnose FILE`" + ` judges it:

    {"at":"2026-11-23T10:00:00Z","vantage":"client","key":"client.prov_state","value":"in"}
    {"key":"client.usb_tried","value":true}

| field | |
|---|---|
| ` + "`at`" + ` | RFC 3339, UTC. Missing: taken at the moment of the diagnosis, which is the latest time in the file |
| ` + "`vantage`" + ` | ` + "`client`, `server` or `third`" + `. Missing: the side that the key names |
| ` + "`key`, `value`" + ` | as below. An unknown key is kept and shown, never judged |
| ` + "`probe`, `evidence`" + ` | optional: who tells, and what it rests on, such as ` + "`wire/client.pcapng#17`" + ` |

Every key also takes ` + "`unknown`" + `: not looked, or could not look. It never means no. ` + "`none`" + ` means looked, and nothing there; an
empty list means looked, and empty. In an object a field that is missing was not looked at; further fields are kept. A
value in seconds (` + "`*_s`" + `) counts back from the time of its fact, or is a length of time. The latest of several facts counts;
different values at one time contradict each other, and the key counts as unknown. A key with a side is another
observation from another vantage; of a key without one the vantage only tells who looked.
`

func factsDoc() string {
	var b strings.Builder
	b.WriteString(factsIntro)
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, g := range factGroups {
		fmt.Fprintf(&b, "\n## %s\n\n| key | values | side | meaning |\n|---|---|---|---|\n", g.title)
		for _, k := range diag.Keys() {
			if first, _, _ := strings.Cut(k.Name, "."); first == g.prefix {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, cell.Replace(k.Form()), k.Side, cell.Replace(k.Meaning))
			}
		}
	}
	return b.String()
}

func TestDocFacts(t *testing.T) {
	doc := factsDoc()
	for _, k := range diag.Keys() {
		if !strings.Contains(doc, "`"+k.Name+"`") {
			t.Errorf("no group of docs/facts.md takes %s", k.Name)
		}
	}
	compareDoc(t, "facts.md", doc)
}
