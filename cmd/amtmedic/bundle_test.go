package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"amtmedic/amt"
)

// A bundle that was changed or cut on its way is told by exit code and problems, never judged.
func TestDamagedBundles(t *testing.T) {
	e, stdout, stderr := testEnv(t)
	folder := filepath.Join(os.Getenv("AMTMEDIC_HOME"), "case-20261125-1000-aa")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(folder, "case.json"), `{"format":"amtmedic-case/1","id":"case-20261125-1000-aa","created":"2026-11-25T10:00:00Z"}`)
	write(filepath.Join(folder, "facts.jsonl"), docFacts[1])
	path := filepath.Join(t.TempDir(), "case.zip")
	if code := run(e, []string{"bundle", "create", path}); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	inMember := func(name string) []byte {
		b := bytes.Clone(good)
		b[bytes.Index(b, []byte(name))+len(name)+20] ^= 0x10 // behind its local header
		return b
	}
	for _, c := range []struct {
		name                   string
		data                   []byte
		verify, show, diagnose int
		code                   string
	}{
		{"sound", good, exitOK, exitOK, exitFound, ""},
		{"facts changed", inMember("facts.jsonl"), exitFound, exitFound, exitUsage, "member-damaged"},
		{"report changed", inMember("report.html"), exitFound, exitFound, exitFound, "member-damaged"},
		{"manifest changed", inMember("manifest.json"), exitFound, exitFound, exitUsage, "manifest"},
		{"cut", good[:len(good)-100], exitUsage, exitUsage, exitUsage, ""},
		{"empty", nil, exitUsage, exitUsage, exitUsage, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(path, string(c.data))
			for word, want := range map[string]int{"verify": c.verify, "show": c.show} {
				from := len(stdout.String())
				if code := run(e, []string{"bundle", word, path, "--json"}); code != want {
					t.Errorf("%s: exit %d, want %d", word, code, want)
				}
				var o struct{ Problems []amt.Problem }
				if want != exitUsage {
					if err := json.Unmarshal([]byte(stdout.String()[from:]), &o); err != nil {
						t.Fatal(err)
					}
				}
				if (c.code == "") != (len(o.Problems) == 0) || (c.code != "" && o.Problems[0].Code != c.code) {
					t.Errorf("%s: problems %+v", word, o.Problems)
				}
			}
			if code := run(e, []string{"diagnose", path, "--json"}); c.name != "empty" && code != c.diagnose {
				t.Errorf("diagnose: exit %d, want %d: %s", code, c.diagnose, stderr.String())
			}
		})
	}
}
