package tlspsk

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"
)

// fromBytes runs one end on bytes that a peer may have sent, whole and in pieces, with the right and
// with a wrong key.
func fromBytes(t *testing.T, end string, in []byte, version uint16) {
	for _, right := range []bool{true, false} {
		cfg := config(0, 0)
		cfg.MaxVersion = version
		cfg.Rand = bytes.NewReader(bytes.Repeat(counting(0, 32), 8))
		if !right {
			cfg.Key = fixed(cfg.Identity, wrongKey)
		}
		s := &script{in: bytes.NewReader(in), step: len(in) % 5}
		c := Client(s, cfg)
		if end == "server" {
			c = Server(s, cfg)
		}
		err := c.Handshake()
		if err == nil && !right {
			t.Fatal("the handshake succeeded without the key")
		}
		if err == nil {
			_, err = io.Copy(io.Discard, c)
		} else if again := c.Handshake(); again != err {
			t.Fatalf("error %v became %v", err, again)
		}
		if ReasonOf(err) == ReasonOther {
			t.Fatalf("no reason for %v", err)
		}
		if n := cap(c.in.room) + cap(c.in.hand) + len(c.hello.messages); n > 4*maxCiphertext {
			t.Fatalf("%d bytes are held", n)
		}
		if s.out.Len() > 4096 {
			t.Fatalf("%d bytes sent", s.out.Len())
		}
	}
}

func FuzzClientHandshake(f *testing.F) {
	first, last := unhex(f, workedServerFirst), unhex(f, workedServerLast)
	f.Add(append(bytes.Clone(first), last...))
	f.Add(first)
	f.Add(append(bytes.Clone(first), unhex(f, "15 0301 0002 02 14")...))
	f.Add(unhex(f, "16 0303 0004 00 000000 16 0303 004a 02 00002d 0303 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 00 008b 00 0005 ff01 0001 00 0c 000005 0003 616263 0e 000000"))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		fromBytes(t, "client", in, VersionTLS10)
		fromBytes(t, "client", in, VersionTLS12)
	})
}

func FuzzServerHandshake(f *testing.F) {
	hello, rest := unhex(f, workedClientHello), unhex(f, workedClientLast)
	f.Add(append(bytes.Clone(hello), rest...))
	f.Add(hello)
	f.Add(unhex(f, "15 0301 0002 02 46"))
	// with a session id and extensions: renegotiation_info, extended_master_secret
	f.Add(unhex(f, `16 0301 0043 01 00003f 0303 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 04 01020304
		0006 008d 008c 00ff 01 00 0009 ff01 0001 00 0017 0000`))
	f.Fuzz(func(t *testing.T, in []byte) {
		fromBytes(t, "server", in, VersionTLS10)
		fromBytes(t, "server", in, VersionTLS12)
	})
}

// FuzzRecord gives any bytes to the record layer after a sound record, in every suite and version:
// they must be refused.
func FuzzRecord(f *testing.F) {
	for _, v := range allVersions {
		for _, s := range allSuites {
			seal, _ := guards(f, v, s)
			rec, err := seal.seal(nil, recordData, v, []byte("the quick brown fox"), bytes.NewReader(counting(5, 64)))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(v), uint8(s), uint8(recordData), rec[headerSize:])
		}
	}
	f.Fuzz(func(t *testing.T, v, s, typ uint8, body []byte) {
		version, suite := allVersions[int(v)%len(allVersions)], allSuites[int(s)%len(allSuites)]
		seal, open := guards(t, version, suite)
		rec, err := seal.seal(nil, typ, version, body[:min(len(body), maxPlaintext)], rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := open.open(typ, version, rec[headerSize:]); !ok || !bytes.Equal(got, body[:min(len(body), maxPlaintext)]) {
			t.Fatal("a sound record was refused")
		}
		if _, ok := open.open(typ, version, bytes.Clone(body)); ok {
			t.Fatal("made-up bytes were accepted")
		}
	})
}
