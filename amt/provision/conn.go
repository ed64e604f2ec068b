package provision

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// conn is a connection until it is closed. Up to the commit it has SO_LINGER 0: whatever ends it,
// kill -9 included, resets it, and the sender knows that its hello was not taken.
type conn struct {
	net.Conn
	from netip.AddrPort
	src  *source
	room [firstRead]byte // of the first bytes

	mu      sync.Mutex
	hurried bool
}

// firstRead is room for a hello of either version, 16 root hashes included.
const firstRead = 512

// newConn takes a connection over; lingers says that it has SO_LINGER 0 already.
func newConn(nc net.Conn, lingers bool) *conn {
	if !lingers {
		setLinger(nc, 0)
	}
	return &conn{Conn: nc, from: peer(nc)}
}

// await sets the time until which the next bytes are waited for.
func (c *conn) await(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hurried {
		until = time.Unix(1, 0)
	}
	_ = c.SetReadDeadline(until)
}

// hurry ends every present and future wait for bytes.
func (c *conn) hurry() {
	c.mu.Lock()
	c.hurried = true
	c.mu.Unlock()
	_ = c.SetReadDeadline(time.Unix(1, 0))
}

// isHurried reports whether somebody ended the waits of this connection.
func (c *conn) isHurried() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hurried
}

// Bounds of what is read and thrown away after the end of a message.
const (
	drainTime  = time.Second
	drainBytes = 64 << 10
)

// finish closes the connection in order. It ends our side first and then reads what the sender may
// still have sent, because closing with unread bytes would reset the connection.
func (c *conn) finish(sawEnd bool) {
	setLinger(c.Conn, -1)
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok && !sawEnd && w.CloseWrite() == nil {
		c.await(time.Now().Add(drainTime))
		for left := drainBytes; left > 0; {
			n, err := c.Read(c.room[:])
			if left -= n; err != nil {
				break
			}
		}
	}
	_ = c.Close()
}

// reset closes without order: the sender sees that nothing was taken.
func reset(nc net.Conn) {
	setLinger(nc, 0)
	_ = nc.Close()
}

func setLinger(nc net.Conn, seconds int) {
	if l, ok := nc.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(seconds)
	}
}
