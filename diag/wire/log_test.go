package wire

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/capture"
	"amtmedic/diag"
)

var update = flag.Bool("update", false, "write the golden lines anew")

// recorded was written by tcpdump; what happened in it stands in the README beside it.
const recorded = "../../capture/testdata/hellos.pcap"

// patience is how long a line may take on a machine that is busy with other tests.
const patience = 30 * time.Second

// running reads a log until the test ends.
func running(t *testing.T, l *Log) *Log {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("the log does not end with its context")
		}
	})
	l.Want()
	return l
}

// until waits for a state of the log.
func until(t *testing.T, l *Log, what string, ok func(Batch) bool) Batch {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if b := l.Since(0); ok(b) {
			return b
		}
	}
	t.Fatalf("%s never came:\n%s", what, text(l.Since(0).Lines))
	return Batch{}
}

func whole(b Batch) bool {
	for _, s := range b.Sources {
		if !s.Read {
			return false
		}
	}
	return true
}

func text(lines []*Line) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %-6s %-25s %-25s %s\n", l.At.UTC().Format("15:04:05.000000"), l.Side, l.From, l.To, l.What)
	}
	return b.String()
}

// Every attempt of a foreign capture is a line, with its repeats and what answered it, and so is
// every hello.
func TestLinesOfAForeignCapture(t *testing.T) {
	l := running(t, New(File(diag.AtServer, recorded)))
	b := until(t, l, "the end of the file", whole)
	got := text(b.Lines)
	golden := filepath.Join("testdata", "hellos.lines")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("got\n%s", got)
	}
	if s := b.Sources[0]; s.Live || !s.File || s.Failed != nil || s.First.IsZero() || !s.Last.After(s.First) {
		t.Errorf("the source is %+v", s)
	}
	hellos, tries := 0, map[int]bool{}
	for _, x := range b.Lines {
		if x.IsHello() {
			hellos++
			tries[x.Try] = true
			if len(x.Hello().Bytes) == 0 || len(x.Way()) < 3 {
				t.Errorf("%s has no bytes, or no place", x.What)
			}
		} else if len(x.Details()) < 3 {
			t.Errorf("%s has no details", x.What)
		}
	}
	if hellos != 10 || len(tries) != hellos {
		t.Errorf("%d hellos of %d attempts", hellos, len(tries))
	}
}

// A SYN's line grows in its place; what is waited for comes once.
func TestAttemptGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.pcapng")
	rec, err := capture.CreateRecorder(path, capture.RecordOptions{}, capture.RecordedInterface{Name: "eth0", Link: capture.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	send := func(after time.Duration, from, to string, flags capture.Flags, seq, ack uint32) {
		t.Helper()
		b, err := capture.Frame(netip.MustParseAddrPort(from), netip.MustParseAddrPort(to), flags, seq, ack, nil)
		if err == nil {
			err = rec.Packet(&capture.Packet{Data: b, OrigLen: len(b), Link: capture.LinkEthernet, Time: at.Add(after), Number: 1})
		}
		if err = errors.Join(err, rec.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	const pc, server = "10.20.0.7:16994", "10.1.0.10:9971"
	l := New()
	done := l.Add(Growing(diag.AtClient, "eth0", path))
	running(t, l)
	send(0, pc, server, capture.SYN, 1, 0)
	says := func(what string) func(Batch) bool {
		return func(b Batch) bool { return len(b.Lines) > 0 && b.Lines[0].What == what }
	}
	first := until(t, l, "the SYN", says("SYN, no answer"))
	if s := first.Sources[0]; !s.Live || s.Read || s.Name != "eth0" {
		t.Errorf("the source is %+v", s)
	}
	send(time.Second, pc, server, capture.SYN, 1, 0)
	send(3*time.Second, pc, server, capture.SYN, 1, 0)
	until(t, l, "its repeats", says("SYN, 2 repeats, no answer"))
	send(4*time.Second, server, pc, capture.RST|capture.ACK, 0, 2)
	b := until(t, l, "the refusal", says("SYN, 2 repeats, refused by 10.1.0.10"))
	if len(b.Lines) != 1 || b.Lines[0].ID != first.Lines[0].ID || !b.Lines[0].At.Equal(at) {
		t.Errorf("lines\n%s", text(b.Lines))
	}
	if first.Lines[0].What != "SYN, no answer" {
		t.Error("a line that was given out has changed")
	}
	if more := l.Since(first.Cursor); len(more.Lines) != 1 || more.Lines[0] != b.Lines[0] {
		t.Errorf("since the SYN came %d lines", len(more.Lines))
	}
	if more := l.Since(b.Cursor); len(more.Lines) != 0 || more.Cursor != b.Cursor {
		t.Error("nothing happened, and something came")
	}
	if err := rec.Close(capture.Stats{}); err != nil {
		t.Fatal(err)
	}
	done()
	b = until(t, l, "the end of the recording", whole)
	if b.Sources[0].Live || b.Sources[0].Failed != nil {
		t.Errorf("after its end the source is %+v", b.Sources[0])
	}
}

// Nothing is read before somebody looks, and a log nobody looked at ends with its context.
func TestReadsOnlyWhenWanted(t *testing.T) {
	opened := false
	l := New(Tap{Open: func(bool) (capture.Source, error) { opened = true; return nil, errors.New("gone") }})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	l.Run(ctx)
	if opened {
		t.Error("a tap was opened, and nobody looked")
	}
	running(t, l)
	b := until(t, l, "the failure", whole)
	if b.Sources[0].Failed == nil {
		t.Error("a tap that cannot be opened does not say so")
	}
}

// However much comes, so many lines are kept; the oldest go.
func TestLinesAreBounded(t *testing.T) {
	l := New()
	x := &tap{Tap: Tap{Side: diag.AtClient}}
	const n = 2*maxLines + 7
	for i := range n {
		l.fold(x, capture.Event{Kind: capture.KindSYN, Src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), uint16(i)), Packet: i})
	}
	b := l.Since(0)
	if len(b.Lines) < maxLines || len(b.Lines) > maxLines+maxLines/5 || len(l.open) > maxOpen {
		t.Errorf("%d lines and %d open attempts are kept", len(b.Lines), len(l.open))
	}
	if b.First+len(b.Lines) != n || b.Lines[0].ID != b.First {
		t.Errorf("%d lines from %d on", len(b.Lines), b.First)
	}
	c := l.Since(b.Cursor)
	l.fold(x, capture.Event{Kind: capture.KindSYNACK, Dst: b.Lines[len(b.Lines)-1].From, Src: b.Lines[len(b.Lines)-1].To})
	if d := l.Since(c.Cursor); len(d.Lines) != 1 || d.Lines[0].ID != n-1 {
		t.Errorf("an answer changed %d lines", len(d.Lines))
	}
}

// What an event says, in words.
func TestWords(t *testing.T) {
	back := func(outcome string, alert int) capture.Event {
		return capture.Event{Kind: capture.KindBack, Outcome: outcome, Alert: alert}
	}
	for want, e := range map[string]capture.Event{
		"back: TLS alert bad_record_mac":                 back(capture.OutcomeAlert, 20),
		"back: TLS alert unknown_psk_identity":           back(capture.OutcomeAlert, 115),
		"back: TLS alert 99":                             back(capture.OutcomeAlert, 99),
		"back: in order":                                 back(capture.OutcomeOK, 0),
		"back: refused":                                  back(capture.OutcomeRefused, 0),
		"back: no answer":                                back(capture.OutcomeTimeout, 0),
		"reset by the server":                            {Kind: capture.KindClosed, By: "server", How: "rst"},
		"DNS a.example → no answer":                      {Kind: capture.KindDNS, DNS: &capture.DNS{QName: "a.example", QType: "A", RCode: "none"}},
		"DNS a.example AAAA → ::1":                       {Kind: capture.KindDNS, DNS: &capture.DNS{QName: "a.example", QType: "AAAA", RCode: "NOERROR", Addr: []string{"::1"}}},
		"DHCP discover":                                  {Kind: capture.KindDHCP, DHCP: &capture.DHCP{Type: "discover"}},
		"DHCP lease 10.0.0.7, option 15 corp":            {Kind: capture.KindDHCP, DHCP: &capture.DHCP{Type: "ack", Addr: "10.0.0.7", Suffix: "corp"}},
		"hello cut off, 9 bytes came, 15 missing":        {Kind: capture.KindPartial, Bytes: 9, Missing: 15},
		"SYN not captured, prohibited by fe80::1":        {Kind: capture.KindUnreachable, By: "fe80::1", ICMP: &capture.ICMP{Version: 6, Type: 1, Code: 1}},
		"SYN not captured, port unreachable by ::1":      {Kind: capture.KindUnreachable, By: "::1", ICMP: &capture.ICMP{Version: 6, Type: 1, Code: 4}},
		"back: host unreachable by 10.0.0.1":             {Kind: capture.KindUnreachable, By: "10.0.0.1", Dst: netip.MustParseAddrPort("10.0.0.7:16993"), ICMP: &capture.ICMP{Version: 4, Type: 3, Code: 1}},
		"SYN not captured, unreachable (ICMP 3/77) by x": {Kind: capture.KindUnreachable, By: "x", ICMP: &capture.ICMP{Version: 4, Type: 3, Code: 77}},
	} {
		l := New()
		l.fold(&tap{}, e)
		if got := l.lines[0].What; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What is saved is what a foreign program finds: packets in which the client's address stands. The
// file is for its owner only, and never replaces one that is there.
func TestSave(t *testing.T) {
	l := New(File(diag.AtServer, recorded))
	path := filepath.Join(t.TempDir(), "saved.pcapng")
	client := netip.MustParseAddr("10.20.0.7")
	n, err := l.Save(t.Context(), path, Which{Side: diag.AtServer, Client: client})
	if err != nil || n < 50 {
		t.Fatalf("%d packets saved: %v", n, err)
	}
	if fi, err := os.Stat(path); err != nil || os.PathSeparator == '/' && fi.Mode() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Save(t.Context(), path, Which{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written over: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file that was there has changed: %v", err)
	}
	again := running(t, New(File(diag.AtServer, path)))
	a, b := until(t, again, "the saved file", whole), until(t, running(t, l), "the whole file", whole)
	mine := 0
	for _, x := range b.Lines {
		if x.Client == client {
			mine++
		}
	}
	if len(a.Lines) != mine || mine == 0 {
		t.Errorf("%d lines are saved of %d:\n%s", len(a.Lines), mine, text(a.Lines))
	}
	missing := filepath.Join(t.TempDir(), "none.pcapng")
	if n, err := l.Save(t.Context(), missing, Which{Client: netip.MustParseAddr("10.9.9.9")}); err == nil || n != 0 {
		t.Errorf("%d packets of nobody: %v", n, err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file without packets was left")
	}
}

// tshark counts the packets that are saved.
func TestSaveAsTsharkSees(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("tshark is missing, and CI installs it")
		}
		t.Skip("tshark is not installed")
	}
	path := filepath.Join(t.TempDir(), "saved.pcapng")
	n, err := New(File(diag.AtServer, recorded)).Save(t.Context(), path, Which{Client: netip.MustParseAddr("10.20.0.7")})
	if err != nil {
		t.Fatal(err)
	}
	count := func(file, filter string) int {
		out, err := exec.Command("tshark", "-n", "-r", file, "-Y", filter, "-T", "fields", "-e", "frame.number").Output()
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(out, []byte("\n"))
	}
	if want := count(recorded, "frame contains 0a:14:00:07"); n != want {
		t.Errorf("%d packets saved, tshark finds %d", n, want)
	}
	if got := count(path, "frame"); got != n {
		t.Errorf("tshark reads %d of %d packets", got, n)
	}
}

// Two captures go into one file, each with its interface.
func TestSaveBothSides(t *testing.T) {
	path := filepath.Join(t.TempDir(), "both.pcapng")
	n, err := New(File(diag.AtClient, recorded), File(diag.AtServer, recorded)).Save(t.Context(), path, Which{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := capture.OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[int]int{}
	if err := f.Run(t.Context(), func(p *capture.Packet) error { seen[p.Iface]++; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[0] != seen[1] || seen[0]+seen[1] != n {
		t.Errorf("%d packets, by interface %v", n, seen)
	}
}

func TestPorts(t *testing.T) {
	got := Ports([]diag.Fact{{Key: "client.server_override", Value: "10.1.0.10:9972"}, {Key: "client.server_override", Value: "10.1.0.10:9972"}, {Key: "client.server_override", Value: "unknown"}, {Key: "srv.fqdn", Value: "10.0.0.1:5"}})
	if len(got) != 1 || got[0] != 9972 {
		t.Errorf("ports %v", got)
	}
}
