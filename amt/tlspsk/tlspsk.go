// Package tlspsk speaks TLS 1.0 to 1.2 with a pre-shared key (RFC 4279), as client and as server, for
// the setup session that a server opens to the firmware of a client after its PSK hello. Start with
// Client or Server: both give a Conn, which is a net.Conn.
//
// It exists because crypto/tls has no pre-shared keys below 1.3. It knows four suites, all of which
// old firmware may ask for, and leaves out on purpose: certificates, resumption, tickets,
// renegotiation, encrypt-then-MAC and the extended master secret. Firmware of these years predates
// the last two, and the peers that we test against do without them.
//
// No firmware was at hand: what is known about it stands in docs/untested.md.
package tlspsk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// Versions of TLS, as on the wire.
const (
	VersionTLS10 uint16 = 0x0301
	VersionTLS11 uint16 = 0x0302
	VersionTLS12 uint16 = 0x0303
)

// Limits on what a peer may send, and on what a Config may hold. RFC 4279 5.3 asks for identities up
// to 128 bytes and keys up to 64.
const (
	maxPlaintext   = 1 << 14             // bytes of data in a record (RFC 5246 6.2.1)
	maxCiphertext  = maxPlaintext + 2048 // bytes of a record after its header (6.2.3)
	maxMessage     = 16 << 10            // bytes of a handshake message after its header
	maxIdentity    = 128                 // bytes
	maxHint        = 128                 // bytes
	maxKey         = 256                 // bytes
	maxIdle        = 16                  // empty records and warnings in a row
	maxRenegotiate = 4                   // requests that are answered with a refusal
	closeWait      = 5 * time.Second     // for an alert to leave
	defaultWait    = 30 * time.Second    // for a handshake
)

// Config holds what one side brings into a handshake. Both Client and Server copy it; it may serve
// any number of connections. The zero values of all but Key are usable.
type Config struct {
	// Identity names the key: the client sends it in clear. A server leaves it empty. Up to 128
	// bytes. PlainPair makes identity and key of a PID/PPS pair.
	Identity string

	// Key gives the key, 1 to 256 bytes, of an identity. A client is asked for its own Identity. A
	// server is asked for what the client sent, which may be any bytes up to 128; false means that
	// there is no such identity. It may be called by many connections at once.
	Key func(identity string) (key []byte, ok bool)

	// TellUnknown makes a server answer an unknown identity with the alert unknown_psk_identity.
	// Without it the server goes on with a random key, and the client sees what a wrong key gives:
	// nobody learns which identities exist (RFC 4279 2 allows both).
	TellUnknown bool

	// Hint is what a server sends before the client names its identity; empty: no message at all.
	// Up to 128 bytes.
	Hint string

	// MinVersion and MaxVersion bound the version; 0 means TLS 1.0 and TLS 1.2.
	MinVersion, MaxVersion uint16

	// Suites in order of preference; the server's order decides. Nil: DefaultSuites.
	Suites []uint16

	// SplitFirstByte sends the first byte of every Write in a record of its own where TLS 1.0 is
	// used with a CBC suite. That defends against an attacker who chooses what this side sends
	// (BEAST), as scripts in a browser can; the text of a setup session is ours alone, and a plain
	// reader of HTTP in firmware may choke on a record of one byte. So it is off unless asked for.
	SplitFirstByte bool

	// HandshakeTimeout bounds a handshake beside its context; 0 means 30 seconds.
	HandshakeTimeout time.Duration

	// Rand is the source of hello randoms and record IVs; nil: crypto/rand.
	Rand io.Reader

	// Time is the clock for the deadlines under which alerts leave; nil: time.Now.
	Time func() time.Time

	// KeyLog receives the master secret in the form that Wireshark reads (SSLKEYLOGFILE). Whoever has
	// it reads the session: only when a person asks for it, and never into a bundle.
	KeyLog io.Writer
}

// Client gives the client's end over conn. The handshake runs with the first Read or Write, or when
// HandshakeContext is called.
func Client(conn net.Conn, c *Config) *Conn { return newConn(conn, c, true) }

// Server gives the server's end over conn; see Client.
func Server(conn net.Conn, c *Config) *Conn { return newConn(conn, c, false) }

// State is what a handshake agreed upon.
type State struct {
	Version  uint16 // VersionTLS10 to VersionTLS12
	Suite    uint16
	Identity string // as it was on the wire
	Hint     string // what the server sent; at the server its own
	Secure   bool   // the peer knows RFC 5746; old firmware does not
}

// VersionName gives "TLS 1.0" and so on; other numbers in hexadecimal.
func VersionName(v uint16) string {
	if v >= VersionTLS10 && v <= VersionTLS12 {
		return fmt.Sprintf("TLS 1.%d", v-VersionTLS10)
	}
	return fmt.Sprintf("version 0x%04x", v)
}

// filled gives a copy with the defaults in place.
func (c *Config) filled() *Config {
	f := *c
	if f.MinVersion == 0 {
		f.MinVersion = VersionTLS10
	}
	if f.MaxVersion == 0 {
		f.MaxVersion = VersionTLS12
	}
	if f.Suites == nil {
		f.Suites = DefaultSuites()
	}
	if f.HandshakeTimeout == 0 {
		f.HandshakeTimeout = defaultWait
	}
	if f.Rand == nil {
		f.Rand = rand.Reader
	}
	if f.Time == nil {
		f.Time = time.Now
	}
	f.Suites = slices.Clone(f.Suites)
	return &f
}

// sound judges the config before anything is sent.
func (c *Config) sound() error {
	switch {
	case c.MinVersion < VersionTLS10 || c.MaxVersion > VersionTLS12 || c.MinVersion > c.MaxVersion:
		return fmt.Errorf("config: versions %s to %s are not a range within TLS 1.0 to TLS 1.2",
			VersionName(c.MinVersion), VersionName(c.MaxVersion))
	case c.Key == nil:
		return errors.New("config: no function for the key")
	case len(c.Identity) > maxIdentity:
		return fmt.Errorf("config: identity of %d bytes, at most %d fit", len(c.Identity), maxIdentity)
	case len(c.Hint) > maxHint:
		return fmt.Errorf("config: hint of %d bytes, at most %d fit", len(c.Hint), maxHint)
	case len(c.Suites) == 0:
		return errors.New("config: no cipher suite")
	}
	for _, id := range c.Suites {
		if suiteOf(id) == nil {
			return fmt.Errorf("config: suite %s is not known here", SuiteName(id))
		}
	}
	return nil
}

// keyOf asks for the key of an identity and judges its length.
func (c *Config) keyOf(identity string) (key []byte, ok bool, err error) {
	key, ok = c.Key(identity)
	if ok && (len(key) == 0 || len(key) > maxKey) {
		return nil, false, fmt.Errorf("key of %d bytes: 1 to %d are allowed", len(key), maxKey)
	}
	return key, ok, nil
}
