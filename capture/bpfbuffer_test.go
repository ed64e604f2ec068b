package capture

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"
)

// Two packets of one read, laid out by hand after struct bpf_hdr of macOS: 18 bytes and padding to a
// header of 20, 5 bytes of 9, 3 bytes of padding; then 2 bytes.
const bpfRead = "00f15365 40e20100 05000000 09000000 1400 0000 0102030405 000000" +
	"01f15365 00000000 02000000 02000000 1400 0000 0607"

func TestBPFRecord(t *testing.T) {
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(bpfRead), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	p, rest, err := bpfRecord(b)
	if err != nil || !bytes.Equal(p.Data, []byte{1, 2, 3, 4, 5}) || p.OrigLen != 9 || !p.Time.Equal(time.Unix(1700000000, 123456000)) {
		t.Fatalf("%+v, %v", p, err)
	}
	p, rest, err = bpfRecord(rest)
	if err != nil || !bytes.Equal(p.Data, []byte{6, 7}) || p.OrigLen != 2 || len(rest) != 0 {
		t.Fatalf("%+v, %d left, %v", p, len(rest), err)
	}
}

func FuzzBPFRecord(f *testing.F) {
	b, _ := hex.DecodeString(string(bytes.ReplaceAll([]byte(bpfRead), []byte(" "), nil)))
	f.Add(b)
	f.Add(b[:17])
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			p, rest, err := bpfRecord(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) || len(p.Data) > len(b) {
				t.Fatal("no progress")
			}
			b = rest
		}
	})
}
