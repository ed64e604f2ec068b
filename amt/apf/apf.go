// Package apf speaks the AMT Port Forwarding protocol over the LME client of the Management Engine
// interface, as LMS does: it opens channels to the ports of the firmware from the operating system of
// the same PC, without a network and without LMS. Message types with Encode and Decode are the pure
// half; Connect gives a Tunnel, whose DialContext gives net.Conn. What runs over a channel (HTTP, TLS)
// is the caller's matter.
//
// The wire form follows what LMS (LMEConnection.cpp, LMS_if.h), MeshAgent (amt-lme.js) and
// go-wsman-messages (pkg/apf) write and read; Intel's own manual was not at hand, and no firmware.
package apf

import (
	"context"
	"errors"
	"fmt"
)

// Transport carries whole messages to and from the LME client. *mei.Conn is one.
type Transport interface {
	// MaxMessage is the longest message in bytes.
	MaxMessage() int
	// Read reads one message. It may give 0 bytes.
	Read(ctx context.Context, p []byte) (int, error)
	// Write writes one message.
	Write(ctx context.Context, p []byte) error
	// Close ends the connection to the client, and a Read that waits.
	Close() error
}

// Ports of the firmware's web server, as it names them in its requests to forward.
const (
	PlainPort  = 16992
	SecurePort = 16993
)

// Errors of a Tunnel, for errors.Is. A *DisconnectError, an *OpenError and a *MessageError say more.
var (
	ErrClosed   = errors.New("the tunnel is closed")
	ErrProtocol = errors.New("the firmware does not keep to the port forwarding protocol")
)

// DisconnectError says that the firmware ended the tunnel.
type DisconnectError struct{ Reason uint32 }

// Error gives the reason in words.
func (e *DisconnectError) Error() string {
	return "the firmware ended the tunnel: " + reason(disconnectReasons, e.Reason)
}

// OpenError says that the firmware refused a channel.
type OpenError struct {
	Port   int
	Reason uint32
}

// Error gives port and reason in words.
func (e *OpenError) Error() string {
	return fmt.Sprintf("the firmware refuses a channel to its port %d: %s", e.Port, reason(openReasons, e.Reason))
}

// The reasons of a disconnection (LMS_if_constants.h; numbered as in RFC 4253 with others in between).
const (
	DisconnectProtocolError = 2
	DisconnectNoService     = 7
	DisconnectVersion       = 8
	DisconnectByApplication = 11
)

var disconnectReasons = map[uint32]string{
	1: "it may not connect", 2: "protocol error", 3: "key exchange failed", 4: "reserved", 5: "checksum error", 6: "compression error",
	7: "the service is not available", 8: "the protocol version is not supported", 9: "host key not verifiable", 10: "connection lost",
	11: "by the application", 12: "too many connections", 13: "cancelled by the user", 14: "no more ways to log in", 15: "unknown user name",
}

// The reasons for a refused channel (RFC 4254, section 5.1).
const (
	OpenProhibited    = 1
	OpenConnectFailed = 2
	OpenUnknownType   = 3
	OpenShortage      = 4
)

var openReasons = map[uint32]string{
	OpenProhibited: "it is not permitted", OpenConnectFailed: "nothing listens there", OpenUnknownType: "unknown kind of channel", OpenShortage: "no room for another channel",
}

func reason(words map[uint32]string, n uint32) string {
	if w, ok := words[n]; ok {
		return fmt.Sprintf("%s (reason %d)", w, n)
	}
	return fmt.Sprintf("reason %d", n)
}
