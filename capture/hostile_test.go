package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
)

// longer announces n captured bytes in an enhanced packet block of little endian.
func longer(block []byte, n uint32) []byte {
	binary.LittleEndian.PutUint32(block[20:], n)
	return block
}

// TestLimits reads files at and beyond what is believed: in pcap nothing can be found behind a length
// that is not believed; in pcapng the block is left out and what follows is read.
func TestLimits(t *testing.T) {
	le := order(binary.LittleEndian)
	ng := func(blocks ...[]byte) []byte {
		return slices.Concat(append(append([][]byte{ngSection(le), ngIface(le, 1, 255)}, blocks...), ngPacket(le, 0, 1, []byte{7}))...)
	}
	for name, tt := range map[string]struct {
		file  []byte
		n     int    // packets
		warns string // in the warning
		fault string // in the error
	}{
		"pcap, the largest":              {pcapFile(le, magicMicro, 1, 1, 1, make([]byte, maxPacket), []byte{7}), 2, "", ""},
		"pcap, one byte more":            {pcapFile(le, magicMicro, 1, 1, 1, []byte{7}, make([]byte, maxPacket+1), []byte{7}), 1, "", "262145"},
		"pcapng, the largest":            {ng(ngPacket(le, 0, 1, make([]byte, maxPacket))), 2, "", ""},
		"pcapng, one byte more":          {ng(ngPacket(le, 0, 1, make([]byte, maxPacket+1))), 1, "262145 bytes", ""},
		"pcapng, more than the block":    {ng(longer(ngPacket(le, 0, 1, make([]byte, 40)), 50)), 1, "50 bytes", ""},
		"pcapng, a block of the reader":  {ng(ngBlock(le, 0x0BAD, make([]byte, blockSize-12))), 1, "", ""},
		"pcapng, a larger block":         {ng(ngBlock(le, 0x0BAD, make([]byte, blockSize))), 1, "skipped", ""},
		"pcapng, the largest block":      {ng(ngBlock(le, 0x0BAD, make([]byte, maxBlock-12))), 1, "skipped", ""},
		"pcapng, a block beyond that":    {ng(ngBlock(le, 0x0BAD, make([]byte, maxBlock-8))), 0, "", "16777220"},
		"pcapng, a block of 8 bytes":     {slices.Concat(ngSection(le), ngIface(le, 1, 255), []byte{6, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0}), 0, "", "8 bytes"},
		"pcapng, an unknown interface":   {ng(ngPacket(le, 9, 1, []byte{1})), 1, "interface 9", ""},
		"pcapng, without any interface":  {slices.Concat(ngSection(le), ngPacket(le, 0, 1, []byte{1})), 0, "interface 0", ""},
		"pcapng, packets before section": {ngPacket(le, 0, 1, []byte{1}), 0, "", "no capture"},
	} {
		t.Run(name, func(t *testing.T) {
			got, warnings, err := read(bytes.NewReader(tt.file))
			if len(got) != tt.n {
				t.Errorf("%d packets, want %d", len(got), tt.n)
			}
			if w := strings.Join(warnings, "|"); (tt.warns == "") != (w == "") || !strings.Contains(w, tt.warns) {
				t.Errorf("warnings %q", w)
			}
			if (tt.fault == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tt.fault)) {
				t.Errorf("error %v", err)
			}
			var f *FormatError
			if errors.As(err, &f) && (f.Offset <= 0 || f.Offset >= int64(len(tt.file))) {
				t.Errorf("the fault is said to be at byte %d", f.Offset)
			}
		})
	}
}

// TestProgress: whoever shows progress sees the offset in the file grow to its length, also when the
// file is compressed, and a cancel ends the reading within a block.
func TestProgress(t *testing.T) {
	var data [][]byte
	for range 3000 {
		data = append(data, make([]byte, 1500))
	}
	plain := pcapFile(order(binary.LittleEndian), magicMicro, 1, 1700000000, 1, data...)
	for name, b := range compressed(t, plain) {
		t.Run(name, func(t *testing.T) {
			f := NewFile(bytes.NewReader(b), "test", nil)
			last := uint64(0)
			if err := f.Run(t.Context(), func(*Packet) error {
				if now := f.Stats().Bytes; now < last || now > uint64(len(b)) {
					t.Fatalf("progress goes from %d to %d of %d", last, now, len(b))
				} else {
					last = now
				}
				return nil
			}); err != nil || f.Stats().Bytes != uint64(len(b)) || f.Stats().Received != 3000 {
				t.Errorf("%+v of %d: %v", f.Stats(), len(b), err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			err := NewFile(bytes.NewReader(b), "test", nil).Run(ctx, func(*Packet) error {
				n++
				cancel()
				return nil
			})
			if !errors.Is(err, context.Canceled) || n > 2*blockSize/1500+2 {
				t.Errorf("%d packets after a cancel: %v", n, err)
			}
		})
	}
}

// TestCompressedBomb inflates a small file to much: memory stays what it was.
func TestCompressedBomb(t *testing.T) {
	const packets = 2000
	body := make([]byte, 60000)
	record := pcapFile(order(binary.LittleEndian), magicMicro, 1, 1700000000, 1, body)
	pr, pw := io.Pipe()
	go func() {
		z := gzip.NewWriter(pw)
		_, err := z.Write(record[:24])
		for range packets {
			_, werr := z.Write(record[24:])
			err = errors.Join(err, werr)
		}
		pw.CloseWithError(errors.Join(err, z.Close()))
	}()
	var small bytes.Buffer
	if _, err := io.Copy(&small, pr); err != nil || small.Len() > 1<<20 {
		t.Fatalf("%d bytes: %v", small.Len(), err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := 0
	err := NewFile(bytes.NewReader(small.Bytes()), "test", nil).Run(t.Context(), func(*Packet) error { n++; return nil })
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; err != nil || n != packets || used > 8<<20 {
		t.Errorf("%d packets of %d, %d bytes of memory for %d: %v", n, packets, used, packets*len(body), err)
	}
}

// TestHostileLayers brings frames whose inner lengths lie, as they made gopacket 1.1.19 panic: no event,
// no panic, no note.
func TestHostileLayers(t *testing.T) {
	ether := func(kind string, body string) []byte { return unhex(t, "ffffffffffff020000000001"+kind+body) }
	udp := func(src, dst string, b []byte) []byte {
		f, err := FrameUDP(mustPort(src), mustPort(dst), b)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	dhcp := func(o ...byte) []byte {
		return append(append(make([]byte, 236), 0x63, 0x82, 0x53, 0x63), o...)
	}
	frames := map[string][]byte{
		"LLDP, management address of no length": ether("88cc", "0207 04 00aabbccddee 1000 1001 00 1002 0001 0000"),
		"LLDP, element runs over":               ether("88cc", "0207 04 00aabbccddee 05ff 05"),
		"LLDP, empty":                           ether("88cc", ""),
		"PPPoE, length runs over":               ether("8864", "11000001 ffff 0021 45000014"),
		"PPPoE in a tag":                        ether("8100", "0064 8864 11000001 ffff 0021"),
		"ARP, lengths wrap":                     ether("0806", "0001080061200001 00000000"),
		"DHCP, hardware length 0xf0":            udp("0.0.0.0:68", "255.255.255.255:67", append([]byte{0, 0, 0xF0}, dhcp()[3:]...)),
		"DHCP, option runs over":                udp("0.0.0.0:68", "255.255.255.255:67", dhcp(53, 200, 1)),
		"DHCP, overload of itself":              udp("0.0.0.0:68", "255.255.255.255:67", dhcp(52, 1, 3, 52, 1, 3)),
		"DNS, name points at itself":            udp("10.20.0.7:5300", "10.1.0.53:53", unhex(t, "000101000001000000000000c00c00010001")),
		"DNS, thousands of answers announced":   udp("10.1.0.53:53", "10.20.0.7:5300", unhex(t, "00018180ffffffffffffffff")),
		"IPv4, header longer than the packet":   ether("0800", "4f000014000000004006000001020304 05060708"),
		"IPv4, total length of 10":              ether("0800", "4500000a00000000400600000102030405060708 26f326f3"),
		"IPv6, extension without end":           ether("86dd", "6000000000080040"+strings.Repeat("00", 32)+"00ff000000000000"),
		"TCP, header longer than the packet":    ether("0800", "45000028000000004006000001020304050607081234 26f3 00000001 00000000 f002 0000 0000 0000"),
		"SCTP":                                  ether("0800", "450000200000000040840000010203040506070800000000000000000000 0000"),
		"sFlow":                                 udp("10.0.0.1:6343", "10.0.0.2:6343", bytes.Repeat([]byte{0xff}, 64)),
		"RMCP, cut":                             udp("10.20.0.7:623", "10.1.0.10:623", unhex(t, "0600ff06000011be400700100000")),
	}
	for name, b := range frames {
		t.Run(name, func(t *testing.T) {
			for n := range len(b) + 1 { // cut anywhere; the capacity ends where the bytes do
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				s := NewScanner(Options{Note: func(k Note) { t.Errorf("cut at %d: note %s", n, k.Words()) }}, func(e Event) {
					if e.Kind != KindSYN { // the one of a header that is cut
						t.Errorf("cut at %d: event %+v", n, e)
					}
				})
				s.Packet(&Packet{Data: slices.Clip(slices.Clone(b[:n])), OrigLen: len(b), Link: LinkEthernet, Number: 1, Time: time.Unix(1, 0)})
				s.End()
				if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 1<<20 {
					t.Errorf("cut at %d: %d bytes were allocated", n, after.TotalAlloc-before.TotalAlloc)
				}
			}
		})
	}
}

// panicking is a transport that breaks.
type panicking struct{ counter }

func (*panicking) tcp(*meta, *layers.TCP, []byte) { panic("broken") }

// TestRecovered: a panic below a packet costs that packet only, and it is counted.
func TestRecovered(t *testing.T) {
	s := NewScanner(Options{}, func(Event) {})
	good := s.dec.out
	s.dec.out = &panicking{}
	p := frameOf(t, clientV4, serverV4, SYN, 1, nil)
	s.Packet(p)
	s.dec.out = good
	s.Packet(p)
	if st := s.Stats(); st.Undecodable != 1 || st.Received != 2 {
		t.Errorf("%+v", st)
	}
}

// TestNoWholeDecoder keeps the entries of gopacket out that reach its 150 other decoders, its reader of
// pcapng and its assemblers.
func TestNoWholeDecoder(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, b, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			for _, no := range []string{"/reassembly", "/tcpassembly", "/afpacket"} {
				if strings.HasSuffix(strings.Trim(i.Path.Value, `"`), no) {
					t.Errorf("%s imports %s", name, i.Path.Value)
				}
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"NewPacket", "NewPacketSource", "NewNgReader", "NewEthernetHandle", "IgnorePanic"}, s.Sel.Name) {
				t.Errorf("%s uses %s", name, s.Sel.Name)
			}
			return true
		})
	}
}
