//go:build !windows

package discover

import (
	"errors"
	"syscall"
)

// refused reports whether the other side itself said no: it is there.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET)
}

// scarce reports whether this machine has no descriptor or buffer left.
func scarce(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS)
}
