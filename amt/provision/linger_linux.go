package provision

import (
	"net"
	"syscall"
)

// lingerOf sets SO_LINGER 0 on a listening socket and reports whether it did: on Linux a connection has
// the options of the socket that it was accepted from (socket(7), tcp(7)), which spares a call for each.
func lingerOf(ln net.Listener) bool {
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	})
	return err == nil && refused == nil
}
