package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func FuzzFile(f *testing.F) {
	for _, b := range hostile(f) {
		f.Add(b)
	}
	fr, err := Frame(clientV4, serverV4, ACK, 5, 5, psk(f, 0))
	if err != nil {
		f.Fatal(err)
	}
	for _, o := range []order{binary.LittleEndian, binary.BigEndian} {
		f.Add(pcapFile(o, magicMicro, 1, 1, 1, fr))
		f.Add(pcapFile(o, magicModified, 101, 1, 1, fr[14:]))
		f.Add(slices.Concat(ngSection(o), ngIface(o, 1, 9), ngPacket(o, 0, 1, fr), ngIface(o, 101, 0xC0), ngPacket(o, 1, 1, fr[14:])))
	}
	for _, b := range compressed(f, pcapFile(binary.LittleEndian, magicMicro, 1, 1, 1, fr)) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		last := 0
		src := NewFile(bytes.NewReader(b), "fuzz", nil)
		scan := NewScanner(Options{}, func(e Event) { checkEvent(t, e) })
		_ = src.Run(context.Background(), func(p *Packet) error {
			if p.Number <= last || len(p.Data) > maxPacket {
				t.Fatalf("packet %d of %d bytes after packet %d", p.Number, len(p.Data), last)
			}
			last = p.Number
			scan.Packet(p)
			return nil
		})
		scan.End()
		unsifted(t, b)
	})
}

// checkEvent says what holds for every event whatever came in.
func checkEvent(t *testing.T, e Event) {
	if _, err := e.MarshalJSON(); err != nil {
		t.Fatalf("event without JSON form: %v", err)
	}
	if (e.Kind == KindHello) != (e.Hello != nil) && e.Kind != KindPartial {
		t.Fatalf("%s with hello %v", e.Kind, e.Hello)
	}
}

func FuzzPacket(f *testing.F) {
	for _, b := range sampleFrames(f) {
		f.Add(uint16(1), b)
		f.Add(uint16(101), b)
		f.Add(uint16(113), append(make([]byte, 2), b...))
		f.Add(uint16(276), b)
	}
	f.Fuzz(func(t *testing.T, link uint16, b []byte) {
		s := NewScanner(Options{}, func(e Event) { checkEvent(t, e) })
		s.Packet(&Packet{Data: slices.Clip(b), OrigLen: len(b), Link: LinkType(link), Number: 1, Time: time.Unix(1, 0)})
		if err := s.dec.packet(&Packet{Data: slices.Clip(b), OrigLen: len(b), Link: LinkType(link), Number: 2}); err != nil &&
			bytes.Contains([]byte(err.Error()), []byte("runtime error")) {
			t.Fatalf("a panic was caught: %v", err)
		}
		s.End()
	})
}

func FuzzDHCP(f *testing.F) {
	f.Add(append([]byte{0, 0, 0xF0}, append(make([]byte, 233), 0x63, 0x82, 0x53, 0x63, 53, 1, 5, 6, 4, 1, 2, 3, 4, 15, 1, 'a', 52, 1, 3)...))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseDHCP(slices.Clip(b)) })
}

// shuffle delivers the attempts that ops describes in a disturbed order: cut into pieces, repeated,
// swapped, with or without handshake. It gives the packets and how many hellos must come out.
func shuffle(t testing.TB, ops []byte) ([]*Packet, int) {
	s := newScript(t)
	r := rand.New(rand.NewPCG(uint64(len(ops)), 7))
	next := func() int {
		if len(ops) == 0 {
			return 0
		}
		v := int(ops[0])
		ops = ops[1:]
		return v
	}
	want := 0
	for len(ops) > 0 && want < 6 {
		s.again(s.isn + 200000 + uint32(next())*7919)
		msg := pki(t, next()%20)
		handshake := next()%4 != 0
		if handshake {
			s.up()
		}
		type piece struct{ from, to int }
		var ps []piece
		for at := 0; at < len(msg); {
			n := min(1+next()*3, len(msg)-at)
			if len(ps) > 30 {
				n = len(msg) - at
			}
			ps = append(ps, piece{max(0, at-next()%9), at + n})
			at += n
		}
		for range next() % 8 { // repeats
			ps = append(ps, ps[r.IntN(len(ps))])
		}
		if next()%2 == 0 {
			r.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
		}
		for _, p := range ps {
			s.c(0, p.from, msg[p.from:p.to])
		}
		switch next() % 3 {
		case 0:
			s.c(FIN, len(msg), nil).c(FIN, 0, msg)
		case 1:
			s.s(RST, len(msg))
		}
		want++
		s.wait(time.Duration(next()) * time.Second)
	}
	if next()%2 == 0 {
		s.doubled()
	}
	return s.packets, want
}

// checkShuffle counts: one hello for each attempt and no partial, whatever the order.
func checkShuffle(t *testing.T, ops []byte) {
	ps, want := shuffle(t, ops)
	hellos := 0
	var log []string
	if err := Scan(context.Background(), list(ps), Options{}, func(e Event) {
		log = append(log, short(e))
		switch {
		case e.Kind == KindPartial:
			hellos = -100
		case e.Kind == KindHello && e.Hello.Type == "pki" && e.Hello.Sound():
			hellos++
		case e.Kind == KindHello:
			hellos = -100
		}
	}); err != nil {
		t.Fatal(err)
	}
	if hellos != want {
		t.Fatalf("%d hellos, want %d, for %x:\n%s", hellos, want, ops, fmt.Sprint(log))
	}
}

func TestEveryAttemptGivesOneHello(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 1500 {
		ops := make([]byte, r.IntN(120))
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		checkShuffle(t, ops)
	}
}

func FuzzAttempts(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add(bytes.Repeat([]byte{7, 200, 31}, 40))
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) < 400 {
			checkShuffle(t, ops)
		}
	})
}
