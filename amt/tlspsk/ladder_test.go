package tlspsk

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// intolerant serves TLS 1.0 to clients whose hello offers nothing newer, and deals with all others as
// some old servers do.
func intolerant(t *testing.T, refuse func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			hello := make([]byte, 1024)
			n, _ := raw.Read(hello)
			if n > 10 && hello[10] == 1 {
				_, _ = io.Copy(io.Discard, Server(&replay{raw, bytes.NewReader(hello[:n])}, config(0, 0)))
			} else {
				refuse(raw)
			}
			_ = raw.Close()
		}
	}()
	return l.Addr().String()
}

// replay gives bytes that were read before.
type replay struct {
	net.Conn
	first *bytes.Reader
}

func (r *replay) Read(b []byte) (int, error) {
	if r.first.Len() > 0 {
		return r.first.Read(b)
	}
	return r.Conn.Read(b)
}

func TestLadder(t *testing.T) {
	for name, refuse := range map[string]func(net.Conn){
		"closes": func(net.Conn) {}, "resets": reset,
		"handshake_failure": func(c net.Conn) { _, _ = c.Write(unhex(t, "15 0301 0002 02 28")) },
		"protocol_version":  func(c net.Conn) { _, _ = c.Write(unhex(t, "15 0301 0002 02 46")) },
	} {
		addr := intolerant(t, refuse)
		var tried []uint16
		version, more := VersionTLS12, true
		for more {
			cfg := config(0, 0)
			cfg.MaxVersion = version
			tried = append(tried, version)
			_, err := dial(t, addr, cfg)
			version, more = NextVersion(err, version)
		}
		if len(tried) != 3 || tried[2] != VersionTLS10 {
			t.Errorf("%s: tried %x", name, tried)
		}
	}
}

// The version is not what to change for these.
func TestNoLadder(t *testing.T) {
	first := unhex(t, workedServerFirst)
	for name, answer := range map[string]func(net.Conn){
		"closed after the key": func(c net.Conn) { _, _ = c.Write(first); _, _ = c.Read(make([]byte, 1024)) },
		"alert after the key": func(c net.Conn) {
			_, _ = c.Write(first)
			_, _ = c.Read(make([]byte, 1024))
			_, _ = c.Write(unhex(t, "15 0301 0002 02 28"))
		},
		"not TLS": func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") },
	} {
		_, err := dial(t, hostile(t, answer), config(0, 0))
		if v, ok := NextVersion(err, VersionTLS12); err == nil || ok {
			t.Errorf("%s: %v, next %x", name, err, v)
		}
	}
	for _, err := range []error{nil, io.EOF, errors.New("dial"), &HandshakeError{StepHello, os.ErrDeadlineExceeded}} {
		if v, ok := NextVersion(err, VersionTLS12); ok {
			t.Errorf("%v: next %x", err, v)
		}
	}
}

// gone takes the first write and refuses the second, as a connection that was reset.
type gone struct{ script }

func (g *gone) Write(b []byte) (int, error) {
	if g.write++; g.write > 1 {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.ECONNRESET)}
	}
	return len(b), nil
}

// An alert that arrived before the connection broke is told, not the broken connection.
func TestLastWords(t *testing.T) {
	if !isReset(os.NewSyscallError("write", syscall.ECONNRESET)) {
		t.Skip("this system has another number for a reset")
	}
	first := unhex(t, workedServerFirst)
	for _, test := range []struct {
		after string
		want  Reason
	}{{"15 0301 0002 02 73", ReasonIdentity}, {"", ReasonResetAfterKey}} {
		c := Client(&gone{script{in: bytes.NewReader(append(bytes.Clone(first), unhex(t, test.after)...))}}, config(VersionTLS10, SuiteAES128SHA))
		if err := c.Handshake(); ReasonOf(err) != test.want {
			t.Errorf("%q: reason %q of %v", test.after, ReasonOf(err), err)
		}
	}
}
