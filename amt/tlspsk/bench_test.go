package tlspsk

import (
	"io"
	"net"
	"testing"
)

// BenchmarkPair is one handshake of our two ends, both counted, without a network.
func BenchmarkPair(b *testing.B) {
	for _, version := range []uint16{VersionTLS10, VersionTLS12} {
		b.Run(VersionName(version), func(b *testing.B) {
			cfg := config(version, SuiteAES128SHA)
			b.ReportAllocs()
			for b.Loop() {
				x, y := net.Pipe()
				server := Server(y, cfg)
				done := make(chan error, 1)
				go func() { done <- server.Handshake() }()
				if err := Client(x, cfg).Handshake(); err != nil {
					b.Fatal(err)
				}
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkData seals and opens full records.
func BenchmarkData(b *testing.B) {
	for _, suite := range allSuites {
		b.Run(SuiteName(suite), func(b *testing.B) {
			seal, open := guards(b, VersionTLS12, suite)
			data := megabytes(1)[:maxPlaintext]
			var rec []byte
			b.SetBytes(maxPlaintext)
			b.ReportAllocs()
			random := endless{}
			for b.Loop() {
				rec, _ = seal.seal(rec[:0], recordData, VersionTLS12, data, random)
				if _, ok := open.open(recordData, VersionTLS12, rec[headerSize:]); !ok {
					b.Fatal("refused")
				}
			}
		})
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

var _ io.Reader = endless{}
