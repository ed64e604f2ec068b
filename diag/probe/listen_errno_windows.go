package probe

import "golang.org/x/sys/windows"

// errnoInUse is what a port gives that somebody has. Windows says "access denied" for one that is
// taken exclusively.
var errnoInUse = []error{windows.WSAEADDRINUSE, windows.WSAEACCES}
