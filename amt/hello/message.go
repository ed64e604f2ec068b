// Package hello reads and writes the hello messages that a client in Setup Mode sends to its setup
// server: version 2 (TLS-PSK, with a PID) and version 3 (Remote Configuration, with the hashes of
// the root certificates that the client trusts). Decode is the entry point; Need tells a listener
// when a message is complete. The package opens no file and no socket.
//
// Layout: provisioning-protocol 1.2 to 1.4. All integers are little-endian.
package hello

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"amtmedic/amt"
)

// Sizes of the parts of a message, in bytes.
const (
	HeaderLen = 24 // admin word, version, retry count, UUID
	PSKLen    = 32 // the header and a PID
	pidLen    = 8
	entryLen  = 2 // algorithm and length in front of each digest

	// MaxLen is the largest message that the counts of version 3 can ask for: 255 hashes of 255
	// bytes. Firmware keeps at most 33 hashes, so real messages stay below 2,203 bytes.
	MaxLen = HeaderLen + 1 + 255*(entryLen+255)

	// maxRest limits how much of what was not understood a Message keeps.
	maxRest = 4096
)

// The two interface versions whose layout is known.
const (
	VersionPSK uint16 = 2
	VersionPKI uint16 = 3
)

// Type says what a message is: psk, pki or unknown.
type Type string

// The three types. Unknown is every version but 2 and 3, and every foreign protocol.
const (
	PSK     Type = Type(amt.PSK)
	PKI     Type = Type(amt.PKI)
	Unknown Type = "unknown"
)

// Message is one hello. Its JSON form is that of "amtmedic hello decode --json".
type Message struct {
	Type    Type   `json:"type"`
	Version uint16 `json:"version"` // InterfaceVersion as sent
	// AdminCredentialsSet is false while the administrator password is the one from the factory.
	AdminCredentialsSet bool     `json:"admin_credentials_set"`
	RetryCount          uint32   `json:"retry_count"` // 0 in the first hello of a sequence
	UUID                amt.UUID `json:"uuid"`
	// PID is empty for pki and when it is cut off. A byte that no PID has stands as \x00.
	PID    amt.PID `json:"pid"`
	Hashes []Hash  `json:"hashes"`
	// Problems is what makes the message unfit, Notes what is worth knowing. Neither is null in JSON.
	Problems []amt.Problem `json:"problems"`
	Notes    []amt.Problem `json:"notes"`
	// Foreign names the protocol when the bytes belong to another one (see Foreign). For a protocol
	// that was recognised no other field is filled, because no header was there to read.
	Foreign string `json:"foreign,omitempty"`
	// Rest is what stands after the part that was understood: the body of an unknown version, or
	// trailing bytes. At most 4,096 bytes of it are kept.
	Rest Bytes `json:"rest,omitempty"`

	// AdminWord is the first word as it was sent; everything but 0 counts as set.
	AdminWord uint16 `json:"-"`
	// Len is the number of bytes that were given to Decode.
	Len int `json:"-"`
}

// Hash names a root certificate that the client trusts: the digest of its DER form.
type Hash struct {
	Algorithm Algorithm `json:"algorithm"`
	Digest    Bytes     `json:"digest"`
}

// Sound reports whether nothing makes the message unfit.
func (m Message) Sound() bool { return len(m.Problems) == 0 }

// MarshalJSON keeps lists from being null and leaves uuid empty where none could be read.
func (m Message) MarshalJSON() ([]byte, error) {
	type plain Message
	out := struct {
		plain
		UUID string `json:"uuid"`
	}{plain: plain(m), UUID: m.UUID.String()}
	if m.protocol() || (m.UUID.IsZero() && m.Len < HeaderLen && m.Len > 0) {
		out.UUID = ""
	}
	if out.Hashes == nil {
		out.Hashes = []Hash{}
	}
	if out.Problems == nil {
		out.Problems = []amt.Problem{}
	}
	if out.Notes == nil {
		out.Notes = []amt.Problem{}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads the form that MarshalJSON writes.
func (m *Message) UnmarshalJSON(b []byte) error {
	type plain Message
	in := struct {
		*plain
		UUID string `json:"uuid"`
	}{plain: (*plain)(m)}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	m.UUID = amt.UUID{}
	if in.UUID == "" {
		return nil
	}
	return m.UUID.UnmarshalText([]byte(in.UUID))
}

// protocol reports whether the bytes were recognised as those of another protocol, so that the
// fields of the header mean nothing.
func (m Message) protocol() bool { return m.Foreign != "" && m.Foreign != ForeignBinary }

// Bytes is a byte string that is written as lower-case hex.
type Bytes []byte

// String gives lower-case hex without separators.
func (b Bytes) String() string { return hex.EncodeToString(b) }

// MarshalText gives lower-case hex.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads hex.
func (b *Bytes) UnmarshalText(t []byte) error {
	v, err := hex.DecodeString(string(t))
	if err == nil {
		*b = v
	}
	return err
}

// Algorithm is the number of a hash algorithm in an entry of a version 3 message. Numbers from 4 on
// differ between public sources, so only 1 to 3 have a name here (provisioning-protocol 1.4).
type Algorithm uint8

// The algorithms on which the sources agree.
const (
	SHA1   Algorithm = 1
	SHA256 Algorithm = 2
	SHA384 Algorithm = 3
)

// Size gives the length of a digest in bytes, 0 for an unknown algorithm.
func (a Algorithm) Size() int {
	switch a {
	case SHA1:
		return 20
	case SHA256:
		return 32
	case SHA384:
		return 48
	}
	return 0
}

// String gives sha1, sha256, sha384 or unknown-N.
func (a Algorithm) String() string {
	switch a {
	case SHA1:
		return "sha1"
	case SHA256:
		return "sha256"
	case SHA384:
		return "sha384"
	}
	return "unknown-" + strconv.Itoa(int(a))
}

// MarshalText gives the form of String.
func (a Algorithm) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the form of String; a dash as in SHA-256 and upper case are allowed.
func (a *Algorithm) UnmarshalText(t []byte) error {
	s := strings.ToLower(string(t))
	switch strings.Replace(s, "sha-", "sha", 1) {
	case "sha1":
		*a = SHA1
	case "sha256":
		*a = SHA256
	case "sha384":
		*a = SHA384
	default:
		n, err := strconv.ParseUint(strings.TrimPrefix(s, "unknown-"), 10, 8)
		if err != nil || !strings.HasPrefix(s, "unknown-") {
			return fmt.Errorf("%.20q is not a hash algorithm: sha1, sha256 or sha384", t)
		}
		*a = Algorithm(n)
	}
	return nil
}

// ParseHash reads ALG:HEX, such as sha1:97b96e...; colons between the bytes of the digest are
// allowed. The digest must have the length of its algorithm.
func ParseHash(s string) (Hash, error) {
	var h Hash
	name, digest, ok := strings.Cut(s, ":")
	if !ok {
		return h, fmt.Errorf("%.40q is not a hash of the form sha256:HEX", s)
	}
	if err := h.Algorithm.UnmarshalText([]byte(name)); err != nil {
		return h, err
	}
	b, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(digest))
	if err != nil {
		return h, fmt.Errorf("digest of %s: %w", h.Algorithm, err)
	}
	if n := h.Algorithm.Size(); n != 0 && len(b) != n {
		return h, fmt.Errorf("a digest of %s has %d bytes, this one has %d", h.Algorithm, n, len(b))
	}
	h.Digest = b
	return h, nil
}
