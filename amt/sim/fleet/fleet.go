// Package fleet is any number of simulated clients on this machine: each with its hellos (package
// sim), its ports (front) and what it answers there (engine). New, Open and Run are the entry
// points, in this order.
package fleet

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/sim/front"
)

// SharedAbove is the number of clients above which they share listeners on all addresses.
const SharedAbove = 2000

// MaxCount is the most clients that fit between the first default address and the end of 127.0.0.0/8
// in one process; memory ends earlier.
const MaxCount = 1_000_000

// Config says what the clients are. Count, Method, Version, Stage and First are required.
type Config struct {
	Count   int
	Method  amt.Method
	Version amt.Version
	Stage   engine.Stage
	First   netip.Addr          // of the first client; each next one is one higher
	To      netip.AddrPort      // the setup server; none: no hello is sent
	Suffix  string              // DHCP option 15
	Roots   []*x509.Certificate // whose hashes are active beside the built-in ones
	OTP     bool                // an agent planted a one-time password in each; pki
	Fast    bool                // hellos every few seconds until a session is open
	Faults  []Fault

	AnyPort bool      // ports that the system chooses, for tests
	Random  io.Reader // nil is crypto/rand
	// Now is the clock of all clients; nil is time.Now.
	Now func() time.Time

	OnLine func(Line)         // a client's state is new; from many goroutines
	OnTalk func(about string) // what a person may want to know; from many goroutines
}

// Line tells the state of a client. Its JSON form is that of "amtmedic sim --json".
type Line struct {
	UUID       amt.UUID     `json:"uuid"`
	Address    string       `json:"address"`
	State      engine.Stage `json:"state"` // pre, in, post
	HellosSent uint64       `json:"hellos_sent"`
}

// Fleet is the clients of a Config.
type Fleet struct {
	cfg      Config
	server   *front.Server
	members  []*Client
	pool     keyPool
	firstKey int64        // id of the first client's key; random, as an import replaces keys of the same id
	hashes   []hello.Hash // active in every client
	faults   map[front.Step]front.Fault
	dialers  chan struct{} // one for each connection that a hello may have at a time

	provisioned atomic.Int64
}

// New makes the clients: random UUIDs, pairs and passwords. Nothing is opened.
func New(c Config) (*Fleet, error) {
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.OnLine == nil {
		c.OnLine = func(Line) {}
	}
	if c.OnTalk == nil {
		c.OnTalk = func(string) {}
	}
	f := &Fleet{cfg: c, hashes: activeHashes(c.Version, c.Roots), faults: map[front.Step]front.Fault{}, dialers: make(chan struct{}, 256)}
	for _, fault := range c.Faults {
		if fault.At != "" {
			f.faults[fault.At] = fault.Kind
		}
	}
	var err error
	f.server, err = front.New(front.Options{Shared: c.Count > SharedAbove, AnyPort: c.AnyPort, Now: c.Now, Saw: f.saw,
		Fault: func(at front.Step) front.Fault { return f.faults[at] }})
	if err != nil {
		return nil, err
	}
	var draw [4]byte
	if _, err := c.Random.Read(draw[:]); err != nil {
		return nil, fmt.Errorf("random number of the first key: %w", err)
	}
	f.firstKey = int64(binary.BigEndian.Uint32(draw[:])>>2) + 1
	addr := c.First
	for i := range c.Count {
		if !addr.IsValid() || c.First.IsLoopback() && !addr.IsLoopback() {
			return nil, fmt.Errorf("client %d of %d has no address: they begin at %s and all must be loopback", i+1, c.Count, c.First)
		}
		m, err := f.newClient(i, addr)
		if err != nil {
			return nil, err
		}
		f.members = append(f.members, m)
		addr = addr.Next()
	}
	if c.Stage == engine.Post {
		f.provisioned.Store(int64(c.Count))
	}
	return f, nil
}

// Clients gives the clients in the order of their addresses.
func (f *Fleet) Clients() []*Client { return f.members }

// Sessions counts the open sessions of all clients.
func (f *Fleet) Sessions() int { return f.server.Sessions() }

// Provisioned counts the clients that are provisioned now.
func (f *Fleet) Provisioned() int { return int(f.provisioned.Load()) }

// PingError tells why the presence ping is not answered; nil when it is.
func (f *Fleet) PingError() error { return f.server.PingError() }

// Open opens the ports of all clients.
func (f *Fleet) Open() error {
	for _, m := range f.members {
		var err error
		if m.ports, err = f.server.Add(m.Address, m.UUID, f.cfg.Version, m); err != nil {
			return err
		}
	}
	return nil
}

// settle is how long all clients must be provisioned and without session before Run ends.
const settle = 2 * time.Second

// Run answers at the ports and sends hellos until ctx ends, or, unless keep is set, until 2 s after
// the last client was provisioned and no session is open. It closes all ports.
func (f *Fleet) Run(ctx context.Context, keep bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, m := range f.members {
		f.line(m)
		if f.cfg.To.IsValid() {
			wg.Go(func() { _ = m.hellos.Run(ctx) })
		}
	}
	ended := make(chan error, 1)
	wg.Go(func() { ended <- f.server.Run(ctx) })
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var quiet time.Time // since when no session is open
	for {
		select {
		case err := <-ended:
			cancel()
			return err
		case now := <-tick.C:
			if keep || f.Provisioned() < len(f.members) || f.Sessions() > 0 {
				quiet = time.Time{}
				continue
			}
			if quiet.IsZero() {
				quiet = now
			}
			if now.Sub(quiet) >= settle {
				cancel()
				return <-ended
			}
		}
	}
}

func (f *Fleet) line(m *Client) { f.cfg.OnLine(m.Line()) }

// saw tells a person what was refused.
func (f *Fleet) saw(e front.Event) {
	if e.Err != nil && !errors.Is(e.Err, io.EOF) {
		f.cfg.OnTalk(fmt.Sprintf("%s: %s from %s: %v", e.Client, e.Kind, e.From, e.Err))
	}
}
