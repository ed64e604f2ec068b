package capture

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

const recordedFile = "testdata/hellos.pcap"

// tool skips when a program is missing, except where everything has to be there.
func tool(t testing.TB, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			lack(t, n+" is not installed")
		}
	}
}

func lack(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// output runs a program and gives what it prints.
func output(t testing.TB, name string, args ...string) string {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, errs.String())
	}
	return string(out)
}

// events scans a file.
func events(t testing.TB, name string) (list []Event, warnings []string) {
	t.Helper()
	f, err := OpenFile(name, func(s string) { warnings = append(warnings, s) })
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Scan(context.Background(), f, Options{File: filepath.Base(name)}, func(e Event) { list = append(list, e) }); err != nil {
		t.Fatal(err)
	}
	return list, warnings
}

// brief are the events in short, in the order of their packets.
func brief(es []Event) string {
	var out []string
	for _, e := range es {
		out = append(out, short(e))
	}
	return strings.Join(out, "\n")
}

func TestRecordedFile(t *testing.T) {
	es, warn := events(t, recordedFile)
	if len(warn) > 0 {
		t.Error(warn)
	}
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	for _, e := range es {
		if err := enc.Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	golden := "testdata/hellos.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("events differ from %s:\n%s", golden, got.String())
	}
}

// TestForeignTsharkCounts compares with what another program finds in the same file.
func TestForeignTsharkCounts(t *testing.T) {
	t.Parallel()
	tool(t, "tshark")
	es, _ := events(t, recordedFile)
	count := func(kinds ...Kind) (n int) {
		for _, e := range es {
			if slices.Contains(kinds, e.Kind) {
				n++
			}
		}
		return n
	}
	rows := func(filter string) int {
		return len(strings.Fields(output(t, "tshark", "-r", recordedFile, "-Y", filter, "-T", "fields", "-e", "frame.number")))
	}
	for _, tt := range []struct {
		what, filter string
		got          int
	}{
		{"SYN", "tcp.dstport==9971 && tcp.flags.syn==1 && tcp.flags.ack==0 && !icmp", count(KindSYN, KindSYNRetransmit)},
		{"SYN/ACK", "tcp.srcport==9971 && tcp.flags.syn==1 && tcp.flags.ack==1", count(KindSYNACK)},
		{"refused", "tcp.srcport==9971 && tcp.flags.reset==1", count(KindRefused)},
		{"unreachable", "icmp.type==3 && tcp.dstport==9971", count(KindUnreachable)},
		{"FIN and RST of clients", "tcp.dstport==9971 && (tcp.flags.fin==1 || tcp.flags.reset==1) && !tcp.analysis.retransmission", count(KindClosed)},
		{"connections back", "tcp.dstport==16993 && tcp.flags.syn==1", count(KindBack)},
		{"DNS answers", "dns.flags.response==1", count(KindDNS)},
	} {
		if want := rows(tt.filter); tt.got != want {
			t.Errorf("%s: %d, tshark counts %d", tt.what, tt.got, want)
		}
	}
	followed := tsharkStreams(t, recordedFile)
	// every hello against tshark's own reassembly of the stream that its packet belongs to
	for _, e := range es {
		if e.Kind != KindHello || e.Hello.Foreign != "" {
			continue
		}
		b, err := e.Hello.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", b); got != followed[e.Packet] {
			t.Errorf("packet %d: hello %s, tshark's stream has %s", e.Packet, got, followed[e.Packet])
		}
	}
}

// tsharkStreams gives what tshark reassembles, in hex, of the stream of each packet with a stream.
func tsharkStreams(t *testing.T, name string) map[int]string {
	t.Helper()
	streams, args, seen := map[int]string{}, []string{"-r", name, "-q"}, map[string]bool{}
	for row := range strings.Lines(output(t, "tshark", "-r", name, "-Y", "tcp.stream", "-T", "fields", "-e", "frame.number", "-e", "tcp.stream")) {
		f := strings.Fields(row)
		n, err := strconv.Atoi(f[0])
		if err != nil || len(f) != 2 {
			t.Fatalf("the row %q", row)
		}
		stream, _, _ := strings.Cut(f[1], ",")
		streams[n] = stream
		if !seen[stream] {
			seen[stream] = true
			args = append(args, "-z", "follow,tcp,raw,"+stream)
		}
	}
	bytes := map[string]string{}
	for _, part := range strings.Split(output(t, "tshark", args...), "Filter: tcp.stream eq ")[1:] {
		stream, rest, _ := strings.Cut(part, "\n")
		for l := range strings.Lines(rest) {
			if l = strings.TrimRight(l, "\r\n"); len(l) > 0 && strings.Trim(l, "0123456789abcdef") == "" {
				bytes[stream] += l
			}
		}
	}
	for n, stream := range streams {
		streams[n] = bytes[stream]
	}
	return streams
}

// TestForeignFormats lets other programs rewrite the recorded file; the events must stay the same.
func TestForeignFormats(t *testing.T) {
	want, _ := events(t, recordedFile)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	editcap := func(format string) func(*testing.T) string {
		return func(t *testing.T) string {
			tool(t, "editcap")
			out := at(format + ".cap")
			output(t, "editcap", "-F", format, recordedFile, out)
			return out
		}
	}
	tests := map[string]func(*testing.T) string{
		"pcap": editcap("pcap"), "pcapng": editcap("pcapng"), "nsecpcap": editcap("nsecpcap"), "modpcap": editcap("modpcap"),
		"gzip": func(t *testing.T) string { tool(t, "gzip"); return squeeze(t, at("a.gz"), "gzip", "-c") },
		"zstd": func(t *testing.T) string { tool(t, "zstd"); return squeeze(t, at("no-suffix"), "zstd", "-qc", "-19") },
		"gzip of pcapng": func(t *testing.T) string {
			tool(t, "editcap", "gzip")
			output(t, "editcap", "-F", "pcapng", recordedFile, at("b.pcapng"))
			output(t, "gzip", at("b.pcapng"))
			return at("b.pcapng.gz")
		},
		"tcpdump rewrites": func(t *testing.T) string {
			tool(t, "tcpdump")
			output(t, "tcpdump", "-r", recordedFile, "-w", at("t.pcap"), "--time-stamp-precision=nano")
			return at("t.pcap")
		},
		"two sections": func(t *testing.T) string { // concatenated pcapng files are one file
			tool(t, "editcap")
			output(t, "editcap", "-F", "pcapng", "-r", recordedFile, at("1"), "1-150")
			output(t, "editcap", "-F", "pcapng", recordedFile, at("2"), "1-150")
			join(t, at("12"), at("1"), at("2"))
			return at("12")
		},
		"cut in two and merged": func(t *testing.T) string { // two interfaces in one file
			tool(t, "editcap", "mergecap")
			output(t, "editcap", "-F", "pcapng", "-r", recordedFile, at("odd"), "1-99", "200-250")
			output(t, "editcap", "-F", "pcapng", recordedFile, at("even"), "1-99", "200-250")
			output(t, "mergecap", "-w", at("merged"), at("odd"), at("even"))
			return at("merged")
		},
	}
	for name, convert := range tests {
		t.Run(name, func(t *testing.T) {
			got, warn := events(t, convert(t))
			if len(warn) > 0 {
				t.Error(warn)
			}
			if brief(got) != brief(want) {
				t.Errorf("events differ:\n%s", brief(got))
			}
			for i := range got {
				if i < len(want) && !got[i].Time.Equal(want[i].Time) {
					t.Errorf("event %d: time %v, want %v", i, got[i].Time, want[i].Time)
				}
			}
		})
	}
}

// squeeze runs a compressor over the recorded file.
func squeeze(t *testing.T, out, name string, args ...string) string {
	t.Helper()
	if err := os.WriteFile(out, []byte(output(t, name, append(args, recordedFile)...)), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

func join(t *testing.T, out string, in ...string) {
	t.Helper()
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range in {
		g, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(f, g); err != nil {
			t.Fatal(err)
		}
		g.Close()
	}
}

// TestForeignCutPackets cuts every packet to 76 bytes: hellos longer than that become partial, none
// is invented, and the handshakes are all there.
func TestForeignCutPackets(t *testing.T) {
	tool(t, "editcap")
	out := filepath.Join(t.TempDir(), "cut.pcap")
	output(t, "editcap", "-F", "pcap", "-s", "76", recordedFile, out)
	whole, _ := events(t, recordedFile)
	cut, _ := events(t, out)
	count := func(es []Event, k Kind) (n int) {
		for _, e := range es {
			if e.Kind == k && (e.Hello == nil || e.Hello.Foreign == "" || k != KindHello) {
				n++
			}
		}
		return n
	}
	for _, k := range []Kind{KindSYN, KindSYNRetransmit, KindSYNACK, KindRefused, KindClosed} {
		if count(cut, k) != count(whole, k) {
			t.Errorf("%s: %d, uncut %d", k, count(cut, k), count(whole, k))
		}
	}
	if count(cut, KindHello) != 0 {
		t.Errorf("%d hellos in cut packets", count(cut, KindHello))
	}
	if got, want := count(cut, KindPartial), count(whole, KindPartial)+count(whole, KindHello); got != want {
		t.Errorf("%d partial, want %d", got, want)
	}
}

// TestForeignPcapngSuite reads the pcapng test files that come with gopacket (both byte orders, every
// kind of block, several sections and interfaces) and compares time and lengths of their packets
// with what tshark reads. All files with AMTMEDIC_LONG, else those with several kinds of blocks.
func TestForeignPcapngSuite(t *testing.T) {
	t.Parallel()
	tool(t, "tshark", "go")
	dir := strings.TrimSpace(output(t, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/gopacket"))
	pattern := "test[12]??.pcapng"
	if os.Getenv("AMTMEDIC_LONG") != "" {
		pattern = "test[012]??.pcapng"
	}
	files, err := filepath.Glob(filepath.Join(dir, "pcapgo", "tests", "*", pattern))
	if err != nil || len(files) == 0 {
		lack(t, "the test files of gopacket are not there")
	}
	for _, name := range files {
		t.Run(filepath.Join(filepath.Base(filepath.Dir(name)), filepath.Base(name)), func(t *testing.T) {
			t.Parallel()
			// tshark shows a custom block as a row of its own, and no time for a simple packet
			var want []string
			for row := range strings.Lines(output(t, "tshark", "-r", name, "-T", "fields", "-e", "frame.protocols",
				"-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len")) {
				f := strings.Split(strings.TrimRight(row, "\n"), "\t")
				if f[0] != "data" {
					want = append(want, strings.Join(f[1:], " "))
				}
			}
			f, err := OpenFile(name, func(s string) { t.Error(s) })
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			n := 0
			if err := f.Run(context.Background(), func(p *Packet) error {
				if p.Number != n+1 || n >= len(want) {
					t.Fatalf("packet %d after %d, tshark has %d", p.Number, n, len(want))
				}
				at := fmt.Sprintf("%d.%09d", p.Time.Unix(), p.Time.Nanosecond())
				if strings.HasPrefix(want[n], " ") {
					at = ""
				}
				if got := fmt.Sprintf("%s %d %d", at, p.OrigLen, len(p.Data)); got != want[n] {
					t.Errorf("packet %d: %s, tshark has %s", p.Number, got, want[n])
				}
				n++
				return nil
			}); err != nil || n != len(want) {
				t.Errorf("%d packets, tshark has %d; %v", n, len(want), err)
			}
		})
	}
}
