package capture

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tunnel makes an interface whose frames begin with IP. Reading from the file gives what is sent out
// of it, writing to the file brings a packet in.
func tunnel(t *testing.T, name string) *os.File {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		lack(t, "no tunnel device: "+err.Error())
	}
	f := os.NewFile(uintptr(fd), "tun")
	req, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		t.Fatal(err)
	}
	output(t, "ip", "link", "set", name, "up")
	return f
}

// seen is a packet with the name of its interface.
type seen struct {
	iface string
	link  LinkType
	dir   Direction
	data  string
}

// runUntil runs a capture until done says that all is there, but for ten seconds at most. What is
// done meanwhile is done on this thread, which alone sees the interfaces.
func runUntil(t *testing.T, l *Live, meanwhile func(), done func() bool, fn func(*Packet)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	meanwhile()
	err := l.Run(ctx, func(p *Packet) error {
		if p.Number > 0 {
			fn(p)
		}
		if done() {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("capture ended with %v", err)
	}
}

// TestLiveAny watches all interfaces: loopback, both ends of a pair, a bridge, a tunnel without link
// headers, and an interface that is made while the capture runs.
func TestLiveAny(t *testing.T) {
	isolated(t, func(t *testing.T) {
		for _, c := range [][]string{
			{"add", "va", "type", "veth", "peer", "name", "vb"}, {"add", "br0", "type", "bridge", "forward_delay", "0"},
			{"set", "vb", "master", "br0"}, {"set", "va", "up"}, {"set", "vb", "up"}, {"set", "br0", "up"},
		} {
			output(t, "ip", append([]string{"link"}, c...)...)
		}
		tun := tunnel(t, "tun5")
		defer tun.Close()
		var warned []string
		l, err := OpenLive(AnyInterface, LiveOptions{Promisc: true, Warn: func(s string) { warned = append(warned, s) }})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		frame := func(mark string) []byte {
			b, err := Frame(clientV4, serverV4, PSH|ACK, 5, 5, []byte(mark))
			if err != nil {
				t.Fatal(err)
			}
			copy(b, "\xff\xff\xff\xff\xff\xff") // to all stations, the bridge included
			return b
		}
		other, err := Frame(netip.MustParseAddrPort("10.20.0.7:40000"), netip.MustParseAddrPort("10.1.0.10:80"), ACK, 5, 5, []byte("mark other"))
		if err != nil {
			t.Fatal(err)
		}
		var got []seen
		runUntil(t, l, func() {
			inject(t, "lo", frame("mark lo"), other)
			inject(t, "va", frame("mark pair"), tagged(0x8100, 7)(frame("mark tagged")), other)
			for _, b := range [][]byte{frame("mark tunnel")[14:], other[14:]} {
				if _, err := tun.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			output(t, "ip", "link", "add", "vc", "type", "veth", "peer", "name", "vd")
			output(t, "ip", "link", "set", "vc", "up")
			output(t, "ip", "link", "set", "vd", "up")
			inject(t, "vc", frame("mark new"))
		}, func() bool { return len(got) >= 10 }, func(p *Packet) {
			at := bytes.Index(p.Data, []byte("mark "))
			if at < 0 {
				return // the kernel asks for neighbours on its own
			}
			got = append(got, seen{l.Interfaces()[p.Iface].Name, p.Link, p.Dir, string(p.Data[at:])})
			if want := l.Interfaces()[p.Iface].Link; want != p.Link {
				t.Errorf("%s: link type %d, its interface has %d", p.Data[at:], p.Link, want)
			}
		})
		want := []seen{
			{"lo", LinkEthernet, DirIn, "mark lo"},
			{"va", LinkEthernet, DirOut, "mark pair"}, {"vb", LinkEthernet, DirIn, "mark pair"}, {"br0", LinkEthernet, DirIn, "mark pair"},
			{"va", LinkEthernet, DirOut, "mark tagged"}, {"vb", LinkEthernet, DirIn, "mark tagged"}, {"br0", LinkEthernet, DirIn, "mark tagged"},
			{"tun5", LinkRaw, DirIn, "mark tunnel"},
			{"vc", LinkEthernet, DirOut, "mark new"}, {"vd", LinkEthernet, DirIn, "mark new"},
		}
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("missing: %+v", w)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d packets, want %d: %+v", len(got), len(want), got)
		}
		if len(warned) != 1 || l.Stats().Dropped != 0 {
			t.Errorf("warned %q, %+v", warned, l.Stats())
		}
	})
}

// TestLiveStopsInAFlood stops while a block of thousands of packets is handed on slowly.
func TestLiveStopsInAFlood(t *testing.T) {
	isolated(t, func(t *testing.T) {
		l, err := OpenLive("lo", LiveOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		syn, err := Frame(clientV4, serverV4, SYN, 5, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		many := make([][]byte, 5000)
		for i := range many {
			many[i] = syn
		}
		inject(t, "lo", many...)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var stopped time.Time
		handed := 0
		err = l.Run(ctx, func(p *Packet) error {
			if handed++; handed == 200 {
				stopped = time.Now()
				cancel()
			}
			for slow := time.Now(); time.Since(slow) < 100*time.Microsecond; { // a sleep would take longer
			}
			return nil
		})
		// A machine under load may stand still for longer than the stop takes: what counts is how few came after it.
		if took := time.Since(stopped); !errors.Is(err, context.Canceled) || handed > 200+stopEvery {
			t.Errorf("stopped with %v after %v, %d packets came after the stop", err, took, handed-200)
		}
	})
}

// TestLivePromiscuous looks whether the system notes the mode, only while the capture is open.
func TestLivePromiscuous(t *testing.T) {
	isolated(t, func(t *testing.T) {
		output(t, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
		for _, want := range []bool{false, true} {
			l, err := OpenLive("vb", LiveOptions{Promisc: want})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(output(t, "ip", "-d", "link", "show", "vb"), "promiscuity 1"); got != want {
				t.Errorf("promiscuous is %v, asked for was %v", got, want)
			}
			l.Close()
			if strings.Contains(output(t, "ip", "-d", "link", "show", "vb"), "promiscuity 1") {
				t.Error("still promiscuous after the end")
			}
		}
	})
}

// TestLiveAnyEvents brings a hello over loopback, one over a bridge and one through a tunnel: each is told
// once, although the second passes three interfaces; and the recording gives the same.
func TestLiveAnyEvents(t *testing.T) {
	isolated(t, func(t *testing.T) {
		output(t, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
		output(t, "ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
		output(t, "ip", "link", "set", "vb", "master", "br0")
		for _, name := range []string{"va", "vb", "br0"} {
			output(t, "ip", "link", "set", name, "up")
		}
		l, err := OpenLive("", LiveOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		name := filepath.Join(t.TempDir(), "any.pcapng")
		rec, err := CreateRecorder(name, RecordOptions{}, l.Interfaces()...)
		if err != nil {
			t.Fatal(err)
		}
		tun := tunnel(t, "tun5") // the recording does not know it yet
		defer tun.Close()
		k := newTalker(t)
		defer k.close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		k.say(t, psk(t, 1), 9)
		over := func(from netip.AddrPort) []byte {
			b, err := Frame(from, serverV4, PSH|ACK, 100, 5, psk(t, 2))
			if err != nil {
				t.Fatal(err)
			}
			copy(b, "\xff\xff\xff\xff\xff\xff")
			return b
		}
		inject(t, "va", over(clientV4))
		if _, err := tun.Write(over(netip.MustParseAddrPort("10.20.0.8:16994"))[14:]); err != nil {
			t.Fatal(err)
		}
		hellos := 0
		err = Scan(ctx, Record(l, rec), Options{}, func(e Event) {
			if e.Kind == KindHello {
				if hellos++; hellos == 3 {
					time.AfterFunc(300*time.Millisecond, cancel) // a fourth would be wrong
				}
			}
		})
		if !errors.Is(err, context.Canceled) || hellos != 3 {
			t.Errorf("%d hellos, %v", hellos, err)
		}
		again, warnings := events(t, name)
		n := 0
		for _, e := range again {
			if e.Kind == KindHello {
				n++
			}
		}
		if n != 3 || len(warnings) > 0 {
			t.Errorf("the recording gives %d hellos, %q", n, warnings)
		}
		tool(t, "tshark")
		rows := output(t, "tshark", "-r", name, "-Y", "tcp.dstport==9971 && tcp.len>0", "-T", "fields", "-e", "frame.interface_name", "-e", "ip.src")
		for _, want := range []string{"lo\t127.0.0.1\n", "va\t10.20.0.7\n", "br0\t10.20.0.7\n", "tun5\t10.20.0.8\n"} {
			if !strings.Contains(rows, want) {
				t.Errorf("tshark does not see %q:\n%s", want, rows)
			}
		}
	})
}

// TestLiveAnyOutlivesInterfaces removes an interface while all are watched: the others go on, and what
// it had brought still has its name.
func TestLiveAnyOutlivesInterfaces(t *testing.T) {
	isolated(t, func(t *testing.T) {
		output(t, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
		output(t, "ip", "link", "set", "va", "up")
		output(t, "ip", "link", "set", "vb", "up")
		l, err := OpenLive(AnyInterface, LiveOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		bare, err := Frame(clientV4, serverV4, PSH|ACK, 5, 5, psk(t, 0))
		if err != nil {
			t.Fatal(err)
		}
		from := map[string]int{}
		runUntil(t, l, func() {
			inject(t, "va", bare)
			output(t, "ip", "link", "del", "va")
		}, func() bool {
			if from["vb"] == 1 && from["lo"] == 0 {
				inject(t, "lo", bare)
			}
			return from["lo"] > 0
		}, func(p *Packet) {
			if bytes.Equal(p.Data, bare) {
				from[l.Interfaces()[p.Iface].Name]++
			}
		})
		if from["va"] != 1 || from["vb"] != 1 {
			t.Errorf("packets by interface: %v", from)
		}
	})
}
