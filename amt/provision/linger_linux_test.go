package provision

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection has SO_LINGER 0 from the moment that it is accepted, without a call of its own: what ends it
// before its hello is kept resets it.
func TestLingerIsOfTheListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	if !lingerOf(ln) {
		t.Fatal("not set")
	}
	if lingerOf(struct{ net.Listener }{}) {
		t.Error("set on what is no socket")
	}
	out, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	in, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	raw, err := in.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got *unix.Linger
	if e := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	if got.Onoff != 1 || got.Linger != 0 {
		t.Errorf("linger %+v", *got)
	}
}
