package provision

import (
	"sync"
	"testing"
)

// Nobody waits for a handler, however many connections there are; handlers that are free take the next
// ones, and all end.
func TestHandlers(t *testing.T) {
	var wg sync.WaitGroup
	began, gate := make(chan *conn), make(chan bool)
	h := newHandlers(&wg, func(c *conn) { began <- c; <-gate })
	const n = 2 * maxIdleHandlers
	for round := range 3 {
		seen := map[*conn]bool{}
		for range n {
			h.give(&conn{})
		}
		for range n { // all of them at once: no gate is open yet
			seen[<-began] = true
		}
		if len(seen) != n {
			t.Errorf("round %d: %d of %d connections", round, len(seen), n)
		}
		for range n {
			gate <- true
		}
	}
	h.end()
	wg.Wait()
	if left := h.idle.Load(); left != 0 {
		t.Errorf("%d handlers are left", left)
	}
}
