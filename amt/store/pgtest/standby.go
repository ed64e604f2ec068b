package pgtest

import (
	"strings"
	"testing"
	"time"
)

// Standby makes a second server that follows c by streaming replication, and makes c wait with every
// commit until the standby has it too: whatever c acknowledged is on both. c has to run.
func (c *Cluster) Standby(t testing.TB) *Cluster {
	t.Helper()
	s := prepare(t)
	s.must(t, "pg_basebackup", "-D", s.data(), "-R", "-X", "stream", "--no-sync", "-c", "fast",
		"-d", "host=127.0.0.1 port="+c.Port+" user=core application_name=standby")
	s.Up(t)
	c.Psql(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names='*'")
	c.Psql(t, "postgres", "SELECT pg_reload_conf()")
	s.await(t, c, "SELECT count(*) FROM pg_stat_replication WHERE sync_state='sync'", "1")
	return s
}

// Promote makes a standby the primary server. It commits alone from then on.
func (c *Cluster) Promote(t testing.TB) {
	t.Helper()
	c.must(t, "pg_ctl", "-D", c.data(), "-w", "-t", "60", "promote")
	c.await(t, c, "SELECT pg_is_in_recovery()", "f")
}

// await asks of until the answer is the wanted one.
func (c *Cluster) await(t testing.TB, of *Cluster, statement, want string) {
	t.Helper()
	var got string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = strings.TrimSpace(of.Psql(t, "postgres", statement)); got == want {
			return
		}
	}
	t.Fatalf("%s: %s, want %s", statement, got, want)
}
