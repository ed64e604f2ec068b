package tlspsk

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// unhex reads bytes in hexadecimal with white space.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// counting gives n bytes that count up from first.
func counting(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// The values below were computed by OpenSSL's TLS1-PRF, HMAC and AES too, not only by code like ours.
func TestKeySchedule(t *testing.T) {
	_, key := pair()
	want := "0020" + strings.Repeat("00", 32) + "0020 4142434445464748 3132333435363738 4a4b4c4d4e505152 3938373635343332"
	if got := premaster(key); !bytes.Equal(got, unhex(t, want)) {
		t.Errorf("premaster %x", got)
	}
	old := struct{ master, block string }{
		"190727ab21df9ec1a4e50c3d0af35a254a1970be2b8fb068007dc9771c0936d9c76b937a79f9908f1149e3854bf8e0f6",
		`1978ef9a6b9fa5e170d9b3961705e021538cc161 50329c8bacbdebcf6018105fcc75daca0a2e3fbf
		6a5f38218e0719df0665e0dbdfdad4af fdca0da2e8b6a7519470816fc969763d
		41f8022a023c81fb452f6b25c5d6b53d bbd606776d892b0f5bf1e59919cf633b`}
	sha256 := struct{ master, block string }{
		"40a36c33ceb71e9f9414cfa53b65daf76e3cc0f98ccd5b50da9dc25f258f4de2d80ecacd530a80967c54e5a78e725f64",
		`95c91a84300d6c9916406d176e2ee828fee5354e ce41dfe894a3f446b80210870f5f32290bd05c1c
		0c15068263725dd6befaba97e2d7d115 5376ed8625275f7fa81bb6298a7c9bce
		3b691645fc6b9d7b54fdf2594ad226f9 6860feb92d7455c33e554753cd79abde`}
	for version, v := range map[uint16]struct{ master, block string }{VersionTLS10: old, VersionTLS11: old, VersionTLS12: sha256} {
		cr, sr := counting(0, 32), counting(0x80, 32)
		master := masterOf(version, key, cr, sr)
		if !bytes.Equal(master, unhex(t, v.master)) {
			t.Errorf("%s: master secret %x", VersionName(version), master)
		}
		c, s := suiteOf(SuiteAES128SHA).keysOf(version, master, cr, sr)
		if got := bytes.Join([][]byte{c.mac, s.mac, c.key, s.key, c.iv, s.iv}, nil); !bytes.Equal(got, unhex(t, v.block)) {
			t.Errorf("%s: key block %x", VersionName(version), got)
		}
	}
}

// A whole handshake of TLS 1.0 with suite 0x008C, both randoms 00 to 1f.
const (
	workedClientHello = `16 0301 002f  01 00002b 0301 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 00 0004 008c 00ff 01 00`
	workedServerFirst = `16 0301 0031  02 00002d 0301 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 00 008c 00 0005 ff01 0001 00
	16 0301 0004 0e 000000`
	workedClientLast = `16 0301 000e  10 00000a 0008 4131423243334434
	14 0301 0001  01
	16 0301 0030  205e9f9d19714056977a360e1f407e8382bfb83ae91f17e39371e8c4940633d23072264d8fab4c7bb3556656060b8f73`
	workedServerLast = `14 0301 0001  01
	16 0301 0030  64b767a7a3238a944e591de1fe4c645b01a6db069de93790cf155fe74139efddc57a1a117f1266cdc4a1d75c3cf4fa46`
	workedMaster = "5e9cc132b6e0e7a9bf1014587bd939cb36c97c40c447e1b93062758055efad3b142d603fb65fb150e6677b2b21458040"
)

// script is a connection whose other end is written down. It reads from in, at most step bytes at a
// time if that is not 0, and keeps what is written.
type script struct {
	in    io.Reader
	out   bytes.Buffer
	write int // number of writes
	step  int
}

func (s *script) Read(b []byte) (int, error) {
	if s.step > 0 && len(b) > s.step {
		b = b[:s.step]
	}
	return s.in.Read(b)
}

func (s *script) Write(b []byte) (int, error)        { s.write++; return s.out.Write(b) }
func (s *script) Close() error                       { return nil }
func (s *script) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error        { return nil }
func (s *script) SetReadDeadline(time.Time) error    { return nil }
func (s *script) SetWriteDeadline(t time.Time) error { return nil }

func TestWorkedHandshake(t *testing.T) {
	first, last := unhex(t, workedServerFirst), unhex(t, workedServerLast)
	hello, rest := unhex(t, workedClientHello), unhex(t, workedClientLast)
	for _, end := range []struct {
		name     string
		make     func(net.Conn, *Config) *Conn
		in, want []byte
		writes   int
	}{
		{"client", Client, append(bytes.Clone(first), last...), append(bytes.Clone(hello), rest...), 2},
		{"server", Server, append(bytes.Clone(hello), rest...), append(bytes.Clone(first), last...), 2},
	} {
		for _, step := range []int{0, 1, 3} {
			var log bytes.Buffer
			cfg := config(VersionTLS10, SuiteAES128SHA)
			cfg.Rand, cfg.KeyLog = bytes.NewReader(counting(0, 32)), &log
			s := &script{in: bytes.NewReader(end.in), step: step}
			c := end.make(s, cfg)
			if err := c.Handshake(); err != nil {
				t.Errorf("%s, %d bytes a read: %v", end.name, step, err)
				continue
			}
			if !bytes.Equal(s.out.Bytes(), end.want) {
				t.Errorf("%s sent %x\nwant %x", end.name, s.out.Bytes(), end.want)
			}
			if s.write != end.writes {
				t.Errorf("%s needed %d writes", end.name, s.write)
			}
			if got := log.String(); !strings.HasSuffix(got, " "+workedMaster+"\n") || !strings.HasPrefix(got, "CLIENT_RANDOM 000102") {
				t.Errorf("%s: key log %q", end.name, got)
			}
			if _, err := c.Read(make([]byte, 1)); err != io.ErrUnexpectedEOF {
				t.Errorf("%s: the end without close_notify gives %v", end.name, err)
			}
		}
	}
}

// Every byte of the worked handshake matters to the client.
func TestWorkedHandshakeBroken(t *testing.T) {
	whole := append(unhex(t, workedServerFirst), unhex(t, workedServerLast)...)
	run := func(in []byte) error {
		cfg := config(VersionTLS10, SuiteAES128SHA)
		cfg.Rand = bytes.NewReader(counting(0, 32))
		return Client(&script{in: bytes.NewReader(in)}, cfg).Handshake()
	}
	for i := range whole {
		if i == 2 {
			continue // before the hellos agree any minor version of a record will do
		}
		for _, bit := range []byte{0x01, 0x80, 0xff} {
			in := bytes.Clone(whole)
			in[i] ^= bit
			if run(in) == nil {
				t.Errorf("byte %d changed by %#x: the handshake succeeded", i, bit)
			}
		}
		var e *HandshakeError
		if err := run(whole[:i]); !errors.As(err, &e) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

func TestEncodings(t *testing.T) {
	for _, e := range []struct {
		name          string
		encode        Encoding
		identity, key string
	}{
		{"plain", PlainPair, "A1B2C3D4", "ABCDEFGH12345678JKLMNPQR98765432"},
		{"dash in PID", DashedPID, "A1B2-C3D4", "ABCDEFGH12345678JKLMNPQR98765432"},
		{"dashes in PPS", DashedPPS, "A1B2C3D4", "ABCD-EFGH-1234-5678-JKLM-NPQR-9876-5432"},
	} {
		for _, written := range [][2]string{{testPID, testPPS}, {"a1b2c3d4 ", "abcdefgh12345678jklmnpqr98765432"}} {
			id, key := e.encode(written[0], written[1])
			if id != e.identity || string(key) != e.key {
				t.Errorf("%s: %q %q", e.name, id, key)
			}
		}
	}
}
