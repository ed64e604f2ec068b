package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

func servePerf(figure, ours, peer, ratio, wanted string) {
	fmt.Printf("perf: serve | %s | %s | %s | %s | %s\n", figure, ours, peer, ratio, wanted)
}

// TestPlainServer is the peer of TestServePerformance: it accepts, reads to the end, and closes.
func TestPlainServer(t *testing.T) {
	if os.Getenv("AMTMEDIC_PLAIN_SERVER") == "" {
		t.Skip("only as a peer of TestServePerformance")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("plain %s\n", ln.Addr())
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			b := make([]byte, 4096)
			for n := 0; ; {
				k, err := c.Read(b[n:])
				n += k
				if _, whole := hello.Need(b[:n]); whole || err != nil {
					break
				}
			}
			_ = c.Close()
		}()
	}
}

// processor gives what a process has used of the processors.
func processor(t *testing.T, pid int) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+2:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on Linux
}

var nextUUID atomic.Uint32

// helloFlood sends hellos of new clients from 64 producers, each waiting for the end of its connection, and
// gives the time that it took.
func helloFlood(t *testing.T, addr string, n int) time.Duration {
	t.Helper()
	var wg sync.WaitGroup
	var lost, sent atomic.Int32
	begin := time.Now()
	for range 64 {
		wg.Go(func() {
			for sent.Add(1) <= int32(n) {
				i := nextUUID.Add(1)
				b, _ := hello.Encode(hello.ForPKI(amt.UUID{9, byte(i), byte(i >> 8), byte(i >> 16), 15: 1}))
				if !acknowledgedFrom(fmt.Sprintf("127.0.%d.%d", 60+i%8, 1+i/8%250), addr, b) {
					lost.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if lost.Load() > 0 {
		t.Errorf("%d hellos were not acknowledged", lost.Load())
	}
	return time.Since(begin)
}

// acknowledgedFrom sends b from an address of its own, so that no limit for one source counts, and reports
// whether the server closed in order.
func acknowledgedFrom(from, addr string, b []byte) bool {
	c, err := dialFrom(from, addr)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write(b); err != nil {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err = c.Read(make([]byte, 1))
	return err == io.EOF
}

// Hellos over TCP, each in the database before its connection is closed, beside a server that only
// accepts, reads and closes; and what the database and the process hold of each client.
func TestServePerformance(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("a long test: AMTMEDIC_LONG=1")
	}
	db := filepath.Join(t.TempDir(), "core.db")
	s := startServe(t, db, "--receive-only")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	plainServer := exec.Command(self, "-test.run", "^TestPlainServer$")
	plainServer.Env = append(os.Environ(), "AMTMEDIC_PLAIN_SERVER=1")
	out, err := plainServer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := plainServer.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plainServer.Process.Kill(); _ = plainServer.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	peer := strings.TrimSpace(strings.TrimPrefix(line, "plain "))

	const n = 3000
	var rates, shares []float64
	var ours, theirs []float64
	for range 5 {
		a, b := processor(t, s.cmd.Process.Pid), processor(t, plainServer.Process.Pid)
		mine := helloFlood(t, s.addr, n)
		other := helloFlood(t, peer, n)
		a, b = processor(t, s.cmd.Process.Pid)-a, processor(t, plainServer.Process.Pid)-b
		rates = append(rates, other.Seconds()/mine.Seconds())
		shares = append(shares, float64(a)/float64(max(b, 10*time.Millisecond)))
		ours, theirs = append(ours, n/mine.Seconds()), append(theirs, n/other.Seconds())
	}
	servePerf("hellos a second over TCP, durable before the connection is closed, beside a server that accepts, reads and closes",
		fmt.Sprintf("%.0f", medianOf(ours)), fmt.Sprintf("%.0f", medianOf(theirs)), fmt.Sprintf("%.2f", medianOf(rates)), ">= 0.6")
	servePerf("processor time of the server for a hello, beside the same", "-", "-", fmt.Sprintf("%.2f", medianOf(shares)), "<= 1.5")
	memory(t)
	openMemory(t, s)
}

func medianOf(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// memory tells how process and database grow with the queue, from 1,000 clients to 100,000. What a client
// takes is told from the second point on: until then caches of a fixed size fill.
func memory(t *testing.T) {
	t.Helper()
	db := filepath.Join(t.TempDir(), "growing.db")
	s := startServe(t, db, "--receive-only")
	defer func() { _ = s.cmd.Process.Kill() }()
	var first, last, firstBytes, lastBytes float64
	points := []int{1_000, 10_000, 25_000, 50_000, 75_000, 100_000}
	have := 0
	for i, n := range points {
		helloFlood(t, s.addr, n-have)
		have = n
		last, lastBytes = float64(residentKiB(t, s.cmd.Process.Pid))*1024, float64(size(t, db))
		if i == 1 {
			first, firstBytes = last, lastBytes
		}
		servePerf(fmt.Sprintf("%d clients in the queue: resident memory of the server, and its database", n),
			fmt.Sprintf("%.1f MiB, %.1f MiB", last/(1<<20), lastBytes/(1<<20)), "-", "-", "-")
	}
	more := float64(points[len(points)-1] - points[1])
	servePerf("memory of the server for each client more, from 10,000 to 100,000, bytes", fmt.Sprintf("%.0f", (last-first)/more), "-", "-", "<= 500")
	servePerf("database for each client with its queue entry and log row, bytes", fmt.Sprintf("%.0f", (lastBytes-firstBytes)/more), "-", "-", "<= 2000")
}

func size(t *testing.T, db string) int64 {
	t.Helper()
	var sum int64
	for _, name := range []string{db, db + "-wal"} {
		if st, err := os.Stat(name); err == nil {
			sum += st.Size()
		}
	}
	return sum
}

// Clients from their hello to the provisioned state at a steady rate, simulated ones on the same two
// processors.
func TestLatencyPerformance(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("a long test: AMTMEDIC_LONG=1")
	}
	for _, method := range []string{"psk", "pki"} {
		latency(t, method)
	}
	sessionMemory(t)
}

// working gives the time from the first session to the last client that was provisioned.
func working(t *testing.T, log string) time.Duration {
	t.Helper()
	var first, last time.Time
	for line := range strings.Lines(log) {
		var l struct {
			Time time.Time
			Msg  string
		}
		if json.Unmarshal([]byte(line), &l) != nil {
			continue
		}
		if l.Msg == "session begins" && first.IsZero() {
			first = l.Time
		}
		if l.Msg == "provisioned" {
			last = l.Time
		}
	}
	if first.IsZero() || !last.After(first) {
		t.Fatal("the log has no session")
	}
	return last.Sub(first)
}
