package probe

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"amtmedic/capture"
	"amtmedic/diag"
)

// folder gives files of a case.
type folder struct {
	dir   string
	names []string
}

func (f *folder) record() (io.WriteCloser, string, error) {
	name := []string{"client.pcapng", "client-2.pcapng"}[len(f.names)]
	f.names = append(f.names, name)
	file, err := os.Create(filepath.Join(f.dir, name))
	return file, "wire/" + name, err
}

// eventsIn scans a file and gives what was seen at each packet.
func eventsIn(t *testing.T, name string) map[int][]capture.Event {
	t.Helper()
	src, err := capture.OpenFile(name, func(s string) { t.Errorf("%s: %s", name, s) })
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	out := map[int][]capture.Event{}
	if err := capture.Scan(t.Context(), src, capture.Options{}, func(e capture.Event) { out[e.Packet] = append(out[e.Packet], e) }); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWireFileIsKept: what a capture file holds of the client goes into the case, with comments, and
// facts refer to it; what it holds of others does not.
func TestWireFileIsKept(t *testing.T) {
	p := newTape(t)
	p.hello(netip.AddrPortFrom(stranger.Addr(), 16995), []byte("GET / HTTP/1.1\r\n\r\n"))
	p.dns("provisionserver.corp.example.", 0, "provisionserver.corp.example. 60 A 10.1.0.10")
	p.tcp(netip.AddrPortFrom(atClient.Addr(), 50000), netip.MustParseAddrPort("10.1.0.1:443"), capture.ACK, 1, 1, []byte("what is nobody's business"))
	p.hello(atClient, pskHello(t))
	p.feed.Close()
	given := filepath.Join(t.TempDir(), "given.pcapng")
	rec, err := capture.CreateRecorder(given, capture.RecordOptions{}, capture.RecordedInterface{Name: "eth0", Link: capture.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	if err := capture.Record(p.feed, rec).Run(t.Context(), func(*capture.Packet) error { return nil }); err != nil {
		t.Fatal(err)
	}
	f := &folder{dir: t.TempDir()}
	r, err := run(t, WireFile(Wire{Side: diag.AtClient, Name: given, Clients: []netip.Addr{atClient.Addr()}, Record: f.record}))
	if err != nil || len(f.names) != 1 {
		t.Fatalf("%v, files %v", err, f.names)
	}
	kept := filepath.Join(f.dir, f.names[0])
	b, err := os.ReadFile(kept)
	if err != nil || bytes.Contains(b, []byte("GET /")) || bytes.Contains(b, []byte("business")) {
		t.Errorf("packets that do not belong here are kept: %v", err)
	}
	for _, want := range []string{"amtmedic: hello: psk, version 2, retry 3", "amtmedic: dns: provisionserver.corp.example A: NOERROR 10.1.0.10"} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("no comment tells %q", want)
		}
	}
	in := map[string]map[int][]capture.Event{"wire/" + f.names[0]: eventsIn(t, kept), given: eventsIn(t, given)}
	for _, fact := range r.facts {
		if fact.Value == diag.None || fact.Key == "wire.client.watch" {
			continue
		}
		if len(fact.Evidence) != 2 || !strings.HasPrefix(fact.Evidence[0], "wire/") {
			t.Errorf("%s refers to %q", fact.Key, fact.Evidence)
			continue
		}
		for _, e := range fact.Evidence {
			name, n := reference(t, e)
			if !slices.ContainsFunc(in[name][n], func(v capture.Event) bool { return v.Time.Equal(fact.At) }) {
				t.Errorf("%s refers to %s, where nothing of it is", fact.Key, e)
			}
		}
	}
}

// reference takes an evidence apart.
func reference(t *testing.T, e string) (name string, packet int) {
	t.Helper()
	name, number, _ := strings.Cut(e, "#")
	for _, c := range number {
		packet = packet*10 + int(c-'0')
	}
	return name, packet
}

// TestWireFileNotKept: a case that takes no more still gets its facts.
func TestWireFileNotKept(t *testing.T) {
	const file = "../../capture/testdata/hellos.pcap"
	r, err := run(t, WireFile(Wire{Side: diag.AtServer, Name: file, Clients: []netip.Addr{netip.MustParseAddr("10.20.0.7")},
		Record: func() (io.WriteCloser, string, error) { return nil, "", errors.New("no space left on device") }}))
	if err != nil || !strings.Contains(strings.Join(r.saw, "\n"), "no space left") {
		t.Errorf("told %q: %v", r.saw, err)
	}
	hellos := 0
	for _, f := range r.facts {
		if f.Key == "wire.server.hello" {
			hellos++
		}
	}
	if hellos != 8 {
		t.Errorf("%d hellos", hellos)
	}
}
