package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// wifiFrames are the frames that scapy wrote, with their headers.
func wifiFrames(t testing.TB) (all [][]byte) {
	for _, name := range []string{"testdata/wifi.pcap", "testdata/radiotap.pcap"} {
		f, err := OpenFile(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Run(context.Background(), func(p *Packet) error {
			all = append(all, bytes.Clone(p.Data))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return all
}

// TestWireless reads captures of 802.11 that scapy made (testdata/wireless.py): seven attempts in every
// shape of a data frame, a question for a name, and what must not be read.
func TestWireless(t *testing.T) {
	for _, name := range []string{"testdata/wifi.pcap", "testdata/radiotap.pcap"} {
		t.Run(name, func(t *testing.T) {
			hellos, kinds := map[string]int{}, map[Kind]int{}
			for _, e := range scanAll(t, name) {
				if kinds[e.Kind]++; e.Kind == KindHello {
					hellos[e.Src.Addr().String()]++
					if e.Hello.PID != "4KRG65QT" || !e.Hello.Sound() {
						t.Errorf("hello %+v", e.Hello)
					}
				}
				if strings.Contains(e.Src.String(), "10.20.0.8") {
					t.Errorf("a protected frame was read: %v", e)
				}
			}
			for _, c := range []string{"10.20.0.1", "10.20.0.2", "10.20.0.3", "10.20.0.4", "2001:db8::5", "10.20.0.6", "10.20.0.7"} {
				if hellos[c] != 1 {
					t.Errorf("%d hellos of %s", hellos[c], c)
				}
			}
			if len(hellos) != 7 || kinds[KindSYN] != 7 || kinds[KindSYNACK] != 6 || kinds[KindDNS] != 1 {
				t.Errorf("%v of %v", kinds, hellos)
			}
		})
	}
}

// TestWirelessTshark has tshark name the segments to and from port 9971: they are those that pass here.
func TestWirelessTshark(t *testing.T) {
	tool(t, "tshark")
	for _, name := range []string{"testdata/wifi.pcap", "testdata/radiotap.pcap"} {
		out := output(t, "tshark", "-n", "-r", name, "-Y", "tcp.port == 9971", "-T", "fields", "-e", "frame.number", "-e", "tcp.flags.syn")
		theirs := strings.Count(out, "\n")
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		ours := 0
		file := NewFile(bytes.NewReader(b), name, nil)
		m := NewMatcher(9971)
		if err := file.Run(context.Background(), func(p *Packet) error {
			if m.Match(p.Link, p.Data) {
				ours++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if ours != theirs+1 || theirs != 25 { // one is the question for a name
			t.Errorf("%s: %d packets pass, tshark names %d\n%s", name, ours, theirs, out)
		}
	}
}

// TestWirelessFilled: a header that was filled up to whole words is read too, and one that ends early is none.
func TestWirelessFilled(t *testing.T) {
	var tags [maxTags]uint16
	for _, f := range wifiFrames(t)[:24] {
		n, ok := findNetwork(LinkWiFi, f, &tags)
		if !ok || n.off < 34 {
			continue
		}
		at := n.off - snapHead
		filled := bytes.Join([][]byte{f[:at], {0, 0}, f[at:]}, nil)
		got, ok := findNetwork(LinkWiFi, filled, &tags)
		if want := at%4 != 0; ok != want || want && (got.off != n.off+2 || got.proto != n.proto) {
			t.Errorf("filled header of %d bytes: %v %+v", at, ok, got)
		}
		for short := range at + snapHead {
			if _, ok := findNetwork(LinkWiFi, f[:short], &tags); ok {
				t.Errorf("%d bytes of a header of %d were enough", short, at)
			}
		}
	}
	tap := append([]byte{0, 0, 8, 0}, make([]byte, 4)...)
	for _, b := range [][]byte{tap[:7], append([]byte{1}, tap[1:]...), {0, 0, 7, 0, 0, 0, 0, 0}, {0, 0, 255, 255, 0, 0, 0, 0}} {
		if _, ok := radiotap(b); ok {
			t.Errorf("%x is no radiotap header", b)
		}
	}
}

// TestWirelessRecorded: what is recorded of 802.11 keeps its link type and is read again.
func TestWirelessRecorded(t *testing.T) {
	var out bytes.Buffer
	rec, err := NewRecorder(&out, RecordedInterface{Name: "mon0", Link: LinkRadiotap})
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile("testdata/radiotap.pcap", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := ScanInto(context.Background(), f, rec, Options{}, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	hellos := 0
	err = Scan(context.Background(), NewFile(bytes.NewReader(out.Bytes()), "recorded", nil), Options{}, func(e Event) {
		if e.Kind == KindHello {
			hellos++
		}
	})
	if err != nil || hellos != 7 || binary.LittleEndian.Uint32(out.Bytes()) != blockSection {
		t.Errorf("%d hellos, %v", hellos, err)
	}
}

// A frame of several tells of each that can be read, whatever stands before it and wherever its driver
// puts the first; what the air repeats is no repeat of TCP's.
func TestWirelessSubframesAndRepeats(t *testing.T) {
	syn, err := Frame(clientV4, serverV4, SYN, 5, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	llc := func(etherType uint16, body ...byte) []byte {
		return append([]byte{0xAA, 0xAA, 3, 0, 0, 0, byte(etherType >> 8), byte(etherType)}, body...)
	}
	good := llc(etherIPv4, syn[14:]...)
	head := func(flags, sequence byte) []byte {
		b := make([]byte, wifiHead+2)
		b[0], b[1], b[22] = wifiData|wifiQoS, 1|flags, sequence<<4
		return b
	}
	several := func(filled int, parts ...[]byte) []byte {
		b := append(head(0, 1), make([]byte, filled)...)
		b[wifiHead] = wifiAMSDU
		start := len(b)
		for _, p := range parts {
			for (len(b)-start)%4 != 0 {
				b = append(b, 0)
			}
			b = binary.BigEndian.AppendUint16(append(b, make([]byte, 12)...), uint16(len(p)))
			b = append(b, p...)
		}
		return b
	}
	alone := func(flags, sequence byte) []byte {
		return append(head(flags, sequence), append(bytes.Clone(good), 1, 2, 3, flags)...)
	}
	for _, tt := range []struct {
		name   string
		frames [][]byte
		want   []Kind
	}{
		{"one part", [][]byte{several(0, good)}, []Kind{KindSYN}},
		{"behind a log-in to the access point", [][]byte{several(0, llc(0x888E, 1, 3), good)}, []Kind{KindSYN}},
		{"behind one that makes no sense", [][]byte{several(0, llc(etherIPv4, 0x45, 0), good)}, []Kind{KindSYN}},
		{"header filled up", [][]byte{several(2, good)}, []Kind{KindSYN}},
		{"the air repeats", [][]byte{alone(0, 1), alone(wifiRetry, 1), alone(wifiRetry, 1)}, []Kind{KindSYN}},
		{"only the repeat was heard", [][]byte{alone(wifiRetry, 1)}, []Kind{KindSYN}},
		{"TCP repeats", [][]byte{alone(0, 1), alone(wifiRetry, 2)}, []Kind{KindSYN, KindSYNRetransmit}},
		{"TCP repeats, number by chance the same", [][]byte{alone(0, 1), nil, alone(wifiRetry, 1)}, []Kind{KindSYN, KindSYNRetransmit}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []Kind
			s, at := NewScanner(Options{}, func(e Event) { got = append(got, e.Kind) }), time.Unix(1000, 0)
			for i, f := range tt.frames {
				if at = at.Add(time.Millisecond); f == nil {
					at = at.Add(time.Second)
					continue
				}
				s.Packet(&Packet{Data: f, OrigLen: len(f), Link: LinkWiFi, Time: at, Number: i + 1})
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%v, wanted %v", got, tt.want)
			}
		})
	}
}
