package front

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Step is a place at which a connection can be made to go wrong.
type Step string

// The steps of a connection, in their order. AtPing is the presence ping.
const (
	AtConnect Step = "connect"
	AtTLS     Step = "tls"
	AtHTTP    Step = "http"
	AtPing    Step = "ping"
)

// Fault is what goes wrong at a step.
type Fault string

// The faults: a reset, an answer that means nothing, one that comes late, and a close before or
// after the answer.
const (
	None       Fault = ""
	Refuse     Fault = "refuse"
	Garbage    Fault = "garbage"
	Slow       Fault = "slow"
	DropFirst  Fault = "drop-before"
	DropSecond Fault = "drop-after"
)

// Manners of firmware that are no faults, but that not every program bears: an answer byte by byte (at tls:
// every record so), one in chunks, a connection that is closed in order after each answer, nonces that are
// good for one request.
const (
	Pieces  Fault = "pieces"
	Chunked Fault = "chunked"
	Close   Fault = "close"
	Stale   Fault = "stale"
)

// slowBy is how late a slow answer comes.
const slowBy = 5 * time.Second

// nonsense is what is sent instead of an answer: neither TLS nor HTTP.
const nonsense = "\x00\xff\x7famtmedic sim: not what was asked for\r\n\r\n\x00"

// faultAt does what goes wrong at a step before HTTP; false when the connection is over.
func (s *Server) faultAt(at Step, conn net.Conn) bool {
	switch s.opt.Fault(at) {
	case None, DropSecond, Pieces, Chunked, Close, Stale:
		return true
	case Slow:
		if s.wait(slowBy) {
			return true
		}
		reset(conn)
	case Garbage:
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write([]byte(nonsense))
		part(conn)
	case DropFirst:
		part(conn)
	default:
		reset(conn)
	}
	return false
}

// part ends a connection in order: the other side sees an end, and no reset for what it still says.
func part(conn net.Conn) {
	if w, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, 64<<10))
	_ = conn.Close()
}

func (s *Server) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.life.Done():
		return false
	}
}

// broken does what goes wrong with a request; true when it is to be answered all the same.
func (s *session) broken(w http.ResponseWriter, f Fault) bool {
	switch f {
	case Slow:
		return s.c.s.wait(slowBy)
	case Garbage:
		s.hijack(w, func(b *bufio.Writer) { _, _ = b.WriteString(nonsense) })
	case Refuse:
		plainPage(w, http.StatusServiceUnavailable)
	case DropSecond:
		s.ending.Store(true)
		return true
	case Pieces, Chunked, Close, Stale:
		return true
	default:
		s.hijack(w, nil)
	}
	return false
}

// ParseFault reads a fault by its word.
func ParseFault(s string) (Fault, error) {
	switch f := Fault(s); f {
	case Refuse, Garbage, Slow, DropFirst, DropSecond, Pieces, Chunked, Close, Stale:
		return f, nil
	}
	return None, fmt.Errorf("%.20q is no fault: refuse, garbage, slow, drop-before, drop-after, pieces, chunked, close or stale", s)
}

// ParseStep reads a step by its word; false for a step that is not of the connection.
func ParseStep(s string) (Step, bool) {
	switch at := Step(s); at {
	case AtConnect, AtTLS, AtHTTP, AtPing:
		return at, true
	}
	return "", false
}

// bytewise is a connection that writes every byte alone.
type bytewise struct{ net.Conn }

// Write writes b, byte by byte.
func (c bytewise) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// CloseWrite ends this side.
func (c bytewise) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// SetLinger says what a close does with what was not sent yet.
func (c bytewise) SetLinger(sec int) error {
	if l, ok := c.Conn.(interface{ SetLinger(sec int) error }); ok {
		return l.SetLinger(sec)
	}
	return nil
}

// inManner writes an answer's body in the manner of a client.
func inManner(w http.ResponseWriter, f Fault, status int, body []byte) {
	h := w.Header()
	if f == Close {
		h.Set("Connection", "close")
	}
	if f == Chunked {
		h.Del("Content-Length")
	}
	w.WriteHeader(status)
	for f == Chunked && len(body) > 100 {
		_, _ = w.Write(body[:100])
		_ = http.NewResponseController(w).Flush()
		body = body[100:]
	}
	_, _ = w.Write(body)
}
