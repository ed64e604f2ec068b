package tlspsk

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// guards gives both ends of one direction with keys that count up.
func guards(t testing.TB, version, suite uint16) (seal, open *guard) {
	t.Helper()
	s := suiteOf(suite)
	k := keys{counting(1, macSize), counting(33, s.key), counting(99, s.iv)}
	seal, err := s.guard(version, k, false)
	if err != nil {
		t.Fatal(err)
	}
	if open, err = s.guard(version, k, true); err != nil {
		t.Fatal(err)
	}
	return seal, open
}

func TestRecordsOpen(t *testing.T) {
	each(t, func(t *testing.T, version, suite uint16) {
		seal, open := guards(t, version, suite)
		for _, n := range []int{0, 1, 11, 12, 13, 300, maxPlaintext, 5} {
			data := megabytes(1)[:n]
			rec, err := seal.seal(nil, recordData, version, data, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			if got := int(binary.BigEndian.Uint16(rec[3:])); got != len(rec)-headerSize || got > maxCiphertext {
				t.Fatalf("length %d in a record of %d bytes", got, len(rec))
			}
			got, ok := open.open(recordData, version, rec[headerSize:])
			if !ok || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes came back as %d, %v", n, len(got), ok)
			}
		}
	})
}

// Every change of a byte, every cut, another type, version or place in the sequence is noticed.
func TestRecordsRefuse(t *testing.T) {
	each(t, func(t *testing.T, version, suite uint16) {
		for _, n := range []int{0, 1, 15, 16, 47, 200} {
			seal, _ := guards(t, version, suite)
			rec, err := seal.seal(nil, recordData, version, counting(7, n), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			body := rec[headerSize:]
			refuse := func(what string, typ byte, version uint16, b []byte, seq uint64) {
				_, open := guards(t, version, suite)
				open.explicitIV = seal.explicitIV
				open.seq = seq
				if _, ok := open.open(typ, version, b); ok {
					t.Errorf("%d bytes of data: opened with %s", n, what)
				}
			}
			for i := range body {
				for _, bit := range []byte{0x01, 0x80, 0xff} {
					b := bytes.Clone(body)
					b[i] ^= bit
					refuse(fmt.Sprintf("byte %d changed", i), recordData, version, b, 0)
				}
				refuse(fmt.Sprintf("a cut at %d", i), recordData, version, bytes.Clone(body[:i]), 0)
			}
			refuse("another type", recordHandshake, version, bytes.Clone(body), 0)
			refuse("another version", recordData, version^1, bytes.Clone(body), 0)
			refuse("another number", recordData, version, bytes.Clone(body), 1)
		}
	})
}

// A peer may pad with up to 255 bytes. One wrong byte anywhere in the padding is noticed.
func TestPadding(t *testing.T) {
	s := suiteOf(SuiteAES128SHA)
	k := keys{counting(1, macSize), counting(33, s.key), counting(99, s.iv)}
	block, err := aes.NewCipher(k.key)
	if err != nil {
		t.Fatal(err)
	}
	const n = 12 // data and MAC are two blocks
	for pad := 15; pad <= 255; pad += 16 {
		for wrong := -1; wrong <= pad; wrong++ {
			seal, open := guards(t, VersionTLS10, SuiteAES128SHA)
			body := append(counting(7, n), seal.sum(recordData, VersionTLS10, counting(7, n), nil)...)
			body = append(body, bytes.Repeat([]byte{byte(pad)}, pad+1)...)
			if wrong >= 0 {
				body[n+macSize+wrong] ^= 0x10
			}
			cipher.NewCBCEncrypter(block, k.iv).CryptBlocks(body, body)
			data, ok := open.open(recordData, VersionTLS10, body)
			if ok != (wrong < 0) || ok && !bytes.Equal(data, counting(7, n)) {
				t.Fatalf("%d bytes of padding, byte %d wrong: %v, %d bytes", pad+1, wrong, ok, len(data))
			}
		}
	}
	for last := range 256 { // blocks that are all padding leave no room for a MAC
		body := bytes.Repeat([]byte{byte(last)}, 32)
		if cut, good := padding(body); (good == 1) != (last < 32) || good == 1 && cut != last+1 || good == 0 && cut != 1 {
			t.Errorf("32 bytes of %d: cut %d, good %d", last, cut, good)
		}
	}
}

// counted counts what goes into a MAC.
type counted struct {
	hash.Hash
	n int
}

func (c *counted) Write(b []byte) (int, error) { c.n += len(b); return c.Hash.Write(b) }

// Good and bad padding of any length and a bad MAC cost the same amount of hashing, and the hash is
// the one that takes the same time for every length.
func TestRefusalsCostTheSame(t *testing.T) {
	if _, ok := newEvenSHA1().(evenSHA1); !ok {
		t.Error("crypto/sha1 has lost its ConstantTimeSum")
	}
	s := suiteOf(SuiteAES128SHA)
	k := keys{counting(1, macSize), counting(33, s.key), counting(99, s.iv)}
	block, err := aes.NewCipher(k.key)
	if err != nil {
		t.Fatal(err)
	}
	for last := range 256 {
		_, open := guards(t, VersionTLS10, SuiteAES128SHA)
		c := &counted{Hash: open.mac}
		open.mac = c
		body := bytes.Repeat([]byte{byte(last)}, 320)
		cipher.NewCBCEncrypter(block, k.iv).CryptBlocks(body, body)
		if _, ok := open.open(recordData, VersionTLS10, body); ok || c.n != 13+320-macSize {
			t.Errorf("padding of %d: %v, %d bytes hashed", last, ok, c.n)
		}
	}
}

// tap notes what is written.
type tap struct {
	net.Conn
	sent bytes.Buffer
}

func (w *tap) Write(b []byte) (int, error) {
	w.sent.Write(b)
	return w.Conn.Write(b)
}

// The record layer of these suites is that of the RSA suites in crypto/tls. A crypto/tls client does
// the handshake; then this package takes its place and goes on with the session's keys, both ways.
func TestRecordsAgainstCryptoTLS(t *testing.T) {
	same := map[uint16]uint16{SuiteAES128SHA: tls.TLS_RSA_WITH_AES_128_CBC_SHA, SuiteAES256SHA: tls.TLS_RSA_WITH_AES_256_CBC_SHA,
		Suite3DESSHA: tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, SuiteRC4128SHA: tls.TLS_RSA_WITH_RC4_128_SHA}
	cert := selfSigned(t)
	each(t, func(t *testing.T, version, id uint16) {
		var log bytes.Buffer
		cfg := &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, KeyLogWriter: &log, MinVersion: version,
			MaxVersion: version, CipherSuites: []uint16{same[id]}, SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true}
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		_ = a.SetDeadline(time.Now().Add(peerWait))
		_ = b.SetDeadline(time.Now().Add(peerWait))
		serverTap, clientTap := &tap{Conn: b}, &tap{Conn: a}
		server := tls.Server(serverTap, cfg)
		done := make(chan error, 1)
		go func() {
			_, err := io.CopyN(server, server, 70000) // an echo, which runs the handshake
			done <- err
		}()
		if err := tls.Client(clientTap, cfg).Handshake(); err != nil {
			t.Fatal(err)
		}
		seal, open := takeOver(t, version, id, log.String(), clientTap.sent.Bytes(), serverTap.sent.Bytes())
		data := megabytes(1)[:70000]
		go func() {
			for part := range slices.Chunk(data, 9999) {
				rec, _ := seal.seal(nil, recordData, version, part, rand.Reader)
				_, _ = a.Write(rec)
			}
		}()
		var got []byte
		for len(got) < len(data) {
			typ, body := readRaw(t, a)
			plain, ok := open.open(typ, version, body)
			if !ok || typ != recordData {
				t.Fatalf("record of type %d after %d bytes: %v", typ, len(got), ok)
			}
			got = append(got, plain...)
		}
		if err := <-done; err != nil || !bytes.Equal(got, data) {
			t.Fatalf("the echo ends with %v", err)
		}
	})
}

// takeOver makes a client's guards from the key log and from what both sides sent: the Finished
// messages, record 0 of each direction, go through them.
func takeOver(t *testing.T, version, id uint16, log string, client, server []byte) (seal, open *guard) {
	t.Helper()
	f := strings.Fields(log)
	master, serverRandom := unhex(t, f[2]), server[headerSize+4+2:][:randomSize]
	mine, theirs := suiteOf(id).keysOf(version, master, unhex(t, f[1]), serverRandom)
	seal, err := suiteOf(id).guard(version, mine, false)
	if err != nil {
		t.Fatal(err)
	}
	reread, err := suiteOf(id).guard(version, mine, true)
	if err != nil {
		t.Fatal(err)
	}
	if open, err = suiteOf(id).guard(version, theirs, true); err != nil {
		t.Fatal(err)
	}
	finished := func(g *guard, sent []byte) (plain []byte) {
		var ok, sealed bool
		for r := bytes.NewReader(sent); r.Len() > 0; {
			typ, body := readRaw(t, r)
			if sealed {
				if plain, ok = g.open(typ, version, body); !ok || plain[0] != messageFinished {
					t.Fatal("Finished cannot be opened")
				}
			}
			sealed = sealed || typ == recordCCS
		}
		return plain
	}
	plain := finished(reread, client)
	finished(open, server)
	// Sealing the client's Finished again moves IV or key stream to where they are.
	if _, err := seal.seal(nil, recordHandshake, version, plain, rand.Reader); err != nil {
		t.Fatal(err)
	}
	return seal, open
}

func readRaw(t *testing.T, r io.Reader) (typ byte, body []byte) {
	t.Helper()
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatal(err)
	}
	body = make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(r, body); err != nil {
		t.Fatal(err)
	}
	return head[0], body
}
