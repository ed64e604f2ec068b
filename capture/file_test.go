package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/klauspost/compress/zstd"

	"amtmedic/amt"
)

// order is a byte order that can also append.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// pcapFile writes a pcap by hand: every record holds data and stands sec seconds and frac units
// after 1970.
func pcapFile(o order, magic, link uint32, sec, frac uint32, data ...[]byte) []byte {
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(b, 2)
	b = o.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = o.AppendUint32(b, 65535)
	b = o.AppendUint32(b, link)
	for _, d := range data {
		b = o.AppendUint32(b, sec)
		b = o.AppendUint32(b, frac)
		b = o.AppendUint32(b, uint32(len(d)))
		b = o.AppendUint32(b, uint32(len(d)))
		if magic == magicModified {
			b = append(b, make([]byte, 8)...)
		}
		b = append(b, d...)
	}
	return b
}

// ngBlock writes one pcapng block.
func ngBlock(o order, typ uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	b := o.AppendUint32(nil, typ)
	b = o.AppendUint32(b, uint32(len(body)+12))
	b = append(b, body...)
	return o.AppendUint32(b, uint32(len(body)+12))
}

func ngSection(o order) []byte {
	b := o.AppendUint32(nil, byteOrderMagic)
	b = o.AppendUint16(b, 1)
	b = o.AppendUint16(b, 0)
	return ngBlock(o, blockSection, append(b, 255, 255, 255, 255, 255, 255, 255, 255))
}

// ngIface describes an interface; resol 255 leaves the option out.
func ngIface(o order, link uint16, resol byte) []byte {
	b := o.AppendUint16(nil, link)
	b = o.AppendUint16(b, 0)
	b = o.AppendUint32(b, 0)
	if resol != 255 {
		b = o.AppendUint16(b, 9)
		b = o.AppendUint16(b, 1)
		b = append(b, resol, 0, 0, 0)
		b = append(b, 0, 0, 0, 0)
	}
	return ngBlock(o, blockInterface, b)
}

// snapped sets the snap length of an interface block.
func snapped(o order, block []byte, n uint32) []byte {
	o.PutUint32(block[12:], n)
	return block
}

func ngPacket(o order, iface uint32, ts uint64, data []byte) []byte {
	b := o.AppendUint32(nil, iface)
	b = o.AppendUint32(b, uint32(ts>>32))
	b = o.AppendUint32(b, uint32(ts))
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, uint32(len(data)))
	return ngBlock(o, blockEnhanced, append(b, data...))
}

// read gives the packets of a file as text, its warnings and its error.
func read(r io.Reader) (packets, warnings []string, err error) {
	f := NewFile(r, "test", func(s string) { warnings = append(warnings, s) })
	err = f.Run(context.Background(), func(p *Packet) error {
		at := "-"
		if !p.Time.IsZero() {
			at = p.Time.UTC().Format(time.RFC3339Nano)
		}
		packets = append(packets, fmt.Sprintf("%d if%d link%d %s %d/%d %x", p.Number, p.Iface, p.Link, at, len(p.Data), p.OrigLen, p.Data))
		return nil
	})
	return packets, warnings, err
}

func TestPcapForms(t *testing.T) {
	le, be := order(binary.LittleEndian), order(binary.BigEndian)
	d := []byte{1, 2, 3}
	micro := "1 if0 link1 2023-11-14T22:13:20.000123Z 3/3 010203"
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"little endian", pcapFile(le, magicMicro, 1, 1700000000, 123, d), micro},
		{"big endian", pcapFile(be, magicMicro, 1, 1700000000, 123, d), micro},
		{"nanoseconds", pcapFile(le, magicNano, 1, 1700000000, 123, d), "1 if0 link1 2023-11-14T22:13:20.000000123Z 3/3 010203"},
		{"nanoseconds, big endian", pcapFile(be, magicNano, 276, 1700000000, 123, d), "1 if0 link276 2023-11-14T22:13:20.000000123Z 3/3 010203"},
		{"modified", pcapFile(le, magicModified, 1, 1700000000, 123, d), micro},
		{"frame check sequence", pcapFile(le, magicMicro, 0x24000001, 1700000000, 123, append(d, 9, 9, 9, 9)), micro},
		{"no packet", pcapFile(le, magicMicro, 1, 0, 0), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, warn, err := read(bytes.NewReader(tt.file))
			if err != nil || len(warn) > 0 || strings.Join(got, "; ") != tt.want {
				t.Errorf("got %q, warnings %q, error %v", got, warn, err)
			}
		})
	}
}

func TestPcapng(t *testing.T) {
	for _, o := range []order{binary.LittleEndian, binary.BigEndian} {
		other := order(binary.BigEndian)
		if o == other {
			other = binary.LittleEndian
		}
		simple := append(o.AppendUint32(nil, 5), 7, 7, 7, 7, 7)
		old := append(o.AppendUint16(nil, 1), 0, 0)
		old = o.AppendUint32(old, 0)
		old = o.AppendUint32(old, 3000)
		old = o.AppendUint32(o.AppendUint32(old, 1), 60)
		file := slices.Concat(
			ngSection(o), snapped(o, ngIface(o, 1, 255), 4), ngIface(o, 113, 3),
			ngPacket(o, 0, 1700000000123456, []byte{1}),
			ngBlock(o, 0x0BAD, make([]byte, 100)),
			ngBlock(o, blockSimple, simple),
			ngBlock(o, blockOldPacket, append(old, 8)),
			ngPacket(o, 9, 0, []byte{2}), // no such interface
			ngSection(other), ngIface(other, 276, 0x8A),
			ngPacket(other, 0, 1024+512, []byte{3}))
		want := []string{
			"1 if0 link1 2023-11-14T22:13:20.123456Z 1/1 01",
			"2 if0 link1 2023-11-14T22:13:20.123456Z 4/5 07070707",
			"3 if1 link113 1970-01-01T00:00:03Z 1/60 08",
			"5 if2 link276 1970-01-01T00:00:01.5Z 1/1 03",
		}
		got, warn, err := read(bytes.NewReader(file))
		if err != nil || !slices.Equal(got, want) || len(warn) != 1 {
			t.Errorf("%v: got %q, warnings %q, error %v", o, got, warn, err)
		}
	}
}

func TestTimeResolution(t *testing.T) {
	tests := []struct {
		ts     uint64
		resol  byte
		offset int64
		want   string
	}{
		{1700000000, 0, 0, "2023-11-14T22:13:20Z"},
		{1700000000123456789, 9, 0, "2023-11-14T22:13:20.123456789Z"},
		{17000000001234567899, 10, 0, "2023-11-14T22:13:20.123456789Z"},
		{5, 6, 1700000000, "2023-11-14T22:13:20.000005Z"},
		{3<<30 | 1<<29, 0x80 | 30, 0, "1970-01-01T00:00:03.5Z"},
		{1<<63 | 1<<62, 0x80 | 63, 0, "1970-01-01T00:00:01.5Z"},
		{1 << 63, 0x80 | 64, 0, "1970-01-01T00:00:00.5Z"}, // the exponent that crashes pcapgo
		{1 << 63, 0x80 | 127, 0, "1970-01-01T00:00:00Z"},
		{1e19, 19, 0, "1970-01-01T00:00:01Z"},
		{1e19, 64, 0, "1970-01-01T00:00:00Z"},
		{1e19, 28, 0, "1970-01-01T00:00:00.000000001Z"},
		{1e19, 0, 0, "0001-01-01T00:00:00Z"}, // beyond the year 9999: no time
		{1, 6, -5, "0001-01-01T00:00:00Z"},
		{1, 6, 1 << 62, "0001-01-01T00:00:00Z"},
	}
	for _, tt := range tests {
		if got := ngTime(tt.ts, tt.resol, tt.offset).UTC().Format(time.RFC3339Nano); got != tt.want {
			t.Errorf("ngTime(%d, %#x, %d) = %s, want %s", tt.ts, tt.resol, tt.offset, got, tt.want)
		}
	}
}

// hostile are files that made gopacket 1.1.19 panic or take 2 GB, and others of their kind.
func hostile(t testing.TB) map[string][]byte {
	h := func(s string) []byte {
		b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	section := "0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000"
	le := order(binary.LittleEndian)
	return map[string][]byte{
		"exponent 64": h(section + `0100000020000000010000000000040009000100c00000000000000020000000
			0600000020000000000000000000000000000000000000000000000020000000`),
		"captured length 0x7fffffff": h(section + `0100000014000000010000000000040014000000
			0600000020000000000000000000000000000000ffffff7fffffff7f20000000`),
		"pcap length 0xffffffff":  append(pcapFile(le, magicMicro, 1, 0, 0), bytes.Repeat([]byte{0xff}, 64)...),
		"block length 16 MiB":     append(ngSection(le), h("06000000 00000001")...),
		"block length 0":          append(ngSection(le), make([]byte, 64)...),
		"block length odd":        append(ngSection(le), h("06000000 21000000 00000000")...),
		"trailer differs":         append(ngSection(le), h("06000000 0c000000 10000000")...),
		"section without magic":   h("0a0d0d0a 1c000000 00000000 01000000 ffffffff ffffffff 1c000000"),
		"short interface":         append(ngSection(le), ngBlock(le, blockInterface, nil)...),
		"short packet":            slices.Concat(ngSection(le), ngIface(le, 1, 255), ngBlock(le, blockEnhanced, make([]byte, 8))),
		"simple, no interface":    append(ngSection(le), ngBlock(le, blockSimple, make([]byte, 8))...),
		"option runs over":        append(ngSection(le), ngBlock(le, blockInterface, h("0100 0000 00000000 0900 ffff 06"))...),
		"gzip of nothing":         h("1f8b08000000000000ff"),
		"zstd of nothing":         h("28b52ffd"),
		"zstd with a huge window": h("28b52ffd 00 f8 000000"),
	}
}

func TestHostileFiles(t *testing.T) {
	for name, b := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := read(bytes.NewReader(b))
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 3<<20 {
				t.Errorf("%d bytes were allocated", n)
			}
			if err != nil && !strings.Contains(err.Error(), "test") {
				t.Errorf("the error does not name the file: %v", err)
			}
		})
	}
}

func TestHostilePackets(t *testing.T) {
	tests := []struct {
		name, hex string
		link      LinkType
	}{
		{"ARP", "ffffffffffff020000000001" + "0806" + "000108006120000100000000", LinkEthernet},
		{"SLL", "00000000ffff00000000000000000000", LinkSLL},
		{"DNS cut", "", LinkEthernet},
		{"DHCP", "", LinkEthernet},
	}
	dns, _ := hex.DecodeString("00010100000100000000000000")
	dhcp := append([]byte{0, 0, 0xF0}, append(make([]byte, 233), 0x63, 0x82, 0x53, 0x63)...)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(tt.hex)
			switch tt.name {
			case "DNS cut":
				b, err = FrameUDP(clientV4, mustPort("10.1.0.53:53"), dns)
			case "DHCP":
				b, err = FrameUDP(mustPort("0.0.0.0:68"), mustPort("255.255.255.255:67"), dhcp)
			}
			if err != nil {
				t.Fatal(err)
			}
			s := NewScanner(Options{}, func(e Event) { t.Errorf("event %v", e) })
			s.Packet(&Packet{Data: slices.Clip(b), OrigLen: len(b), Link: tt.link, Number: 1})
			s.End()
		})
	}
}

func TestWhatStandsBeforeAFault(t *testing.T) {
	le := order(binary.LittleEndian)
	good := pcapFile(le, magicMicro, 1, 1700000000, 1, []byte{1}, []byte{2})
	for cut := 25; cut < len(good); cut++ {
		got, warn, err := read(bytes.NewReader(good[:cut]))
		whole := (cut - 24) / 17
		if err != nil || len(got) != whole {
			t.Fatalf("cut at %d: %d packets, %v", cut, len(got), err)
		}
		if rest := (cut - 24) % 17; (rest != 0) != (len(warn) == 1) || (rest != 0 && !strings.Contains(warn[0], fmt.Sprintf("%d bytes", rest))) {
			t.Fatalf("cut at %d: warnings %q", cut, warn)
		}
	}
	bad := slices.Concat(good, bytes.Repeat([]byte{0xff}, 16))
	got, _, err := read(bytes.NewReader(bad))
	var fault *FormatError
	if len(got) != 2 || !errors.As(err, &fault) || fault.Offset != 58 || fault.File != "test" {
		t.Errorf("%d packets, error %v", len(got), err)
	}
	if _, _, err := read(strings.NewReader("root:x:0:0:root:/root:/bin/bash\n")); !errors.Is(err, ErrNotCapture) {
		t.Errorf("a text file gives %v", err)
	}
	if _, _, err := read(strings.NewReader("")); !errors.Is(err, ErrNotCapture) {
		t.Errorf("an empty file gives %v", err)
	}
}

// compressed gives b by two ways of compression.
func compressed(t testing.TB, b []byte) map[string][]byte {
	var z, s bytes.Buffer
	gz := gzip.NewWriter(&z)
	zs, err := zstd.NewWriter(&s)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{gz, zs} {
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return map[string][]byte{"gzip": z.Bytes(), "zstd": s.Bytes(), "plain": b}
}

// What stands behind a gzip file is treated as gzip treats it: padding is gone over, anything else is
// told and left out, and another member goes on.
func TestBehindGzip(t *testing.T) {
	le := order(binary.LittleEndian)
	head, one := pcapFile(le, magicMicro, 1, 0, 0), pcapFile(le, magicMicro, 1, 0, 0, make([]byte, 60))
	zip := func(b []byte) []byte { return compressed(t, b)["gzip"] }
	for name, tt := range map[string]struct {
		file []byte
		told string
	}{
		"nothing":     {zip(one), ""},
		"padding":     {append(zip(one), make([]byte, 70000)...), ""},
		"one zero":    {append(zip(one), 0), ""},
		"odd bytes":   {append(zip(one), "noise"...), "behind the compressed data"},
		"zero, noise": {append(zip(one), "\x00\x00noise"...), "behind the compressed data"},
		"two members": {slices.Concat(zip(head), zip(one[len(head):])), ""},
	} {
		packets, warned, err := read(bytes.NewReader(tt.file))
		if err != nil || len(packets) != 1 || (tt.told == "") != (len(warned) == 0) || !strings.Contains(strings.Join(warned, "; "), tt.told) {
			t.Errorf("%s: %d packets, told %q, %v", name, len(packets), warned, err)
		}
	}
}

func TestCompressedAndPiped(t *testing.T) {
	le := order(binary.LittleEndian)
	var data [][]byte
	for i := range 3000 { // larger than a block
		data = append(data, bytes.Repeat([]byte{byte(i), byte(i >> 3)}, 500))
	}
	want, _, _ := read(bytes.NewReader(pcapFile(le, magicMicro, 1, 1700000000, 1, data...)))
	if len(want) != 3000 {
		t.Fatal(len(want))
	}
	for name, b := range compressed(t, pcapFile(le, magicMicro, 1, 1700000000, 1, data...)) {
		if got, warn, err := read(bytes.NewReader(b)); err != nil || len(warn) > 0 || !slices.Equal(got, want) {
			t.Errorf("%s: %d packets, %v %v", name, len(got), warn, err)
		}
		if got, _, err := read(io.MultiReader(bytes.NewReader(b))); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s through a pipe: %d packets, %v", name, len(got), err)
		}
		got, warn, err := read(bytes.NewReader(b[:len(b)*3/4]))
		if err != nil || len(warn) != 1 || len(got) == 0 || !slices.Equal(got, want[:len(got)]) {
			t.Errorf("%s cut: %d packets, warnings %q, error %v", name, len(got), warn, err)
		}
	}
}

func TestCancelDuringPipe(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	go func() { _, _ = w.Write(pcapFile(binary.LittleEndian, magicMicro, 1, 1, 1, []byte{1})) }()
	ctx, cancel := context.WithCancel(context.Background())
	start := time.Time{}
	err := NewFile(r, "-", nil).Run(ctx, func(*Packet) error { start = time.Now(); cancel(); return nil })
	if !errors.Is(err, context.Canceled) || time.Since(start) > 100*time.Millisecond {
		t.Errorf("error %v after %v", err, time.Since(start))
	}
}

func TestLinkTypes(t *testing.T) {
	h := psk(t, 0)
	plain4, err := Frame(clientV4, serverV4, PSH|ACK, 5, 5, h)
	if err != nil {
		t.Fatal(err)
	}
	plain6, err := Frame(clientV6, serverV6, PSH|ACK, 5, 5, h)
	if err != nil {
		t.Fatal(err)
	}
	ip4, ip6 := plain4[14:], plain6[14:]
	sll := append(make([]byte, 14), 0x08, 0x00)
	sll2 := append([]byte{0x86, 0xDD}, make([]byte, 18)...)
	tests := []struct {
		name string
		link LinkType
		head []byte
		ip   []byte
	}{
		{"ethernet", LinkEthernet, plain4[:14], ip4}, {"raw 4", LinkRaw, nil, ip4}, {"raw 6", LinkRaw, nil, ip6},
		{"raw 12", LinkRaw12, nil, ip4}, {"ipv4", LinkIPv4, nil, ip4}, {"ipv6", LinkIPv6, nil, ip6},
		{"null little", LinkNull, []byte{2, 0, 0, 0}, ip4}, {"null big", LinkNull, []byte{0, 0, 0, 2}, ip4},
		{"null 30", LinkNull, []byte{30, 0, 0, 0}, ip6}, {"null 24", LinkNull, []byte{24, 0, 0, 0}, ip6},
		{"loop", LinkLoop, []byte{0, 0, 0, 28}, ip6}, {"sll", LinkSLL, sll, ip4}, {"sll2", LinkSLL2, sll2, ip6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := slices.Clip(append(append([]byte{}, tt.head...), tt.ip...))
			got := run(t, []*Packet{{Data: b, OrigLen: len(b), Link: tt.link, Number: 1, Time: time.Unix(1, 0)}})
			if got != "hello@1 psk [syn-not-captured]" {
				t.Error(got)
			}
			for n := range b {
				run(t, []*Packet{{Data: slices.Clip(b[:n]), OrigLen: len(b), Link: tt.link, Number: 1}})
			}
		})
	}
	if layers.LinkTypeLinuxSLL != layers.LinkType(LinkSLL) {
		t.Error("link type numbers disagree with gopacket")
	}
}

func TestOpenFileErrors(t *testing.T) {
	if _, err := OpenFile(filepath.Join(t.TempDir(), "none.pcap"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	f, err := OpenFile(t.TempDir(), nil)
	if err != nil {
		return
	}
	defer f.Close()
	if err := f.Run(context.Background(), nil); err == nil {
		t.Error("a folder was read")
	}
}

// TestOpenFileSaysWhatItIs: what cannot be opened is named, with the next step.
func TestOpenFileSaysWhatItIs(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, text, hint string
		cause            error
	}{
		{dir, "folder", filepath.Join(dir, "*.pcapng"), ErrFolder},
		{filepath.Join(dir, "none"), "none", "spelling", fs.ErrNotExist},
	} {
		_, err := OpenFile(c.name, nil)
		var told *amt.Error
		if !errors.As(err, &told) || !errors.Is(err, c.cause) || !strings.Contains(err.Error(), c.text) || !strings.Contains(told.Hint, c.hint) {
			t.Errorf("%s: %v, %+v", c.name, err, told)
		}
	}
	var told *amt.Error
	if err := openError("x", fs.ErrPermission); !errors.As(err, &told) || !strings.Contains(told.Hint, "owner") {
		t.Errorf("%v", err)
	}
}
