//go:build !linux && !windows

package mei

import "context"

const (
	deniedHint = "run it with more privilege"
	driverHint = "ask on the client under Linux or Windows"
)

// open says that no way to the Management Engine is known on this system.
func open(context.Context, ID, Options) (*Conn, error) { return nil, ErrNotHere }
