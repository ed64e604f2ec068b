package tlspsk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

// Step says how far a handshake had come. What the same alert means depends on it.
type Step uint8

// The steps of a session, in order.
const (
	StepHello    Step = iota // until the peer's hello is accepted
	StepKey                  // until the client has sent, or the server received, the identity
	StepFinished             // until the peer has proved that it has the key
	StepOpen                 // data flows
)

// String gives one word.
func (s Step) String() string {
	return [...]string{"hello", "key", "finished", "open"}[min(s, StepOpen)]
}

func (s Step) words() string {
	return [...]string{"before the hellos agreed", "before the key exchange", "after the key exchange", "in the open session"}[min(s, StepOpen)]
}

// HandshakeError says at which step a handshake ended without an alert: the peer closed or reset the
// connection, time ran out, or what came was not TLS.
type HandshakeError struct {
	Step Step
	Err  error // io.ErrUnexpectedEOF, a *NotTLSError, a context's or the network's error
}

// Error names the step and the cause.
func (e *HandshakeError) Error() string {
	cause := e.Err.Error()
	if errors.Is(e.Err, io.ErrUnexpectedEOF) {
		cause = "the peer closed the connection without an alert"
	}
	return fmt.Sprintf("tls-psk, %s: %s", e.Step.words(), cause)
}

// Unwrap gives the cause.
func (e *HandshakeError) Unwrap() error { return e.Err }

// NotTLSError says that the peer answered something else than TLS.
type NotTLSError struct {
	Bytes []byte // the first bytes of it, at most 64, as evidence
}

// Error quotes the first bytes.
func (e *NotTLSError) Error() string { return fmt.Sprintf("not TLS: it begins with %q", e.Bytes) }

// ErrUnknownIdentity is what an error wraps when Config.Key did not know the identity.
var ErrUnknownIdentity = errors.New("unknown identity")

// errNoSuite and errNoVersion mark what this side refused.
var (
	errNoSuite   = errors.New("no common cipher suite")
	errNoVersion = errors.New("no common version")
)

// Reason is what an error of this package means for the engineer.
type Reason string

// The reasons. Which alert firmware sends for a wrong PPS is unverified: of the peers at hand one
// sends bad_record_mac, one just closes or resets, and RFC 4279 allows decrypt_error. ReasonKey,
// ReasonClosedAfterKey and ReasonResetAfterKey all have "PID and PPS do not match" as first suspicion.
const (
	ReasonNone           Reason = ""                 // no error
	ReasonKey            Reason = "key"              // alert after the key exchange: the PPS differs
	ReasonIdentity       Reason = "identity"         // the identity is not known to the server
	ReasonNoKey          Reason = "no-key"           // a client has no key for its own identity; nothing was sent
	ReasonSuite          Reason = "suite"            // no common cipher suite
	ReasonVersion        Reason = "version"          // no common version
	ReasonClosed         Reason = "closed"           // closed without an alert before the key exchange
	ReasonReset          Reason = "reset"            // reset before the key exchange, or in the open session
	ReasonClosedAfterKey Reason = "closed-after-key" // closed without an alert after it
	ReasonResetAfterKey  Reason = "reset-after-key"  // reset after it
	ReasonTimeout        Reason = "timeout"          // a deadline passed
	ReasonCancelled      Reason = "cancelled"        // the context was cancelled
	ReasonNotTLS         Reason = "not-tls"          // the peer speaks something else
	ReasonProtocol       Reason = "protocol"         // another alert, sent or received
	ReasonTruncated      Reason = "truncated"        // the open session ended without close_notify
	ReasonOther          Reason = "other"            // not from a handshake: dialling, a bad Config
)

// ReasonOf tells why a handshake or a session ended. Of a session that the peer ended as it should
// (io.EOF) it gives ReasonNone.
func ReasonOf(err error) Reason {
	var alert *AlertError
	var notTLS *NotTLSError
	var hs *HandshakeError
	var timeout net.Error
	switch {
	case err == nil || err == io.EOF:
		return ReasonNone
	case errors.As(err, &alert):
		return alert.reason()
	case errors.Is(err, ErrUnknownIdentity):
		return ReasonNoKey
	case errors.As(err, &notTLS):
		return ReasonNotTLS
	case errors.Is(err, context.Canceled):
		return ReasonCancelled
	case errors.As(err, &timeout) && timeout.Timeout():
		return ReasonTimeout
	case errors.As(err, &hs):
		return hs.reason()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ReasonTruncated
	case isReset(err):
		return ReasonReset
	}
	return ReasonOther
}

func (e *HandshakeError) reason() Reason {
	closed, reset := ReasonClosed, ReasonReset
	if e.Step >= StepFinished {
		closed, reset = ReasonClosedAfterKey, ReasonResetAfterKey
	}
	switch {
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return closed
	case isReset(e.Err):
		return reset
	}
	return ReasonOther
}

func (e *AlertError) reason() Reason {
	switch {
	case errors.Is(e.Err, errNoSuite):
		return ReasonSuite
	case errors.Is(e.Err, errNoVersion):
		return ReasonVersion
	case e.Alert == AlertUnknownPSKIdentity || errors.Is(e.Err, ErrUnknownIdentity):
		return ReasonIdentity
	case e.Alert == AlertCloseNotify && e.Step >= StepFinished:
		return ReasonClosedAfterKey
	case e.Alert == AlertCloseNotify:
		return ReasonClosed
	case e.Sent && e.Alert != AlertBadRecordMAC && e.Alert != AlertDecryptError:
		return ReasonProtocol // the peer broke a rule
	case e.Alert == AlertProtocolVersion && e.Step < StepFinished:
		return ReasonVersion // of a client too, that refuses the server's choice
	case e.Step == StepFinished:
		return reasonAfterKey(e.Alert)
	case e.Step == StepHello:
		return reasonBeforeHello(e.Alert)
	}
	return ReasonProtocol
}

func reasonAfterKey(a Alert) Reason {
	switch a {
	case AlertBadRecordMAC, AlertDecryptError, AlertDecryptionFailed, AlertHandshakeFailure:
		return ReasonKey
	}
	return ReasonProtocol
}

func reasonBeforeHello(a Alert) Reason {
	switch a {
	case AlertHandshakeFailure, AlertInsufficientSecurity:
		return ReasonSuite
	case AlertInappropriateFallback:
		return ReasonVersion
	}
	return ReasonProtocol
}
