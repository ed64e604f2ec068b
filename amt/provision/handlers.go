package provision

import (
	"sync"
	"sync/atomic"
)

// maxIdleHandlers is how many handlers wait for their next connection at most.
const maxIdleHandlers = 64

// handlers are goroutines that take one connection after the other. The stack of one that has committed a
// group of hellos is as large as that needs, and the next commit finds it so.
type handlers struct {
	handle func(*conn)
	wg     *sync.WaitGroup
	next   chan *conn // whoever waits for a connection gets it here
	idle   atomic.Int32
}

func newHandlers(wg *sync.WaitGroup, handle func(*conn)) *handlers {
	return &handlers{handle: handle, wg: wg, next: make(chan *conn)}
}

// give has a connection handled, by one that waits or a new one.
func (h *handlers) give(c *conn) {
	select {
	case h.next <- c:
	default:
		h.wg.Go(func() { h.run(c) })
	}
}

func (h *handlers) run(c *conn) {
	for c != nil {
		h.handle(c)
		if h.idle.Add(1) > maxIdleHandlers {
			h.idle.Add(-1)
			return
		}
		c = <-h.next
		h.idle.Add(-1)
	}
}

// end lets those go that wait. Nothing may be given afterwards.
func (h *handlers) end() { close(h.next) }
