package sim

import (
	"context"
	"errors"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// Client is a simulated client. It is safe for several goroutines.
type Client struct {
	cfg   Config
	clock Clock

	mu      sync.Mutex
	fw      firmware
	running bool
	wake    context.CancelFunc // ends the present wait or try of Run
	idle    chan struct{}      // closed to wake Run while no window is open
}

// New makes a client. Nothing moves before Run.
func New(c Config) *Client {
	if c.Clock == nil {
		c.Clock = ScaledClock(1)
	}
	if c.Patience == 0 {
		c.Patience = 3 * time.Second
	}
	if c.Lease.Mode == "" {
		c.Lease.Mode = DHCP
	}
	if c.OnEvent == nil {
		c.OnEvent = func(Event) {}
	}
	return &Client{cfg: c, clock: c.Clock, fw: newFirmware(c), wake: func() {}, idle: make(chan struct{})}
}

// State gives a snapshot.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fw.snapshot()
}

// Run powers the client on and lives its life until ctx ends, which is no error.
func (c *Client) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.running {
		c.mu.Unlock()
		return ErrRunning
	}
	c.running = true
	c.mu.Unlock()
	c.change(func(f *firmware, now time.Time) error {
		if f.ends.IsZero() {
			f.open(now, false)
		}
		return nil
	})
	for ctx.Err() == nil {
		c.step(ctx)
	}
	c.mu.Lock()
	c.running = false
	c.mu.Unlock()
	return nil
}

// step waits for what is due next, and does it.
func (c *Client) step(ctx context.Context) {
	c.mu.Lock()
	wctx, cancel := context.WithCancel(ctx)
	c.wake = cancel
	idle, silent := c.idle, c.fw.ends.IsZero()
	var at time.Time
	var try bool
	if !silent {
		at, try = c.fw.due()
	}
	c.mu.Unlock()
	defer cancel()
	if silent {
		select {
		case <-idle:
		case <-ctx.Done():
		}
		return
	}
	if c.clock.SleepUntil(wctx, at) != nil {
		return
	}
	if !try {
		c.expire(at)
		return
	}
	held := c.cfg.Hold != nil && c.cfg.Hold()
	c.mu.Lock()
	if wctx.Err() != nil {
		c.mu.Unlock()
		return
	}
	if held {
		c.fw.pass(c.clock.Now())
		c.mu.Unlock()
		return
	}
	t := c.fw.newTry(c.clock.Now())
	c.mu.Unlock()
	c.attempt(wctx, t)
}

// expire ends the window, unless it was opened anew meanwhile.
func (c *Client) expire(at time.Time) {
	c.change(func(f *firmware, _ time.Time) error {
		if f.ends.Equal(at) {
			f.close()
		}
		return nil
	})
}

// change lets a person, a program or time change the client, tells what came of it, and wakes Run.
func (c *Client) change(fn func(f *firmware, now time.Time) error) error {
	c.mu.Lock()
	before := c.fw
	now := c.clock.Now()
	err := fn(&c.fw, now)
	mode, open, moved := c.fw.mode(), !c.fw.ends.IsZero(), c.fw.sequence != before.sequence
	if moved {
		c.wake()
		close(c.idle)
		c.idle = make(chan struct{})
	}
	c.mu.Unlock()
	switch {
	case moved && open:
		c.emit(Event{Kind: EventWindowOpen})
	case moved:
		c.emit(Event{Kind: EventWindowClosed})
	}
	if mode != before.mode() {
		c.emit(Event{Kind: EventMode, Mode: mode})
	}
	return err
}

func (c *Client) emit(e Event) {
	e.At = c.clock.Now()
	c.cfg.OnEvent(e)
}

// PowerDrain is: shut down, unplug, press the power button until the LED has faded, plug in. The
// engine starts anew, and with it the sequence of hellos.
func (c *Client) PowerDrain() {
	_ = c.change(func(f *firmware, now time.Time) error { f.open(now, false); return nil })
}

// StartConfiguration is the call of a program in the client's own system that restarts the hellos.
func (c *Client) StartConfiguration() Answer {
	var a Answer
	_ = c.change(func(f *firmware, now time.Time) error { a = f.start(now); return nil })
	return a
}

// Renew gives the client other network settings, as a renewed lease or a replugged cable does. The
// sequence of hellos goes on.
func (c *Client) Renew(l Lease) {
	if l.Mode == "" {
		l.Mode = DHCP
	}
	_ = c.change(func(f *firmware, _ time.Time) error { f.lease = l; return nil })
}

// SetReady tells whether the client's certificate and random seed are there for a start of the
// configuration.
func (c *Client) SetReady(cert, rng bool) {
	_ = c.change(func(f *firmware, _ time.Time) error { f.cfg.CertNotReady, f.cfg.RNGNotReady = !cert, !rng; return nil })
}

// InsertUSB boots the client with a One-Touch key whose record holds a pair and the new password.
// Only a client in factory mode takes it.
func (c *Client) InsertUSB(pid string, pps, newPassword amt.Secret) error {
	return c.change(func(f *firmware, now time.Time) error {
		switch {
		case !f.enabled:
			return ErrDisabled
		case f.mode() != amt.ModeFactory:
			return ErrNotFactory
		case !f.hasPSK():
			return ErrUnsupported
		case !strong(newPassword.Reveal()):
			return ErrWeak
		}
		if err := f.enter(pid, pps); err != nil {
			return err
		}
		f.password, f.noNet = newPassword.Reveal(), false
		f.open(now, false)
		return nil
	})
}

// CMOSReset takes the battery out. Up to AMT 9 that makes the client as it came from the factory;
// later ones keep everything (symptom-catalogue, moving between modes).
func (c *Client) CMOSReset() error {
	return c.change(func(f *firmware, now time.Time) error {
		if f.version().AtLeast(10, 0) {
			return ErrUnsupported
		}
		f.reset()
		f.open(now, false)
		return nil
	})
}

// enter takes a pair as the firmware does, with the check of its characters.
func (f *firmware) enter(pid string, pps amt.Secret) error {
	if !f.hasPSK() {
		return ErrUnsupported
	}
	pair, problems := keys.Parse(pid, pps)
	if len(problems) > 0 {
		return errors.Join(ErrPair, errors.New(problems[0].Text))
	}
	f.pid, f.pps = pair.PID, pair.PPS
	return nil
}
