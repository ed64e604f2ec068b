package setupbin

import (
	"fmt"
	"strings"

	"amtmedic/amt"
)

// FactoryPassword is the MEBx password of a client that nobody has set up.
const FactoryPassword = "admin"

// PasswordFault says why the MEBx would refuse a new password, empty when it would not: 8 to 32
// printable ASCII characters without : , and ", with a digit, a lower and an upper case letter and a
// character that is neither letter nor digit; the underscore and the space are taken but do not count
// as one (setup-bin-and-keys 4). It tells nothing of the password.
func PasswordFault(p amt.Secret) string {
	s := p.Reveal()
	if n := len(s); n < 8 || n > 32 {
		return fmt.Sprintf("has %d characters, not 8 to 32", n)
	}
	var digit, lower, upper, special bool
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 || c > 0x7e:
			return "has a character that is not printable ASCII"
		case strings.IndexByte(`:,"`, c) >= 0:
			return `has a colon, a comma or a quotation mark, which the MEBx does not take`
		case c >= '0' && c <= '9':
			digit = true
		case c >= 'a' && c <= 'z':
			lower = true
		case c >= 'A' && c <= 'Z':
			upper = true
		case c != '_' && c != ' ':
			special = true
		}
	}
	var lacks []string
	for _, k := range []struct {
		has  bool
		word string
	}{{digit, "a digit"}, {lower, "a lower case letter"}, {upper, "an upper case letter"}, {special, "a special character (the underscore does not count)"}} {
		if !k.has {
			lacks = append(lacks, k.word)
		}
	}
	if len(lacks) > 0 {
		return "lacks " + strings.Join(lacks, " and ")
	}
	return ""
}

// makerForbids reports whether a password has a character that HP forbids beside Intel's.
func makerForbids(p amt.Secret) bool { return strings.ContainsAny(p.Reveal(), "'<>& ") }
