package capture

import (
	"context"
	"errors"
	"fmt"
	"os"

	"amtmedic/amt"
)

// AnyInterface is the name that stands for all interfaces at once, on Linux.
const AnyInterface = "any"

// What keeps a live capture from working.
var (
	ErrPermission    = errors.New("the right to capture packets is missing")
	ErrNoInterface   = errors.New("there is no such interface")
	ErrInterfaceGone = errors.New("the interface was removed")
	ErrNotSupported  = errors.New("live capture is not in this version on this system")
)

// LiveOptions sets up a live capture.
type LiveOptions struct {
	Ports   []uint16          // TCP ports that hellos go to; amt.HelloPort when empty
	Promisc bool              // also take packets for other stations; only of use on a mirror port
	Warn    func(text string) // told about lost packets and an interface that is down; may be nil
}

func (o *LiveOptions) fill() {
	if len(o.Ports) == 0 {
		o.Ports = []uint16{amt.HelloPort}
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
}

// liveError says what did not work on an interface, and for a missing right how to get it.
func liveError(iface string, err error) error {
	e := &amt.Error{Op: "capture on", Subject: iface, Err: err}
	switch {
	case errors.Is(err, os.ErrPermission):
		e.Err = fmt.Errorf("%w: %w", ErrPermission, err)
		e.Hint = "run once, and again after every update: sudo setcap cap_net_raw+ep " + executable() +
			" ; or record elsewhere and open the file with amtmedic capture scan FILE"
	case errors.Is(err, ErrNoInterface):
		e.Hint = interfaceHint()
	case errors.Is(err, ErrNotSupported):
		e.Hint = "record with Wireshark or tcpdump and open the file with amtmedic capture scan FILE"
	}
	return e
}

// onStop calls f when ctx ends. The function that it gives must be called when f has lost its object:
// it waits for a call of f that has begun.
func onStop(ctx context.Context, f func()) (wait func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		f()
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

func executable() string {
	if p, err := os.Executable(); err == nil {
		return p
	}
	return "amtmedic"
}
