package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// days is a stream of what can happen at a provisioning server, with much between it that no event is
// made of.
type days struct {
	*script
	round int
}

func (d *days) packet(b []byte, err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	d.frame(b)
}

// ask lets a client ask for a name; without rcode nobody answers.
func (d *days) ask(client netip.Addr, name string, rcode int) {
	d.t.Helper()
	resolver, asker := mustPort("10.1.0.53:53"), netip.AddrPortFrom(client, uint16(2000+d.round%30000))
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeA)
	q.Id = uint16(d.round)
	for _, m := range []*dns.Msg{q, new(dns.Msg).SetRcode(q, max(rcode, 0))} {
		if m.Response && rcode < 0 {
			return
		}
		b, err := m.Pack()
		if err != nil {
			d.t.Fatal(err)
		}
		if m.Response {
			d.packet(FrameUDP(resolver, asker, b))
		} else {
			d.packet(FrameUDP(asker, resolver, b))
		}
	}
}

// noise is what other stations say meanwhile.
func (d *days) noise(n int) {
	a, b := mustPort("10.9.0.1:50000"), mustPort("10.9.0.2:16995")
	for i := range n {
		d.tcp(a, b, ACK, uint32(d.round*100000+i*1000), 1, make([]byte, 900))
	}
}

// back is the connection of the server to a client that does not know the root of its certificate.
func (d *days) back(client netip.Addr) {
	srv, fw := netip.AddrPortFrom(serverV4.Addr(), uint16(40000+d.round%20000)), netip.AddrPortFrom(client, 16993)
	d.tcp(srv, fw, SYN, 500, 0, nil).tcp(fw, srv, SYN|ACK, 900, 501, nil).tcp(srv, fw, ACK, 501, 901, nil)
	d.noise(2)
	d.tcp(srv, fw, ACK, 501, 901, tlsRecord(tlsHandshake, make([]byte, 300)...))
	d.tcp(fw, srv, ACK, 901, 806, tlsRecord(tlsAlert, 2, 48)).tcp(fw, srv, ACK|FIN, 908, 806, nil)
}

// another adds what one client does, in turns of all kinds.
func (d *days) another() {
	d.round++
	client := netip.AddrFrom4([4]byte{10, 20, byte(d.round >> 8), byte(d.round)})
	d.client = netip.AddrPortFrom(client, 16994)
	d.again(uint32(d.round) * 77777)
	d.noise(14)
	d.ask(client, fmt.Sprintf("www%d.corp.example.", d.round), dns.RcodeSuccess)
	switch d.round % 6 {
	case 0:
		d.ask(client, "provisionserver.corp.example.", dns.RcodeSuccess)
		d.up().c(0, 0, psk(d.t, uint32(d.round)))
		d.noise(3)
		d.c(FIN, 32, nil).s(FIN, 33)
		d.back(client)
	case 1:
		d.ask(client, "provisionserver.corp.example.", dns.RcodeNameError)
		d.syn()
		d.noise(5)
		d.wait(3 * time.Second).rst0()
	case 2:
		d.syn()
		d.packet(icmpFrame(d.t, d.packets[len(d.packets)-1].Data, 3, 13), nil)
		d.wait(3 * time.Second).syn()
	case 3: // the middle of the hello is lost
		b := pki(d.t, 30)
		d.up().c(0, 0, b[:100]).c(0, 200, b[200:]).c(FIN, len(b), nil)
	case 4: // a hello in pieces, with pauses in which much passes
		b := pki(d.t, 3)
		d.up()
		for i := 0; i < len(b); i += 20 {
			d.noise(6)
			d.wait(5*time.Second).c(0, i, b[i:min(len(b), i+20)])
		}
		d.c(FIN, len(b), nil)
	case 5:
		d.ask(client, "provisionserver.corp.example.", -1)
		d.wait(12 * time.Second)
	}
	d.noise(14)
	d.wait(time.Second)
}

// placeless is an event without the place in a file.
func placeless(e Event) string {
	e.File, e.Packet = "", 0
	b, err := e.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func placelessAll(es []Event, keep func(Event) bool) (out []string) {
	for _, e := range es {
		if keep(e) {
			out = append(out, placeless(e))
		}
	}
	slices.Sort(out) // events of one time may come in another order
	return out
}

func sameEvents(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	n := 0
	for _, w := range want {
		if !slices.Contains(got, w) && n < 5 {
			n++
			t.Errorf("%s lacks %s", what, w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) && n < 10 {
			n++
			t.Errorf("%s has also %s", what, g)
		}
	}
	t.Errorf("%s gives %d events, %d came live", what, len(got), len(want))
}

// ringFilesOf lists the files of a ring in order.
func ringFilesOf(t *testing.T, base string) []string {
	t.Helper()
	list, err := filepath.Glob(base + "-[0-9]*.pcapng")
	if err != nil || len(list) == 0 {
		t.Fatalf("no files of the ring: %v", err)
	}
	return list
}

func scanChain(t *testing.T, names ...string) (es []Event) {
	t.Helper()
	c := NewChain(names, func(name, text string) { t.Errorf("%s: %s", name, text) })
	if err := Scan(t.Context(), c, Options{}, func(e Event) {
		e.File, e.Packet = c.Place(e.Packet)
		es = append(es, e)
	}); err != nil {
		t.Fatal(err)
	}
	return es
}

// TestRing records days in which much more passes than the ring holds: the files give the events of
// the time that they hold, and what is pinned those of the whole time.
func TestRing(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	d := &days{script: newScript(t)}
	for range 270 {
		d.another()
	}
	base := filepath.Join(t.TempDir(), "case")
	ring, err := CreateRing(base+".pcapng", RingOptions{Size: size, Warn: func(s string) { t.Error(s) }}, RecordedInterface{Name: "eth0", Link: LinkEthernet, Filter: "all"})
	if err != nil {
		t.Fatal(err)
	}
	var live []Event
	passed := 0
	for _, p := range d.packets {
		passed += len(p.Data)
	}
	most := int64(0)
	if err := ScanInto(t.Context(), &counted{list: d.packets, each: func() {
		if used := used(t, base); used > most {
			most = used
		}
	}}, ring, Options{}, func(e Event) { live = append(live, e) }); err != nil {
		t.Fatal(err)
	}
	if passed < 5*size/2 || most > size || most < size*6/10 {
		t.Errorf("%d bytes passed, at most %d were on the disk, %d are allowed", passed, most, size)
	}
	files := ringFilesOf(t, base)
	if ring.Lost() > 0 || files[0] == base+"-00001.pcapng" {
		t.Errorf("files %v, %d packets lost", files, ring.Lost())
	}
	groups := Chains(append(slices.Clone(files), ring.PinnedName()))
	if len(groups) != 2 || len(groups[0]) != len(files) {
		t.Fatalf("groups %v", groups)
	}
	again := scanChain(t, files...)
	var first time.Time
	src, _ := OpenFile(files[0], nil)
	_ = src.Run(t.Context(), func(p *Packet) error { first = p.Time; return errors.New("enough") })
	_ = src.Close()
	whole := func(e Event) bool { return e.Time.After(first.Add(forgetAfter)) }
	if n := len(placelessAll(live, whole)); n < 200 {
		t.Fatalf("only %d events are in the time of the ring", n)
	}
	sameEvents(t, "the ring", placelessAll(again, whole), placelessAll(live, whole))
	sameEvents(t, "what is pinned", placelessAll(scanChain(t, ring.PinnedName()), worth), placelessAll(live, worth))
	foreignRing(t, files, ring.PinnedName(), live)
}

// foreignRing lets the programs of others read a ring.
func foreignRing(t *testing.T, files []string, pinned string, live []Event) {
	t.Helper()
	tool(t, "tshark", "mergecap", "capinfos")
	merged := filepath.Join(t.TempDir(), "merged.pcapng")
	output(t, "mergecap", append([]string{"-w", merged}, files...)...)
	sum := 0
	for _, name := range append(slices.Clone(files), merged) {
		out := output(t, "capinfos", "-TrcoBb", name)
		f := strings.Fields(out)
		n, err := strconv.Atoi(f[1])
		if err != nil || !strings.EqualFold(f[2], "true") {
			t.Errorf("capinfos says %q", out)
		}
		if name == merged && n != sum {
			t.Errorf("%d packets are in the merged file, %d in its parts", n, sum)
		}
		sum += n
	}
	hello := "frame.comment contains \"amtmedic: hello\""
	got := strings.Count(output(t, "tshark", "-r", pinned, "-Y", hello, "-T", "fields", "-e", "frame.comment"), "amtmedic: hello")
	want, inTime := 0, 0
	for _, e := range live {
		if e.Kind == KindHello {
			want++
		}
	}
	if got != want {
		t.Errorf("tshark shows the comments of %d hellos of %d", got, want)
	}
	for _, e := range scanChain(t, files...) {
		if e.Kind == KindHello {
			inTime++
		}
	}
	if got := strings.Count(output(t, "tshark", "-r", merged, "-Y", hello, "-T", "fields", "-e", "frame.comment"), "uuid 4c4c4544"); got < inTime-1 || got == 0 {
		t.Errorf("tshark shows the comments of %d hellos of %d in the merged ring", got, inTime)
	}
	if b, err := os.ReadFile(pinned); err != nil || !strings.Contains(string(b), "amtmedic: partial: 100 bytes are there") {
		t.Errorf("no remark tells of what came too late for a comment: %v", err)
	}
	for _, word := range []string{"tls-alert 48 unknown_ca by the client", "provisionserver.corp.example A: NXDOMAIN", "10.20.0.1 says ICMP type 3 code 13", "refused: by 10.1.0.10:9971"} {
		if !strings.Contains(output(t, "tshark", "-r", pinned, "-Y", "frame.comment", "-T", "fields", "-e", "frame.comment"), word) {
			t.Errorf("no comment tells %q", word)
		}
	}
}

// counted calls each now and then while it hands on packets.
type counted struct {
	list
	each func()
}

func (c *counted) Run(ctx context.Context, fn func(*Packet) error) error {
	n := 0
	return c.list.Run(ctx, func(p *Packet) error {
		if n++; n%97 == 0 {
			c.each()
		}
		return fn(p)
	})
}

// used is what all files of a ring have on the disk.
func used(t *testing.T, base string) (n int64) {
	t.Helper()
	list, _ := filepath.Glob(base + "-*.pcapng")
	for _, name := range list {
		if st, err := os.Stat(name); err == nil {
			n += st.Size()
		}
	}
	return n
}

func TestRingRefuses(t *testing.T) {
	dir := t.TempDir()
	iface := RecordedInterface{Name: "eth0", Link: LinkEthernet}
	for _, taken := range []string{"a-00007.pcapng", "b-pinned.pcapng"} {
		if err := os.WriteFile(filepath.Join(dir, taken), []byte("evidence"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := CreateRing(filepath.Join(dir, taken[:1]), RingOptions{Size: MinRing}, iface)
		if b, _ := os.ReadFile(filepath.Join(dir, taken)); !errors.Is(err, fs.ErrExist) || string(b) != "evidence" {
			t.Errorf("%s: %v, now %q", taken, err, b)
		}
	}
	var told []string
	huge, err := CreateRing(filepath.Join(dir, "huge"), RingOptions{Size: 1 << 61, Warn: func(s string) { told = append(told, s) }}, iface)
	if err != nil || len(told) != 1 || !strings.Contains(told[0], "are free") {
		t.Errorf("a ring larger than the disk: told %q, %v", told, err)
	} else if err := errors.Join(huge.Close(Stats{}), os.Remove(filepath.Join(dir, "huge-00001.pcapng")), os.Remove(huge.PinnedName())); err != nil {
		t.Error(err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("files are left of rings that were refused: %v", list)
	}
	if _, err := CreateRing(filepath.Join(dir, "c"), RingOptions{Size: MinRing - 1}, iface); err == nil {
		t.Error("a ring that is too small was begun")
	}
	if _, err := CreateRing(filepath.Join(dir, "none", "c"), RingOptions{Size: MinRing}, iface); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a ring in no folder: %v", err)
	}
}

// TestRingPinnedLimit fills what is pinned: it is told once, nothing is written over, and the ring goes on.
func TestRingPinnedLimit(t *testing.T) {
	base := filepath.Join(t.TempDir(), "case")
	var told []string
	ring, err := CreateRing(base, RingOptions{Size: MinRing, Warn: func(s string) { told = append(told, s) }}, RecordedInterface{Name: "eth0", Link: LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(t)
	const n = 2000
	for i := range n {
		s.again(uint32(1000+i*100000)).up().c(FIN, 0, psk(t, uint32(i)))
		s.wait(time.Second)
	}
	if err := ScanInto(t.Context(), list(s.packets), ring, Options{}, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(ring.PinnedName())
	if err != nil || st.Size() > MinRing/ringShares || st.Size() < MinRing/ringShares*9/10 || len(told) != 1 || !strings.Contains(told[0], "limit") {
		t.Errorf("%v, %v, told %q", st, err, told)
	}
	retry := func(es []Event) (list []int) {
		for _, e := range es {
			if e.Kind == KindHello {
				list = append(list, int(e.Hello.RetryCount))
			}
		}
		return list
	}
	if h := retry(scanChain(t, ring.PinnedName())); len(h) < 100 || h[0] != 0 || h[len(h)-1] != len(h)-1 {
		t.Errorf("pinned hellos %v", h)
	}
	if h := retry(scanChain(t, ringFilesOf(t, base)...)); len(h) < 500 || h[len(h)-1] != n-1 {
		t.Errorf("%d hellos are in the ring", len(h))
	}
}

// TestRingPinsHellosFirst lets clients ask for names and renew leases without end between their hellos:
// in a small ring every hello is pinned all the same, and it is told that the rest is not.
func TestRingPinsHellosFirst(t *testing.T) {
	base := filepath.Join(t.TempDir(), "case")
	var told []string
	ring, err := CreateRing(base, RingOptions{Size: MinRing, Warn: func(s string) { told = append(told, s) }}, RecordedInterface{Name: "eth0", Link: LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	d := &days{script: newScript(t)}
	const n = 40
	for i := range n {
		d.again(uint32(1000 + i*100000)).wait(time.Minute)
		for range 40 {
			d.round++
			d.ask(d.client.Addr(), "provisionserver.corp.example.", dns.RcodeSuccess)
		}
		d.tcp(netip.AddrPortFrom(serverV4.Addr(), uint16(40000+i)), netip.AddrPortFrom(d.client.Addr(), 16993), SYN, 500, 0, nil)
		for range 12 { // a long connection of something else on this client
			d.tcp(netip.AddrPortFrom(serverV4.Addr(), 50000), netip.AddrPortFrom(d.client.Addr(), 16995), ACK, 1, 1, make([]byte, 1000))
		}
		d.up().c(FIN, 0, psk(t, uint32(i)))
	}
	if err := ScanInto(t.Context(), list(d.packets), ring, Options{}, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	kinds := map[Kind]int{}
	for _, e := range scanChain(t, ring.PinnedName()) {
		kinds[e.Kind]++
	}
	if kinds[KindHello] != n || kinds[KindSYN] != n || len(told) != 1 || !strings.Contains(told[0], "only hellos") {
		t.Errorf("pinned %v, told %q", kinds, told)
	}
	if st, err := os.Stat(ring.PinnedName()); err != nil || st.Size() > MinRing/ringShares {
		t.Errorf("%v, %v", st, err)
	}
}

// TestRingPinsOnlyHellos lets something else speak to the hello port without end: what is pinned of it
// is bounded, and a hello after it is there.
func TestRingPinsOnlyHellos(t *testing.T) {
	base := filepath.Join(t.TempDir(), "case")
	ring, err := CreateRing(base, RingOptions{Size: 8 << 20, Warn: func(s string) { t.Error(s) }}, RecordedInterface{Name: "eth0", Link: LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(t).up()
	for i := range 3000 {
		s.tcp(s.server, s.client, ACK, s.sisn+1+uint32(i*1400), s.isn+1, make([]byte, 1400))
	}
	s.again(5e8).up().c(FIN, 0, psk(t, 1))
	if err := ScanInto(t.Context(), list(s.packets), ring, Options{}, func(Event) {}); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(ring.PinnedName()); err != nil || st.Size() > 600<<10 {
		t.Errorf("%v, %v", st, err)
	}
	if es := brief(scanChain(t, ring.PinnedName())); !strings.Contains(es, "hello") {
		t.Errorf("events %s", es)
	}
}

// TestRingInterfaces describes an interface that appears later in the files that come then.
func TestRingInterfaces(t *testing.T) {
	t.Parallel()
	base := filepath.Join(t.TempDir(), "case")
	ring, err := CreateRing(base, RingOptions{Size: MinRing, Every: time.Nanosecond}, RecordedInterface{Name: "eth0", Link: LinkEthernet, Filter: "all"})
	if err != nil {
		t.Fatal(err)
	}
	p := frameOf(t, clientV4, serverV4, SYN, 1, nil)
	raw := *p
	raw.Data, raw.OrigLen, raw.Link, raw.Iface = p.Data[14:], p.OrigLen-14, LinkRaw, 1
	err = errors.Join(ring.Take(p, nil), ring.AddInterface(RecordedInterface{Name: "tun0", Link: LinkRaw}), ring.Take(&raw, nil), ring.Flush(), ring.Close(Stats{Received: 2}))
	if err != nil || ring.Interfaces() != 2 {
		t.Fatal(err)
	}
	if es := scanChain(t, ringFilesOf(t, base)...); len(es) != 1 { // the SYN and its copy
		t.Errorf("events %v", es)
	}
	if es := scanChain(t, ring.PinnedName()); len(es) != 1 {
		t.Errorf("pinned events %v", es)
	}
	tool(t, "tshark")
	all := ""
	for _, f := range ringFilesOf(t, base) {
		all += output(t, "tshark", "-r", f, "-T", "fields", "-e", "frame.interface_name", "-e", "tcp.dstport")
	}
	if all != "eth0\t9971\ntun0\t9971\n" {
		t.Errorf("tshark shows %q", all)
	}
}

func TestChains(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for _, note := range []string{"ring of recordings, begun A, file 9", "ring of recordings, begun A, file 10", "ring of recordings, begun A, file 12", "ring of recordings, begun B, file 13", "ring of recordings, begun A, what is pinned", "", "ring of recordings, begun A, file x"} {
		name := filepath.Join(dir, fmt.Sprint(len(names)))
		rec, err := CreateRecorder(name, RecordOptions{Note: note}, RecordedInterface{Link: LinkEthernet})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(rec.Packet(frameOf(t, clientV4, serverV4, SYN, uint32(len(names)), nil)), rec.Close(Stats{})); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	names = append(names, "-", filepath.Join(dir, "missing"))
	var got []string
	for _, g := range Chains(names) {
		for i := range g {
			g[i] = filepath.Base(g[i])
		}
		got = append(got, strings.Join(g, "+"))
	}
	if s := strings.Join(got, " "); s != "0+1 2 3 4 5 6 - missing" {
		t.Errorf("groups %s", s)
	}
	// a file that is missing does not keep the others from being read
	c := NewChain([]string{filepath.Join(dir, "0"), filepath.Join(dir, "missing"), filepath.Join(dir, "1")}, nil)
	var places []string
	err := Scan(t.Context(), c, Options{}, func(e Event) {
		name, n := c.Place(e.Packet)
		places = append(places, fmt.Sprint(filepath.Base(name), "#", n))
	})
	if !errors.Is(err, fs.ErrNotExist) || fmt.Sprint(places) != "[0#1 1#1]" || c.Stats().Received != 2 {
		t.Errorf("places %v, stats %+v: %v", places, c.Stats(), err)
	}
}

func FuzzSectionComment(f *testing.F) {
	f.Add(appendSection(nil, "ring of recordings, begun 2026-11-25T07:00:00Z, file 3"))
	f.Add(appendSection(nil, ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s := sectionComment(b); len(s) > len(b) {
			t.Errorf("%q", s)
		}
		if s := sectionComment(appendSection(nil, string(b))); len(b) < maxComment && s != strings.ToValidUTF8(string(b), "?") {
			t.Errorf("%q comes back as %q", b, s)
		}
	})
}

// TestRecorderCounters lets capinfos find the statistics of every interface in a recording.
func TestRecorderCounters(t *testing.T) {
	tool(t, "capinfos")
	name := filepath.Join(t.TempDir(), "two.pcapng")
	rec, err := CreateRecorder(name, RecordOptions{}, RecordedInterface{Name: "eth0", Link: LinkEthernet}, RecordedInterface{Name: "eth1", Link: LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	p := frameOf(t, clientV4, serverV4, SYN, 1, nil)
	second := *p
	second.Iface = 1
	if err := errors.Join(rec.Packet(p), rec.Packet(&second), rec.Packet(&second), rec.Close(Stats{Received: 3, Dropped: 5})); err != nil {
		t.Fatal(err)
	}
	if text := output(t, "capinfos", name); strings.Count(text, "Number of stat entries = 1") != 2 {
		t.Errorf("capinfos says %s", text)
	}
}
