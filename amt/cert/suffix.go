package cert

import (
	"slices"
	"strings"

	"amtmedic/amt"
)

// Fit says whether a certificate's name fits a client's domain.
type Fit int

// The answers, in ascending order.
const (
	No Fit = iota
	Unsure
	Yes
)

// SuffixFits compares a name of a certificate with the domain of a client by the rule of the client's
// version (symptom-catalogue 7.7). A domain that equals the name, or the name without its first label,
// fits every version. Where only the last two labels are equal, .com, .net and .org fit from 3.2.1 on
// and .com and .net in 2.6; what the sources leave open is Unsure.
func SuffixFits(v amt.Version, name, suffix string) Fit {
	name, suffix = normal(name), normal(suffix)
	_, domain, _ := strings.Cut(name, ".")
	if suffix == "" || domain == "" {
		return No
	}
	if name == suffix || domain == suffix {
		return Yes
	}
	a, b := strings.Split(name, "."), strings.Split(suffix, ".")
	if len(a) < 2 || len(b) < 2 || !slices.Equal(a[len(a)-2:], b[len(b)-2:]) {
		return No
	}
	top := b[len(b)-1]
	since, _ := amt.ParseVersion("3.2.1")
	switch {
	case v.IsZero():
		return Unsure
	case !v.AtLeast(2, 6):
		return No
	case v.Major() == 2:
		if slices.Contains([]string{"com", "net"}, top) {
			return Yes
		}
		return Unsure
	case v.Compare(since) >= 0 && slices.Contains([]string{"com", "net", "org"}, top):
		return Yes
	}
	return Unsure
}

func normal(s string) string { return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), ".")) }
