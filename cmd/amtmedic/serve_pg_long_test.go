package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"amtmedic/amt/store/pgtest"
)

// long skips a test that takes its time.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("a long test: AMTMEDIC_LONG=1")
	}
	t.Parallel()
}

// slowly lets a session last long enough to be cut in its middle.
const slowly = "--inject=*=slow:30ms"

// kept checks that every hello that was acknowledged has its row.
func (f *fellowship) kept(acked map[string]bool) {
	f.t.Helper()
	states, lost := f.states(), 0
	for u := range acked {
		if states[u] == "" {
			lost++
		}
	}
	f.t.Logf("%d hellos acknowledged, %d clients in the tables", len(acked), len(states))
	if lost > 0 || len(acked) == 0 {
		f.t.Errorf("%d of %d acknowledged hellos are lost", lost, len(acked))
	}
}

// Two servers are killed again and again while they provision: every client is provisioned, by whichever
// lives, and nothing acknowledged is lost.
func TestServeTogetherKilled(t *testing.T) {
	long(t)
	f := together(t, pgtest.Start(t))
	args := []string{"--lease", "2s", "--sessions", "4"}
	f.start(f.url, args...)
	f.start(f.url, args...)
	stop := hellos(t, 1, f.servers[0].addr, f.servers[1].addr)
	s := f.clients(60, "127.0.92.1", false, slowly)
	for i := range 8 {
		time.Sleep(time.Second)
		f.kill(i%2, f.url, args...)
	}
	f.end(s)
	acked := stop()
	f.provisioned(s)
	f.kept(acked)
	if n := strings.Count(f.logs(), "clients are taken over from a worker"); n == 0 {
		t.Error("no client was taken over")
	} else {
		t.Logf("clients were taken over %d times", n)
	}
}

// PostgreSQL falls over and comes back under two servers that work.
func TestServePostgresRestarted(t *testing.T) {
	long(t)
	f := together(t, pgtest.Start(t))
	args := []string{"--lease", "2s", "--sessions", "4"}
	f.start(f.url, args...)
	f.start(f.url, args...)
	stop := hellos(t, 2, f.servers[0].addr, f.servers[1].addr)
	s := f.clients(60, "127.0.93.1", true, slowly)
	for range 4 {
		time.Sleep(time.Second)
		f.pg.Down(t)
		time.Sleep(500 * time.Millisecond)
		f.pg.Up(t)
	}
	f.end(s)
	acked := stop()
	f.provisioned(s)
	f.kept(acked)
	if n := strings.Count(f.logs(), `"what":"hello was not kept`); n > 2*4 {
		t.Errorf("%d lines tell of hellos that were not kept", n)
	}
}

// The connection of one server is cut for longer than a lease: the other one takes its clients over, and
// the one that was cut off lets them go.
func TestServeCutOff(t *testing.T) {
	long(t)
	f := together(t, pgtest.Start(t))
	relay := pgtest.NewRelay(t, f.pg.Port)
	behind := strings.Replace(f.url, f.pg.Port, relay.Port, 1)
	args := []string{"--lease", "2s", "--sessions", "6"}
	cut := f.start(behind, append(args, "--web", "127.0.0.1:0")...)
	healthy(t, cut, 200)
	f.start(f.url, args...)
	s := f.clients(80, "127.0.94.1", false, slowly)
	f.until("SELECT count(*)>0 FROM csto_queue_entries q JOIN servers s ON s.name=q.claimed_by WHERE s.process="+process(cut), "t")
	time.Sleep(300 * time.Millisecond)
	relay.Hold()
	if code := health(t, cut); code != 503 {
		t.Logf("health is %d at first", code) // what was read a moment ago counts for a second
	}
	stop := hellos(t, 3, cut.addr)
	f.until("SELECT count(*) FROM csto_queue_entries q JOIN servers s ON s.name=q.claimed_by WHERE s.process="+process(cut), "0")
	healthy(t, cut, 503)
	if acked := stop(); len(acked) > 0 {
		t.Errorf("%d hellos are acknowledged while the database is cut off", len(acked))
	}
	relay.Mend()
	f.end(s)
	f.provisioned(s)
	healthy(t, cut, 200)
	again := hellos(t, 4, cut.addr)
	time.Sleep(time.Second)
	f.kept(again())
	said(t, cut, "another worker has this client by now")
}

// The primary dies and its standby is promoted: with synchronous replication nothing acknowledged is
// lost, and both servers go over to the standby by themselves.
func TestServeFailover(t *testing.T) {
	long(t)
	primary := pgtest.Start(t, "max_wal_senders=4", "wal_level=replica")
	f := together(t, primary)
	standby := primary.Standby(t)
	f.url = strings.Replace(f.url, primary.Port, primary.Port+",127.0.0.1:"+standby.Port, 1) + "?target_session_attrs=read-write"
	args := []string{"--lease", "3s", "--sessions", "4"}
	f.start(f.url, args...)
	f.start(f.url, args...)
	stop := hellos(t, 5, f.servers[0].addr, f.servers[1].addr)
	s := f.clients(40, "127.0.95.1", true, slowly)
	time.Sleep(1500 * time.Millisecond)
	primary.Down(t)
	before := stop()
	standby.Promote(t)
	f.pg = standby
	f.kept(before)
	stop = hellos(t, 6, f.servers[0].addr, f.servers[1].addr)
	f.end(s)
	f.provisioned(s)
	f.kept(stop())
}

// A server that is cut off from its database while it works ends on SIGTERM all the same.
func TestServeStoppedWhileCutOff(t *testing.T) {
	long(t)
	f := together(t, pgtest.Start(t))
	relay := pgtest.NewRelay(t, f.pg.Port)
	cut := f.start(strings.Replace(f.url, f.pg.Port, relay.Port, 1), "--sessions", "6")
	f.clients(40, "127.0.96.1", false, slowly)
	f.until("SELECT count(*)>0 FROM csto_queue_entries WHERE claimed_by IS NOT NULL", "t")
	time.Sleep(300 * time.Millisecond)
	stop := hellos(t, 7, cut.addr)
	relay.Hold()
	time.Sleep(2 * time.Second)
	begin := time.Now()
	code := cut.end(syscall.SIGTERM)
	stop()
	t.Logf("ended with %d after %v", code, time.Since(begin))
	if took := time.Since(begin); took > 20*time.Second || code != 0 { // 10 s, on a machine that does other things too
		t.Errorf("ended with %d after %v", code, took)
	}
}
