package device

import (
	"errors"
	"fmt"
	"strings"
)

// Kind sorts errors by what an engineer does about them.
type Kind string

// The kinds. Those from KindKey to KindTLS end a handshake; nothing of the request was sent then.
const (
	KindUnreachable Kind = "unreachable"  // no TCP connection
	KindKey         Kind = "psk"          // PID and PPS do not match: alert or silence after our key exchange
	KindPID         Kind = "pid"          // the client says that it does not know the PID
	KindSuite       Kind = "suite"        // no common cipher suite
	KindVersion     Kind = "tls-version"  // no common version of TLS
	KindReset       Kind = "reset"        // closed or reset before the key exchange
	KindCertificate Kind = "certificate"  // the client refuses our certificate
	KindPeer        Kind = "peer"         // we refuse the client's certificate
	KindTLS         Kind = "tls"          // another fault of the handshake
	KindLogin       Kind = "login"        // the log-in was refused
	KindFault       Kind = "fault"        // the client answered with a fault
	KindReturn      Kind = "return-value" // the operation's return value is not success
	KindAnswer      Kind = "answer"       // what came is no answer; Evidence holds its beginning
	KindHTTP        Kind = "http"         // another HTTP status; Evidence holds its beginning
	KindDropped     Kind = "dropped"      // the connection ended in the middle of an exchange
	KindTimeout     Kind = "timeout"
	KindCancelled   Kind = "cancelled"
	KindClient      Kind = "client"      // another client answered than was expected
	KindOTP         Kind = "otp"         // the one-time password differs
	KindMissing     Kind = "unsupported" // the firmware has no such operation
	KindState       Kind = "state"       // the client is in a state that permits no setup
	KindVerify      Kind = "verify"      // the client is not as it was set
	KindLocal       Kind = "local"       // nothing was asked of the client: settings, storage
)

// Error says what was done with a client and why it did not succeed.
type Error struct {
	Op       string // "AMT_SetupAndConfigurationService.CommitChanges", "connect", "log in"
	Step     string // of Configure; empty elsewhere
	Address  string // host:port of the client
	Kind     Kind
	Err      error  // *wsman.ReturnError, *wsman.Fault, an error of tlspsk, of the network ...
	Hint     string // what to do next
	Sent     bool   // the whole request was written: the client may have acted on it
	Status   int    // HTTP status of what came instead of an answer (KindHTTP), 0 otherwise
	Evidence []byte // the beginning of what came instead of an answer; never of what was sent
}

// Error gives step, operation, client and cause; the hint is printed on its own line.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Step != "" {
		b.WriteString(e.Step + ": ")
	}
	b.WriteString(e.Op)
	if e.Address != "" {
		b.WriteString(": " + e.Address)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf gives the kind of an error of this package, empty for others and for nil.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// AfterSend reports whether an error came after the whole request was written and before an answer:
// the client may or may not have acted on it.
func AfterSend(err error) bool {
	var e *Error
	if !errors.As(err, &e) || !e.Sent {
		return false
	}
	switch e.Kind {
	case KindDropped, KindTimeout, KindCancelled, KindAnswer:
		return true
	}
	return false
}
