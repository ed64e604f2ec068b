package capture

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"amtmedic/amt"
)

// AnyInterface is the name that stands for all interfaces at once, on Linux.
const AnyInterface = "any"

// What keeps a live capture from working.
var (
	ErrPermission    = errors.New("the right to capture packets is missing")
	ErrNoInterface   = errors.New("there is no such interface")
	ErrInterfaceGone = errors.New("the interface was removed")
	ErrNoDriver      = errors.New("live capture needs the driver Npcap")
	ErrNotSupported  = errors.New("live capture is not in this version on this system")
)

// LiveOptions sets up a live capture.
type LiveOptions struct {
	Ports   []uint16 // TCP ports that hellos go to; amt.HelloPort when empty
	Promisc bool     // also take packets for other stations; only of use on a mirror port
	// Gather is how long packets may wait until they are handed on, so that a program is not woken for
	// each one; 50 ms when 0. Only Linux asks for it.
	Gather time.Duration
	Warn   func(text string) // told about lost packets and an interface that is down; may be nil
}

func (o *LiveOptions) fill() {
	if len(o.Ports) == 0 {
		o.Ports = []uint16{amt.HelloPort}
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
}

// liveError says what did not work on an interface, and for a missing right or driver how to get it.
func liveError(iface string, err error) error {
	const otherwise = "; or record elsewhere and open the file with amtmedic capture scan FILE"
	e := &amt.Error{Op: "capture on", Subject: iface, Err: err}
	switch {
	case errors.Is(err, os.ErrPermission):
		e.Err = fmt.Errorf("%w: %w", ErrPermission, err)
		e.Hint = permissionHint(runtime.GOOS) + otherwise
	case errors.Is(err, ErrNoInterface):
		e.Hint = interfaceHint()
	case errors.Is(err, ErrNoDriver):
		e.Hint = "install Npcap from https://npcap.com and start again" + otherwise
	case errors.Is(err, ErrNotSupported):
		e.Hint = "record with Wireshark or tcpdump and open the file with amtmedic capture scan FILE"
	}
	return e
}

// permissionHint says how to get the right to capture on a system.
func permissionHint(goos string) string {
	switch goos {
	case "linux":
		return "run once, and again after every update: sudo setcap cap_net_raw+ep " + executable() + " "
	case "darwin":
		return "run it with sudo, or get the right to read and write /dev/bpf* (the installer of Wireshark offers that)"
	}
	return "run it as administrator"
}

func executable() string {
	if p, err := os.Executable(); err == nil {
		return p
	}
	return "amtmedic"
}
