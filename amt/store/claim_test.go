package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store/pgtest"
)

// A claim whose answer was lost leaves an entry that its worker does not know of: the worker's renewals
// leave it alone, so that its lease ends.
func TestLostClaimRunsOut(t *testing.T) {
	now := time.UnixMicro(1e15)
	s := withClock(t, &now)
	queueClients(t, s, &now, 2)
	jobs := claim(t, s, "w", 2)
	now = now.Add(lease / 2)
	if _, err := s.Renew(t.Context(), "w", jobs[:1], lease); err != nil {
		t.Fatal(err)
	}
	now = now.Add(lease/2 + time.Second)
	if got := claim(t, s, "w", 2); len(got) != 1 || got[0].UUID != jobs[1].UUID {
		t.Errorf("claimed %+v, want the entry that nobody works on", got)
	}
}

// A hello that was received before its client was provisioned, and is noted after it, asks for nothing; one
// that was received after it does.
func TestLateHello(t *testing.T) {
	now := time.UnixMicro(1e15)
	s := withClock(t, &now)
	queueClients(t, s, &now, 1)
	j := claim(t, s, "w", 1)[0]
	if err := s.Finish(t.Context(), j, Done{Text: "done"}); err != nil {
		t.Fatal(err)
	}
	note := func(age time.Duration) Outcome {
		t.Helper()
		h := Hello{Version: 3, UUID: j.UUID}
		r := &recording{s: s, h: h, uuid: j.UUID.String(), now: now.UnixMicro(), begun: time.Now().Add(-age)}
		if err := s.writeHello(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		return r.out
	}
	now = now.Add(time.Second / 2)
	if out := note(2 * time.Second); out.Action != Late || stateOf(t, s, j.UUID).State != Provisioned {
		t.Errorf("a late hello: %+v, the client is %s", out, stateOf(t, s, j.UUID).State)
	}
	now = now.Add(time.Minute)
	if out := note(2 * time.Second); out.Action != Queued || stateOf(t, s, j.UUID).State != Unprovisioned {
		t.Errorf("a later hello: %+v, the client is %s", out, stateOf(t, s, j.UUID).State)
	}
}

// Two servers whose clocks are hours apart: only the clock of the database says when a lease ends.
func postgresClocks(t *testing.T) {
	target, key := server.URL(server.Database(t)), filepath.Join(t.TempDir(), "k")
	early, late := openClocked(t, target, key, -3*time.Hour), openClocked(t, target, key, 3*time.Hour)
	for i := range 2 {
		record(t, early, Hello{Version: 3, UUID: amt.UUID{9, byte(i)}})
	}
	mine, err := early.Claim(t.Context(), "early", 1, time.Minute)
	if err != nil || len(mine) != 1 {
		t.Fatalf("claimed %v, %v", mine, err)
	}
	theirs, err := late.Claim(t.Context(), "late", 9, time.Minute)
	if err != nil || len(theirs) != 1 || theirs[0].UUID == mine[0].UUID {
		t.Errorf("the clock that is fast claims %+v, %v; the lease of the other has just begun", theirs, err)
	}
	if err := early.Delay(t.Context(), mine[0], "rc-back-refused: no", "no", time.Hour); err != nil {
		t.Fatal(err)
	}
	if n, _, err := late.PromoteDue(t.Context()); n != 0 || err != nil {
		t.Errorf("the clock that is fast promotes %d of what is due in an hour, %v", n, err)
	}
	if err := late.Delay(t.Context(), theirs[0], "rc-back-refused: no", "no", 0); err != nil {
		t.Fatal(err)
	}
	if n, _, err := early.PromoteDue(t.Context()); n != 1 || err != nil {
		t.Errorf("the clock that is slow promotes %d of what is due now, %v", n, err)
	}
}

// openClocked opens a store whose process has a clock that is off.
func openClocked(t *testing.T, target, key string, off time.Duration) *Store {
	t.Helper()
	s, err := Open(t.Context(), target, Options{KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.now = func() time.Time { return time.Now().Add(off) }
	return s
}

// Several servers do at the same moment what is due: nobody fails, nothing is promoted twice.
func postgresPromoteTogether(t *testing.T) {
	const clients = 60
	all := shared(t, 3)
	for i := range clients {
		record(t, all[0], Hello{Version: 3, UUID: amt.UUID{9, byte(i)}})
	}
	for round := range 5 {
		jobs, err := all[round%3].Claim(t.Context(), "w", clients, time.Minute)
		if err != nil || len(jobs) != clients {
			t.Fatalf("round %d: claimed %d of %d, %v", round, len(jobs), clients, err)
		}
		for _, j := range jobs {
			if err := all[0].Delay(t.Context(), j, "rc-back-refused: no", "no", 0); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for _, s := range all {
			wg.Go(func() {
				if _, _, err := s.PromoteDue(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if rows, err := all[0].Log(t.Context(), amt.UUID{9, 7}, 100); err != nil || len(rows) != 1+5*2 {
		t.Errorf("%d log rows of one client, want its hello and five times delayed and promoted; %v", len(rows), err)
	}
}

// shared opens n stores on one new database.
func shared(t *testing.T, n int) (all []*Store) {
	t.Helper()
	target, key := server.URL(server.Database(t)), filepath.Join(t.TempDir(), "k")
	for range n {
		all = append(all, openClocked(t, target, key, 0))
	}
	return all
}

// An entry whose lease has just run out is finished by its old worker and claimed by another one at the
// same moment, again and again: one of the two has it, never both, and it is never lost.
func postgresFinishMeetsClaim(t *testing.T) {
	all := shared(t, 2)
	for i := range 40 {
		u := amt.UUID{8, byte(i)}
		record(t, all[0], Hello{Version: 3, UUID: u})
		old, err := all[0].Claim(t.Context(), "old", 1, -time.Second)
		if err != nil || len(old) != 1 {
			t.Fatalf("claimed %v, %v", old, err)
		}
		var wg sync.WaitGroup
		var finished error
		var taken []Job
		wg.Go(func() { finished = all[0].Finish(t.Context(), old[0], Done{Text: "done"}) })
		wg.Go(func() {
			if taken, err = all[1].Claim(t.Context(), "new", 1, time.Minute); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if finished == nil && len(taken) > 0 {
			t.Fatalf("round %d: finished by its old worker (%v), and claimed by %d others", i, finished, len(taken))
		}
		for _, j := range taken {
			if err := all[1].Finish(t.Context(), j, Done{Text: "done"}); err != nil {
				t.Errorf("round %d: the new worker's entry is gone: %v", i, err)
			}
		}
		if finished != nil && len(taken) == 0 { // each left it to the other one; it is there
			if again, err := all[1].Claim(t.Context(), "new", 1, time.Minute); err != nil || len(again) != 1 {
				t.Fatalf("round %d: the entry is lost: %v, %v", i, again, err)
			} else if err := all[1].Finish(t.Context(), again[0], Done{Text: "done"}); err != nil {
				t.Error(err)
			}
		}
	}
}

// A hello and the import of its key that miss each other leave a client that waits for a key that is
// there.
func postgresKeyMissed(t *testing.T) {
	s := shared(t, 1)[0]
	record(t, s, hello(t, 2, goodPID))
	if err := s.write(t.Context(), func(t *tx) error {
		return t.exec(`INSERT INTO csti_pid_map (id, pid, pps) VALUES (1, ?, '')`, string(goodPID))
	}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.PromoteKeyed(t.Context()); n != 1 || err != nil {
		t.Errorf("promoted %d, %v", n, err)
	}
	if n, err := s.PromoteKeyed(t.Context()); n != 0 || err != nil {
		t.Errorf("promoted %d again, %v", n, err)
	}
}

// A server is cut off in the middle of a transaction: the database does not keep its locks for hours.
func postgresHeldLocks(t *testing.T) {
	relay := pgtest.NewRelay(t, server.Port)
	target, key := server.URL(server.Database(t)), filepath.Join(t.TempDir(), "k")
	one := openClocked(t, target, key, 0)
	cut := openClocked(t, strings.Replace(target, server.Port, relay.Port, 1), key, 0)
	h := Hello{Version: 3, UUID: amt.UUID{5}}
	record(t, one, h)
	locked := make(chan struct{})
	go func() {
		_ = cut.write(context.Background(), func(t *tx) error {
			err := t.exec(`UPDATE csti_amts SET changed_us=1 WHERE uuid=?`, h.UUID.String())
			relay.Hold()
			close(locked)
			return errors.Join(err, t.exec(`UPDATE csti_amts SET changed_us=2 WHERE uuid=?`, h.UUID.String()))
		})
	}()
	<-locked
	begin := time.Now()
	for end := begin.Add(lockTime + 60*time.Second); ; {
		if jobs, err := one.Claim(t.Context(), "w", 1, time.Minute); err != nil || len(jobs) == 1 {
			t.Logf("claimed after %v: %v", time.Since(begin), err)
			break
		} else if time.Now().After(end) {
			t.Fatal("a server that is cut off keeps its locks")
		}
		time.Sleep(50 * time.Millisecond)
	}
	relay.Reset()
}

// Servers that start at the same moment on an empty database all come up, with the same key.
func postgresOpenTogether(t *testing.T) {
	for range 3 {
		target, key := server.URL(server.Database(t)), filepath.Join(t.TempDir(), "k")
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				s, err := Open(t.Context(), target, Options{KeyFile: key})
				if err != nil {
					t.Error(fmt.Errorf("server %d: %w", i, err))
					return
				}
				_ = s.Close()
			})
		}
		wg.Wait()
	}
}
