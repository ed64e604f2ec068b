package capture

import (
	"context"
	"os"
	"testing"
)

// BenchmarkScan reads the file named by AMTMEDIC_SCAN again and again.
func BenchmarkScan(b *testing.B) {
	name := os.Getenv("AMTMEDIC_SCAN")
	if name == "" {
		b.Skip("AMTMEDIC_SCAN names no capture file")
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := OpenFile(name, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := Scan(context.Background(), f, Options{}, func(Event) {}); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(f.Stats().Bytes))
		f.Close()
	}
}
