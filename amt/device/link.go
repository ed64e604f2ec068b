package device

import (
	"bufio"
	"io"
	"net"
	"time"
)

// Limits of one answer.
const (
	maxAnswer   = 1<<20 + 64<<10 // bytes, header included
	maxEvidence = 2 << 10        // bytes that are kept of an answer that cannot be read
	maxSecret   = 4 << 10        // of a secret in it: so much more is looked at before the rest is cut off
)

// link is an open connection. Before a request that may not be sent twice, and after a time without any, a
// goroutine looks for its first byte or its end, so that a connection which the client has closed is not
// written to. Others are sent again when it turns out to be closed.
type link struct {
	net.Conn
	in      *bufio.Reader
	src     *source
	ready   chan error // what the watcher saw: nil for a byte
	watched bool       // a watcher runs, or its result waits in ready
	used    bool       // an exchange was completed on it
	since   time.Time  // of the last answer
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
	return &link{Conn: conn, src: src, in: bufio.NewReaderSize(src, 8<<10), ready: make(chan error, 1)}
}

// begin prepares for the next answer.
func (l *link) begin() {
	if !l.watched {
		l.src.left, l.src.n, l.src.head = maxAnswer, 0, l.src.head[:0]
	}
}

// watch begins to wait for the next answer.
func (l *link) watch() {
	l.begin()
	l.watched = true
	go func() {
		_, err := l.in.Peek(1)
		l.ready <- err
	}()
}

// What alive takes for granted.
const (
	busyFor = time.Second      // a client that has just answered neither closes without a word nor speaks unasked
	lookFor = time.Millisecond // for the end of a connection that was closed before
)

// alive reports whether the connection can take a request: nothing came and nobody closed it. sure looks
// also where the last answer has only just come.
func (l *link) alive(sure bool) bool {
	if !l.used || !sure && time.Since(l.since) < busyFor {
		return true
	}
	l.watch()
	t := time.NewTimer(lookFor)
	defer t.Stop()
	select {
	case <-l.ready:
		l.watched = false
		return false
	case <-t.C:
		return true
	}
}

// first waits for the first byte of an answer, until the connection's deadline.
func (l *link) first() error {
	if !l.watched {
		_, err := l.in.Peek(1)
		return err
	}
	err := <-l.ready
	l.watched = false
	return err
}
