package amt

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// Secret is a PPS, a password or a private key. Every way of printing it gives "[secret]";
// Reveal is the one way out. Secrets are compared with Equal, never with ==.
type Secret struct {
	// A pointer: package fmt prints the content of an unexported field of another struct without
	// asking for its methods, but of a pointer in it only the address.
	v *string
	_ [0]func() // not comparable
}

const hidden = "[secret]"

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{v: &s} }

// Reveal gives the value itself. Call it only to use the secret, or when the user asked to see it.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Equal reports whether two secrets have the same value.
func (s Secret) Equal(t Secret) bool { return s.Reveal() == t.Reveal() }

// String gives "[secret]".
func (s Secret) String() string { return hidden }

// GoString gives "[secret]".
func (s Secret) GoString() string { return hidden }

// Format gives "[secret]" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalJSON gives "[secret]".
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// MarshalText gives "[secret]".
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue gives "[secret]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
