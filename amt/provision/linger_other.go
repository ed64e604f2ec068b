//go:build !linux

package provision

import "net"

// lingerOf reports that connections do not get SO_LINGER from their listening socket.
func lingerOf(net.Listener) bool { return false }
