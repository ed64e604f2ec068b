package engine

import (
	"os"
	"strings"
	"testing"
)

// TestPageNamesEverything: docs/simulator.md has a row for every class, with its first release.
func TestPageNamesEverything(t *testing.T) {
	b, err := os.ReadFile("../../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.SplitSeq(string(b), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for name := range strings.SplitSeq(cells[1], ",") {
			rows[strings.TrimSpace(name)] = strings.TrimSpace(cells[2])
		}
	}
	for name, c := range classes {
		want := itoa(c.since[0]) + "." + itoa(c.since[1])
		if rows[name] != want {
			t.Errorf("%s: the page says %q, the engine %s", name, rows[name], want)
		}
		delete(rows, name)
	}
	for name := range rows {
		if strings.HasPrefix(name, "AMT_") || strings.HasPrefix(name, "CIM_") || strings.HasPrefix(name, "IPS_") {
			t.Errorf("%s: no such class", name)
		}
	}
}
