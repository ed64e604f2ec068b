package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
)

// What is pinned around an event: packets of the same client before it and after it. Hello connections
// are pinned whole, whatever happens on them.
const (
	pinBefore  = 32               // packets
	pinAfter   = 64               // packets
	pinEach    = 16 << 10         // bytes of either
	pinAround  = 15 * time.Second // before and after: longer than a question for a name is waited for
	pinMemory  = 4096             // packets that are remembered for an event to come
	pinBytes   = 4 << 20          // their bytes
	pinClients = 4096             // clients whose next packets are pinned
	pinFlows   = 8192             // hello connections whose bytes are counted
	pinFlow    = 256 << 10        // bytes of one of them: more is no hello
	pinShare   = 2                // half of the room at most is for what only explains: names, leases, connections back
)

// pins writes the packets around events to a file that is never written over.
type pins struct {
	rec    *Recorder
	most   int64
	full   bool
	beside int64 // bytes of what only explains
	bare   bool  // that there is no more room for it
	opt    RingOptions
	hello  *Matcher
	past   []remembered // oldest first
	bytes  int
	spare  [][]byte
	after  map[netip.Addr]pinWindow
	flows  map[flow]int // bytes of hello connections, by direction
}

// remembered is a packet that no event concerned until now.
type remembered struct {
	packet   Packet
	src, dst netip.Addr
}

// pinWindow says which packets of a client are pinned from now on.
type pinWindow struct {
	until time.Time
	left  int // packets
	bytes int
}

func newPins(rec *Recorder, most int64, opt RingOptions) *pins {
	return &pins{rec: rec, most: most, opt: opt, hello: tcpOnly(opt.Ports), after: map[netip.Addr]pinWindow{}, flows: map[flow]int{}}
}

// worth says which events pin packets: all but answers about names that are not ours, of which a
// network has millions.
func worth(e Event) bool {
	if e.Kind != KindDNS || e.DNS == nil {
		return true
	}
	host, _, _ := strings.Cut(e.DNS.QName, ".")
	return strings.EqualFold(host, amt.ServerName)
}

// take pins a packet, or remembers it for an event to come.
func (k *pins) take(p *Packet, seen []Event) error {
	seen = slices.DeleteFunc(slices.Clone(seen), func(e Event) bool { return !worth(e) })
	for _, e := range seen {
		if err := k.event(p, e, seen); err != nil {
			return err
		}
	}
	if p.heartbeat() {
		return k.rec.Take(p, nil)
	}
	ends := parties(p)
	src, dst := lone(ends.client.Addr()), lone(ends.server.Addr())
	opens := ends.syn && isBack(ends.server.Port())
	if opens { // a connection back begins: what follows tells its outcome
		k.watch(dst, p.Time)
	}
	now := slices.ContainsFunc(seen, func(e Event) bool { return e.Packet == p.Number })
	hello := k.ofHello(p, ends)
	if now || opens || hello || k.watched(src, p) || k.watched(dst, p) {
		return k.write(p, seen, hello)
	}
	k.remember(p, src, dst)
	return nil
}

// explains says of a packet outside hello connections whether it only explains: what was seen at it is
// neither about an attempt nor how a connection back ended.
func explains(p *Packet, seen []Event) bool {
	return !slices.ContainsFunc(seen, func(e Event) bool {
		return e.Packet == p.Number && e.Kind != KindDNS && e.Kind != KindDHCP
	})
}

// event pins what is remembered of the client, and watches for what follows.
func (k *pins) event(p *Packet, e Event, seen []Event) error {
	client := e.Client()
	if client.IsValid() && !client.IsUnspecified() {
		k.watch(client, p.Time)
	}
	var mine []int
	for i, m := range k.past {
		old := e.Time.Sub(m.packet.Time) > pinAround
		if m.packet.Number == e.Packet || (!old && client.IsValid() && (m.src == client || m.dst == client)) {
			mine = append(mine, i)
		}
	}
	told := e.Packet == p.Number
	room := pinEach
	for n := len(mine) - 1; n >= 0; n-- { // the nearest ones first, as far as there is room
		m := &k.past[mine[n]]
		if room -= len(m.packet.Data); (room < 0 || len(mine)-n > pinBefore) && m.packet.Number != e.Packet {
			mine = slices.Delete(mine, n, n+1)
		}
	}
	for _, i := range mine {
		m := &k.past[i]
		told = told || m.packet.Number == e.Packet
		if err := k.write(&m.packet, seen, false); err != nil {
			return err
		}
	}
	if len(mine) > 0 {
		k.forget(mine)
	}
	if !told && !k.full {
		k.rec.remark(e.Time, e.Comment()+" ("+between(e)+")")
	}
	return nil
}

// write puts a packet into the file, with what was seen at it. What only explains hellos never takes
// their room.
func (k *pins) write(p *Packet, seen []Event, hello bool) error {
	if k.full {
		return nil
	}
	text, _ := comments(seen, p.Number)
	size := int64(len(p.Data) + len(text))
	if !hello && explains(p, seen) {
		if k.beside+size+64 > k.most/pinShare {
			if !k.bare {
				k.bare = true
				text := "half of what may be pinned is used up by what stands around hellos: from here on only hellos and attempts are pinned"
				k.opt.Warn(text)
				k.rec.remark(p.Time, text)
			}
			return nil
		}
		k.beside += size + 64
	}
	if k.rec.Size()+size+512 > k.most { // room for the note and the statistics
		k.full = true
		text := fmt.Sprintf("what is pinned reached its limit of %d bytes: later events are in the ring only", k.most)
		k.opt.Warn(text)
		k.rec.remark(p.Time, text)
		return k.rec.Flush()
	}
	return k.rec.Take(p, slices.DeleteFunc(slices.Clone(seen), func(e Event) bool { return e.Packet != p.Number }))
}

func (k *pins) watch(client netip.Addr, now time.Time) {
	if len(k.after) >= pinClients {
		for a, w := range k.after {
			if w.left == 0 || now.After(w.until) {
				delete(k.after, a)
			}
		}
	}
	if len(k.after) < pinClients {
		k.after[client] = pinWindow{now.Add(pinAround), pinAfter, pinEach}
	}
}

// watched says whether a packet of a client is to be pinned, and counts it.
func (k *pins) watched(a netip.Addr, p *Packet) bool {
	w, ok := k.after[a]
	if !ok || w.left == 0 || p.Time.After(w.until) {
		return false
	}
	w.left--
	w.bytes -= len(p.Data)
	if w.bytes < 0 {
		w.left = 0
	}
	k.after[a] = w
	return true
}

// remember copies a packet; the oldest are forgotten.
func (k *pins) remember(p *Packet, src, dst netip.Addr) {
	var b []byte
	if n := len(k.spare); n > 0 {
		b, k.spare = k.spare[n-1], k.spare[:n-1]
	}
	m := remembered{*p, src, dst}
	m.packet.Data = append(b[:0], p.Data...)
	k.past = append(k.past, m)
	k.bytes += len(p.Data)
	drop := 0
	for len(k.past)-drop > pinMemory || k.bytes > pinBytes {
		k.release(&k.past[drop])
		drop++
	}
	if drop > 0 {
		k.past = k.past[drop:]
	}
}

// release keeps the memory of a packet for another.
func (k *pins) release(m *remembered) {
	k.bytes -= len(m.packet.Data)
	if len(k.spare) < 64 {
		k.spare = append(k.spare, m.packet.Data)
	}
	m.packet.Data = nil
}

// forget takes the named packets out of memory.
func (k *pins) forget(list []int) {
	for _, i := range list {
		k.release(&k.past[i])
		k.past[i].packet.Number = -1
	}
	k.past = slices.DeleteFunc(k.past, func(m remembered) bool { return m.packet.Number < 0 })
}

// ofHello says whether a packet belongs to a hello connection, of which a bounded part is pinned.
func (k *pins) ofHello(p *Packet, e ends) bool {
	if !k.hello.helloPacket(p.Link, p.Data) {
		return false
	}
	if len(k.flows) >= pinFlows {
		clear(k.flows)
	}
	n := k.flows[e.flow] + len(p.Data)
	if e.syn {
		n = len(p.Data)
	}
	k.flows[e.flow] = n
	return n <= pinFlow
}

// ends says who speaks to whom in a frame, the speaker as client. Ports are those of TCP, else 0.
type ends struct {
	flow
	syn bool // it opens a connection
}

// parties reads the ends of a frame; of what is no IP there are none.
func parties(p *Packet) (e ends) {
	var tags [maxTags]uint16
	n, ok := findNetwork(p.Link, p.Data, &tags)
	if !ok {
		return e
	}
	b := p.Data[n.off:]
	var src, dst netip.Addr
	var tcp []byte
	switch {
	case n.proto == etherIPv4 && len(b) >= 20:
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		if head := int(b[0]&0x0F) * 4; b[9] == protoTCP && (b[6]&0x1F)|b[7] == 0 && len(b) > head {
			tcp = b[head:]
		}
	case n.proto == etherIPv6 && len(b) >= 40:
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		if b[6] == protoTCP {
			tcp = b[40:]
		}
	}
	var from, to uint16
	if len(tcp) >= 14 {
		from, to = binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[2:])
		e.syn = tcp[13]&0x12 == 0x02
	}
	e.client, e.server = netip.AddrPortFrom(src, from), netip.AddrPortFrom(dst, to)
	return e
}

// Addrs gives who speaks to whom; of ARP who claims an address and whose is asked for. Of what is
// neither IP nor ARP there is none.
func (p *Packet) Addrs() (src, dst netip.Addr) {
	var tags [maxTags]uint16
	if n, ok := findNetwork(p.Link, p.Data, &tags); ok && n.proto == etherARP {
		if b := p.Data[n.off:]; len(b) >= 28 {
			return netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
		}
	}
	e := parties(p)
	return e.client.Addr(), e.server.Addr()
}

// lone gives an address of one station only.
func lone(a netip.Addr) netip.Addr {
	if a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.Addr{}
	}
	return a
}
