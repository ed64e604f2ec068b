package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// writeConsoles writes a capture of what a server says to the firmware of its clients for hours: text
// consoles and pictures of disks over port 16994, of which the filter wants every packet, and a hello.
func writeConsoles(b *testing.B, name string, size int64) int64 {
	b.Helper()
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	var written int64
	second := uint32(1700000000)
	put := func(frame []byte) {
		rec := pcapFile(binary.LittleEndian, magicMicro, 1, second, 0, frame)
		if written > 0 {
			rec = rec[24:]
		}
		n, err := w.Write(rec)
		if written += int64(n); err != nil {
			b.Fatal(err)
		}
	}
	frame := func(src, dst netip.AddrPort, flags Flags, seq uint32, payload []byte) []byte {
		ack := uint32(2000)
		if src.Port() == 16994 {
			ack = 1000
		}
		f, err := Frame(src, dst, flags, seq, ack, payload)
		if err != nil {
			b.Fatal(err)
		}
		return f
	}
	server := netip.MustParseAddrPort("10.1.0.10:40000")
	var talk [][]byte
	for i := range 8 {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, 0, byte(7 + i)}), 16994)
		put(frame(server, client, SYN, 999, nil))
		put(frame(client, server, SYN|ACK, 1999, nil))
		put(frame(server, client, ACK|PSH, 1000, []byte{0x10, 0, 0, 0, 'S', 'O', 'L', ' '}))
		put(frame(client, server, ACK|PSH, 2000, []byte{0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}))
		for range 4 {
			talk = append(talk, frame(client, server, ACK|PSH, 2013, make([]byte, 1400)), frame(server, client, ACK, 1008, nil),
				frame(server, client, ACK|PSH, 1008, make([]byte, 500)), frame(client, server, ACK, 3413, nil))
		}
	}
	for i := 0; written < size; i++ {
		if i%10000 == 9999 {
			second++
		}
		put(talk[i*7%len(talk)])
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return written
}

// consoles compares the scan of such a capture with tcpdump's, which wants nothing of it.
func (c *contest) consoles(program string, size int64) {
	file := filepath.Join(c.dir, "console.pcap")
	size = writeConsoles(c.b, file, size)
	defer os.Remove(file)
	for range speedRounds {
		c.runs["program"] = append(c.runs["program"], c.process(nil, nil, program, "capture", "scan", "--json", file))
		c.runs["tcpdump"] = append(c.runs["tcpdump"], c.process(nil, nil, "tcpdump", "-r", file, "-w", "/dev/null", "tcp port 9971"))
	}
	out, err := exec.Command(program, "capture", "scan", "--json", file).Output()
	if n := len(out); err != nil || n == 0 {
		c.b.Fatalf("%d bytes of events, %v", n, err)
	}
	perf(fmt.Sprintf("pcap, %.3g GiB, nearly all of port 16994: times as fast as tcpdump with a filter", float64(size)/(1<<30)),
		seconds(c.median("program", wall)), seconds(c.median("tcpdump", wall)), times(c.ratio("tcpdump", "program", wall)), ">= 1.5")
}
