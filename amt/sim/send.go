package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// try is all that one attempt needs; it was taken under the lock.
type try struct {
	message  hello.Message
	lease    Lease
	override Override
	domains  []string
}

func (f *firmware) newTry(now time.Time) try {
	t := try{lease: f.lease, override: f.override, message: hello.ForPKI(f.cfg.UUID, f.cfg.Hashes...)}
	if f.setupData() == "pid" {
		t.message = hello.ForPSK(f.cfg.UUID, f.pid)
	}
	t.message.AdminCredentialsSet = f.changed()
	t.message.RetryCount = f.take(now)
	for _, d := range []string{f.domain, f.lease.Suffix} {
		if d != "" && (len(t.domains) == 0 || !strings.EqualFold(t.domains[0], d)) {
			t.domains = append(t.domains, d)
		}
	}
	return t
}

var (
	errNoAddress    = errors.New("the client has no address")
	errNoNameServer = errors.New("the client knows no name server")
)

// attempt looks the server up, connects, says hello and waits for the server to close.
func (c *Client) attempt(ctx context.Context, t try) {
	if t.lease.Mode == NoIP || !t.lease.Address.IsValid() {
		c.emit(Event{Kind: EventLookup, Err: errNoAddress})
		return
	}
	to, ok := c.find(ctx, t)
	if !ok {
		return
	}
	conn, err := c.connect(ctx, netip.AddrPortFrom(t.lease.Address, amt.HelloSourcePort), to)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c.say(conn, t.message, to)
}

// find gives the server's address by the order of provisioning-protocol 2.3: a stored address; a
// stored name; provisionserver in the stored domain, then in that of the lease; the bare name.
func (c *Client) find(ctx context.Context, t try) (netip.AddrPort, bool) {
	port := t.override.Port
	if port == 0 {
		port = amt.HelloPort
	}
	if t.override.Addr.IsValid() {
		return netip.AddrPortFrom(t.override.Addr, port), true
	}
	if len(t.lease.DNS) == 0 {
		c.emit(Event{Kind: EventLookup, Err: errNoNameServer})
		return netip.AddrPort{}, false
	}
	for _, name := range t.names() {
		lctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
		addrs, err := c.cfg.Network.Lookup(lctx, name)
		cancel()
		if err == nil && len(addrs) == 0 {
			err = fmt.Errorf("%s has no address", name)
		}
		c.emit(Event{Kind: EventLookup, Name: name, Addrs: addrs, Err: err})
		if err == nil {
			return netip.AddrPortFrom(addrs[0], port), true
		}
		if ctx.Err() != nil {
			break
		}
	}
	return netip.AddrPort{}, false
}

func (t try) names() []string {
	var names []string
	host := strings.ToLower(amt.ServerName)
	if t.override.FQDN != "" {
		names, host = append(names, t.override.FQDN), t.override.FQDN
		if strings.Contains(host, ".") {
			return names
		}
	}
	for _, d := range t.domains {
		names = append(names, host+"."+d)
	}
	if t.override.FQDN == "" {
		names = append(names, host)
	}
	return names
}

func (c *Client) connect(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	dctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
	defer cancel()
	conn, err := c.cfg.Network.Dial(dctx, from, to)
	if conn != nil {
		if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
			from = a.AddrPort()
		}
	}
	c.emit(Event{Kind: EventConnect, From: from, To: to, Err: err})
	return conn, err
}

// say sends the hello, ends its side of the connection, and waits for the server to do the same.
func (c *Client) say(conn net.Conn, m hello.Message, to netip.AddrPort) {
	b, err := hello.Encode(m)
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(c.cfg.Patience))
		_, err = conn.Write(b)
	}
	if err != nil {
		c.emit(Event{Kind: EventUnanswered, To: to, Retry: m.RetryCount, Err: err})
		return
	}
	c.count(func(f *firmware) { f.hellosSent++ })
	c.emit(Event{Kind: EventHello, To: to, Retry: m.RetryCount, Bytes: len(b)})
	if w, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(conn, 4096)); err != nil {
		c.emit(Event{Kind: EventUnanswered, To: to, Retry: m.RetryCount, Err: err})
		return
	}
	c.count(func(f *firmware) { f.acknowledgements++ })
	c.emit(Event{Kind: EventAcknowledged, To: to, Retry: m.RetryCount})
}

func (c *Client) count(fn func(*firmware)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn(&c.fw)
}
