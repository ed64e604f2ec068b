// Package sim is a simulated client: firmware that behaves like AMT from the MEBx up to its hellos.
// New and Client.Run are the entry points. It is our own reading of the protocol and the articles,
// made for practice worlds and tests; agreement with it proves nothing about real firmware. What a
// provisioning server finds at its ports is in packages front and engine; fleet joins them.
package sim

import (
	"net/netip"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// FactoryPassword is what the MEBx of a new client takes.
const FactoryPassword = "admin"

// Config is a client as it stands on the desk. Network and UUID are required.
type Config struct {
	UUID     amt.UUID
	Version  amt.Version // of the firmware; zero is 3.2.1
	Enabled  bool        // AMT is switched on
	Password amt.Secret  // of the MEBx; empty is FactoryPassword

	PID amt.PID // with PPS: a pair was entered
	PPS amt.Secret
	// RemoteConfiguration is on: without a PID the client sends hellos of version 3.
	RemoteConfiguration bool
	// ShipsRemote firmware comes with Remote Configuration on, and returns to that with a reset.
	ShipsRemote bool
	Hashes      []hello.Hash // of the roots that the client trusts

	Provisioned     bool
	SmallBusiness   bool // the model that needs no server and sends no hello
	NoNetworkAccess bool // a USB record set the password but did not activate the network

	Lease    Lease
	Domain   string   // stored in the MEBx or by the maker; comes before that of the lease
	Override Override // server stored in the MEBx or by a USB record

	// Window is how long the client tries after its first start, in its own time; zero is that of the
	// schedule, below zero it never starts by itself (notebooks whose timer ships as 0). LaterWindow
	// counts for every start after the first; zero is 6 h.
	Window, LaterWindow time.Duration
	Schedule            Schedule      // zero: SchedulePSK with a PID, else SchedulePKI
	FirstAfter          time.Duration // from the start to the first try; zero is 5 s
	Clock               Clock         // of the client; nil is one minute to a minute

	CertNotReady, RNGNotReady bool // what the start of a configuration then answers

	Network Network
	// Patience bounds each lookup, connection and wait for the server's close, in real time; zero is 3 s.
	Patience time.Duration
	// Hold, when it gives true, lets a try pass without a hello; nil never does.
	Hold    func() bool
	OnEvent func(Event) // called from the goroutine of Run or of the caller; must return quickly
}

// IPMode says where the address comes from.
type IPMode string

// The modes of addresses, in the words of the fact client.ip_mode.
const (
	DHCP   IPMode = "dhcp-lease"
	Static IPMode = "static"
	NoIP   IPMode = "none"
)

// Lease is what the client knows about its network, by DHCP or static settings.
type Lease struct {
	Mode    IPMode // empty is dhcp-lease
	Address netip.Addr
	Suffix  string           // DHCP option 15; empty when the lease has none
	DNS     []netip.AddrPort // DHCP option 6; empty: no name can be looked up
}

// Override is a server stored in the client.
type Override struct {
	Addr netip.Addr // used as it is, no name is looked up
	FQDN string     // looked up instead of the default name
	Port uint16     // 0 is 9971
}

// IsZero reports whether no server is stored.
func (o Override) IsZero() bool { return o == Override{} }

// String gives address[:port] or FQDN, empty for none.
func (o Override) String() string {
	switch {
	case o.Addr.IsValid() && o.Port != 0:
		return netip.AddrPortFrom(o.Addr, o.Port).String()
	case o.Addr.IsValid():
		return o.Addr.String()
	}
	return o.FQDN
}

// State is a snapshot of a client.
type State struct {
	UUID                amt.UUID
	Version             amt.Version
	Mode                amt.Mode
	Provisioning        string // pre, in, post
	Enabled             bool
	PasswordChanged     bool
	PID                 amt.PID
	RemoteConfiguration bool
	SetupData           string // none, pid, rcfg
	Window              string // open, expired, never-opened
	WindowEnds          time.Time
	NetworkAccess       bool
	SmallBusiness       bool
	Lease               Lease
	Suffix              string // in use: stored, else of the lease
	Override            Override
	Attempts            uint32 // since the sequence began
	HellosSent          uint64
	Acknowledged        uint64 // closed by the server in order
	Next                time.Time
}

// EventKind says what an Event is about.
type EventKind string

// The kinds of events.
const (
	EventWindowOpen   EventKind = "window-open"
	EventWindowClosed EventKind = "window-closed" // mode 6 begins
	EventLookup       EventKind = "lookup"        // Name; Addrs or Err
	EventConnect      EventKind = "connect"       // To; Err when it did not come up
	EventHello        EventKind = "hello"         // sent to To, Retry
	EventAcknowledged EventKind = "acknowledged"  // the server closed in order
	EventUnanswered   EventKind = "unanswered"    // reset, or silence; Err
	EventMode         EventKind = "mode"          // Mode is new
)

// Event is something that the client did. Fields that do not apply are zero.
type Event struct {
	Kind  EventKind
	At    time.Time // the client's time
	Name  string
	Addrs []netip.Addr
	From  netip.AddrPort
	To    netip.AddrPort
	Retry uint32
	Bytes int
	Mode  amt.Mode
	Err   error
}
