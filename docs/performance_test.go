package docs_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// performancePage is made of what tests and benchmarks print: lines of the form
//
//	perf: section | figure | ours | peer's | ratio | wanted
//
// in which "-" stands for what there is not. A figure that is printed twice counts the last time.
const (
	performancePage = "performance.md"
	performanceMake = "go test ./docs -run Performance -update -timeout 90m"
	performanceHead = "| figure | ours | peer | ratio | wanted | kept |\n|---|---|---|---|---|---|\n"
)

// measurement is a section of the page: what prints its lines, and what a reader must know of it.
type measurement struct {
	section string
	dir     string   // package
	args    []string // of go test; they run with AMTMEDIC_LONG=1
	peers   []string // commands whose first line is a version
	about   string
}

// measurements in the order of the page. A test that prints lines of a new section needs a row here.
var measurements = []measurement{
	{"capture", "capture", []string{"-run", "^$", "-bench", "^BenchmarkScan$", "-benchtime", "1x"}, []string{"tcpdump --version", "tshark --version"},
		`Scanning a capture file of 2 GiB that the benchmark writes: traffic as a mirror port of an office shows it (half of the packets
full, a third bare acknowledgements, 12 % IPv6, 6 % tagged), and in it 512 clients whose attempts come whole, in pieces, out of order,
repeated, tagged, in fragments, refused and unanswered. How many complete hellos there are is known, and checked in every round. The
file is in the page cache: this compares programs, not disks. Seven rounds in which every contender has its turn; medians, and the
median of the ratios of each round.`},
	{"live", "cmd/amtmedic", []string{"-run", "^TestLivePerformance$"}, []string{"tcpdump --version"},
		`Live capture beside tcpdump with the same wanted set, on a pair of virtual interfaces that is flooded. Ours records, takes apart and
prints what it sees; tcpdump records, and a second one records and prints (--print -n). The start counts: a static program with a
database, a terminal and a web service in it needs some 10 ms to begin, tcpdump 5 ms; lines "above that of an idle run" are without it.`},
	{"wire page", "tui", []string{"-run", "^TestPacketToScreen$"}, nil,
		`From a hello's packet in a recording to its line on the terminal.`},
	{"core pages", "tui/page/core", []string{"-run", "^TestHundredThousand$"}, nil,
		`The pages of the provisioning core over an SQLite database of 100,000 clients, 20,000 of them in the queue and 20,000 delayed: from the key
to the finished page, without the terminal.`},
	{"store", "amt/store", []string{"-run", "^$", "-bench", "^BenchmarkRecordHello$", "-benchtime", "20000x"}, []string{"postgres --version"},
		`Hellos that are on disk before they are acknowledged, beside what the disk does by itself in the same run.`},
	{"serve", "cmd/amtmedic", []string{"-run", "^Test(Serve|Latency|Session)Performance$"}, nil,
		`The setup server as a program of its own, with its database on this disk. The senders of hellos, and the simulated clients, use the same
processors.`},
	{"tlspsk", "amt/tlspsk", []string{"-run", "^$", "-bench", "^BenchmarkBesideOpenSSL$", "-benchtime", "4000x"}, []string{"openssl version"},
		`Full handshakes of TLS 1.2 with a pre-shared key for each second of processor time, TCP connection included. Ours have one processor.`},
	{"usbkey", "amt/usbkey", []string{"-run", "^$", "-bench", "^BenchmarkInspect2GiB$"}, []string{"dpkg-query -W dosfstools"},
		`Inspecting a USB key of 2 GiB (FAT32, sparse image).`},
	{"discover", "amt/discover", []string{"-run", "^TestScanPerformance$"}, []string{"nmap --version", "fping --version"},
		`A scan of 127.0.0.0/16 in a network namespace of its own, where every address is a client with a header on 16992, a closed 16993 and
a pong, all served by the process that scans. Two rounds in which every contender has its turn; the better of each counts. We open three sockets to each
host and read a header; the peers do less, as each line says.`},
	{"device", "amt/device", []string{"-run", "^$", "-bench", "^Benchmark(Configuration|Call)$"}, nil,
		`Configuring a simulated client on loopback, both ends in one process. The peer's number of calls is that of MeshCentral 1.1.55.`},
	{"sim", "amt/sim/fleet", []string{"-run", "^(TestTenThousandClients|TestManyLogIns)$"}, nil,
		`Simulated clients in one process.`},
}

// figure is one line.
type figure struct{ section, name, ours, peer, ratio, wanted string }

var perfLine = regexp.MustCompile(`perf: ([^|]+) \| ([^|]+) \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*)$`)

// figures reads the lines of a section from the output of go test.
func figures(section, out string) (list []figure) {
	for line := range strings.Lines(out) {
		m := perfLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil || m[1] != section {
			continue
		}
		f := figure{m[1], m[2], m[3], m[4], m[5], m[6]}
		if i := slices.IndexFunc(list, func(g figure) bool { return g.name == f.name }); i >= 0 {
			list[i] = f
		} else {
			list = append(list, f)
		}
	}
	return list
}

// kept says whether a figure is what is wanted, where that is a bound: of the ratio, or of our own
// figure when there is no ratio. A bare number beside a ratio is the least that it should be.
func (f figure) kept() string {
	number, ok := f.ratio, true
	if number == "-" {
		number, _, _ = strings.Cut(f.ours, " ")
	}
	have, err := strconv.ParseFloat(number, 64)
	op, bound, found := strings.Cut(f.wanted, " ")
	if !found && f.ratio != "-" {
		op, bound = ">=", f.wanted
	}
	want, werr := strconv.ParseFloat(bound, 64)
	if err != nil || werr != nil {
		return ""
	}
	switch op {
	case ">=", "above":
		ok = have >= want
	case "<=", "below":
		ok = have <= want
	default:
		return ""
	}
	if ok {
		return "yes"
	}
	return "no"
}

// row is the figure's line of the table.
func (f figure) row() string {
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", f.name, f.ours, f.peer, f.ratio, f.wanted, f.kept())
}

// TestPerformance checks that the page is whole; with -update it measures and writes it.
func TestPerformance(t *testing.T) {
	page, err := os.ReadFile(performancePage)
	if err != nil && !*update {
		t.Fatal(err)
	}
	if *update {
		page = []byte(measure(t, sections(string(page))))
		if err := os.WriteFile(performancePage, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, fault := range pageFaults(string(page)) {
		t.Errorf("%s: %s; it is made by: %s", performancePage, fault, performanceMake)
	}
}

// TestPerformanceLinesHaveASection: what is printed is on the page.
func TestPerformanceLinesHaveASection(t *testing.T) {
	printed := regexp.MustCompile(`"perf: ([^|"]+) \|`)
	for _, s := range readSources(t) {
		for _, m := range printed.FindAllStringSubmatch(s.text, -1) {
			i := slices.IndexFunc(measurements, func(x measurement) bool { return x.section == m[1] })
			if i < 0 || measurements[i].dir != s.dir {
				t.Errorf("%s prints figures of section %q, which %s does not measure there", s.name, m[1], performancePage)
			}
		}
	}
}

// pageFaults says what is wrong with the page's form. Its figures are not judged.
func pageFaults(page string) (faults []string) {
	if !strings.HasPrefix(page, "# Performance\n") || !strings.Contains(page, "    "+performanceMake+"\n") {
		faults = append(faults, "it does not begin with its title and the command that makes it")
	}
	have := sections(page)
	for _, m := range measurements {
		text, ok := have[m.section]
		head, table, found := strings.Cut(text, performanceHead)
		switch {
		case !ok:
			faults = append(faults, "section "+m.section+" is missing")
			continue
		case !found || !strings.Contains(head, "\n    AMTMEDIC_LONG=1 go test") || !regexp.MustCompile(`(?m)^Measured \d{4}-\d\d-\d\d: `).MatchString(head):
			faults = append(faults, "section "+m.section+" has no command, no day or no table")
			continue
		}
		for i, line := range strings.Split(strings.TrimRight(table, "\n"), "\n") {
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			if len(cells) < 5 {
				faults = append(faults, fmt.Sprintf("section %s, row %d is no row: %q", m.section, i+1, line))
				continue
			}
			if f := (figure{m.section, cells[0], cells[1], cells[2], cells[3], strings.TrimRight(cells[4], " |")}); f.row() != line+"\n" {
				faults = append(faults, fmt.Sprintf("section %s, row %d was changed by hand: %q", m.section, i+1, line))
			}
		}
		delete(have, m.section)
	}
	for name := range have {
		faults = append(faults, "section "+name+" is of nothing that is measured")
	}
	return faults
}

// sections cuts a page at its headings of the second order.
func sections(page string) map[string]string {
	all := map[string]string{}
	for _, part := range strings.Split("\n"+page, "\n## ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		all[name] = text
	}
	return all
}

func TestPageFaultsAreFound(t *testing.T) {
	var good strings.Builder
	fmt.Fprintf(&good, "# Performance\n\n    %s\n", performanceMake)
	for _, m := range measurements {
		f := figure{m.section, "what", "3 s", "6 s", "2.00", ">= 1.5"}
		fmt.Fprintf(&good, "\n## %s\n\n    AMTMEDIC_LONG=1 go test\n\nMeasured 2026-01-02: a machine.\n\n%s%s", m.section, performanceHead, f.row())
	}
	if faults := pageFaults(good.String()); len(faults) > 0 {
		t.Errorf("a good page: %q", faults)
	}
	for name, change := range map[string][2]string{
		"title":          {"# Performance", "# Figures"},
		"command":        {performanceMake, "by hand"},
		"section":        {"\n## live\n", "\n## lives\n"},
		"day":            {"Measured 2026-01-02", "Measured today"},
		"table":          {performanceHead, "| figure |\n|---|\n"},
		"figure by hand": {"| 2.00 | >= 1.5 | yes |", "| 1.00 | >= 1.5 | yes |"},
		"no rows":        {(figure{"", "what", "3 s", "6 s", "2.00", ">= 1.5"}).row(), ""},
	} {
		if bad := strings.Replace(good.String(), change[0], change[1], 1); len(pageFaults(bad)) == 0 {
			t.Errorf("%s: no fault was found", name)
		}
	}
}

func TestFigures(t *testing.T) {
	out := "=== RUN x\nperf: a | one | 1 | 2 | 0.50 | >= 1\nBenchmarkX \tperf: a | one | 3 | 2 | 1.50 | >= 1\nperf: b | two | 1 | - | - | -\n"
	if got := figures("a", out); len(got) != 1 || got[0] != (figure{"a", "one", "3", "2", "1.50", ">= 1"}) {
		t.Errorf("figures: %q", got)
	}
	for _, c := range []struct{ ours, ratio, wanted, kept string }{
		{"1 s", "3.10", ">= 3", "yes"}, {"1 s", "2.90", ">= 3", "no"}, {"1 s", "1.50", "<= 1.7", "yes"}, {"1 s", "1.80", "<= 1.7", "no"},
		{"37.1 MiB", "-", "<= 64", "yes"}, {"70.0 MiB", "-", "<= 64", "no"}, {"900", "-", "above 500", "yes"}, {"900", "-", "below 500", "no"},
		{"9", "4.20", "4", "yes"}, {"9", "3.20", "4", "no"}, {"9", "-", "0.2 s", ""}, {"9", "1.00", "1 or more", ""}, {"9", "1.00", "-", ""},
	} {
		if got := (figure{ours: c.ours, ratio: c.ratio, wanted: c.wanted}).kept(); got != c.kept {
			t.Errorf("%+v: kept %q", c, got)
		}
	}
}
