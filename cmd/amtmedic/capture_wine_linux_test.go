package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"amtmedic/capture"
)

// exchange is the packets of one hello and of what is around it, as Ethernet frames: two of them
// matter to nobody.
func exchange(t *testing.T) [][]byte {
	t.Helper()
	client, server := netip.MustParseAddrPort("10.20.0.7:16994"), netip.MustParseAddrPort("10.1.0.10:9971")
	pc, web := netip.MustParseAddrPort("10.20.0.7:40000"), netip.MustParseAddrPort("10.1.0.10:443")
	msg := []byte("\x00\x00\x02\x00\x03\x00\x00\x00DELLX\x00\x109\x80Y\xb7\xc0OKZ14KRG65QT")
	var out [][]byte
	add := func(b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	add(capture.Frame(pc, web, capture.SYN, 1, 0, nil))
	add(capture.Frame(client, server, capture.SYN, 99, 0, nil))
	add(capture.Frame(server, client, capture.SYN|capture.ACK, 499, 100, nil))
	add(capture.Frame(client, server, capture.PSH|capture.ACK, 100, 500, msg[:9]))
	add(capture.Frame(web, pc, capture.RST|capture.ACK, 0, 2, nil))
	add(capture.Frame(client, server, capture.PSH|capture.ACK, 109, 500, msg[9:]))
	add(capture.Frame(client, server, capture.FIN|capture.ACK, 132, 500, nil))
	return out
}

// writeCapture writes frames into a pcap file, each behind a link header, without the first cut bytes.
func writeCapture(t *testing.T, name string, link uint32, cut int, head string, frames [][]byte) {
	t.Helper()
	o := binary.LittleEndian
	b := o.AppendUint32([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 1<<18)
	b = o.AppendUint32(b, link)
	for i, f := range frames {
		f = append([]byte(head), f[cut:]...)
		b = o.AppendUint32(o.AppendUint32(b, uint32(time.Now().Unix())), uint32(1000*i))
		b = append(o.AppendUint32(o.AppendUint32(b, uint32(len(f))), uint32(len(f))), f...)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCaptureUnderWine runs the live capture of Windows: without a driver, with a stand-in for
// Npcap's library that serves a file, and with wine's own library on real packets of loopback.
func TestCaptureUnderWine(t *testing.T) {
	loader, compiler := wineOrSkip(t)
	w := newWine(t, loader, compiler)
	dir := t.TempDir()
	program := buildFor(t, "windows", filepath.Join(dir, "amtmedic.exe"))
	frames := exchange(t)
	writeCapture(t, filepath.Join(dir, "ethernet.pcap"), 1, 0, "", frames)
	writeCapture(t, filepath.Join(dir, "raw.pcap"), 101, 14, "", frames)
	writeCapture(t, filepath.Join(dir, "null.pcap"), 0, 14, "\x02\x00\x00\x00", frames)
	live := func(dll string, set []string, args ...string) outcome {
		c := exec.Command(w.loader, append([]string{program, "capture", "live"}, args...)...)
		c.Dir, c.Env = dir, append(w.env(), append(set, "AMTMEDIC_HOME="+filepath.Join(dir, "home"),
			"WINEDLLOVERRIDES=mscoree=;mshtml=;winemenubuilder.exe=;wpcap="+dll)...)
		return runProgram(t, c, "")
	}
	// Windows has no library of that name by itself, wine has.
	own := filepath.Join(w.prefix, "drive_c", "windows", "system32", "wpcap.dll")
	_ = os.Rename(own, own+".away")
	t.Run("no driver", func(t *testing.T) {
		o := live("", nil, "-i", "Ethernet")
		for _, want := range []string{"live capture needs the driver Npcap, which is not installed", "install Npcap from https://npcap.com", "amtmedic capture scan FILE"} {
			if o.code != exitUndecided || !strings.Contains(o.stderr, want) {
				t.Errorf("exit %d, no %q in %q", o.code, want, o.stderr)
			}
		}
	})
	npcap := filepath.Join(w.prefix, "drive_c", "windows", "system32", "Npcap")
	if err := os.MkdirAll(npcap, 0o755); err != nil {
		t.Fatal(err)
	}
	stand := func(flags ...string) {
		w.mustRun(t, exec.Command(compiler, append(flags, "-O1", "-Wall", "-Werror", "-shared", "-o", filepath.Join(npcap, "wpcap.dll"),
			filepath.Join("testdata", "wine", "wpcap.c"))...))
	}
	t.Run("incomplete driver", func(t *testing.T) {
		stand("-DWITHOUT_STATS")
		if o := live("n", nil, "-i", "x"); o.code != exitUndecided || !strings.Contains(o.stderr, "it has no function pcap_stats") {
			t.Errorf("exit %d, %q", o.code, o.stderr)
		}
	})
	stand()
	const device = `\Device\NPF_{7D5F0A50-5E6B-4B6E-9E55-8C5A4D5F0A51}`
	t.Run("stand-in", func(t *testing.T) {
		standIn(t, dir, func(set []string, args ...string) outcome { return live("n", set, args...) }, device)
	})
	t.Run("wine's library", func(t *testing.T) {
		if err := os.Rename(own+".away", own); err != nil {
			t.Skip("this wine has no wpcap.dll of its own")
		}
		wineLibrary(t, w, program)
	})
}

// standIn drives the program through everything that the stand-in can do.
func standIn(t *testing.T, dir string, live func(set []string, args ...string) outcome, device string) {
	all := map[string]int{"syn": 1, "synack": 1, "hello": 1, "closed": 1}
	for _, c := range []struct {
		name  string
		set   string
		args  []string
		code  int
		want  map[string]int
		says  []string
		inLog []string
	}{
		{"all goes well", "WPCAP_FILE=ethernet.pcap WPCAP_DROP=7", []string{"-i", device, "--promisc", "--for", "2s", "-w", "out.pcapng"}, exitOK, all,
			[]string{"warning: " + device + ": 7 packets were lost", "5 packets taken, 7 lost"},
			[]string{"device=" + device + " ", "snaplen=262144 promisc=1 wait=250 immediate=1 buffer=16777216 read=7 given=5 program=yes stats=yes stopped=1"}},
		{"by description, no program", "WPCAP_FILE=ethernet.pcap WPCAP_REFUSE=1", []string{"-i", "stand-in adapter", "--for", "1s"}, exitOK, all,
			[]string{"the program is too long; packets are sorted out after reading", "5 packets taken, 0 lost"}, []string{"promisc=0", "given=7 program=no"}},
		{"raw IP", "WPCAP_FILE=raw.pcap WPCAP_LINK=12", []string{"-i", device, "--for", "1s"}, exitOK, all, []string{"5 packets taken"}, []string{"given=5 program=yes"}},
		{"loopback adapter", "WPCAP_FILE=null.pcap WPCAP_LINK=0", []string{"-i", device, "--for", "1s"}, exitOK, all, []string{"5 packets taken"}, []string{"given=7 program=no"}},
		{"adapter removed", "WPCAP_FILE=ethernet.pcap WPCAP_GONE=1", []string{"-i", device, "--for", "20s"}, exitFound, all, []string{"the interface was removed"}, []string{"stopped=0"}},
		{"no right", "WPCAP_DENY=1", []string{"-i", device}, exitUndecided, nil, []string{"the right to capture packets is missing", "run it as administrator"}, []string{"read=0"}},
		{"driver's own error", "", []string{"-i", device}, exitUndecided, nil, []string{"no file of packets"}, nil},
		{"unknown link type", "WPCAP_FILE=ethernet.pcap WPCAP_LINK=147", []string{"-i", device}, exitUndecided, nil, []string{"link type 147 is not known"}, []string{"read=0"}},
		{"no such adapter", "", []string{"-i", "Ethernet 77"}, exitUsage, nil, []string{"there is no such interface", "interfaces here: Stand-in Adapter"}, nil},
		{"all adapters", "", nil, exitUsage, nil, []string{"on Linux only", "interfaces here: Stand-in Adapter"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := filepath.Join(dir, "wpcap.log")
			_ = os.Remove(log)
			o := live(append(strings.Fields(c.set), "WPCAP_LOG=wpcap.log"), append(c.args, "--json")...)
			if n := scanned(t, o.stdout, ""); o.code != c.code || len(n) != len(c.want) || (len(n) > 0 && !same(n, c.want)) {
				t.Errorf("exit %d, want %d; events %v, want %v\n%s", o.code, c.code, n, c.want, o.stderr)
			}
			for _, want := range c.says {
				if !strings.Contains(o.stderr, want) {
					t.Errorf("no %q in %q", want, o.stderr)
				}
			}
			used, _ := os.ReadFile(log)
			for _, want := range c.inLog {
				if !strings.Contains(string(used), want) {
					t.Errorf("no %q in how the library was used: %q", want, used)
				}
			}
		})
	}
	code, out, errs := runHere(t, nil, "capture", "scan", "--json", filepath.Join(dir, "out.pcapng"))
	if n := scanned(t, out, filepath.Join(dir, "out.pcapng")); code != exitOK || !same(n, all) {
		t.Errorf("the recording: exit %d, events %v, %q", code, n, errs)
	}
}

// wineLibrary captures real packets of a network namespace's loopback: wine's wpcap.dll hands the
// calls to libpcap.
func wineLibrary(t *testing.T, w wine, program string) {
	needsCapture(t)
	c := exec.Command("unshare", "-n", "sh", "-c", `ip link set lo up && exec "$0" "$@"`,
		w.loader, program, "capture", "live", "-i", "lo", "--json", "--for", "6s")
	c.Env = append(w.env(), "WINEDLLOVERRIDES=mscoree=;mshtml=;winemenubuilder.exe=;wpcap=b")
	c.WaitDelay = time.Second
	var out syncBuffer
	c.Stdout = &out
	talk, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end := time.AfterFunc(time.Minute, func() { _ = c.Process.Kill() })
	defer end.Stop()
	lines, said := bufio.NewScanner(talk), ""
	for lines.Scan() {
		said += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "watching lo") {
			if err := helloInside(c.Process.Pid); err != nil {
				t.Error(err)
			}
		}
	}
	err = c.Wait()
	n := scanned(t, out.text(), "")
	if want := map[string]int{"syn": 1, "synack": 1, "hello": 1, "closed": 1}; err != nil || !same(n, want) || !strings.Contains(said, " 0 lost") {
		t.Errorf("%v: events %v, want %v\n%s", err, n, want, said)
	}
}

// helloInside says a hello on loopback in the network namespace of a process.
func helloInside(pid int) (err error) {
	onThread(func() {
		err = func() error {
			ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(ns)
			if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
				return err
			}
			l, err := net.Listen("tcp", "127.0.0.1:9971")
			if err != nil {
				return err
			}
			defer l.Close()
			go func() {
				if c, err := l.Accept(); err == nil {
					_, _ = io.Copy(io.Discard, c)
					c.Close()
				}
			}()
			c, err := net.Dial("tcp", "127.0.0.1:9971")
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = io.WriteString(c, "\x00\x00\x02\x00\x03\x00\x00\x00DELLX\x00\x109\x80Y\xb7\xc0OKZ14KRG65QT")
			return err
		}()
	})
	return err
}
