package tlspsk

import (
	"errors"
	"fmt"
	"slices"
)

// clientHandshake runs: ClientHello > ServerHello, maybe ServerKeyExchange, ServerHelloDone >
// ClientKeyExchange, change of cipher, Finished > change of cipher, Finished.
func (c *Conn) clientHandshake() error {
	key, ok, err := c.cfg.keyOf(c.cfg.Identity)
	if err == nil && !ok {
		err = ErrUnknownIdentity
	}
	if err != nil {
		return fmt.Errorf("key of identity %q: %w", c.cfg.Identity, err)
	}
	if c.hello.clientRandom, err = c.newRandom(); err != nil {
		return err
	}
	hello := &clientHello{version: c.cfg.MaxVersion, random: c.hello.clientRandom, suites: c.cfg.Suites}
	if err := c.flight(func() error { return c.say(messageClientHello, hello.body()) }); err != nil {
		return err
	}
	if err := c.hearServerHello(); err != nil {
		return err
	}
	c.step = StepKey
	if err := c.hearServerDone(); err != nil {
		return err
	}
	if err := c.derive(key); err != nil {
		return c.fail(AlertInternalError, err)
	}
	c.state.Identity = c.cfg.Identity
	c.step = StepFinished
	err = c.flight(func() error {
		if err := c.say(messageClientKeyExchange, lengthed(c.cfg.Identity)); err != nil {
			return err
		}
		return c.sayFinished()
	})
	if err != nil {
		return err
	}
	return c.hearFinished()
}

// hearServerHello accepts only what the ClientHello offered.
func (c *Conn) hearServerHello() error {
	typ, body, err := c.hear()
	if err != nil {
		return err
	}
	if typ != messageServerHello {
		return c.unexpected(typ)
	}
	h, exts, err := parseServerHello(body)
	if errors.Is(err, errMalformed) {
		return c.fail(AlertDecodeError, err)
	}
	if err != nil {
		return c.fail(AlertIllegalParameter, err)
	}
	if h.version < c.cfg.MinVersion || h.version > c.cfg.MaxVersion {
		return c.fail(AlertProtocolVersion, fmt.Errorf("server chose %s: %w", VersionName(h.version), errNoVersion))
	}
	if !slices.Contains(c.cfg.Suites, h.suite) {
		return c.fail(AlertIllegalParameter, fmt.Errorf("server chose suite %s: %w", SuiteName(h.suite), errNoSuite))
	}
	for _, e := range exts {
		if e.id != extRenegotiation {
			return c.fail(AlertUnsupportedExtension, fmt.Errorf("server hello: extension %d that was not asked for", e.id))
		}
		if len(e.body) != 1 || e.body[0] != 0 {
			return c.fail(AlertHandshakeFailure, errors.New("server hello: continues a session that does not exist"))
		}
		h.secure = true
	}
	c.hello.serverRandom = h.random
	c.agree(h.version, h.suite, h.secure)
	return nil
}

// hearServerDone takes the hint, if there is one, and the end of the server's flight.
func (c *Conn) hearServerDone() error {
	typ, body, err := c.hear()
	if err != nil {
		return err
	}
	if typ == messageServerKeyExchange {
		if c.state.Hint, err = only(body, maxHint); err != nil {
			return c.fail(AlertDecodeError, fmt.Errorf("server key exchange: %w", err))
		}
		if typ, body, err = c.hear(); err != nil {
			return err
		}
	}
	if typ != messageServerHelloDone {
		return c.unexpected(typ)
	}
	if len(body) > 0 {
		return c.fail(AlertDecodeError, fmt.Errorf("server hello done: %w", errMalformed))
	}
	return nil
}
