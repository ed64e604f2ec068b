package capture

import (
	"context"
	"io"
)

// cancelReader reads a pipe in a goroutine of its own, so that a cancel ends the caller although
// the read itself cannot be interrupted. The goroutine ends with the read that it is waiting in.
type cancelReader struct {
	ctx   context.Context
	full  chan chunk
	empty chan []byte
	quit  chan struct{}
	cur   chunk
	used  int
}

type chunk struct {
	b   []byte
	err error
}

func newCancelReader(ctx context.Context, r io.Reader) *cancelReader {
	c := &cancelReader{ctx: ctx, full: make(chan chunk, 2), empty: make(chan []byte, 2), quit: make(chan struct{})}
	c.empty <- make([]byte, blockSize/4)
	c.empty <- make([]byte, blockSize/4)
	go func() {
		for {
			var b []byte
			select {
			case b = <-c.empty:
			case <-c.quit:
				return
			}
			n, err := r.Read(b)
			select {
			case c.full <- chunk{b[:n], err}:
			case <-c.quit:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return c
}

// Read gives bytes of the current chunk, or waits for the next.
func (c *cancelReader) Read(p []byte) (int, error) {
	for c.used == len(c.cur.b) {
		if c.cur.err != nil {
			return 0, c.cur.err
		}
		if c.cur.b != nil {
			c.empty <- c.cur.b[:cap(c.cur.b)]
			c.cur, c.used = chunk{}, 0
		}
		select {
		case c.cur = <-c.full:
			c.used = 0
		case <-c.ctx.Done():
			return 0, c.ctx.Err()
		}
	}
	n := copy(p, c.cur.b[c.used:])
	c.used += n
	return n, nil
}

// stop lets the goroutine end.
func (c *cancelReader) stop() { close(c.quit) }
