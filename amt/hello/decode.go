package hello

import (
	"encoding/binary"
	"fmt"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// Codes of problems and notes.
const (
	CodeTruncated  = "truncated"         // the bytes end before the message does
	CodeTrailing   = "trailing-bytes"    // bytes follow the message
	CodeAlgorithm  = "unknown-algorithm" // an entry names an algorithm other than 1, 2, 3
	CodeLength     = "algorithm-length"  // an entry's length is not that of its algorithm
	CodeAdminWord  = "admin-word"        // neither 0 nor 1; read as set
	CodeVersion    = "unknown-version"   // neither 2 nor 3
	CodePID        = "pid-characters"    // bytes that no PID has
	CodeForeign    = "foreign"           // another protocol
	NotePIDCheck   = "pid-check"         // the check character does not fit
	NoteNoHashes   = "no-hashes"         // a version 3 message without a hash
	NoteUUIDUnset  = "uuid-unset"        // all bits of the UUID are 0 or 1
	NoteRepeated   = "repeated-hash"     // the same hash twice
	NoteVersionOne = "version-1"         // known to exist, layout unknown
)

// ShortError says that the 24-byte header of a hello could not be read.
type ShortError struct {
	Have    int    // bytes that are there
	Foreign string // the protocol that they belong to, if they tell
}

// Error names the number of bytes.
func (e *ShortError) Error() string {
	if e.Foreign != "" {
		return fmt.Sprintf("%d bytes of %s, no hello", e.Have, e.Foreign)
	}
	return fmt.Sprintf("a hello begins with a header of %d bytes, %d are there", HeaderLen, e.Have)
}

// Decode reads one hello. The error is a *ShortError, and only when the header cannot be read; the
// message beside it is of type unknown and says the same as a problem, for a caller that has to show
// something. Everything else that is wrong stands in Problems with its byte offset, and what can be
// read is read.
func Decode(b []byte) (Message, error) {
	m := Message{Type: Unknown, Hashes: []Hash{}, Problems: []amt.Problem{}, Notes: []amt.Problem{}, Len: len(b)}
	m.Foreign = Foreign(b)
	if m.Foreign != "" {
		m.problem(0, CodeForeign, "these bytes are %s, not a hello", foreignWords(m.Foreign))
	}
	if len(b) < HeaderLen {
		if m.Foreign == "" {
			m.problem(len(b), CodeTruncated, "the header has %d of %d bytes", len(b), HeaderLen)
		}
		m.keepRest(b)
		return m, &ShortError{Have: len(b), Foreign: m.Foreign}
	}
	if m.protocol() {
		m.keepRest(b)
		return m, nil
	}
	m.header(b)
	switch m.Version {
	case VersionPSK:
		m.Type = PSK
		m.pid(b)
	case VersionPKI:
		m.Type = PKI
		m.hashes(b)
	default:
		m.problem(2, CodeVersion, "the version is %d; 2 (TLS-PSK) and 3 (Remote Configuration) are known. %d bytes follow the header", m.Version, len(b)-HeaderLen)
		if m.Version == 1 {
			m.note(2, NoteVersionOne, "version 1 is known to exist, its layout is not; AMT 1.0 is the likely sender")
		}
		m.keepRest(b[HeaderLen:])
	}
	return m, nil
}

// header reads the 24 bytes that every version has.
func (m *Message) header(b []byte) {
	m.AdminWord = binary.LittleEndian.Uint16(b)
	m.Version = binary.LittleEndian.Uint16(b[2:])
	m.RetryCount = binary.LittleEndian.Uint32(b[4:])
	m.UUID = amt.UUIDFromWire([16]byte(b[8:HeaderLen]))
	m.AdminCredentialsSet = m.AdminWord != 0
	if m.AdminWord > 1 {
		m.problem(0, CodeAdminWord, "the admin word is 0x%04x, neither 0 nor 1; read as set", m.AdminWord)
	}
	if m.UUID.IsZero() || strings.Trim(m.UUID.String(), "f-") == "" {
		m.note(8, NoteUUIDUnset, "the UUID was never set by the maker of the board: other clients may send the same")
	}
}

// pid reads the PID of a version 2 message.
func (m *Message) pid(b []byte) {
	raw := b[HeaderLen:min(len(b), PSKLen)]
	if len(raw) < pidLen {
		m.problem(HeaderLen, CodeTruncated, "the PID starts at byte %d and has %d of its %d bytes; the message ends at byte %d of %d",
			HeaderLen, len(raw), pidLen, len(b), PSKLen)
		m.keepRest(raw)
		return
	}
	m.PID = amt.PID(visible(raw))
	if first, what := oddPID(raw); first >= 0 {
		m.problem(HeaderLen+first, CodePID, "%s", what)
	} else if want := keys.CheckChar(string(raw[:7])); raw[7] != want {
		m.note(PSKLen-1, NotePIDCheck, "the check character of PID %s is %c, the first seven ask for %c: firmware refuses such a PID on entry", m.PID.Dashed(), raw[7], want)
	}
	m.trailing(b, PSKLen)
}

// oddPID names the bytes of a PID that are not A-Z or 0-9; first is -1 when there are none.
func oddPID(raw []byte) (first int, what string) {
	first = -1
	var odd []string
	lower, zero := true, true
	for i, c := range raw {
		zero = zero && c == 0
		if (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') {
			continue
		}
		if first < 0 {
			first = i
		}
		lower = lower && c >= 'a' && c <= 'z'
		odd = append(odd, fmt.Sprintf("character %d is 0x%02x", i+1, c))
	}
	switch {
	case first < 0:
		return -1, ""
	case zero:
		return first, "the PID is eight zero bytes: the client holds no PID"
	case lower:
		return first, "the PID has lower-case letters (" + strings.Join(odd, ", ") + "); A-Z and 0-9 are allowed"
	}
	return first, "the PID has bytes other than A-Z and 0-9: " + strings.Join(odd, ", ")
}

// hashes reads the entries of a version 3 message. An entry that is cut off is left out.
func (m *Message) hashes(b []byte) {
	if len(b) == HeaderLen {
		m.problem(HeaderLen, CodeTruncated, "the number of hashes is missing; the message ends after the header")
		return
	}
	count, off := int(b[HeaderLen]), HeaderLen+1
	if count == 0 {
		m.note(HeaderLen, NoteNoHashes, "the client sends no root hash: no provisioning certificate can be accepted")
	}
	for i := 1; i <= count; i++ {
		size, ok := m.whole(b, off, i, count)
		if !ok {
			m.keepRest(b[off:])
			return
		}
		m.entry(Hash{Algorithm(b[off]), append(Bytes{}, b[off+entryLen:off+size]...)}, off, i)
		off += size
	}
	m.trailing(b, off)
}

// whole gives the size of entry i at off, in bytes, and whether all of it is there.
func (m *Message) whole(b []byte, off, i, count int) (size int, ok bool) {
	var what string
	switch {
	case len(b) == off:
		what = fmt.Sprintf("entry %d of %d is missing", i, count)
	case len(b) < off+entryLen:
		what = fmt.Sprintf("entry %d of %d has only its algorithm (%s)", i, count, Algorithm(b[off]))
	default:
		size = entryLen + int(b[off+1])
		if len(b) >= off+size {
			return size, true
		}
		what = fmt.Sprintf("entry %d of %d (%s) has %d of its %d digest bytes", i, count, Algorithm(b[off]), len(b)-off-entryLen, size-entryLen)
	}
	if more := count - i; more > 0 {
		what += fmt.Sprintf(", and the %d after it are missing", more)
	}
	m.problem(off, CodeTruncated, "%s; the message ends at byte %d", what, len(b))
	return 0, false
}

// entry keeps one complete hash and says what is odd about it.
func (m *Message) entry(h Hash, off, i int) {
	want := h.Algorithm.Size()
	switch {
	case want == 0:
		m.problem(off, CodeAlgorithm, "entry %d has the unknown algorithm %d with %d bytes; kept", i, uint8(h.Algorithm), len(h.Digest))
	case want != len(h.Digest):
		m.problem(off+1, CodeLength, "entry %d says %s with %d bytes; a digest of %s has %d", i, h.Algorithm, len(h.Digest), h.Algorithm, want)
	}
	for j, k := range m.Hashes {
		if k.Algorithm == h.Algorithm && string(k.Digest) == string(h.Digest) {
			m.note(off, NoteRepeated, "entry %d repeats entry %d", i, j+1)
			break
		}
	}
	m.Hashes = append(m.Hashes, h)
}

// trailing says what follows the end of the message.
func (m *Message) trailing(b []byte, end int) {
	if n := len(b) - end; n > 0 {
		m.problem(end, CodeTrailing, "%d bytes follow the message, which ends at byte %d", n, end)
		m.keepRest(b[end:])
	}
}

func (m *Message) keepRest(b []byte) {
	if len(b) > 0 {
		m.Rest = append(Bytes{}, b[:min(len(b), maxRest)]...)
	}
}

func (m *Message) problem(off int, code, format string, a ...any) {
	m.Problems = append(m.Problems, amt.At(off, code, format, a...))
}

func (m *Message) note(off int, code, format string, a ...any) {
	m.Notes = append(m.Notes, amt.At(off, code, format, a...))
}

// visible writes bytes so that they can stand on a screen: printable ASCII as it is, the rest, the
// backslash included, as \x00.
func visible(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		if c > 0x20 && c < 0x7f && c != '\\' {
			s.WriteByte(c)
		} else {
			fmt.Fprintf(&s, `\x%02x`, c)
		}
	}
	return s.String()
}

func foreignWords(word string) string {
	switch word {
	case ForeignHTTP:
		return "HTTP (a browser, a health check of a load balancer, or a port scan)"
	case ForeignTLS:
		return "TLS (the sender expects an encrypted port)"
	case ForeignProxy:
		return "the PROXY header of a load balancer"
	case ForeignBinary:
		return "of no known protocol"
	}
	return word
}
