package store

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
)

const lease = time.Minute

// withClock opens a fresh store whose clock the test moves.
func withClock(t *testing.T, now *time.Time) *Store {
	t.Helper()
	return freshAt(t, Options{Now: func() time.Time { return *now }})
}

func claim(t *testing.T, s *Store, worker string, n int) []Job {
	t.Helper()
	jobs, err := s.Claim(t.Context(), worker, n, lease)
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func queueClients(t *testing.T, s *Store, now *time.Time, n int) {
	t.Helper()
	for i := range n {
		*now = now.Add(time.Millisecond)
		record(t, s, Hello{From: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, 0, byte(i)}), 16994), Version: 3, UUID: amt.UUID{1, byte(i)}})
	}
}

func stateOf(t *testing.T, s *Store, u amt.UUID) Client {
	t.Helper()
	c, ok, err := s.Client(t.Context(), u)
	if err != nil || !ok {
		t.Fatalf("client %s: %v, %v", u, ok, err)
	}
	return c
}

func TestClaimGivesEachEntryOnce(t *testing.T) {
	now := time.UnixMicro(1e15)
	s := withClock(t, &now)
	queueClients(t, s, &now, 5)
	a, b, c := claim(t, s, "one", 2), claim(t, s, "two", 10), claim(t, s, "one", 10)
	if len(a) != 2 || len(b) != 3 || len(c) != 0 {
		t.Fatalf("claimed %d, %d, %d of 5", len(a), len(b), len(c))
	}
	for i, j := range slices.Concat(a, b) {
		want := Job{UUID: amt.UUID{1, byte(i)}, Kind: 3, Attempts: 1, Address: netip.AddrFrom4([4]byte{10, 20, 0, byte(i)}), Worker: j.Worker, Enqueued: j.Enqueued}
		if j != want {
			t.Errorf("job %d is %+v, oldest first would be %+v", i, j, want)
		}
	}
	if st := stateOf(t, s, a[0].UUID).State; st != InProgress {
		t.Errorf("a claimed client is %s", st)
	}
}

func TestLease(t *testing.T) {
	now := time.UnixMicro(1e15)
	s := withClock(t, &now)
	queueClients(t, s, &now, 2)
	old := claim(t, s, "dead", 2)
	now = now.Add(lease / 2)
	if kept, err := s.Renew(t.Context(), "dead", old, lease); err != nil || len(kept) != 2 {
		t.Fatalf("renewed %v, %v", kept, err)
	}
	now = now.Add(lease - time.Second)
	if got := claim(t, s, "other", 2); len(got) != 0 {
		t.Fatalf("a renewed lease was broken: %+v", got)
	}
	now = now.Add(2 * time.Second)
	taken := claim(t, s, "other", 1)
	if len(taken) != 1 || taken[0].Attempts != 2 || taken[0].From != "dead" {
		t.Fatalf("a lease that ran out gives %+v", taken)
	}
	for name, err := range map[string]error{
		"finish":   s.Finish(t.Context(), old[0], Done{}),
		"delay":    s.Delay(t.Context(), old[0], "rc-back-refused: no", "no", time.Hour),
		"password": s.SetNextPassword(t.Context(), old[0], amt.NewSecret("P@ssw0rd")),
		"step":     s.NoteStep(t.Context(), old[0], "clock"),
	} {
		if !errors.Is(err, ErrLeaseLost) {
			t.Errorf("%s by the worker that lost its lease: %v", name, err)
		}
	}
	if kept, err := s.Renew(t.Context(), "dead", old, lease); err != nil || len(kept) != 1 || kept[0] != old[1].UUID {
		t.Errorf("renewed what another one has: %v, %v", kept, err)
	}
	if n, err := s.Release(t.Context(), "other"); n != 1 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	lock, err := s.LockQueue("test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Release() }()
	want := 1
	if server != nil { // another server may be at it
		want = 0
	}
	if n, err := s.ReleaseOrphans(t.Context(), lock); n != want || err != nil {
		t.Errorf("released %d of what is left, %v", n, err)
	}
}

func TestFinish(t *testing.T) {
	now := time.UnixMicro(1e15)
	s := withClock(t, &now)
	if _, err := s.ImportKeys(t.Context(), []Pair{{PID: goodPID, PPS: amt.NewSecret(goodPPS)}}); err != nil {
		t.Fatal(err)
	}
	record(t, s, hello(t, 2, goodPID))
	j := claim(t, s, "w", 1)[0]
	secret := amt.NewSecret("Zx9!" + strings.Repeat("q", 8))
	for _, step := range []string{"clock", "admin"} {
		now = now.Add(time.Second)
		if err := s.NoteStep(t.Context(), j, step); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetNextPassword(t.Context(), j, secret); err != nil {
		t.Fatal(err)
	}
	if v, n, err := s.Passwords(t.Context(), j.UUID); err != nil || !v.IsZero() || !n.Equal(secret) {
		t.Errorf("before: verified %v, next %v, %v", v.IsZero(), n.Equal(secret), err)
	}
	if err := s.Finish(t.Context(), j, Done{FQDN: "pc-0412.corp.example", Version: "3.2.1", Profile: "default", Password: secret, Text: "provisioned"}); err != nil {
		t.Fatal(err)
	}
	if v, n, err := s.Passwords(t.Context(), j.UUID); err != nil || !v.Equal(secret) || !n.IsZero() {
		t.Errorf("after: verified %v, next %v, %v", v.Equal(secret), n.IsZero(), err)
	}
	c := stateOf(t, s, j.UUID)
	if c.State != Provisioned || c.FQDN != "pc-0412.corp.example" || c.AMTVersion != "3.2.1" {
		t.Errorf("client is %+v", c)
	}
	if row, ok, err := s.PID(t.Context(), goodPID); !ok || err != nil || !row.Used || row.UUID != j.UUID {
		t.Errorf("its pair: %+v, %v", row, err)
	}
	if _, ok, _ := s.Queue(t.Context(), j.UUID); ok {
		t.Error("the queue entry is still there")
	}
	if steps, err := s.Steps(t.Context(), j.UUID); err != nil || !slices.Equal(steps, []string{"clock", "admin"}) {
		t.Errorf("steps %v, %v", steps, err)
	}
	for _, f := range []string{s.Path(), s.Path() + "-wal"} { // of a shared database there is no file to look into
		if raw, err := os.ReadFile(f); err == nil && strings.Contains(string(raw), secret.Reveal()) {
			t.Errorf("%s holds the password in clear", filepath.Base(f))
		}
	}
	// A client that says hello again is in setup again, whatever it was.
	now = now.Add(time.Minute)
	record(t, s, hello(t, 2, goodPID))
	if c := stateOf(t, s, j.UUID); c.State != Unprovisioned {
		t.Errorf("after another hello it is %s", c.State)
	}
	if again := claim(t, s, "w", 1); len(again) != 1 || again[0].Attempts != 1 {
		t.Errorf("another configuration: %+v", again)
	}
	if steps, _ := s.Steps(t.Context(), j.UUID); len(steps) != 0 {
		t.Errorf("it begins with the steps of the last one: %v", steps)
	}
}

func TestDelay(t *testing.T) {
	now := time.UnixMicro(1e15)
	s := withClock(t, &now)
	queueClients(t, s, &now, 3)
	jobs := claim(t, s, "w", 3)
	const reason = "rc-back-blocked: no connection to 16993"
	for _, j := range jobs[:2] {
		if j == jobs[1] { // it says hello while it is worked on
			record(t, s, Hello{From: netip.AddrPortFrom(j.Address, 16994), Version: 3, UUID: j.UUID})
		}
		if err := s.Delay(t.Context(), j, reason, "no connection", time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	record(t, s, hello(t, 2, goodPID)) // waits for its pair, not for a time
	if c := stateOf(t, s, jobs[0].UUID); c.State != StateDelayed || c.Reason != reason {
		t.Errorf("delayed client: %+v", c)
	}
	if l, err := s.Log(t.Context(), jobs[0].UUID, 10); err != nil || l[len(l)-1].Code != "rc-back-blocked" || l[len(l)-1].Severity != SeverityError {
		t.Errorf("log %+v, %v", l, err)
	}
	n, next, err := s.PromoteDue(t.Context())
	if n != 0 || err != nil || !next.Equal(now.Add(againAfter)) {
		t.Errorf("at once: %d promoted, next %v (now %v), %v", n, next, now, err)
	}
	now = now.Add(againAfter)
	if n, next, err = s.PromoteDue(t.Context()); n != 1 || err != nil || !next.Equal(now.Add(time.Hour-againAfter)) {
		t.Errorf("the one that said hello: %d promoted, next %v, %v", n, next, err)
	}
	if got := claim(t, s, "w", 9); len(got) != 1 || got[0].UUID != jobs[1].UUID || got[0].Attempts != 2 {
		t.Errorf("claimed %+v", got)
	}
	now = now.Add(2 * time.Hour)
	if n, next, err = s.PromoteDue(t.Context()); n != 1 || !next.IsZero() || err != nil {
		t.Errorf("later: %d promoted, next %v, %v", n, next, err)
	}
}
