package tlspsk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"testing"
	"time"
)

func TestReasonOf(t *testing.T) {
	received := func(a Alert, s Step) error { return &AlertError{Alert: a, Step: s} }
	sent := func(a Alert, s Step, why error) error { return &AlertError{Alert: a, Sent: true, Step: s, Err: why} }
	broke := errors.New("broke a rule")
	for _, test := range []struct {
		err  error
		want Reason
		text string
	}{
		{nil, ReasonNone, ""},
		{io.EOF, ReasonNone, ""},
		{received(AlertInsufficientSecurity, StepHello), ReasonSuite, "tls-psk, before the hellos agreed: the peer sent alert 71 insufficient_security"},
		{received(AlertInappropriateFallback, StepHello), ReasonVersion, ""},
		{received(AlertInternalError, StepHello), ReasonProtocol, ""},
		{received(AlertHandshakeFailure, StepFinished), ReasonKey, ""},
		{received(AlertDecryptionFailed, StepFinished), ReasonKey, ""},
		{received(AlertInternalError, StepFinished), ReasonProtocol, ""},
		{received(AlertCloseNotify, StepFinished), ReasonClosedAfterKey, ""},
		{received(AlertBadRecordMAC, StepOpen), ReasonProtocol, "tls-psk, in the open session: the peer sent alert 20 bad_record_mac"},
		{received(123, StepOpen), ReasonProtocol, "tls-psk, in the open session: the peer sent alert 123"},
		{sent(AlertDecryptError, StepFinished, broke), ReasonKey, "tls-psk, after the key exchange: broke a rule (sent alert 51 decrypt_error)"},
		{sent(AlertUnexpectedMessage, StepFinished, broke), ReasonProtocol, ""},
		{&HandshakeError{StepKey, io.ErrUnexpectedEOF}, ReasonClosed, "tls-psk, before the key exchange: the peer closed the connection without an alert"},
		{&HandshakeError{StepHello, os.ErrDeadlineExceeded}, ReasonTimeout, ""},
		{&HandshakeError{StepHello, context.DeadlineExceeded}, ReasonTimeout, ""},
		{&HandshakeError{StepHello, net.ErrClosed}, ReasonOther, ""},
		{&HandshakeError{StepHello, &NotTLSError{[]byte("HTTP")}}, ReasonNotTLS, `tls-psk, before the hellos agreed: not TLS: it begins with "HTTP"`},
		{&url.Error{Op: "Post", URL: "/wsman", Err: fmt.Errorf("dial: %w", received(AlertDecryptError, StepFinished))}, ReasonKey, ""},
		{io.ErrUnexpectedEOF, ReasonTruncated, ""},
		{broke, ReasonOther, ""},
	} {
		if got := ReasonOf(test.err); got != test.want {
			t.Errorf("%v: reason %q, want %q", test.err, got, test.want)
		}
		if test.text != "" && test.err.Error() != test.text {
			t.Errorf("%q, want %q", test.err, test.text)
		}
	}
	if s, ok := StepOf(received(AlertDecryptError, StepFinished)); !ok || s.String() != "finished" {
		t.Errorf("step %v, %v", s, ok)
	}
}

// Close frees a Write that waits for a peer that does not read, and does not wait itself.
func TestCloseFreesWrite(t *testing.T) {
	a, b := net.Pipe()
	client, _ := connect(t, a, b, config(0, 0))
	done := make(chan error, 1)
	go func() {
		_, err := client.Write(megabytes(1))
		done <- err
	}()
	for client.out.TryLock() { // until Write is under way
		client.out.Unlock()
		time.Sleep(time.Millisecond)
	}
	begin := time.Now()
	_ = client.Close()
	if err := <-done; err == nil || time.Since(begin) > closeWait/2 {
		t.Errorf("the write ends with %v after %s", err, time.Since(begin))
	}
}

// An alert from the peer frees a Write too.
func TestAlertFreesWrite(t *testing.T) {
	a, b := net.Pipe()
	client, server := connect(t, a, b, config(0, 0))
	done := make(chan error, 1)
	go func() {
		_, err := client.Write(megabytes(1))
		done <- err
	}()
	go func() { _ = inject(server, recordAlert, []byte{alertFatal, byte(AlertInternalError)}) }()
	_, err := client.Read(make([]byte, 1))
	var alert *AlertError
	if !errors.As(err, &alert) || alert.Alert != AlertInternalError {
		t.Errorf("%v", err)
	}
	if err := <-done; err == nil {
		t.Error("the write succeeded")
	}
	if _, again := client.Write([]byte("x")); again != err {
		t.Errorf("the next write gives %v", again)
	}
}

// What goes wrong does not show the key.
func TestNoKeyInErrors(t *testing.T) {
	cfg := config(0, 0)
	_, key := pair()
	text := fmt.Sprintf("%v %+v %#v", cfg, cfg, Client(&script{in: bytes.NewReader(nil)}, cfg).Handshake())
	if bytes.Contains([]byte(text), key) || bytes.Contains([]byte(text), fmt.Appendf(nil, "%x", key)) {
		t.Error("the key is printed")
	}
}
