//go:build unix

package sim

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// reuseAddress lets the source port be taken again while its last connection still fades.
func reuseAddress(_, _ string, c syscall.RawConn) error {
	var opt error
	err := c.Control(func(fd uintptr) { opt = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	return errors.Join(err, opt)
}
