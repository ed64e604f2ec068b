package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Bounds of steadyMemory.
const (
	freeHeap   = 16 << 20 // bytes up to which a heap is left to grow
	leastGrow  = 50       // per cent that a large heap may grow: a flood of attempts keeps much alive
	mostGrow   = 400      // of a heap that was not looked at yet: the smallest one is collected at 16 MiB
	liveMetric = "/gc/heap/live:bytes"
)

// steadyMemory has a small heap collected rarely and a large one often: a capture that finds little
// never spends time on it, and one that finds much stays small.
func steadyMemory() {
	debug.SetGCPercent(mostGrow)
	onCollection(func() {
		live := []metrics.Sample{{Name: liveMetric}}
		metrics.Read(live)
		debug.SetGCPercent(growth(live[0].Value.Uint64()))
	})
}

// growth is by how many per cent a heap with so many live bytes may grow.
func growth(live uint64) int {
	if live*3/2 >= freeHeap {
		return leastGrow
	}
	return min(mostGrow, int((freeHeap-live)*100/max(1, live)))
}

// onCollection has f called behind every collection of the heap from now on.
func onCollection(f func()) {
	runtime.AddCleanup(new([16]byte), func(struct{}) {
		f()
		onCollection(f)
	}, struct{}{})
}
