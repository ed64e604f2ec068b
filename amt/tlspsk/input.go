package tlspsk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// input is the direction from the peer.
type input struct {
	sync.Mutex
	guard *guard // nil before the peer's ChangeCipherSpec
	next  *guard // waits for the ChangeCipherSpec, which is forbidden while this is nil
	room  []byte // bytes as they came
	raw   []byte // the part of room that is not taken yet; begins with a record's header
	data  []byte // data of the current record that no Read has taken; lies in room
	hand  []byte // bytes of handshake messages that are not complete or not taken
	err   error  // nothing further can be read
	idle  int    // records in a row that brought nothing
	asked int    // times that the peer asked for renegotiation
}

const firstRoom = 1 << 10 // bytes; enough for a handshake and small answers

// fill reads until n bytes lie in c.in.raw. Whatever came before an error stays there, so that the
// next call goes on where this one was interrupted.
func (c *Conn) fill(n int) error {
	in := &c.in
	if len(in.raw) >= n {
		return nil
	}
	switch room := max(n, firstRoom); {
	case cap(in.room) < room:
		in.room = make([]byte, room)
		in.raw = in.room[:copy(in.room, in.raw)]
	case cap(in.raw) < n || len(in.raw) == 0:
		in.raw = in.room[:copy(in.room, in.raw)]
	}
	for empty := 0; len(in.raw) < n; {
		m, err := c.conn.Read(in.raw[len(in.raw):cap(in.raw)])
		in.raw = in.raw[:len(in.raw)+m]
		if len(in.raw) >= n {
			return nil // an error comes again
		}
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if empty++; m > 0 {
			empty = 0
		} else if empty > maxIdle {
			return io.ErrNoProgress
		}
	}
	return nil
}

// holdsAlert reports whether a complete record of an alert has arrived already.
func (in *input) holdsAlert() bool {
	return len(in.raw) >= headerSize && in.raw[0] == recordAlert &&
		len(in.raw) >= headerSize+int(binary.BigEndian.Uint16(in.raw[3:]))
}

// readRecord takes the next record and files it: data in c.in.data, handshake bytes in c.in.hand. All
// errors but a passed deadline stay. c.in is locked, c.in.data is empty.
func (c *Conn) readRecord() error {
	if c.in.err != nil {
		return c.in.err
	}
	typ, body, err := c.nextRecord()
	if err == nil {
		err = c.file(typ, body)
	}
	if err != nil && c.in.err == nil && !isTimeout(err) {
		c.in.err = err
	}
	return err
}

// nextRecord reads and opens one record.
func (c *Conn) nextRecord() (typ byte, data []byte, err error) {
	if err := c.fill(headerSize); err != nil {
		return 0, nil, c.orNotTLS(err)
	}
	head := c.in.raw
	typ = head[0]
	version, n := binary.BigEndian.Uint16(head[1:]), int(binary.BigEndian.Uint16(head[3:]))
	if c.version == 0 && (typ < recordCCS || typ > recordData || version>>8 != 3 || n > maxCiphertext) {
		return 0, nil, &NotTLSError{append([]byte(nil), head[:min(len(head), 64)]...)}
	}
	// A client that does not accept the server's version says so in a record of its own version.
	early := typ == recordAlert && c.in.guard == nil && version>>8 == 3
	if c.version != 0 && version != c.version && !early {
		return 0, nil, c.fail(AlertProtocolVersion, fmt.Errorf("record of %s in a session of %s", VersionName(version), VersionName(c.version)))
	}
	if n > maxCiphertext {
		return 0, nil, c.fail(AlertRecordOverflow, fmt.Errorf("record of %d bytes", n))
	}
	if err := c.fill(headerSize + n); err != nil {
		return 0, nil, err
	}
	body := c.in.raw[headerSize : headerSize+n]
	c.in.raw = c.in.raw[headerSize+n:]
	data, ok := c.in.guard.open(typ, version, body)
	if !ok {
		return 0, nil, c.fail(AlertBadRecordMAC, errors.New("record cannot be opened with the session's key"))
	}
	if len(data) > maxPlaintext {
		return 0, nil, c.fail(AlertRecordOverflow, fmt.Errorf("record of %d bytes of data", len(data)))
	}
	return typ, data, nil
}

// orNotTLS keeps the first bytes of an answer that ended before it could be a record's header.
func (c *Conn) orNotTLS(err error) error {
	if first := c.in.raw; c.version == 0 && err == io.ErrUnexpectedEOF && len(first) > 0 && (first[0] < recordCCS || first[0] > recordData) {
		return &NotTLSError{append([]byte(nil), first...)}
	}
	return err
}

// file judges what a record may bring now, and keeps it.
func (c *Conn) file(typ byte, data []byte) error {
	if len(data) == 0 || typ == recordAlert {
		if c.in.idle++; c.in.idle > maxIdle {
			return c.fail(AlertUnexpectedMessage, fmt.Errorf("%d records in a row without data", c.in.idle))
		}
	} else if typ != recordCCS {
		c.in.idle = 0
	}
	switch {
	case typ == recordAlert:
		return c.takeAlert(data)
	case typ == recordCCS && c.in.next != nil && len(c.in.hand) == 0:
		if len(data) != 1 || data[0] != 1 {
			return c.fail(AlertDecodeError, errors.New("malformed change of cipher"))
		}
		c.in.guard, c.in.next = c.in.next, nil
		return nil
	case typ == recordHandshake && c.in.next == nil && len(data) > 0:
		c.in.hand = append(c.in.hand, data...)
		return nil
	case typ == recordData && c.step == StepOpen:
		c.in.data = data
		return nil
	}
	return c.fail(AlertUnexpectedMessage, fmt.Errorf("unexpected record of type %d, %d bytes", typ, len(data)))
}

// takeAlert gives the error that an alert means; nil for a warning that changes nothing.
func (c *Conn) takeAlert(data []byte) error {
	if len(data) != 2 || data[0] != alertWarning && data[0] != alertFatal {
		return c.fail(AlertDecodeError, errors.New("malformed alert"))
	}
	a := Alert(data[1])
	switch {
	case a == AlertCloseNotify && c.step == StepOpen:
		return io.EOF
	case data[0] == alertWarning && a != AlertCloseNotify:
		return nil
	}
	e := &AlertError{Alert: a, Step: c.step}
	c.in.err = e
	_ = c.conn.SetWriteDeadline(c.cfg.Time()) // frees a Write that waits
	c.out.Lock()
	c.out.err = e
	c.out.Unlock()
	return e
}

// readMessage gives the next handshake message: its type, its body, and both with the header.
func (c *Conn) readMessage() (typ byte, body, whole []byte, err error) {
	for {
		if hand := c.in.hand; len(hand) >= 4 {
			n := int(hand[1])<<16 | int(hand[2])<<8 | int(hand[3])
			if n > maxMessage {
				return 0, nil, nil, c.fail(AlertDecodeError, fmt.Errorf("handshake message of %d bytes", n))
			}
			if len(hand) >= 4+n {
				c.in.hand = hand[4+n:]
				return hand[0], hand[4 : 4+n], hand[:4+n], nil
			}
		}
		if err := c.readRecord(); err != nil {
			return 0, nil, nil, err
		}
	}
}

// refuseRenegotiation answers handshake messages in the open session: a request for a new handshake
// with a refusal, anything else with the end of the session. c.in is locked.
func (c *Conn) refuseRenegotiation() error {
	request := byte(messageClientHello)
	if c.client {
		request = messageHelloRequest
	}
	for len(c.in.hand) > 0 {
		hand := c.in.hand
		if hand[0] != request || len(c.in.data) > 0 {
			return c.fail(AlertUnexpectedMessage, fmt.Errorf("handshake message of type %d in the open session", hand[0]))
		}
		if len(hand) < 4 {
			return nil
		}
		n := int(hand[1])<<16 | int(hand[2])<<8 | int(hand[3])
		if n > maxMessage {
			return c.fail(AlertDecodeError, fmt.Errorf("handshake message of %d bytes", n))
		}
		if len(hand) < 4+n {
			return nil
		}
		if c.in.hand = hand[4+n:]; len(c.in.hand) == 0 {
			c.in.hand = nil
		}
		if c.in.asked++; c.in.asked > maxRenegotiate {
			return c.fail(AlertHandshakeFailure, errors.New("the peer asks for renegotiation again and again"))
		}
		if err := c.warn(AlertNoRenegotiation); err != nil {
			return err
		}
	}
	return nil
}
