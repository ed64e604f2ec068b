package remedy

import (
	"fmt"
	"net"
	"strings"

	"github.com/miekg/dns"
)

// CNAMEByHand gives the commands that write the same record on BIND, Windows DNS and dnsmasq. old
// is the CNAME that they replace; nil adds only.
func CNAMEByHand(c CNAME, old *dns.CNAME) []string {
	ttl := c.TTL
	if ttl == 0 {
		ttl = 300
	}
	name, target := dns.CanonicalName(c.Name), dns.CanonicalName(c.Target)
	zone := dns.CanonicalName(c.Zone)
	if c.Zone == "" {
		_, zone, _ = strings.Cut(name, ".")
	}
	host := strings.TrimSuffix(strings.TrimSuffix(name, zone), ".")
	bare := func(s string) string { return strings.TrimSuffix(s, ".") }
	server := "SERVER"
	if h, p, err := net.SplitHostPort(c.Server); err == nil {
		server = h + " " + p
	} else if c.Server != "" {
		server = c.Server
	}
	out := []string{"BIND, from any machine with the zone's key file:", "  nsupdate -k KEYFILE", "  > server " + server, "  > zone " + bare(zone)}
	if old == nil {
		out = append(out, "  > prereq nxdomain "+name)
	} else {
		out = append(out, fmt.Sprintf("  > prereq yxrrset %s CNAME %s", name, old.Target), fmt.Sprintf("  > update delete %s CNAME %s", name, old.Target))
	}
	out = append(out, fmt.Sprintf("  > update add %s %d CNAME %s", name, ttl, target), "  > send",
		"BIND, in the zone file (raise the serial, then rndc reload):", fmt.Sprintf("  %s  %d  IN  CNAME  %s", host, ttl, target),
		"Windows DNS, PowerShell on the DNS server:")
	if old != nil {
		out = append(out, fmt.Sprintf("  Remove-DnsServerResourceRecord -ZoneName %s -Name %s -RRType CName", bare(zone), host))
	}
	out = append(out, fmt.Sprintf("  Add-DnsServerResourceRecordCName -ZoneName %s -Name %s -HostNameAlias %s", bare(zone), host, target),
		"Windows DNS, older servers:")
	if old != nil {
		out = append(out, fmt.Sprintf("  dnscmd /RecordDelete %s %s CNAME %s /f", bare(zone), host, old.Target))
	}
	return append(out, fmt.Sprintf("  dnscmd /RecordAdd %s %s CNAME %s", bare(zone), host, target),
		"dnsmasq, in its configuration (then restart it):", fmt.Sprintf("  cname=%s,%s", bare(name), bare(target)),
		"  it must know the target itself: from its hosts file, a lease or host-record",
		"To take it back, delete exactly this record.")
}
