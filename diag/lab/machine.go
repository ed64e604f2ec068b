package lab

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/keys"
)

// machine is the simulated PC: its switches, its MEBx, and the firmware that says hello. It knows
// nothing of the fault that was chosen, only the state that it is in.
type machine struct {
	net   *network
	clock *clock
	uuid  amt.UUID

	mu       sync.Mutex
	enabled  bool
	mebx     mebx
	pair     keys.Pair // zero until PID and PPS are entered
	keyedBy  string
	override string
	silent   bool // its window is over
	powered  time.Time
	sent     uint32 // hellos of this sequence that a server took
	tries    int
	again    chan struct{} // closed to begin the sequence anew
}

// helloGaps are the pauses between hellos of a PSK client (provisioning-protocol 2.1, schedule A).
var helloGaps = []time.Duration{time.Minute, 10 * time.Minute, time.Hour}

// eachGap is how often every gap comes before the next one.
const eachGap = 5

// bootTime is how long firmware takes from power to its first hello.
const bootTime = 6 * time.Second

// settling is how long the world runs faster after the client got power: what it does first is over
// by then.
const settling = 2 * time.Minute

// drain cuts the power until nothing is left, and gives it back: the sequence begins anew.
func (m *machine) drain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent, m.sent, m.tries = false, 0, 0
	m.powered = m.clock.now()
	m.clock.hasten(m.powered.Add(settling), speed)
	close(m.again)
	m.again = make(chan struct{})
}

// drained gives when power came back last; zero when it was not cut in this case.
func (m *machine) drained() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.powered
}

// speaks reports whether firmware in this state sends hellos.
func (m *machine) speaks() bool { return m.enabled && m.pair.PID != "" && !m.silent }

// run is the firmware. It ends with ctx.
func (m *machine) run(ctx context.Context) {
	for ctx.Err() == nil {
		m.mu.Lock()
		again, wait := m.again, m.gap()
		m.mu.Unlock()
		var err error
		if wait < 0 {
			select {
			case <-again:
				err = errWoken
			case <-ctx.Done():
			}
		} else {
			err = m.clock.sleep(ctx, wait, again)
		}
		if err == nil {
			m.try(ctx)
		}
	}
}

// gap gives the pause before the next try, negative when none comes. The caller holds the lock.
func (m *machine) gap() time.Duration {
	switch {
	case !m.speaks():
		return -1
	case m.tries == 0:
		return bootTime
	}
	step := (m.tries - 1) / eachGap
	if step >= len(helloGaps) {
		m.silent = true
		return -1
	}
	return helloGaps[step]
}

// try looks the server up and says one hello.
func (m *machine) try(ctx context.Context) {
	m.mu.Lock()
	if !m.speaks() {
		m.mu.Unlock()
		return
	}
	m.tries++
	message, override := hello.ForPSK(m.uuid, m.pair.PID), m.override
	message.RetryCount = uint32(m.tries - 1)
	message.AdminCredentialsSet = m.mebx != mebxFactory
	m.mu.Unlock()
	b, err := hello.Encode(message)
	if err != nil {
		return
	}
	to, ok := m.find(ctx, override)
	if ok && m.say(ctx, to, b) {
		m.mu.Lock()
		m.sent++
		m.mu.Unlock()
	}
}

// find gives the address of the server: the stored one, else what the names give
// (provisioning-protocol 2.3).
func (m *machine) find(ctx context.Context, override string) (netip.AddrPort, bool) {
	if override != "" {
		host, port := override, uint16(amt.HelloPort)
		if h, p, ok := strings.Cut(override, ":"); ok {
			if n, err := strconv.ParseUint(p, 10, 16); err == nil {
				host, port = h, uint16(n)
			}
		}
		if a, err := netip.ParseAddr(host); err == nil {
			return netip.AddrPortFrom(a, port), true
		}
		return m.resolve(ctx, port, host)
	}
	l := m.net.current()
	if !l.addr.IsValid() {
		return netip.AddrPort{}, false
	}
	if l.suffix == "" {
		return m.resolve(ctx, amt.HelloPort, amt.ServerName)
	}
	return m.resolve(ctx, amt.HelloPort, amt.ServerName+"."+l.suffix)
}

func (m *machine) resolve(ctx context.Context, port uint16, names ...string) (netip.AddrPort, bool) {
	for _, n := range names {
		if addrs, err := m.net.Lookup(ctx, n); err == nil && len(addrs) > 0 {
			return netip.AddrPortFrom(addrs[0], port), true
		}
	}
	return netip.AddrPort{}, false
}

// say sends one hello and waits until the server has closed; true when it did so in order.
func (m *machine) say(ctx context.Context, to netip.AddrPort, b []byte) bool {
	c, err := m.net.Dial(ctx, to)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := c.SetDeadline(time.Now().Add(dialLimit)); err != nil {
		return false
	}
	if _, err := c.Write(b); err != nil {
		return false
	}
	if w, ok := c.(*conn); ok && w.CloseWrite() != nil {
		return false
	}
	n, err := c.Read(make([]byte, 64))
	return n == 0 && err != nil && ctx.Err() == nil
}

// enter types a PID and PPS into the MEBx, as a person does who knows its password.
func (m *machine) enter(p keys.Pair, password amt.Secret) {
	_ = password
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pair, m.keyedBy = p, "hand"
	if m.mebx == mebxFactory {
		m.mebx = mebxChanged // the MEBx insists on it at the first log-in
	}
}
