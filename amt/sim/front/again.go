package front

import (
	"errors"
	"net"
	"syscall"
)

// again reports whether a UDP socket can be read further after an error: it is told of answers that
// nobody took.
func again(err error) bool {
	return !errors.Is(err, net.ErrClosed) && (errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EMSGSIZE))
}
