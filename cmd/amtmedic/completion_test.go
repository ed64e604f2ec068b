package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every command says what its flags are, and shows an example that it would take.
func TestEveryCommandHasExamples(t *testing.T) {
	pages := commandPages()
	if len(pages) < 25 {
		t.Fatalf("only %d commands describe themselves", len(pages))
	}
	for _, p := range pages {
		if p.fs == nil {
			if len(p.sub) == 0 || len(examples[p.words]) > 0 {
				t.Errorf("%s: words behind it %v, examples %v", p.words, p.sub, examples[p.words])
			}
			continue
		}
		if !strings.HasPrefix(p.fs.Name(), p.words) {
			t.Errorf("%s calls itself %q", p.words, p.fs.Name())
		}
		if len(examples[p.words]) == 0 {
			t.Errorf("amtmedic %s has no example: add one to the table in pages.go", p.words)
		}
		for _, ex := range examples[p.words] {
			checkExample(t, &p, ex)
		}
		if got := examplesOf(p.fs.Name()); !slices.Equal(got, examples[p.words]) {
			t.Errorf("%q shows the examples %v", p.fs.Name(), got)
		}
	}
}

// checkExample: the example runs this command, and with flags that it has.
func checkExample(t *testing.T, p *commandPage, ex string) {
	t.Helper()
	_, rest, ok := strings.Cut(ex, strings.TrimSpace("amtmedic "+p.words))
	if !ok {
		t.Errorf("%q is no example of %s", ex, p.words)
	}
	flags := p.fs
	for _, w := range strings.Fields(rest) {
		if w == "--" {
			flags, _, _ = serveFlags() // "service install -- FLAGS OF SERVE"
			continue
		}
		if strings.ContainsAny(w, "|>()") {
			return
		}
		name := strings.TrimLeft(w, "-")
		if strings.HasPrefix(w, "-") && name != "" && flags.Lookup(name) == nil {
			t.Errorf("%q: there is no flag %s", ex, w)
		}
	}
}

func TestHelpShowsExamples(t *testing.T) {
	for _, args := range [][]string{{"lab", "--help"}, {"hello", "decode", "-h"}, {"--plain", "-h"}} {
		e, out, _ := testEnv(t)
		if code := run(e, args); code != exitOK || !strings.Contains(out.String(), "examples:\n    amtmedic") {
			t.Errorf("%v: exit %d, %s", args, code, out)
		}
	}
}

// completionFile prints a completion into a file.
func completionFile(t *testing.T, shell string) string {
	t.Helper()
	e, out, errs := testEnv(t)
	if code := run(e, []string{"completion", shell}); code != exitOK {
		t.Fatal(errs)
	}
	path := filepath.Join(t.TempDir(), "completion")
	if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// needs finds a program that is not ours, or skips.
func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip("needs " + program)
	}
	return path
}

// A real bash completes what a person has begun to type.
func TestBashCompletes(t *testing.T) {
	bash, file := needs(t, "bash"), completionFile(t, "bash")
	if out, err := exec.Command(bash, "-n", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const ask = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _amtmedic; printf '%s\n' "${COMPREPLY[@]}"`
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"dia"}, "diagnose"},
		{[]string{"hello", ""}, "decode send --help"},
		{[]string{"hello", "decode", "--h"}, "--hex --help"},
		{[]string{"lab", "--fault", "rc-dns-split"}, "rc-dns-split-horizon"},
		{[]string{"lab", "--fault", "rc-dns-split-horizon", "--hea"}, "--headless"},
		{[]string{"diagnose", "--format", "j"}, "json junit"},
		{[]string{"diagnose", "facts.jsonl", "--forma"}, "--format"},
		{[]string{"explain", "ok-pro"}, "ok-provisioned"},
		{[]string{"completion", "f"}, "fish"},
		{[]string{"--them"}, "--theme"},
		{[]string{"capture", "scan", "client.pc"}, ""}, // bash then offers files
		{[]string{"serve", "--db", ""}, ""},
	} {
		out, err := exec.Command(bash, append([]string{"--norc", "-c", ask, "bash", file, "amtmedic"}, c.words...)...).CombinedOutput()
		if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != c.want {
			t.Errorf("%v: %q, want %q (%v)", c.words, got, c.want, err)
		}
	}
}

// The other shells read their files, where they are.
func TestOtherShellsReadTheirCompletion(t *testing.T) {
	for _, c := range []struct{ shell, program string }{{"zsh", "zsh"}, {"fish", "fish"}} {
		t.Run(c.shell, func(t *testing.T) {
			file := completionFile(t, c.shell)
			if out, err := exec.Command(needs(t, c.program), "-n", file).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	e, out, _ := testEnv(t)
	if code := run(e, []string{"completion", "powershell"}); code != exitOK || strings.Count(out.String(), "{") != strings.Count(out.String(), "}") {
		t.Errorf("exit %d, %s", code, out)
	}
	e, _, _ = testEnv(t)
	if code := run(e, []string{"completion", "tcsh"}); code != exitUsage {
		t.Errorf("an unknown shell: exit %d", code)
	}
}

func TestManualDoc(t *testing.T) {
	t.Setenv("AMTMEDIC_KEY_FILE", "")
	compareDoc(t, "amtmedic.1", manual())
}

// The formatter of manual pages has nothing to complain of, and shows every command.
func TestManualIsRead(t *testing.T) {
	groff := needs(t, "groff")
	c := exec.Command(groff, "-man", "-Tutf8", "-ww", "-P-cbou")
	c.Stdin = strings.NewReader(manual())
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%v: %s", err, errs.String())
	}
	for _, p := range commandPages() {
		if p.fs != nil && !strings.Contains(string(out), strings.TrimSpace("amtmedic "+p.words)) {
			t.Errorf("the page lacks amtmedic %s", p.words)
		}
	}
	for _, want := range []string{"EXIT STATUS", "--fault", "130", "amtmedic explain rc-dns-split-horizon"} {
		if !strings.Contains(strings.ReplaceAll(string(out), "‐", "-"), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
