package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// residentKiB gives the memory of a process.
func residentKiB(t *testing.T, pid int) int {
	t.Helper()
	return statusKiB(t, pid, "VmRSS:")
}

// statusKiB reads what the kernel says about a process.
func statusKiB(t *testing.T, pid int, field string) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), field)
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// dialFrom connects from an address of 127.0.0.0/8.
func dialFrom(from, to string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	return d.Dial("tcp", to)
}

// While 2,000 connections from 250 addresses stay silent, 99 of 100 hellos of others are
// acknowledged within 2 s, and neither they nor 400 MB of random bytes make the process grow by
// more than 300 MiB.
func TestServeUnderLoad(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("a long test, for Linux: AMTMEDIC_LONG=1")
	}
	s := startServe(t, t.TempDir()+"/core.db")
	before := residentKiB(t, s.cmd.Process.Pid)
	var silent []net.Conn
	defer func() {
		for _, c := range silent {
			_ = c.Close()
		}
	}()
	for i := range 2000 {
		c, err := dialFrom(fmt.Sprintf("127.0.5.%d", i%250+1), s.addr)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	var late atomic.Int32
	var wg sync.WaitGroup
	for g := range 10 {
		wg.Go(func() {
			for i := range 10 {
				begin := time.Now()
				b, _ := hello.Encode(hello.ForPKI(amt.UUID{2, byte(g), 15: byte(i)}))
				if !acknowledged(s.addr, b) || time.Since(begin) > 2*time.Second {
					late.Add(1)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("2,000 silent connections: %d of 100 hellos late, %d KiB more", late.Load(), residentKiB(t, s.cmd.Process.Pid)-before)
	if late.Load() > 1 {
		t.Errorf("%d of 100 hellos were not acknowledged within 2 s", late.Load())
	}
	most := flood(t, s)
	t.Logf("400 MB of random bytes: %d KiB more at most", most-before)
	if most-before > 300<<10 {
		t.Errorf("the process grew by %d KiB", most-before)
	}
	if b, _ := hello.Encode(hello.ForPKI(amt.UUID{3})); !acknowledged(s.addr, b) {
		t.Error("no hello is taken after the flood")
	}
}

// flood sends 400 MB of random bytes over connections of 1 MB and gives the most memory seen.
func flood(t *testing.T, s *server) (most int) {
	var wg sync.WaitGroup
	var left atomic.Int32
	left.Store(400)
	for g := range 8 {
		wg.Go(func() {
			r := rand.NewChaCha8([32]byte{byte(g)})
			junk := make([]byte, 1<<20)
			for left.Add(-1) >= 0 {
				_, _ = r.Read(junk)
				if c, err := dialFrom(fmt.Sprintf("127.0.6.%d", g+1), s.addr); err == nil {
					_ = c.SetDeadline(time.Now().Add(10 * time.Second))
					_, _ = c.Write(junk)
					_ = c.Close()
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for {
		most = max(most, residentKiB(t, s.cmd.Process.Pid))
		select {
		case <-done:
			return most
		case <-time.After(50 * time.Millisecond):
		}
	}
}
