package provision

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The sample of docs/serving.md does what it says there.
func TestSampleScript(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the sample is for sh")
	}
	page, err := os.ReadFile("../../docs/serving.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "<!-- script: sh -->")
	_, rest, _ = strings.Cut(rest, "```text\n")
	sample, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the page has no sample")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "properties.sh")
	for name, text := range map[string]string{path: sample, filepath.Join(dir, "names.txt"): strings.ToUpper(asked.UUID.String()) + " pc-7.corp.example\n"} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if p, ok, err := FromScript(path, 0).Properties(t.Context(), asked); !ok || err != nil || p.FQDN != "pc-7.corp.example" {
		t.Errorf("%+v, %v, %v", p, ok, err)
	}
	other := asked
	other.UUID[0]++
	if _, ok, err := FromScript(path, 0).Properties(t.Context(), other); ok || err != nil {
		t.Errorf("an unknown client: %v, %v", ok, err)
	}
}
