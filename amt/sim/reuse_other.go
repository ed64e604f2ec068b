//go:build !unix

package sim

import "syscall"

// reuseAddress leaves the socket as it is: elsewhere the option means that two programs may have
// the same port at once. When the port is busy any other is taken.
func reuseAddress(_, _ string, _ syscall.RawConn) error { return nil }
