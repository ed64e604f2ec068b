package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"amtmedic/amt"
)

// server is the PostgreSQL that fresh makes its databases on; nil is SQLite.
var server *cluster

// cluster is a PostgreSQL server of Debian's package, started by a test.
type cluster struct {
	bin, data, port string
	run             func(name string, args ...string) *exec.Cmd
	count           int
}

// startPostgres makes a cluster that listens on loopback until the test ends.
func startPostgres(t testing.TB) *cluster {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 || runtime.GOOS != "linux" {
		if os.Getenv("CI") != "" {
			t.Fatal("PostgreSQL is missing")
		}
		t.Skip("PostgreSQL is missing: the shared database was not tried")
	}
	dir, err := os.MkdirTemp("", "amtmedic-pg-") // t.TempDir is closed to the account that the server runs as
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &cluster{bin: filepath.Dir(found[len(found)-1]), data: filepath.Join(dir, "data")}
	c.run = func(name string, args ...string) *exec.Cmd {
		return exec.Command(filepath.Join(c.bin, name), args...)
	}
	if u, err := user.Lookup("postgres"); err == nil && os.Getuid() == 0 { // it refuses to run as root
		c.run = func(name string, args ...string) *exec.Cmd {
			return exec.Command("setpriv", append([]string{"--reuid=" + u.Uid, "--regid=" + u.Gid, "--clear-groups", filepath.Join(c.bin, name)}, args...)...)
		}
		if out, err := exec.Command("chown", u.Uid, dir).CombinedOutput(); err != nil {
			t.Fatalf("chown: %v %s", err, out)
		}
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, c.port, _ = net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	c.must(t, "initdb", "-D", c.data, "-U", "core", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	c.start(t)
	t.Cleanup(func() { _ = c.run("pg_ctl", "-D", c.data, "-m", "immediate", "stop").Run() })
	return c
}

func (c *cluster) must(t testing.TB, name string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := c.run(name, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.WaitDelay = &out, &out, "/", time.Second // the server keeps the pipe open
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("%s: %v\n%s", name, err, out.Bytes())
	}
}

func (c *cluster) start(t testing.TB) {
	t.Helper()
	c.must(t, "pg_ctl", "-D", c.data, "-w", "-t", "60", "-l", filepath.Join(filepath.Dir(c.data), "log"),
		"-o", "-h 127.0.0.1 -p "+c.port+" -k "+filepath.Dir(c.data), "start")
}

func (c *cluster) url(name string) string {
	return "postgres://core:sesame@127.0.0.1:" + c.port + "/" + name
}

// database makes an empty database and gives its URL.
func (c *cluster) database(t testing.TB) string {
	t.Helper()
	c.count++
	name := fmt.Sprintf("intelamt%d", c.count)
	c.must(t, "createdb", "-h", "127.0.0.1", "-p", c.port, "-U", "core", name)
	return c.url(name)
}

// The tests of the tables hold for both databases.
func TestOnPostgres(t *testing.T) {
	server = startPostgres(t)
	defer func() { server = nil }()
	for name, test := range map[string]func(*testing.T){
		"unknown PID": TestHelloOfUnknownPIDWaitsForItsKey, "group": TestGroupIsAsOneByOne, "passphrase": TestPassphrase, "actions": TestHelloActions, "one entry": TestOneEntryPerClient,
		"keys": TestImportKeys, "map": TestImportMap, "bad request": TestBadRequestFailsAlone, "trim": TestTrimLog, "remove": TestRemoveKey,
		"profiles": TestProfiles, "TLS mode": TestTLSModeFollows, "authorities": TestAuthorities, "certificates": TestCertificates, "client secrets": TestClientSecrets,
		"listings": TestListings, "log listing": TestListLog, "settings": TestSetConfig, "promote": TestPromoteNow,
		"replace": TestReplace, "retire": TestRetireAndReuse, "retired hello": TestHelloOfRetiredClient, "apply names": TestApplyNames, "fleet": TestFleet, "foreign": TestForeign,
		"tokens": TestTokens, "audit": TestAudit, "observer": TestObserver,
		"claim": TestClaimGivesEachEntryOnce, "lease": TestLease, "finish": TestFinish, "delay": TestDelay,
	} {
		t.Run(name, test)
	}
	t.Run("causes", postgresCauses)
	t.Run("two servers", postgresTwoServers)
	if os.Getenv("AMTMEDIC_LONG") == "1" {
		t.Run("restart", postgresRestart)
	}
	t.Run("psql", postgresPSQL)
}

func postgresCauses(t *testing.T) {
	key := Options{KeyFile: filepath.Join(t.TempDir(), "k")}
	if _, err := Open(t.Context(), server.url("nonesuch"), key); !errors.Is(err, ErrNotFound) || strings.Contains(err.Error(), "sesame") {
		t.Errorf("no such database: %v", err)
	}
	if _, err := OpenExisting(t.Context(), server.database(t), Options{}); !errors.Is(err, ErrNoTable) {
		t.Errorf("an empty database: %v", err)
	}
	target := server.database(t)
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
}

// Several servers on one database: each entry goes to one of them, and a hello of the same client to
// both leaves one entry.
func postgresTwoServers(t *testing.T) {
	target, key := server.database(t), Options{KeyFile: filepath.Join(t.TempDir(), "k")}
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
		server.must(t, "pg_ctl", "-D", server.data, "-m", "immediate", "-w", "stop")
		server.start(t)
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
	s := fresh(t)
	record(t, s, hello(t, 2, goodPID))
	out, err := exec.Command(filepath.Join(server.bin, "psql"), "-h", "127.0.0.1", "-p", server.port, "-U", "core", "-At",
		"-c", "SELECT uuid, reason FROM csto_delayed_entries", fmt.Sprintf("intelamt%d", server.count)).CombinedOutput()
	if want := uuidText + "|" + ReasonPIDUnknown + "\n"; err != nil || string(out) != want {
		t.Errorf("psql says %q, %v", out, err)
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
