package capture

import (
	"encoding/json"
	"net/netip"
	"time"

	"amtmedic/amt/hello"
)

// Kind says what an event is about.
type Kind string

// The kinds of events.
const (
	KindSYN           Kind = "syn"            // a client opens an attempt
	KindSYNRetransmit Kind = "syn_retransmit" // the same attempt again, unanswered so far
	KindSYNACK        Kind = "synack"         // a listener answers, once per attempt
	KindRefused       Kind = "refused"        // a reset answers the SYN
	KindUnreachable   Kind = "unreachable"    // an ICMP error answers; src and dst are those of the attempt
	KindHello         Kind = "hello"          // all bytes are there, once per attempt
	KindPartial       Kind = "partial"        // bytes are missing for good, at most once per attempt
	KindClosed        Kind = "closed"         // the first FIN or RST of an attempt that was answered
	KindBack          Kind = "back"           // a connection to the firmware's ports and its outcome
	KindDNS           Kind = "dns"            // a question with its answer, or without one
	KindDHCP          Kind = "dhcp"           // one DHCP message
)

// Event is one observation. Src and Dst are those of the packet, except for unreachable (those of
// the attempt) and dns (who asked whom). All fields are copies.
type Event struct {
	Time    time.Time
	Src     netip.AddrPort
	Dst     netip.AddrPort
	Kind    Kind
	Hello   *hello.Message // of hello, and of partial when its header is there
	File    string         // name of the capture as given, "" for a live one
	Packet  int            // number in the file from 1; of a hello, the packet with its last missing byte
	VLAN    []uint16       // ids from the outside in
	By      string         // closed, back: client or server; unreachable: address of the sender
	How     string         // closed: fin or rst
	Repeats int            // syn_retransmit: how many until now
	Bytes   int            // hello, partial: bytes of the client that are known without a gap
	Missing int            // partial: bytes known to be missing; 0 when their number is not known
	Way     []string       // what happened on the way: see the Way constants
	ICMP    *ICMP
	DNS     *DNS
	DHCP    *DHCP
	Outcome string // back: ok, connected, refused, timeout, tls-alert, tls-closed, closed, unknown
	Alert   int    // back: TLS alert number when Outcome is tls-alert
	TLS     string // back: version that the firmware chose, else the one that the server offered, such as 1.2
	HTTP    int    // back: status of the firmware's last answer in clear; 0 when there was none
}

// What can happen to the bytes of an attempt on their way.
const (
	WayNoSYN    = "syn-not-captured"
	WayConflict = "conflicting-retransmission" // the first copy was taken
	WayCut      = "packet-cut-by-capture"
	WayGap      = "gap"
)

// ICMP is type and code of an error message (RFC 792, RFC 4443).
type ICMP struct {
	Version int   `json:"version"` // 4 or 6
	Type    uint8 `json:"type"`
	Code    uint8 `json:"code"`
}

// DNS is a question and what came back.
type DNS struct {
	QName  string   `json:"qname"` // as asked, without the last dot
	QType  string   `json:"qtype"`
	RCode  string   `json:"rcode"` // NOERROR, NXDOMAIN ...; none when nobody answered
	CNAME  []string `json:"cname"` // in chain order
	Addr   []string `json:"addr"`
	Server string   `json:"server"` // who was asked
}

// DHCP holds the fields of one message that matter for finding a server (RFC 2131, RFC 2132).
type DHCP struct {
	Type   string   `json:"type"`   // discover, offer, request, decline, ack, nak, release, inform
	MAC    string   `json:"mac"`    // of the client
	Addr   string   `json:"addr"`   // "your" address; empty when none
	Suffix string   `json:"suffix"` // option 15
	DNS    []string `json:"dns"`    // option 6
	Names  []string `json:"names"`  // option 5, IEN 116 name servers
	Vendor string   `json:"vendor"` // option 60, how the client calls itself; empty in answers
}

// wireEvent is the JSON form.
type wireEvent struct {
	Time    string         `json:"time"`
	Src     string         `json:"src"`
	Dst     string         `json:"dst"`
	SrcPort uint16         `json:"src_port"`
	DstPort uint16         `json:"dst_port"`
	Event   Kind           `json:"event"`
	Hello   *hello.Message `json:"hello"`
	File    string         `json:"file"`
	Packet  int            `json:"packet"`
	VLAN    []uint16       `json:"vlan,omitempty"`
	By      string         `json:"by,omitempty"`
	How     string         `json:"how,omitempty"`
	Repeats int            `json:"retransmits,omitempty"`
	Bytes   int            `json:"bytes,omitempty"`
	Missing int            `json:"missing,omitempty"`
	Way     []string       `json:"way,omitempty"`
	ICMP    *ICMP          `json:"icmp,omitempty"`
	DNS     *DNS           `json:"dns,omitempty"`
	DHCP    *DHCP          `json:"dhcp,omitempty"`
	Outcome string         `json:"outcome,omitempty"`
	Alert   int            `json:"alert,omitempty"`
	Says    string         `json:"alert_text,omitempty"`
	TLS     string         `json:"tls_version,omitempty"`
	HTTP    int            `json:"http_status,omitempty"`
}

// MarshalJSON gives one object with plain addresses and the time in UTC; the time is empty when the
// capture had none.
func (e Event) MarshalJSON() ([]byte, error) {
	w := wireEvent{
		Src: plain(e.Src.Addr()), Dst: plain(e.Dst.Addr()), SrcPort: e.Src.Port(), DstPort: e.Dst.Port(),
		Event: e.Kind, Hello: e.Hello, File: e.File, Packet: e.Packet, VLAN: e.VLAN, By: e.By, How: e.How,
		Repeats: e.Repeats, Bytes: e.Bytes, Missing: e.Missing, Way: e.Way, ICMP: e.ICMP, DNS: e.DNS,
		DHCP: e.DHCP, Outcome: e.Outcome, Alert: e.Alert, Says: AlertText(e.Alert), TLS: e.TLS, HTTP: e.HTTP,
	}
	if !e.Time.IsZero() {
		w.Time = e.Time.UTC().Format(time.RFC3339Nano)
	}
	return json.Marshal(w)
}

func plain(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
