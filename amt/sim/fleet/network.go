package fleet

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"net/netip"
	"sync"
	"time"

	"amtmedic/amt/sim"
)

// network is the way out of all clients: the sockets of this machine, with a limit on how many
// hellos are on their way at a time. Whatever a client looks up, it is led to the one server; a full
// unprovision makes it forget the address that it was given.
type network struct {
	server netip.AddrPort
	room   chan struct{}
}

// Lookup answers every name with the server's address.
func (n network) Lookup(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{n.server.Addr()}, nil
}

// Dial connects to the server when there is room.
func (n network) Dial(ctx context.Context, from, _ netip.AddrPort) (net.Conn, error) {
	select {
	case n.room <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	leave := sync.OnceFunc(func() { <-n.room })
	c, err := sim.Sockets{}.Dial(ctx, from, n.server)
	if err != nil {
		leave()
		return nil, err
	}
	return &line{c, leave}, nil
}

// line gives its room back when it is closed.
type line struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (l *line) Close() error {
	l.leave()
	return l.Conn.Close()
}

// CloseWrite ends the client's side.
func (l *line) CloseWrite() error {
	if w, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// clock is the one clock of a fleet; waiting is done in the time of this machine.
type clock struct{ now func() time.Time }

// Now gives the time.
func (c clock) Now() time.Time { return c.now() }

// SleepUntil waits for a moment of the clock.
func (c clock) SleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(t.Sub(c.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// keyPool makes RSA keys for clients that are told to generate one. Eight of a length go round: a
// key takes 0.1 s to make, and none of them protects anything.
type keyPool struct {
	mu   sync.Mutex
	keys map[int][]*rsa.PrivateKey
	next int
}

const poolSize = 8

func (p *keyPool) key(bits int) (*rsa.PrivateKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have := p.keys[bits]; len(have) == poolSize {
		p.next++
		return have[p.next%poolSize], nil
	}
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, err
	}
	if p.keys == nil {
		p.keys = map[int][]*rsa.PrivateKey{}
	}
	p.keys[bits] = append(p.keys[bits], k)
	return k, nil
}
