package device

import (
	"bufio"
	"io"
	"net"
)

// Limits of one answer.
const (
	maxAnswer   = 1<<20 + 64<<10 // bytes, header included
	maxEvidence = 2 << 10        // bytes that are kept of an answer that cannot be read
	maxSecret   = 4 << 10        // of a secret in it: so much more is looked at before the rest is cut off
)

// link is an open connection. Between two exchanges a goroutine waits for its first byte or its end,
// so that a connection which the client has closed is not written to.
type link struct {
	net.Conn
	in      *bufio.Reader
	src     *source
	ready   chan error // what the watcher saw: nil for a byte
	watched bool       // a watcher runs, or its result waits in ready
	used    bool       // an exchange was completed on it
}

// source is what a link reads from: it stops at the limit of an answer and keeps its beginning.
type source struct {
	r    io.Reader
	left int
	head []byte
	n    int   // bytes of the answer
	end  error // why no more came
}

// Read reads up to the limit.
func (s *source) Read(b []byte) (int, error) {
	if s.left <= 0 {
		return 0, errTooLarge
	}
	n, err := s.r.Read(b[:min(len(b), s.left)])
	s.left -= n
	s.n += n
	if room := maxEvidence + maxSecret - len(s.head); room > 0 && n > 0 {
		s.head = append(s.head, b[:min(n, room)]...)
	}
	if err != nil {
		s.end = err
	}
	return n, err
}

func newLink(conn net.Conn) *link {
	src := &source{r: conn}
	l := &link{Conn: conn, src: src, in: bufio.NewReaderSize(src, 8<<10), ready: make(chan error, 1)}
	l.watch()
	return l
}

// watch begins to wait for the next answer.
func (l *link) watch() {
	l.src.left, l.src.n, l.src.head = maxAnswer, 0, l.src.head[:0]
	l.watched = true
	go func() {
		_, err := l.in.Peek(1)
		l.ready <- err
	}()
}

// alive reports whether the connection can take a request: nothing came and nobody closed it.
func (l *link) alive() bool {
	select {
	case <-l.ready:
		l.watched = false
		return false
	default:
		return true
	}
}

// first waits for the first byte of an answer, until the connection's deadline.
func (l *link) first() error {
	err := <-l.ready
	l.watched = false
	return err
}
