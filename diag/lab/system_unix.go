//go:build unix

package lab

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// reuseAddress lets a source port be taken again while its last connection still fades.
func reuseAddress(_, _ string, c syscall.RawConn) error {
	var opt error
	err := c.Control(func(fd uintptr) { opt = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	return errors.Join(err, opt)
}

// alive reports whether a process is there, also one of somebody else.
func alive(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }
