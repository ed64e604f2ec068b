package discover

import (
	"errors"

	"golang.org/x/sys/windows"
)

// refused reports whether the other side itself said no: it is there. Winsock has numbers of its own,
// and tells the refusal of a datagram as a reset.
func refused(err error) bool {
	return errors.Is(err, windows.WSAECONNREFUSED) || errors.Is(err, windows.WSAECONNRESET)
}

// scarce reports whether this machine has no socket or buffer left.
func scarce(err error) bool {
	return errors.Is(err, windows.WSAEMFILE) || errors.Is(err, windows.WSAENOBUFS)
}
