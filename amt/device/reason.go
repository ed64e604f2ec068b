package device

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"amtmedic/amt/tlspsk"
)

// hints say what to do about a kind of error where the cause itself does not know better.
var hints = map[Kind]string{
	KindUnreachable: "check that the client is on and in its setup window, or provisioned already, and that no firewall stands between the server and TCP 16992 and 16993 of the client",
	KindKey:         "the PID was found but the keys differ: enter the pair again on the client, or import the right PPS for this PID",
	KindPID:         "the client has another PID by now: wait for its next hello, or enter the pair again",
	KindSuite:       "client and server have no cipher suite in common: note the firmware version and look for an update",
	KindVersion:     "client and server have no TLS version in common: update the firmware, or permit the old version for this client",
	KindReset:       "the client closed the connection before any key was used: it may be restarting, or its setup window is over",
	KindCertificate: "check the provisioning certificate: usage, chain up to a root whose hash is in the client, domain suffix, dates",
	KindPeer:        "the certificate of the client is not the expected one: make sure that the address is the client's own",
	KindTLS:         "read the handshake in a capture of this connection",
	KindLogin:       "give the password that the client has: the profile's, the key file's, the one from MEBx",
	KindFault:       "note operation and firmware version; the class may not exist in this version",
	KindAnswer:      "make sure that the address is the client's own and no proxy stands in between; the beginning of the answer is kept as evidence",
	KindHTTP:        "make sure that the address is the client's own and no proxy stands in between; the beginning of the answer is kept as evidence",
	KindDropped:     "try again; when it stays, take a capture of the connection",
	KindTimeout:     "try again; when it stays, restart the ME by taking AC power from the PC for half a minute",
	KindClient:      "two clients may share the address, or the UUID in the map is of another PC",
	KindOTP:         "send the one-time password again with the start of the setup",
	KindMissing:     "leave the setting out of the profile for this version",
	KindState:       "un-provision the client first if it is to be set up anew",
	KindVerify:      "configure the client again",
}

func contextKind(err error) Kind {
	if errors.Is(err, context.DeadlineExceeded) {
		return KindTimeout
	}
	return KindCancelled
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// isClosed reports whether the other side ended a connection, in order or by a reset.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED) || tlspsk.ReasonOf(err) == tlspsk.ReasonReset
}

// handshakeError sorts why a handshake ended.
func (s *Session) handshakeError(err error) *Error {
	if s.o.PSK != nil {
		return s.pskError(err)
	}
	kind := tlsKind(err)
	e := s.failure("TLS handshake", kind, err)
	var h tls.RecordHeaderError
	if errors.As(err, &h) {
		e.Kind, e.Evidence = KindTLS, h.RecordHeader[:]
	}
	return e
}

func (s *Session) pskError(err error) *Error {
	e := s.failure("TLS-PSK handshake", KindTLS, err)
	switch tlspsk.ReasonOf(err) {
	case tlspsk.ReasonKey, tlspsk.ReasonClosedAfterKey, tlspsk.ReasonResetAfterKey:
		e.Kind = KindKey
	case tlspsk.ReasonIdentity:
		e.Kind = KindPID
	case tlspsk.ReasonSuite:
		e.Kind = KindSuite
	case tlspsk.ReasonVersion:
		e.Kind = KindVersion
	case tlspsk.ReasonClosed, tlspsk.ReasonReset:
		e.Kind = KindReset
	case tlspsk.ReasonTimeout:
		e.Kind = KindTimeout
	case tlspsk.ReasonCancelled:
		e.Kind = KindCancelled
	case tlspsk.ReasonNoKey, tlspsk.ReasonOther:
		e.Kind = KindLocal
	case tlspsk.ReasonNotTLS:
		var n *tlspsk.NotTLSError
		if errors.As(err, &n) {
			e.Evidence = n.Bytes
		}
	}
	e.Hint = hints[e.Kind]
	return e
}

// Alerts of TLS that say something about versions, suites and our certificate (RFC 5246 7.2).
const (
	alertHandshake = 40
	alertVersion   = 70
	alertFallback  = 86
)

// tlsKind sorts an error of a crypto/tls handshake.
func tlsKind(err error) Kind {
	var peer *peerError
	var verify *tls.CertificateVerificationError
	var asked *askedError
	switch code := AlertOf(err); {
	case errors.As(err, &peer), errors.As(err, &verify):
		return KindPeer
	case code >= 42 && code <= 49 || code == 116: // bad, unsupported, revoked, expired, unknown, unknown CA, access denied, required
		return KindCertificate
	case code == alertVersion || code == alertFallback:
		return KindVersion
	case code == alertHandshake && errors.As(err, &asked):
		return KindCertificate
	case code == alertHandshake:
		return KindSuite
	case code >= 0:
		return KindTLS
	case isTimeout(err):
		return KindTimeout
	case isClosed(err) && errors.As(err, &asked):
		return KindCertificate // an alert may be lost in the reset that follows it
	case isClosed(err):
		return KindReset
	}
	switch text := err.Error(); {
	case strings.Contains(text, "protocol version"):
		return KindVersion
	case strings.Contains(text, "cipher suite"):
		return KindSuite
	}
	return KindTLS
}

// AlertOf gives the number of the alert that the other side sent, -1 when there was none. Package
// tls keeps the type of a received alert to itself: its text is compared.
func AlertOf(err error) int {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return -1
	}
	text := op.Err.Error()
	for code := range 256 {
		if tls.AlertError(code).Error() == text {
			return code
		}
	}
	return -1
}
