package lab

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"amtmedic/capture"
)

// tap stands at the network port of one side and writes down what happens there as frames: every
// one of them mirrors what a real socket did at that moment. It needs no rights.
type tap struct {
	now func() time.Time
	out func(at time.Time, frame []byte) // nil: a real capture stands there instead
}

func (t *tap) udp(src, dst netip.AddrPort, payload []byte) {
	t.frame(capture.FrameUDP(src, dst, payload))
}

// frame hands a frame on. Those of this package are always of one family, so they can be built.
func (t *tap) frame(b []byte, err error) {
	if err == nil && t.out != nil {
		t.out(t.now(), b)
	}
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
func (s *stream) emit(fromA bool, flags capture.Flags, payload []byte) {
	src, dst, seq, ack := s.a, s.b, s.seqA, s.seqB
	if !fromA {
		src, dst, seq, ack = s.b, s.a, s.seqB, s.seqA
	}
	if flags&capture.ACK == 0 {
		ack = 0
	}
	s.tap.frame(capture.Frame(src, dst, flags, seq, ack, payload))
	n := uint32(len(payload))
	if flags&(capture.SYN|capture.FIN) != 0 {
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
	s.emit(true, capture.SYN, nil)
}

func (s *stream) established() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emit(false, capture.SYN|capture.ACK, nil)
	s.emit(true, capture.ACK, nil)
}

// refused is the reset that answers a SYN.
func (s *stream) refused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emit(false, capture.RST|capture.ACK, nil)
	s.reset = true
}

func (s *stream) data(fromA bool, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 1460
	for len(b) > 0 && !s.reset {
		n := min(len(b), most)
		s.emit(fromA, capture.PSH|capture.ACK, b[:n])
		s.emit(!fromA, capture.ACK, nil)
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
	s.emit(fromA, capture.FIN|capture.ACK, nil)
	s.emit(!fromA, capture.ACK, nil)
}

func (s *stream) rst(fromA bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reset || (s.finA && s.finB) {
		return
	}
	s.reset = true
	s.emit(fromA, capture.RST|capture.ACK, nil)
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
