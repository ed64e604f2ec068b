package store

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// 64 producers, each hello a client of its own: durable hellos a second.
func BenchmarkRecordHello(b *testing.B) {
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "core.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
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
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "hellos/s")
}
