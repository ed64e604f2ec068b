// Package lme is the firmware's end of the port forwarding over the Management Engine interface, for
// tests and the lab: what package apf speaks to when no Management Engine is there. Firmware.Connect
// gives the PC's end; behind it every channel is a connection that Firmware.Dial opens. It is our own
// reading of what LMS expects of firmware: agreement with it proves nothing about real firmware.
package lme

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"amtmedic/amt/apf"
)

// Firmware says how a simulated LME client behaves.
type Firmware struct {
	Ports  []int // that it offers; nil is 16992 and 16993
	Window int   // bytes that a channel takes ahead; zero is 1024
	Max    int   // longest message in bytes; zero is 4096
	// Dial opens what is behind a port; an error refuses the channel. Nil refuses all.
	Dial func(ctx context.Context, port int) (net.Conn, error)
}

// errGone is a PC that closed its end.
var errGone = errors.New("no such device")

// pc is the PC's end: a pair of queues of messages.
type pc struct {
	max  int
	in   chan []byte // from the firmware
	out  chan []byte
	gone chan struct{}
	once sync.Once
	wg   *sync.WaitGroup
}

// Connect begins a session and gives the PC's end. Its Close ends the firmware's goroutines and waits
// for them.
func (f Firmware) Connect() apf.Transport {
	p := &pc{max: cmp.Or(f.Max, 4096), in: make(chan []byte, 16), out: make(chan []byte, 16), gone: make(chan struct{}), wg: &sync.WaitGroup{}}
	if f.Ports == nil {
		f.Ports = []int{apf.PlainPort, apf.SecurePort}
	}
	f.Window = cmp.Or(f.Window, 1024)
	s := &session{f: f, pc: p, channels: map[uint32]*channel{}}
	p.wg.Go(s.run)
	return p
}

// MaxMessage gives the longest message in bytes.
func (p *pc) MaxMessage() int { return p.max }

// Read takes the next message of the firmware.
func (p *pc) Read(ctx context.Context, b []byte) (int, error) {
	select {
	case m := <-p.in:
		return copy(b, m), nil
	case <-p.gone:
		return 0, errGone
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Write gives the firmware a message.
func (p *pc) Write(ctx context.Context, b []byte) error {
	if len(b) > p.max {
		return errors.New("file too large")
	}
	select {
	case p.out <- append([]byte(nil), b...):
		return nil
	case <-p.gone:
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the session.
func (p *pc) Close() error {
	p.once.Do(func() { close(p.gone) })
	p.wg.Wait()
	return nil
}

// session is the firmware's side of one connection.
type session struct {
	f  Firmware
	pc *pc

	mu       sync.Mutex
	channels map[uint32]*channel // by the firmware's number, which is 100 and the PC's
}

// channel is a connection behind a port.
type channel struct {
	peer uint32 // the PC's number
	conn net.Conn
	room chan struct{} // something was added to credit

	mu     sync.Mutex
	credit int // bytes that the PC takes
	sent   bool
}

func (s *session) send(m apf.Message) bool {
	select {
	case s.pc.in <- apf.Encode(m):
		return true
	case <-s.pc.gone:
		return false
	}
}

// run acts on messages until the PC's end is closed.
func (s *session) run() {
	defer s.shut()
	for {
		select {
		case b := <-s.pc.out:
			m, err := apf.Decode(b)
			if err != nil {
				s.send(apf.Disconnect{Reason: apf.DisconnectProtocolError})
				return
			}
			if !s.handle(m) {
				return
			}
		case <-s.pc.gone:
			return
		}
	}
}

func (s *session) handle(m apf.Message) bool {
	switch m := m.(type) {
	case apf.ProtocolVersion:
		return s.send(apf.ProtocolVersion{Major: 1, Trigger: m.Trigger}) && s.send(apf.ServiceRequest{Service: apf.ServiceAuth})
	case apf.ServiceAccept:
		return s.accepted(m.Service)
	case apf.UserAuthSuccess:
		return s.send(apf.ServiceRequest{Service: apf.ServiceForward})
	case apf.ChannelOpen:
		s.pc.wg.Go(func() { s.open(m) })
	case apf.ChannelData:
		s.data(m)
	case apf.WindowAdjust:
		if c := s.channel(m.Recipient); c != nil {
			c.give(int(m.Bytes))
		}
	case apf.ChannelClose:
		s.closed(m.Recipient)
	case apf.Disconnect:
		return false
	}
	return true
}

func (s *session) accepted(service string) bool {
	if service == apf.ServiceAuth {
		return s.send(apf.UserAuthRequest{Service: apf.ServiceForward, Method: apf.MethodNone})
	}
	for _, p := range s.f.Ports {
		if !s.send(apf.Forward{WantReply: true, Port: uint32(p)}) {
			return false
		}
	}
	return true
}

func (s *session) channel(id uint32) *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels[id]
}

// open dials what is behind the port and carries its bytes to the PC until it ends.
func (s *session) open(m apf.ChannelOpen) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := errors.New("nothing is behind the ports")
	var conn net.Conn
	if s.f.Dial != nil {
		conn, err = s.f.Dial(ctx, int(m.Port))
	}
	if err != nil {
		s.send(apf.ChannelFailure{Recipient: m.Sender, Reason: apf.OpenConnectFailed})
		return
	}
	c := &channel{peer: m.Sender, conn: conn, credit: int(m.Window), room: make(chan struct{}, 1)}
	id := 100 + m.Sender
	s.mu.Lock()
	s.channels[id] = c
	s.mu.Unlock()
	if s.send(apf.ChannelConfirmation{Recipient: m.Sender, Sender: id, Window: uint32(s.f.Window)}) {
		s.pump(c)
	}
	_ = conn.Close()
	c.mu.Lock()
	first := !c.sent
	c.sent = true
	c.mu.Unlock()
	if first {
		s.send(apf.ChannelClose{Recipient: c.peer})
	}
}

// pump carries bytes to the PC as it gives room.
func (s *session) pump(c *channel) {
	b := make([]byte, s.pc.max-9)
	for {
		n := c.wait(len(b), s.pc.gone)
		if n == 0 {
			return
		}
		n, err := c.conn.Read(b[:n])
		if n > 0 {
			c.take(n)
			if !s.send(apf.ChannelData{Recipient: c.peer, Data: b[:n]}) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *channel) give(n int) {
	c.mu.Lock()
	c.credit += n
	c.mu.Unlock()
	select {
	case c.room <- struct{}{}:
	default:
	}
}

func (c *channel) take(n int) {
	c.mu.Lock()
	c.credit -= n
	c.mu.Unlock()
}

// wait gives how much may be sent, up to n; 0 at the end of the session.
func (c *channel) wait(n int, gone <-chan struct{}) int {
	for {
		c.mu.Lock()
		credit := c.credit
		c.mu.Unlock()
		if credit > 0 {
			return min(n, credit)
		}
		select {
		case <-c.room:
		case <-gone:
			return 0
		}
	}
}

func (s *session) data(m apf.ChannelData) {
	c := s.channel(m.Recipient)
	if c == nil {
		return
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.conn.Write(m.Data); err == nil {
		s.send(apf.WindowAdjust{Recipient: c.peer, Bytes: uint32(len(m.Data))})
	}
}

// closed takes the PC's close and answers it if ours is not out.
func (s *session) closed(id uint32) {
	c := s.channel(id)
	if c == nil {
		return
	}
	s.mu.Lock()
	delete(s.channels, id)
	s.mu.Unlock()
	_ = c.conn.Close()
	c.give(1) // wakes the pump, whose read fails
	c.mu.Lock()
	first := !c.sent
	c.sent = true
	c.mu.Unlock()
	if first {
		s.send(apf.ChannelClose{Recipient: c.peer})
	}
}

func (s *session) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.channels {
		_ = c.conn.Close()
	}
}
