package mei

import (
	"errors"
	"fmt"

	"amtmedic/amt"
)

// What can stand between a program and the Management Engine. Each error of this package wraps at
// most one of these; none of them ever proves that the computer has no AMT: a BIOS can hide it.
var (
	ErrNoDriver     = errors.New("the driver of the Management Engine interface is missing")
	ErrNoME         = errors.New("no Management Engine is visible")
	ErrNoClient     = error(&narrower{"the firmware has no such client", ErrNoME})
	ErrDenied       = errors.New("access to the Management Engine interface is denied")
	ErrBusy         = errors.New("the Management Engine interface is busy")
	ErrReset        = errors.New("the Management Engine is resetting or switched off")
	ErrNotConnected = errors.New("the firmware ended the connection")
	ErrClosed       = errors.New("the connection was closed here")
	ErrTooLong      = errors.New("the message is longer than the client takes")
	ErrNotHere      = errors.New("the Management Engine cannot be asked on this operating system")
)

// narrower is an error that is also a wider one.
type narrower struct {
	text string
	wide error
}

func (n *narrower) Error() string { return n.text }
func (n *narrower) Unwrap() error { return n.wide }

// passes reports whether waiting can help.
func passes(err error) bool { return errors.Is(err, ErrBusy) || errors.Is(err, ErrReset) }

// because joins what an error means here with what the system called it.
func because(meaning, cause error) error { return fmt.Errorf("%w (%w)", meaning, cause) }

func opened(client ID, err error) error {
	return &amt.Error{Op: "connect to the Management Engine", Subject: client.Name(), Err: err, Hint: hintFor(err)}
}

func carried(op string, client ID, err error) error {
	if err == nil {
		return nil
	}
	return &amt.Error{Op: op + " the Management Engine", Subject: client.Name(), Err: err, Hint: hintFor(err)}
}

// hintFor gives the next step.
func hintFor(err error) string {
	switch {
	case errors.Is(err, ErrDenied):
		return deniedHint
	case errors.Is(err, ErrNoDriver):
		return driverHint
	case errors.Is(err, ErrNoClient):
		return "AMT may be switched off in BIOS or MEBx, or this firmware has none: look at the BIOS screen, and for the Ctrl+P prompt at power-on"
	case errors.Is(err, ErrNoME):
		return "look in the BIOS for AMT, ME or manageability: it hides the interface when they are off. Inside a virtual machine or a container there is none"
	case errors.Is(err, ErrBusy):
		return "another program holds the client: stop LMS or the management agent for the moment, and ask again"
	case errors.Is(err, ErrReset), errors.Is(err, ErrNotConnected):
		return "wait ten seconds and ask again; if it stays so, power off, unplug, wait, and look at the BIOS"
	case errors.Is(err, ErrNotHere):
		return "run it on the client under Linux or Windows, or answer the questions from the BIOS and MEBx screens"
	}
	return ""
}
