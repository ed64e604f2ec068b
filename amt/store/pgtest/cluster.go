// Package pgtest gives tests a PostgreSQL server of their own: Debian's, on loopback, made when a test
// begins and gone when it ends. Start is the entry point; a Cluster can be stopped as by a power cut,
// started again, and have a streaming standby; a Relay stands for the network before it.
package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// Cluster is a running PostgreSQL server. Its superuser is core; every password is taken.
type Cluster struct {
	Port string // on 127.0.0.1

	bin, dir string
	run      func(name string, args ...string) *exec.Cmd
	count    atomic.Int32
}

// Start makes a server that runs until the test ends. Where PostgreSQL is missing the test is skipped,
// or fails when the environment variable CI is set. conf are lines for postgresql.conf.
func Start(t testing.TB, conf ...string) *Cluster {
	t.Helper()
	c := prepare(t)
	c.must(t, "initdb", "-D", c.data(), "-U", "core", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	c.configure(t, conf)
	c.Up(t)
	return c
}

// prepare finds the programs, and makes a folder that the server's account may enter.
func prepare(t testing.TB) *Cluster {
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
	c := &Cluster{bin: filepath.Dir(found[len(found)-1]), dir: dir, Port: freePort(t)}
	t.Cleanup(func() {
		_ = c.run("pg_ctl", "-D", c.data(), "-m", "immediate", "stop").Run()
		_ = os.RemoveAll(dir)
	})
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
	return c
}

func freePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// configure adds lines to postgresql.conf.
func (c *Cluster) configure(t testing.TB, lines []string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		_, err = fmt.Fprintln(f, l)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// must runs one of PostgreSQL's programs.
func (c *Cluster) must(t testing.TB, name string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := c.run(name, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.WaitDelay = &out, &out, "/", time.Second // the server keeps the pipe open
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
		t.Fatalf("%s: %v\n%s\n%s", name, err, out.Bytes(), log[max(0, len(log)-2000):])
	}
}

// Up starts the server and waits until it answers.
func (c *Cluster) Up(t testing.TB) {
	t.Helper()
	c.must(t, "pg_ctl", "-D", c.data(), "-w", "-t", "60", "-l", filepath.Join(c.dir, "log"),
		"-o", "-h 127.0.0.1 -p "+c.Port+" -k "+c.dir, "start")
}

// Down stops the server as a power cut of its machine would, without a word to anybody.
func (c *Cluster) Down(t testing.TB) {
	t.Helper()
	c.must(t, "pg_ctl", "-D", c.data(), "-m", "immediate", "-w", "stop")
}

// URL gives the URL of a database of this server, with a password that tests may look for.
func (c *Cluster) URL(name string) string {
	return "postgres://core:sesame@127.0.0.1:" + c.Port + "/" + name
}

// Database makes an empty database and gives its name.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("intelamt%d", c.count.Add(1))
	c.must(t, "createdb", "-h", "127.0.0.1", "-p", c.Port, "-U", "core", name)
	return name
}

// Psql gives what psql, without head lines, says to a statement: rows of columns parted by |.
func (c *Cluster) Psql(t testing.TB, database, statement string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(c.bin, "psql"), "-h", "127.0.0.1", "-p", c.Port, "-U", "core", "-X", "-q", "-At", "-c", statement, database)
	cmd.Env = append(os.Environ(), "PGCONNECT_TIMEOUT=10")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("psql: %v\n%s", err, out)
	}
	return string(out)
}
