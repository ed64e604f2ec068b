package capture

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// consoles makes frames of a server that talks to the firmware of a few clients, in an order of chance:
// connections that begin, speak TLS or HTTP, say much, and end, with the same ports again and again.
func consoles(t testing.TB, r *rand.Rand, count int) [][]byte {
	t.Helper()
	ends := func() (netip.AddrPort, netip.AddrPort) {
		port := []uint16{16992, 16993, 16994, 16995, mpsPort}[r.IntN(5)]
		if r.IntN(4) == 0 {
			return netip.AddrPortFrom(netip.MustParseAddr("2001:db8::10"), uint16(40000+r.IntN(2))), netip.AddrPortFrom(netip.MustParseAddr("2001:db8::7"), port)
		}
		return netip.AddrPortFrom(netip.MustParseAddr("10.1.0.10"), uint16(40000+r.IntN(2))), netip.AddrPortFrom(netip.MustParseAddr("10.20.0.7"), port)
	}
	said := [][]byte{nil, {22, 3, 3, 0, 2, 1, 0}, {20, 3, 3, 0, 1, 1}, {23, 3, 3, 0, 1, 9}, {21, 3, 3, 0, 2, 2, 40}, []byte("HTTP/1.1 200 OK\r\n\r\n"), []byte("HTTP/1.1 401 no\r\n\r\n"), make([]byte, 1200)}
	var frames [][]byte
	for range count {
		a, b := ends()
		if r.IntN(2) == 0 {
			a, b = b, a
		}
		flags := []Flags{SYN, SYN | ACK, ACK, ACK | PSH, ACK | PSH, ACK | PSH, ACK | FIN, RST, RST | ACK}[r.IntN(9)]
		seq := uint32(1000 + r.IntN(3)*7)
		f, err := Frame(a, b, flags, seq, 1001, said[r.IntN(len(said))])
		if err != nil {
			t.Fatal(err)
		}
		if r.IntN(5) == 0 {
			f = tagged(0x8100, 100)(f)
		}
		frames = append(frames, f)
	}
	return frames
}

// TestIdleChangesNothing: what is passed over without being taken apart changes no event.
func TestIdleChangesNothing(t *testing.T) {
	passed := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 16994))
		var got, want []string
		idle := NewScanner(Options{}, func(e Event) { got = append(got, fmt.Sprint(e)) })
		whole := NewScanner(Options{}, func(e Event) { want = append(want, fmt.Sprint(e)) })
		at := time.Unix(1_700_000_000, 0)
		for i, f := range consoles(t, r, 60) {
			at = at.Add(time.Duration(r.IntN(2000)) * time.Microsecond)
			p := Packet{Data: f, OrigLen: len(f), Time: at, Link: LinkEthernet, Number: i + 1}
			idle.Packet(&p)
			if err := whole.dec.packet(&p); err != nil {
				t.Fatal(err)
			}
		}
		passed += int(idle.Stats().Filtered)
		idle.End()
		whole.End()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: passing over gives\n%v\nwithout it\n%v", seed, got, want)
		}
	}
	if passed < 3000 {
		t.Errorf("only %d packets were passed over", passed)
	}
}

// TestSilenceAtTheEnd: what came behind a SYN and is left out still says how long no answer came.
func TestSilenceAtTheEnd(t *testing.T) {
	syn, err := Frame(netip.MustParseAddrPort("10.1.0.10:40000"), netip.MustParseAddrPort("10.20.0.7:16993"), SYN, 5, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Frame(netip.MustParseAddrPort("10.1.0.10:40001"), netip.MustParseAddrPort("10.20.0.9:443"), ACK, 5, 5, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after uint32
		want  string
	}{{1, OutcomeUnknown}, {5, OutcomeTimeout}} {
		b := pcapFile(binary.LittleEndian, magicMicro, 1, 1700000000, 0, syn)
		b = append(b, pcapFile(binary.LittleEndian, magicMicro, 1, 1700000000+c.after, 0, other)[24:]...)
		name := filepath.Join(t.TempDir(), "silence.pcap")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if es := scanAll(t, name); len(es) != 1 || es[0].Outcome != c.want {
			t.Errorf("%d s without an answer: %v, want %s", c.after, es, c.want)
		}
	}
}

// scanAll scans a file in this process.
func scanAll(t testing.TB, name string) (es []Event) {
	f, err := OpenFile(name, func(s string) { t.Error(s) })
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Scan(context.Background(), f, Options{}, func(e Event) { es = append(es, e) }); err != nil {
		t.Fatal(err)
	}
	return es
}
