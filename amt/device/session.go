package device

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/icholy/digest"

	"amtmedic/amt/tlspsk"
)

// Ports of the firmware's web server.
const (
	PlainPort  = 16992
	SecurePort = 16993
)

// Options say how to reach a client. PSK and TLS are alternatives; with neither the connection is
// plain.
type Options struct {
	Address string         // host:port
	PSK     *tlspsk.Config // TLS with a PID/PPS pair
	TLS     *tls.Config    // TLS with certificates; what it accepts of the client is its matter
	Logins  []Login        // to be tried, the likeliest first
	// Dial opens TCP connections; nil is a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// DialTime bounds a connection with its handshake, CallTime one exchange on it. Zero is 10 s and
	// 60 s, the time that every request also names to the firmware.
	DialTime, CallTime time.Duration
	// Now is the clock for the dates of certificates; nil is time.Now. Wait waits for a client that is
	// busy, or gives the context's error; nil waits by the system's clock.
	Now  func() time.Time
	Wait func(ctx context.Context, t time.Duration) error
	// OnExchange is told of every exchange. It must not wait.
	OnExchange func(Exchange)
}

// Exchange is one request with its answer.
type Exchange struct {
	Op             string // "AMT_GeneralSettings.Get"
	Status         int    // HTTP status, 0 when no answer came
	Sent, Received int    // bytes of HTTP, without TLS
	Took           time.Duration
}

// Stats counts what a session did.
type Stats struct {
	Connections int // TCP connections that were opened
	Exchanges   int // requests that were answered, challenges included
	Sent        int // bytes
	Received    int
}

// Security is what the last handshake agreed upon; the zero value for a plain connection.
type Security struct {
	Version string   // "TLS 1.2"
	Suite   string   // standard name
	Peer    [32]byte // SHA-256 of the client's certificate; zero with PSK
}

// Session is a log-in and at most one open connection to a client. It connects when it has to, and
// again when the client has closed the connection meanwhile. It serves one call at a time.
type Session struct {
	o    Options
	link *link
	max  uint16 // highest TLS version to offer, lowered when the client does not take a newer hello

	logins []Login
	try    int  // index of the log-in in use; the accepted one moves to the front
	proved bool // it was accepted
	chal   *digest.Challenge
	count  int // how often the challenge's nonce was used
	known  proof
	parted int // how often in a row a connection that was to be used again turned out to be closed

	secrets  []string // that were sent, to be taken out of evidence
	security Security
	stats    Stats
}

// Open gives a session. It does not connect yet.
func Open(o Options) *Session {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = pause
	}
	if o.DialTime == 0 {
		o.DialTime = 10 * time.Second
	}
	if o.CallTime == 0 {
		o.CallTime = time.Minute
	}
	s := &Session{o: o}
	s.LogIn(o.Logins...)
	return s
}

// LogIn replaces the log-ins to try from the next request on.
func (s *Session) LogIn(logins ...Login) {
	s.logins, s.try, s.proved = logins, 0, false
	for _, l := range logins {
		s.hide(l.Password.Reveal())
	}
}

// Accepted gives the log-in that the client accepted last; false when it asked for none so far.
func (s *Session) Accepted() (Login, bool) {
	if !s.proved || s.try >= len(s.logins) {
		return Login{}, false
	}
	return s.logins[s.try], true
}

// Realm gives the realm of the client's challenge, empty before there was one.
func (s *Session) Realm() string {
	if s.chal == nil {
		return ""
	}
	return s.chal.Realm
}

// Stats gives what was done so far.
func (s *Session) Stats() Stats { return s.stats }

// Security tells how the connection is protected.
func (s *Session) Security() Security { return s.security }

// Close ends the connection. The session can be used again: it connects anew.
func (s *Session) Close() error {
	s.drop()
	return nil
}

// drop closes the connection and waits for its watcher.
func (s *Session) drop() {
	if s.link == nil {
		return
	}
	_ = s.link.Close()
	if s.link.watched {
		<-s.link.ready
	}
	s.link = nil
}

// hide remembers a secret that may be sent.
func (s *Session) hide(secret string) {
	if len(secret) >= 4 { // shorter ones would take pieces out of every text
		s.secrets = append(s.secrets, secret)
	}
}

// connect opens a connection and, where there is TLS, goes down its versions as long as the client
// gives up on the hello itself.
func (s *Session) connect(ctx context.Context) (*link, error) {
	for {
		l, err := s.dial(ctx)
		if err == nil {
			s.link = l
			return l, nil
		}
		lower, ok := s.nextVersion(err)
		if !ok {
			return nil, err
		}
		s.max = lower
	}
}

// dial makes one connection with its handshake.
func (s *Session) dial(parent context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(parent, s.o.DialTime)
	defer cancel()
	raw, err := s.o.Dial(ctx, "tcp", s.o.Address)
	if err != nil {
		return nil, s.dialError(parent, err)
	}
	s.stats.Connections++
	var conn net.Conn
	switch {
	case s.o.PSK != nil:
		conn, err = s.pskHandshake(ctx, raw)
	case s.o.TLS != nil:
		conn, err = s.tlsHandshake(ctx, raw)
	default:
		conn = raw
	}
	if err != nil {
		_ = raw.Close()
		if parent.Err() != nil {
			return nil, s.failure("connect", contextKind(parent.Err()), err)
		}
		return nil, s.handshakeError(err)
	}
	return newLink(conn), nil
}

func (s *Session) pskHandshake(ctx context.Context, raw net.Conn) (net.Conn, error) {
	c := *s.o.PSK
	if s.max != 0 {
		c.MaxVersion = s.max
	}
	conn := tlspsk.Client(raw, &c)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	state := conn.State()
	s.security = Security{Version: tlspsk.VersionName(state.Version), Suite: tlspsk.SuiteName(state.Suite)}
	return conn, nil
}

// peerError says that this side does not accept the client's certificate.
type peerError struct{ err error }

func (e *peerError) Error() string { return e.err.Error() }
func (e *peerError) Unwrap() error { return e.err }

// askedError says that a handshake ended after the client had asked for our certificate: the hellos
// had agreed upon version and suite by then.
type askedError struct{ err error }

func (e *askedError) Error() string { return e.err.Error() }
func (e *askedError) Unwrap() error { return e.err }

var errOtherPeer = errors.New("the client shows another certificate than before in this session")

// tlsHandshake also pins the certificate that the client showed first: nobody may step in between
// two connections of a session.
func (s *Session) tlsHandshake(ctx context.Context, raw net.Conn) (net.Conn, error) {
	c := s.o.TLS.Clone()
	if s.max != 0 {
		c.MaxVersion = s.max
	}
	asked, get := false, c.GetClientCertificate
	c.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		if get != nil {
			return get(r)
		}
		for i := range c.Certificates {
			if r.SupportsCertificate(&c.Certificates[i]) == nil {
				return &c.Certificates[i], nil
			}
		}
		return &tls.Certificate{}, nil
	}
	if judge := c.VerifyPeerCertificate; judge != nil {
		c.VerifyPeerCertificate = func(raw [][]byte, chains [][]*x509.Certificate) error {
			if err := judge(raw, chains); err != nil {
				return &peerError{err}
			}
			return nil
		}
	}
	verify := c.VerifyConnection
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if verify != nil {
			if err := verify(cs); err != nil {
				return &peerError{err}
			}
		}
		if len(cs.PeerCertificates) > 0 && s.security.Peer != [32]byte{} && s.security.Peer != sha256.Sum256(cs.PeerCertificates[0].Raw) {
			return &peerError{errOtherPeer}
		}
		return nil
	}
	if c.ServerName == "" && !c.InsecureSkipVerify {
		c.ServerName, _, _ = net.SplitHostPort(s.o.Address)
	}
	conn := tls.Client(raw, c)
	if err := conn.HandshakeContext(ctx); err != nil {
		if asked {
			err = &askedError{err}
		}
		return nil, err
	}
	state := conn.ConnectionState()
	s.security = Security{Version: tls.VersionName(state.Version), Suite: tls.CipherSuiteName(state.CipherSuite)}
	if len(state.PeerCertificates) > 0 {
		s.security.Peer = sha256.Sum256(state.PeerCertificates[0].Raw)
	}
	return conn, nil
}

// nextVersion gives a lower version to offer after a handshake that ended at the hello.
func (s *Session) nextVersion(err error) (uint16, bool) {
	tried := s.max
	if s.o.PSK != nil {
		if tried == 0 {
			if tried = s.o.PSK.MaxVersion; tried == 0 {
				tried = tlspsk.VersionTLS12
			}
		}
		lowest := max(s.o.PSK.MinVersion, tlspsk.VersionTLS10)
		next, ok := tlspsk.NextVersion(err, tried)
		return next, ok && next >= lowest
	}
	if s.o.TLS == nil || s.o.TLS.MinVersion == 0 {
		return 0, false
	}
	if tried == 0 {
		if tried = s.o.TLS.MaxVersion; tried == 0 {
			tried = tls.VersionTLS13
		}
	}
	switch KindOf(err) {
	case KindVersion, KindSuite, KindReset:
	case KindTLS:
		if AlertOf(err) != 20 { // bad_record_mac: firmware that compares the wrong version (tls.md 2.2)
			return 0, false
		}
	default:
		return 0, false
	}
	return tried - 1, tried-1 >= s.o.TLS.MinVersion
}

// failure makes an error of this session.
func (s *Session) failure(op string, kind Kind, err error) *Error {
	return &Error{Op: op, Address: s.o.Address, Kind: kind, Err: err, Hint: hints[kind]}
}

func (s *Session) dialError(parent context.Context, err error) *Error {
	if parent.Err() != nil {
		return s.failure("connect", contextKind(parent.Err()), err)
	}
	if isClosed(err) {
		return s.failure("connect", KindReset, err) // the reset came with the connection
	}
	e := s.failure("connect", KindUnreachable, err)
	if isTimeout(err) {
		e.Err = fmt.Errorf("no answer within %v: %w", s.o.DialTime, err)
	}
	return e
}
