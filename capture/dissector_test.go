package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// dissected gives what tshark with our dissector shows of a file, a line for each hello, and how
// many it marks as truncated.
func dissected(t *testing.T, file string, ports ...uint16) (rows []string, truncated int) {
	t.Helper()
	lua := filepath.Join(t.TempDir(), "amthello.lua")
	if err := os.WriteFile(lua, []byte(Dissector(ports...)), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-X", "lua_script:" + lua, "-o", "tcp.reassemble_out_of_order:TRUE", "-r", file, "-Y", "amthello", "-T", "fields", "-E", "separator=|"}
	for _, f := range []string{"frame.number", "type", "version", "admin_word", "retry_count", "uuid", "pid", "hash.algorithm", "hash.digest", "truncated"} {
		if !strings.HasPrefix(f, "frame") {
			f = "amthello." + f
		}
		args = append(args, "-e", f)
	}
	for line := range strings.Lines(output(t, "tshark", args...)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if last := len(cells) - 1; cells[last] != "" {
			truncated++
			continue
		} else {
			rows = append(rows, strings.Join(cells[:last], "|"))
		}
	}
	return rows, truncated
}

// ours gives the same lines by our own scan, without bytes of other protocols and of hellos that
// are not complete.
func ours(t *testing.T, src Source, ports ...uint16) (rows []string) {
	t.Helper()
	var found []Event
	if err := Scan(context.Background(), src, Options{Ports: ports}, func(e Event) {
		if e.Kind == KindHello && e.Hello.Foreign == "" && !slices.Contains(amt.Codes(e.Hello.Problems), hello.CodeTruncated) {
			found = append(found, e)
		}
	}); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(found, func(a, b Event) int { return a.Packet - b.Packet })
	for _, e := range found {
		m := e.Hello
		var algorithms, digests []string
		for _, h := range m.Hashes {
			algorithms = append(algorithms, fmt.Sprint(uint8(h.Algorithm)))
			if len(h.Digest) > 0 {
				digests = append(digests, h.Digest.String())
			}
		}
		rows = append(rows, fmt.Sprintf("%d|%s|%d|0x%04x|%d|%s|%s|%s|%s", e.Packet, m.Type, m.Version, m.AdminWord,
			m.RetryCount, m.UUID, m.PID, strings.Join(algorithms, ","), strings.Join(digests, ",")))
	}
	return rows
}

// differ names the first lines that are not the same.
func differ(t *testing.T, theirs, ours []string) {
	t.Helper()
	for i := range max(len(theirs), len(ours)) {
		switch {
		case i >= len(ours):
			t.Fatalf("only tshark: %.200s", theirs[i])
		case i >= len(theirs):
			t.Fatalf("only our scan: %.200s", ours[i])
		case theirs[i] != ours[i]:
			t.Fatalf("hello %d of %d and %d:\ntshark %.200s\nours   %.200s", i+1, len(theirs), len(ours), theirs[i], ours[i])
		}
	}
}

// TestForeignDissector compares the dissector in tshark with our own scan, hello by hello.
func TestForeignDissector(t *testing.T) {
	t.Parallel()
	tool(t, "tshark")
	rows, truncated := dissected(t, recordedFile)
	f, err := OpenFile(recordedFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if differ(t, rows, ours(t, f)); len(rows) != 7 || truncated != 0 {
		t.Errorf("%d hellos and %d truncated in the recorded file", len(rows), truncated)
	}
	for seed := range uint64(3) {
		ps, want := crowd(t, seed)
		file := writePcap(t, ps)
		if rows, _ = dissected(t, file); len(rows) != want {
			t.Errorf("seed %d: tshark shows %d hellos of %d", seed, len(rows), want)
		}
		differ(t, rows, ours(t, list(ps)))
	}
}

// TestForeignDissectorOddities are hellos that something is wrong with, each from a client of its own.
func TestForeignDissectorOddities(t *testing.T) {
	t.Parallel()
	tool(t, "tshark")
	unknown := append(psk(t, 7), "and more"...)
	unknown[2] = 9
	word := psk(t, 3)
	word[0] = 0x16
	lower := bytes.ToLower(psk(t, 0))
	copy(lower, psk(t, 0)[:24])
	copy(lower[24:], "a\\ \x00\xff")
	other := slices.Concat(pki(t, 0)[:24], []byte{3, 9, 2, 1, 2, 1, 3, 7, 7, 7, 3, 0})
	tests := []struct {
		name      string
		segments  [][]byte
		fin       bool // with the last segment
		truncated int
	}{
		{"trailing", [][]byte{append(psk(t, 2), "rest"...)}, false, 0},
		{"trailing in another segment", [][]byte{psk(t, 2), psk(t, 3)}, false, 0},
		{"unknown version", [][]byte{unknown}, true, 0},
		{"unknown algorithm, wrong length", [][]byte{other[:30], other[30:]}, false, 0},
		{"admin word", [][]byte{word}, false, 0},
		{"characters of the PID", [][]byte{lower}, false, 0},
		{"no hashes", [][]byte{pki(t, 0)}, false, 0},
		{"http", [][]byte{[]byte("GE"), []byte("T / HTTP/1.1\r\n\r\n" + strings.Repeat("x", 40))}, true, 0},
		{"tls that looks like version 3", [][]byte{append([]byte{22, 3, 3, 0, 100, 1}, make([]byte, 99)...)}, false, 0},
		{"smb", [][]byte{append([]byte{0, 0, 2, 0, 0xff, 'S', 'M', 'B'}, make([]byte, 60)...)}, false, 0},
		{"cut off by FIN", [][]byte{pki(t, 3)[:50]}, true, 1},
		{"header cut off", [][]byte{psk(t, 0)[:20]}, true, 0},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			s.server = netip.AddrPortFrom(s.server.Addr(), uint16(9000+i))
			s.up()
			off := 0
			for j, b := range tt.segments {
				flags := PSH
				if tt.fin && j == len(tt.segments)-1 {
					flags |= FIN
				}
				s.c(flags, off, b)
				off += len(b)
			}
			s.c(FIN, off, nil)
			rows, truncated := dissected(t, writePcap(t, s.packets), s.server.Port(), 9971)
			differ(t, rows, ours(t, list(s.packets), s.server.Port()))
			if truncated != tt.truncated {
				t.Errorf("%d are marked as truncated", truncated)
			}
		})
	}
}

// crowd is many clients at once whose segments are cut, repeated, overlapping and out of order.
func crowd(t *testing.T, seed uint64) (ps []*Packet, hellos int) {
	r := rand.New(rand.NewPCG(seed, 11))
	s := newScript(t)
	type segment struct {
		client netip.AddrPort
		at     time.Duration
		flags  Flags
		off    int
		data   []byte
	}
	var all []segment
	for i := range 60 {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, byte(i), 7}), 16994)
		msg := psk(t, uint32(i))
		if i%2 == 0 {
			msg = pki(t, 1+r.IntN(33))
			binary.LittleEndian.PutUint32(msg[4:], uint32(i))
		}
		at := time.Duration(i) * 50 * time.Millisecond
		add := func(f Flags, off int, b []byte) {
			all = append(all, segment{client, at + time.Duration(r.IntN(200))*time.Millisecond, f, off, b})
		}
		all = append(all, segment{client, at - time.Second, SYN, -1, nil})
		for off := 0; off < len(msg); {
			n := min(1+r.IntN(1+len(msg)/2), len(msg)-off)
			from := max(0, off-r.IntN(2)*r.IntN(9))
			add(PSH, from, msg[from:off+n])
			if r.IntN(4) == 0 {
				add(PSH, from, msg[from:off+n])
			}
			off += n
		}
		all = append(all, segment{client, at + 300*time.Millisecond, FIN, len(msg), nil})
		hellos++
	}
	slices.SortStableFunc(all, func(a, b segment) int { return int(a.at - b.at) })
	for _, g := range all {
		s.client = g.client
		if g.flags == SYN {
			s.syn()
		} else {
			s.c(g.flags, g.off, g.data)
		}
	}
	return s.packets, hellos
}

// writePcap writes packets with Ethernet frames into a file.
func writePcap(t *testing.T, ps []*Packet) string {
	t.Helper()
	b := pcapFile(binary.LittleEndian, magicMicro, uint32(LinkEthernet), 0, 0)
	for _, p := range ps {
		for _, v := range []int64{p.Time.Unix(), int64(p.Time.Nanosecond() / 1000), int64(len(p.Data)), int64(p.OrigLen)} {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
		b = append(b, p.Data...)
	}
	name := filepath.Join(t.TempDir(), "hellos.pcap")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// limits are the files in which Wireshark cannot put the segments together: it takes the first that
// it sees for the beginning when there was no SYN, and never goes back to one that was cut. There it
// must at least invent nothing.
var limits = regexp.MustCompile("no SYN|data only|without SYN|SYN between|one packet cut")

// TestForeignDissectorAdversarial compares the hellos of the files that another program made.
func TestForeignDissectorAdversarial(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("two hundred runs of tshark: AMTMEDIC_LONG=1")
	}
	tool(t, "tshark")
	for _, a := range adversaries(t) {
		if !a.Tshark {
			continue
		}
		t.Run(a.Name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(name, a.bytes(t), 0o600); err != nil {
				t.Fatal(err)
			}
			rows, _ := dissected(t, name, a.Port)
			want := ours(t, NewFile(bytes.NewReader(a.bytes(t)), name, nil), a.Port)
			for i, r := range want { // tshark does not wait for the end of an unknown version
				if i < len(rows) && strings.Contains(r, "|unknown|") {
					rows[i], want[i] = rows[i][strings.Index(rows[i], "|"):], r[strings.Index(r, "|"):]
				}
			}
			if limits.MatchString(a.Name) {
				for _, r := range rows {
					if !slices.Contains(want, r) {
						t.Errorf("only tshark: %.200s", r)
					}
				}
				return
			}
			differ(t, rows, want)
		})
	}
}
