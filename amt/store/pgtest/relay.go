package pgtest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Relay is a TCP relay before a server: the network that a test can cut.
type Relay struct {
	Port string // on 127.0.0.1

	to    string
	mu    sync.Mutex
	state *sync.Cond
	held  bool // nothing passes, nobody is told
	shut  bool // connections are reset
	conns map[net.Conn]bool
}

// NewRelay listens on loopback until the test ends and passes connections on to a port of 127.0.0.1.
func NewRelay(t testing.TB, port string) *Relay {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{to: net.JoinHostPort("127.0.0.1", port), conns: map[net.Conn]bool{}}
	r.state = sync.NewCond(&r.mu)
	_, r.Port, _ = net.SplitHostPort(ln.Addr().String())
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go r.pass(c)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		r.set(false, true)
	})
	return r
}

// Hold lets nothing through, as a firewall does that drops packets: connections stay, and are silent.
func (r *Relay) Hold() { r.set(true, false) }

// Reset ends every connection and every new one, as a machine does on which nothing listens.
func (r *Relay) Reset() { r.set(false, true) }

// Mend lets everything through again, what was held included.
func (r *Relay) Mend() { r.set(false, false) }

func (r *Relay) set(held, shut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.shut = held, shut
	if shut {
		for c := range r.conns {
			end(c)
		}
		clear(r.conns)
	}
	r.state.Broadcast()
}

// end resets a connection.
func end(c net.Conn) {
	if tc, ok := c.(*net.TCPConn); ok {
		_ = tc.SetLinger(0)
	}
	_ = c.Close()
}

// open waits while nothing passes, and reports whether the connections may live on.
func (r *Relay) open(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.held {
		r.state.Wait()
	}
	for _, c := range conns {
		if r.shut {
			end(c)
		} else {
			r.conns[c] = true
		}
	}
	return !r.shut
}

func (r *Relay) pass(c net.Conn) {
	if !r.open(c) {
		return
	}
	s, err := net.DialTimeout("tcp4", r.to, 5*time.Second)
	if err != nil {
		end(c)
		return
	}
	if !r.open(c, s) {
		return
	}
	go r.copy(c, s)
	r.copy(s, c)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	delete(r.conns, s)
}

// copy passes bytes on until either side ends.
func (r *Relay) copy(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if !r.open() {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
}
