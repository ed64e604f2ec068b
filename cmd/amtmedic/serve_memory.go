package main

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// collectLess lets the heap grow to five times what lives, as long as that is little: a server that hardly
// keeps anything otherwise spends a sixth of its time on collecting it. Once half of most (bytes) lives, it
// is collected as usual: near a limit, the collector would take half of all processors. GOGC and GOMEMLIMIT
// come first. It looks once a second until ctx ends.
func collectLess(ctx context.Context, most int64) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(most)
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for living() <= uint64(most)/2 {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
	}()
}

// living is how many bytes of the heap the last collection left.
func living() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	if metrics.Read(s); s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}
