package probe

import "golang.org/x/sys/windows"

// Winsock has numbers of its own; those of package syscall never come from a socket here.
var (
	errnoRefused     = []error{windows.WSAECONNREFUSED}
	errnoTimeout     = []error{windows.WSAETIMEDOUT}
	errnoUnreachable = []error{windows.WSAEHOSTUNREACH, windows.WSAENETUNREACH, windows.WSAEHOSTDOWN, windows.WSAENETDOWN}
	errnoNoRoute     = []error{windows.WSAENETUNREACH, windows.WSAENETDOWN}
)
