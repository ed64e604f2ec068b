package pgtest

import (
	"io"
	"net"
	"testing"
	"time"
)

// ask sends a letter and reports whether it came back within a moment.
func ask(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := c.Write([]byte("x")); err != nil {
		return false
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err == nil
}

func TestRelay(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	r := NewRelay(t, port)
	dial := func() net.Conn {
		c, err := net.Dial("tcp4", "127.0.0.1:"+r.Port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	eventually := func(c net.Conn) bool {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, err := c.Read(make([]byte, 1))
		return err == nil
	}
	c := dial()
	_, _ = c.Write([]byte("x"))
	if !eventually(c) {
		t.Fatal("nothing passes")
	}
	r.Hold()
	if ask(c) || ask(dial()) {
		t.Error("something passes while everything is held")
	}
	r.Mend()
	if !eventually(c) {
		t.Error("what was held does not come after the mending")
	}
	r.Reset()
	if eventually(c) {
		t.Error("a connection lives on")
	}
	if c, err := net.Dial("tcp4", "127.0.0.1:"+r.Port); err == nil {
		if ask(c) {
			t.Error("a new connection is served")
		}
		_ = c.Close()
	}
	r.Mend()
	if c := dial(); !ask(c) && !eventually(c) {
		t.Error("nothing passes after the mending")
	}
}
