package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/discover"
)

// handshake makes one TLS session and ends it, so that a certificate which nothing vouches for is told
// as that, whatever the server makes of it.
func (f *localFirmware) handshake(ctx context.Context, o device.Options) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	raw, err := o.Dial(ctx, "tcp", o.Address)
	if err != nil {
		return fmt.Errorf("connect to the firmware's port %d: %w", f.port, err)
	}
	defer raw.Close()
	c := tls.Client(raw, o.TLS)
	if err := c.HandshakeContext(ctx); err != nil {
		if u := (*untrusted)(nil); errors.As(err, &u) {
			return u
		}
		return fmt.Errorf("TLS with the firmware's port %d: %w", f.port, err)
	}
	return nil
}

// server reads the header Server without a log-in, over a session that is believed or stays plain.
func (f *localFirmware) server(ctx context.Context, o func() *tls.Config) (text string, v amt.Version, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	address := fmt.Sprintf("%s:%d", f.way.host, f.port)
	conn, err := f.way.dial(ctx, "tcp", address)
	if err != nil {
		return "", v, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if f.tls {
		c := tls.Client(conn, o())
		if err := c.HandshakeContext(ctx); err != nil {
			return "", v, err
		}
		conn = c
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", address); err != nil {
		return "", v, err
	}
	text, err = discover.ReadServer(conn)
	v, _ = discover.ParseServer(text)
	return text, v, err
}

// localError sorts an error of a local command: what could not be reached or was not permitted is
// 3, what was tried and failed is 1.
func localError(op string, err error) (int, error) {
	var u *localUnreached
	var bad *untrusted
	switch {
	case errors.As(err, &u):
		return exitUndecided, &amt.Error{Op: op, Err: u, Hint: u.hint}
	case errors.As(err, &bad):
		return exitUndecided, &amt.Error{Op: op, Err: bad, Hint: "compare the digest with what the maker or your own records say, then give it as --pin, or give the roots with --root; nothing was sent"}
	case errors.Is(err, errNoPassword):
		return exitUndecided, err
	case errors.Is(err, errNotAgreed):
		return exitFound, &amt.Error{Op: op, Err: err}
	}
	switch device.KindOf(err) {
	case device.KindLogin, device.KindUnreachable, device.KindTimeout, device.KindReset, device.KindPeer:
		return exitUndecided, deviceHint(op, err)
	case device.KindCancelled:
		return exitInterrupt, deviceHint(op, err)
	}
	if hint := (*amt.Error)(nil); errors.As(err, &hint) {
		return exitFound, err
	}
	if device.KindOf(err) == "" { // no session came about
		return exitUndecided, &amt.Error{Op: op, Err: err}
	}
	return exitFound, deviceHint(op, err)
}

// deviceHint puts the hint of a device error where it is printed.
func deviceHint(op string, err error) error {
	out := &amt.Error{Op: op, Err: err}
	if d := (*device.Error)(nil); errors.As(err, &d) {
		out.Hint = d.Hint
	}
	return out
}
