// Package engine is what a simulated AMT answers to management calls: WS-Man, the SOAP services of
// AMT 2.x to 5.x and the pages of the web interface, without any network. New, Engine.Answer and
// Engine.Digest are the entry points; package sim puts listeners, TLS and log-ins around them. It is
// our own reading of what is public (docs/simulator.md): agreement with it proves nothing about real
// firmware.
package engine

import (
	"crypto/rsa"
	"crypto/tls"
	"io"
	"net/netip"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// FactoryPassword is that of the user admin until somebody sets another (provisioning-protocol 3.2).
const FactoryPassword = "admin"

// Stage is the provisioning state of the firmware.
type Stage string

// The three states; firmware calls them 0, 1 and 2.
const (
	Pre  Stage = "pre"
	In   Stage = "in"
	Post Stage = "post"
)

// Number gives the value of ProvisioningState: 0, 1 or 2.
func (s Stage) Number() int {
	switch s {
	case In:
		return 1
	case Post:
		return 2
	}
	return 0
}

// Config is a client's management state as it is found. UUID and Version are required.
type Config struct {
	UUID    amt.UUID
	Version amt.Version // two parts are completed: 9.0 answers as 9.0.0
	Realm   string      // of the digest log-in; empty: made of the UUID in the form that the version uses
	Stage   Stage       // empty is In

	// Password is that of the network user admin; empty is FactoryPassword.
	Password amt.Secret
	// MEBxChanged says that the MEBx has no longer its factory password.
	MEBxChanged bool
	Host        string // empty: none is set
	Domain      string
	Addr        netip.Addr // of the client, for AMT_EthernetPortSettings

	PID    amt.PID // with PPS: a pair was entered
	PPS    amt.Secret
	Hashes []hello.Hash // active root hashes; nil is right for a PSK client

	// MEBx says when SetMEBxPassword is allowed; zero is MEBxDefaultOnly.
	MEBx MEBxPolicy
	// OTP is the one-time password that an agent planted, for ProvisioningServerOTP; empty: none.
	OTP amt.Secret
	// ClockOff is how far the firmware's clock runs ahead of Now when it is found.
	ClockOff time.Duration

	// Window is how long the setup window stays open; zero is 24 h. It bounds ExtendProvisioningPeriod
	// and nothing else: the hello side decides when hellos end.
	Window time.Duration

	Random io.Reader        // nil is crypto/rand
	Now    func() time.Time // nil is time.Now
	// Keys makes RSA keys of a length in bits; nil is rsa.GenerateKey. A process with thousands of
	// clients gives a pool here. It is called without the engine's lock.
	Keys func(bits int) (*rsa.PrivateKey, error)
	// KeyDelay is how long GenerateKeyPair answers "not ready" after it was first asked; zero: at once.
	KeyDelay time.Duration
	// DropOnCommit closes the connection after the answer of CommitChanges, as firmware does that
	// restarts its network; the answer itself is sent.
	DropOnCommit bool

	// OnChange hears of every change of state, outside the engine's lock, from the goroutine of
	// Answer. It must return quickly.
	OnChange func(Change)
}

// MEBxPolicy is the rule of the MEBx for SetMEBxPassword (Intel's class reference).
type MEBxPolicy int

// The policies.
const (
	MEBxDefaultOnly MEBxPolicy = iota // while the password is the factory one, in Remote Configuration
	MEBxDuringSetup                   // in any setup
	MEBxAnytime
)

// Session is what the network side knows about the connection that a request came over.
type Session struct {
	Secure bool // TLS
	// Setup says that the connection was opened by PSK or by an accepted provisioning certificate.
	Setup bool
	// Certificate says that it was a provisioning certificate: no log-in is needed until CommitChanges.
	Certificate bool
	User        string // the user of an accepted digest log-in; empty: none
	From        netip.AddrPort
	Now         time.Time // zero: Config.Now
}

// Action is what happens to the connection around an answer.
type Action int

// The actions of an Answer.
const (
	Nothing    Action = iota // answer, keep the connection
	DropBefore               // close without answering
	DropAfter                // answer, then close this connection
	Restart                  // answer, then close every session of this client and look at State again
)

// Answer is one HTTP answer. Status 401 asks the network side to add its challenge.
type Answer struct {
	Status int
	Header map[string]string // without Server, Date, Content-Length
	Body   []byte
	Do     Action
	Delay  time.Duration // wait so long before anything is sent (fault "slow")
	Step   string        // what was asked, class.method, for logs; empty: no management call
	Return int           // ReturnValue or PT_STATUS of a method call, 0 otherwise
}

// ChangeKind says what a Change is about.
type ChangeKind string

// The kinds of changes.
const (
	ChangeStage    ChangeKind = "stage"    // State.Stage is new
	ChangePassword ChangeKind = "password" // of a digest user, admin included
	ChangeTLS      ChangeKind = "tls"      // TLS settings in force, certificate or roots
	ChangePair     ChangeKind = "pair"     // PID/PPS
	ChangeName     ChangeKind = "name"     // host or domain name
	ChangeWindow   ChangeKind = "window"   // setup window
	ChangePower    ChangeKind = "power"    // the PC was switched
	ChangeMEBx     ChangeKind = "mebx"     // MEBx password
)

// Change is a change of state that a request brought about.
type Change struct {
	Kind ChangeKind
	At   time.Time
	From netip.AddrPort
	// Partial: with ChangeStage, the way back kept what PartialUnprovision keeps.
	Partial bool
	State   State // after it
}

// State is a snapshot of what the network side needs to know.
type State struct {
	Stage   Stage
	Version amt.Version
	// ControlMode: 0 none, 1 client, 2 admin (IPS_HostBasedSetupService.CurrentControlMode).
	ControlMode int

	Plain  bool // 16992 answers HTTP
	TLS    bool // 16993 answers TLS
	Mutual bool // 16993 demands a client certificate that chains to Roots (after CommitChanges)
	// Roots are trusted certificates in DER, for Mutual; TrustedCNs, if any, name who may connect.
	Roots      [][]byte
	TrustedCNs []string

	PID    amt.PID
	PPS    amt.Secret
	Hashes []hello.Hash // active root hashes

	Host, Domain string
	// PasswordChanged: the network password of admin is not the factory one (AdminCredentialsSet).
	PasswordChanged bool
	WindowEnds      time.Time // of the setup window; in the past: closed
	// Generation grows with every change.
	Generation uint64
}

// Engine is one client's management state. It is safe for concurrent use and small until used.
type Engine struct {
	cfg Config

	mu       sync.Mutex
	st       settings
	own      *tls.Certificate // self-signed, made when first asked for
	faults   []Fault
	contexts map[string]*enumeration
	opened   uint32 // enumerations so far
	messages uint64 // answers so far
	keysFrom time.Time
}
