package wire

import (
	"fmt"
	"net/netip"
	"strings"

	"amtmedic/amt/hello"
	"amtmedic/amt/tlspsk"
	"amtmedic/capture"
)

// number puts a noun behind a number, with an s where there is not exactly one.
func number(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "h"):
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// words are what an attempt has come to so far.
func (s synState) words() string {
	out := "SYN"
	if !s.seen {
		out = "SYN not captured"
	}
	if s.repeats > 0 {
		out += ", " + number(s.repeats, "repeat")
	}
	if s.outcome == "" {
		return out + ", no answer"
	}
	return out + ", " + s.outcome
}

// helloWords name the one thing that tells hellos apart.
func helloWords(e *capture.Event) string {
	m := e.Hello
	switch {
	case m == nil:
		return "bytes that are no hello"
	case m.Foreign == hello.ForeignBinary && m.Type == hello.Unknown, m.Foreign == "" && m.Type == hello.Unknown && m.Len < hello.HeaderLen:
		return fmt.Sprintf("%s that are no hello", number(m.Len, "byte"))
	case m.Foreign != "" && m.Foreign != hello.ForeignBinary:
		return "no hello: " + m.Foreign
	}
	var out string
	switch m.Type {
	case hello.PSK:
		out = "HELLO psk " + string(m.PID)
		if m.PID == "" {
			out = "HELLO psk"
		}
	case hello.PKI:
		out = "HELLO pki, " + number(len(m.Hashes), "hash")
	default:
		out = fmt.Sprintf("HELLO of version %d", m.Version)
	}
	out += fmt.Sprintf(", retry %d", m.RetryCount)
	if n := len(m.Problems); n > 0 && e.Kind == capture.KindHello {
		out += ", " + number(n, "problem")
	}
	return out
}

func partialWords(e *capture.Event) string {
	out := "cut off: " + helloWords(e)
	if e.Hello == nil || e.Hello.Len < hello.HeaderLen {
		out = "hello cut off"
	}
	out += fmt.Sprintf(", %s came", number(e.Bytes, "byte"))
	if e.Missing > 0 {
		out += fmt.Sprintf(", %d missing", e.Missing)
	}
	return out
}

func closedWords(e *capture.Event) string {
	if e.How == "rst" {
		return "reset by the " + e.By
	}
	return "closed in order"
}

// backWords say how a connection to the firmware ended.
func backWords(e *capture.Event) string {
	how := map[string]string{
		capture.OutcomeOK: "in order", capture.OutcomeConnected: "connected, nothing said", capture.OutcomeRefused: "refused",
		capture.OutcomeTimeout: "no answer", capture.OutcomeTLSClosed: "the client ended TLS",
		capture.OutcomeClosed: "the server ended TLS", capture.OutcomeUnknown: "outcome not seen",
	}[e.Outcome]
	if e.Outcome == capture.OutcomeAlert {
		_, name, ok := strings.Cut(tlspsk.Alert(e.Alert).String(), " ")
		if !ok {
			name = fmt.Sprint(e.Alert)
		}
		how = "TLS alert " + name
	}
	if how == "" {
		how = e.Outcome
	}
	return "back: " + how
}

func dnsWords(d *capture.DNS) string {
	answer := d.RCode
	switch {
	case d.RCode == "none":
		answer = "no answer"
	case len(d.Addr) > 0:
		answer = strings.Join(d.Addr, ", ")
	case d.RCode == "NOERROR":
		answer = "no address"
	}
	kind := ""
	if d.QType != "A" {
		kind = " " + d.QType
	}
	return "DNS " + d.QName + kind + " → " + answer
}

func dhcpWords(d *capture.DHCP) string {
	if d.Type != "ack" {
		return strings.TrimSpace("DHCP " + d.Type + " " + d.Addr)
	}
	if d.Suffix == "" {
		return "DHCP lease " + d.Addr + ", no option 15"
	}
	return "DHCP lease " + d.Addr + ", option 15 " + d.Suffix
}

// icmpWords are RFC 792, RFC 1812 5.2.7.1 and RFC 4443 in a few words.
func icmpWords(i *capture.ICMP) string {
	if i == nil {
		return "unreachable"
	}
	names := map[[2]uint8]string{{3, 0}: "no route", {3, 1}: "host unreachable", {3, 2}: "protocol unreachable", {3, 3}: "port unreachable",
		{3, 9}: "prohibited", {3, 10}: "prohibited", {3, 13}: "prohibited", {11, 0}: "time ran out on the way"}
	if i.Version == 6 {
		names = map[[2]uint8]string{{1, 0}: "no route", {1, 1}: "prohibited", {1, 3}: "host unreachable", {1, 4}: "port unreachable",
			{1, 5}: "prohibited", {3, 0}: "time ran out on the way"}
	}
	if n := names[[2]uint8{i.Type, i.Code}]; n != "" {
		return n
	}
	return fmt.Sprintf("unreachable (ICMP %d/%d)", i.Type, i.Code)
}

// host gives an address as text, empty for none.
func host(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}
