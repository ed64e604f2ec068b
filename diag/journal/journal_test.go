package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/flow"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func options(at time.Time) Options {
	return Options{Name: "PC-0412", Now: func() time.Time { return at }, Rand: rand.IntN}
}

func create(t *testing.T, dir string, o Options) *Case {
	t.Helper()
	c, err := Create(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestLinesHaveTheFormOfFactFiles(t *testing.T) {
	dir := t.TempDir()
	c := create(t, dir, options(noon))
	east := time.FixedZone("", 3600)
	facts := []diag.Fact{
		{At: noon.Add(time.Minute).In(east), Vantage: diag.AtClient, Key: "client.prov_state", Value: "in"},
		{Key: "case.report", Value: `he said <"&> 'blue' é`, Probe: "person", Evidence: diag.Evidence{"wire/client.pcapng#3"}},
		{Key: "my.own", Value: map[string]any{"a": 1.0}},
	}
	for _, f := range facts {
		if err := c.Fact(f); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(c.Folder(), "facts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"at":"2026-11-25T12:01:00Z","vantage":"client","key":"client.prov_state","value":"in"}
{"at":"2026-11-25T12:00:00Z","key":"case.report","value":"he said <\"&> 'blue' é","probe":"person","evidence":["wire/client.pcapng#3"]}
{"at":"2026-11-25T12:00:00Z","key":"my.own","value":{"a":1}}
`
	if string(got) != want {
		t.Errorf("facts.jsonl is\n%s", got)
	}
	if err := c.Fact(diag.Fact{Key: "client.prov_state", Value: "maybe"}); err == nil {
		t.Error("an impossible value was written")
	}
	if err := c.Facts([]diag.Fact{facts[0], {Key: ""}}); err == nil {
		t.Error("a fact without key was written")
	}
	r, err := Read(dir, c.ID())
	if err != nil || len(r.Facts) != 3 || len(r.Damage) != 0 {
		t.Errorf("read back %+v, %v", r, err)
	}
}

func TestCutLastLine(t *testing.T) {
	for _, tc := range []struct {
		name, tail string
		aside      bool
		facts      int
	}{
		{"half a line", `{"key":"client.enabled","val`, true, 1},
		{"zeros of a lost block", strings.Repeat("\x00", 5000), true, 1},
		{"longer than a block", `{"key":"case.report","value":"` + strings.Repeat("x", 200_000), true, 1},
		{"only the newline is missing", `{"key":"client.enabled","value":true}`, false, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			c := create(t, dir, options(noon))
			if err := c.Fact(diag.Fact{Key: "client.sku", Value: "amt"}); err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(c.Folder(), "facts.jsonl")
			f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			_, _ = f.WriteString(tc.tail)
			_ = f.Close()

			r, err := Read(dir, c.ID())
			if err != nil || len(r.Facts) != tc.facts || (len(r.Damage) == 1) != tc.aside {
				t.Fatalf("read %d facts, damage %q, %v", len(r.Facts), r.Damage, err)
			}
			again, err := Open(dir, c.ID())
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if (len(again.Repaired) == 1) != tc.aside {
				t.Errorf("repaired %q", again.Repaired)
			}
			if tc.aside {
				kept, err := os.ReadFile(path + ".cut-1")
				if err != nil || string(kept) != tc.tail {
					t.Errorf("kept %d bytes, %v", len(kept), err)
				}
			}
			if err := again.Fact(diag.Fact{Key: "client.enabled", Value: false}); err != nil {
				t.Fatal(err)
			}
			r, err = Read(dir, c.ID())
			if err != nil || len(r.Facts) != tc.facts+1 {
				t.Errorf("then %d facts, %v", len(r.Facts), err)
			}
			if tc.aside && (len(r.Damage) != 1 || !bytes.Contains(r.Log, []byte("cut off"))) {
				t.Errorf("damage %q, log %q", r.Damage, r.Log)
			}
		})
	}
}

func TestDamagedLinesAreReported(t *testing.T) {
	dir := t.TempDir()
	c := create(t, dir, options(noon))
	if err := c.Action(flow.Action{Remedy: "rm-x", Stage: "intended", Title: "change"}); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	write(t, filepath.Join(c.Folder(), "facts.jsonl"), "nonsense\n{\"key\":\"client.enabled\",\"value\":7}\n{\"key\":\"client.enabled\",\"value\":true}\n")
	appendTo(t, filepath.Join(c.Folder(), "actions.jsonl"), "[]\n")
	r, err := Read(dir, c.ID())
	if err != nil || len(r.Facts) != 1 || len(r.Actions) != 1 || len(r.Damage) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTwoWriters(t *testing.T) {
	dir := t.TempDir()
	c := create(t, dir, options(noon))
	_, err := Open(dir, c.ID())
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("the second writer got %v", err)
	}
	if _, err := Read(dir, c.ID()); err != nil {
		t.Errorf("reading waits for the writer: %v", err)
	}
	_ = c.Close()
	again, err := Open(dir, c.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if err := again.Fact(diag.Fact{Key: "client.enabled", Value: true}); err == nil {
		t.Error("a closed case takes facts")
	}
}

func TestManyGoroutines(t *testing.T) {
	dir := t.TempDir()
	c := create(t, dir, options(noon))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if err := c.Fact(diag.Fact{Key: "case.report", Value: fmt.Sprint("line ", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 20 {
		if _, err := Read(dir, c.ID()); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if r, err := Read(dir, c.ID()); err != nil || len(r.Facts) != 40 || len(r.Damage) > 0 {
		t.Errorf("%d facts, %v", len(r.Facts), err)
	}
}

func TestListNewestFirst(t *testing.T) {
	dir := t.TempDir()
	if id, err := Newest(filepath.Join(dir, "missing")); id != "" || err != nil {
		t.Errorf("newest of nothing: %q, %v", id, err)
	}
	var ids []string
	for i := range 3 {
		o := options(noon.Add(time.Duration(i) * time.Second)) // within one minute
		o.Practice = &Practice{Seed: 4, Faults: []string{"rc-pid-unknown"}}
		ids = append(ids, create(t, dir, o).ID())
	}
	for name, text := range map[string]string{
		"case-empty":   "",
		"case-later":   `{"format":"amtmedic-case/9","id":"case-later","created":"2030-01-01T00:00:00Z"}`,
		"case-other":   `{"format":"amtmedic-case/1","id":"case-else","created":"2030-01-01T00:00:00Z"}`,
		"case-notime":  `{"format":"amtmedic-case/1","id":"case-notime"}`,
		"case-nojson":  `{"format"`,
		"not-a-case-x": `{}`,
	} {
		_ = os.MkdirAll(filepath.Join(dir, name), 0o700)
		if text != "" {
			write(t, filepath.Join(dir, name, "case.json"), text)
		}
	}
	write(t, filepath.Join(dir, "amtmedic.db"), "x")
	es, err := List(dir)
	if err != nil || len(es) != 8 {
		t.Fatalf("%d entries, %v", len(es), err)
	}
	for i, e := range es {
		if (e.Err == nil) != (i < 3) {
			t.Errorf("entry %d %s: %v", i, e.ID, e.Err)
		}
	}
	if es[0].ID != ids[2] || es[2].ID != ids[0] || es[0].Info.Practice.Seed != 4 {
		t.Errorf("order %v, made as %v", es[:3], ids)
	}
	if id, err := Newest(dir); id != ids[2] || err != nil {
		t.Errorf("newest %q, %v", id, err)
	}
}

func TestIDs(t *testing.T) {
	dir := t.TempDir()
	o := options(noon)
	n := 0
	o.Rand = func(int) int { n++; return n / 2 % 3 } // few different ids: they collide
	seen := map[string]bool{}
	for range 6 {
		c := create(t, dir, o)
		if seen[c.ID()] || !strings.HasPrefix(c.ID(), "case-20261125-1200-") || len(c.ID()) > 25 {
			t.Errorf("id %s", c.ID())
		}
		seen[c.ID()] = true
	}
	for _, bad := range []string{"", ".", "..", "../x", "a/b", `a\b`, "case-x\n", "-case", strings.Repeat("a", 65), "case-missing"} {
		var hint *amt.Error
		if _, err := Read(dir, bad); err == nil || !errors.As(err, &hint) {
			t.Errorf("%q was read: %v", bad, err)
		}
		if _, err := Open(dir, bad); err == nil {
			t.Errorf("%q was opened", bad)
		}
	}
}

func TestModesAndWire(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "home")
	c := create(t, dir, options(noon))
	var refs []string
	for range 2 {
		path, ref, err := c.WirePath("client")
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
		write(t, path, "packets")
	}
	write(t, filepath.Join(c.Folder(), "third.pcapng"), "packets") // where practice worlds put them
	if _, _, err := c.WirePath("server"); err != nil {             // stays empty
		t.Fatal(err)
	}
	if _, _, err := c.WirePath("../x"); err == nil {
		t.Error("a side leads out of the folder")
	}
	if fmt.Sprint(refs) != "[wire/client.pcapng wire/client-2.pcapng]" {
		t.Errorf("names %v", refs)
	}
	r, err := Read(dir, c.ID())
	if err != nil || len(r.Wire) != 3 {
		t.Errorf("wire files %v, %v", r.Wire, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	_ = filepath.Walk(dir, func(p string, fi os.FileInfo, err error) error {
		want := os.FileMode(0o600)
		if fi.IsDir() {
			want = 0o700
		}
		if fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v", p, fi.Mode())
		}
		return err
	})
}

func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	empty, full := create(t, dir, options(noon)), create(t, dir, options(noon))
	if err := full.Fact(diag.Fact{Key: "client.enabled", Value: true}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Case{empty, full} {
		if err := c.Discard(); err != nil {
			t.Fatal(err)
		}
	}
	if es, err := List(dir); err != nil || len(es) != 1 || es[0].ID != full.ID() {
		t.Errorf("left are %v, %v", es, err)
	}
}

func TestDir(t *testing.T) {
	home := func() (string, error) { return "/home/a", nil }
	abs, _ := filepath.Abs("rel")
	for _, tc := range []struct {
		name, goos string
		env        map[string]string
		want       string
	}{
		{"named", "linux", map[string]string{"AMTMEDIC_HOME": "rel", "XDG_STATE_HOME": "/s"}, abs},
		{"xdg", "linux", map[string]string{"XDG_STATE_HOME": abs}, abs + "/amtmedic"},
		{"relative xdg is ignored", "linux", map[string]string{"XDG_STATE_HOME": "s"}, "/home/a/.local/state/amtmedic"},
		{"linux", "linux", nil, "/home/a/.local/state/amtmedic"},
		{"mac", "darwin", nil, "/home/a/Library/Application Support/amtmedic"},
		{"windows", "windows", map[string]string{"LOCALAPPDATA": abs, "XDG_STATE_HOME": "/s"}, abs + "/amtmedic"},
	} {
		got, err := dirFor(tc.goos, func(k string) string { return tc.env[k] }, home)
		if err != nil || filepath.ToSlash(got) != filepath.ToSlash(tc.want) {
			t.Errorf("%s: %s, %v", tc.name, got, err)
		}
	}
	if _, err := dirFor("linux", func(string) string { return "" }, func() (string, error) { return "", errors.New("none") }); err == nil {
		t.Error("a place without home")
	}
}

func TestBrokenWriteLeavesTheFileAsBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	l, _, err := openLines(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.append([]byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	_ = l.f.Close() // as if the disk went away
	for range 2 {
		if l.append([]byte("{}\n")) == nil {
			t.Error("a line that is not on disk was confirmed")
		}
	}
	if b, _ := os.ReadFile(path); string(b) != "{}\n" {
		t.Errorf("the file is %q", b)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(b)+text)
}
