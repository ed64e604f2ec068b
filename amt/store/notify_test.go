package store

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store/pgtest"
)

// counted counts wake-ups and waits for them.
type counted struct{ atomic.Int32 }

func (c *counted) wake() { c.Add(1) }

func (c *counted) above(t *testing.T, n int32, what string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); c.Load() <= n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: nobody was woken", what)
		}
	}
}

// What one server puts into the queue wakes another one, also after its connection was lost; what it
// puts there itself does not.
func postgresNotify(t *testing.T) {
	relay := pgtest.NewRelay(t, server.Port)
	target, key := server.URL(server.Database(t)), filepath.Join(t.TempDir(), "k")
	one := openClocked(t, target, key, 0)
	two := openClocked(t, strings.Replace(target, server.Port, relay.Port, 1), key, 0)
	var woken, own counted
	var lost atomic.Int32
	go two.Listen(t.Context(), woken.wake, func(err error) {
		if strings.Contains(err.Error(), "sesame") {
			t.Errorf("the password stands in %v", err)
		}
		lost.Add(1)
	})
	go one.Listen(t.Context(), own.wake, nil)
	woken.above(t, 0, "at the begin, for what came before")
	own.above(t, 0, "at the begin, for what came before")
	next := byte(0)
	queue := func() Hello {
		next++
		h := Hello{Version: 3, UUID: amt.UUID{6, next}}
		record(t, one, h)
		return h
	}
	n := woken.Load()
	h := queue()
	woken.above(t, n, "a hello at the other server")
	j, err := one.Claim(t.Context(), "w", 1, time.Minute)
	if err != nil || len(j) != 1 {
		t.Fatalf("claimed %v, %v", j, err)
	}
	n = woken.Load()
	if _, err := one.Release(t.Context(), "w"); err != nil {
		t.Fatal(err)
	}
	woken.above(t, n, "an entry that was given back")
	j, _ = one.Claim(t.Context(), "w", 1, time.Minute)
	if err := one.Delay(t.Context(), j[0], "rc-back-refused: no", "no", time.Hour); err != nil {
		t.Fatal(err)
	}
	n = woken.Load()
	if ok, err := one.PromoteNow(t.Context(), h.UUID, "it is wanted"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	woken.above(t, n, "a delayed entry that was promoted")

	relay.Reset()
	for end := time.Now().Add(30 * time.Second); lost.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody was told that listening ended")
		}
	}
	queue()
	n = woken.Load()
	relay.Mend()
	woken.above(t, n, "what came while the connection was lost")
	n = woken.Load()
	queue()
	woken.above(t, n, "a hello after the connection was lost")
	if n := own.Load(); n != 1 {
		t.Errorf("a server is woken %d times by its own hellos", n-1)
	}
}

// In a file nobody has to be woken from outside.
func TestListenInAFile(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "core.db"))
	s.Listen(t.Context(), func() { t.Error("woken") }, nil)
}

func TestMakesEntry(t *testing.T) {
	for query, want := range map[string]bool{
		"INSERT INTO csto_queue_entries (uuid, kind) VALUES (?, ?)": true,
		"UPDATE csto_queue_entries SET lease_us=?":                  false,
		"INSERT INTO csto_delayed_entries (uuid) VALUES (?)":        false,
	} {
		if makesEntry(query) != want {
			t.Errorf("%s", query)
		}
	}
}

// A URL with several hosts: the one that takes writes is found, whichever it is, by readers too.
func postgresHosts(t *testing.T) {
	gone := pgtest.NewRelay(t, server.Port)
	gone.Reset()
	name, key := server.Database(t), Options{KeyFile: filepath.Join(t.TempDir(), "k")}
	for _, hosts := range []string{gone.Port + ",127.0.0.1:" + server.Port, server.Port + ",127.0.0.1:" + gone.Port} {
		for _, options := range []string{"", "?target_session_attrs=read-write", "?target_session_attrs=primary"} {
			s, err := Open(t.Context(), "postgres://core:sesame@127.0.0.1:"+hosts+"/"+name+options, key)
			if err != nil {
				t.Errorf("%s%s: %v", hosts, options, err)
				continue
			}
			if _, err := s.RecordHello(t.Context(), hello(t, 3, "")); err != nil {
				t.Error(err)
			}
			if _, err := s.Clients(t.Context()); err != nil {
				t.Errorf("%s%s: readers: %v", hosts, options, err)
			}
			if strings.Contains(s.Path(), "sesame") || !strings.Contains(s.Path(), gone.Port) {
				t.Errorf("shown as %s", s.Path())
			}
			_ = s.Close()
		}
	}
}
