package wire

import (
	"fmt"
	"strings"

	"amtmedic/capture"
)

// Details lists what a line holds besides its columns, for a line that is no hello.
func (l *Line) Details() []Field {
	e := &l.event
	var out []Field
	add := func(label, text string) {
		if text != "" {
			out = append(out, Field{Label: label, Text: text})
		}
	}
	switch l.Kind {
	case capture.KindDNS:
		add("question", e.DNS.QName+" "+e.DNS.QType)
		add("answer", map[bool]string{true: "none", false: e.DNS.RCode}[e.DNS.RCode == "none"])
		add("alias", strings.Join(e.DNS.CNAME, ", "))
		add("address", strings.Join(e.DNS.Addr, ", "))
		add("server", e.DNS.Server)
	case capture.KindDHCP:
		add("message", e.DHCP.Type)
		add("address", e.DHCP.Addr)
		add("option 15", orNone(e.DHCP.Suffix))
		add("DNS", orNone(strings.Join(e.DHCP.DNS, ", ")))
		add("MAC", e.DHCP.MAC)
	case capture.KindBack:
		add("outcome", strings.TrimPrefix(l.What, "back: "))
		if e.By != "" {
			add("ended by", e.By)
		}
	case capture.KindClosed:
		add("ended by", e.By)
		add("how", map[bool]string{true: "reset", false: "in order (FIN)"}[e.How == "rst"])
	default:
		if l.syn.seen {
			add("repeats", fmt.Sprint(l.syn.repeats))
		}
		add("answer", orNone(l.syn.outcome))
	}
	if e.ICMP != nil {
		add("ICMP", fmt.Sprintf("type %d, code %d", e.ICMP.Type, e.ICMP.Code))
	}
	return append(out, l.place()...)
}

// Way lists what happened to the bytes of a hello on their way, and where its packet stands.
func (l *Line) Way() []Field {
	var out []Field
	if n := l.event.Missing; n > 0 {
		out = append(out, Field{Label: "missing", Text: number(n, "byte")})
	}
	words := map[string]string{capture.WayNoSYN: "its SYN was not captured", capture.WayConflict: "repeats did not agree, the first was taken",
		capture.WayCut: "the capture cut its packet", capture.WayGap: "a gap in its bytes"}
	for _, w := range l.event.Way {
		out = append(out, Field{Label: "on the way", Text: words[w]})
	}
	return append(out, l.place()...)
}

// place says where the line's packet went and stands.
func (l *Line) place() []Field {
	var out []Field
	if len(l.event.VLAN) > 0 {
		out = append(out, Field{Label: "VLAN", Text: strings.Trim(fmt.Sprint(l.event.VLAN), "[]")})
	}
	out = append(out, Field{Label: "from", Text: l.From.String()}, Field{Label: "to", Text: l.To.String()})
	return append(out, Field{Label: "source", Text: l.Source})
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
