package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// What lives outgrows what was meant: the heap has no limit any more, near which it would be collected all the time.
func TestCollectLessGivesUpItsLimit(t *testing.T) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		t.Skip("GOGC or GOMEMLIMIT is set, and comes first")
	}
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })
	const most = 1 << 40 // what this process has beside does not come near
	collectLess(t.Context(), most)
	if now := debug.SetMemoryLimit(-1); now != most {
		t.Errorf("the limit is %d", now)
	}
	much := make([]byte, 8<<20)
	runtime.GC()
	if n := living(); n < 8<<20 {
		t.Errorf("%d bytes live", n)
	}
	collectLess(t.Context(), 8<<20)
	for end := time.Now().Add(30 * time.Second); debug.SetMemoryLimit(-1) != math.MaxInt64; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the limit stays")
		}
	}
	runtime.KeepAlive(much)
}
