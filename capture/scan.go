package capture

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/google/gopacket/layers"

	"amtmedic/amt"
)

// Options sets up a scan. The zero value looks for hellos to the usual port.
type Options struct {
	Ports []uint16   // TCP ports that hellos go to; amt.HelloPort when empty
	File  string     // name that events carry; empty for live captures
	Stats *Stats     // when not nil, filled with the counts of the scan at its end
	Note  func(Note) // told what packets tell beside events; may be nil
	Pause func()     // told when nothing more waits: what was gathered can be handed on; may be nil
}

// paused calls Pause when p says that nothing more waits.
func (o *Options) paused(p *Packet) {
	if o.Pause != nil && p.heartbeat() {
		o.Pause()
	}
}

// Scan reads a source to its end and gives every event to emit, in the order in which it became
// certain. The error is that of the source; events of what came before it were given.
func Scan(ctx context.Context, src Source, opt Options, emit func(Event)) error {
	s := NewScanner(opt, emit)
	file, _ := src.(*File)
	if file != nil {
		file.leaveOut(s.match, s.idle)
	}
	err := src.Run(ctx, func(p *Packet) error {
		s.Packet(p)
		opt.paused(p)
		return nil
	})
	if file != nil {
		s.pass(file.sieve.until)
	}
	s.End()
	if file != nil {
		s.stats.Filtered += file.sieve.packets
	}
	s.fillStats(opt, src)
	return err
}

// fillStats gives the counts to who asked for them.
func (s *Scanner) fillStats(opt Options, src Source) {
	if opt.Stats != nil {
		*opt.Stats = src.Stats()
		opt.Stats.Filtered, opt.Stats.Undecodable = s.stats.Filtered, s.stats.Undecodable
		opt.Stats.Evicted = s.Evicted()
	}
}

// Scanner turns packets into events. It is not safe for concurrent use.
type Scanner struct {
	match    *Matcher
	dec      *decoder
	hello    map[uint16]bool
	attempts *attempts
	backs    *backs
	names    *names
	notes    *notes
	tunnels  *backs
	idles    idleFlows
	stats    Stats
	cur      mark
	passed   time.Time // of the last packet that was left out
	seg      segment   // of the packet that is looked at: none is made for each
}

// NewScanner makes a scanner that gives its events to emit.
func NewScanner(opt Options, emit func(Event)) *Scanner {
	ports := opt.Ports
	if len(ports) == 0 {
		ports = []uint16{amt.HelloPort}
	}
	named := func(e Event) {
		e.File = opt.File
		emit(e)
	}
	s := &Scanner{match: NewMatcher(ports...), hello: map[uint16]bool{},
		attempts: newAttempts(named), backs: newBacks(named), names: newNames(named)}
	for _, p := range ports {
		s.hello[p] = true
	}
	s.notes = newNotes(opt.Note)
	s.tunnels = newBacks(s.notes.tunnel)
	s.dec = newDecoder(s)
	return s
}

// Packet takes one packet. Its bytes are not kept.
func (s *Scanner) Packet(p *Packet) {
	if p.heartbeat() {
		s.tick(mark{time: p.Time})
		return
	}
	s.stats.Received++
	if len(p.Data) < p.OrigLen {
		s.stats.Truncated++
	}
	if s.idle(p.Link, p.Data) || !s.match.Match(p.Link, p.Data) {
		s.stats.Filtered++
		s.pass(p.Time)
		return
	}
	if err := s.dec.packet(p); err != nil {
		s.stats.Undecodable++
	}
}

// pass notes the time of a packet that is left out: at the end it says how long nothing came.
func (s *Scanner) pass(at time.Time) {
	if at.After(s.passed) {
		s.passed = at
	}
}

// Stats gives the counts so far.
func (s *Scanner) Stats() Stats { return s.stats }

// Evicted tells how many attempts were given up because too many were open.
func (s *Scanner) Evicted() uint64 { return s.attempts.evicted }

// End settles what is open: the capture is over.
func (s *Scanner) End() {
	if s.passed.After(s.cur.time) && !s.cur.time.IsZero() {
		s.tick(mark{time: s.passed})
	}
	s.attempts.end()
	s.backs.end(s.cur.time)
	s.tunnels.end(s.cur.time)
	s.names.end()
}

func (s *Scanner) tick(m mark) {
	if m.time.IsZero() {
		return
	}
	s.cur.time = m.time
	s.attempts.tick(m.time)
	s.backs.tick(m.time)
	s.tunnels.tick(m.time)
	s.names.tick(m.time)
}

func (m *meta) mark() mark { return mark{time: m.time, packet: m.packet, vlan: m.vlan} }

// tcp sorts a segment to the attempts or to the connections back.
func (s *Scanner) tcp(m *meta, t *layers.TCP, payload []byte) {
	s.tick(m.mark())
	src := netip.AddrPortFrom(m.src, uint16(t.SrcPort))
	dst := netip.AddrPortFrom(m.dst, uint16(t.DstPort))
	switch {
	case s.hello[dst.Port()]:
		s.attempts.client(s.seg.fill(m, t, flow{client: src, server: dst}, payload))
	case s.hello[src.Port()]:
		s.attempts.server(s.seg.fill(m, t, flow{client: dst, server: src}, payload))
	case isBack(dst.Port()):
		s.backs.segment(s.seg.fill(m, t, flow{client: dst, server: src}, payload), fromServer)
	case isBack(src.Port()):
		s.backs.segment(s.seg.fill(m, t, flow{client: src, server: dst}, payload), fromFirmware)
	case dst.Port() == mpsPort: // here the firmware opens the connection
		s.tunnels.segment(s.seg.fill(m, t, flow{client: dst, server: src}, payload), fromServer)
	case src.Port() == mpsPort:
		s.tunnels.segment(s.seg.fill(m, t, flow{client: src, server: dst}, payload), fromFirmware)
	case src.Port() == dnsPort || dst.Port() == dnsPort:
		if len(payload) > 2 && int(binary.BigEndian.Uint16(payload)) == len(payload)-2 { // in one segment
			s.names.message(m.mark(), src, dst, payload[2:])
		}
	}
}

// link takes what stands beside IP.
func (s *Scanner) link(m *meta, proto uint16, payload []byte) {
	switch proto {
	case etherARP:
		s.notes.arp(m.mark(), payload)
	case etherLLDP:
		s.notes.lldp(m.mark(), payload)
	}
}

// Ports of name servers, over UDP and TCP, and of the presence ping.
const (
	dnsPort  = 53
	rmcpPort = 623
)

func isBack(port uint16) bool { return slices.Contains(backPorts, port) }

// udp takes DNS and DHCP.
func (s *Scanner) udp(m *meta, src, dst uint16, payload []byte) {
	s.tick(m.mark())
	from, to := netip.AddrPortFrom(m.src, src), netip.AddrPortFrom(m.dst, dst)
	switch {
	case src == dnsPort || dst == dnsPort:
		s.names.message(m.mark(), from, to, payload)
	case src == rmcpPort:
		s.notes.pong(m.mark(), m.src, payload)
	case (src == 67 || src == 68) && (dst == 67 || dst == 68):
		if d, err := parseDHCP(payload); err == nil {
			at := m.mark().keep()
			s.names.emit(Event{Time: at.time, Packet: at.packet, VLAN: at.vlan, Kind: KindDHCP, Src: from, Dst: to, DHCP: d})
		}
	}
}

// icmp takes errors that quote a segment of ours: destination unreachable and time exceeded.
func (s *Scanner) icmp(m *meta, v6 bool, typ, code uint8, quoted []byte) {
	s.tick(m.mark())
	info := ICMP{Version: 4, Type: typ, Code: code}
	if v6 {
		info.Version = 6
	}
	if !isError(info) {
		return
	}
	src, dst, tcp, ok := quotedTCP(v6, quoted)
	if !ok {
		return
	}
	from := netip.AddrPortFrom(src, binary.BigEndian.Uint16(tcp))
	to := netip.AddrPortFrom(dst, binary.BigEndian.Uint16(tcp[2:]))
	switch {
	case s.hello[to.Port()]:
		s.attempts.unreachable(m.mark(), flow{client: from, server: to}, binary.BigEndian.Uint32(tcp[4:]), m.src, info)
	case isBack(to.Port()):
		s.backs.unreachable(m.mark(), flow{client: to, server: from}, m.src, info)
	}
}

// isError reports whether an ICMP message says that a packet did not arrive for good. A packet that
// is too big is only asked for in smaller pieces.
func isError(i ICMP) bool {
	if i.Version == 6 {
		return i.Type == 1 || i.Type == 3
	}
	return (i.Type == 3 && i.Code != 4) || i.Type == 11
}

// quotedTCP reads addresses and the first 8 bytes of TCP from the packet that an ICMP error quotes.
func quotedTCP(v6 bool, b []byte) (src, dst netip.Addr, tcp []byte, ok bool) {
	if v6 {
		if len(b) < 48 || b[0]>>4 != 6 || b[6] != protoTCP {
			return
		}
		return netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), b[40:], true
	}
	if len(b) < 28 || b[0]>>4 != 4 || b[9] != protoTCP || (b[6]&0x1F)|b[7] != 0 {
		return
	}
	head := int(b[0]&0x0F) * 4
	if head < 20 || len(b) < head+8 {
		return
	}
	return netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[head:], true
}
