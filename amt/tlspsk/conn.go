package tlspsk

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is one end of a session. Like other connections it takes one Read, one Write and any Close at
// the same time from different goroutines.
//
// A Read or Write of the open session that runs into its deadline loses nothing: a record that has
// arrived in part is completed by the next Read, and what Write has counted as written leaves with
// the next Write, CloseWrite or Close. A handshake that runs into a deadline is over.
//
// Read gives io.EOF only when the peer said close_notify. When the connection ends without it, data
// may have been cut off, and Read gives io.ErrUnexpectedEOF.
type Conn struct {
	conn   net.Conn
	cfg    *Config
	client bool

	handshakeMu  sync.Mutex
	open         atomic.Bool // the handshake succeeded
	handshakeErr error
	step         Step   // written under handshakeMu
	version      uint16 // 0 until agreed; written under handshakeMu and the two locks below
	state        State

	in  input
	out output

	hello transcript
}

func newConn(conn net.Conn, cfg *Config, client bool) *Conn {
	return &Conn{conn: conn, cfg: cfg.filled(), client: client}
}

// Handshake is HandshakeContext without a context; Config.HandshakeTimeout bounds it.
func (c *Conn) Handshake() error { return c.HandshakeContext(context.Background()) }

// HandshakeContext runs the handshake unless it has run. When ctx ends first, the connection is
// closed. An error is an *AlertError, a *HandshakeError, or tells that the Config is unfit; it stays,
// as every other call gives it again. ReasonOf sorts it.
func (c *Conn) HandshakeContext(ctx context.Context) error {
	if c.open.Load() {
		return nil
	}
	c.handshakeMu.Lock()
	defer c.handshakeMu.Unlock()
	if c.open.Load() || c.handshakeErr != nil {
		return c.handshakeErr
	}
	if c.handshakeErr = c.cfg.sound(); c.handshakeErr != nil {
		return c.handshakeErr
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.HandshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	c.in.Lock()
	defer c.in.Unlock()
	run := c.serverHandshake
	if c.client {
		run = c.clientHandshake
	}
	err := run()
	if !stop() {
		err = &HandshakeError{c.step, ctx.Err()}
	}
	c.handshakeErr = c.atStep(err)
	c.hello = transcript{}
	if err == nil {
		c.step = StepOpen
		c.open.Store(true)
	}
	return c.handshakeErr
}

// atStep says at which step a handshake ended, where the error does not say so itself.
func (c *Conn) atStep(err error) error {
	var alert *AlertError
	var hs *HandshakeError
	if err == nil || errors.As(err, &alert) || errors.As(err, &hs) {
		return err
	}
	return &HandshakeError{c.step, err}
}

// State gives what the handshake agreed upon; zero before it succeeded, but for the version, suite
// and identity that were agreed before it ended.
func (c *Conn) State() State {
	c.handshakeMu.Lock()
	defer c.handshakeMu.Unlock()
	return c.state
}

// Read reads data; it runs the handshake first.
func (c *Conn) Read(b []byte) (int, error) {
	if err := c.Handshake(); err != nil {
		return 0, err
	}
	if len(b) == 0 {
		return 0, nil
	}
	c.in.Lock()
	defer c.in.Unlock()
	for len(c.in.data) == 0 {
		if err := c.readRecord(); err != nil {
			return 0, err
		}
		if err := c.refuseRenegotiation(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.in.data)
	c.in.data = c.in.data[n:]
	// A close_notify that is here already is told with the last data: net/http would else take the
	// connection for one to use again.
	if len(c.in.data) == 0 && c.in.holdsAlert() {
		if err := c.readRecord(); err == io.EOF {
			return n, err
		}
	}
	return n, nil
}

// Write sends data; it runs the handshake first. See Conn for deadlines.
func (c *Conn) Write(b []byte) (int, error) {
	if err := c.Handshake(); err != nil {
		return 0, err
	}
	c.out.Lock()
	defer c.out.Unlock()
	return c.writeData(b)
}

// CloseWrite sends close_notify and leaves the other direction open. Further writes give
// net.ErrClosed.
func (c *Conn) CloseWrite() error {
	if !c.open.Load() {
		return errors.New("tls-psk: the handshake has not succeeded")
	}
	c.out.Lock()
	defer c.out.Unlock()
	return c.writeClose()
}

// Close sends close_notify, for at most five seconds, and closes the connection. It does not wait
// for the peer's. A Write under way is cut off.
func (c *Conn) Close() error {
	var err error
	if c.open.Load() && c.out.TryLock() {
		err = c.writeClose()
		c.out.Unlock()
	}
	if e := c.conn.Close(); e != nil {
		return e
	}
	if isReset(err) {
		return nil // the peer was faster
	}
	return err
}

// NetConn gives the connection beneath.
func (c *Conn) NetConn() net.Conn { return c.conn }

// LocalAddr is that of the connection beneath.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr is that of the connection beneath.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetDeadline sets both deadlines; see Conn for what they do to a session.
func (c *Conn) SetDeadline(t time.Time) error { return c.conn.SetDeadline(t) }

// SetReadDeadline sets the deadline of Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline of Write. CloseWrite, Close and a fatal alert set their own.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.conn.SetWriteDeadline(t) }
