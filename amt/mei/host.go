package mei

import (
	"context"
	"errors"
	"fmt"
	"time"

	"amtmedic/amt"
)

// How long an answer is waited for: of a command that reads, and of one that makes the firmware work.
const (
	Short = 3 * time.Second
	Long  = 15 * time.Second
)

// Exchange is a request and its answer, for a record. None holds a secret but the request of SetOTP.
type Exchange struct {
	Client  ID
	Request []byte
	Answer  []byte
	Err     error
}

// exchange sends a request and gives the answer, which may be empty.
func exchange(parent context.Context, link Link, limit time.Duration, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(parent, limit)
	defer cancel()
	if err := link.Write(ctx, request); err != nil {
		return nil, err
	}
	in := make([]byte, min(max(link.MaxMessage(), 512), 64<<10))
	n, err := link.Read(ctx, in)
	if err != nil {
		return nil, err
	}
	return in[:n], nil
}

// Host speaks to AMT's host interface, one command at a time.
type Host struct {
	Link
	// Note is told of every exchange; nil tells nobody.
	Note func(Exchange)
}

// DialHost connects to AMT's host interface. Errors: as Open.
func DialHost(ctx context.Context, dial Dialer) (Host, error) {
	link, err := dial(ctx, AMTHI)
	if err != nil {
		return Host{}, err
	}
	return Host{Link: link}, nil
}

// Ask sends a command and gives the payload of its answer. Errors: those of Command.Answer, and of the link.
func (h Host) Ask(ctx context.Context, limit time.Duration, c Command, payload ...byte) ([]byte, error) {
	request := c.Request(payload...)
	b, err := exchange(ctx, h.Link, limit, request)
	if h.Note != nil {
		h.Note(Exchange{AMTHI, request, b, err})
	}
	if err != nil {
		return nil, err
	}
	return c.Answer(b)
}

// Number asks for a number.
func (h Host) Number(ctx context.Context, c Command) (uint32, error) {
	return ask(ctx, h, c, func(b []byte) (uint32, error) { return ReadNumber(c, b) })
}

// ask sends a command that only reads, and reads its answer.
func ask[T any](ctx context.Context, h Host, c Command, read func([]byte) (T, error), payload ...byte) (T, error) {
	b, err := h.Ask(ctx, Short, c, payload...)
	if err != nil {
		var zero T
		return zero, err
	}
	return read(b)
}

// Version asks for the version of AMT. ErrSwitchedOff: AMT is off.
func (h Host) Version(ctx context.Context) (amt.Version, error) {
	v, err := ask(ctx, h, GetCodeVersions, ReadCodeVersions)
	if err == nil && v.AMT().IsZero() {
		err = garbled(GetCodeVersions, "the list does not name AMT")
	}
	return v.AMT(), err
}

// UUID asks for the UUID of the client.
func (h Host) UUID(ctx context.Context) (amt.UUID, error) { return ask(ctx, h, GetUUID, ReadUUID) }

// State asks for the provisioning state.
func (h Host) State(ctx context.Context) (ProvState, error) {
	n, err := h.Number(ctx, GetProvisioningState)
	return ProvState(n), err
}

// Hashes asks for the root certificates that the firmware accepts. What was read comes also with an error.
func (h Host) Hashes(ctx context.Context) ([]Hash, error) {
	handles, err := ask(ctx, h, ListHashes, ReadHandles)
	if err != nil {
		return nil, err
	}
	var out []Hash
	for _, n := range handles {
		one, err := ask(ctx, h, GetHash, func(b []byte) (Hash, error) { return ReadHash(n, b) }, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		if err != nil {
			return out, fmt.Errorf("hash %d: %w", n, err)
		}
		out = append(out, one)
	}
	return out, nil
}

// Audit asks how the client was set up.
func (h Host) Audit(ctx context.Context) (SetupAudit, error) {
	return ask(ctx, h, GetSetupAudit, ReadSetupAudit)
}

// Reset asks for the last reset of the computer.
func (h Host) Reset(ctx context.Context) (LastReset, error) {
	return ask(ctx, h, GetLastReset, ReadLastReset)
}

// ME asks for the last reset of the Management Engine itself.
func (h Host) ME(ctx context.Context) (MEState, error) {
	return ask(ctx, h, GetAMTState, ReadMEState, stateID[:]...)
}

// Tunnel asks for the tunnel to a management server.
func (h Host) Tunnel(ctx context.Context) (RemoteAccess, error) {
	return ask(ctx, h, GetRemoteAccess, ReadRemoteAccess)
}

// Random has the firmware make random numbers where it has none, and looks every poll whether they are
// there. Firmware that does not know the question has them.
func (h Host) Random(ctx context.Context, poll time.Duration) error {
	const exists, missing = 0, 2
	state, err := h.Number(ctx, GetRandom)
	if err != nil || state == exists {
		return nil
	}
	if state == missing {
		var s Status
		if _, err := h.Ask(ctx, Long, MakeRandom); err != nil && (!errors.As(err, &s) || s != RandomRuns) {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("they are not ready: %w", ctx.Err())
		case <-time.After(poll):
		}
		if state, err = h.Number(ctx, GetRandom); err != nil || state == exists {
			return err
		}
	}
}

// Start gives the command that begins setup, and with it the hellos, for a version of AMT: from 6.0 on
// another one, whose parameter leaves IPv6 off (Intel's guide, cfgstartconfigurationex.htm).
func Start(v amt.Version) (Command, []byte) {
	if v.AtLeast(6, 0) {
		return StartConfigurationEx, make([]byte, 4)
	}
	return StartConfiguration, nil
}
