package probe

import (
	"errors"
	"net/netip"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"

	"amtmedic/amt"
)

// SystemResolvers gives the DNS servers and suffixes of the adapters of this machine that are up.
func SystemResolvers() (System, error) {
	size := uint32(16 << 10)
	for range 4 { // the list may grow between the calls
		buf := make([]byte, size)
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(&buf[0]))
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, windows.GAA_FLAG_SKIP_ANYCAST|windows.GAA_FLAG_SKIP_MULTICAST, 0, first, &size)
		if errors.Is(err, windows.ERROR_BUFFER_OVERFLOW) {
			continue
		}
		if err != nil {
			return System{}, &amt.Error{Op: "read DNS servers", Err: err, Hint: "name a DNS server: --resolver ADDRESS"}
		}
		return adapters(first)
	}
	return System{}, &amt.Error{Op: "read DNS servers", Err: errors.New("the list of adapters keeps growing")}
}

func adapters(a *windows.IpAdapterAddresses) (System, error) {
	var s System
	var search []string
	for ; a != nil; a = a.Next {
		if a.OperStatus != windows.IfOperStatusUp || a.IfType == windows.IF_TYPE_SOFTWARE_LOOPBACK {
			continue
		}
		search = append(search, windows.UTF16PtrToString(a.DnsSuffix))
		for d := a.FirstDnsServerAddress; d != nil; d = d.Next {
			ip, ok := netip.AddrFromSlice(d.Address.IP())
			if ip = ip.Unmap(); !ok || siteLocal(ip) || slices.Contains(s.Resolvers, ip.String()) {
				continue
			}
			s.Resolvers = append(s.Resolvers, ip.String())
		}
	}
	s.Search, s.Cached = suffixes(search), onlyLoopback(s.Resolvers)
	if len(s.Resolvers) == 0 {
		return s, &amt.Error{Op: "read DNS servers", Err: errors.New("no adapter that is up has one"), Hint: "name a DNS server: --resolver ADDRESS"}
	}
	return s, nil
}

// siteLocal drops fec0:0:0:ffff::1 to ::3, which Windows lists where no IPv6 server is known.
func siteLocal(ip netip.Addr) bool {
	return netip.MustParsePrefix("fec0::/10").Contains(ip)
}
