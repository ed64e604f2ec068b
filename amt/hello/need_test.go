package hello

import (
	"bytes"
	"testing"
)

// TestNeedByteByByte feeds each vector one byte at a time, as a slow network would: complete must
// come with the last byte, never earlier, and the count must never be less than what is there.
func TestNeedByteByByte(t *testing.T) {
	for _, name := range []string{"v1-psk", "v2-pki", "v3-pki-none", "v4-pki-three", "v5-retry-300", "real"} {
		b := realMessage(t)
		if name != "real" {
			b = vector(t, name)
		}
		last := 0
		for i := range len(b) {
			n, ok := Need(b[:i])
			if ok || n <= i || n < last || n > len(b) {
				t.Fatalf("%s: %d of %d bytes: needs %d (before: %d), complete %v", name, i, len(b), n, last, ok)
			}
			last = n
		}
		if n, ok := Need(append(bytes.Clone(b), "more"...)); n != len(b) || !ok {
			t.Errorf("%s with bytes behind it: needs %d, complete %v", name, n, ok)
		}
	}
}

func TestNeedWithoutCount(t *testing.T) {
	b := vector(t, "v1-psk")
	b[2] = 1
	for _, n := range []int{24, 32} {
		if got, ok := Need(b[:n]); got != n || ok {
			t.Errorf("version 1, %d bytes: needs %d, complete %v", n, got, ok)
		}
	}
	for _, s := range []string{"GET / HTTP/1.1\r\n", "SSH-2.0-x", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"} {
		if n, ok := Need([]byte(s)); n != len(s) || !ok {
			t.Errorf("%q: needs %d, complete %v", s, n, ok)
		}
	}
}

// TestForeign: the words, and that a 2 or 3 where a hello has its version makes nothing a hello.
func TestForeign(t *testing.T) {
	pad := string(make([]byte, 40))
	for _, c := range []struct{ name, b, want string }{
		{"get", "GET / HTTP/1.1\r\nHost: provisionserver:9971\r\n\r\n", ForeignHTTP},
		{"connect", "CONNECT amt:16993 HTTP/1.1\r\n\r\n", ForeignHTTP},
		{"http 2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ForeignHTTP},
		{"begin of a method", "OPTI", ""},
		{"tls 1.0 client hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + pad, ForeignTLS},
		{"tls 1.2 record below 256 bytes: version word 3", "\x16\x03\x03\x00\xa0\x01\x00\x00\x9c\x03\x03" + pad, ForeignTLS},
		{"tls 1.1 record below 256 bytes: version word 2", "\x16\x03\x02\x00\xa0\x01\x00\x00\x9c\x03\x02" + pad, ForeignTLS},
		{"tls alert", "\x15\x03\x03\x00\x02\x02\x28" + pad, ForeignTLS},
		{"tls data", "\x17\x03\x03\x00\x40" + pad, ForeignTLS},
		{"ssh", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", ForeignSSH},
		{"smb of 512 bytes: version word 2", "\x00\x00\x02\x00\xfeSMB\x40\x00" + pad, ForeignSMB},
		{"rdp", "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00" + pad, ForeignRDP},
		{"proxy line", "PROXY TCP4 10.0.0.1 10.0.0.2 1 9971\r\n", ForeignProxy},
		{"proxy block", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + pad, ForeignProxy},
		{"smtp", "EHLO mail.corp.example\r\n and more", ForeignText},
		{"noise", "\x8f\x13\x9a\xe0\x55" + pad, ForeignBinary},
		{"nothing", "", ""},
		{"zeros", pad, ""},
		{"odd admin word, still a hello", "\x16\x03\x03\x00\x05\x00\x00\x00" + pad, ""},
		{"version 4", "\x01\x00\x04\x00" + pad, ""},
		{"version 4660 with a sane admin word", "\x01\x00\x34\x12" + pad, ""},
	} {
		if got := Foreign([]byte(c.b)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		m, _ := Decode([]byte(c.b))
		if c.want != "" && (m.Type != Unknown || m.Sound() || m.Foreign != c.want) {
			t.Errorf("%s: read as %+v", c.name, m)
		}
	}
}

// FuzzDecode: no panic; Need and Decode agree; what is sound reads back from what is written.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"v1-psk", "v2-pki", "v3-pki-none", "v4-pki-three", "v5-retry-300", "real-head"} {
		b := vector(f, name)
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(append(bytes.Clone(b), 0))
	}
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("\x16\x03\x03\x00\xa0\x01\x00\x00\x9c\x03\x03xxxxxxxxxxxxxxxxxxxxxxxxx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if (err != nil) != (len(b) < HeaderLen) {
			t.Fatalf("%d bytes: error %v", len(b), err)
		}
		for _, p := range m.Problems {
			if p.Offset == nil || *p.Offset < 0 || *p.Offset > len(b) {
				t.Fatalf("offset of %+v in %d bytes", p, len(b))
			}
		}
		needAgrees(t, b, m)
		if m.Sound() {
			again, err := Encode(m)
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%x is written as %x, %v", b, again, err)
			}
		}
		if word := Foreign(b); word != "" && Foreign(append(bytes.Clone(b), 2, 0, 3, 0)) == "" {
			t.Fatalf("%x is %s, but a hello with more bytes", b, word)
		}
	})
}

// needAgrees checks Need against the problems that Decode found.
func needAgrees(t *testing.T, b []byte, m Message) {
	n, complete := Need(b)
	has := func(code string) bool {
		for _, p := range m.Problems {
			if p.Code == code {
				return true
			}
		}
		return false
	}
	switch {
	case m.Foreign != "":
		if !complete || n != len(b) || m.Type != Unknown {
			t.Fatalf("foreign: needs %d of %d, complete %v, type %s", n, len(b), complete, m.Type)
		}
	case has(CodeTruncated):
		if complete || n <= len(b) {
			t.Fatalf("truncated, but needs %d of %d, complete %v", n, len(b), complete)
		}
	case m.Type == Unknown:
		if complete || n != len(b) {
			t.Fatalf("unknown version: needs %d of %d, complete %v", n, len(b), complete)
		}
	default:
		if !complete || (n < len(b)) != has(CodeTrailing) || n > len(b) {
			t.Fatalf("needs %d of %d, complete %v, problems %v", n, len(b), complete, m.Problems)
		}
	}
}
