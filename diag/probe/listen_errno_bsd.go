//go:build !linux && !windows

package probe

import "syscall"

// errnoInUse is what a port gives that somebody has.
var errnoInUse = []error{syscall.EADDRINUSE}
