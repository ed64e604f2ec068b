//go:build !windows

package probe

import (
	"errors"
	"os"

	"amtmedic/amt"
)

// SystemResolvers gives the DNS servers and search suffixes of this machine. Where a cache of
// systemd-resolved stands before them, the servers behind it are given.
func SystemResolvers() (System, error) {
	return systemResolvers("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
}

func systemResolvers(file, behind string) (System, error) {
	s, err := readResolvConf(file)
	if err != nil {
		return s, &amt.Error{Op: "read DNS servers", Subject: file, Err: err, Hint: "name a DNS server: --resolver ADDRESS"}
	}
	if s.Cached {
		if b, err := readResolvConf(behind); err == nil && len(b.Resolvers) > 0 && !b.Cached {
			s.Resolvers, s.Cached = b.Resolvers, false
			if len(s.Search) == 0 {
				s.Search = b.Search
			}
		}
	}
	if len(s.Resolvers) == 0 {
		return s, &amt.Error{Op: "read DNS servers", Subject: file, Err: errors.New("no DNS server is named there"), Hint: "name a DNS server: --resolver ADDRESS"}
	}
	return s, nil
}

func readResolvConf(file string) (System, error) {
	f, err := os.Open(file)
	if err != nil {
		return System{}, err
	}
	defer func() { _ = f.Close() }()
	return parseResolvConf(f), nil
}
