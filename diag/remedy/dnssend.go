package remedy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"

	"amtmedic/amt"
)

// query asks the server itself, over TCP so that nothing is cut.
func (u *update) query(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	return u.exchange(ctx, m, nil)
}

// exchange sends one message over TCP and takes the answer. With a key, the answer's signature is
// checked too; an answer whose signature is wrong comes with the error.
func (u *update) exchange(ctx context.Context, m *dns.Msg, key *tsigKey) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, u.Try)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.server())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	co := &dns.Conn{Conn: conn}
	if key != nil {
		co.TsigSecret = map[string]string{key.name: key.secret.Reveal()}
		m.SetTsig(key.name, key.algorithm, 300, u.Now().Unix())
	}
	if err := co.WriteMsg(m); err != nil {
		return nil, err
	}
	r, err := co.ReadMsg()
	if r == nil {
		return nil, err
	}
	if r.Id != m.Id {
		return nil, errors.New("the answer is to another question")
	}
	if err == nil && key != nil && r.IsTsig() == nil && r.Rcode == dns.RcodeSuccess {
		return r, errors.New("the answer is not signed, so nobody knows who gave it")
	}
	return r, err
}

// send sends a signed update and puts a refusal in words.
func (u *update) send(ctx context.Context, m *dns.Msg, key *tsigKey) error {
	r, err := u.exchange(ctx, m, key)
	fail := func(hint, format string, a ...any) error {
		return &amt.Error{Op: "update DNS", Subject: u.Server, Err: fmt.Errorf(format, a...), Hint: hint}
	}
	const unchanged = "nothing was changed"
	if r == nil {
		return fail("whether it was taken is not known: look at the record before you try again", "no answer to the update: %w", err)
	}
	name := key.name[:len(key.name)-1]
	if t := r.IsTsig(); t != nil && r.Rcode != dns.RcodeSuccess {
		switch t.Error {
		case dns.RcodeBadKey:
			return fail(unchanged+"; compare name and algorithm with the server's key file", "the server does not know the key %s with %s", name, key.algorithm)
		case dns.RcodeBadSig:
			return fail(unchanged+"; copy the secret again", "the secret is not that of the server's key %s", name)
		case dns.RcodeBadTime:
			return fail(unchanged+"; set the clocks", "the clocks of this machine and of the server differ by more than 5 minutes")
		}
	}
	switch {
	case r.Rcode == dns.RcodeSuccess && err != nil:
		return fail("look at the record before you try again", "the server says that it is done, but %w", err)
	case r.Rcode == dns.RcodeSuccess:
		return nil
	case r.Rcode == dns.RcodeYXDomain:
		return fail(unchanged+"; preview again", "a record of that name came into the zone meanwhile")
	case r.Rcode == dns.RcodeNXRrset:
		return fail(unchanged+"; preview again", "the record is no longer as it was when it was looked at")
	case r.Rcode == dns.RcodeRefused:
		return fail(unchanged+"; allow-update or update-policy of the zone decides", "the key %s may not change the zone %s", name, u.Zone)
	case r.Rcode == dns.RcodeNotAuth, r.Rcode == dns.RcodeNotZone:
		return fail(unchanged+"; name the primary server of the zone", "it is not the server for the zone %s", u.Zone)
	case r.Rcode == dns.RcodeNotImplemented:
		return fail(unchanged+"; add the record by hand", "it takes no updates over the network")
	}
	return fail("look at the record before you try again", "it answers %s", dns.RcodeToString[r.Rcode])
}
