package hello

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"amtmedic/amt"
)

const testUUID = "4c4c4544-0058-3910-8059-b7c04f4b5a31"

// vector reads a foreign vector of testdata.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for l := range strings.SplitSeq(string(text), "\n") {
		l, _, _ = strings.Cut(l, "#")
		digits.WriteString(strings.Join(strings.Fields(l), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// realMessage is the published head with as many made-up hashes behind it as its count asks for.
func realMessage(t testing.TB) []byte {
	b := vector(t, "real-head")
	for i := range 21 {
		d := sha256.Sum256([]byte{byte(i)})
		b = append(append(b, 2, 32), d[:]...)
	}
	return b
}

func roots() []Hash {
	text := []byte("amtmedic example root")
	a, b, c := sha1.Sum(text), sha256.Sum256(text), sha512.Sum384(text)
	return []Hash{{SHA1, a[:]}, {SHA256, b[:]}, {SHA384, c[:]}}
}

// TestVectors compares with what MeshCentral 1.1.55 and an older C# decoder read.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name   string
		size   int
		typ    Type
		admin  bool
		retry  uint32
		pid    amt.PID
		hashes []Hash
		notes  []string
	}{
		{"v1-psk", 32, PSK, true, 0, "4KRG65QT", nil, []string{NotePIDCheck}},
		{"v2-pki", 81, PKI, true, 3, "", roots()[:2], nil},
		{"v3-pki-none", 25, PKI, false, 14, "", nil, []string{NoteNoHashes}},
		{"v4-pki-three", 131, PKI, false, 14, "", roots(), nil},
		{"v5-retry-300", 25, PKI, true, 300, "", nil, []string{NoteNoHashes}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := vector(t, c.name)
			if len(b) != c.size {
				t.Fatalf("%d bytes, want %d", len(b), c.size)
			}
			m, err := Decode(b)
			if err != nil || !m.Sound() {
				t.Fatalf("error %v, problems %v", err, m.Problems)
			}
			if m.Type != c.typ || m.AdminCredentialsSet != c.admin || m.RetryCount != c.retry || m.PID != c.pid || m.UUID.String() != testUUID {
				t.Errorf("read %+v", m)
			}
			if !slices.EqualFunc(m.Hashes, c.hashes, func(a, b Hash) bool { return a.Algorithm == b.Algorithm && bytes.Equal(a.Digest, b.Digest) }) {
				t.Errorf("hashes %v, want %v", m.Hashes, c.hashes)
			}
			if !slices.Equal(amt.Codes(m.Notes), append([]string{}, c.notes...)) {
				t.Errorf("notes %v, want %v", m.Notes, c.notes)
			}
			if again, err := Encode(m); err != nil || !bytes.Equal(again, b) {
				t.Errorf("written again as %x, %v", again, err)
			}
			if n, ok := Need(b); n != len(b) || !ok {
				t.Errorf("needs %d, complete %v", n, ok)
			}
		})
	}
}

func TestRealMessage(t *testing.T) {
	b := realMessage(t)
	m, err := Decode(b)
	if err != nil || !m.Sound() || len(b) != 807 || len(m.Hashes) != 23 {
		t.Fatalf("%d bytes, %d hashes, problems %v, %v", len(b), len(m.Hashes), m.Problems, err)
	}
	if m.UUID.String() != "939b524b-13d4-1d18-e487-1c697a6b7a2b" || m.RetryCount != 0 || !m.AdminCredentialsSet {
		t.Errorf("read %+v", m)
	}
	if got := m.Hashes[0].Digest.String(); got != "c3846bf24b9e93ca64274c0ec67c1ecc5e024ffcacd2d74019350e81fe546ae4" {
		t.Errorf("first root %s", got)
	}
}

// at is a problem without its text.
type at struct {
	code   string
	offset int
}

func problems(m Message) []at {
	out := []at{}
	for _, p := range m.Problems {
		out = append(out, at{p.Code, *p.Offset})
	}
	return out
}

// TestBroken holds the hostile table of the reference and its neighbours.
func TestBroken(t *testing.T) {
	psk, pki := vector(t, "v1-psk"), vector(t, "v2-pki")
	edit := func(b []byte, off int, with ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[off:], with)
		return b
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name   string
		b      []byte
		typ    Type
		want   []at
		hashes int
		say    string // must stand in the text of the first problem
	}{
		{"no count byte", pki[:24], PKI, []at{{CodeTruncated, 24}}, 0, "number of hashes"},
		{"second hash cut", pki[:76], PKI, []at{{CodeTruncated, 47}}, 1, "entry 2 of 2 (sha256) has 27 of its 32"},
		{"second entry missing", pki[:47], PKI, []at{{CodeTruncated, 47}}, 1, "entry 2 of 2 is missing"},
		{"second length missing", pki[:48], PKI, []at{{CodeTruncated, 47}}, 1, "only its algorithm (sha256)"},
		{"both entries missing", pki[:25], PKI, []at{{CodeTruncated, 25}}, 0, "entry 1 of 2 is missing, and the 1 after"},
		{"trailing", join(pki, []byte{0xde, 0xad}), PKI, []at{{CodeTrailing, 81}}, 2, "2 bytes follow"},
		{"algorithm 4", join(edit(pki[:25], 24, 1), []byte{4, 64}, make([]byte, 64)), PKI, []at{{CodeAlgorithm, 25}}, 1, "algorithm 4 with 64"},
		{"algorithm 0", join(edit(pki[:25], 24, 1), []byte{0, 16}, make([]byte, 16)), PKI, []at{{CodeAlgorithm, 25}}, 1, "algorithm 0 with 16"},
		{"unknown before known", join(pki[:25], []byte{9, 3, 1, 2, 3}, pki[25:47]), PKI, []at{{CodeAlgorithm, 25}}, 2, "algorithm 9"},
		{"sha1 of 32 bytes", join(edit(pki[:25], 24, 1), []byte{1, 32}, make([]byte, 32)), PKI, []at{{CodeLength, 26}}, 1, "sha1 with 32 bytes"},
		{"sha1 of no bytes", join(edit(pki[:25], 24, 1), []byte{1, 0}), PKI, []at{{CodeLength, 26}}, 1, "sha1 with 0 bytes"},
		{"admin word 2", edit(pki, 0, 2), PKI, []at{{CodeAdminWord, 0}}, 2, "0x0002"},
		{"admin word ffff", edit(psk, 0, 0xff, 0xff), PSK, []at{{CodeAdminWord, 0}}, 0, "0xffff"},
		{"admin word 256", edit(psk, 0, 0, 1), PSK, []at{{CodeAdminWord, 0}}, 0, "0x0100"},
		{"version 1", edit(psk, 2, 1), Unknown, []at{{CodeVersion, 2}}, 0, "version is 1"},
		{"version 4", edit(pki, 2, 4), Unknown, []at{{CodeVersion, 2}}, 0, "version is 4"},
		{"version 515", edit(psk, 3, 2), Unknown, []at{{CodeVersion, 2}}, 0, "version is 514"},
		{"psk without pid", psk[:24], PSK, []at{{CodeTruncated, 24}}, 0, "0 of its 8"},
		{"psk half a pid", psk[:28], PSK, []at{{CodeTruncated, 24}}, 0, "4 of its 8"},
		{"psk trailing", join(psk, psk), PSK, []at{{CodeTrailing, 32}}, 0, "32 bytes follow"},
		{"pid with escape", edit(psk, 26, 0x1b, '['), PSK, []at{{CodePID, 26}}, 0, "character 3 is 0x1b, character 4 is 0x5b"},
		{"pid of zeros", edit(psk, 24, make([]byte, 8)...), PSK, []at{{CodePID, 24}}, 0, "holds no PID"},
		{"pid in lower case", edit(psk, 25, 'k', 'r'), PSK, []at{{CodePID, 25}}, 0, "lower-case"},
		{"several", join(edit(edit(pki, 0, 7), 45, 9, 9), []byte{1}), PKI, []at{{CodeAdminWord, 0}, {CodeTrailing, 81}}, 2, ""},
		{"retry with the high bit", edit(pki, 4, 0, 0, 0, 0x80), PKI, []at{}, 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Decode(c.b)
			if err != nil {
				t.Fatal(err)
			}
			if m.Type != c.typ || !slices.Equal(problems(m), c.want) || len(m.Hashes) != c.hashes {
				t.Fatalf("type %s, problems %v, %d hashes; want %s %v %d", m.Type, m.Problems, len(m.Hashes), c.typ, c.want, c.hashes)
			}
			if c.say != "" && !strings.Contains(m.Problems[0].Text, c.say) {
				t.Errorf("text %q does not say %q", m.Problems[0].Text, c.say)
			}
			if m.UUID.String() != testUUID {
				t.Errorf("uuid %s", m.UUID)
			}
			js, err := json.Marshal(m)
			if err != nil || bytes.ContainsFunc(js, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
				t.Errorf("json %q, %v", js, err)
			}
		})
	}
	m, _ := Decode(edit(pki, 4, 0, 0, 0, 0x80))
	if m.RetryCount != 2147483648 {
		t.Errorf("retry %d", m.RetryCount)
	}
	m, _ = Decode(edit(psk, 26, 0x1b, '['))
	if m.PID != `4K\x1b[65QT` {
		t.Errorf("pid %q", string(m.PID))
	}
	m, _ = Decode(edit(psk, 2, 1))
	if m.Rest.String() != "344b524736355154" || m.PID != "" || amt.Codes(m.Notes)[0] != NoteVersionOne {
		t.Errorf("version 1 read as %+v", m)
	}
	m, _ = Decode(edit(psk, 24, []byte("0000037M")...))
	if len(m.Notes) != 0 {
		t.Errorf("Intel's published PID has notes: %v", m.Notes)
	}
	m, _ = Decode(edit(psk, 24, []byte("00000371")...))
	if !m.Sound() || !slices.Equal(amt.Codes(m.Notes), []string{NotePIDCheck}) || *m.Notes[0].Offset != 31 {
		t.Errorf("a wrong check character gives problems %v, notes %v", m.Problems, m.Notes)
	}
}

func TestShort(t *testing.T) {
	for n := range HeaderLen {
		m, err := Decode(vector(t, "v2-pki")[:n])
		var short *ShortError
		if !errors.As(err, &short) || short.Have != n || !strings.Contains(err.Error(), fmt.Sprint(n)) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if m.Type != Unknown || !slices.Equal(problems(m), []at{{CodeTruncated, n}}) {
			t.Errorf("%d bytes: %+v", n, m)
		}
	}
	m, err := Decode([]byte("GET / HTTP/1.0\r\n\r\n"))
	if err == nil || m.Foreign != ForeignHTTP || !strings.Contains(err.Error(), "HTTP") {
		t.Errorf("a short request: %+v, %v", m, err)
	}
}

// TestUUIDUnset: boards whose maker left the UUID empty send the same one from every client.
func TestUUIDUnset(t *testing.T) {
	for _, fill := range []byte{0, 0xff} {
		b := vector(t, "v5-retry-300")
		for i := 8; i < 24; i++ {
			b[i] = fill
		}
		if m, _ := Decode(b); !slices.Contains(amt.Codes(m.Notes), NoteUUIDUnset) || !m.Sound() {
			t.Errorf("%02x: %+v", fill, m)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	u, _ := amt.ParseUUID(testUUID)
	good := roots()
	for _, c := range []struct {
		name string
		m    Message
		want string
	}{
		{"no type", Message{UUID: u}, "psk and pki can"},
		{"unknown", Message{Type: Unknown, Version: 1}, "psk and pki can"},
		{"version against type", Message{Type: PSK, Version: 3, PID: "4KRG65QT"}, "version 2"},
		{"short pid", ForPSK(u, "4KRG"), "8 characters"},
		{"pid with dash", ForPSK(u, "4KRG-65QT"), "other than A-Z"},
		{"lower case", ForPSK(u, "4krg65qt"), "lower-case"},
		{"psk with hashes", Message{Type: PSK, PID: "4KRG65QT", Hashes: good}, "no hashes"},
		{"pki with pid", Message{Type: PKI, PID: "4KRG65QT"}, "no PID"},
		{"wrong length", ForPKI(u, Hash{SHA256, good[0].Digest}), "32 bytes, this one has 20"},
		{"unknown algorithm", ForPKI(u, Hash{7, good[0].Digest}), "algorithm 7"},
		{"too many", ForPKI(u, slices.Repeat(good[:1], 256)...), "255 hashes"},
	} {
		b, err := c.m.Append([]byte("x"))
		if err == nil || !strings.Contains(err.Error(), c.want) || string(b) != "x" {
			t.Errorf("%s: %v, %x", c.name, err, b)
		}
	}
	if b, err := Encode(ForPKI(u, slices.Repeat(good[2:], 255)...)); err != nil || len(b) != 25+255*50 {
		t.Errorf("255 hashes: %d bytes, %v", len(b), err)
	}
}

func TestJSON(t *testing.T) {
	m, _ := Decode(vector(t, "v2-pki"))
	js, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(js, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"type", "version", "admin_credentials_set", "retry_count", "uuid", "pid", "hashes", "problems", "notes"} {
		if v, ok := fields[name]; !ok || v == nil {
			t.Errorf("%s is %v in %s", name, v, js)
		}
	}
	var again Message
	if err := json.Unmarshal(js, &again); err != nil {
		t.Fatal(err)
	}
	if twice, _ := json.Marshal(again); !bytes.Equal(js, twice) {
		t.Errorf("read back as %s", twice)
	}
	if empty, _ := json.Marshal(Message{Type: Unknown}); bytes.Contains(empty, []byte("null")) {
		t.Errorf("null in %s", empty)
	}
	foreign, _ := Decode([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	js, _ = json.Marshal(foreign)
	if !bytes.Contains(js, []byte(`"uuid":""`)) {
		t.Errorf("foreign bytes have a UUID: %s", js)
	}
	if err := json.Unmarshal(js, &again); err != nil || !again.UUID.IsZero() {
		t.Errorf("foreign read back: %v, %s", err, again.UUID)
	}
}

func TestParseHash(t *testing.T) {
	digest := roots()[0].Digest.String()
	h, err := ParseHash("SHA-1:" + strings.ToUpper(digest))
	if err != nil || h.Algorithm != SHA1 || h.Digest.String() != digest {
		t.Errorf("%v, %v", h, err)
	}
	for _, bad := range []string{"", "sha1", "sha1:", "sha256:" + digest, "md5:00", "sha1:" + digest + "0", "sha1:zz", "unknown-:00", "unknown-256:00"} {
		if h, err := ParseHash(bad); err == nil {
			t.Errorf("%q read as %v", bad, h)
		}
	}
}
