package capture

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// NoteKind says what a note is about.
type NoteKind string

// The kinds of notes.
const (
	NoteConflict NoteKind = "address-conflict" // two stations claim one address by ARP
	NotePong     NoteKind = "presence-pong"    // firmware answers the presence ping and tells its state
	NoteSwitch   NoteKind = "switch-port"      // a switch names itself by LLDP
	NoteTunnel   NoteKind = "tunnel"           // a connection of firmware to the port for tunnels, and its outcome
)

// Note is what packets tell beside attempts: no step of the road, but what explains one. What is told
// again and again is noted once, and again when it changes.
type Note struct {
	Time    time.Time
	Packet  int
	VLAN    []uint16
	Kind    NoteKind
	Addr    netip.Addr // whose: the claimed address, the firmware that answers, the firmware of the tunnel
	MACs    []string   // address-conflict: who claims it, the newest last
	State   string     // presence-pong: pre, in or post
	Version string     // presence-pong: AMT version as far as told, such as 3.0; empty on newer firmware
	Port    uint16     // presence-pong: of the management service
	Switch  string     // switch-port: name of the switch, else its identifier
	Plug    string     // switch-port: the port of the switch
	Tunnel  *Event     // tunnel: as a connection back; Src is the firmware
}

// Words is the note in one line.
func (n Note) Words() string {
	switch n.Kind {
	case NoteConflict:
		return fmt.Sprintf("%s is claimed by two stations: %s", n.Addr, strings.Join(n.MACs, " and "))
	case NotePong:
		s := fmt.Sprintf("firmware of %s answers the presence ping: state %s", n.Addr, n.State)
		if n.Version != "" {
			s += ", AMT " + n.Version
		}
		return s
	case NoteSwitch:
		return fmt.Sprintf("this cable ends at port %s of switch %s", n.Plug, n.Switch)
	case NoteTunnel:
		return fmt.Sprintf("tunnel of %s to %s: %s", n.Addr, n.Tunnel.Dst, n.Tunnel.backWords())
	}
	return string(n.Kind)
}

// mpsPort is the usual port for tunnels of firmware (Intel Fast Call for Help).
const mpsPort = 4433

// Bounds of what notes are made from.
const (
	maxClaims = 8192             // addresses whose owners are remembered
	claimFor  = 2 * time.Minute  // after which an address may have another owner
	noteAgain = 10 * time.Minute // after which the same thing is noted again
)

// claim is who said last that an address is its own.
type claim struct {
	mac [6]byte
	at  time.Time
}

// notes makes notes of packets that no event is made from.
type notes struct {
	emit   func(Note)
	claims map[netip.Addr]claim
	told   map[string]time.Time // what was noted, and when
}

func newNotes(emit func(Note)) *notes {
	return &notes{emit: emit, claims: map[netip.Addr]claim{}, told: map[string]time.Time{}}
}

// tell gives a note unless the same was told a short time ago.
func (k *notes) tell(m mark, n Note) {
	if k.emit == nil {
		return
	}
	words := n.Words()
	if at, told := k.told[words]; told && m.time.Sub(at).Abs() < noteAgain {
		return
	}
	if len(k.told) >= maxClaims {
		clear(k.told)
	}
	k.told[words] = m.time
	n.Time, n.Packet, n.VLAN = m.time, m.packet, m.keep().vlan
	k.emit(n)
}

// arp looks for an address that two stations claim at about the same time. A question whether an
// address is free (sender 0.0.0.0, RFC 5227) claims nothing.
func (k *notes) arp(m mark, b []byte) {
	mac, addr, ok := parseARP(b)
	if !ok || addr.IsUnspecified() || mac == [6]byte{} {
		return
	}
	old, known := k.claims[addr]
	if len(k.claims) >= maxClaims && !known {
		clear(k.claims)
	}
	k.claims[addr] = claim{mac, m.time}
	if known && old.mac != mac && m.time.Sub(old.at).Abs() < claimFor {
		k.tell(m, Note{Kind: NoteConflict, Addr: addr, MACs: []string{macText(old.mac[:]), macText(mac[:])}})
	}
}

// pong notes what firmware says of itself.
func (k *notes) pong(m mark, from netip.Addr, b []byte) {
	if n, ok := parsePong(b); ok {
		n.Addr = from
		k.tell(m, n)
	}
}

// lldp notes the switch at the other end of the cable.
func (k *notes) lldp(m mark, b []byte) {
	if n, ok := parseLLDP(b); ok {
		k.tell(m, n)
	}
}

// tunnel notes a connection to the port for tunnels. It is followed like a connection back, but here
// the firmware is the one that opens it.
func (k *notes) tunnel(e Event) {
	switch e.By {
	case "client":
		e.By = "server"
	case "server":
		e.By = "client"
	}
	k.tell(mark{time: e.Time, packet: e.Packet, vlan: e.VLAN}, Note{Kind: NoteTunnel, Addr: e.Src.Addr(), Tunnel: &e})
}
