package capture

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// dice gives the decisions of a scenario: the bytes of a fuzzer, then 0.
type dice []byte

func (d *dice) roll(n int) int {
	if len(*d) == 0 {
		return 0
	}
	v := int((*d)[0])
	*d = (*d)[1:]
	return v % n
}

// journey sends attempts as a real client and a real network may: the client keeps the order of TCP
// (SYN, data, FIN or RST; keep-alives and repeats whenever it likes), the way to the capture delays
// and doubles every packet by itself, and the capture may miss every SYN and pure acknowledgement but
// no data. It gives the packets in the order of capture and how many hellos must come out.
func journey(t testing.TB, ops []byte) (out []*Packet, hellos int) {
	d := dice(ops)
	s := newScript(t)
	delay := []time.Duration{0, 0, time.Millisecond, 30 * time.Millisecond, 200 * time.Millisecond, time.Second}
	send := func(repeat bool, f func()) {
		n := len(s.packets)
		f()
		for _, p := range s.packets[n:] {
			p.Time = p.Time.Add(delay[d.roll(len(delay))])
			out = append(out, p)
			if d.roll(4) == 3 && repeat { // mirror port, or a repeat that was not needed
				q := *p
				q.Time = q.Time.Add(40*time.Microsecond + time.Duration(d.roll(3))*700*time.Millisecond)
				out = append(out, &q)
			}
		}
	}
	for len(d) > 0 && hellos < 8 {
		s.again(s.isn + 70000 + uint32(d.roll(256))<<uint(d.roll(17)))
		msg := psk(t, uint32(hellos))
		if n := d.roll(40); n > 4 {
			msg = pki(t, n)
		}
		if d.roll(4) > 0 {
			send(true, func() { s.syn() })
		}
		if d.roll(3) > 0 {
			send(true, func() { s.synack() })
		}
		if d.roll(3) > 0 {
			send(true, func() { s.c(0, 0, nil) })
		}
		if d.roll(16) == 15 {
			send(false, func() { s.c(0, -1, []byte{0}) })
			s.wait(2 * time.Second)
		}
		for at := 0; at < len(msg); {
			n := min(1+d.roll(64)*d.roll(12), len(msg)-at)
			from := max(0, at-d.roll(8)*d.roll(2))
			send(true, func() { s.c(PSH, from, msg[from:at+n]) })
			if at += n; d.roll(8) == 7 {
				send(true, func() { s.s(0, at) })
			}
		}
		switch d.roll(6) {
		case 0:
			send(true, func() { s.c(FIN, len(msg), nil) })
			send(true, func() { s.s(FIN, len(msg)+1) })
		case 1:
			send(true, func() { s.s(FIN, len(msg)) })
			send(true, func() { s.c(FIN, len(msg), nil) })
		case 2:
			send(true, func() { s.s(RST, len(msg)) })
		case 3:
			send(true, func() { s.tcp(s.client, s.server, RST, s.isn+1+uint32(len(msg)), 0, nil) })
		case 4: // all of it again, since no acknowledgement came
			send(true, func() { s.wait(time.Second).c(FIN, 0, msg) })
		}
		hellos++
		s.wait(time.Duration(4+d.roll(80)) * time.Second)
	}
	slices.SortStableFunc(out, func(a, b *Packet) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	for i, p := range out {
		p.Number = i + 1
	}
	return out, hellos
}

// checkJourney counts: one sound hello for each attempt, in their order, and no partial.
func checkJourney(t *testing.T, ops []byte) {
	ps, want := journey(t, ops)
	good, bad := 0, 0
	var log []string
	if err := Scan(context.Background(), list(ps), Options{}, func(e Event) {
		log = append(log, short(e))
		switch {
		case e.Kind == KindHello && e.Hello.Sound() && e.Hello.Type != "unknown":
			good++
		case e.Kind == KindHello, e.Kind == KindPartial:
			bad++
		}
	}); err != nil {
		t.Fatal(err)
	}
	if good != want || bad != 0 {
		t.Fatalf("%d hellos and %d others, want %d, for %x:\n%s", good, bad, want, ops, fmt.Sprint(log))
	}
}

func TestJourneyKeepsTheCount(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(8, 9))
	for range 3000 {
		ops := make([]byte, r.IntN(400))
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		checkJourney(t, ops)
	}
}

func FuzzJourney(f *testing.F) {
	f.Add([]byte("one attempt and no more"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) < 600 {
			checkJourney(t, ops)
		}
	})
}
