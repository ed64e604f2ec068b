package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"amtmedic/amt/store/pgtest"
)

// 64 producers, each hello a client of its own: durable hellos a second, beside what the disk does by
// itself in the same run.
func BenchmarkRecordHello(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		s, err := Open(b.Context(), filepath.Join(b.TempDir(), "core.db"), Options{})
		if err != nil {
			b.Fatal(err)
		}
		ingest(b, s, "SQLite", 4)
	})
	b.Run("postgres", func(b *testing.B) {
		c := pgtest.Start(b)
		s, err := Open(b.Context(), c.URL(c.Database(b)), Options{KeyFile: filepath.Join(b.TempDir(), "k")})
		if err != nil {
			b.Fatal(err)
		}
		ingest(b, s, "PostgreSQL", 1)
	})
}

func ingest(b *testing.B, s *Store, name string, wanted float64) {
	defer func() { _ = s.Close() }()
	disk := flushRate(b)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				h := Hello{Version: 3}
				h.UUID[0], h.UUID[1], h.UUID[2], h.UUID[3] = byte(i), byte(i>>8), byte(i>>16), byte(i>>24)
				if _, err := s.RecordHello(context.Background(), h); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "hellos/s")
	if b.N > 1000 { // the short rounds by which the benchmark finds its length say nothing
		fmt.Printf("perf: store | durable hellos a second, 64 producers, %s, beside fdatasync calls a second | %.0f | %.0f | %.2f | %.0f\n", name, rate, disk, rate/disk, wanted)
	}
}

// flushRate measures how often a second the disk makes 4 KiB durable, by the call that SQLite flushes with.
func flushRate(b *testing.B) float64 {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "flush"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, 4096)
	begin, n := time.Now(), 0
	for ; time.Since(begin) < 500*time.Millisecond; n++ {
		if _, err := f.WriteAt(page, 0); err != nil {
			b.Fatal(err)
		}
		if err := flush(f); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(begin).Seconds()
}
