// Package device holds a session with the firmware of one client and configures it. Start with Open,
// which gives a Session (transport, log-in), and NewWSMan, which speaks WS-Man over it; both kinds
// of firmware stand behind Device. Configure goes through the steps of a setup.
//
// No firmware was at hand: what is known of it comes from public descriptions and from recorded
// answers, and what has run only against our own simulator stands in docs/untested.md.
package device

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"time"

	"amtmedic/amt"
)

// API names the interface that a firmware speaks.
type API string

// The two interfaces. WS-Man exists from AMT 3.0 on; the older SOAP services ("EOI") were never seen
// by us in a sample: what uses them says so to the engineer.
const (
	WSMan API = "ws-man"
	EOI   API = "eoi"
)

// Device is the firmware of one client. Every call is one or a few requests, ends with its context,
// and may be repeated: a setting that the client has already is set again without harm. Errors are
// *Error. A Device serves one call at a time.
type Device interface {
	// API names the interface that is spoken.
	API() API
	// LogIn replaces the log-ins to try, the likeliest first. Firmware may count refused attempts.
	LogIn(logins ...Login)
	// Accepted gives the log-in that the firmware accepted; false when it asked for none so far.
	Accepted() (Login, bool)

	// Identify reads who the client is.
	Identify(ctx context.Context) (Identity, error)
	// State reads how far setup has come.
	State(ctx context.Context) (State, error)
	// Clock reads the client's clock, in whole seconds.
	Clock(ctx context.Context) (time.Time, error)
	// SetClock sets the client's clock to what now gives.
	SetClock(ctx context.Context, now func() time.Time) error
	// Names reads host and domain name.
	Names(ctx context.Context) (Names, error)
	// SetNames sets host and domain name.
	SetNames(ctx context.Context, n Names) error
	// SetMEBxPassword sets the password of the local menu. Firmware may permit it only once.
	SetMEBxPassword(ctx context.Context, password amt.Secret) error
	// SetAdmin sets name and password of the administrator. From then on the session tries the new
	// log-in first and the accepted one after it: firmware differs in when it takes effect.
	SetAdmin(ctx context.Context, l Login) error
	// Users reads the access list, without the administrator.
	Users(ctx context.Context) ([]User, error)
	// SetUser adds a user, or changes the one of that name.
	SetUser(ctx context.Context, u User) error
	// RemoveUser removes a user; one that does not exist is removed already.
	RemoveUser(ctx context.Context, name string) error
	// TLS reads whether TLS is on and with which certificate.
	TLS(ctx context.Context) (TLSState, error)
	// TidyTLS removes what an earlier certificate of the same authority left: certificates that are not in
	// use, and their keys.
	TidyTLS(ctx context.Context, authority *x509.Certificate) error
	// SetTLS switches TLS on or off; on with a key that the firmware makes where it can, which may take
	// minutes. It takes effect at Commit.
	SetTLS(ctx context.Context, t TLS) error
	// PowerPolicies reads the policies that the client offers.
	PowerPolicies(ctx context.Context) ([]PowerPolicy, error)
	// SetPowerPolicy chooses one by its ID.
	SetPowerPolicy(ctx context.Context, id string) error
	// Redirection reads how the services that take over screen, keyboard and drives are switched.
	Redirection(ctx context.Context) (Redirection, error)
	// SetRedirection switches them; what is nil stays.
	SetRedirection(ctx context.Context, r Redirection) error
	// Consent reads when the person at the PC has to agree.
	Consent(ctx context.Context) (Consent, error)
	// SetConsent sets it.
	SetConsent(ctx context.Context, c Consent) error
	// Network reads the settings of the wired interface.
	Network(ctx context.Context) (Network, error)
	// SetNetwork sets them; what is nil stays. The firmware may leave its old address before it answers.
	SetNetwork(ctx context.Context, n Network) error
	// SetPair replaces the PID/PPS pair.
	SetPair(ctx context.Context, pid amt.PID, pps amt.Secret) error
	// ExtendWindow sets the time that setup may still take, in hours (1 to 24); 0 closes the window.
	ExtendWindow(ctx context.Context, hours int) error
	// Commit makes the settings take effect and ends setup. The client may restart its network side
	// before it answers: an error that AfterSend reports true for says nothing about the outcome.
	Commit(ctx context.Context) error
	// Unprovision undoes setup: full takes everything; partial keeps administrator, PID/PPS, names and
	// server, and the client says hello again (provisioning-protocol 3.6).
	Unprovision(ctx context.Context, full bool) error

	// Close ends the connection.
	Close() error
}

// Login is a name and password for HTTP digest.
type Login struct {
	User     string
	Password amt.Secret
}

// Identity is who a client is.
type Identity struct {
	Version amt.Version // of the firmware
	UUID    amt.UUID    // zero when the firmware does not tell it
	Realm   string      // of the HTTP digest log-in, as the firmware names it
}

// ProvState is how far setup has come, with the numbers of AMT_SetupAndConfigurationService.
type ProvState int

// The provisioning states.
const (
	Pre  ProvState = 0 // setup has not begun
	In   ProvState = 1 // setup runs
	Post ProvState = 2 // provisioned
)

// String gives pre, in or post.
func (s ProvState) String() string {
	switch s {
	case Pre:
		return "pre"
	case In:
		return "in"
	case Post:
		return "post"
	}
	return "unknown"
}

// State is what the setup service says.
type State struct {
	Provisioning ProvState
	Mode         int        // ProvisioningMode: 1 enterprise (admin control), 4 client control; 0 not told
	ZeroTouch    bool       // Remote Configuration is permitted
	OTP          amt.Secret // raw bytes of the one-time password; empty when none is set
}

// Names are the two parts of a client's name.
type Names struct {
	Host   string
	Domain string
}

// FQDN joins the parts.
func (n Names) FQDN() string {
	if n.Host == "" || n.Domain == "" {
		return n.Host
	}
	return n.Host + "." + n.Domain
}

// User is an entry of the access list.
type User struct {
	Name     string     // up to 16 characters
	Password amt.Secret // never read back
	Access   Access
	Realms   []int // numbers of the interfaces that the user may use
}

// Access says from where a user may come.
type Access int

// The three accesses of AMT_AuthorizationService.
const (
	LocalAccess   Access = 0
	NetworkAccess Access = 1
	AnyAccess     Access = 2
)

// TLSState is how TLS is set in a client.
type TLSState struct {
	Remote, Local bool              // on for the network, on for the PC itself
	Plain         bool              // connections without TLS are accepted beside it
	Mutual        bool              // clients need a certificate
	Names         []string          // of those who may connect
	Certificate   *x509.Certificate // in use; nil when none is
}

// TLS is how TLS is to be. The zero value switches it off.
type TLS struct {
	On     bool
	Local  bool // on for the PC itself too; from some versions on a commit without it has no effect, in others with it
	Plain  bool // accept connections without TLS as well
	Mutual bool // those who connect need a certificate that Root issued; needs TrustRoot
	// Sign makes the certificate for the client's key, in DER. Needed when On.
	Sign func(ctx context.Context, key crypto.PublicKey) ([]byte, error)
	// NewKey makes an RSA key of 2048 bits for firmware that makes none itself (below 6.0); nil is
	// rsa.GenerateKey.
	NewKey func() (*rsa.PrivateKey, error)
	// Root is the authority that Sign signs with. A certificate in use that it issued, for a name in
	// Name and valid for longer than KeepFor, is kept.
	Root    *x509.Certificate
	Name    string        // FQDN of the client
	KeepFor time.Duration // zero is one day
	// Standing says whether a certificate still counts, and whether its key became known to others; nil: all
	// count. A key may stay where only its certificate does not count any more.
	Standing func(*x509.Certificate) (good, leaked bool)

	Roots []*x509.Certificate // to be stored as trusted roots, at most four with Root
	Names []string            // Mutual: names or domains of those who may connect; empty lets all in whom a root vouches for
	// TrustRoot stores Root in the client as a trusted root too.
	TrustRoot bool
}

// PowerPolicy is a power scheme of AMT_SystemPowerScheme.
type PowerPolicy struct {
	ID   string // "SCHEME 1", for SetPowerPolicy
	GUID string // as the firmware tells it
	Text string // "Mobile: ON in S0"
}

// Redirection is how the services that take over screen, keyboard and drives are switched. Nil is not
// set, or not told.
type Redirection struct {
	SOL, IDER *bool // serial over LAN, IDE redirection
	Listener  *bool // the port that they listen on
}

// Consent says when the person at the PC has to agree, with the numbers of IPS_OptInService.
type Consent uint32

// The consents.
const (
	ConsentNone Consent = 0
	ConsentKVM  Consent = 1
	ConsentAll  Consent = 0xFFFFFFFF
)

// Network are the settings of the wired interface. Nil and empty are not set, or not told.
type Network struct {
	DHCP    *bool  // false needs Address and Mask
	Address string // IPv4, as all addresses here
	Mask    string
	Gateway string
	DNS     []string // up to two
	Ping    *bool    // ICMP echo is answered
	RMCP    *bool    // the presence ping on UDP 623 is answered
	Link    []int    // numbers of the power states in which the link stays up; nil leaves it
}
