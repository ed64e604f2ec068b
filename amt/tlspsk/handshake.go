package tlspsk

import (
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// transcript is what both handshakes remember until they are over.
type transcript struct {
	messages                   []byte // all so far, with headers; hello requests left out
	clientRandom, serverRandom []byte
	master                     []byte
	read, write                *guard // from the key exchange on
}

// newRandom draws a hello random. All 32 bytes are random: nobody needs to know this machine's clock.
func (c *Conn) newRandom() ([]byte, error) {
	r := make([]byte, randomSize)
	if _, err := io.ReadFull(c.cfg.Rand, r); err != nil {
		return nil, fmt.Errorf("draw random bytes: %w", err)
	}
	return r, nil
}

// say seals a handshake message behind those that wait for flush, and remembers it.
func (c *Conn) say(typ byte, body []byte) error {
	m := message(typ, body)
	c.hello.messages = append(c.hello.messages, m...)
	return c.queue(recordHandshake, m)
}

// hear reads the next handshake message and remembers it.
func (c *Conn) hear() (typ byte, body []byte, err error) {
	for {
		typ, body, whole, err := c.readMessage()
		if err != nil {
			return 0, nil, err
		}
		if typ == messageHelloRequest && c.client && len(body) == 0 {
			if c.in.asked++; c.in.asked > maxRenegotiate {
				return 0, nil, c.fail(AlertUnexpectedMessage, errors.New("hello requests during the handshake"))
			}
			continue // allowed at any time, and without meaning now (RFC 5246 7.4.1.1)
		}
		c.hello.messages = append(c.hello.messages, whole...)
		return typ, body, nil
	}
}

func (c *Conn) unexpected(typ byte) error {
	return c.fail(AlertUnexpectedMessage, fmt.Errorf("handshake message of type %d out of turn", typ))
}

// agree notes version and suite.
func (c *Conn) agree(version, suite uint16, secure bool) {
	c.out.Lock()
	c.version = version
	c.out.Unlock()
	c.state.Version, c.state.Suite, c.state.Secure = version, suite, secure
}

// derive makes master secret and keys of the PSK.
func (c *Conn) derive(key []byte) error {
	h := &c.hello
	h.master = masterOf(c.version, key, h.clientRandom, h.serverRandom)
	s := suiteOf(c.state.Suite)
	mine, theirs := s.keysOf(c.version, h.master, h.clientRandom, h.serverRandom)
	if !c.client {
		mine, theirs = theirs, mine
	}
	var err error
	if h.write, err = s.guard(c.version, mine, false); err != nil {
		return err
	}
	if h.read, err = s.guard(c.version, theirs, true); err != nil {
		return err
	}
	if c.cfg.KeyLog != nil {
		if _, err := fmt.Fprintf(c.cfg.KeyLog, "CLIENT_RANDOM %x %x\n", h.clientRandom, h.master); err != nil {
			return fmt.Errorf("write key log: %w", err)
		}
	}
	return nil
}

// sayFinished changes the cipher of the way out and proves the knowledge of the key.
func (c *Conn) sayFinished() error {
	if err := c.queue(recordCCS, []byte{1}); err != nil {
		return err
	}
	c.out.guard = c.hello.write
	return c.say(messageFinished, verifyData(c.version, c.hello.master, c.client, c.hello.messages))
}

// hearFinished waits for the peer's change of cipher and its proof.
func (c *Conn) hearFinished() error {
	if len(c.in.hand) > 0 {
		return c.fail(AlertUnexpectedMessage, errors.New("handshake bytes before the change of cipher"))
	}
	c.in.next = c.hello.read
	want := verifyData(c.version, c.hello.master, !c.client, c.hello.messages)
	typ, body, err := c.hear()
	if err != nil {
		return err
	}
	if typ != messageFinished || c.in.next != nil || len(c.in.hand) > 0 {
		return c.unexpected(typ)
	}
	c.in.hand = nil
	if !hmac.Equal(body, want) {
		return c.fail(AlertDecryptError, errors.New("the peer's finished message does not fit"))
	}
	return nil
}

// send flushes a flight. When the peer is gone already, its last words say why: an alert may have
// arrived before the connection broke.
func (c *Conn) send() error {
	c.out.Lock()
	err := c.flush()
	c.out.Unlock()
	if err == nil || isTimeout(err) || !isReset(err) {
		return err
	}
	var alert *AlertError
	if e := c.readRecord(); errors.As(e, &alert) {
		return e
	}
	return err
}

// flight runs a function that seals messages, and sends them in one write: a reset by the peer may
// discard its alert when further segments are under way.
func (c *Conn) flight(f func() error) error {
	c.out.Lock()
	err := f()
	c.out.Unlock()
	if err != nil {
		return err
	}
	return c.send()
}

// lengthed puts two bytes of length before s.
func lengthed(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}
