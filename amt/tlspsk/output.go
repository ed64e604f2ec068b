package tlspsk

import (
	"errors"
	"net"
	"sync"
)

// output is the direction to the peer.
type output struct {
	sync.Mutex
	guard   *guard
	room    []byte // holds the sealed records
	pending []byte // the part of room that has not left yet
	err     error  // no further record can leave
	closed  bool   // close_notify has been sealed
}

// queue seals one record behind those that wait. c.out is locked.
func (c *Conn) queue(typ byte, data []byte) error {
	if len(c.out.pending) == 0 {
		c.out.pending = c.out.room[:0]
	}
	version := c.version
	if version == 0 {
		version = VersionTLS10 // a first hello says so whatever it offers
	}
	p, err := c.out.guard.seal(c.out.pending, typ, version, data, c.cfg.Rand)
	if err != nil {
		c.out.err = err
		return err
	}
	c.out.pending = p
	if cap(p) > cap(c.out.room) {
		c.out.room = p
	}
	return nil
}

// flush sends what waits. After a deadline has passed it can go on; other errors stay.
func (c *Conn) flush() error {
	if c.out.err != nil {
		return c.out.err
	}
	for len(c.out.pending) > 0 {
		n, err := c.conn.Write(c.out.pending)
		c.out.pending = c.out.pending[n:]
		if err != nil {
			if !isTimeout(err) {
				c.out.err = err
			}
			return err
		}
	}
	return nil
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// writeData sends b in records. It counts a record as written once it is sealed: from then on flush
// takes care of it.
func (c *Conn) writeData(b []byte) (n int, err error) {
	if c.out.closed {
		return 0, net.ErrClosed
	}
	split := c.cfg.SplitFirstByte && c.version == VersionTLS10 && c.out.guard.cbc != nil
	for n < len(b) {
		if err := c.flush(); err != nil {
			return n, err
		}
		m := min(len(b)-n, maxPlaintext)
		if split && n == 0 && m > 1 {
			m = 1
		}
		if err := c.queue(recordData, b[n:n+m]); err != nil {
			return n, err
		}
		n += m
	}
	return n, c.flush()
}

// writeClose sends close_notify once, under a deadline of its own.
func (c *Conn) writeClose() error {
	if c.out.closed {
		return c.out.err
	}
	c.out.closed = true
	_ = c.conn.SetWriteDeadline(c.cfg.Time().Add(closeWait))
	if c.out.err == nil {
		_ = c.queue(recordAlert, []byte{alertWarning, byte(AlertCloseNotify)})
	}
	return c.flush()
}

// Levels of alerts.
const (
	alertWarning = 1
	alertFatal   = 2
)

// warn sends an alert that does not end the session.
func (c *Conn) warn(a Alert) error {
	c.out.Lock()
	defer c.out.Unlock()
	if c.out.closed {
		return nil
	}
	if err := c.queue(recordAlert, []byte{alertWarning, byte(a)}); err != nil {
		return err
	}
	return c.flush()
}

// fail ends the session with an alert to the peer and gives the error for this side. c.in is locked.
func (c *Conn) fail(a Alert, cause error) error {
	e := &AlertError{Alert: a, Sent: true, Step: c.step, Err: cause}
	// The deadline also frees a Write that waits for a peer that does not read.
	_ = c.conn.SetWriteDeadline(c.cfg.Time().Add(closeWait))
	c.out.Lock()
	defer c.out.Unlock()
	if c.out.err == nil && !c.out.closed {
		_ = c.queue(recordAlert, []byte{alertFatal, byte(a)})
		_ = c.flush()
	}
	c.out.err, c.in.err = e, e
	return e
}
