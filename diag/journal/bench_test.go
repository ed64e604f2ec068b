package journal

import (
	"fmt"
	"testing"
	"time"

	"amtmedic/diag"
)

// BenchmarkFact tells what one durable fact costs alone, and in a batch of 20.
func BenchmarkFact(b *testing.B) {
	for _, n := range []int{1, 20} {
		b.Run(fmt.Sprint("batch ", n), func(b *testing.B) {
			c, err := Create(b.TempDir(), options(time.Now()))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			facts := make([]diag.Fact, n)
			for i := range facts {
				facts[i] = diag.Fact{Key: "client.enabled", Value: true}
			}
			for b.Loop() {
				if err := c.Facts(facts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
