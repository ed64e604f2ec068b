package remedy

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// recordSteps gives the CNAME with its commands; correct names what stands there now.
func recordSteps(v *values) []string {
	return append([]string{fmt.Sprintf("The record: %s.  300  CNAME  %s.", v.name(), v.fqdn),
		fmt.Sprintf("It belongs into the zone %s on the DNS server that the client asks (%s).", v.suffix, v.dns)},
		append(CNAMEByHand(v.record(), nil), v.ask())...)
}

func correctSteps(v *values) []string {
	now := &dns.CNAME{Target: "OLD-TARGET."}
	if l, ok := v.view.Obj("dns.client").Texts("cname"); ok && len(l) > 0 {
		now.Target = dns.Fqdn(l[0])
	}
	first := fmt.Sprintf("%s must lead to %s.", v.name(), v.fqdn)
	if v.target != "" {
		first = fmt.Sprintf("%s leads to %s and must lead to %s (%s).", v.name(), v.target, v.fqdn, v.server)
	}
	return append([]string{first, "If a plain address record stands there, change its address instead."}, append(CNAMEByHand(v.record(), now), v.ask())...)
}

// ask is the step that looks whether it worked.
func (v *values) ask() string {
	return fmt.Sprintf("Then ask again: nslookup %s %s", v.name(), v.dns)
}

func flushSteps(v *values) []string {
	return []string{"BIND: rndc flushname " + v.name(), "Windows DNS: Clear-DnsServerCache", "dnsmasq: restart it, or send it SIGHUP",
		"Client and server: ipconfig /flushdns, resolvectl flush-caches", v.ask()}
}

func targetSteps(v *values) []string {
	target := v.fqdn
	if l, ok := v.view.Obj("dns.client").Texts("cname"); ok && len(l) > 0 {
		target = l[len(l)-1]
	}
	return []string{fmt.Sprintf("The record: %s.  300  A  %s", target, v.server), "BIND: update add " + target + ". 300 A " + v.server + " in nsupdate, or the line above in the zone file",
		fmt.Sprintf("Windows DNS: Add-DnsServerResourceRecordA -ZoneName ZONE -Name HOST -IPv4Address %s", v.server),
		fmt.Sprintf("dnsmasq: host-record=%s,%s", target, v.server), v.ask()}
}

var nameInstructions = []instruction{
	{"dns-no-record", "simulated", func(v *values) []string {
		return []string{fmt.Sprintf("On the client: amtmedic hello send --to %s:%s --uuid %s --pid %s", v.server, v.port, v.uuid, v.pid), "It helps this one client only, while AMT takes the answer on port 16993; the record helps all."}
	}},
	{"dns-no-record", "", func(v *values) []string {
		return append(recordSteps(v), "Where no CNAME is possible, store the server's address "+v.server+" in the MEBx.")
	}},
	{"dns-wrong-target", "cache", flushSteps},
	{"dns-wrong-target", "", correctSteps},
	{"dns-cname-dangling", "address record", targetSteps},
	{"dns-cname-dangling", "", correctSteps},
	{"dns-split-horizon", "", func(v *values) []string {
		return append([]string{"The client's DNS server " + v.dns + " answers otherwise than the server's. The record is missing or wrong in the view, site or zone that it serves.",
			"BIND with views: the record must stand in the zone file of the view that matches the client's network."}, recordSteps(v)...)
	}},
	{"dns-wrong-suffix", "option 15", withFirst("Only when the client should live in the zone that has the record.", option15)},
	{"dns-wrong-suffix", "", recordSteps},
	{"dns-unreachable", "option 6", option6},
	{"dns-unreachable", "", func(v *values) []string {
		return append([]string{fmt.Sprintf("From a PC beside the client: nslookup %s %s", v.name(), v.dns), "Does the DNS server run? Does it take questions from that network (allow-query, allow-recursion)?",
			"UDP and TCP port 53 must be open from the client's network to " + v.dns + "."}, firewallSteps(v.dns, "53", "udp")...)
	}},
}

// firewallSteps opens one port on the host that has the address, or on the way there.
func firewallSteps(to, port, proto string) []string {
	upper := map[string]string{"tcp": "TCP", "udp": "UDP"}[proto]
	family := "ip"
	if a, err := netip.ParseAddr(to); err == nil && a.Is6() {
		family = "ip6"
	}
	daddr := ""
	if _, err := netip.ParseAddr(to); err == nil {
		daddr = fmt.Sprintf(" %s daddr %s", family, to)
	}
	return []string{
		fmt.Sprintf("nft, on the host: nft insert rule inet filter input %s dport %s accept", proto, port),
		fmt.Sprintf("nft, on a router: nft insert rule inet filter forward%s %s dport %s accept", daddr, proto, port),
		fmt.Sprintf("iptables, on the host: iptables -I INPUT -p %s --dport %s -j ACCEPT", proto, port),
		fmt.Sprintf("iptables, on a router: iptables -I FORWARD -p %s -d %s --dport %s -j ACCEPT", proto, to, port),
		fmt.Sprintf("Windows firewall: netsh advfirewall firewall add rule name=\"AMT %s\" dir=in action=allow protocol=%s localport=%s", port, upper, port),
		fmt.Sprintf("PowerShell: New-NetFirewallRule -DisplayName \"AMT %s\" -Direction Inbound -Protocol %s -LocalPort %s -Action Allow", port, upper, port),
		"Make the rule lasting in the way of that system.",
	}
}

func (v *values) connectTest() string {
	return fmt.Sprintf("Then, from the client's segment: Test-NetConnection %s -Port %s, or nc -vz %s %s", v.server, v.port, v.server, v.port)
}

var portInstructions = []instruction{
	{"fw-9971-blocked", "", func(v *values) []string {
		return slices.Concat([]string{fmt.Sprintf("The SYN of the client does not reach %s. Find the firewall, router list or switch rule between the two networks.", v.server),
			fmt.Sprintf("Allow TCP from the client networks to %s port %s, and the answers.", v.server, v.port)}, firewallSteps(v.server, v.port, "tcp"), []string{v.connectTest()})
	}},
	{"server-fw-9971", "show", lines("nft list ruleset, or iptables -L INPUT -n -v: whose counter grows with each SYN?", "Windows: netsh advfirewall firewall show rule name=all dir=in, and wf.msc, monitoring")},
	{"server-fw-9971", "", func(v *values) []string {
		return slices.Concat([]string{"On the server " + v.server + " itself:"}, firewallSteps(v.server, v.port, "tcp"), []string{v.connectTest()})
	}},
	{"port-mismatch", "mebx", storedServer},
	{"port-mismatch", "", func(v *values) []string {
		return []string{"Set the port of the service to 9971, where clients send hellos: console, general settings; or amtmedic serve --listen :9971", "Restart the service, then look: netstat -an"}
	}},
	{"middlebox", "", func(v *values) []string {
		return []string{"A proxy, inspection or load balancer takes the connection itself. A hello is no HTTP and no TLS.",
			fmt.Sprintf("Except TCP to %s port %s, and port 16993 back to the clients, from it.", v.server, v.port), "Then compare the payload in captures of both sides again."}
	}},
	{"hello-malformed", "", lines("Keep the case with its capture: amtmedic bundle create FILE", "Compare with another PC of the same model and firmware. Update the firmware if they agree; escalate with the bundle if not.")},
	{"return-path-blocked", "still has", func(v *values) []string {
		return []string{"Does " + v.client + " still belong to this client? From a PC in its segment: ping " + v.client + ", then arp -a " + v.client + ".",
			"The MAC address must be that of its on-board port, also when ping gets no answer.", "Short leases give it a new address between hello and answer."}
	}},
	{"return-path-blocked", "", func(v *values) []string {
		open := firewallSteps(v.client, "16993", "tcp")
		return []string{fmt.Sprintf("Allow TCP from %s to the clients' ports 16992 to 16995 (with TLS: 16993 and 16995).", v.server), "It must pass the firewalls between the networks, not the client's own: AMT answers before its system.",
			open[1], open[3]}
	}},
	{"nat-between", "", func(v *values) []string {
		return []string{"The server answers to the address that the hello came from; behind a translation that is another host.", "Place a server inside the client's network, or route between the networks without translation."}
	}},
}
