package apf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Options of a Tunnel. The zero value is usable.
type Options struct {
	Window    int           // bytes that a channel takes ahead of its reader; zero is 4096, as rpc-go and MeshAgent have it
	Greeting  time.Duration // bounds the beginning, up to the firmware's offer of a port; zero is 5 s, as LMS waits
	Settle    time.Duration // how long to wait for further ports after the first; zero is 300 ms
	OpenTime  time.Duration // bounds the opening of a channel; zero is 10 s
	WriteTime time.Duration // bounds one message to the firmware; zero is 5 s, as LMS waits
}

// Limits against firmware that does not keep to the rules.
const (
	maxChannels = 64       // at a time
	maxAhead    = 64 << 10 // bytes that a channel takes beyond its window
	maxEmpty    = 16       // messages without a byte, one after the other
	maxBuffer   = 64 << 10 // longest message that is read
	minMessage  = 128      // shortest limit of the transport that this can work with
)

// Tunnel is a session with the LME client. It is safe for concurrent use.
type Tunnel struct {
	tr   Transport
	o    Options
	max  int // longest message
	life context.Context
	end  context.CancelFunc
	done chan struct{} // the reader has ended

	writing sync.Mutex // one message at a time

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when something below changes
	version  *ProtocolVersion
	forward  bool // the service was asked for and granted
	ports    map[int]bool
	channels map[uint32]*Conn
	err      error // why the tunnel ended
}

// Connect begins a session: the versions are agreed, the firmware's services are granted and its
// offers of ports are taken. It takes the transport: Close closes it, and a Connect that fails too. LMS
// and other programs of this kind hold the client for themselves; with one of them running the
// transport cannot be opened in the first place.
func Connect(ctx context.Context, tr Transport, o Options) (*Tunnel, error) {
	o.Window = cmp.Or(o.Window, 4096)
	o.Greeting = cmp.Or(o.Greeting, 5*time.Second)
	o.Settle = cmp.Or(o.Settle, 300*time.Millisecond)
	o.OpenTime = cmp.Or(o.OpenTime, 10*time.Second)
	o.WriteTime = cmp.Or(o.WriteTime, 5*time.Second)
	t := &Tunnel{tr: tr, o: o, max: min(tr.MaxMessage(), maxBuffer), done: make(chan struct{}),
		changed: make(chan struct{}), ports: map[int]bool{}, channels: map[uint32]*Conn{}}
	if t.max < minMessage {
		_ = tr.Close()
		return nil, fmt.Errorf("the driver takes messages of at most %d bytes, %d are needed", t.max, minMessage)
	}
	t.life, t.end = context.WithCancel(context.Background())
	// Our version leaves first, whatever the firmware has said already.
	if err := t.send(ProtocolVersion{Major: 1, Trigger: TriggerLME}); err != nil {
		t.end()
		_ = tr.Close()
		return nil, err
	}
	go t.read()
	if err := t.greet(ctx); err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// greet waits until the firmware has offered its ports.
func (t *Tunnel) greet(parent context.Context) error {
	ctx, cancel := context.WithTimeout(parent, t.o.Greeting)
	defer cancel()
	ok := func() bool { return t.forward && (t.ports[PlainPort] || t.ports[SecurePort]) }
	if err := t.until(ctx, ok); err != nil {
		return t.silence(parent, err)
	}
	both := func() bool { return t.ports[PlainPort] && t.ports[SecurePort] }
	settle, cancel := context.WithTimeout(ctx, t.o.Settle)
	defer cancel()
	if err := t.until(settle, both); err != nil && settle.Err() == nil {
		return err
	}
	return parent.Err()
}

// silence says at which point of the beginning the firmware stopped.
func (t *Tunnel) silence(parent context.Context, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) || parent.Err() != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	what := "it offers none of its ports 16992 and 16993"
	switch {
	case t.version == nil:
		what = "it does not answer"
	case !t.forward:
		what = "it does not ask for the port forwarding service"
	}
	return fmt.Errorf("the firmware does not begin within %v: %s: %w", t.o.Greeting, what, err)
}

// until waits for a condition that is asked with the lock held.
func (t *Tunnel) until(ctx context.Context, ok func() bool) error {
	for {
		t.mu.Lock()
		err, met, changed := t.err, ok(), t.changed
		t.mu.Unlock()
		if err != nil {
			return err
		}
		if met {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// notify wakes who waits for the tunnel. The lock is held.
func (t *Tunnel) notify() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Ports gives the ports that the firmware offers to programs of this PC, in ascending order.
func (t *Tunnel) Ports() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []int
	for p := range t.ports {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// Version gives the firmware's version of the protocol.
func (t *Tunnel) Version() (major, minor uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.version.Major, t.version.Minor
}

// Err gives why the tunnel ended, nil while it stands.
func (t *Tunnel) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// send writes one message. A transport that fails ends the tunnel.
func (t *Tunnel) send(m Message) error {
	ctx, cancel := context.WithTimeout(t.life, t.o.WriteTime)
	defer cancel()
	t.writing.Lock()
	defer t.writing.Unlock()
	if err := t.Err(); err != nil {
		return err
	}
	if err := t.tr.Write(ctx, Encode(m)); err != nil {
		t.fail(fmt.Errorf("write to the firmware: %w", err))
		return t.Err()
	}
	return nil
}

// fail ends the tunnel for a reason: channels and waiters hear of it. The first reason stays.
func (t *Tunnel) fail(err error) {
	t.mu.Lock()
	if t.err == nil {
		t.err = err
	}
	all := make([]*Conn, 0, len(t.channels))
	for _, c := range t.channels {
		all = append(all, c)
	}
	err = t.err
	t.notify()
	t.mu.Unlock()
	t.end()
	for _, c := range all {
		c.fail(err)
	}
}

// Close closes every channel, takes leave of the firmware and closes the transport.
func (t *Tunnel) Close() error {
	if t.Err() == nil {
		t.mu.Lock()
		var open []*Conn
		for _, c := range t.channels {
			open = append(open, c)
		}
		t.mu.Unlock()
		for _, c := range open {
			_ = c.Close()
		}
		_ = t.send(Disconnect{DisconnectByApplication})
	}
	t.fail(ErrClosed)
	err := t.tr.Close()
	<-t.done
	return err
}

// read takes messages until the tunnel ends.
func (t *Tunnel) read() {
	defer close(t.done)
	p := make([]byte, t.max)
	empty := 0
	for {
		n, err := t.tr.Read(t.life, p)
		switch {
		case err != nil:
			t.fail(fmt.Errorf("read from the firmware: %w", err))
			return
		case n == 0:
			if empty++; empty > maxEmpty {
				t.fail(fmt.Errorf("%w: it sends empty messages", ErrProtocol))
				return
			}
			continue
		}
		empty = 0
		m, err := Decode(p[:n])
		if err == nil {
			err = t.handle(m)
		}
		if err != nil {
			if gone := (*DisconnectError)(nil); !errors.As(err, &gone) {
				_ = t.send(Disconnect{DisconnectProtocolError})
			}
			t.fail(err)
			return
		}
	}
}
