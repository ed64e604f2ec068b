package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"amtmedic/capture"
)

// inNamespace runs f on a thread with a network of its own: loopback, and a pair va - vb.
func inNamespace(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	needsCapture(t)
	var err error
	onThread(func() {
		err = unix.Unshare(unix.CLONE_NEWNET)
		for _, c := range []string{"link set lo up", "link add va type veth peer name vb", "link set va up", "link set vb up"} {
			if err != nil {
				break
			}
			var out []byte
			if out, err = exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
				err = fmt.Errorf("ip %s: %w: %s", c, err, out)
			}
		}
		if err == nil {
			f(t)
		}
	})
	if err != nil {
		t.Fatalf("no network of its own: %v", err)
	}
}

// onThread runs f on a thread that ends with it and is not the first one: that one cannot end, and
// /proc/self speaks of its network ever after.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done) // also when f gives up
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onThread(f) // the first thread waits here meanwhile
			runtime.UnlockOSThread()
			return
		}
		f() // never unlocked
	}()
	<-done
}

// frameFlood sends frames out of an interface as fast as it can, in batches, past the queue of the system.
type frameFlood struct {
	fd   int
	msgs []struct {
		head unix.Msghdr
		n    uint32
		_    uint32
	}
	iovs []unix.Iovec
}

func newFrameFlood(iface string) (*frameFlood, error) {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, err
	}
	f := &frameFlood{}
	if f.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, err
	}
	if err := unix.Bind(f.fd, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
		return nil, err
	}
	_ = unix.SetsockoptInt(f.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1) // faster where it can be had
	f.msgs = append(f.msgs, make([]struct {
		head unix.Msghdr
		n    uint32
		_    uint32
	}, 128)...)
	f.iovs = make([]unix.Iovec, len(f.msgs))
	return f, nil
}

// send sends count frames; pick gives the i-th.
func (f *frameFlood) send(count int, pick func(i int) []byte) error {
	for at := 0; at < count; {
		n := min(len(f.msgs), count-at)
		for i := range n {
			b := pick(at + i)
			f.iovs[i].Base = &b[0]
			f.iovs[i].SetLen(len(b))
			f.msgs[i].head.Iov = &f.iovs[i]
			f.msgs[i].head.SetIovlen(1)
		}
		sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(f.fd), uintptr(unsafe.Pointer(&f.msgs[0])), uintptr(n), 0, 0, 0)
		if errno == unix.ENOBUFS || errno == unix.EAGAIN {
			continue
		}
		if errno != 0 {
			return errno
		}
		at += int(sent)
	}
	return nil
}

// captured is how a capturing program did.
type captured struct {
	packets, lost int
	cpu           time.Duration
}

// capturing starts a program in this thread's network, does what shall be captured when it says that
// it is ready, and stops it.
func capturing(t *testing.T, ready, counts string, work func(), args ...string) captured {
	t.Helper()
	c := exec.Command(args[0], args[1:]...)
	var errs syncBuffer
	c.Stderr = &errs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end := time.AfterFunc(2*time.Minute, func() { _ = c.Process.Kill() })
	defer end.Stop()
	for limit := time.Now().Add(20 * time.Second); !strings.Contains(errs.text(), ready) && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	work()
	time.Sleep(300 * time.Millisecond)
	_ = c.Process.Signal(os.Interrupt)
	if err := c.Wait(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, errs.text())
	}
	m := regexp.MustCompile(counts).FindStringSubmatch(errs.text())
	if m == nil {
		t.Fatalf("%v says no counts: %s", args, errs.text())
	}
	packets, _ := strconv.Atoi(m[1])
	lost, _ := strconv.Atoi(m[2])
	u := c.ProcessState.SysUsage().(*syscall.Rusage)
	return captured{packets, lost, time.Duration(u.Utime.Nano() + u.Stime.Nano())}
}

// TestLivePerformance floods a pair of interfaces beside tcpdump with the same wanted set, turn by
// turn, and prints the figures as lines that begin with "perf:". Ratios are ours through the peer's.
func TestLivePerformance(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("the figures beside tcpdump belong to the long set: AMTMEDIC_LONG=1")
	}
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("tcpdump is not installed")
	}
	dir := t.TempDir()
	program := buildFor(t, "linux", filepath.Join(dir, "amtmedic"))
	inNamespace(t, func(t *testing.T) {
		f, err := newFrameFlood("va")
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(f.fd)
		mixed, every := mixture(t)
		b := beside{dir: dir, program: program, tcpdump: tcpdump, flood: f}
		b.idle = b.run(t, 7, func() {})
		pick := func(i int) []byte {
			if i%600 == 0 {
				return every[i/600%len(every)]
			}
			return mixed[i%len(mixed)]
		}
		for _, load := range []struct {
			what          string
			rounds        int
			count, wanted int
			pick          func(int) []byte
		}{
			{"mixed traffic, 1 of 600 wanted", 7, 600_000, 1000, pick},
			{"mixed traffic for ten seconds", 3, 6_000_000, 10_000, pick},
			{"all wanted, 700 bytes", 7, 200_000, 200_000, func(i int) []byte { return every[len(every)-1-i%2] }},
		} {
			b.compare(t, load.what, load.rounds, load.count, load.wanted, load.pick)
		}
	})
}

// beside runs the program and tcpdump in turn.
type beside struct {
	dir, program, tcpdump string
	flood                 *frameFlood
	idle                  [3]captured // without any load: ours, tcpdump's, and that of one that prints
	ratio                 [3]float64  // ours through theirs in processor time in the last run: medians of its rounds
}

// run lets each capture what work sends, in turn, and gives the medians. Ours records and prints what it
// sees; tcpdump records, and then one that records and prints.
func (b *beside) run(t *testing.T, rounds int, work func()) (middles [3]captured) {
	t.Helper()
	const filter = "(tcp port 9971 or tcp port 16992 or tcp port 16993 or tcp port 16994 or tcp port 16995 or port 53 or udp port 67 or udp port 68 or " +
		"udp port 137 or udp port 623 or udp port 5353 or udp port 5355 or arp or icmp or icmp6 or ether proto 0x88cc or (ip[6:2] & 0x1fff != 0 and ip proto 6))"
	const counts = `(?s)(\d+) packets captured.*\s(\d+) packets dropped by kernel`
	name := filepath.Join(b.dir, "packets")
	var all [3][]captured
	for range rounds {
		all[0] = append(all[0], capturing(t, "watching", `(\d+) packets taken, (\d+) lost`, work,
			b.program, "capture", "live", "-i", "vb", "-w", name))
		_ = os.Remove(name)
		all[1] = append(all[1], capturing(t, "listening on", counts, work,
			b.tcpdump, "-Z", "root", "-i", "vb", "-s", "262144", "-w", name, filter))
		_ = os.Remove(name)
		all[2] = append(all[2], capturing(t, "listening on", counts, work,
			b.tcpdump, "-Z", "root", "-n", "--print", "-i", "vb", "-s", "262144", "-w", name, filter))
		_ = os.Remove(name)
	}
	for k := range all {
		var ratios []float64
		for i, they := range all[k] {
			ratios = append(ratios, float64(all[0][i].cpu)/float64(max(they.cpu, time.Millisecond)))
		}
		slices.Sort(ratios)
		b.ratio[k] = ratios[len(ratios)/2]
		middles[k] = middle(all[k])
	}
	return middles
}

// compare prints how both did under one load.
func (b *beside) compare(t *testing.T, what string, rounds, count, wanted int, pick func(int) []byte) {
	t.Helper()
	var rates []float64
	both := b.run(t, rounds, func() {
		start := time.Now()
		if err := b.flood.send(count, pick); err != nil {
			t.Error(err)
		}
		rates = append(rates, float64(count)/time.Since(start).Seconds())
	})
	slices.Sort(rates)
	us, they, printing := both[0], both[1], both[2]
	row := func(name, ours, peer, ratio, want string) {
		fmt.Printf("perf: live | %s: %s | %s | %s | %s | %s\n", what, name, ours, peer, ratio, want)
	}
	times := func(name string, a, b time.Duration, want string) {
		row(name, fmt.Sprintf("%d ms", a.Milliseconds()), fmt.Sprintf("%d ms", b.Milliseconds()), fmt.Sprintf("%.2f", float64(a)/float64(max(b, time.Millisecond))), want)
	}
	row("offered, thousand packets a second", fmt.Sprintf("%.0f", rates[len(rates)/2]/1000), "the same", "-", "-")
	row("captured of wanted", fmt.Sprintf("%d of %d", us.packets, wanted), strconv.Itoa(they.packets), fmt.Sprintf("%.2f", float64(us.packets)/float64(max(1, they.packets))), "1 or more")
	row("lost", strconv.Itoa(us.lost), strconv.Itoa(they.lost), "-", "0 where tcpdump loses none")
	times("processor time, start included", us.cpu, they.cpu, "-")
	row("processor time, median of the ratios of each round", "-", "-", fmt.Sprintf("%.2f", b.ratio[1]), "<= 1")
	above := func(k int) time.Duration { return max(0, both[k].cpu-b.idle[k].cpu) }
	ourLoad, theirLoad := above(0), above(1)
	times("processor time above that of an idle run", ourLoad, theirLoad, "1 or less")
	times("processor time beside a tcpdump that prints what it records, as ours does, start included", us.cpu, printing.cpu, "-")
	times("the same above that of an idle run", ourLoad, above(2), "1 or less")
	if wanted == count {
		return
	}
	million := func(idle, load time.Duration) time.Duration { return idle + load*1_900_000/time.Duration(count) }
	times("processor time for 1.9 million offered, start included", million(b.idle[0].cpu, ourLoad), million(b.idle[1].cpu, theirLoad), "100 ms or less for ours")
	if they.lost == 0 && (us.lost > 0 || us.packets < wanted) {
		t.Errorf("%s: %d of %d packets, %d lost; tcpdump lost none", what, us.packets, wanted, us.lost)
	}
}

// middle gives the medians of each figure.
func middle(all []captured) captured {
	pick := func(f func(captured) int) int {
		v := make([]int, len(all))
		for i, c := range all {
			v[i] = f(c)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return captured{pick(func(c captured) int { return c.packets }), pick(func(c captured) int { return c.lost }),
		time.Duration(pick(func(c captured) int { return int(c.cpu) }))}
}

// mixture gives frames that nobody wants and frames that are wanted, of about 700 bytes.
func mixture(t *testing.T) (other, wanted [][]byte) {
	t.Helper()
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	port := netip.MustParseAddrPort
	body := bytes.Repeat([]byte("x"), 646)
	other = [][]byte{
		must(capture.Frame(port("10.20.0.7:40000"), port("10.1.0.10:443"), capture.ACK, 5, 5, body)),
		must(capture.Frame(port("10.1.0.10:443"), port("10.20.0.7:40000"), capture.ACK, 5, 5, body)),
		must(capture.FrameUDP(port("10.20.0.8:50000"), port("10.1.0.11:443"), body)),
		must(capture.Frame(port("[2001:db8::7]:40000"), port("[2001:db8::10]:443"), capture.ACK, 5, 5, body)),
	}
	wanted = [][]byte{
		must(capture.Frame(port("10.20.0.7:16994"), port("10.1.0.10:9971"), capture.SYN, 5, 0, nil)),
		must(capture.FrameUDP(port("10.20.0.7:40001"), port("10.1.0.53:53"), body[:40])),
		must(capture.Frame(port("[2001:db8::7]:16994"), port("[2001:db8::10]:9971"), capture.SYN, 5, 0, nil)),
		must(capture.Frame(port("10.1.0.10:40002"), port("10.20.0.7:16993"), capture.ACK, 5, 5, body)),
		must(capture.Frame(port("10.20.0.7:16993"), port("10.1.0.10:40002"), capture.ACK, 5, 5, body)),
	}
	return other, wanted
}
