package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wholly hides that a source is a file: the scan then sees every packet.
type wholly struct{ Source }

// scanned is all that a scan of a file gives, as text.
func scanned(b []byte, whole bool) string {
	var out strings.Builder
	var stats Stats
	file := NewFile(bytes.NewReader(b), "test", func(s string) { fmt.Fprintln(&out, "warning:", s) })
	var src Source = file
	if whole {
		src = wholly{file}
	}
	err := Scan(context.Background(), src, Options{Stats: &stats}, func(e Event) {
		j, err := e.MarshalJSON()
		fmt.Fprintf(&out, "%s %v\n", j, err)
	})
	fmt.Fprintf(&out, "%+v %v\n", stats, err)
	return out.String()
}

// unsifted compares a scan that leaves packets out inside the reader with one that sees them all.
func unsifted(t testing.TB, b []byte) {
	t.Helper()
	if got, want := scanned(b, false), scanned(b, true); got != want {
		t.Fatalf("with refused packets left out:\n%.2000s\nwith all packets:\n%.2000s", got, want)
	}
}

// TestSieveChangesNothing: leaving packets out changes no event, count, warning or error.
func TestSieveChangesNothing(t *testing.T) {
	for name, b := range hostile(t) {
		t.Run(name, func(t *testing.T) { unsifted(t, b) })
	}
	for _, a := range adversaries(t) {
		t.Run(a.Name, func(t *testing.T) { unsifted(t, a.bytes(t)) })
	}
	var frames [][]byte
	for _, f := range sampleFrames(t) {
		frames = append(frames, f, f[:len(f)/2])
	}
	for _, o := range []order{binary.LittleEndian, binary.BigEndian} {
		for _, link := range []uint32{1, 101, 105, 113, 276, 0x24000001} {
			for _, magic := range []uint32{magicMicro, magicNano, magicModified} {
				t.Run(fmt.Sprintf("%v, pcap %x, link %x", o, magic, link), func(t *testing.T) {
					b := pcapFile(o, magic, link, 1700000000, 1, frames...)
					unsifted(t, cutRecords(o, magic, b))
					unsifted(t, slices.Concat(b, b[:24], b[24:], make([]byte, 16))) // joined, then empty records
				})
			}
			t.Run(fmt.Sprintf("%v, single blocks", o), func(t *testing.T) { singleBlocks(t, o) })
			t.Run(fmt.Sprintf("%v, pcapng, link %x", o, link), func(t *testing.T) { unsifted(t, oddBlocks(o, uint16(link), frames)) })
		}
	}
}

// fcsIface describes an interface whose frames end with a check sequence of 4 bytes.
func fcsIface(o order, link uint16) []byte {
	b := ngIface(o, link, 9)
	o.PutUint16(b[16:], 13)
	b[20] = 4
	return b
}

// cutRecords makes every third record of a pcap two bytes longer on the wire than in the file.
func cutRecords(o order, magic uint32, b []byte) []byte {
	head := 16
	if magic == magicModified {
		head = 24
	}
	b = slices.Clone(b)
	for at, i := 24, 0; at < len(b); i++ {
		n := o.Uint32(b[at+8:])
		if i%3 == 0 {
			o.PutUint32(b[at+12:], n+2)
		}
		at += head + int(n)
	}
	return b
}

// singleBlocks are files in which one block or record behind packets that are left out is special.
func singleBlocks(t *testing.T, o order) {
	web, err := Frame(mustPort("10.20.0.7:50000"), mustPort("10.1.0.10:80"), ACK, 1, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	said, err := Frame(clientV4, serverV4, ACK, 1, 1, psk(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	left := slices.Concat(ngSection(o), ngIface(o, 1, 9))
	for i := range uint64(3) {
		left = append(left, ngPacket(o, 0, (1+i)*1e18, web)...)
	}
	huge := ngPacket(o, 0, 4e18, append(slices.Clone(web), make([]byte, maxPacket)...))
	trailer := ngPacket(o, 0, 4e18, web)
	o.PutUint32(trailer[len(trailer)-4:], 4)
	for _, last := range [][]byte{
		ngBlock(o, blockSimple, append(o.AppendUint32(nil, uint32(len(said))), said...)), // its time is that of the one before
		trailer,
		slices.Concat(huge, ngPacket(o, 0, 4e18, said), huge), // the second is in the buffer with what is before it
		ngPacket(o, 0xFFFFFFFF, 4e18, web),
		ngPacket(o, 0, 4e18, web)[:40],
	} {
		unsifted(t, slices.Concat(left, last, ngPacket(o, 0, 5e18, said)))
	}
	long := append(slices.Clone(web), make([]byte, 60000)...)
	unsifted(t, pcapFile(o, magicMicro, 1, 1, 1, long, long, long, long, long, said, web, slices.Concat(long, make([]byte, maxPacket)), said))
}

// oddBlocks is a pcapng in which packets stand beside everything that is no good packet.
func oddBlocks(o order, link uint16, frames [][]byte) []byte {
	b := slices.Concat(ngSection(o), fcsIface(o, link), ngIface(o, 1, 0xA0))
	for i, f := range frames {
		e := ngPacket(o, uint32(i%2), uint64(i)*1e9, f)
		switch i % 13 { // what is odd ends a run of packets that are left out, so it must be rare
		case 3:
			o.PutUint32(e[24:], uint32(len(f)+2)) // cut by the capture
		case 5:
			b = append(b, ngBlock(o, blockSimple, append(o.AppendUint32(nil, uint32(len(f))), f...))...)
		case 8:
			o.PutUint32(e[8:], 2) // no such interface
		case 10:
			o.PutUint32(e[20:], uint32(len(f)+5)) // longer than its block
		case 12:
			b = append(b, ngBlock(o, blockEnhanced, make([]byte, 8))...)
		}
		b = append(b, e...)
	}
	return append(b, 6, 0, 0, 0)
}

// TestSieveLeavesOut: nearly all of an everyday file is left out, and costs no allocation.
func TestSieveLeavesOut(t *testing.T) {
	for _, ng := range []bool{false, true} {
		c := writeCorpus(t, filepath.Join(t.TempDir(), "mixed"), ng, 8<<20, 0)
		given := 0
		n := testing.AllocsPerRun(3, func() {
			f, err := OpenFile(c.name, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			m := NewMatcher(9971)
			f.leaveOut(m, nil)
			given = 0
			if err := f.Run(context.Background(), func(p *Packet) error {
				if m.Match(p.Link, p.Data) {
					given++
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if s := f.Stats(); s.Received != uint64(c.packets) || f.sieve.packets < s.Received*98/100 {
				t.Fatalf("%d packets of %d were read, %d left out", s.Received, c.packets, f.sieve.packets)
			}
		})
		if given == 0 || n > 64 { // opening and buffers only
			t.Errorf("pcapng %v: %v allocations for %d packets, %d given", ng, n, c.packets, given)
		}
	}
}
