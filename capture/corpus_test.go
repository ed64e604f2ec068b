package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// corpus is a large capture file whose truth is known: traffic of an office as a mirror port shows it,
// and in it attempts of clients that each have addresses and a UUID of their own.
type corpus struct {
	name    string
	size    int64
	packets int
	hellos  map[amt.UUID]int // how many complete hellos each client says; 0 for those that must not be found
}

// complete is how many hellos there are to find.
func (c *corpus) complete() (n int) {
	for _, k := range c.hellos {
		n += k
	}
	return n
}

// attemptShape is one way in which an attempt stands in a file.
type attemptShape struct {
	name   string
	hellos int // complete ones of it
	make   func(s *script, psk, pki []byte)
}

// attemptShapes are what the corpus repeats: hellos whole, in pieces, repeated, out of order, behind tags
// and in fragments; retries with the same ports; and what looks like a hello and is none.
var attemptShapes = []attemptShape{
	{"one segment", 1, func(s *script, psk, _ []byte) { s.up().c(PSH, 0, psk).s(0, 32).c(FIN, 32, nil).s(FIN, 33) }},
	{"three segments", 1, func(s *script, _, pki []byte) {
		s.up().c(0, 0, pki[:100]).c(0, 100, pki[100:160]).c(PSH|FIN, 160, pki[160:]).s(FIN, len(pki)+1)
	}},
	{"out of order", 1, func(s *script, _, pki []byte) {
		s.up().c(0, 160, pki[160:]).c(0, 0, pki[:100]).c(0, 100, pki[100:160]).c(FIN, len(pki), nil)
	}},
	{"retransmitted, overlapping", 1, func(s *script, _, pki []byte) {
		s.up().c(0, 0, pki[:120]).c(0, 0, pki[:120]).c(0, 100, pki[100:]).c(0, 0, pki).c(FIN, len(pki), nil)
	}},
	{"every frame twice", 1, func(s *script, psk, _ []byte) { s.up().c(0, 0, psk[:20]).c(FIN, 20, psk[20:]).s(FIN, 33).doubled() }},
	{"refused, then a hello", 1, func(s *script, psk, _ []byte) { s.syn().rst0().again(90000).up().c(FIN, 0, psk) }},
	{"no answer, next number lower", 1, func(s *script, psk, _ []byte) { s.again(90000).syn().syn().again(1000).up().c(FIN, 0, psk) }},
	{"two hellos, first not closed", 2, func(s *script, psk, pki []byte) { s.again(90000).up().c(0, 0, psk).again(1000).up().c(FIN, 0, pki) }},
	{"tagged", 1, func(s *script, psk, _ []byte) { s.change = one(tagged(0x8100, 100)); s.up().c(FIN, 0, psk) }},
	{"tagged twice", 1, func(s *script, _, pki []byte) {
		s.change = one(func(b []byte) []byte { return tagged(0x88A8, 200)(tagged(0x8100, 100)(b)) })
		s.up().c(FIN, 0, pki)
	}},
	{"fragments", 1, func(s *script, _, pki []byte) { s.up(); s.change = fragments(128, false); s.c(FIN, 0, pki) }},
	{"IPv6", 1, func(s *script, _, pki []byte) { s.up().c(FIN, 0, pki) }},
	{"without SYN", 1, func(s *script, psk, _ []byte) { s.c(0, 0, psk).c(FIN, 32, nil) }},
	{"no answer", 0, func(s *script, _, _ []byte) { s.syn().syn().syn() }},
	{"rest not sent", 0, func(s *script, psk, _ []byte) { s.up().c(0, 0, psk[:30]).c(FIN, 30, nil) }},
	{"beginning not captured", 0, func(s *script, _, pki []byte) { s.up().c(0, 100, pki[100:]).c(FIN, len(pki), nil) }},
	{"HTTP", 0, func(s *script, _, _ []byte) { s.up().c(FIN, 0, []byte("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")) }},
	{"to another port", 0, func(s *script, psk, _ []byte) {
		s.server = netip.AddrPortFrom(s.server.Addr(), 443)
		s.up().c(FIN, 0, psk)
	}},
	{"from the server", 0, func(s *script, psk, _ []byte) { s.up().tcp(s.server, s.client, ACK, s.sisn+1, s.isn+1, psk) }},
}

// attempt makes the frames of client number i.
func (c *corpus) attempt(t testing.TB, i int) [][]byte {
	shape := attemptShapes[i%len(attemptShapes)]
	s := newScript(t)
	s.client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, byte(i >> 8), byte(i)}), 16994)
	if shape.name == "IPv6" {
		a := [16]byte{0x20, 1, 0x0d, 0xb8, 14: byte(i >> 8), 15: byte(i)}
		s.client, s.server = netip.AddrPortFrom(netip.AddrFrom16(a), 16994), serverV6
	}
	u := amt.UUID{0: 0x4c, 1: 0x4c, 6: 0x40, 8: 0x80, 14: byte(i >> 8), 15: byte(i)}
	var msg [2][]byte
	for k, m := range []hello.Message{hello.ForPSK(u, "4JA2DDBV"), hello.ForPKI(u,
		slices.Repeat([]hello.Hash{{Algorithm: hello.SHA1, Digest: make([]byte, 20)}}, 9)...)} {
		b, err := hello.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		msg[k] = b
	}
	shape.make(s, msg[0], msg[1])
	c.hellos[u] = shape.hellos
	var frames [][]byte
	for _, p := range s.packets {
		frames = append(frames, p.Data)
	}
	return frames
}

// office makes frames of everyday traffic. Its mix: of 1000 packets some 910 are TCP (half of them full,
// a third bare acknowledgements), 80 UDP, and 10 ARP, ICMP and spanning tree; 120 are IPv6, 60 carry a
// VLAN tag. 3 are DNS: the scan wants them, as it wants ARP and ICMP.
type office struct {
	r    *rand.Rand
	junk []byte
	b    [1600]byte
}

func newOffice() *office {
	o := &office{r: rand.New(rand.NewPCG(9971, 1)), junk: make([]byte, 64<<10)}
	for i := range len(o.junk) / 8 {
		binary.LittleEndian.PutUint64(o.junk[8*i:], o.r.Uint64())
	}
	return o
}

// services are the ports of servers; the one at the end is DNS.
var services = []uint16{443, 443, 443, 443, 80, 445, 445, 3389, 1433, 22, 8080, 53}

// frame gives the next frame; it is overwritten by the one after it.
func (o *office) frame() []byte {
	x := o.r.Uint64()
	pick := func(n uint64) int { v := x % n; x /= n; return int(v) }
	b := append(o.b[:0], 2, 0, 10, 1, 0, 10, 2, 0, 10, 30, byte(x>>40), byte(x>>48))
	kind := pick(1000)
	if kind < 10 {
		return o.other(b, kind)
	}
	if pick(1000) < 60 {
		b = append(b, 0x81, 0, 0, byte(10+pick(8)))
	}
	udp, size, port := kind < 90, 0, services[pick(11)]
	switch n := pick(100); {
	case kind < 13:
		size, port = 30+pick(150), 53
	case udp:
		size, port = 100+pick(1100), 443
	case n < 50:
		size = 1448
	case n >= 85:
		size = pick(1448)
	}
	head, proto := 32, byte(protoTCP) // TCP with the timestamp option
	if udp {
		head, proto = 8, protoUDP
	}
	if pick(1000) < 120 {
		size = min(size, 1428)
		b = append(b, 0x86, 0xDD, 0x60, 0, 0, 0, byte((head+size)>>8), byte(head+size), proto, 64)
		b = append(b, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, byte(pick(250)))
		b = append(b, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30, byte(pick(250)), 9)
	} else {
		ip := len(b) + 2
		b = append(b, 0x08, 0, 0x45, 0, byte((20+head+size)>>8), byte(20+head+size), byte(x), byte(x>>8), 0x40, 0, 64, proto, 0, 0)
		b = append(b, 10, 1, 0, byte(pick(250)), 10, 30, byte(pick(250)), byte(pick(250)))
		binary.BigEndian.PutUint16(b[ip+10:], sum(b[ip:ip+20]))
	}
	return o.transport(b, udp, size, [2]uint16{port, uint16(49152 + pick(16384))}, pick(2) == 0)
}

// transport adds TCP or UDP and the payload.
func (o *office) transport(b []byte, udp bool, size int, ports [2]uint16, up bool) []byte {
	if up {
		ports[0], ports[1] = ports[1], ports[0]
	}
	b = binary.BigEndian.AppendUint16(b, ports[0])
	b = binary.BigEndian.AppendUint16(b, ports[1])
	x := o.r.Uint64()
	if udp {
		b = append(b, byte((8+size)>>8), byte(8+size), 0, 0)
	} else {
		b = binary.BigEndian.AppendUint64(b, x)
		b = append(b, 0x80, 0x10, 0xFF, 0xFF, byte(x), byte(x>>8), 0, 0, 1, 1, 8, 10, 1, 2, 3, byte(x), 3, 2, 1, byte(x>>9))
	}
	from := int(x>>16) % (len(o.junk) - 1600)
	b = append(b, o.junk[from:from+size]...)
	for len(b) < 60 {
		b = append(b, 0)
	}
	return b
}

// other makes the small change of a network.
func (o *office) other(b []byte, kind int) []byte {
	switch {
	case kind < 4:
		b = append(b, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 10, 30, 1, 1, 10, 30, 1, 1, 0, 0, 0, 0, 0, 0, 10, 30, 1, 2)
	case kind < 6:
		b = append(b, 0x08, 0, 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0x66, 0xC4, 10, 30, 1, 1, 10, 1, 0, 9, 8, 0, 0xF7, 0xFE, 0, 1, 0, 0)
	default:
		b = append(b, 0, 38, 0x42, 0x42, 3, 0, 0, 2, 2)
	}
	return append(b, make([]byte, 60-len(b))...)
}

// sum is the checksum of an IPv4 header of 20 bytes whose own field is 0.
func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i < 20; i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	s = s>>16 + s&0xFFFF
	return ^uint16(s>>16 + s)
}

// writeCorpus writes a file of at least size bytes with the attempts of some clients spread over it, four
// at a time. pcapng has an option in every tenth block, as capture cards write them.
func writeCorpus(t testing.TB, name string, ng bool, size int64, clients int) *corpus {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(file, 1<<20)
	c := &corpus{name: name, hellos: map[amt.UUID]int{}}
	rec := append(ngSection(binary.LittleEndian), ngIface(binary.LittleEndian, 1, 6)...)
	if !ng {
		rec = pcapFile(binary.LittleEndian, magicMicro, 1, 0, 0)
	}
	now := time.Unix(1700000000, 0)
	put := func(b []byte) {
		n, err := w.Write(b)
		if err != nil {
			t.Fatal(err)
		}
		c.size += int64(n)
	}
	packet := func(frame []byte) {
		now = now.Add(20 * time.Microsecond)
		c.packets++
		rec = appendRecord(rec[:0], ng, now, frame, c.packets%10 == 0)
		put(rec)
	}
	put(rec)
	o := newOffice()
	var open [][][]byte
	every := max(1, size/int64(clients+1)/4) // bytes of traffic between two frames of attempts
	next, begun := every, 0
	for c.size < size || begun < clients || len(open) > 0 {
		packet(o.frame())
		if c.size < next && c.size < size {
			continue
		}
		next += every / 3
		for len(open) < 4 && begun < clients {
			open = append(open, c.attempt(t, begun))
			begun++
		}
		if len(open) > 0 {
			k := o.r.IntN(len(open))
			packet(open[k][0])
			if open[k] = open[k][1:]; len(open[k]) == 0 {
				open = slices.Delete(open, k, k+1)
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return c
}

// appendRecord writes one packet as a pcap record or an enhanced packet block.
func appendRecord(b []byte, ng bool, at time.Time, frame []byte, option bool) []byte {
	le := binary.LittleEndian
	if !ng {
		b = le.AppendUint32(le.AppendUint32(b, uint32(at.Unix())), uint32(at.Nanosecond()/1000))
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(frame))), uint32(len(frame)))
		return append(b, frame...)
	}
	pad, opt := -len(frame)&3, 0
	if option {
		opt = 12
	}
	total, us := uint32(32+len(frame)+pad+opt), uint64(at.UnixMicro())
	for _, v := range []uint32{blockEnhanced, total, 0, uint32(us >> 32), uint32(us), uint32(len(frame)), uint32(len(frame))} {
		b = le.AppendUint32(b, v)
	}
	b = append(append(b, frame...), make([]byte, pad)...)
	if option { // epb_flags: inbound
		b = append(b, 2, 0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0)
	}
	return le.AppendUint32(b, total)
}

// check compares the hellos of a scan with the truth.
func (c *corpus) check(t testing.TB, es []Event) {
	t.Helper()
	found := map[amt.UUID]int{}
	for _, e := range es {
		if e.Kind == KindHello && e.Hello.Foreign == "" {
			found[e.Hello.UUID]++
		}
	}
	if err := c.differ(found); err != nil {
		t.Error(err)
	}
}

// differ says what is missing or invented.
func (c *corpus) differ(found map[amt.UUID]int) error {
	for u, want := range c.hellos {
		if found[u] != want {
			return fmt.Errorf("%s: client %s (%s): %d hellos, want %d", c.name, u, attemptShapes[(int(u[14])<<8|int(u[15]))%len(attemptShapes)].name, found[u], want)
		}
	}
	for u := range found {
		if _, ok := c.hellos[u]; !ok {
			return fmt.Errorf("%s: the hello of %s is invented", c.name, u)
		}
	}
	return nil
}
