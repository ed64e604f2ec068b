package front

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"amtmedic/amt/tlspsk"
)

// handshake secures a connection to port 16993 as the client's state asks for.
func (c *Client) handshake(ctx context.Context, raw net.Conn, v View) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.s.opt.HandshakeTime)
	defer cancel()
	switch v.TLS {
	case PairTLS:
		return c.pairHandshake(ctx, raw, v)
	case SetupTLS:
		return c.certHandshake(ctx, raw, tls.Certificate{}, func(chain []*x509.Certificate) *refusal { return judgeSetup(c.version, v, chain) })
	case OwnTLS:
		var judge func([]*x509.Certificate) *refusal
		if v.Mutual {
			judge = func(chain []*x509.Certificate) *refusal { return judgeManager(v, chain) }
		}
		return c.certHandshake(ctx, raw, v.Certificate, judge)
	}
	return nil, errors.New("port 16993 is closed")
}

// pairHandshake is TLS-PSK: identity is the PID, key the PPS, both without dashes. An identity that
// is not this client's looks like a wrong key.
func (c *Client) pairHandshake(ctx context.Context, raw net.Conn, v View) (net.Conn, error) {
	low, high := tlsVersions(c.version)
	conn := tlspsk.Server(raw, &tlspsk.Config{
		MinVersion: low, MaxVersion: high, HandshakeTimeout: c.s.opt.HandshakeTime,
		Key: func(identity string) ([]byte, bool) {
			return []byte(v.PPS.Reveal()), identity == string(v.PID) && v.PID != "" && !v.PPS.IsZero()
		},
	})
	return conn, conn.HandshakeContext(ctx)
}

// certHandshake is TLS with a certificate; judge, when there is one, asks for that of the other side
// and says what is wrong with it.
func (c *Client) certHandshake(ctx context.Context, raw net.Conn, own tls.Certificate, judge func([]*x509.Certificate) *refusal) (net.Conn, error) {
	if len(own.Certificate) == 0 {
		var err error
		if own, err = c.selfSigned(); err != nil {
			return nil, err
		}
	}
	low, high := tlsVersions(c.version)
	wire := &alertConn{Conn: raw}
	wire.alert.Store(uint32(tlspsk.AlertHandshakeFailure)) // for no certificate at all
	var refused *refusal
	cfg := &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: low, MaxVersion: high, CipherSuites: suites(c.version), SessionTicketsDisabled: true}
	if judge != nil {
		cfg.ClientAuth = tls.RequireAnyClientCert
		cfg.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
			if refused = judgeRaw(raw, judge); refused == nil {
				return nil
			}
			wire.alert.Store(uint32(refused.alert))
			return refused
		}
	}
	conn := tls.Server(wire, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		if refused != nil {
			return nil, fmt.Errorf("certificate refused: %w (alert %s)", refused, refused.alert)
		}
		return nil, err
	}
	return conn, nil
}

func judgeRaw(raw [][]byte, judge func([]*x509.Certificate) *refusal) *refusal {
	chain := make([]*x509.Certificate, len(raw))
	for i, der := range raw {
		var err error
		if chain[i], err = x509.ParseCertificate(der); err != nil {
			return &refusal{alertBadCertificate, err}
		}
	}
	return judge(chain)
}

// alertConn sends the alert that fits. Package tls says bad_certificate whatever is wrong with a
// certificate; up to TLS 1.2 that alert leaves in clear, so its number can be changed on the way.
type alertConn struct {
	net.Conn
	alert atomic.Uint32
}

const (
	recordAlert = 21
	alertFatal  = 2
)

// Write changes the number of a bad_certificate alert.
func (a *alertConn) Write(b []byte) (int, error) {
	if len(b) == 7 && b[0] == recordAlert && b[5] == alertFatal && b[6] == byte(alertBadCertificate) {
		b = append([]byte(nil), b...)
		b[6] = byte(a.alert.Load())
	}
	return a.Conn.Write(b)
}
