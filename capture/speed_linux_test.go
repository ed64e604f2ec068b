package capture

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// Rounds of the comparison, and how large its files are: with AMTMEDIC_LONG=1 the size that the
// promises are about, else one that is made in a moment.
const (
	speedRounds = 7
	longSize    = 2 << 30
	shortSize   = 128 << 20
	tsharkSize  = 64 << 20
)

// usage is what one run of a contender took.
type usage struct {
	wall time.Duration
	cpu  time.Duration // user and system
	rss  int64         // most memory in bytes
}

// contest runs contenders in turns.
type contest struct {
	b    *testing.B
	dir  string
	runs map[string][]usage
}

// process runs a program to its end. Its peak of memory is never given below that of this process,
// which it was started from.
func (c *contest) process(stdin *os.File, stdout io.Writer, name string, args ...string) usage {
	c.b.Helper()
	cmd := exec.Command(name, args...)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, stdout, &errs
	if stdin != nil {
		cmd.Stdin = stdin
	}
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		c.b.Fatalf("%s %v: %v: %s", name, args, err, errs.String())
	}
	u := usage{wall: time.Since(begin), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rss = r.Maxrss << 10
	}
	return u
}

// timed is what something in this process takes.
func timed(f func()) usage {
	used := func() time.Duration {
		var r syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	begin, before := time.Now(), used()
	f()
	return usage{wall: time.Since(begin), cpu: used() - before}
}

// piped runs a program on the output of cat.
func (c *contest) piped(file, name string, args ...string) usage {
	c.b.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		c.b.Fatal(err)
	}
	cat := exec.Command("cat", file)
	cat.Stdout = w
	if err := cat.Start(); err != nil {
		c.b.Fatal(err)
	}
	_ = w.Close()
	u := c.process(r, io.Discard, name, args...)
	_ = r.Close()
	_ = cat.Wait()
	return u
}

// median of something of a contender's runs.
func (c *contest) median(name string, of func(usage) float64) float64 {
	var v []float64
	for _, u := range c.runs[name] {
		v = append(v, of(u))
	}
	return middle(v)
}

// ratio is the median over the rounds of a's share of b's.
func (c *contest) ratio(a, b string, of func(usage) float64) float64 {
	var v []float64
	for i, u := range c.runs[a] {
		v = append(v, of(u)/of(c.runs[b][i]))
	}
	return middle(v)
}

func middle(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func wall(u usage) float64 { return u.wall.Seconds() }
func cpu(u usage) float64  { return u.cpu.Seconds() }

// perf prints a line for docs/performance.md: what, ours, the peer's, the ratio, what is wanted of a
// large file.
func perf(figure, ours, peer, ratio, wanted string) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		wanted = "-"
	}
	fmt.Printf("perf: capture | %s | %s | %s | %s | %s\n", figure, ours, peer, ratio, wanted)
}

// seconds, and the other forms of a number in a perf line.
func seconds(v float64) string { return fmt.Sprintf("%.3f s", v) }
func times(v float64) string   { return fmt.Sprintf("%.2f", v) }
func mebi(v int64) string      { return fmt.Sprintf("%.1f MiB", float64(v)/(1<<20)) }

// BenchmarkScan scans a large file with the built program and in this process, beside tcpdump, tshark
// and reading alone, in turns: seven rounds, of which the medians count. The file is in the page cache.
// What the program finds is compared with what was put into the file in every round.
func BenchmarkScan(b *testing.B) {
	tool(b, "tcpdump", "tshark", "cat", "go")
	size := int64(shortSize)
	if os.Getenv("AMTMEDIC_LONG") == "1" {
		size = longSize
	}
	dir := b.TempDir()
	program := filepath.Join(dir, "amtmedic")
	output(b, "go", "build", "-trimpath", "-o", program, "amtmedic/cmd/amtmedic")
	for _, format := range []string{"pcap", "pcapng"} {
		b.Run(format, func(b *testing.B) {
			b.ReportMetric(0, "ns/op")
			c := &contest{b: b, dir: dir, runs: map[string][]usage{}}
			corpus := writeCorpus(b, filepath.Join(dir, "big."+format), format == "pcapng", size, max(100, int(size>>22)))
			defer os.Remove(corpus.name)
			c.rounds(corpus, program)
			c.report(corpus, format)
			c.tshark(corpus, format)
		})
	}
	b.Run("console", func(b *testing.B) {
		b.ReportMetric(0, "ns/op")
		c := &contest{b: b, dir: dir, runs: map[string][]usage{}}
		c.consoles(program, size/4)
	})
}

// rounds lets each contender run once a round, beside those that it is compared with; each round begins
// with another one.
func (c *contest) rounds(corpus *corpus, program string) {
	file := corpus.name
	out := filepath.Join(c.dir, "events")
	contenders := []struct {
		name string
		run  func() usage
	}{
		{"read", func() usage { return timed(func() { readAll(c.b, file) }) }},
		{"scan", func() usage {
			var es []Event
			u := timed(func() { es = scanAll(c.b, file) })
			corpus.check(c.b, es)
			return u
		}},
		{"cat", func() usage { return c.process(nil, nil, "cat", file) }},
		{"program", func() usage {
			w, err := os.Create(out)
			if err != nil {
				c.b.Fatal(err)
			}
			defer w.Close()
			u := c.process(nil, w, program, "capture", "scan", "--json", file)
			if err := corpus.differ(helloLines(c.b, out)); err != nil {
				c.b.Fatal(err)
			}
			return u
		}},
		{"tcpdump", func() usage { return c.process(nil, nil, "tcpdump", "-r", file, "-w", "/dev/null", "tcp port 9971") }},
		{"tcpdump, pipe", func() usage { return c.piped(file, "tcpdump", "-r", "-", "-w", "/dev/null", "tcp port 9971") }},
		{"program, pipe", func() usage { return c.piped(file, program, "capture", "scan", "--json", "-") }},
	}
	readAll(c.b, file) // into the page cache
	for round := range speedRounds {
		for i := range contenders {
			t := contenders[(i+round)%len(contenders)]
			c.runs[t.name] = append(c.runs[t.name], t.run())
		}
	}
}

// report prints the figures of one format.
func (c *contest) report(corpus *corpus, format string) {
	least := ">= 2.5"
	if format == "pcapng" {
		least = ">= 3"
	}
	of := fmt.Sprintf("%s, %.3g GiB, %d packets: ", format, float64(corpus.size)/(1<<30), corpus.packets)
	line := func(what, ours, peer string, unit func(usage) float64, faster bool, wanted string) {
		ratio := c.ratio(ours, peer, unit)
		if faster {
			ratio = c.ratio(peer, ours, unit)
		}
		perf(of+what, seconds(c.median(ours, unit)), seconds(c.median(peer, unit)), times(ratio), wanted)
	}
	line("amtmedic capture scan, times as fast as tcpdump with a filter", "program", "tcpdump", wall, true, least)
	line("the same from a pipe", "program, pipe", "tcpdump, pipe", wall, true, ">= 1.5")
	line("processor time of it as a share of tcpdump's", "program", "tcpdump", cpu, false, "<= 0.45")
	line("time of it as a share of that of cat FILE >/dev/null", "program", "cat", wall, false, "<= 1.7")
	line("time of the scan alone, in a process that runs, as a share of reading in blocks of 1 MiB", "scan", "read", wall, false, "<= 1.7")
	line("processor time of the scan alone as a share of that of reading", "scan", "read", cpu, false, "<= 1.7")
	var most int64
	for _, u := range c.runs["program"] {
		most = max(most, u.rss)
	}
	perf(of+"most resident memory", mebi(most), "-", "-", "<= 64")
	perf(of+"allocations for a packet that is left out", fmt.Sprintf("%.5f", refusedAllocs(c.b, corpus.name)), "-", "-", "<= 0.001")
	perf(of+"hellos found of those that are complete, none invented", fmt.Sprint(corpus.complete()), fmt.Sprint(corpus.complete()), "1.00", ">= 1")
}

// tshark measures tshark on a smaller file of the same kind and takes its time for each packet, without
// its start, for the large one.
func (c *contest) tshark(corpus *corpus, format string) {
	small := writeCorpus(c.b, filepath.Join(c.dir, "small."+format), format == "pcapng", tsharkSize, 20)
	empty := writeCorpus(c.b, filepath.Join(c.dir, "empty."+format), format == "pcapng", 0, 0)
	defer os.Remove(small.name)
	var all []float64
	for range 3 {
		run := func(file string) float64 {
			return wall(c.process(nil, nil, "tshark", "-n", "-r", file, "-Y", "tcp.port == 9971"))
		}
		begin := run(empty.name)
		all = append(all, begin+(run(small.name)-begin)*float64(corpus.packets)/float64(small.packets))
	}
	ours := c.median("program", wall)
	perf(fmt.Sprintf("%s: amtmedic capture scan, times as fast as tshark -Y (measured on %d MiB and extrapolated)", format, small.size>>20),
		seconds(ours), seconds(middle(all)), times(middle(all)/ours), ">= 80")
}

// readAll reads a file in blocks of 1 MiB.
func readAll(t testing.TB, name string) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1<<20)
	for err == nil {
		_, err = f.Read(b)
	}
}

// refusedAllocs is how often memory is taken for each packet that the reader leaves out.
func refusedAllocs(t testing.TB, name string) float64 {
	f, err := OpenFile(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.leaveOut(NewMatcher(amt.HelloPort), nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := f.Run(context.Background(), func(*Packet) error { return nil }); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(f.sieve.packets)
}

// helloLines counts the hellos in the program's output by client.
func helloLines(t testing.TB, name string) map[amt.UUID]int {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[amt.UUID]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e struct {
			Event string
			Hello struct{ Type, UUID string }
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Event != string(KindHello) || e.Hello.Type == string(hello.Unknown) {
			continue
		}
		u, err := amt.ParseUUID(e.Hello.UUID)
		if err != nil {
			t.Fatal(err)
		}
		found[u]++
	}
	return found
}
