// Package mei talks to the Management Engine of this computer through its interface (MEI, HECI):
// the transport of each operating system, the commands of Intel AMT's local clients, what their
// answers say about the mode of the client, and the few commands that change it.
//
// A Conn carries whole messages of one firmware client and knows nothing of their content. A Dialer
// makes conns; everything above it takes one, so that tests put recorded firmware in its place.
package mei

import (
	"context"
	"time"

	"amtmedic/amt"
)

// ID names a client of the firmware, in the byte order of its text form.
type ID amt.UUID

// String gives the lower-case text form.
func (id ID) String() string { return amt.UUID(id).String() }

// Wire gives the 16 bytes that the connect call of the driver takes: the first three groups are
// little-endian there.
func (id ID) Wire() [16]byte { return amt.UUID(id).Wire() }

// The clients that amtmedic speaks to (intel/lms MEIClient/Include/HECI_if.h, rpc-go pkg/heci; the
// fixed one: Linux drivers/misc/mei/bus-fixup.c).
var (
	AMTHI    = mustID("12f80028-b4b7-4b2d-aca8-46e0ff65814c") // the commands of AMT's host interface (PTHI)
	Watchdog = mustID("05b79a6f-4628-4d7f-899d-a91514cb32ab") // manageability: says whether AMT is switched on, also when it is off
	MKHI     = mustID("8e6a6715-9abc-4043-88ef-9e39c6f63e0f") // firmware version and capabilities, dynamic address
	MKHIFix  = mustID("55213584-9a29-4916-badf-0fb7ed682aeb") // the same at its fixed address; the driver may refuse it
	LME      = mustID("6733a4db-0476-4e7b-b3af-bcfc29bee7a7") // the tunnel (APF) to the firmware's own ports
)

func mustID(s string) ID {
	u, err := amt.ParseUUID(s)
	if err != nil {
		panic(err) // a misspelt constant
	}
	return ID(u)
}

// Name gives the short word for a client that is known here, else its text form.
func (id ID) Name() string {
	switch id {
	case AMTHI:
		return "AMTHI"
	case Watchdog:
		return "watchdog"
	case MKHI, MKHIFix:
		return "MKHI"
	case LME:
		return "LME"
	}
	return id.String()
}

// Options says where the interface is and how long to bear with it.
type Options struct {
	Device   string        // the device node; empty: the first of this system that is a Management Engine's
	Patience time.Duration // how long a busy or resetting ME is waited for when opening; 0 is 3 s, negative is not at all
	Sys      string        // where sysfs is mounted, for tests; empty is /sys. Linux only
}

// defaultPatience is the time that the ME needs after a reset (local-mei 1.1).
const defaultPatience = 3 * time.Second

func (o Options) patience() time.Duration {
	if o.Patience == 0 {
		return defaultPatience
	}
	return max(o.Patience, 0)
}

// Link is what carries messages to one client of the firmware and back. *Conn is the real one.
type Link interface {
	MaxMessage() int
	ProtocolVersion() byte
	Read(ctx context.Context, p []byte) (int, error)
	Write(ctx context.Context, p []byte) error
	Close() error
}

// Dialer connects to a client of the firmware.
type Dialer func(ctx context.Context, client ID) (Link, error)

// Dial gives the Dialer of this computer's own Management Engine.
func Dial(o Options) Dialer {
	return func(ctx context.Context, client ID) (Link, error) {
		c, err := Open(ctx, client, o)
		if err != nil {
			return nil, err // not a nil *Conn in an interface
		}
		return c, nil
	}
}

// Conn is a connection to one client of the firmware. One goroutine may read while another writes;
// Close may be called from any and ends both.
type Conn struct {
	port    port
	client  ID
	max     int
	version byte
}

// port is the part of a connection that each operating system does in its own way. Its errors
// are already those of this package.
type port interface {
	read(ctx context.Context, p []byte) (int, error)
	write(ctx context.Context, p []byte) error
	close() error
}

// Open connects to a client of the local firmware. A busy or resetting ME is waited for within
// Options.Patience and the context. Errors: ErrNoDriver, ErrNoME, ErrNoClient (an ErrNoME), ErrDenied,
// ErrBusy, ErrReset, ErrNotHere, or the context's; each comes as an *amt.Error with a hint.
func Open(ctx context.Context, client ID, o Options) (*Conn, error) {
	limit := time.Now().Add(o.patience())
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		c, err := open(ctx, client, o)
		if err == nil {
			return c, nil
		}
		if !passes(err) || time.Now().Add(wait).After(limit) {
			return nil, opened(client, err)
		}
		select {
		case <-ctx.Done():
			return nil, opened(client, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// MaxMessage is the longest message in bytes that the client takes, as the driver said on connecting.
func (c *Conn) MaxMessage() int { return c.max }

// ProtocolVersion is that of the client, as the driver said on connecting.
func (c *Conn) ProtocolVersion() byte { return c.version }

// Read waits for a message and puts it into p, which should have MaxMessage bytes: of a longer
// message the rest comes with the next Read. 0 bytes without an error is an empty message, which
// AMT that is switched off sends. Errors: ErrReset, ErrNotConnected, ErrClosed, or the context's.
func (c *Conn) Read(ctx context.Context, p []byte) (int, error) {
	n, err := c.port.read(ctx, p)
	return n, carried("read from", c.client, err)
}

// Write sends p as one message. Errors: ErrTooLong, ErrReset, ErrNotConnected, ErrClosed, or the
// context's. Sent means that the driver took it, not that the firmware has read it.
func (c *Conn) Write(ctx context.Context, p []byte) error {
	if len(p) > c.max {
		return carried("write to", c.client, ErrTooLong)
	}
	return carried("write to", c.client, c.port.write(ctx, p))
}

// Close ends the connection and whatever waits on it. Closing again does nothing.
func (c *Conn) Close() error { return c.port.close() }
