package tlspsk

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
)

// record wraps handshake messages in one record of TLS 1.0.
func record(messages []byte) []byte {
	return append([]byte{recordHandshake, 3, 1, byte(len(messages) >> 8), byte(len(messages))}, messages...)
}

const (
	clientRandomHex = " 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f "
	helloHead       = "0301" + clientRandomHex
)

// refusal is what a peer sends and the alert that it must get.
type refusal struct {
	name  string
	typ   byte
	body  string
	alert Alert
}

func TestServerRefuses(t *testing.T) {
	for _, r := range []refusal{
		{"empty hello", messageClientHello, "", AlertDecodeError},
		{"cut in the random", messageClientHello, "0301 0001", AlertDecodeError},
		{"long session id", messageClientHello, helloHead + "21" + strings.Repeat("00", 33) + "0002 008c 01 00", AlertDecodeError},
		{"no suites", messageClientHello, helloHead + "00 0000 01 00", AlertDecodeError},
		{"odd suites", messageClientHello, helloHead + "00 0003 008c00 01 00", AlertDecodeError},
		{"no compression method", messageClientHello, helloHead + "00 0002 008c 00", AlertDecodeError},
		{"only deflate", messageClientHello, helloHead + "00 0002 008c 01 01", AlertDecodeError},
		{"extensions too long", messageClientHello, helloHead + "00 0002 008c 01 00 0005 0017 0000", AlertDecodeError},
		{"extension too long", messageClientHello, helloHead + "00 0002 008c 01 00 0004 0017 0001", AlertDecodeError},
		{"extension twice", messageClientHello, helloHead + "00 0002 008c 01 00 0008 0017 0000 0017 0000", AlertDecodeError},
		{"bytes behind extensions", messageClientHello, helloHead + "00 0002 008c 01 00 0000 00", AlertDecodeError},
		{"continues a session", messageClientHello, helloHead + "00 0002 008c 01 00 0006 ff01 0002 01 aa", AlertHandshakeFailure},
		{"SSL 3", messageClientHello, "0300" + clientRandomHex + "00 0002 008c 01 00", AlertProtocolVersion},
		{"other suites", messageClientHello, helloHead + "00 0004 002f 1301 01 00", AlertHandshakeFailure},
		{"another message", messageServerHello, helloHead, AlertUnexpectedMessage},
		{"hello request", messageHelloRequest, "", AlertUnexpectedMessage},
	} {
		in := record(message(r.typ, unhex(t, r.body)))
		r.check(t, Server, in)
	}
	for _, r := range []refusal{
		{"empty key exchange", messageClientKeyExchange, "", AlertDecodeError},
		{"identity cut", messageClientKeyExchange, "0009 4131423243334434", AlertDecodeError},
		{"bytes behind the identity", messageClientKeyExchange, "0007 4131423243334434", AlertDecodeError},
		{"identity of 129 bytes", messageClientKeyExchange, "0081" + strings.Repeat("41", 129), AlertDecodeError},
		{"second hello", messageClientHello, helloHead + "00 0002 008c 01 00", AlertUnexpectedMessage},
	} {
		in := append(unhex(t, workedClientHello), record(message(r.typ, unhex(t, r.body)))...)
		r.check(t, Server, in)
	}
	early := append(unhex(t, workedClientHello), unhex(t, "14 0301 0001 01")...)
	refusal{"change of cipher before the key exchange", 0, "", AlertUnexpectedMessage}.check(t, Server, early)
	joined := append(message(messageClientKeyExchange, unhex(t, "0008 4131423243334434")), messageFinished)
	refusal{"handshake bytes before the change of cipher", 0, "", AlertUnexpectedMessage}.check(t, Server,
		append(unhex(t, workedClientHello), record(joined)...))
}

func TestClientRefuses(t *testing.T) {
	for _, r := range []refusal{
		{"empty hello", messageServerHello, "", AlertDecodeError},
		{"long session id", messageServerHello, helloHead + "21" + strings.Repeat("00", 33) + "008c 00", AlertDecodeError},
		{"bytes behind", messageServerHello, helloHead + "00 008c 00 00", AlertDecodeError},
		{"deflate", messageServerHello, helloHead + "00 008c 01", AlertIllegalParameter},
		{"suite not offered", messageServerHello, helloHead + "00 008d 00", AlertIllegalParameter},
		{"extension not asked for", messageServerHello, helloHead + "00 008c 00 0004 0017 0000", AlertUnsupportedExtension},
		{"continues a session", messageServerHello, helloHead + "00 008c 00 0006 ff01 0002 01 aa", AlertHandshakeFailure},
		{"TLS 1.1", messageServerHello, "0302" + clientRandomHex + "00 008c 00", AlertProtocolVersion},
		{"TLS 1.3", messageServerHello, "0304" + clientRandomHex + "00 008c 00", AlertProtocolVersion},
		{"another message", messageServerHelloDone, "", AlertUnexpectedMessage},
	} {
		r.check(t, Client, record(message(r.typ, unhex(t, r.body))))
	}
	hello := record(message(messageServerHello, unhex(t, helloHead+"00 008c 00")))
	for _, r := range []refusal{
		{"hint cut", messageServerKeyExchange, "0004 616263", AlertDecodeError},
		{"hint of 129 bytes", messageServerKeyExchange, "0081" + strings.Repeat("41", 129), AlertDecodeError},
		{"done with a body", messageServerHelloDone, "00", AlertDecodeError},
		{"certificate", 11, "000000", AlertUnexpectedMessage},
		{"request for a certificate", 13, "01 01 0000", AlertUnexpectedMessage},
	} {
		r.check(t, Client, append(bytes.Clone(hello), record(message(r.typ, unhex(t, r.body)))...))
	}
	long := append(bytes.Clone(hello), unhex(t, "16 0301 0004 0e 010000")...)
	refusal{"message of 65,536 bytes", 0, "", AlertDecodeError}.check(t, Client, long)
	over := append(bytes.Clone(hello), unhex(t, "16 0301 4801")...)
	refusal{"record of 18,433 bytes", 0, "", AlertRecordOverflow}.check(t, Client, over)
	other := append(bytes.Clone(hello), unhex(t, "16 0302 0004 0e 000000")...)
	refusal{"record of another version", 0, "", AlertProtocolVersion}.check(t, Client, other)
	asks := bytes.Repeat(record(message(messageHelloRequest, nil)), maxRenegotiate+1)
	refusal{"hello requests without end", 0, "", AlertUnexpectedMessage}.check(t, Client, asks)
	warns := bytes.Repeat(unhex(t, "15 0301 0002 01 5a"), maxIdle+1)
	refusal{"warnings without end", 0, "", AlertUnexpectedMessage}.check(t, Client, warns)
	data := append(bytes.Clone(hello), unhex(t, "17 0301 0001 00")...)
	refusal{"data in clear", 0, "", AlertUnexpectedMessage}.check(t, Client, data)
}

// check gives in to one end and looks for the alert in its error and as the last thing sent.
func (r refusal) check(t *testing.T, end func(net.Conn, *Config) *Conn, in []byte) {
	t.Helper()
	s := &script{in: bytes.NewReader(in)}
	err := end(s, config(VersionTLS10, SuiteAES128SHA)).Handshake()
	var alert *AlertError
	if !errors.As(err, &alert) || !alert.Sent || alert.Alert != r.alert {
		t.Errorf("%s: %v, want alert %s", r.name, err, r.alert)
	}
	if !bytes.HasSuffix(s.out.Bytes(), []byte{recordAlert, 3, 1, 0, 2, alertFatal, byte(r.alert)}) {
		t.Errorf("%s: the peer got %x", r.name, s.out.Bytes())
	}
}

// The hello takes a session id and extensions of any client, and a warning before it.
func TestServerAccepts(t *testing.T) {
	in := unhex(t, "15 0301 0002 01 5a")
	in = append(in, record(message(messageClientHello, unhex(t, "0303"+clientRandomHex+
		"04 01020304 0004 1301 008c 02 01 00 0010 ff01 0001 00 0017 0000 000a 0003 414243")))...)
	s := &script{in: bytes.NewReader(in)}
	c := Server(s, config(0, 0))
	if err := c.Handshake(); ReasonOf(err) != ReasonClosed || !c.State().Secure || c.State().Suite != SuiteAES128SHA {
		t.Errorf("%v, %+v", err, c.State())
	}
}
