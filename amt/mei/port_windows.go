package mei

import "context"

const (
	deniedHint = "run it as administrator"
	driverHint = "install the Intel Management Engine interface driver of the computer's maker"
)

func open(context.Context, ID, Options) (*Conn, error) { return nil, ErrNotHere }
