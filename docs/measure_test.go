package docs_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	update  = flag.Bool("update", false, "measure anew and rewrite performance.md")
	section = flag.String("section", "", "with -update: measure only this section, the others stay")
)

// measure runs what prints the figures and writes the page. Sections that are not asked for stay.
func measure(t *testing.T, old map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Performance

Every figure on this page was printed by a test or benchmark in which the peer ran too, on the same machine and in the same run, and
was put here by one command; none was typed. Compare ratios, not seconds. The command needs the peers that .ci/run installs, root, and
5 GB in the folder for temporary files; with `+"`-section NAME`"+` it measures one section and leaves the others.

    %s

"kept" says whether a figure is within what is wanted, where that is a bound. The load is that of the minute before a section began: on
a machine that does other work, figures of processor time mean more than those of the clock.
`, performanceMake)
	for _, m := range measurements {
		text, ok := old[m.section]
		if *section == "" || *section == m.section || !ok {
			text = m.measure(t)
		}
		fmt.Fprintf(&b, "\n## %s\n%s\n", m.section, strings.TrimRight(text, "\n"))
	}
	return b.String()
}

// measure gives the text of one section.
func (m measurement) measure(t *testing.T) string {
	t.Logf("%s: go test ./%s %s", m.section, m.dir, strings.Join(m.args, " "))
	machine := fmt.Sprintf("Measured %s: %s", time.Now().UTC().Format(time.DateOnly), machineWords())
	for _, p := range m.peers {
		machine += "; " + firstLine(strings.Fields(p))
	}
	cmd := exec.Command("go", slices.Concat([]string{"test", "-v", "-count", "1", "-timeout", "30m"}, m.args, []string{"./" + m.dir})...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "AMTMEDIC_LONG=1")
	out, err := cmd.CombinedOutput()
	list := figures(m.section, string(out))
	if err != nil || len(list) == 0 {
		t.Errorf("%s: %d figures, %v\n%s", m.section, len(list), err, out)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n    AMTMEDIC_LONG=1 go test -v %s ./%s\n\n%s.\n\n%s", m.about, quoted(m.args), m.dir, machine, performanceHead)
	for _, f := range list {
		b.WriteString(f.row())
	}
	return b.String()
}

// quoted writes arguments for a shell.
func quoted(args []string) string {
	var out []string
	for _, a := range args {
		if strings.ContainsAny(a, "^$()|") {
			a = "'" + a + "'"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

// firstLine is the first line that a command prints, such as its version.
func firstLine(args []string) string {
	if _, err := exec.LookPath(args[0]); err != nil {
		if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + args[0]); len(found) > 0 {
			args = append([]string{found[0]}, args[1:]...)
		}
	}
	cmd := exec.Command(args[0], args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs // tshark warns of root there, tcpdump says its version there
	_ = cmd.Run()
	line, _, _ := strings.Cut(out.String()+errs.String(), "\n")
	return strings.TrimRight(strings.ReplaceAll(line, "\t", " "), ". ")
}

// machineWords says what the machine is and how busy.
func machineWords() string {
	field := func(file, name string) string {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
				return strings.TrimSpace(v)
			}
		}
		return "unknown"
	}
	load := "unknown"
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(text), " ")
	}
	release, _, _ := strings.Cut(firstLine([]string{"uname", "-r"}), "-")
	kib, _ := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"))
	return fmt.Sprintf("%s, %d processors, %d GiB, %s, %s %s, %s, load %s", field("/proc/cpuinfo", "model name"), runtime.NumCPU(),
		kib>>20, runtime.GOARCH, firstLine([]string{"uname", "-s"}), release, runtime.Version(), load)
}
