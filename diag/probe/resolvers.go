package probe

import (
	"bufio"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// System is how this machine asks for names.
type System struct {
	Resolvers []string // addresses of DNS servers, in order
	Search    []string // search suffixes, in order, lower case
	// Cached says that only a cache on this machine is known, so that its answers may be old.
	Cached bool
}

// maxResolvConf bounds what is read of a resolver configuration.
const maxResolvConf = 64 << 10

// parseResolvConf reads the form of resolv.conf(5). Lines that make no sense are passed over, as
// every resolver does; the last domain or search line counts.
func parseResolvConf(r io.Reader) System {
	var s System
	sc := bufio.NewScanner(io.LimitReader(r, maxResolvConf))
	for sc.Scan() {
		line := sc.Text()
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(f[1]); err == nil && !slices.Contains(s.Resolvers, a.String()) {
				s.Resolvers = append(s.Resolvers, a.String())
			}
		case "domain", "search":
			s.Search = suffixes(f[1:])
		}
	}
	s.Cached = onlyLoopback(s.Resolvers)
	return s
}

// suffixes cleans a search list: lower case, no dots at the ends, none twice.
func suffixes(list []string) []string {
	var out []string
	for _, d := range list {
		if d = strings.ToLower(strings.Trim(d, ".")); d != "" && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

func onlyLoopback(servers []string) bool {
	for _, s := range servers {
		if a, err := netip.ParseAddr(s); err != nil || !a.IsLoopback() {
			return false
		}
	}
	return len(servers) > 0
}
