package capture

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// Client gives the address of the client in an event: who opened the attempt, was connected back to,
// asked for a name, or got a lease.
func (e Event) Client() netip.Addr {
	switch e.Kind {
	case KindSYNACK, KindRefused, KindBack:
		return e.Dst.Addr()
	case KindClosed:
		if e.By == "server" {
			return e.Dst.Addr()
		}
	case KindUnreachable:
		if slices.Contains(backPorts, e.Dst.Port()) {
			return e.Dst.Addr()
		}
	case KindDHCP:
		if e.DHCP != nil {
			if a, err := netip.ParseAddr(e.DHCP.Addr); err == nil {
				return a
			}
		}
	}
	return e.Src.Addr()
}

// Comment is the event in one line, as it stands beside its packet in a recording: what Wireshark
// shows as the packet's comment.
func (e Event) Comment() string {
	s := "amtmedic: " + strings.ReplaceAll(string(e.Kind), "_", " ")
	if w := e.Words(); w != "" {
		s += ": " + w
	}
	return s
}

// Words is what the event says beyond its kind, time and addresses.
func (e Event) Words() string {
	w := e.words()
	if len(e.Way) > 0 {
		w += " (" + strings.Join(e.Way, ", ") + ")"
	}
	return w
}

func (e Event) words() string {
	switch e.Kind {
	case KindHello:
		return helloWords(e.Hello)
	case KindPartial:
		if e.Missing > 0 {
			return fmt.Sprintf("%d bytes are there, at least %d are missing", e.Bytes, e.Missing)
		}
		return fmt.Sprintf("%d bytes are there", e.Bytes)
	case KindSYNRetransmit:
		return fmt.Sprintf("repeat %d", e.Repeats)
	case KindRefused:
		return "by " + e.Src.String()
	case KindClosed:
		return fmt.Sprintf("by the %s with %s", e.By, strings.ToUpper(e.How))
	case KindUnreachable:
		return fmt.Sprintf("%s says ICMP type %d code %d", e.By, e.ICMP.Type, e.ICMP.Code)
	case KindBack:
		return e.backWords()
	case KindDNS:
		return strings.TrimSpace(fmt.Sprintf("%s %s: %s %s", e.DNS.QName, e.DNS.QType, e.DNS.RCode,
			strings.Join(append(slices.Clone(e.DNS.CNAME), e.DNS.Addr...), " ")))
	case KindDHCP:
		return fmt.Sprintf("%s %s address %q suffix %q dns %s", e.DHCP.Type, e.DHCP.MAC, e.DHCP.Addr, e.DHCP.Suffix,
			strings.Join(e.DHCP.DNS, " "))
	}
	return ""
}

// helloWords tells a hello by what an engineer looks for.
func helloWords(m *hello.Message) string {
	switch {
	case m == nil:
		return ""
	case m.Foreign != "":
		return "no hello: " + m.Foreign
	}
	s := fmt.Sprintf("%s, version %d, retry %d, uuid %s", m.Type, m.Version, m.RetryCount, m.UUID)
	switch {
	case m.PID != "":
		s += ", pid " + m.PID.Dashed()
	case len(m.Hashes) > 0:
		s += fmt.Sprintf(", %d hashes", len(m.Hashes))
	}
	if !m.Sound() {
		s += ", problems: " + strings.Join(amt.Codes(m.Problems), " ")
	}
	return s
}

// comments joins what was seen at packet n; late holds what was seen of packets before it.
func comments(seen []Event, n int) (now string, late []Event) {
	var lines []string
	for _, e := range seen {
		if e.Packet == n && n > 0 {
			lines = append(lines, e.Comment())
		} else {
			late = append(late, e)
		}
	}
	return strings.Join(lines, "\n"), late
}
