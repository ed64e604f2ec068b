package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"strings"
	"testing"
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
