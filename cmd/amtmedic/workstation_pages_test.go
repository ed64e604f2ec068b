package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pageScreens are the frames that the README and the guide show, by the name in their marks.
var pageScreens = map[string]string{
	"readme":   "rc-dns-split-horizon/verdict",
	"start":    "start/first",
	"verdict":  "rc-pid-unknown/verdict",
	"question": "password/question",
	"waiting":  "waiting/walk",
	"port":     "port/verdict",
	"remedy":   "rc-pid-unknown/preview",
	"symptoms": "start/symptoms",
	"bundle":   "bundle/written",
	"lab":      "rc-amt-disabled/pc",
	"wire":     "../TestWirePage/replay/lines",
	"hello":    "../TestWirePage/replay/hello",
	"delayed":  "../TestCorePages/80x24/delayed",
}

// screenMark is the mark of a screen, and the fenced block behind it if one is there already.
var screenMark = regexp.MustCompile("<!-- screen: ([a-z]+) -->\n(?:\n```text\n(?:[^`].*\n|\n)*```\n)?")

// TestPagesShowRealScreens compares the screens in the README and the guide with the frames that the
// built binary has drawn in a terminal; -update pastes them. It stands in a file behind the one whose
// tests write the frames, so that one run with -update brings both.
func TestPagesShowRealScreens(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "guide", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no guide: %v", err)
	}
	shown := map[string]bool{}
	for _, page := range append(pages, filepath.Join("..", "..", "README.md")) {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(raw), "\r\n", "\n")
		want := screenMark.ReplaceAllStringFunc(text, func(block string) string {
			name := screenMark.FindStringSubmatch(block)[1]
			shown[name] = true
			return withFrame(t, page, name)
		})
		if want == text {
			continue
		}
		if !*update {
			t.Errorf("%s shows another screen than the program draws: go test ./cmd/amtmedic -run Pages -update", page)
			continue
		}
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range pageScreens {
		if !shown[name] {
			t.Errorf("no page shows the screen %s", name)
		}
	}
}

// withFrame gives the mark of a screen with its frame behind it.
func withFrame(t *testing.T, page, name string) string {
	t.Helper()
	golden, ok := pageScreens[name]
	if !ok {
		t.Fatalf("%s: there is no screen %q", page, name)
	}
	frame, err := os.ReadFile(filepath.Join("testdata", "TestWorkstation", filepath.FromSlash(golden)+".golden"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.TrimRight(strings.ReplaceAll(string(frame), "\r\n", "\n"), "\n")
	return "<!-- screen: " + name + " -->\n\n```text\n" + lines + "\n```\n"
}
