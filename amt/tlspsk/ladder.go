package tlspsk

import "errors"

// StepOf gives the step at which an error of this package happened; false for other errors.
func StepOf(err error) (Step, bool) {
	var alert *AlertError
	var hs *HandshakeError
	switch {
	case errors.As(err, &alert):
		return alert.Step, true
	case errors.As(err, &hs):
		return hs.Step, true
	}
	return 0, false
}

// NextVersion gives the MaxVersion with which a client may try again, on a new connection, after a
// handshake with MaxVersion tried ended with err: one lower, when the server gave up on the hello.
// Some old servers do not choose a lower version but refuse the hello. After the key exchange it
// never gives one: then PID and PPS are in question, and firmware may count attempts.
func NextVersion(err error, tried uint16) (uint16, bool) {
	if step, ok := StepOf(err); !ok || step != StepHello || tried <= VersionTLS10 {
		return 0, false
	}
	switch ReasonOf(err) {
	case ReasonVersion, ReasonSuite, ReasonClosed, ReasonReset:
		return tried - 1, true
	}
	return 0, false
}
