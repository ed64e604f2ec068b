package capture

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// frameOf builds a TCP frame or fails.
func frameOf(t testing.TB, src, dst netip.AddrPort, flags Flags, seq uint32, b []byte) *Packet {
	t.Helper()
	fr, err := Frame(src, dst, flags, seq, 1, b)
	if err != nil {
		t.Fatal(err)
	}
	return &Packet{Data: fr, OrigLen: len(fr), Link: LinkEthernet, Number: 1, Time: time.Unix(1700000000, 0)}
}

func TestRecordingIsBounded(t *testing.T) {
	const limit = 64 << 10
	name := filepath.Join(t.TempDir(), "case.pcapng")
	var told []string
	rec, err := CreateRecorder(name, RecordOptions{Limit: limit, Warn: func(s string) { told = append(told, s) }},
		RecordedInterface{Name: "eth0", Link: LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	web := netip.MustParseAddrPort("10.1.0.10:16993")
	context, hello := frameOf(t, serverV4, web, ACK, 5, make([]byte, 1000)), frameOf(t, clientV4, serverV4, ACK, 5, psk(t, 0))
	fragment := frameOf(t, clientV4, serverV4, ACK, 5, psk(t, 1))
	fragment.Data[21] = 4 // a later one, without ports
	udp, err := FrameUDP(clientV4, serverV4, psk(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	context.Data[34], context.Data[35] = 0x30, 0x39
	const rounds = 200
	for range rounds {
		for _, p := range []*Packet{context, hello, fragment, {Data: udp, OrigLen: len(udp), Link: LinkEthernet, Number: 1}} {
			if err := rec.Packet(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := rec.Close(Stats{Received: 4 * rounds}); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(limit + 2*rounds*160); st.Size() > most {
		t.Errorf("%d bytes, at most %d are allowed", st.Size(), most)
	}
	if runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	if len(told) != 1 || !strings.Contains(told[0], strconv.Itoa(limit)) {
		t.Errorf("told %q", told)
	}
	f, err := OpenFile(name, func(s string) { t.Error(s) })
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hellos, fragments, others := 0, 0, 0
	if err := f.Run(t.Context(), func(p *Packet) error {
		switch {
		case bytes.Equal(p.Data, hello.Data):
			hellos++
		case bytes.Equal(p.Data, fragment.Data):
			fragments++
		default:
			others++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if hellos != rounds || fragments != rounds || others < 20 || uint64(others)+rec.Left() != 2*rounds {
		t.Errorf("%d hellos, %d fragments, %d others are in the file, %d were left out", hellos, fragments, others, rec.Left())
	}
	if _, err := CreateRecorder(name, RecordOptions{}, RecordedInterface{Link: LinkEthernet}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a recording is written over: %v", err)
	}
	tool(t, "tshark")
	if n := len(strings.Fields(output(t, "tshark", "-r", name, "-T", "fields", "-e", "frame.number"))); n != hellos+fragments+others {
		t.Errorf("tshark reads %d packets of %d", n, hellos+fragments+others)
	}
}

func TestHelloPacket(t *testing.T) {
	m := tcpOnly([]uint16{9971})
	arp := &Packet{Data: append(make([]byte, 12), 8, 6, 0, 0, 0, 0), Link: LinkEthernet}
	ext := frameOf(t, clientV6, serverV6, ACK, 1, nil)
	ext.Data = withExt(ext.Data, extDest, make([]byte, 6))
	tag := frameOf(t, serverV4, clientV4, ACK, 1, nil)
	tag.Data = tagged(0x88A8, 3)(tagged(0x8100, 4)(tag.Data))
	icmp6 := frameOf(t, clientV6, serverV6, ACK, 1, nil)
	icmp6.Data[20] = protoICMPv6
	icmp := frameOf(t, clientV4, serverV4, ACK, 1, nil)
	icmp.Data[23] = protoICMP
	for name, tt := range map[string]struct {
		p    *Packet
		want bool
	}{
		"to the server": {frameOf(t, clientV4, serverV4, ACK, 1, nil), true}, "from the server": {frameOf(t, serverV6, clientV6, ACK, 1, nil), true},
		"extension header": {ext, true}, "two tags": {tag, true}, "ARP": {arp, false}, "ICMPv6": {icmp6, false}, "ICMP": {icmp, false},
		"other port": {frameOf(t, clientV4, netip.MustParseAddrPort("10.1.0.10:80"), ACK, 1, nil), false},
		"nothing":    {&Packet{Link: LinkEthernet}, false},
	} {
		if got := m.helloPacket(tt.p.Link, tt.p.Data); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// full is a writer that has room for some bytes.
type full struct {
	bytes.Buffer
	room int
}

func (f *full) Write(b []byte) (int, error) {
	if f.Len()+len(b) > f.room {
		n, _ := f.Buffer.Write(b[:f.room-f.Len()])
		return n, errors.New("no space left on device")
	}
	return f.Buffer.Write(b)
}

// TestRecordingOnAFullDisk checks that the attempts are still seen when the recording cannot go on.
func TestRecordingOnAFullDisk(t *testing.T) {
	for _, keep := range []bool{true, false} {
		s := newScript(t)
		for i := range 50 {
			s.again(uint32(1000+i*100000)).up().c(FIN, 0, psk(t, uint32(i)))
		}
		var told []string
		disk := &full{room: 4000}
		rec, err := newRecorder(disk, RecordOptions{KeepOn: keep, Warn: func(s string) { told = append(told, s) }}, []RecordedInterface{{Link: LinkEthernet}})
		if err != nil {
			t.Fatal(err)
		}
		hellos := 0
		src := Record(list(s.packets), rec)
		err = Scan(context.Background(), src, Options{}, func(e Event) {
			rec.flushed = time.Time{} // so that the next packet is handed on
			if e.Kind == KindHello {
				hellos++
			}
		})
		if keep && (err != nil || hellos != 50 || len(told) != 1) {
			t.Errorf("%d hellos, told %q: %v", hellos, told, err)
		}
		if !keep && (err == nil || hellos == 50) {
			t.Errorf("%d hellos although the disk is full: %v", hellos, err)
		}
		if got, _, err := read(bytes.NewReader(disk.Bytes())); err != nil || len(got) < 20 {
			t.Errorf("%d packets are left, %v", len(got), err)
		}
	}
}

const (
	childVariable = "AMTMEDIC_TEST_RECORD"
	childRing     = "AMTMEDIC_TEST_RING"
)

// TestRecordChild is no test but the process that TestRecordingSurvivesKill kills: it records a
// stream of hellos among other packets and says after each one that it was seen.
func TestRecordChild(t *testing.T) {
	name := os.Getenv(childVariable)
	if name == "" {
		t.Skip("runs as a child only")
	}
	iface := RecordedInterface{Name: "feed", Link: LinkEthernet}
	var rec Sink
	var err error
	if os.Getenv(childRing) != "" {
		rec, err = CreateRing(name, RingOptions{Size: 24 << 20}, iface)
	} else {
		rec, err = CreateRecorder(name, RecordOptions{}, iface)
	}
	if err != nil {
		t.Fatal(err)
	}
	feed := NewFeed(LinkEthernet, 64)
	from, web := mustPort("10.1.0.98:50000"), mustPort("10.1.0.99:16993")
	go func() {
		push := func(p *Packet) {
			if err := feed.Push(context.Background(), time.Now(), p.Data); err != nil {
				panic(err)
			}
		}
		for i := uint32(0); ; i++ {
			for k := range uint32(20) {
				push(frameOf(t, from, web, ACK, i*100+k, make([]byte, 1400)))
			}
			push(frameOf(t, clientV4, serverV4, SYN, i*100000, nil))
			push(frameOf(t, clientV4, serverV4, ACK, i*100000+1, psk(t, i)))
			time.Sleep(time.Millisecond)
		}
	}()
	_ = ScanInto(context.Background(), feed, rec, Options{}, func(e Event) {
		if e.Kind == KindHello {
			fmt.Println("hello", e.Hello.RetryCount)
		}
	})
}

// TestRecordingSurvivesKill kills a recording process without warning, several times at any moment:
// what it had seen a second before is in the file, for us and for the programs of others.
func TestRecordingSurvivesKill(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("takes half a minute: set AMTMEDIC_LONG=1")
	}
	tool(t, "tshark", "capinfos")
	for round := range 5 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "killed.pcapng")
			old := killRecording(t, round, childVariable+"="+name)
			es, _ := events(t, name)
			n := inSequence(t, es)
			if old < 20 || n < old {
				t.Errorf("%d hellos are in the file, %d were seen more than a second before the end", n, old)
			}
			foreignCut(t, name, n)
			t.Logf("%d hellos, %d of them older than a second", n, old)
		})
	}
}

// TestRingSurvivesKill is the same for a ring: what is pinned has every hello, each file can be read,
// and at most the last second is missing at the end.
func TestRingSurvivesKill(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("takes some ten seconds: set AMTMEDIC_LONG=1")
	}
	tool(t, "tshark", "capinfos")
	for round := range 3 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			base := filepath.Join(t.TempDir(), "killed")
			old := killRecording(t, round, childVariable+"="+base, childRing+"=1")
			es, _ := events(t, base+"-pinned.pcapng")
			n := inSequence(t, es)
			files, err := filepath.Glob(base + "-[0-9]*.pcapng")
			if err != nil || len(files) < 3 {
				t.Fatalf("files of the ring: %v, %v", files, err)
			}
			last := -1
			c := NewChain(files, nil)
			if err := Scan(t.Context(), c, Options{}, func(e Event) {
				if e.Kind == KindHello {
					last = int(e.Hello.RetryCount)
				}
			}); err != nil {
				t.Error(err)
			}
			if old < 20 || n < old || last < old-1 {
				t.Errorf("%d hellos are pinned, the last of the ring is %d; %d were seen more than a second before the end", n, last, old)
			}
			foreignCut(t, base+"-pinned.pcapng", n)
			for _, name := range files {
				if b, err := exec.Command("capinfos", "-c", name).CombinedOutput(); err != nil {
					t.Errorf("capinfos: %v: %s", err, b)
				}
			}
			t.Logf("%d hellos, %d of them older than a second, %d files", n, old, len(files))
		})
	}
}

// killRecording runs a recording process and kills it; it gives how many hellos were seen more than a
// second before.
func killRecording(t *testing.T, round int, environment ...string) (old int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestRecordChild$", "-test.v")
	child.Env = append(os.Environ(), environment...)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	life := 1500*time.Millisecond + time.Duration(round)*137*time.Millisecond
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "hello %d", new(int)); err == nil && time.Since(began) < life-1050*time.Millisecond {
			old++
		}
		if time.Since(began) > life {
			break
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	return old
}

// inSequence counts hellos, of which none may be missing.
func inSequence(t *testing.T, es []Event) (n int) {
	t.Helper()
	for _, e := range es {
		if e.Kind == KindHello {
			if e.Hello.RetryCount != uint32(n) {
				t.Fatalf("hello %d stands at place %d", e.Hello.RetryCount, n)
			}
			n++
		}
	}
	return n
}

// foreignCut lets tshark and capinfos read what is left of a recording. They end with an error when a
// record is cut, after reading what stands before.
func foreignCut(t *testing.T, name string, hellos int) {
	t.Helper()
	rows, err := exec.Command("tshark", "-r", name, "-Y", "tcp.dstport==9971 && tcp.len==32", "-T", "fields", "-e", "frame.number").Output()
	if got := len(strings.Fields(string(rows))); got != hellos {
		t.Errorf("tshark finds %d of %d hellos: %v", got, hellos, err)
	}
	if b, err := exec.Command("capinfos", "-c", name).CombinedOutput(); err != nil {
		t.Errorf("capinfos: %v: %s", err, b)
	}
}

// smallDisk is a file that has room for some bytes; what no longer fits is written in part.
type smallDisk struct {
	*os.File
	room int64
}

func (d *smallDisk) Write(b []byte) (int, error) {
	at, err := d.Seek(0, io.SeekCurrent)
	if err == nil && at+int64(len(b)) > d.room {
		n, _ := d.File.Write(b[:max(0, d.room-at)])
		return n, errors.New("no space left on device")
	}
	n, werr := d.File.Write(b)
	return n, errors.Join(err, werr)
}

// TestRecordingGoesOnWhenThereIsRoom fills a disk and makes room again: no record is cut, and the file
// says what is missing.
func TestRecordingGoesOnWhenThereIsRoom(t *testing.T) {
	name := filepath.Join(t.TempDir(), "case.pcapng")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	disk := &smallDisk{f, 3001}
	var told []string
	rec, err := RecordTo(disk, RecordOptions{KeepOn: true, Warn: func(s string) { told = append(told, s) }}, RecordedInterface{Name: "eth0", Link: LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	late := *frameOf(t, serverV4, clientV4, ACK, 1, nil)
	late.Iface = 1
	for i := range 100 {
		p := frameOf(t, clientV4, serverV4, ACK, uint32(i), psk(t, uint32(i)))
		switch i {
		case 30: // one interface appears while nothing can be written
			if err := rec.AddInterface(RecordedInterface{Name: "tun0", Link: LinkEthernet}); err != nil {
				t.Fatal(err)
			}
		case 50:
			disk.room = 1 << 20
			rec.retry = time.Time{}
			p = &late
		}
		if err := errors.Join(rec.Packet(p), rec.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	if err := rec.Close(Stats{}); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || !strings.Contains(told[0], "no space left") || !strings.Contains(told[1], "again") {
		t.Errorf("told %q", told)
	}
	got, warnings, err := read(bytes.NewReader(mustRead(t, name)))
	if want := 100 - int(rec.Lost()); err != nil || len(warnings) > 0 || len(got) != want || rec.Lost() < 20 {
		t.Errorf("%d packets, %d lost, warnings %q: %v", len(got), rec.Lost(), warnings, err)
	}
	if !bytes.Contains(mustRead(t, name), []byte(fmt.Sprintf("%d packets are missing here", rec.Lost()))) {
		t.Error("the file does not tell what is missing")
	}
	tool(t, "tshark")
	if n := len(strings.Fields(output(t, "tshark", "-r", name, "-T", "fields", "-e", "frame.interface_name"))); n != len(got) {
		t.Errorf("tshark reads %d packets of %d", n, len(got))
	}
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
