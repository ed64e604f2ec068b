package main

import (
	"runtime"
	"testing"
	"time"
)

func TestGrowth(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, mostGrow}, {1 << 20, mostGrow}, {4 << 20, 300}, {8 << 20, 100}, {12 << 20, leastGrow}, {64 << 20, leastGrow}} {
		if got := growth(c.live); got != c.want {
			t.Errorf("%d live bytes: %d, want %d", c.live, got, c.want)
		}
	}
}

func TestOnCollection(t *testing.T) {
	told := make(chan bool, 16)
	onCollection(func() {
		select {
		case told <- true:
		default:
		}
	})
	for range 2 {
		end := time.After(20 * time.Second)
		for done := false; !done; {
			runtime.GC()
			select {
			case <-told:
				done = true
			case <-end:
				t.Fatal("a collection was not told of")
			case <-time.After(time.Millisecond):
			}
		}
	}
}
