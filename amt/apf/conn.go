package apf

import (
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// Conn is a channel to a port of the firmware. It is a net.Conn.
type Conn struct {
	t      *Tunnel
	id     uint32 // ours; the firmware's is peer
	port   int
	writer sync.Mutex // one Write at a time

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced when something below changes
	open       bool          // confirmed
	peer       uint32
	in         []byte // arrived, not yet read
	room       int    // bytes that the firmware may still send
	owed       int    // bytes read, not yet given back as room
	credit     uint64 // bytes that we may still send
	closed     bool   // by us
	sent       bool   // our close message is out
	ended      bool   // by the firmware
	err        error
	readUntil  time.Time
	writeUntil time.Time
}

// Addr is an end of a channel.
type Addr struct{ Port int }

// Network gives "apf".
func (Addr) Network() string { return "apf" }

// String gives the port behind "firmware"; a zero port is our end.
func (a Addr) String() string {
	if a.Port == 0 {
		return "this-pc"
	}
	return "firmware:" + strconv.Itoa(a.Port)
}

// LocalAddr gives our end.
func (c *Conn) LocalAddr() net.Addr { return Addr{} }

// RemoteAddr gives the firmware's port.
func (c *Conn) RemoteAddr() net.Addr { return Addr{c.port} }

// notify wakes who waits. The lock is held.
func (c *Conn) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// fail ends the channel with the tunnel.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.notify()
}

// wait waits for a change, until a time unless that is zero. It is called with the lock held and holds
// it again at its end.
func (c *Conn) wait(until time.Time) {
	changed := c.changed
	c.mu.Unlock()
	defer c.mu.Lock()
	if until.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

func expired(until time.Time) bool { return !until.IsZero() && !time.Now().Before(until) }

// Read gives bytes of the firmware. What came before its close, or before the end of the tunnel, is
// given first.
func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	for {
		switch {
		case c.closed:
			c.mu.Unlock()
			return 0, net.ErrClosed
		case expired(c.readUntil):
			c.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		case len(c.in) > 0 || len(p) == 0:
			return c.take(p)
		case c.ended:
			c.mu.Unlock()
			return 0, io.EOF
		case c.err != nil:
			err := c.err
			c.mu.Unlock()
			return 0, err
		}
		c.wait(c.readUntil)
	}
}

// take copies what is there and, when half of the window was read, gives that back to the firmware.
// It is called with the lock held and releases it.
func (c *Conn) take(p []byte) (int, error) {
	n := copy(p, c.in)
	if c.in = c.in[n:]; len(c.in) == 0 {
		c.in = nil
	}
	c.owed += n
	give := 0
	if c.owed >= c.t.o.Window/2 && !c.ended && !c.sent && c.err == nil {
		give, c.owed = c.owed, 0
		c.room += give
	}
	peer := c.peer
	c.mu.Unlock()
	if give > 0 {
		_ = c.t.send(WindowAdjust{peer, uint32(give)}) // an error ends the tunnel and is told by the next call
	}
	return n, nil
}

// Write sends bytes as fast as the firmware gives room for them.
func (c *Conn) Write(p []byte) (int, error) {
	c.writer.Lock()
	defer c.writer.Unlock()
	done := 0
	for done < len(p) {
		n, err := c.reserve(len(p) - done)
		if err != nil {
			return done, err
		}
		if err := c.t.send(ChannelData{c.peer, p[done : done+n]}); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// reserve takes credit for up to n bytes of one message, waiting for it.
func (c *Conn) reserve(n int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.err != nil:
			return 0, c.err
		case c.ended:
			return 0, fmt.Errorf("the firmware closed the channel: %w", io.ErrClosedPipe)
		case expired(c.writeUntil):
			return 0, os.ErrDeadlineExceeded
		case c.credit > 0:
			n = min(n, c.t.max-dataHeader, int(min(c.credit, math.MaxInt32)))
			c.credit -= uint64(n)
			return n, nil
		}
		c.wait(c.writeUntil)
	}
}

// Close closes the channel in order. Its number is free again when the firmware has answered.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed, c.in = true, nil
	say := c.open && !c.sent && c.err == nil
	c.sent = c.sent || say
	peer := c.peer
	c.notify()
	c.mu.Unlock()
	if !say {
		return nil
	}
	return c.t.send(ChannelClose{peer})
}

// SetDeadline bounds reads and writes; zero takes the bound away.
func (c *Conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readUntil, c.writeUntil = t, t
	c.notify()
	return nil
}

// SetReadDeadline bounds reads.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readUntil = t
	c.notify()
	return nil
}

// SetWriteDeadline bounds the wait of writes for room. A message that is on its way to the driver is
// bounded by Options.WriteTime.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeUntil = t
	c.notify()
	return nil
}
