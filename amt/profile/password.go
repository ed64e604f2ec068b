package profile

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"amtmedic/amt"
)

// The characters of a random password: none that MEBx keyboards or XML make trouble with, or that look
// like another.
const (
	upperChars   = "ABCDEFGHJKLMNPQRSTUVWXYZ"
	lowerChars   = "abcdefghijkmnopqrstuvwxyz"
	digitChars   = "23456789"
	specialChars = "!@#$%^*-+="
	// DefaultCharacters are those of a random password whose profile names none.
	DefaultCharacters = upperChars + lowerChars + digitChars + specialChars
)

// Lengths of a password, in characters (provisioning-protocol 3.4).
const (
	MinLength     = 8
	MaxLength     = 32
	DefaultLength = 20
)

// kinds are the four kinds of which AMT demands one character each.
var kinds = []struct {
	name string
	has  func(c rune) bool
}{
	{"an upper-case letter", func(c rune) bool { return c >= 'A' && c <= 'Z' }},
	{"a lower-case letter", func(c rune) bool { return c >= 'a' && c <= 'z' }},
	{"a digit", func(c rune) bool { return c >= '0' && c <= '9' }},
	{"a special character", special},
}

// special leaves out what AMT takes but does not count (_ and blank) and what it refuses (setup-bin-and-keys 4).
func special(c rune) bool {
	return c > 0x20 && c < 0x7f && !strings.ContainsRune(`:,"_`, c) && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// lacks names the kinds of characters that a text has none of.
func lacks(s string) []string {
	var out []string
	for _, k := range kinds {
		if !strings.ContainsFunc(s, k.has) {
			out = append(out, k.name)
		}
	}
	return out
}

// weak says why AMT refuses a password, without quoting it; empty for a sound one.
func weak(s string) string {
	if len(s) < MinLength || len(s) > MaxLength {
		return fmt.Sprintf("AMT takes passwords of %d to %d characters, this one has %d", MinLength, MaxLength, len(s))
	}
	if missing := lacks(s); len(missing) > 0 {
		return "AMT refuses it: it lacks " + strings.Join(missing, " and ")
	}
	if strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c > 0x7e || strings.ContainsRune(`:,"`, c) }) {
		return `AMT refuses it: it has a character that is not ASCII, or one of : , "`
	}
	return ""
}

// Make gives the password of one client: the fixed one, or a new one of random bytes.
func (p Password) Make(random io.Reader) (amt.Secret, error) {
	switch {
	case p.Rule == Fixed && p.Value.IsZero():
		return amt.Secret{}, errors.New("the fixed password of the profile is not there")
	case p.Rule == Fixed:
		return p.Value, nil
	}
	length, all := p.Length, p.Characters
	if length == 0 {
		length = DefaultLength
	}
	if all == "" {
		all = DefaultCharacters
	}
	if missing := lacks(all); len(missing) > 0 || length < len(kinds) {
		return amt.Secret{}, errors.New("the rule for random passwords cannot be kept")
	}
	out := make([]byte, length)
	for i := range out {
		from := all
		if i < len(kinds) {
			from = only(all, kinds[i].has)
		}
		n, err := draw(random, len(from))
		if err != nil {
			return amt.Secret{}, err
		}
		out[i] = from[n]
	}
	for i := len(out) - 1; i > 0; i-- { // so that the kinds do not stand in a known order
		n, err := draw(random, i+1)
		if err != nil {
			return amt.Secret{}, err
		}
		out[i], out[n] = out[n], out[i]
	}
	return amt.NewSecret(string(out)), nil
}

// only gives the characters of a kind.
func only(s string, has func(rune) bool) string {
	return strings.Map(func(c rune) rune {
		if has(c) {
			return c
		}
		return -1
	}, s)
}

// draw gives a number below n (at most 256), each equally likely.
func draw(random io.Reader, n int) (int, error) {
	limit := 256 - 256%n // above it the remainders would not be even
	var b [1]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, fmt.Errorf("read random bytes: %w", err)
		}
		if int(b[0]) < limit {
			return int(b[0]) % n, nil
		}
	}
}
