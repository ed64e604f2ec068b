package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket/layers"

	"amtmedic/amt"
)

// adversarial is a file that testdata/adversarial.py made, and what it must give.
type adversarial struct {
	Name   string `json:"name"`
	Want   string `json:"want"`
	Tshark bool   `json:"tshark"`
	Port   uint16 `json:"port"`
	File   string `json:"file"`
}

// adversaries reads all of them.
func adversaries(t *testing.T) (list []adversarial) {
	t.Helper()
	f, err := os.Open("testdata/adversarial.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(z); d.More(); {
		var a adversarial
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return list
}

func (a *adversarial) bytes(t *testing.T) []byte {
	t.Helper()
	b, err := hex.DecodeString(a.File)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAdversarialFiles checks the hellos and partials of files that another program made.
func TestAdversarialFiles(t *testing.T) {
	for _, a := range adversaries(t) {
		t.Run(a.Name, func(t *testing.T) {
			var found []Event
			var stats Stats
			opt := Options{Stats: &stats}
			if a.Port != amt.HelloPort {
				opt.Ports = []uint16{a.Port}
			}
			err := Scan(context.Background(), NewFile(bytes.NewReader(a.bytes(t)), a.Name, nil), opt, func(e Event) {
				if checkEvent(t, e); e.Kind == KindHello || e.Kind == KindPartial {
					found = append(found, e)
				}
			})
			if err != nil {
				t.Error(err)
			}
			slices.SortStableFunc(found, func(x, y Event) int { return x.Packet - y.Packet })
			var got []string
			for i, e := range found {
				switch {
				case e.Kind == KindPartial:
					got = append(got, "partial")
				case strings.Contains(a.Want, "@"):
					got = append(got, fmt.Sprintf("hello %s@%d", e.Hello.Type, e.Packet))
				default:
					got = append(got, "hello "+string(e.Hello.Type))
				}
				if i > 0 && e.Packet == found[i-1].Packet {
					t.Errorf("two for packet %d", e.Packet)
				}
			}
			if s := strings.Join(got, " "); s != a.Want {
				t.Errorf("got %q, want %q", s, a.Want)
			}
		})
	}
}

// counter is a transport that counts the segments to a port.
type counter struct {
	port uint16
	n    int
}

func (c *counter) tcp(_ *meta, t *layers.TCP, _ []byte) {
	if uint16(t.DstPort) == c.port {
		c.n++
	}
}
func (*counter) udp(*meta, uint16, uint16, []byte)      {}
func (*counter) icmp(*meta, bool, uint8, uint8, []byte) {}
func (*counter) link(*meta, uint16, []byte)             {}

// TestForeignAdversarialTshark lets tshark count the segments to the port in the same files.
func TestForeignAdversarialTshark(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("takes a minute: set AMTMEDIC_LONG=1")
	}
	tool(t, "tshark")
	dir := t.TempDir()
	for i, a := range adversaries(t) {
		if !a.Tshark {
			continue
		}
		t.Run(a.Name, func(t *testing.T) {
			name := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(name, a.bytes(t), 0o600); err != nil {
				t.Fatal(err)
			}
			want := len(strings.Fields(output(t, "tshark", "-r", name, "-Y", fmt.Sprintf("tcp.dstport==%d", a.Port), "-T", "fields", "-e", "frame.number")))
			c := &counter{port: a.Port}
			d, m := newDecoder(c), NewMatcher(a.Port)
			if err := NewFile(bytes.NewReader(a.bytes(t)), name, nil).Run(context.Background(), func(p *Packet) error {
				if m.Match(p.Link, p.Data) {
					_ = d.packet(p)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if c.n != want {
				t.Errorf("%d segments to port %d, tshark counts %d", c.n, a.Port, want)
			}
		})
	}
}
