package tlspsk

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// serverHandshake mirrors clientHandshake.
func (c *Conn) serverHandshake() error {
	secure, err := c.hearClientHello()
	if err != nil {
		return err
	}
	c.step = StepKey
	err = c.flight(func() error {
		hello := &serverHello{c.version, c.hello.serverRandom, c.state.Suite, secure}
		if err := c.say(messageServerHello, hello.body()); err != nil {
			return err
		}
		if c.cfg.Hint != "" {
			if err := c.say(messageServerKeyExchange, lengthed(c.cfg.Hint)); err != nil {
				return err
			}
		}
		return c.say(messageServerHelloDone, nil)
	})
	if err != nil {
		return err
	}
	unknown, err := c.hearKeyExchange()
	if err != nil {
		return err
	}
	c.step = StepFinished
	if err := c.hearFinished(); err != nil {
		return unknownBecause(err, unknown)
	}
	if unknown != nil { // a random key was guessed: this cannot be
		return c.fail(AlertDecryptError, unknown)
	}
	return c.flight(c.sayFinished)
}

// hearClientHello chooses version and suite.
func (c *Conn) hearClientHello() (secure bool, err error) {
	typ, body, err := c.hear()
	if err != nil {
		return false, err
	}
	if typ != messageClientHello {
		return false, c.unexpected(typ)
	}
	h, err := parseClientHello(body)
	if errors.Is(err, errMalformed) {
		return false, c.fail(AlertDecodeError, err)
	}
	if err != nil {
		return false, c.fail(AlertHandshakeFailure, err)
	}
	version := min(h.version, c.cfg.MaxVersion)
	if version < c.cfg.MinVersion {
		return false, c.fail(AlertProtocolVersion, fmt.Errorf("client offers up to %s: %w", VersionName(h.version), errNoVersion))
	}
	i := slices.IndexFunc(c.cfg.Suites, func(id uint16) bool { return slices.Contains(h.suites, id) })
	if i < 0 {
		return false, c.fail(AlertHandshakeFailure, fmt.Errorf("client offers suites %04x: %w", h.suites, errNoSuite))
	}
	c.hello.clientRandom = h.random
	if c.hello.serverRandom, err = c.newRandom(); err != nil {
		return false, c.fail(AlertInternalError, err)
	}
	c.state.Hint = c.cfg.Hint
	c.agree(version, c.cfg.Suites[i], h.secure)
	return h.secure, nil
}

// hearKeyExchange takes the client's identity and makes the keys. For an identity that is not known
// it makes them of a random key, unless the config wants the client to be told; unknown then says so.
func (c *Conn) hearKeyExchange() (unknown, err error) {
	typ, body, err := c.hear()
	if err != nil {
		return nil, err
	}
	if typ != messageClientKeyExchange {
		return nil, c.unexpected(typ)
	}
	identity, err := only(body, maxIdentity)
	if err != nil {
		return nil, c.fail(AlertDecodeError, fmt.Errorf("client key exchange: %w", err))
	}
	c.state.Identity = identity
	key, ok, err := c.cfg.keyOf(identity)
	if err != nil {
		return nil, c.fail(AlertInternalError, err)
	}
	if !ok {
		unknown = fmt.Errorf("%q: %w", identity, ErrUnknownIdentity)
		if c.cfg.TellUnknown {
			return nil, c.fail(AlertUnknownPSKIdentity, unknown)
		}
		key = make([]byte, 32) // as long as a PPS
		if _, err := io.ReadFull(c.cfg.Rand, key); err != nil {
			return nil, c.fail(AlertInternalError, err)
		}
	}
	if err := c.derive(key); err != nil {
		return nil, c.fail(AlertInternalError, err)
	}
	return unknown, nil
}

// unknownBecause adds to an error of this side that the identity was not known.
func unknownBecause(err, unknown error) error {
	var alert *AlertError
	if unknown == nil || !errors.As(err, &alert) || !alert.Sent || alert.Alert != AlertBadRecordMAC {
		return err
	}
	told := *alert
	told.Err = unknown
	return &told
}
