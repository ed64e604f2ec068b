// Package front is the network side of simulated firmware: the ports of clients, TLS with a
// pre-shared key or a provisioning certificate, HTTP with digest log-in, and the presence ping. What
// a request means is answered by the client's Host. New, Server.Add and Client.Sync are the entry
// points. One Server holds any number of clients, each at an address of its own.
//
// How strict it is follows what is written about real firmware; none was at hand.
package front

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// Host is what stands behind the ports of one client. It is called from many goroutines.
type Host interface {
	// View tells how the ports are to behave now. It is asked for every connection.
	View() View
	// Answer answers a request. Status 401 says that it needs a log-in; the challenge is added here.
	Answer(Request) Reply
	// Digest gives MD5(user:realm:password) in hex.
	Digest(user string) (ha1 string, ok bool)
	// Realm is that of the digest log-in; it has no quote and no '='.
	Realm() string
}

// Security says how port 16993 is secured.
type Security uint8

// The ways: none (the port is closed), the pair, a provisioning certificate that is asked of the
// other side, and the client's own certificate after it was provisioned.
const (
	NoTLS Security = iota
	PairTLS
	SetupTLS
	OwnTLS
)

// View is the state of a client as far as its ports care.
type View struct {
	State string // pre, in, post; the presence ping tells it
	Plain bool   // 16992 is open
	TLS   Security

	PID amt.PID // of PairTLS
	PPS amt.Secret

	Hashes []hello.Hash // of SetupTLS: the active ones
	Suffix string       // of SetupTLS: the domain in use
	Now    time.Time    // the client's clock, for the validity of certificates

	Certificate tls.Certificate // of OwnTLS; none: the one of the setup
	Mutual      bool            // of OwnTLS: a certificate of Roots is asked for
	Roots       *x509.CertPool
	TrustedCNs  []string // names one of which the other side must have; empty: any
}

// Request is one HTTP request.
type Request struct {
	Secure bool // it came over TLS
	// Setup: an accepted pair or provisioning certificate opened the session; Certificate: the latter.
	Setup, Certificate bool

	User   string // who logged in; empty: nobody
	From   netip.AddrPort
	Method string
	Path   string
	Header map[string]string // names in lower case
	Body   []byte
}

// Then is what happens after, or instead of, an answer.
type Then uint8

// Keep goes on. DropBefore resets the connection without an answer, DropAfter closes it after the
// answer without a word of TLS, Restart ends every session of the client in order once the answer
// was sent.
const (
	Keep Then = iota
	DropBefore
	DropAfter
	Restart
)

// Reply answers a Request.
type Reply struct {
	Status int
	Header map[string]string
	Body   []byte
	Then   Then
	Delay  time.Duration // before anything is sent
}
