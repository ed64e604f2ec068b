package docs_test

import (
	"slices"
	"strings"
	"testing"
)

// A rule that finds nothing may be a rule that cannot find. Here each is given what it must find.
func TestRulesFindWhatTheyForbid(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		rule             func(*source) []string
		found            string // empty: nothing to find
	}{
		{"up", "amt/x.go", `package amt; import "amtmedic/diag"`, pointsUp, "imports diag"},
		{"up in a test", "capture/x_test.go", `package capture; import "amtmedic/tui"`, pointsUp, "imports tui"},
		{"down", "diag/x.go", `package diag; import "amtmedic/capture"`, pointsUp, ""},
		{"name with the same beginning", "amt/x.go", `package amt; import "amtmedic/amtx"`, pointsUp, "the layers"},
		{"docs is a leaf", "docs/x.go", `package docs; import "amtmedic/amt"`, pointsUp, "a leaf"},
		{"docs for all", "amt/x.go", `package amt; import "amtmedic/docs"`, pointsUp, ""},
		{"gopacket away", "diag/probe/x.go", `package probe; import "github.com/google/gopacket/layers"`, awayFromHome, "whose home"},
		{"gopacket at home", "capture/x.go", `package capture; import "github.com/google/gopacket/layers"`, awayFromHome, ""},
		{"screen away", "diag/x.go", `package diag; import tea "github.com/charmbracelet/bubbletea"`, awayFromHome, "whose home"},
		{"tests' own library", "tui/x.go", `package tui; import "github.com/charmbracelet/x/vt"`, awayFromHome, "tests only"},
		{"tests' own library in a test", "tui/x_test.go", `package tui; import "github.com/charmbracelet/x/vt"`, awayFromHome, ""},
		{"unknown library", "tui/x.go", `package tui; import "example.com/lib"`, awayFromHome, "no home"},
		{"file in pure", "diag/check/x.go", `package check; import "os"`, touches, "imports os"},
		{"process in pure", "diag/check/x.go", `package check; import "os/exec"`, touches, "imports os/exec"},
		{"web in pure", "amt/x.go", `package amt; import "net/http"`, touches, "imports net/http"},
		{"dial in pure", "diag/x.go", `package diag; import "net"; var _ = net.Dial`, touches, "net.Dial"},
		{"addresses in pure", "diag/x.go", `package diag; import ("net"; "net/netip"); var _ = net.JoinHostPort`, touches, ""},
		{"clock in pure", "diag/x.go", `package diag; import "time"; func f() { _ = time.Now() }`, touches, "time.Now"},
		{"time in pure", "diag/x.go", `package diag; import "time"; var _ time.Time`, touches, ""},
		{"impure below pure", "diag/x.go", `package diag; import "amtmedic/amt/store"`, touches, "amt/store"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := parse(c.file, c.text)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(c.rule(s), "; ")
			if (got == "") != (c.found == "") || !strings.Contains(got, c.found) {
				t.Errorf("found %q, want %q", got, c.found)
			}
		})
	}
}

func TestUndocumentedFindsWhatItShould(t *testing.T) {
	s, err := parse("p/p.go", `package p

func Bare() {}

// Said is said.
func Said() {}

type T struct{}

// Method has a comment.
func (T) Method() {}

func (*T) Other() {}

func (hidden) Public() {}

const (
	A = 1 // behind
	B = 2
)
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range s.file.Decls {
		for _, id := range undocumented(d) {
			got = append(got, id.Name)
		}
	}
	if want := []string{"Bare", "T", "Other", "B"}; !slices.Equal(got, want) {
		t.Errorf("undocumented: got %v, want %v", got, want)
	}
}
