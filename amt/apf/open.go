package apf

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
)

// loopback is the address that channels are asked for: the firmware looks at the port.
const loopback = "127.0.0.1"

// DialContext opens a channel to the port of an address, whose host is not looked at. It fits where a
// net.Dialer's method of this name does.
func (t *Tunnel) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, net.UnknownNetworkError(network)
	}
	_, word, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(word, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%q is no port", word)
	}
	c, err := t.Open(ctx, int(port))
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Open opens a channel to a port of the firmware.
func (t *Tunnel) Open(parent context.Context, port int) (*Conn, error) {
	ctx, cancel := context.WithTimeout(parent, t.o.OpenTime)
	defer cancel()
	c, err := t.add(port)
	if err != nil {
		return nil, err
	}
	m := ChannelOpen{Kind: OpenForwarded, Sender: c.id, Window: uint32(t.o.Window), Address: loopback, Port: uint32(port),
		Origin: loopback, OriginPort: 49152 + c.id}
	if err := t.send(m); err != nil {
		t.forget(c.id)
		return nil, err
	}
	err = c.opened(ctx)
	if errors.Is(err, context.DeadlineExceeded) && parent.Err() == nil {
		return nil, fmt.Errorf("the firmware did not answer within %v to a channel to its port %d (it offers %v): %w", t.o.OpenTime, port, t.Ports(), err)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// add takes the lowest free number.
func (t *Tunnel) add(port int) (*Conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return nil, t.err
	}
	for id := uint32(1); id <= maxChannels; id++ {
		if t.channels[id] == nil {
			c := &Conn{t: t, id: id, port: port, room: t.o.Window, changed: make(chan struct{})}
			t.channels[id] = c
			return c, nil
		}
	}
	return nil, fmt.Errorf("%d channels are open or not yet answered", maxChannels)
}

// opened waits for the answer. After an error the number stays taken until the firmware has spoken:
// a late confirmation is closed at once.
func (c *Conn) opened(ctx context.Context) error {
	for {
		c.mu.Lock()
		err, open, changed := c.err, c.open, c.changed
		c.mu.Unlock()
		if err != nil {
			return err
		}
		if open {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			_ = c.Close()
			return ctx.Err()
		}
	}
}

// handle acts on a message for this channel. An error ends the tunnel.
func (c *Conn) handle(m Message) error {
	switch m := m.(type) {
	case ChannelConfirmation:
		return c.confirmed(m)
	case ChannelFailure:
		return c.refused(m)
	case WindowAdjust:
		return c.adjusted(m)
	case ChannelData:
		return c.arrived(m)
	case ChannelClose:
		return c.finished()
	}
	return nil
}

func (c *Conn) confirmed(m ChannelConfirmation) error {
	c.mu.Lock()
	if c.open {
		c.mu.Unlock()
		return fmt.Errorf("%w: it opens channel %d twice", ErrProtocol, c.id)
	}
	c.open, c.peer, c.credit = true, m.Sender, uint64(m.Window)
	late := c.closed // nobody waits for it any more
	c.sent = late
	c.notify()
	c.mu.Unlock()
	if late {
		return c.t.send(ChannelClose{m.Sender})
	}
	return nil
}

func (c *Conn) refused(m ChannelFailure) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open {
		return fmt.Errorf("%w: it refuses channel %d after it opened it", ErrProtocol, c.id)
	}
	if c.err == nil {
		c.err = &OpenError{c.port, m.Reason}
	}
	c.notify()
	c.t.forget(c.id)
	return nil
}

func (c *Conn) adjusted(m WindowAdjust) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		return fmt.Errorf("%w: it gives room on channel %d before it opened it", ErrProtocol, c.id)
	}
	if c.credit += uint64(m.Bytes); c.credit > math.MaxUint32 {
		return fmt.Errorf("%w: the window of channel %d grows beyond 2^32 bytes", ErrProtocol, c.id)
	}
	c.notify()
	return nil
}

// arrived takes data. Firmware that overruns its window by a little is borne: nobody knows how exact
// each version is.
func (c *Conn) arrived(m ChannelData) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		return fmt.Errorf("%w: it sends data on channel %d before it opened it", ErrProtocol, c.id)
	}
	if c.closed {
		return nil
	}
	if c.room -= len(m.Data); c.room < -maxAhead {
		return fmt.Errorf("%w: it sends %d bytes more on channel %d than it may", ErrProtocol, -c.room, c.id)
	}
	c.in = append(c.in, m.Data...)
	c.notify()
	return nil
}

// finished takes the firmware's close and answers it if ours is not out.
func (c *Conn) finished() error {
	c.mu.Lock()
	if !c.open {
		c.mu.Unlock()
		return fmt.Errorf("%w: it closes channel %d before it opened it", ErrProtocol, c.id)
	}
	c.ended = true
	say := !c.sent
	c.sent = true
	peer := c.peer
	c.notify()
	c.mu.Unlock()
	c.t.forget(c.id)
	if say {
		return c.t.send(ChannelClose{peer})
	}
	return nil
}
