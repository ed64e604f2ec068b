package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store/pgtest"
)

// server is the PostgreSQL that fresh makes its databases on; nil is SQLite.
var server *pgtest.Cluster

// The tests of the tables hold for both databases.
func TestOnPostgres(t *testing.T) {
	server = pgtest.Start(t)
	defer func() { server = nil }()
	for name, test := range map[string]func(*testing.T){
		"unknown PID": TestHelloOfUnknownPIDWaitsForItsKey, "group": TestGroupIsAsOneByOne, "passphrase": TestPassphrase, "actions": TestHelloActions, "one entry": TestOneEntryPerClient,
		"keys": TestImportKeys, "map": TestImportMap, "bad request": TestBadRequestFailsAlone, "trim": TestTrimLog, "older log": TestLogOfOlderDatabase, "log by client": TestLogByClient, "remove": TestRemoveKey,
		"profiles": TestProfiles, "TLS mode": TestTLSModeFollows, "authorities": TestAuthorities, "certificates": TestCertificates, "client secrets": TestClientSecrets,
		"listings": TestListings, "log listing": TestListLog, "settings": TestSetConfig, "promote": TestPromoteNow,
		"replace": TestReplace, "retire": TestRetireAndReuse, "retired hello": TestHelloOfRetiredClient, "apply names": TestApplyNames, "fleet": TestFleet, "foreign": TestForeign,
		"tokens": TestTokens, "certificate tokens": TestCertificateTokens, "audit": TestAudit, "trim audit": TestTrimAudit, "upkeep": TestUpkeep, "observer": TestObserver,
		"claim": TestClaimGivesEachEntryOnce, "lease": TestLease, "servers": TestServers, "lost claim": TestLostClaimRunsOut, "late hello": TestLateHello, "finish": TestFinish, "delay": TestDelay,
	} {
		t.Run(name, test)
	}
	t.Run("causes", postgresCauses)
	t.Run("two servers", postgresTwoServers)
	t.Run("clocks", postgresClocks)
	t.Run("notify", postgresNotify)
	t.Run("hosts", postgresHosts)
	t.Run("promote together", postgresPromoteTogether)
	t.Run("finish meets claim", postgresFinishMeetsClaim)
	t.Run("key missed", postgresKeyMissed)
	t.Run("open together", postgresOpenTogether)
	if os.Getenv("AMTMEDIC_LONG") == "1" {
		t.Run("restart", postgresRestart)
		t.Run("held locks", postgresHeldLocks)
	}
	t.Run("psql", postgresPSQL)
}

func postgresCauses(t *testing.T) {
	key := Options{KeyFile: filepath.Join(t.TempDir(), "k")}
	if _, err := Open(t.Context(), server.URL("nonesuch"), key); !errors.Is(err, ErrNotFound) || strings.Contains(err.Error(), "sesame") {
		t.Errorf("no such database: %v", err)
	}
	if _, err := OpenExisting(t.Context(), server.URL(server.Database(t)), Options{}); !errors.Is(err, ErrNoTable) {
		t.Errorf("an empty database: %v", err)
	}
	target := server.URL(server.Database(t))
	s, err := Open(t.Context(), target, key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if strings.Contains(s.Path(), "sesame") {
		t.Errorf("the path shows the password: %s", s.Path())
	}
	if _, err := Open(t.Context(), target, Options{KeyFile: filepath.Join(t.TempDir(), "other")}); !errors.Is(err, ErrKey) {
		t.Errorf("another key: %v", err)
	}
	look, err := OpenExisting(t.Context(), target, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = look.Close() }()
	if _, err := look.RecordHello(t.Context(), hello(t, 3, "")); !errors.Is(err, ErrDenied) {
		t.Errorf("written through a store to look at: %v", err)
	}
	if _, err := look.read.db.ExecContext(t.Context(), `DELETE FROM csti_configuration`); classify(err) == nil || !errors.Is(classify(err), ErrDenied) {
		t.Errorf("its connections can write: %v", err)
	}
	if err := s.Close(); err != nil { // and a second time at the end
		t.Error(err)
	}
}

// Several servers on one database: each entry goes to one of them, and a hello of the same client to
// both leaves one entry.
func postgresTwoServers(t *testing.T) {
	target, key := server.URL(server.Database(t)), Options{KeyFile: filepath.Join(t.TempDir(), "k")}
	var all []*Store
	for range 3 {
		s, err := Open(t.Context(), target, key)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if _, err := s.LockQueue("server"); err != nil {
			t.Errorf("a shared queue is refused: %v", err)
		}
		all = append(all, s)
	}
	const clients, workers = 400, 4
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() {
			for i := range clients {
				if _, err := s.RecordHello(t.Context(), Hello{Version: 3, UUID: amt.UUID{2, byte(i >> 8), byte(i)}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var mu sync.Mutex
	seen := map[amt.UUID]int{}
	for i, s := range all {
		for k := range workers {
			wg.Go(func() {
				name := fmt.Sprintf("w%d-%d", i, k)
				for {
					jobs, err := s.Claim(t.Context(), name, 7, time.Minute)
					if err != nil {
						t.Error(err)
					}
					if len(jobs) == 0 {
						return
					}
					for _, j := range jobs {
						mu.Lock()
						seen[j.UUID]++
						mu.Unlock()
						if err := s.Finish(t.Context(), j, Done{Text: "done"}); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
	}
	wg.Wait()
	for u, n := range seen {
		if n != 1 {
			t.Errorf("%s was claimed %d times", u, n)
		}
	}
	if len(seen) != clients {
		t.Errorf("%d of %d clients were claimed", len(seen), clients)
	}
}

// The server is killed and started again under load: what was acknowledged is there, and the store
// goes on by itself.
func postgresRestart(t *testing.T) {
	s := fresh(t)
	var mu sync.Mutex
	acknowledged := map[amt.UUID]bool{}
	var failed atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				h := Hello{Version: 3, UUID: amt.UUID{byte(g), byte(i >> 16), byte(i >> 8), byte(i), 1}}
				if _, err := s.RecordHello(context.Background(), h); err != nil {
					failed.Add(1)
					time.Sleep(5 * time.Millisecond)
					continue
				}
				mu.Lock()
				acknowledged[h.UUID] = true
				mu.Unlock()
			}
		})
	}
	for range 2 {
		time.Sleep(300 * time.Millisecond)
		server.Down(t)
		server.Up(t)
	}
	mu.Lock()
	before := len(acknowledged)
	mu.Unlock()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		n := len(acknowledged)
		mu.Unlock()
		if n > before+100 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no hello is taken after the restart")
		}
	}
	cancel()
	wg.Wait()
	clients, err := s.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		delete(acknowledged, c.UUID)
	}
	t.Logf("%d clients, %d requests failed during two restarts", len(clients), failed.Load())
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged hellos are lost", len(acknowledged))
	}
}

// psql, which we did not write, reads the tables by the names of SCS.
func postgresPSQL(t *testing.T) {
	name := server.Database(t)
	s, err := Open(t.Context(), server.URL(name), Options{KeyFile: filepath.Join(t.TempDir(), "k")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	record(t, s, hello(t, 2, goodPID))
	if got, want := server.Psql(t, name, "SELECT uuid, reason FROM csto_delayed_entries"), uuidText+"|"+ReasonPIDUnknown+"\n"; got != want {
		t.Errorf("psql says %q", got)
	}
}

func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"postgres://core:sesame@db:5432/IntelAMT?sslmode=disable&password=x": "postgres://core@db:5432/IntelAMT",
		"postgres://db/core": "postgres://db/core", "postgres://[db": "postgres://(a URL that cannot be read)",
	} {
		if got := shown(in); got != want {
			t.Errorf("%s is shown as %s", in, got)
		}
	}
	if got := (oneLine{errors.New("a:\n\tb\n\tc")}).Error(); got != "a: b c" {
		t.Errorf("%q", got)
	}
}

func TestDollars(t *testing.T) {
	for in, want := range map[string]string{
		"a=? AND b=?": "a=$1 AND b=$2", "?1, ?2, ?1": "$1, $2, $1", "none": "none",
		"VALUES (" + strings.Repeat("?, ", 11) + "?)": "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
	} {
		if got := dollars(in); got != want {
			t.Errorf("%s becomes %s", in, got)
		}
	}
	if got := integers([]any{true, false, 7}); !slices.Equal(got, []any{1, 0, 7}) {
		t.Errorf("%v", got)
	}
}
