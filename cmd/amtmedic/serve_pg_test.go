package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/store/pgtest"
)

// fellowship is several servers on one PostgreSQL, as the tests run them.
type fellowship struct {
	t        *testing.T
	pg       *pgtest.Cluster
	database string
	url, key string
	servers  []*server
	ended    []string // logs of servers that were killed
}

func together(t *testing.T, pg *pgtest.Cluster) *fellowship {
	t.Helper()
	f := &fellowship{t: t, pg: pg, database: pg.Database(t), key: filepath.Join(t.TempDir(), "shared.key")}
	f.url = pg.URL(f.database)
	return f
}

// start starts another server at a URL, with the test's key.
func (f *fellowship) start(url string, more ...string) *server {
	f.t.Helper()
	s := startServe(f.t, url, append([]string{"--key-file", f.key}, more...)...)
	f.servers = append(f.servers, s)
	return s
}

// kill ends a server as kill -9 does, and starts another one at the same address.
func (f *fellowship) kill(i int, url string, more ...string) {
	f.t.Helper()
	s := f.servers[i]
	s.end(os.Kill)
	f.ended = append(f.ended, s.text())
	f.servers[i] = startServe(f.t, url, append([]string{"--key-file", f.key, "--listen", s.addr}, more...)...)
}

// process is a server's process id.
func process(s *server) string { return strconv.Itoa(s.cmd.Process.Pid) }

// logs gives what all servers said.
func (f *fellowship) logs() string {
	all := slices.Clone(f.ended)
	for _, s := range f.servers {
		all = append(all, s.text())
	}
	return strings.Join(all, "")
}

// sims are simulated clients whose hellos go to several servers.
type sims struct {
	cmd       *exec.Cmd
	said      bytes.Buffer // NDJSON; to be read after the end
	inventory string
}

// clients starts n clients whose hellos go to the servers in turn, or each to all of them at the same
// moment, and imports their keys and names.
func (f *fellowship) clients(n int, network string, all bool, more ...string) *sims {
	f.t.Helper()
	if runtime.GOOS != "linux" {
		f.t.Skip("clients need addresses of their own in 127.0.0.0/8, which only Linux has")
	}
	s := &sims{inventory: filepath.Join(f.t.TempDir(), "inv")}
	args := []string{"sim", "--to", newTurns(f.t, f.servers, all), "--fast", "--json", "--keep", "--inventory", s.inventory, "--count", strconv.Itoa(n), "--address", network}
	s.cmd = exec.Command("amtmedic", append(args, more...)...)
	s.cmd.Stdout, s.cmd.Stderr = &s.said, os.Stderr
	if err := s.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(s.inventory, "clients.csv")); err == nil {
			break
		} else if time.Now().After(end) {
			f.t.Fatalf("no inventory: %v", err)
		}
	}
	amtmedic(f.t, 0, "keys", "import", filepath.Join(s.inventory, "keys.csv"), "--db", f.url, "--key-file", f.key)
	amtmedic(f.t, 0, "discover", "import", filepath.Join(s.inventory, "map.csv"), "--db", f.url, "--key-file", f.key)
	return s
}

// end waits until all clients of the map are provisioned and at rest, and ends their simulation.
func (f *fellowship) end(s *sims) {
	f.t.Helper()
	f.until(`SELECT count(*) FROM csti_uuid_maps m LEFT JOIN csti_amts a ON a.uuid=m.uuid WHERE a.state IS DISTINCT FROM 2
		OR EXISTS (SELECT 1 FROM csto_queue_entries q WHERE q.uuid=m.uuid)`, "0")
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		f.t.Errorf("the clients end with %v", err)
	}
}

// turns is a relay that gives connections to servers in turn, or each to all.
type turns struct {
	all  bool
	to   []string
	next atomic.Int64
}

func newTurns(t *testing.T, servers []*server, all bool) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	r := &turns{all: all}
	for _, s := range servers {
		r.to = append(r.to, s.addr)
	}
	go func() {
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			go r.pass(c.(*net.TCPConn))
		}
	}()
	return ln.Addr().String()
}

// pass brings a hello to its servers, from the address of its client, and their close back. One that a
// server did not acknowledge is not acknowledged.
func (r *turns) pass(c *net.TCPConn) {
	defer func() { _ = c.Close() }()
	to := r.to
	if !r.all {
		to = []string{r.to[r.next.Add(1)%int64(len(r.to))]}
	}
	var ups []io.Writer
	for _, addr := range to {
		up, err := dialFrom(c.RemoteAddr().(*net.TCPAddr).IP.String(), addr)
		if err != nil {
			_ = c.SetLinger(0)
			return
		}
		defer func() { _ = up.Close() }()
		ups = append(ups, up)
	}
	go func() {
		_, _ = io.Copy(io.MultiWriter(ups...), c)
		for _, up := range ups {
			_ = up.(*net.TCPConn).CloseWrite()
		}
	}()
	for _, up := range ups {
		if _, err := up.(*net.TCPConn).Read(make([]byte, 1)); err != io.EOF {
			_ = c.SetLinger(0)
		}
	}
}

// provisioned checks that every client is provisioned, and was so once: as the database, the simulated
// firmware, and the logs of the servers say.
func (f *fellowship) provisioned(s *sims) {
	f.t.Helper()
	told, post := counts(f.logs(), "provisioned"), map[string]int{}
	for sc := bufio.NewScanner(bytes.NewReader(s.said.Bytes())); sc.Scan(); {
		var line struct{ UUID, State string }
		if json.Unmarshal(sc.Bytes(), &line) == nil && line.State == "post" {
			post[line.UUID]++
		}
	}
	file, err := os.Open(filepath.Join(s.inventory, "clients.csv"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		f.t.Fatal(err)
	}
	states := f.states()
	for _, row := range rows[1:] {
		if u := row[0]; states[u] != "provisioned" || post[u] != 1 || told[u] > 1 {
			f.t.Errorf("%s is %s; its firmware was provisioned %d times, the servers tell of %d\n%s", u, states[u], post[u], told[u],
				f.pg.Psql(f.t, f.database, "SELECT to_timestamp(at_us/1e6)::time, code, detail FROM csti_log WHERE uuid='"+u+"' ORDER BY id"))
		}
	}
}

// counts gives how often each client has a log line.
func counts(log, msg string) map[string]int {
	out := map[string]int{}
	for sc := bufio.NewScanner(strings.NewReader(log)); sc.Scan(); {
		var line struct{ Msg, UUID string }
		if json.Unmarshal(sc.Bytes(), &line) == nil && line.Msg == msg {
			out[line.UUID]++
		}
	}
	return out
}

// states gives the state of every client.
func (f *fellowship) states() map[string]string {
	f.t.Helper()
	out := map[string]string{}
	for line := range strings.SplitSeq(amtmedic(f.t, 0, "clients", "--db", f.url, "--key-file", f.key, "--json"), "\n") {
		var c struct{ UUID, State string }
		if json.Unmarshal([]byte(line), &c) == nil {
			out[c.UUID] = c.State
		}
	}
	return out
}

// until waits for something that psql sees.
func (f *fellowship) until(statement, want string) {
	f.t.Helper()
	var got string
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		if got = strings.TrimSpace(f.pg.Psql(f.t, f.database, statement)); got == want {
			return
		}
	}
	f.t.Fatalf("%s: %s, want %s\n%s", statement, got, want, tail(f.logs(), 3000))
}

// said waits for a line of a server's log.
func said(t *testing.T, s *server, words string) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !strings.Contains(s.text(), words); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no line %q in\n%s", words, tail(s.text(), 3000))
		}
	}
}

// Two servers on one PostgreSQL.
func TestServeTogether(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t, "fsync=off")
	t.Run("once", func(t *testing.T) { provisionedOnce(t, pg) })
	t.Run("away", func(t *testing.T) { databaseAway(t, pg) })
}

// Clients whose hellos go to both at the same moment are provisioned once, and what one of the two had
// in hand when it was killed is taken over by the other.
func provisionedOnce(t *testing.T, pg *pgtest.Cluster) {
	f := together(t, pg)
	one, two := f.start(f.url, "--lease", "1s"), f.start(f.url, "--lease", "1s")
	s := f.clients(8, "127.0.91.1", true, "--inject=*=slow:80ms")
	f.end(s)
	f.provisioned(s)
	f.until("SELECT count(*), count(DISTINCT host) FROM servers", "2|1")
	one.end(os.Kill)
	f.pg.Psql(t, f.database, `INSERT INTO csto_queue_entries (uuid, kind, attempts, enqueued_us, claimed_by, lease_us)
		SELECT uuid, 3, 1, 0, (SELECT name FROM servers WHERE process=`+process(one)+`), 1 FROM csti_amts LIMIT 1`)
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out := amtmedic(t, 0, "service", "servers", "--db", f.url, "--key-file", f.key)
		if strings.Contains(out, "works") && strings.Contains(out, "silent") {
			break
		} else if time.Now().After(end) {
			t.Fatalf("servers:\n%s", out)
		}
	}
	want(t, amtmedic(t, 0, "service", "servers", "--db", f.url, "--key-file", f.key, "--json"), `"process":`+process(one), `"alive":false`, `"alive":true`)
	said(t, two, "clients are taken over from a worker whose leases ran out")
	said(t, two, "a server fell silent")
	want(t, two.text(), `"process":`+process(one))
	if code := two.end(syscall.SIGTERM); code != 0 {
		t.Errorf("SIGTERM: exit %d", code)
	}
	f.until("SELECT process FROM servers", process(one)) // the other one said farewell
}

// health gives the status of a server's health.
func health(t *testing.T, s *server) int {
	t.Helper()
	var line struct{ Web string }
	for sc := bufio.NewScanner(strings.NewReader(s.text())); sc.Scan() && line.Web == ""; {
		_ = json.Unmarshal(sc.Bytes(), &line)
	}
	c := http.Client{Timeout: 10 * time.Second}
	resp, err := c.Get(line.Web + "/health")
	if err != nil {
		t.Error(err)
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// healthy waits until a server's health is as wanted.
func healthy(t *testing.T, s *server, want int) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if got := health(t, s); got == want {
			return
		} else if time.Now().After(end) {
			t.Fatalf("health is %d, not %d", got, want)
		}
	}
}

// A hello while the database is away is not acknowledged, the health says so, the log does not grow with
// every hello, and all is well again when the database is there.
func databaseAway(t *testing.T, pg *pgtest.Cluster) {
	f := together(t, pg)
	s := f.start(f.url, "--web", "127.0.0.1:0")
	healthy(t, s, 200)
	one := func(i byte) bool {
		b, err := hello.Encode(hello.ForPKI(amt.UUID{12, i}))
		if err != nil {
			t.Fatal(err)
		}
		return acknowledged(s.addr, b)
	}
	if !one(0) {
		t.Error("a hello is not acknowledged")
	}
	pg.Down(t)
	for i := range 100 {
		if one(byte(i)) {
			t.Fatal("a hello is acknowledged while the database is away")
		}
	}
	healthy(t, s, 503)
	if n := strings.Count(s.text(), `"level":"ERROR"`); n == 0 || n > 8 {
		t.Errorf("%d lines tell of 100 hellos that were not kept:\n%s", n, tail(s.text(), 4000))
	}
	pg.Up(t)
	for end := time.Now().Add(60 * time.Second); !one(1); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no hello is acknowledged")
		}
	}
	healthy(t, s, 200)
	said(t, s, "the database answers again")
}

// hellos sends hellos of different clients to a server in turn until told to stop, and gives those that
// were acknowledged.
func hellos(t *testing.T, group byte, addrs ...string) (stop func() map[string]bool) {
	acked := map[string]bool{}
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			u := amt.UUID{11, group, byte(i >> 16), byte(i >> 8), byte(i)}
			b, err := hello.Encode(hello.ForPKI(u))
			if err != nil {
				t.Error(err)
				return
			}
			if acknowledged(addrs[i%len(addrs)], b) {
				acked[u.String()] = true
			} else {
				time.Sleep(5 * time.Millisecond)
			}
		}
	}()
	return func() map[string]bool {
		close(end)
		<-done
		return acked
	}
}
