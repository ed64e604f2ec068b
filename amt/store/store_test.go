package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
)

const (
	uuidText = "03020100-0504-0706-0809-0a0b0c0d0e0f"
	goodPID  = amt.PID("0000037M") // Intel's published pair
	goodPPS  = "NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// fresh opens a new database: a file, or during TestOnPostgres one of that server.
func fresh(t *testing.T) *Store {
	t.Helper()
	return freshAt(t, Options{})
}

func freshAt(t *testing.T, o Options) *Store {
	t.Helper()
	target := filepath.Join(t.TempDir(), "new", "core.db")
	if server != nil {
		target, o.KeyFile = server.URL(server.Database(t)), filepath.Join(t.TempDir(), "shared.key")
	}
	s, err := Open(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func uuid(t *testing.T, s string) amt.UUID {
	t.Helper()
	u, err := amt.ParseUUID(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func hello(t *testing.T, version uint16, pid amt.PID) Hello {
	return Hello{From: netip.MustParseAddrPort("10.20.0.7:16994"), Version: version, UUID: uuid(t, uuidText), PID: pid}
}

func record(t *testing.T, s *Store, h Hello) Outcome {
	t.Helper()
	out, err := s.RecordHello(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func intelPair() Pair { return Pair{ID: 1, PID: goodPID, PPS: amt.NewSecret(goodPPS)} }

// entries gives where a client stands: q, d, or both, which must never be.
func entries(t *testing.T, s *Store, u amt.UUID) string {
	t.Helper()
	_, q, err := s.Queue(t.Context(), u)
	_, d, err2 := s.Delayed(t.Context(), u)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return map[[2]bool]string{{true, false}: "q", {false, true}: "d", {true, true}: "both"}[[2]bool{q, d}]
}

func TestHelloOfUnknownPIDWaitsForItsKey(t *testing.T) {
	s, u := fresh(t), uuid(t, uuidText)
	out := record(t, s, hello(t, 2, goodPID))
	if out.Action != Delayed || !out.New || !out.Logged || out.Reason != ReasonPIDUnknown || entries(t, s, u) != "d" {
		t.Fatalf("first hello: %+v, entries %q", out, entries(t, s, u))
	}
	for range 50 {
		out = record(t, s, hello(t, 2, goodPID))
	}
	if out.Logged || out.Hellos != 51 {
		t.Errorf("repeat: %+v", out)
	}
	rows, err := s.Log(t.Context(), u, 10)
	if err != nil || len(rows) != 1 || !strings.Contains(rows[0].Text, "failed to find PID mapping") ||
		!strings.Contains(rows[0].Text, uuidText) || !strings.Contains(rows[0].Text, "0000-037M") {
		t.Errorf("log %+v, %v", rows, err)
	}
	c, ok, err := s.Client(t.Context(), u)
	if err != nil || !ok || c.State != StateDelayed || c.Reason != ReasonPIDUnknown || c.Method != amt.PSK || c.IP != "10.20.0.7" {
		t.Errorf("client %+v %v %v", c, ok, err)
	}
	sum, err := s.ImportKeys(t.Context(), []Pair{intelPair()})
	if err != nil || sum.Imported != 1 || sum.Promoted != 1 || entries(t, s, u) != "q" {
		t.Errorf("import %+v, %v; entries %q", sum, err, entries(t, s, u))
	}
	if c, _, _ = s.Client(t.Context(), u); c.State != Unprovisioned || c.Reason != "" {
		t.Errorf("after import: %+v", c)
	}
}

func TestHelloActions(t *testing.T) {
	s, u := fresh(t), uuid(t, uuidText)
	claim := func(by any) {
		if err := s.write(t.Context(), func(x *tx) error {
			return x.exec(`UPDATE csto_queue_entries SET claimed_by=?`, by)
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name    string
		before  func()
		h       Hello
		want    Action
		entries string
	}{
		{"unknown version is kept, not queued", nil, hello(t, 7, ""), Kept, ""},
		{"pki needs no key", nil, hello(t, 3, ""), Queued, "q"},
		{"repeat", nil, hello(t, 3, ""), Waiting, "q"},
		{"unknown version changes no entry", nil, hello(t, 1, ""), Kept, "q"},
		{"turned to psk, key unknown", nil, hello(t, 2, goodPID), Delayed, "d"},
		{"turned back to pki", nil, hello(t, 3, ""), Promoted, "q"},
		{"a worker has it", func() { claim("w1") }, hello(t, 3, ""), Again, "q"},
		{"a worker has it, key unknown", nil, hello(t, 2, goodPID), Again, "q"},
		{"the worker let go", func() { claim(nil) }, hello(t, 2, goodPID), Delayed, "d"},
	} {
		if step.before != nil {
			step.before()
		}
		if out := record(t, s, step.h); out.Action != step.want || entries(t, s, u) != step.entries {
			t.Fatalf("%s: %+v, entries %q", step.name, out, entries(t, s, u))
		}
	}
}

// Hellos and imports from all sides at once: no client is ever lost, or in two places.
func TestOneEntryPerClient(t *testing.T) {
	s := fresh(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 60 {
				h := hello(t, 2, amt.PID(fmt.Sprintf("%08d", i%12)))
				h.UUID[15] = byte(i % 12)
				if _, err := s.RecordHello(context.Background(), h); err != nil {
					t.Error(err)
				}
				if g == 0 {
					if _, err := s.ImportKeys(context.Background(), []Pair{{PID: h.PID, PPS: amt.NewSecret(goodPPS)}}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	clients, err := s.Clients(t.Context())
	if err != nil || len(clients) != 12 {
		t.Fatalf("%d clients, %v", len(clients), err)
	}
	var hellos int64
	for _, c := range clients {
		hellos += c.Hellos
		if e := entries(t, s, c.UUID); e != "q" {
			t.Errorf("%s: entries %q", c.UUID, e)
		}
	}
	if hellos != 480 {
		t.Errorf("%d hellos counted, 480 sent", hellos)
	}
}

func TestImportKeys(t *testing.T) {
	s := fresh(t)
	pair := func(id int64, pid amt.PID, pps string) Pair { return Pair{ID: id, PID: pid, PPS: amt.NewSecret(pps)} }
	for _, c := range []struct {
		name      string
		in        []Pair
		conflicts int
		want      string // id:pid of all rows
	}{
		{"new rows", []Pair{pair(1, "AAAAAAA1", "P1"), pair(2, "AAAAAAA2", "P2")}, 0, "1:AAAAAAA1=P1 2:AAAAAAA2=P2"},
		{"same id is replaced", []Pair{pair(1, "AAAAAAA3", "P3")}, 0, "1:AAAAAAA3=P3 2:AAAAAAA2=P2"},
		{"PID under another id stays", []Pair{pair(9, "AAAAAAA2", "P4")}, 1, "1:AAAAAAA3=P3 2:AAAAAAA2=P2"},
		{"no id: next free one", []Pair{pair(0, "AAAAAAA5", "P5")}, 0, "1:AAAAAAA3=P3 2:AAAAAAA2=P2 3:AAAAAAA5=P5"},
		{"no id, known PID: its row", []Pair{pair(0, "AAAAAAA2", "P6")}, 0, "1:AAAAAAA3=P3 2:AAAAAAA2=P6 3:AAAAAAA5=P5"},
	} {
		sum, err := s.ImportKeys(t.Context(), c.in)
		if err != nil || len(sum.Conflicts) != c.conflicts || sum.Imported != len(c.in)-c.conflicts {
			t.Errorf("%s: %+v, %v", c.name, sum, err)
		}
		var rows []string
		for p, err := range s.Keys(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, fmt.Sprintf("%d:%s=%s", p.ID, p.PID, p.PPS.Reveal()))
		}
		if got := strings.Join(rows, " "); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	if total, unused, err := s.PIDCounts(t.Context()); total != 3 || unused != 3 || err != nil {
		t.Errorf("counts %d %d %v", total, unused, err)
	}
	near, err := s.NearPIDs(t.Context(), "AAAAAAA3", func(a, b amt.PID) bool { return a[:7] == b[:7] })
	if err != nil || fmt.Sprint(near) != "[AAAAAAA2 AAAAAAA5]" {
		t.Errorf("near %v %v", near, err)
	}
}

func TestImportMap(t *testing.T) {
	s, u := fresh(t), uuid(t, uuidText)
	other := u
	other[15] = 1
	if err := s.write(t.Context(), func(x *tx) error { // a client that waits for its name
		r := recording{t: x, h: hello(t, 3, ""), uuid: u.String(), now: 1}
		if err := r.touchClient(); err != nil {
			return err
		}
		return x.exec(`INSERT INTO csto_delayed_entries VALUES (?, 3, 1, 1, 'rc-fqdn-unresolved: no name', 1)`, u.String())
	}); err != nil {
		t.Fatal(err)
	}
	sum, err := s.ImportMap(t.Context(), []MapRow{
		{UUID: u, FQDN: "PC7.corp.example.", Profile: "default", Source: "import"},
		{UUID: other, FQDN: "pc7.CORP.example", Source: "import"},
		{UUID: other, FQDN: "pc8.corp.example", Profile: "nonesuch", Source: "import"},
	})
	if err != nil || sum.Imported != 1 || len(sum.Conflicts) != 2 || sum.Promoted != 1 || entries(t, s, u) != "q" {
		t.Errorf("%+v, %v, entries %q", sum, err, entries(t, s, u))
	}
	if m, ok, err := s.MapRow(t.Context(), u); !ok || err != nil || m.FQDN != "pc7.corp.example" || m.Profile != "default" {
		t.Errorf("row %+v %v %v", m, ok, err)
	}
	if m, ok, err := s.SwappedMapRow(t.Context(), u.Swapped()); !ok || err != nil || m.FQDN != "pc7.corp.example" {
		t.Errorf("swapped row %+v %v %v", m, ok, err)
	}
	if p, ok, err := s.Profile(t.Context(), other); !ok || err != nil || p != "default" {
		t.Errorf("profile %q %v %v", p, ok, err)
	}
}

// One bad request must not spoil the others that share its commit.
func TestBadRequestFailsAlone(t *testing.T) {
	s := fresh(t)
	var held []*session // let requests gather
	for range s.w.count {
		held = append(held, <-s.w.turn)
	}
	bad := errors.New("no")
	errs := make(chan error, 20)
	for i := range 20 {
		go func() {
			errs <- s.write(context.Background(), func(x *tx) error {
				if err := x.exec(`INSERT INTO servers (name, address, heartbeat_us) VALUES (?, 'a', 1)`, strconv.Itoa(i)); err != nil {
					return err
				}
				if i%5 == 0 {
					return bad
				}
				return nil
			})
		}()
	}
	for len(s.w.wait) < 20 {
		time.Sleep(time.Millisecond)
	}
	for _, h := range held {
		s.w.turn <- h
	}
	failed := 0
	for range 20 {
		if err := <-errs; errors.Is(err, bad) {
			failed++
		} else if err != nil {
			t.Error(err)
		}
	}
	var n int
	if _, err := s.one(t.Context(), `SELECT count(*) FROM servers`, nil, &n); err != nil || n != 16 || failed != 4 {
		t.Errorf("%d rows, %d failed, %v", n, failed, err)
	}
}

func TestSecretsAreNotInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.db")
	s := open(t, path)
	if _, err := s.ImportKeys(t.Context(), []Pair{{PID: goodPID, PPS: amt.NewSecret(goodPPS), AdminPassword: amt.NewSecret("N3w-P@ssword")}}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // with the write-ahead log, and after it was folded in
		for _, suffix := range []string{"", "-wal"} {
			raw, err := os.ReadFile(path + suffix)
			if err != nil && suffix == "" {
				t.Fatal(err)
			}
			if bytes.Contains(raw, []byte(goodPPS)) || bytes.Contains(raw, []byte("N3w-P@ss")) {
				t.Errorf("a secret stands in core.db%s", suffix)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, path)
	}
	if p, ok, err := s.Key(t.Context(), goodPID); err != nil || !ok || p.PPS.Reveal() != goodPPS || p.AdminPassword.Reveal() != "N3w-P@ssword" {
		t.Errorf("read back: %v %v", ok, err)
	}
	if runtime.GOOS != "windows" {
		for _, name := range []string{path, path + ".key"} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v", name, info.Mode(), err)
			}
		}
	}
}

// sqlite3, which we did not write, reads the tables while the store is open.
func TestForeignReader(t *testing.T) {
	bin, err := exec.LookPath("sqlite3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("sqlite3 is missing")
		}
		t.Skip("sqlite3 is missing: the tables were not read by another program")
	}
	path := filepath.Join(t.TempDir(), "core.db")
	s := open(t, path)
	record(t, s, hello(t, 2, goodPID))
	out, err := exec.Command(bin, path, `SELECT a.uuid, a.pid, d.reason FROM csti_amts a JOIN csto_delayed_entries d USING (uuid); PRAGMA integrity_check;`).CombinedOutput()
	want := uuidText + "|0000037M|" + ReasonPIDUnknown + "\nok\n"
	if err != nil || string(out) != want {
		t.Errorf("sqlite3 says %q, %v", out, err)
	}
}
