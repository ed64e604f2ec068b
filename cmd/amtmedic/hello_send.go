package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/keys"
)

// How the server ended the connection after a hello.
const (
	closedInOrder = "in-order" // it has the hello
	closedReset   = "reset"    // it may have lost it
	closedNot     = "open"     // it was still open when the time was up
)

var errReset = errors.New("the server reset the connection")

// delivery is what became of one hello; it is the JSON form of "hello send".
type delivery struct {
	Sent      bool          `json:"sent"`
	Bytes     int           `json:"bytes"` // written
	To        string        `json:"to"`    // as dialled, address:port once connected
	From      string        `json:"from"`
	Closed    string        `json:"closed"`   // in-order, reset, open; empty when nothing was sent
	Answered  int           `json:"answered"` // bytes that the server wrote; the protocol knows none
	ElapsedMS int64         `json:"elapsed_ms"`
	Hex       string        `json:"hex"` // the message
	Problems  []amt.Problem `json:"problems"`
	Notes     []amt.Problem `json:"notes"`
}

func runHelloSend(e *env, args []string) (int, error) {
	fs := flags("hello send --to HOST[:PORT] --uuid UUID (--pid PID | --hash ALG:HEX ...)")
	to := fs.String("to", "", "setup server; port 9971 unless named")
	uuid := fs.String("uuid", "", "UUID of the client")
	pid := fs.String("pid", "", "PID of the client: sends a TLS-PSK hello")
	var hashes []string
	fs.Func("hash", "root `hash` such as sha256:HEX, repeatable: sends a Remote Configuration hello", func(s string) error {
		hashes = append(hashes, s)
		return nil
	})
	retry := fs.Uint64("retry", 0, "retry count, 0 for the first hello of a sequence")
	admin := fs.Bool("admin-set", true, "say that the administrator password was changed")
	from := fs.String("from", "", "local `address`, or address:port (a client is said to use port 16994)")
	timeout := fs.Duration("timeout", 10*time.Second, "longest wait for the connection, and again for the server's close")
	asJSON := fs.Bool("json", false, "print one JSON object")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "hello send takes no operand, %q was given", plain(rest[0]))
	}
	if *to == "" || *uuid == "" || (*pid == "") == (len(hashes) == 0) {
		return exitUsage, misuse(fs, "hello send needs --to, --uuid, and either --pid or --hash")
	}
	if *retry > 1<<32-1 || *timeout <= 0 {
		return exitUsage, misuse(fs, "--retry has 32 bits and --timeout is above 0")
	}
	m, notes, err := buildHello(*uuid, *pid, hashes)
	if err != nil {
		return exitUsage, misuse(fs, "%w", err)
	}
	m.RetryCount, m.AdminCredentialsSet = uint32(*retry), *admin
	b, err := hello.Encode(m)
	if err != nil {
		return exitUsage, misuse(fs, "%w", err)
	}
	dialer := net.Dialer{Timeout: *timeout}
	if dialer.LocalAddr, err = localAddr(*from); err != nil {
		return exitUsage, misuse(fs, "--from: %w", err)
	}
	d, err := sendHello(e.ctx, &dialer, serverAddress(*to), b, *timeout)
	d.Notes = append(notes, d.Notes...)
	return reportDelivery(e, d, err, *asJSON)
}

// buildHello makes the message of the flags, and notes what is odd about it but can be sent.
func buildHello(uuid, pid string, hashes []string) (hello.Message, []amt.Problem, error) {
	u, err := amt.ParseUUID(strings.TrimSpace(uuid))
	if err != nil {
		return hello.Message{}, nil, err
	}
	if pid != "" {
		p, err := amt.ParsePID(pid)
		if err != nil {
			return hello.Message{}, nil, err
		}
		return hello.ForPSK(u, p), keys.CheckPID(string(p)), nil
	}
	var list []hello.Hash
	for _, s := range hashes {
		h, err := hello.ParseHash(s)
		if err != nil {
			return hello.Message{}, nil, err
		}
		list = append(list, h)
	}
	return hello.ForPKI(u, list...), []amt.Problem{}, nil
}

// serverAddress adds the port of hellos where none is named. A bare IPv6 address has no port.
func serverAddress(to string) string {
	if host, port, err := net.SplitHostPort(to); err == nil && port != "" {
		return net.JoinHostPort(host, port)
	}
	host := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(to, "["), ":"), "]")
	if _, err := netip.ParseAddr(to); err == nil {
		host = to
	}
	return net.JoinHostPort(host, strconv.Itoa(amt.HelloPort))
}

// localAddr reads --from: an address, or address:port. nil leaves the choice to the system.
func localAddr(from string) (net.Addr, error) {
	if from == "" {
		return nil, nil
	}
	if ap, err := netip.ParseAddrPort(from); err == nil {
		return net.TCPAddrFromAddrPort(ap), nil
	}
	a, err := netip.ParseAddr(strings.Trim(from, "[]"))
	if err != nil {
		return nil, fmt.Errorf("%.60q is no address of this machine, such as 10.1.0.7 or 10.1.0.7:16994", from)
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)), nil
}

// sendHello does what a client does: connect, write, end its half, wait for the server's close. The
// delivery is filled as far as it came.
func sendHello(ctx context.Context, dialer *net.Dialer, to string, b []byte, wait time.Duration) (delivery, error) {
	d := delivery{To: to, Hex: fmt.Sprintf("%x", b), Problems: []amt.Problem{}, Notes: []amt.Problem{}}
	began := time.Now()
	defer func() { d.ElapsedMS = time.Since(began).Milliseconds() }()
	conn, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return d, err
	}
	defer conn.Close()
	d.To, d.From = conn.RemoteAddr().String(), conn.LocalAddr().String()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(wait))
	if d.Bytes, err = conn.Write(b); err != nil {
		return d, err
	}
	d.Sent = true
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // a reset shows in the read below
	}
	n, err := io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
	d.Answered = int(n)
	var late net.Error
	switch {
	case ctx.Err() != nil:
		return d, ctx.Err()
	case err == nil:
		d.Closed = closedInOrder
	case errors.As(err, &late) && late.Timeout():
		d.Closed = closedNot
	default:
		d.Closed = closedReset
		return d, fmt.Errorf("%w after the hello: %w", errReset, err)
	}
	return d, nil
}

// reportDelivery prints what became of the hello and gives the exit code.
func reportDelivery(e *env, d delivery, err error, asJSON bool) (int, error) {
	code := exitOK
	switch {
	case e.ctx.Err() != nil:
		code, err = exitInterrupt, errors.New("interrupted")
	case err != nil:
		code = exitFound
		word, hint := dialHint(err)
		d.Problems = append(d.Problems, amt.In("connection", word, "%s", plain(err.Error())))
		err = &amt.Error{Op: "send hello", Subject: plain(d.To), Err: err, Hint: hint}
	}
	if d.Closed == closedNot {
		d.Notes = append(d.Notes, amt.In("connection", "not-closed", "the server did not close the connection in time; it may still be waiting for more, or be busy"))
	}
	if d.Answered > 0 {
		d.Notes = append(d.Notes, amt.In("connection", "answered", "the server wrote %d bytes: a setup server writes none, so this may be another service", d.Answered))
	}
	if asJSON {
		return code, errors.Join(err, writeJSON(e.stdout, d))
	}
	if d.Sent {
		fmt.Fprintf(e.stdout, "sent %d bytes to %s from %s\n", d.Bytes, d.To, d.From)
		fmt.Fprintln(e.stdout, map[string]string{
			closedInOrder: "the server closed the connection in order: it has the hello",
			closedReset:   "the server reset the connection: the hello may be lost",
			closedNot:     "the server has not closed the connection",
			"":            "the wait for the server's close was broken off",
		}[d.Closed])
	}
	printProblems(e.stderr, "note", d.Notes)
	return code, err
}

// dialHint tells the ways in which a connection fails apart, and what to look at for each.
func dialHint(err error) (word, hint string) {
	var dns *net.DNSError
	var late net.Error
	switch {
	case errors.Is(err, errReset):
		return "reset", "the service died, refuses this address, or something on the way ends connections; look at the server's log"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "unknown-host", "the name does not resolve on this machine; that proves nothing for the client. Try the address, or ask the name server for the name"
	case errors.As(err, &dns):
		return "name-service", "the name server did not answer; try the address of the setup server"
	case isErrno(err, syscall.ECONNREFUSED, 10061):
		return "refused", "nothing listens on that port there, or a firewall refuses it: start the setup service, or name the port that the MEBx of the client holds"
	case isErrno(err, syscall.EHOSTUNREACH, 10065), isErrno(err, syscall.ENETUNREACH, 10051):
		return "unreachable", "there is no route to that address: look at cable, VLAN and gateway"
	case isErrno(err, syscall.EADDRNOTAVAIL, 10049), isErrno(err, syscall.EADDRINUSE, 10048), isErrno(err, syscall.EACCES, 10013):
		return "local-address", "the address or port of --from cannot be used on this machine now"
	case errors.As(err, &late) && late.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout", "no answer at all: a firewall drops the packets, or no machine has that address; capture live shows what leaves"
	}
	return "failed", ""
}

// isErrno compares with the number of Unix and that of Windows sockets.
func isErrno(err error, unix syscall.Errno, windows uintptr) bool {
	var n syscall.Errno
	return errors.As(err, &n) && (n == unix || uintptr(n) == windows)
}
