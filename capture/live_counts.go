//go:build linux || darwin || (windows && amd64)

package capture

import (
	"fmt"
	"sync/atomic"
)

// tally counts what a live capture hands on. Its numbers may be read while the capture runs.
type tally struct {
	received, dropped, truncated atomic.Uint64
}

// Stats gives the counts so far; it may be called while Run runs.
func (t *tally) Stats() Stats {
	return Stats{Received: t.received.Load(), Dropped: t.dropped.Load(), Truncated: t.truncated.Load()}
}

// count notes a packet that is handed on.
func (t *tally) count(p *Packet) {
	t.received.Add(1)
	if len(p.Data) < p.OrigLen {
		t.truncated.Add(1)
	}
}

// lose notes n lost packets and warns of them.
func (t *tally) lose(n uint64, warn func(string)) {
	if n > 0 {
		warn(fmt.Sprintf("%d packets were lost before they could be read (%d so far): hellos may be missing", n, t.dropped.Add(n)))
	}
}
