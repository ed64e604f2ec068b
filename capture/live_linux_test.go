package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"amtmedic/amt"
)

// isolated runs f on a thread with an empty network of its own, loopback up.
func isolated(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if os.Geteuid() != 0 {
		lack(t, "root is needed for a network namespace")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			isolated(t, f) // the first thread, which cannot end, waits here meanwhile
			runtime.UnlockOSThread()
			return
		}
		// never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			lack(t, "no network namespace: "+err.Error())
		}
		tool(t, "ip")
		output(t, "ip", "link", "set", "lo", "up")
		f(t)
	}()
	<-done
}

// talker plays clients and a server on loopback.
type talker struct {
	l    net.Listener
	addr string
	wg   sync.WaitGroup
}

func newTalker(t *testing.T) *talker {
	l, err := net.Listen("tcp", "127.0.0.1:9971")
	if err != nil {
		t.Fatal(err)
	}
	k := &talker{l: l, addr: l.Addr().String()}
	k.wg.Add(1)
	go func() {
		defer k.wg.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			k.wg.Add(1)
			go func() {
				defer k.wg.Done()
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	return k
}

// say sends b in pieces over one connection.
func (k *talker) say(t *testing.T, b []byte, cuts ...int) {
	t.Helper()
	c, err := net.DialTimeout("tcp", k.addr, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, to := range append(cuts, len(b)) {
		if _, err := c.Write(b[at:to]); err != nil {
			t.Fatal(err)
		}
		at = to
		time.Sleep(2 * time.Millisecond)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
	_, _ = c.Read(make([]byte, 1))
	c.Close()
}

func (k *talker) close() { k.l.Close(); k.wg.Wait() }

// watchFor runs a live capture on this thread until the time is over, and does something meanwhile.
func watchFor(t *testing.T, iface string, d time.Duration, meanwhile func()) (es []Event, st Stats) {
	t.Helper()
	l, err := OpenLive(iface, LiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if meanwhile != nil {
		meanwhile()
	}
	if err := Scan(ctx, l, Options{Stats: &st}, func(e Event) { es = append(es, e) }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("capture ended with %v", err)
	}
	return es, st
}

// TestLiveAndTcpdump captures the same exchanges with the ring and with tcpdump, on lo and on "any"
// (link type SLL2), and compares.
func TestLiveAndTcpdump(t *testing.T) {
	isolated(t, func(t *testing.T) {
		tool(t, "tcpdump")
		dir := t.TempDir()
		var dumps []*exec.Cmd
		for _, i := range []string{"lo", "any"} {
			var errs bytes.Buffer
			cmd := exec.Command("tcpdump", "-i", i, "-U", "-Z", "root", "-w", filepath.Join(dir, i))
			cmd.Stderr = &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			dumps = append(dumps, cmd)
		}
		for _, i := range []string{"lo", "any"} { // its file header says that it is ready
			for range 100 {
				if st, err := os.Stat(filepath.Join(dir, i)); err == nil && st.Size() > 0 {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
		k := newTalker(t)
		defer k.close()
		live, st := watchFor(t, "lo", time.Second, func() {
			for n := range 5 {
				k.say(t, psk(t, uint32(n)), 3, 20)
				k.say(t, pki(t, 40), 10, 100, 500)
			}
			k.say(t, psk(t, 9)[:10])
			k.say(t, []byte("GET / HTTP/1.0\r\n\r\n"))
		})
		for _, d := range dumps {
			_ = d.Process.Signal(os.Interrupt)
			_ = d.Wait()
		}
		lo, _ := events(t, filepath.Join(dir, "lo"))
		anyway, _ := events(t, filepath.Join(dir, "any"))
		sum := func(es []Event) string {
			n := map[Kind]int{}
			for _, e := range es {
				n[e.Kind]++
			}
			return fmt.Sprint(n)
		}
		want := "map[closed:12 hello:11 partial:1 syn:12 synack:12]"
		if sum(live) != want || sum(lo) != want || sum(anyway) != want {
			t.Errorf("live %s\nlo   %s\nany  %s\nwant %s", sum(live), sum(lo), sum(anyway), want)
		}
		if st.Dropped != 0 || st.Filtered != 0 || st.Undecodable != 0 {
			t.Errorf("counts %+v", st)
		}
		f, err := OpenFile(filepath.Join(dir, "lo"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m, n := NewMatcher(9971), uint64(0)
		_ = f.Run(context.Background(), func(p *Packet) error {
			if m.Match(p.Link, p.Data) {
				n++
			}
			return nil
		})
		if n != st.Received {
			t.Errorf("%d packets live, tcpdump has %d: on lo each must come once", st.Received, n)
		}
	})
}

// carrier waits until an interface sends: the kernel tells its queue of a carrier up to a second late,
// and drops what is sent before.
func carrier(t *testing.T, iface string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); iface != "lo"; time.Sleep(20 * time.Millisecond) {
		if state := output(t, "ip", "-o", "link", "show", iface); strings.Contains(state, " state UP ") {
			return
		} else if time.Now().After(end) {
			t.Fatalf("%s does not come up: %s", iface, state)
		}
	}
}

// inject sends raw frames out of an interface.
func inject(t *testing.T, iface string, frames ...[]byte) {
	t.Helper()
	carrier(t, iface)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLiveTags sends frames with no, one and two VLAN tags over a veth pair: both ends must give the
// bytes that were sent, although the receiving kernel takes the outer tag out of them.
func TestLiveTags(t *testing.T) {
	isolated(t, func(t *testing.T) {
		output(t, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
		output(t, "ip", "link", "set", "va", "up")
		output(t, "ip", "link", "set", "vb", "up")
		bare, err := Frame(clientV4, serverV4, PSH|ACK, 5, 5, psk(t, 0))
		if err != nil {
			t.Fatal(err)
		}
		sent := [][]byte{bare, tagged(0x8100, 0xE064)(bare), tagged(0x88A8, 200)(tagged(0x8100, 100)(bare))}
		other, _ := Frame(clientV4, mustPort("10.1.0.10:80"), ACK, 5, 5, nil)
		for _, iface := range []string{"vb", "va"} {
			l, err := OpenLive(iface, LiveOptions{Promisc: true})
			if err != nil {
				t.Fatal(err)
			}
			inject(t, "va", append(sent, other, tagged(0x8100, 3)(other))...)
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			var got [][]byte
			_ = l.Run(ctx, func(p *Packet) error {
				if p.Number > 0 && bytes.Contains(p.Data, []byte("4JA2DDBV")) {
					got = append(got, bytes.Clone(p.Data))
				}
				return nil
			})
			cancel()
			st := l.Stats()
			l.Close()
			if len(got) != len(sent) || st.Dropped > 0 {
				t.Fatalf("%s: %d of %d frames, %+v", iface, len(got), len(sent), st)
			}
			for i := range got {
				if !bytes.Equal(got[i], sent[i]) {
					t.Errorf("%s: frame %d is %x, sent was %x", iface, i, got[i], sent[i])
				}
			}
		}
	})
}

func TestLiveInterfaceDownAndGone(t *testing.T) {
	isolated(t, func(t *testing.T) {
		output(t, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
		output(t, "ip", "link", "set", "va", "up")
		output(t, "ip", "link", "set", "vb", "up")
		var warnings []string
		l, err := OpenLive("vb", LiveOptions{Warn: func(s string) { warnings = append(warnings, s) }})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		bare, err := Frame(clientV4, serverV4, PSH|ACK, 5, 5, psk(t, 0))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		beats, frames, gone := 0, 0, false
		before := cpuTime()
		err = l.Run(ctx, func(p *Packet) error { // all on this thread, which alone sees the interfaces
			if p.Number > 0 {
				if bytes.Contains(p.Data, []byte("4JA2DDBV")) {
					frames++
				}
				return nil
			}
			beats++
			switch {
			case beats == 1:
				output(t, "ip", "link", "set", "vb", "down")
			case beats == 3: // nothing comes while it is down: these are a second apart
				output(t, "ip", "link", "set", "vb", "up")
				inject(t, "va", bare)
			case beats > 3 && !gone:
				gone = true
				output(t, "ip", "link", "del", "vb")
			}
			return nil
		})
		if !errors.Is(err, ErrInterfaceGone) {
			t.Errorf("after the removal: %v", err)
		}
		if len(warnings) == 0 || !strings.Contains(warnings[0], "down") || frames != 1 {
			t.Errorf("warnings %q, %d frames after it came up again", warnings, frames)
		}
		if used := cpuTime() - before; used > time.Second {
			t.Errorf("waiting for the interface took %v of processor time", used)
		}
	})
}

func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLiveRecordingIsWritten checks how long a packet of a quiet interface takes to the file: hellos
// come at once or, like all others, within a second.
func TestLiveRecordingIsWritten(t *testing.T) {
	isolated(t, func(t *testing.T) {
		l, err := OpenLive("lo", LiveOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		name := filepath.Join(t.TempDir(), "live.pcapng")
		rec, err := CreateRecorder(name, RecordOptions{}, RecordedInterface{Name: "lo", Link: l.Link()})
		if err != nil {
			t.Fatal(err)
		}
		ping, err := net.Dial("udp", "127.0.0.1:623")
		if err != nil {
			t.Fatal(err)
		}
		defer ping.Close()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() {
			defer cancel()
			for range 4 {
				time.Sleep(370 * time.Millisecond)
				before, _ := os.Stat(name)
				sent := time.Now()
				for _, err := ping.Write([]byte{6}); err != nil; _, err = ping.Write([]byte{6}) {
					if !errors.Is(err, unix.ECONNREFUSED) { // that is the answer to the one before
						t.Error(err)
						return
					}
				}
				for st := before; st.Size() == before.Size() && time.Since(sent) < 3*time.Second; st, _ = os.Stat(name) {
					time.Sleep(5 * time.Millisecond)
				}
				if took := time.Since(sent); took > 1300*time.Millisecond {
					t.Errorf("a packet came to the file after %v", took)
				}
			}
		}()
		if err := Scan(ctx, Record(l, rec), Options{}, func(Event) {}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestLiveCountsLosses fills the ring several times over before anybody reads: what was read and what
// is counted as lost is what was sent.
func TestLiveCountsLosses(t *testing.T) {
	isolated(t, func(t *testing.T) {
		output(t, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
		output(t, "ip", "link", "set", "va", "up")
		output(t, "ip", "link", "set", "vb", "up")
		var warned []string
		l, err := OpenLive("vb", LiveOptions{Warn: func(s string) { warned = append(warned, s) }})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		mark := []byte("one of many")
		bare, err := Frame(clientV4, serverV4, PSH|ACK, 5, 5, append(mark, make([]byte, 1300)...))
		if err != nil {
			t.Fatal(err)
		}
		const sent = 40_000
		many := make([][]byte, sent)
		for i := range many {
			many[i] = bare
		}
		inject(t, "va", many...)
		read := 0
		runUntil(t, l, func() {}, func() bool { return len(warned) > 0 }, func(p *Packet) {
			if bytes.Contains(p.Data, mark) {
				read++
			}
		})
		lost := int(l.Stats().Dropped)
		if lost == 0 || read == 0 || read+lost < sent || read+lost > sent+20 { // the kernel sends a few of its own
			t.Errorf("%d sent, %d read, %d counted as lost", sent, read, lost)
		}
		if len(warned) == 0 || !strings.Contains(warned[0], fmt.Sprintf("%d packets were lost", lost)) {
			t.Errorf("%d lost, warned %q", lost, warned)
		}
	})
}

// Who gathers packets, as a recorder does, must learn that a burst is over.
func TestLiveHeartbeatFollowsBurst(t *testing.T) {
	isolated(t, func(t *testing.T) {
		l, err := OpenLive("lo", LiveOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		bare, err := Frame(clientV4, serverV4, PSH|ACK, 5, 5, psk(t, 0))
		if err != nil {
			t.Fatal(err)
		}
		inject(t, "lo", bare, bare, bare)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		var last time.Time
		seen, over := 0, errors.New("the burst is over")
		err = l.Run(ctx, func(p *Packet) error {
			switch {
			case p.Number > 0:
				seen, last = p.Number, p.Time
			case seen == 3 && p.Data == nil && p.Time.Equal(last):
				return over
			}
			return nil
		})
		if err != over {
			t.Errorf("%d packets, then %v", seen, err)
		}
	})
}

// TestLiveStops measures a stop while nothing comes. A machine under load may stand still for longer
// than the stop takes, so the best of several counts.
func TestLiveStops(t *testing.T) {
	isolated(t, func(t *testing.T) {
		var times []time.Duration
		for range 8 {
			l, err := OpenLive("lo", LiveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			var stopped time.Time
			time.AfterFunc(150*time.Millisecond, func() { stopped = time.Now(); cancel() })
			err = l.Run(ctx, func(*Packet) error { return nil })
			took := time.Since(stopped)
			l.Close()
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("stopped with %v", err)
			}
			if times = append(times, took); took <= 100*time.Millisecond {
				return
			}
		}
		t.Errorf("stops took %v", times)
	})
}

func TestLiveErrors(t *testing.T) {
	if _, err := OpenLive("no-such-if", LiveOptions{}); !errors.Is(err, ErrNoInterface) {
		t.Errorf("unknown interface: %v", err)
	}
	if os.Getenv("AMTMEDIC_TEST_UNPRIVILEGED") == "" {
		if os.Geteuid() != 0 {
			return
		}
		if err := Available(); err != nil {
			t.Error(err)
		}
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestLiveErrors$", "-test.v")
		cmd.Env = append(os.Environ(), "AMTMEDIC_TEST_UNPRIVILEGED=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
			t.Errorf("as nobody: %v: %s", err, out)
		}
		return
	}
	_, err := OpenLive("lo", LiveOptions{})
	for _, err := range []error{err, Available()} {
		var e *amt.Error
		if !errors.Is(err, ErrPermission) || !errors.Is(err, os.ErrPermission) || !errors.As(err, &e) || !strings.Contains(e.Hint, "setcap cap_net_raw+ep /") {
			t.Errorf("without rights: %v", err)
		}
	}
}

// TestLiveKeepsUp floods a veth pair with frames that the filter refuses and a few that it takes:
// none of those may be lost, and the refused ones must cost next to nothing.
func TestLiveKeepsUp(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("AMTMEDIC_LONG is not set")
	}
	isolated(t, func(t *testing.T) {
		output(t, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
		output(t, "ip", "link", "set", "va", "up")
		output(t, "ip", "link", "set", "vb", "up")
		other, err := Frame(clientV4, mustPort("10.1.0.10:443"), ACK, 5, 5, make([]byte, 650))
		if err != nil {
			t.Fatal(err)
		}
		syn, err := Frame(clientV4, serverV4, SYN, 1, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		ifi, err := net.InterfaceByName("va")
		if err != nil {
			t.Fatal(err)
		}
		l, err := OpenLive("vb", LiveOptions{Warn: func(s string) { t.Error(s) }})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx, cancel := context.WithCancel(context.Background())
		const count, every = 1_000_000, 600
		var took time.Duration
		go func() {
			defer time.AfterFunc(300*time.Millisecond, cancel)
			start := time.Now()
			for i := range count {
				f := other
				if i%every == 0 {
					f = syn
				}
				if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
					t.Error(err)
					return
				}
			}
			took = time.Since(start)
		}()
		before := cpuTime()
		got := 0
		_ = l.Run(ctx, func(p *Packet) error {
			if bytes.Equal(p.Data, syn) {
				got++
			}
			return nil
		})
		used := cpuTime() - before
		t.Logf("%d frames in %v, %v of processor time", count, took.Round(time.Millisecond), used.Round(time.Millisecond))
		if want := (count + every - 1) / every; got != want || l.Stats().Dropped != 0 {
			t.Errorf("%d of %d wanted frames, %+v", got, want, l.Stats())
		}
		if used > 300*time.Millisecond {
			t.Errorf("%v of processor time", used)
		}
	})
}
