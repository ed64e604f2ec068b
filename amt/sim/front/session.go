package front

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// session is a connection that may speak HTTP.
type session struct {
	net.Conn          // secured, for port 16993
	raw      net.Conn // of TCP
	c        *Client
	secure   bool
	security Security    // how the handshake was secured
	ending   atomic.Bool // is closed when the answer was sent
	once     sync.Once
}

// counted is a connection that counts as long as it is open.
type counted struct {
	net.Conn
	c    *Client
	once sync.Once
}

// count lets one more connection in, unless there are too many of this client, or of all.
func (c *Client) count() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.s.opt.MaxSessions || int(c.s.open.Load()) >= c.s.opt.MaxAll {
		return false
	}
	c.open++
	c.s.open.Add(1)
	return true
}

// Close closes the connection.
func (k *counted) Close() error {
	k.once.Do(func() {
		k.c.mu.Lock()
		k.c.open--
		k.c.mu.Unlock()
		k.c.s.open.Add(-1)
	})
	return k.Conn.Close()
}

// CloseWrite ends this side.
func (k *counted) CloseWrite() error {
	if w, ok := k.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// SetLinger says what a close does with what was not sent yet.
func (k *counted) SetLinger(sec int) error {
	if l, ok := k.Conn.(interface{ SetLinger(sec int) error }); ok {
		return l.SetLinger(sec)
	}
	return nil
}

// Close ends the session, in order.
func (s *session) Close() error {
	s.leave()
	return s.Conn.Close()
}

// setup reports whether the other side proved to be a setup server.
func (s *session) setup() bool { return s.security == PairTLS || s.security == SetupTLS }

func (s *session) leave() {
	s.once.Do(func() {
		s.c.mu.Lock()
		delete(s.c.live, s)
		s.c.mu.Unlock()
		s.c.s.opt.Saw(Event{Kind: SessionClosed, Client: s.c.addr, From: addrPort(s.raw.RemoteAddr()), Setup: s.setup()})
	})
}

func (c *Client) enter(s *session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return false
	}
	if c.live == nil {
		c.live = map[*session]struct{}{}
	}
	c.live[s] = struct{}{}
	return true
}

// Sessions counts the client's open sessions.
func (c *Client) Sessions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.live)
}

// CloseSessions ends all sessions of the client.
func (c *Client) CloseSessions() { c.closeOthers(nil) }

func (c *Client) closeOthers(but *session) {
	c.mu.Lock()
	var all []*session
	for s := range c.live {
		if s != but {
			all = append(all, s)
		}
	}
	c.mu.Unlock()
	for _, s := range all {
		_ = s.Close()
	}
}

// shut closes ports and sessions for good.
func (c *Client) shut() {
	c.mu.Lock()
	c.gone = true
	if c.plain != nil {
		_ = c.plain.Close()
	}
	if c.tls != nil {
		_ = c.tls.Close()
	}
	if c.ping != nil {
		_ = c.ping.Close()
	}
	c.mu.Unlock()
	c.closeOthers(nil)
}

// afterAnswer closes a session that is to end, as soon as its answer has left.
func afterAnswer(conn net.Conn, state http.ConnState) {
	if s, ok := conn.(*session); ok && state == http.StateIdle && s.ending.Load() {
		_ = s.Close()
	}
}
