package amt

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// UUID is the SMBIOS system UUID of a client, in the byte order of its text form.
type UUID [16]byte

// ParseUUID reads the 8-4-4-4-12 text form, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, fmt.Errorf("%q is not a UUID of the form 4c4c4544-0058-3910-8059-b7c04f4b5a31", clip(s, 40))
	}
	if _, err := hex.Decode(u[:], []byte(strings.ReplaceAll(s, "-", ""))); err != nil {
		return UUID{}, fmt.Errorf("%q is not a UUID: a character is not hexadecimal", s)
	}
	return u, nil
}

// UUIDFromWire reads the 16 bytes of a hello or of the local interface. The first three groups
// are little-endian there (MeshCentral amtprovisioningserver.js decodes them so).
func UUIDFromWire(b [16]byte) UUID { return UUID(b).Swapped() }

// Wire gives the 16 bytes as a hello carries them.
func (u UUID) Wire() [16]byte { return [16]byte(u.Swapped()) }

// Swapped exchanges the byte order of the first three groups. A map row that was entered in this
// form never matches the hello of its client (rc-uuid-byte-order).
func (u UUID) Swapped() UUID {
	return UUID{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6],
		u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]}
}

// IsZero reports whether no UUID is known.
func (u UUID) IsZero() bool { return u == UUID{} }

// String gives the lower-case text form.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// MarshalText makes the UUID the lower-case text form in JSON.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads the text form.
func (u *UUID) UnmarshalText(b []byte) error {
	v, err := ParseUUID(string(b))
	if err == nil {
		*u = v
	}
	return err
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}
