package lab

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// tap stands at the network port of one side and writes down what happens there as frames: every
// one of them mirrors what a real socket did at that moment. It needs no rights.
type tap struct {
	now func() time.Time
	out func(at time.Time, frame []byte)
}

func (t *tap) udp(src, dst netip.AddrPort, payload []byte) {
	t.out(t.now(), datagram(src, dst, payload))
}

// stream mirrors one TCP connection, opened from a to b.
type stream struct {
	tap  *tap
	a, b netip.AddrPort

	mu         sync.Mutex
	seqA, seqB uint32
	finA, finB bool
	reset      bool
}

func (t *tap) stream(a, b netip.AddrPort) *stream {
	isn := uint32(t.now().UnixMicro())
	return &stream{tap: t, a: a, b: b, seqA: isn, seqB: isn ^ 0x5a5a5a5a}
}

// emit writes one segment and moves the numbers on; the caller holds the lock.
func (s *stream) emit(fromA bool, flags byte, payload []byte) {
	g := segment{src: s.a, dst: s.b, flags: flags, seq: s.seqA, ack: s.seqB, payload: payload}
	if !fromA {
		g = segment{src: s.b, dst: s.a, flags: flags, seq: s.seqB, ack: s.seqA, payload: payload}
	}
	if flags&flagACK == 0 {
		g.ack = 0
	}
	s.tap.out(s.tap.now(), g.frame())
	n := uint32(len(payload))
	if flags&(flagSYN|flagFIN) != 0 {
		n++
	}
	if fromA {
		s.seqA += n
	} else {
		s.seqB += n
	}
}

func (s *stream) syn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emit(true, flagSYN, nil)
}

func (s *stream) established() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emit(false, flagSYN|flagACK, nil)
	s.emit(true, flagACK, nil)
}

// refused is the reset that answers a SYN.
func (s *stream) refused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emit(false, flagRST|flagACK, nil)
	s.reset = true
}

func (s *stream) data(fromA bool, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 1460
	for len(b) > 0 && !s.reset {
		n := min(len(b), most)
		s.emit(fromA, flagPSH|flagACK, b[:n])
		s.emit(!fromA, flagACK, nil)
		b = b[n:]
	}
}

func (s *stream) fin(fromA bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := &s.finA
	if !fromA {
		done = &s.finB
	}
	if *done || s.reset {
		return
	}
	*done = true
	s.emit(fromA, flagFIN|flagACK, nil)
	s.emit(!fromA, flagACK, nil)
}

func (s *stream) rst(fromA bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reset || (s.finA && s.finB) {
		return
	}
	s.reset = true
	s.emit(fromA, flagRST|flagACK, nil)
}

// conn is a real connection that a tap watches.
type conn struct {
	net.Conn
	s     *stream
	fromA bool // this end opened the connection

	mu     sync.Mutex
	linger int // seconds as set, -1 for the usual close
	closed bool
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.s.data(!c.fromA, b[:n])
	switch {
	case errors.Is(err, io.EOF):
		c.s.fin(!c.fromA)
	case errors.Is(err, syscall.ECONNRESET):
		c.s.rst(!c.fromA)
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.s.data(c.fromA, b[:n])
	return n, err
}

// CloseWrite ends this side and leaves the other open.
func (c *conn) CloseWrite() error {
	c.s.fin(c.fromA)
	if w, ok := c.Conn.(*net.TCPConn); ok {
		return w.CloseWrite()
	}
	return nil
}

// SetLinger passes on how the connection is to be closed: 0 seconds means by a reset.
func (c *conn) SetLinger(seconds int) error {
	c.mu.Lock()
	c.linger = seconds
	c.mu.Unlock()
	if w, ok := c.Conn.(*net.TCPConn); ok {
		return w.SetLinger(seconds)
	}
	return nil
}

// Close ends the connection, in order or by a reset.
func (c *conn) Close() error {
	c.mu.Lock()
	first, byReset := !c.closed, c.linger == 0
	c.closed = true
	c.mu.Unlock()
	if first && byReset {
		c.s.rst(c.fromA)
	} else if first {
		c.s.fin(c.fromA)
	}
	return c.Conn.Close()
}

// listener is a real listener that a tap watches.
type listener struct {
	net.Listener
	tap *tap
	at  netip.AddrPort // where the world believes it to be
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := l.tap.stream(addrPort(c.RemoteAddr()), l.at)
	s.syn()
	s.established()
	return &conn{Conn: c, s: s, linger: -1}, nil
}

// addrPort reads the address of a socket.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
