package tui

import (
	"context"
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/capture"
	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/wire"
)

// wiredFake is a scripted walk with packets.
type wiredFake struct {
	*fake
	log *wire.Log
}

func (w wiredFake) Wire() *wire.Log { return w.log }

// frame is one packet of a script, so long after t0.
type frame struct {
	at   time.Duration
	data []byte
}

// script collects the packets of one side.
type script struct{ frames []frame }

func (s *script) add(at time.Duration, b []byte, err error) {
	if err != nil {
		panic(err) // a script that cannot be built is a mistake in this file
	}
	s.frames = append(s.frames, frame{at, b})
}

// tcp adds one segment.
func (s *script) tcp(at time.Duration, from, to string, flags capture.Flags, seq, ack uint32, payload []byte) {
	b, err := capture.Frame(netip.MustParseAddrPort(from), netip.MustParseAddrPort(to), flags, seq, ack, payload)
	s.add(at, b, err)
}

// hello adds a whole attempt that a server takes.
func (s *script) hello(at time.Duration, from, to string, seq uint32, payload []byte) {
	ms := time.Millisecond
	s.tcp(at, from, to, capture.SYN, seq, 0, nil)
	s.tcp(at, to, from, capture.SYN|capture.ACK, 900, seq+1, nil)
	s.tcp(at+2*ms, from, to, capture.ACK, seq+1, 901, nil)
	s.tcp(at+3*ms, from, to, capture.ACK|capture.PSH, seq+1, 901, payload)
	end := seq + 1 + uint32(len(payload))
	s.tcp(at+4*ms, to, from, capture.FIN|capture.ACK, 901, end, nil)
	s.tcp(at+4*ms, from, to, capture.FIN|capture.ACK, end, 902, nil)
}

// unreachable adds the ICMP error of a router about a SYN (RFC 792).
func (s *script) unreachable(at time.Duration, router string, syn []byte) {
	ip := syn[14:]
	b := append([]byte{}, syn[:14]...)
	head := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, 1, 0, 0}
	binary.BigEndian.PutUint16(head[2:], uint16(20+8+28))
	head = append(append(head, netip.MustParseAddr(router).AsSlice()...), ip[12:16]...)
	b = append(append(b, head...), 3, 1, 0, 0, 0, 0, 0, 0)
	s.add(at, append(b, ip[:28]...), nil)
}

// dns adds a question and its answer without a record (RFC 1035).
func (s *script) dns(at time.Duration, from, to, name string) {
	q := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, l := range strings.Split(name, ".") {
		q = append(append(q, byte(len(l))), l...)
	}
	q = append(q, 0, 0, 1, 0, 1)
	f, t := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	b, err := capture.FrameUDP(f, t, q)
	s.add(at, b, err)
	a := append([]byte{}, q...)
	a[2], a[3] = 0x81, 0x83
	b, err = capture.FrameUDP(t, f, a)
	s.add(at+5*time.Millisecond, b, err)
}

// lease adds a DHCP acknowledgement without a suffix (RFC 2131).
func (s *script) lease(at time.Duration, from, client string) {
	m := make([]byte, 240)
	m[0], m[1], m[2] = 2, 1, 6
	copy(m[16:], netip.MustParseAddr(client).AsSlice())
	copy(m[28:], []byte{0, 0x16, 0x3e, 1, 2, 3})
	copy(m[236:], []byte{0x63, 0x82, 0x53, 0x63})
	m = append(m, 53, 1, 5, 6, 4, 10, 20, 0, 53, 255)
	b, err := capture.FrameUDP(netip.MustParseAddrPort(from), netip.AddrPortFrom(netip.MustParseAddr(client), 68), m)
	s.add(at, b, err)
}

// alert adds a connection back that ends with a TLS alert of the client (RFC 5246 7.2).
func (s *script) alert(at time.Duration, from, to string, code byte) {
	s.tcp(at, from, to, capture.SYN, 50, 0, nil)
	s.tcp(at, to, from, capture.SYN|capture.ACK, 70, 51, nil)
	first := append([]byte{22, 3, 1, 0, 4}, 1, 0, 0, 0)
	s.tcp(at, from, to, capture.ACK|capture.PSH, 51, 71, first)
	s.tcp(at, to, from, capture.ACK|capture.PSH, 71, 60, []byte{21, 3, 1, 0, 2, 2, code})
}

func pskHello(retry uint32) []byte {
	u, _ := amt.ParseUUID(uuid)
	m := hello.ForPSK(u, "4KRG65QT")
	m.RetryCount = retry
	b, _ := hello.Encode(m)
	return b
}

func pkiHello(hashes int) []byte {
	u, _ := amt.ParseUUID("11111111-2222-3333-4444-555555555555")
	var list []hello.Hash
	for i := range hashes {
		d := make(hello.Bytes, 20)
		d[0], d[19] = 0xc1, byte(i)
		list = append(list, hello.Hash{Algorithm: hello.SHA1, Digest: d})
	}
	b, _ := hello.Encode(hello.ForPKI(u, list...))
	return b
}

// clientScript is what the wire page of the design shows, and more; t0 is 10:03:00.
func clientScript() *script {
	s := &script{}
	at := func(m, sec, ms int) time.Duration {
		return time.Duration(m)*time.Minute + time.Duration(sec)*time.Second + time.Duration(ms)*time.Millisecond
	}
	const server, pc = "10.1.0.10:9971", "10.20.0.7:16994"
	s.lease(at(-3, 2, 0), "10.20.0.1:67", "10.20.0.7")
	s.dns(at(-3, 3, 0), "10.20.0.7:40001", "10.20.0.53:53", "provisionserver")
	s.tcp(at(-2, 2, 114), pc, server, capture.SYN, 1000, 0, nil)
	s.tcp(at(-2, 3, 114), pc, server, capture.SYN, 1000, 0, nil)
	s.tcp(at(-2, 5, 114), pc, server, capture.SYN, 1000, 0, nil)
	s.tcp(at(-1, 4, 120), pc, server, capture.SYN, 2000, 0, nil)
	s.tcp(at(-1, 4, 121), server, pc, capture.RST|capture.ACK, 0, 2001, nil)
	s.hello(at(0, 9, 131), pc, server, 3000, pskHello(2))
	s.alert(at(0, 9, 310), "10.1.0.10:49210", "10.20.0.7:16993", 20)
	s.hello(at(1, 11, 137), "10.20.0.9:16994", server, 4000, pkiHello(14))
	s.tcp(at(1, 30, 0), "10.20.0.8:16994", server, capture.SYN, 5000, 0, nil)
	s.unreachable(at(1, 30, 2), "10.20.0.1", s.frames[len(s.frames)-1].data)
	return s
}

func serverScript() *script {
	s := &script{}
	s.hello(9*time.Second+132*time.Millisecond, "10.20.0.7:16994", "10.1.0.10:9971", 3000, pskHello(2))
	bad := pskHello(0)
	bad[0] = 9
	s.hello(40*time.Second, "10.20.0.11:16994", "10.1.0.10:9971", 6000, append(bad, '!'))
	return s
}

// played is the source of a script. With hold it goes on until its context ends.
type played struct {
	s    *script
	hold bool
	over chan struct{} // closed when everything was handed on
	once sync.Once
	more chan frame
}

func (p *played) Run(ctx context.Context, fn func(*capture.Packet) error) error {
	n := 0
	give := func(f frame) error {
		n++
		return fn(&capture.Packet{Data: f.data, Time: t0.Add(f.at), OrigLen: len(f.data), Link: capture.LinkEthernet, Number: n})
	}
	for _, f := range p.s.frames {
		if err := give(f); err != nil {
			return err
		}
	}
	if p.hold { // as a live source: time goes on
		_ = fn(&capture.Packet{Time: t0.Add(5 * time.Minute)})
	}
	p.once.Do(func() { close(p.over) })
	if !p.hold {
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-p.more:
			if err := give(f); err != nil {
				return err
			}
		}
	}
}

func (p *played) Stats() capture.Stats { return capture.Stats{} }

// playedTap is a tap of a script, and its source.
func playedTap(side diag.Vantage, name string, s *script, live bool) (wire.Tap, *played) {
	p := &played{s: s, hold: live, over: make(chan struct{}), more: make(chan frame)}
	return wire.Tap{Side: side, Name: name, Live: live, Now: func() time.Time { return t0.Add(9*time.Minute + 46*time.Second) },
		Counts: func() (capture.Stats, bool) { return capture.Stats{Received: 1204331}, true },
		Open: func(follow bool) (capture.Source, error) {
			if !follow {
				return &played{s: s, over: make(chan struct{})}, nil
			}
			return p, nil
		}}, p
}

// liveLog is a log of both sides, of which the client's goes on; it was read already.
var liveLog = sync.OnceValue(func() *wire.Log {
	a, pa := playedTap(diag.AtClient, "eth0", clientScript(), true)
	b, pb := playedTap(diag.AtServer, "server.pcapng", serverScript(), false)
	return readLog(wire.New(a, b), pa, pb)
})

// recordedLog is the same from files.
var recordedLog = sync.OnceValue(func() *wire.Log {
	a, pa := playedTap(diag.AtClient, "client.pcapng", clientScript(), false)
	b, pb := playedTap(diag.AtServer, "server.pcapng", serverScript(), false)
	return readLog(wire.New(a, b), pa, pb)
})

// readLog reads what the sources hold.
func readLog(l *wire.Log, ps ...*played) *wire.Log {
	go l.Run(context.Background())
	l.Want()
	for _, p := range ps {
		<-p.over
	}
	for _, p := range ps {
		for !p.hold { // its end is settled after the last packet
			if done := 0; true {
				for _, s := range l.Since(0).Sources {
					if s.Live || s.Read {
						done++
					}
				}
				if done == len(ps) {
					break
				}
			}
			time.Sleep(time.Millisecond)
		}
	}
	return l
}

// wiredCase is a case whose client's PID is known to be unused in the map.
func wiredCase() *fake {
	s := split()
	s.Facts = append(s.Facts,
		diag.Fact{At: t0.Add(10 * time.Second), Vantage: diag.AtClient, Key: "wire.client.hello", Value: map[string]any{"version": 2.0, "uuid": uuid, "pid": "4KRG65QT"}, Probe: "wire-client"},
		diag.Fact{At: t0.Add(12 * time.Second), Vantage: diag.AtServer, Key: "db.pid_map", Value: map[string]any{"pid": "4KRG65QT", "used": false}, Probe: "db-pid"})
	s.Now = t0.Add(5 * time.Minute)
	return newFake(s)
}

func withLog(log func() *wire.Log) func(*Options) {
	return func(o *Options) { o.Walker = wiredFake{o.Walker.(*fake), log()} }
}

// wireScenes are the frames of the wire page.
func wireScenes() []scene {
	return []scene{
		{name: "wire", walk: wiredCase, opts: withLog(liveLog), keys: []string{"w"}},
		{name: "wire-hello", walk: wiredCase, opts: withLog(recordedLog), keys: []string{"w", "N", "enter", "down", "down", "down", "down"}},
		{name: "wire-bytes", walk: wiredCase, opts: withLog(recordedLog), keys: []string{"w", "N", "enter", "tab", "down", "down", "right"}},
		{name: "wire-server", walk: wiredCase, opts: withLog(recordedLog), keys: []string{"w", "v", "n", "enter", "up", "end", "up", "up", "up"}},
		{name: "wire-both", walk: wiredCase, opts: withLog(recordedLog), keys: []string{"w", "v", "v"}},
		{name: "wire-filter", walk: wiredCase, opts: withLog(liveLog), keys: []string{"w", "/", "type:4krg"}},
		{name: "wire-hidden", walk: wiredCase, opts: withLog(recordedLog), keys: []string{"w", "N", "enter", "down", "down", "down", "H"}},
		{name: "wire-frozen", walk: wiredCase, opts: withLog(liveLog), keys: []string{"w", " ", "up"}},
		{name: "wire-save", walk: wiredCase, opts: withLog(liveLog), keys: []string{"w", "s"}},
		{name: "wire-empty", walk: wiredCase, keys: []string{"w"}},
	}
}

var _ flow.Walker = wiredFake{}
