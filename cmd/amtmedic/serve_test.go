package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// server is the real program, running "serve".
type server struct {
	cmd  *exec.Cmd
	addr string
	mu   sync.Mutex
	log  bytes.Buffer
	done chan struct{} // the log has ended
}

func startServe(t *testing.T, db string, more ...string) *server {
	t.Helper()
	s := &server{cmd: exec.Command("amtmedic", append([]string{"serve", "--db", db, "--listen", "127.0.0.1:0"}, more...)...), done: make(chan struct{})}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = os.Stderr
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	ready := make(chan string, 1)
	go s.read(out, ready)
	select {
	case s.addr = <-ready:
	case <-time.After(10 * time.Second):
	}
	if s.addr == "" {
		t.Fatalf("not ready after %v: %s", time.Since(begin), s.text())
	}
	return s
}

func (s *server) read(out io.Reader, ready chan<- string) {
	defer close(s.done)
	defer close(ready)
	for sc := bufio.NewScanner(out); sc.Scan(); {
		s.mu.Lock()
		s.log.Write(append(sc.Bytes(), '\n'))
		s.mu.Unlock()
		var line struct{ Msg, Listen string }
		if json.Unmarshal(sc.Bytes(), &line) == nil && line.Msg == "ready" {
			ready <- line.Listen
		}
	}
}

func (s *server) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// end sends a signal and gives the exit code.
func (s *server) end(sig os.Signal) int {
	_ = s.cmd.Process.Signal(sig)
	<-s.done
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

// amtmedic runs the program to its end.
func amtmedic(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := exec.Command("amtmedic", args...)
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("amtmedic %s: exit %d, want %d (%v)\n%s", strings.Join(args, " "), got, code, err, out)
	}
	return string(out)
}

func want(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is missing in: %s", p, text)
		}
	}
}

// acknowledged sends b and reports whether the server closed in order: the sign that b is durable.
func acknowledged(addr string, b []byte) bool {
	c, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write(b); err != nil {
		return false
	}
	_, err = c.Read(make([]byte, 1))
	return err == io.EOF
}

const (
	walkUUID = "03020100-0504-0706-0809-0a0b0c0d0e0f"
	walkPPS  = "NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ"
)

// The walk: a hello whose key is unknown, the key, and what every command and sqlite3 say on the way.
func TestServeWalk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, csv := filepath.Join(dir, "new", "core.db"), filepath.Join(dir, "keys.csv")
	if err := os.WriteFile(csv, []byte("id,pid,pps,current_password,admin_password,used\n1,0000-037M,"+walkPPS+",admin,N3w-P@ssword,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, db, "--receive-only")
	psk := append(mustHex(t, "010002000300000000010203040506070809"+"0a0b0c0d0e0f"), "0000037M"...)
	if !acknowledged(s.addr, psk) {
		t.Fatal("the hello was not acknowledged")
	}
	want(t, amtmedic(t, 0, "clients", "--db", db, "--json"), `"uuid":"`+walkUUID+`"`, `"state":"delayed"`, `"method":"psk"`, `"reason":"rc-pid-unknown: `)
	want(t, sqlite(t, db, `SELECT uuid, reason FROM csto_delayed_entries; SELECT count(*) FROM csto_queue_entries`), walkUUID+"|rc-pid-unknown: failed to find PID mapping\n0\n")
	want(t, amtmedic(t, 1, "serve", "--db", db, "--listen", "127.0.0.1:0"), fmt.Sprintf("process %d", s.cmd.Process.Pid))
	want(t, amtmedic(t, 0, "keys", "import", csv, "--db", db), "imported 1, conflicts 0", "1 client waited")
	want(t, sqlite(t, db, `SELECT uuid FROM csto_queue_entries; SELECT count(*) FROM csto_delayed_entries`), walkUUID+"\n0\n")
	want(t, amtmedic(t, 0, "clients", "--db", db, "--json"), `"state":"unprovisioned"`, `"reason":""`)
	want(t, amtmedic(t, 0, "keys", "export", "--db", db), "0000-037M  [secret]")
	for _, name := range []string{db, db + "-wal"} {
		if raw, _ := os.ReadFile(name); bytes.Contains(raw, []byte(walkPPS)) || bytes.Contains(raw, []byte("N3w-P@ss")) {
			t.Errorf("a secret stands in %s", name)
		}
	}
	if runtime.GOOS == "windows" {
		return // no signal ends a program in order there
	}
	begin := time.Now()
	if code := s.end(syscall.SIGTERM); code != 0 || time.Since(begin) > 10*time.Second {
		t.Errorf("SIGTERM: exit %d after %v", code, time.Since(begin))
	}
	want(t, s.text(), `"msg":"hello"`, `"pid":"0000037M"`, `"msg":"stopped"`)
	if strings.Contains(s.text(), walkPPS) {
		t.Error("the PPS stands in the log")
	}
}

// sqlite asks sqlite3, which we did not write. It gives what it is asked for when there is none.
func sqlite(t *testing.T, db, query string) string {
	t.Helper()
	out, err := exec.Command("sqlite3", db, query).CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("CI") == "" && bytes.Equal(out, nil):
		t.Skip("sqlite3 is missing: the tables were not read by another program")
	default:
		t.Errorf("sqlite3: %v: %s", err, out)
	}
	return string(out)
}

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// kill -9 in mid-flight, again and again: what was acknowledged is in the tables.
func TestServeKill(t *testing.T) {
	rounds := 2
	if os.Getenv("AMTMEDIC_LONG") == "1" {
		rounds = 12
	}
	db := filepath.Join(t.TempDir(), "core.db")
	acked := map[string]bool{}
	for round := range rounds {
		s := startServe(t, db)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := range 10000 {
					u := amt.UUID{1, byte(round), byte(g), 15: byte(i), 14: byte(i >> 8)}
					b, err := hello.Encode(hello.ForPKI(u))
					if err != nil {
						t.Error(err)
					}
					if !acknowledged(s.addr, b) {
						return
					}
					mu.Lock()
					acked[u.String()] = true
					mu.Unlock()
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		_ = s.cmd.Process.Kill()
		wg.Wait()
		s.end(os.Kill)
	}
	startServe(t, db) // and the next start is sound
	rows := map[string]bool{}
	for line := range strings.SplitSeq(amtmedic(t, 0, "clients", "--db", db, "--json"), "\n") {
		var c struct{ UUID string }
		if json.Unmarshal([]byte(line), &c) == nil {
			rows[c.UUID] = true
		}
	}
	lost := 0
	for u := range acked {
		if !rows[u] {
			lost++
		}
	}
	t.Logf("%d kills, %d hellos acknowledged, %d clients in the tables", rounds, len(acked), len(rows))
	if lost > 0 || len(acked) < 10*rounds {
		t.Errorf("%d of %d acknowledged hellos are lost", lost, len(acked))
	}
}
