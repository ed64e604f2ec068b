package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"amtmedic/amt"
	"amtmedic/amt/apf"
	"amtmedic/amt/device"
)

// localWay is a way to the firmware's ports that was found open.
type localWay struct {
	via   string // lms, tunnel
	host  string
	ports []int
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	close func() error
}

// localUnreached says why no way is open, one problem for each.
type localUnreached struct {
	problems []amt.Problem
	hint     string
}

func (u *localUnreached) Error() string {
	text := ""
	for i, p := range u.problems {
		if i > 0 {
			text += "; "
		}
		text += p.Text
	}
	return text
}

// way finds a way: LMS when it listens, else a tunnel of our own through the Management Engine
// interface. via narrows it down.
func (w localWorld) way(ctx context.Context, via string) (*localWay, error) {
	u := &localUnreached{problems: []amt.Problem{}, hint: "start the Local Management Service, or run this as root or administrator so that the driver can be opened"}
	if via != "tunnel" {
		l, err := w.lms(ctx)
		if err == nil && via == "" {
			err = w.strange(l)
		}
		if err == nil {
			return l, nil
		}
		u.problems = append(u.problems, lmsProblem(w, err))
	}
	if via != "lms" {
		l, err := w.tunnelWay(ctx)
		if err == nil {
			return l, nil
		}
		u.problems = append(u.problems, amt.In("mei", "no-tunnel", "no tunnel through the Management Engine interface: %v", err))
		if hint := (*amt.Error)(nil); errors.As(err, &hint) && hint.Hint != "" {
			u.hint = hint.Hint
		}
	}
	return nil, u
}

// takenError is a port that a user's program listens on.
type takenError struct{ port, uid int }

func (t *takenError) Error() string {
	return fmt.Sprintf("port %d belongs to a program of user %d, and LMS runs as root: nothing is sent to it", t.port, t.uid)
}

// strange reports a program that cannot be LMS: it would be given what a log-in shows.
func (w localWorld) strange(l *localWay) error {
	if w.owner == nil {
		return nil
	}
	for _, port := range l.ports {
		if uid, ok := w.owner(port); ok && uid != 0 {
			return &takenError{port, uid}
		}
	}
	return nil
}

func lmsProblem(w localWorld, err error) amt.Problem {
	if taken := (*takenError)(nil); errors.As(err, &taken) {
		return amt.In("lms", "port-taken", "%v", taken)
	}
	return amt.In("lms", "no-lms", "LMS does not listen on %d or %d: %v", w.plain, w.secure, err)
}

// lms asks which ports of LMS take connections. Who listens there is not known: any program may.
func (w localWorld) lms(ctx context.Context) (*localWay, error) {
	var last error
	for _, host := range w.hosts {
		l := &localWay{via: "lms", host: host, dial: w.dial, close: func() error { return nil }}
		for _, port := range []int{w.plain, w.secure} {
			c, err := w.dial(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
			if err != nil {
				if last == nil {
					last = err
				}
				continue
			}
			_ = c.Close()
			l.ports = append(l.ports, port)
		}
		if len(l.ports) > 0 {
			return l, nil
		}
	}
	if last == nil {
		last = errors.New("it was not looked for")
	}
	return nil, last
}

func (w localWorld) tunnelWay(ctx context.Context) (*localWay, error) {
	tr, err := w.openME(ctx)
	if err != nil {
		return nil, err
	}
	t, err := apf.Connect(ctx, tr, w.tunnel)
	if err != nil {
		return nil, err
	}
	return &localWay{via: "tunnel", host: "127.0.0.1", ports: t.Ports(), dial: t.DialContext, close: t.Close}, nil
}

// localFirmware is the firmware behind a way, with the session that speaks to it.
type localFirmware struct {
	way    *localWay
	port   int
	tls    bool
	cert   *localCert // of a TLS session that was tried
	device device.Device
}

// reach opens a session. With TLS its certificate is looked at first; an *untrusted error still
// comes with what was found.
func (w localWorld) reach(ctx context.Context, via string, trust localTrust, logins ...device.Login) (*localFirmware, error) {
	way, err := w.way(ctx, via)
	if err != nil {
		return nil, err
	}
	f := &localFirmware{way: way, port: w.plain}
	plainOpen, secureOpen := slices.Contains(way.ports, w.plain), slices.Contains(way.ports, w.secure)
	f.tls = secureOpen && (trust.given() || !plainOpen)
	o := device.Options{Dial: way.dial, Logins: logins}
	switch {
	case trust.given() && !secureOpen:
		err = fmt.Errorf("the firmware offers no port with TLS here (%v), and a certificate is demanded of it", way.ports)
	case f.tls:
		f.port = w.secure
		o.TLS = trust.config(func(c *localCert) { f.cert = c })
	}
	o.Address = net.JoinHostPort(way.host, strconv.Itoa(f.port))
	if f.tls && err == nil {
		err = f.handshake(ctx, o)
	}
	if err != nil {
		return f, err
	}
	f.device = device.NewWSMan(device.Open(o))
	return f, nil
}

// Close ends session and way.
func (f *localFirmware) Close() error {
	var err error
	if f.device != nil {
		err = f.device.Close()
	}
	return errors.Join(err, f.way.close())
}
