package main

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// 100,000 connections that say nothing, as many of them at once as this machine lets a process open: the
// server keeps its bounds, and honest hellos are answered all the time.
func TestServeSilentFlood(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("a long test: AMTMEDIC_LONG=1")
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	held := min(12_000, int(limit.Cur)-200)
	s := startServe(t, t.TempDir()+"/core.db", "--receive-only")
	before := residentKiB(t, s.cmd.Process.Pid)
	const all = 100_000
	open := make([]net.Conn, held)
	defer func() {
		for _, c := range open {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	refused, honest, late := 0, 0, 0
	for i := range all {
		if c := open[i%held]; c != nil {
			_ = c.Close()
		}
		c, err := dialFrom(fmt.Sprintf("127.0.%d.%d", 7+i/250%8, i%250+1), s.addr)
		if err != nil {
			refused++ // above the limits, or this process has no more files
		}
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // leaves no port behind that others may want
		}
		open[i%held] = c
		if i%2000 == 1999 {
			honest++
			begin := time.Now()
			b, _ := hello.Encode(hello.ForPKI(amt.UUID{3, byte(i), byte(i >> 8), byte(i >> 16), 15: 1}))
			if !acknowledged(s.addr, b) || time.Since(begin) > 2*time.Second {
				late++
			}
		}
	}
	grown := residentKiB(t, s.cmd.Process.Pid) - before
	t.Logf("%d connections, %d not taken, %d of %d hellos late, %d KiB more", all, refused, late, honest, grown)
	if late > honest/50 {
		t.Errorf("%d of %d hellos were not acknowledged within 2 s", late, honest)
	}
	if grown > 300<<10 {
		t.Errorf("the process grew by %d KiB", grown)
	}
	if code := s.end(os.Interrupt); code != 0 {
		t.Errorf("exit %d", code)
	}
}
