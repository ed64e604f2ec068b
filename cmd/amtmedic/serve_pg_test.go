package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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
	kept     []string // logs of servers that were killed
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
	f.kept = append(f.kept, s.text())
	f.servers[i] = startServe(f.t, url, append([]string{"--key-file", f.key, "--listen", s.addr}, more...)...)
}

// logs gives what all servers said.
func (f *fellowship) logs() string {
	all := f.kept
	for _, s := range f.servers {
		all = append(all, s.text())
	}
	return strings.Join(all, "")
}

// relayed starts clients whose hellos go to the servers in turn, and imports their keys and names.
func (f *fellowship) clients(n int, network string, more ...string) (inventory string, end func() int) {
	f.t.Helper()
	front := newTurns(f.t, f.servers)
	inventory, end = simulated(f.t, front, append([]string{"--count", strconv.Itoa(n), "--address", network}, more...)...)
	for _, args := range [][]string{{"keys", "import", "keys.csv"}, {"discover", "import", "map.csv"}} {
		args[2] = filepath.Join(inventory, args[2])
		amtmedic(f.t, 0, append(args, "--db", f.url, "--key-file", f.key)...)
	}
	return inventory, end
}

// turns is a relay that gives connections to servers in turn; a server that is not there is skipped, as
// a client's next hello would skip it.
type turns struct {
	mu   sync.Mutex
	to   []string
	next int
}

func newTurns(t *testing.T, servers []*server) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	r := &turns{}
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

// pass brings a hello to a server, from the address of its client, and its close back.
func (r *turns) pass(c *net.TCPConn) {
	r.mu.Lock()
	to := r.to[r.next%len(r.to)]
	r.next++
	r.mu.Unlock()
	defer func() { _ = c.Close() }()
	s, err := dialFrom(c.RemoteAddr().(*net.TCPAddr).IP.String(), to)
	if err != nil {
		_ = c.SetLinger(0)
		return
	}
	up := s.(*net.TCPConn)
	defer func() { _ = up.Close() }()
	go func() {
		_, _ = up.ReadFrom(c)
		_ = up.CloseWrite()
	}()
	if _, err := up.Read(make([]byte, 1)); err != nil && strings.Contains(err.Error(), "reset") {
		_ = c.SetLinger(0) // it was not acknowledged, and the client must not believe so
	}
}

// once checks that every client of an inventory is provisioned, and how often its servers say so.
func (f *fellowship) once(inventory string, most int) {
	f.t.Helper()
	file, err := os.Open(filepath.Join(inventory, "clients.csv"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		f.t.Fatal(err)
	}
	told := map[string]int{}
	for sc := bufio.NewScanner(strings.NewReader(f.logs())); sc.Scan(); {
		var line struct{ Msg, UUID string }
		if json.Unmarshal(sc.Bytes(), &line) == nil && line.Msg == "provisioned" {
			told[line.UUID]++
		}
	}
	states := f.states()
	more := 0
	for _, row := range rows[1:] {
		if states[row[0]] != "provisioned" {
			f.t.Errorf("%s is %s", row[0], states[row[0]])
		}
		more += max(told[row[0]]-1, 0)
	}
	if more > most {
		f.t.Errorf("%d clients were provisioned more than once, %d may be", more, most)
	}
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
func (f *fellowship) until(pg *pgtest.Cluster, statement, want string) {
	f.t.Helper()
	var got string
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		if got = strings.TrimSpace(pg.Psql(f.t, f.database, statement)); got == want {
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

// Two servers on one database: clients whose hellos go to both are provisioned once, a hello at one is
// worked on by the other at once, and what one had in hand when it was killed is taken over by the other.
func TestServeTogether(t *testing.T) {
	t.Parallel()
	f := together(t, pgtest.Start(t, "fsync=off"))
	one := f.start(f.url, "--lease", "2s")
	two := f.start(f.url, "--lease", "2s", "--web", "127.0.0.1:0")
	inv, end := f.clients(12, "127.0.66.1")
	if code := end(); code != 0 {
		t.Errorf("the clients end with %d\n%s", code, tail(f.logs(), 4000))
	}
	f.once(inv, 0)
	f.until(f.pg, "SELECT count(*), count(DISTINCT host) FROM servers", "2|1")
	// one server has a client in hand and dies
	one.end(os.Kill)
	f.pg.Psql(t, f.database, `INSERT INTO csto_queue_entries (uuid, kind, attempts, enqueued_us, claimed_by, lease_us)
		SELECT uuid, 3, 1, 0, (SELECT name FROM servers WHERE process=`+strconv.Itoa(one.cmd.Process.Pid)+`), 1 FROM csti_amts LIMIT 1`)
	said(t, two, "clients are taken over from a worker whose leases ran out")
	said(t, two, "a server fell silent")
	want(t, two.text(), fmt.Sprintf(`"process":%d`, one.cmd.Process.Pid))
	if code := two.end(syscall.SIGTERM); code != 0 {
		t.Errorf("SIGTERM: exit %d", code)
	}
	f.until(f.pg, "SELECT process FROM servers", strconv.Itoa(one.cmd.Process.Pid))
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
