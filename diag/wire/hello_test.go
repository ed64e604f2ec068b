package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"amtmedic/amt/hello"
	"amtmedic/capture"
)

// vectors reads the hello messages that package hello is tested with, among them ones that other
// programs read.
func vectors(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "amt", "hello", "testdata", "*.hex"))
	if err != nil || len(files) < 5 {
		t.Fatalf("no vectors: %v", err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var digits strings.Builder
		for line := range strings.SplitSeq(string(text), "\n") {
			line, _, _ = strings.Cut(line, "#")
			digits.WriteString(strings.Join(strings.Fields(line), ""))
		}
		b, err := hex.DecodeString(digits.String())
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out[filepath.Base(f)] = b
	}
	return out
}

func lineOf(b []byte) *Line {
	m, _ := hello.Decode(b)
	return &Line{Kind: capture.KindHello, event: capture.Event{Kind: capture.KindHello, Hello: &m}}
}

// The bytes that are shown are those that came, and every one of them belongs to one field.
func TestHelloBytes(t *testing.T) {
	for name, b := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			for _, in := range [][]byte{b, append(bytes.Clone(b), 7, 8), b[:len(b)-1], b[:25], b[:24], b[:9]} {
				h := lineOf(in).Hello()
				if !bytes.Equal(h.Bytes, in) || h.Lost != 0 {
					t.Fatalf("%x is shown as %x, %d lost", in, h.Bytes, h.Lost)
				}
				at := 0
				for _, f := range h.Fields {
					if f.From != at || f.To <= f.From {
						t.Errorf("%s stands in bytes %d to %d, the one before ended at %d", f.Label, f.From, f.To, at)
					}
					at = f.To
				}
				if at != len(in) {
					t.Errorf("%d of %d bytes belong to a field: %+v", at, len(in), h.Fields)
				}
			}
		})
	}
}

func TestHelloFields(t *testing.T) {
	b := vectors(t)["v4-pki-three.hex"]
	h := lineOf(b).Hello()
	want := []string{"admin set no", "version 3  PKI", "retry count 14", "UUID 4c4c4544-0058-3910-8059-b7c04f4b5a31", "hashes 3",
		"hash 1 sha1 97b96e6eff812c364321615312da13fe341cdc63"}
	for i, w := range want {
		if got := h.Fields[i].Label + " " + h.Fields[i].Text; got != w {
			t.Errorf("field %d is %q, want %q", i, got, w)
		}
	}
	if got := hex.EncodeToString(h.Bytes[h.Fields[5].From+2 : h.Fields[5].To]); !strings.HasSuffix(h.Fields[5].Text, got) {
		t.Errorf("the first hash stands at other bytes: %s", got)
	}
	bad := bytes.Clone(b)
	bad[0] = 9
	h = lineOf(bad).Hello()
	if len(h.Remarks) == 0 || h.Remarks[0].At != 0 || h.Remarks[0].Note {
		t.Errorf("the admin word is no problem at byte 0: %+v", h.Remarks)
	}
	if n := lineOf([]byte("GET / HTTP/1.1\r\n\r\n")).Hello(); len(n.Fields) != 1 || n.Fields[0].Label != "bytes" {
		t.Errorf("HTTP is taken apart as %+v", n.Fields)
	}
	if (&Line{Kind: capture.KindSYN}).Hello() != nil {
		t.Error("a SYN is a hello")
	}
}

// FuzzHelloBytes: whatever came, what is shown is what came, up to the limit of what is kept.
func FuzzHelloBytes(f *testing.F) {
	for _, b := range vectors(f) {
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("\x01\x00\x02\x00\x00\x00\x00\x00UUIDUUIDUUIDUUIDa\\x00 \x00\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > hello.MaxLen {
			b = b[:hello.MaxLen]
		}
		h := lineOf(b).Hello()
		switch {
		case h.Lost == 0 && !bytes.Equal(h.Bytes, b):
			t.Fatalf("%x is shown as %x", b, h.Bytes)
		case h.Lost > 0 && (len(b) < 4096 || !bytes.HasPrefix(b, h.Bytes)):
			t.Fatalf("%d of %d bytes are lost", h.Lost, len(b))
		}
		for _, x := range h.Fields {
			if x.From < 0 || x.To > len(h.Bytes) || x.From >= x.To {
				t.Fatalf("%+v in %d bytes", x, len(h.Bytes))
			}
		}
		_ = fmt.Sprint(lineOf(b).UUID(), lineOf(b).PID(), lineOf(b).Method())
	})
}
