// Package profile holds what a configuration sets in every client that it is assigned to: passwords,
// TLS, access list, power policy, names, redirection, consent, network. Default gives a sound one, Read
// and Write give its YAML and JSON forms, Check says field by field what cannot be. It does no input or
// output.
package profile

import (
	"amtmedic/amt"
)

// Methods of setup that a profile is for.
const (
	AnyMethod = "any"
	PSKMethod = string(amt.PSK)
	PKIMethod = string(amt.PKI)
)

// The ways in which a profile gives a password.
const (
	Random  = "random"  // one per client
	Fixed   = "fixed"   // the same in all clients
	Auto    = "auto"    // MEBx: the network password in Remote Configuration clients, as it is in others
	Network = "network" // MEBx: the network password
	Keep    = "keep"    // leave what the client has
)

// The modes of TLS.
const (
	TLSOff    = "off"    // plain on 16992
	TLSServer = "server" // the client shows a certificate on 16993
	TLSMutual = "mutual" // and asks for one of those who connect
)

// The authorities that sign the certificates of clients.
const (
	OwnAuthority      = "own"      // made on demand
	ExternalAuthority = "external" // ours, whose certificate a company's authority signed
)

// Remove takes users out of the access list that the profile does not name.
const Remove = "remove"

// Where the host name comes from.
const FromFQDN = "fqdn"

// The power policies that can be asked for without knowing what a firmware calls them.
const (
	PowerOn    = "on"    // the firmware runs while the PC does
	PowerSleep = "sleep" // and wakes while it sleeps or is off
)

// The consents of the person at the PC.
const (
	ConsentNone = "none"
	ConsentKVM  = "kvm"
	ConsentAll  = "all"
)

// The ways to an address.
const (
	DHCP   = "dhcp"
	Static = "static"
)

// Profile is a whole profile. Its zero value is not sound; Default is.
type Profile struct {
	Name        string
	Method      string // AnyMethod, PSKMethod or PKIMethod
	Network     Password
	MEBx        Password
	TLS         TLS
	ACL         []Entry
	Others      string // users that are not in ACL: Keep or Remove
	Power       string // Keep, PowerOn, PowerSleep, or the words of a policy of the firmware
	HostName    string // FromFQDN or Keep
	Redirection Redirection
	Consent     string // Keep, ConsentNone, ConsentKVM, ConsentAll
	Wired       Wired
}

// Password says how a password comes about.
type Password struct {
	Rule       string
	Length     int        // of a random one; 0 is 20
	Characters string     // a random one is made of; empty is DefaultCharacters
	Value      amt.Secret // of a fixed one
	Sealed     bool       // Value stands in the database, and was not opened
}

// TLS says how a client is managed from the commit on.
type TLS struct {
	Mode      string
	Authority string   // OwnAuthority or ExternalAuthority
	Days      int      // for which a client's certificate is valid
	Plain     bool     // connections without TLS are accepted beside it
	Local     bool     // TLS for programs on the PC itself too
	Roots     []string // mutual: certificates in PEM form, trusted beside our own authority
	Names     []string // mutual: names or domains of those who may connect; empty: all whom a root vouches for
}

// On reports whether TLS is used.
func (t TLS) On() bool { return t.Mode == TLSServer || t.Mode == TLSMutual }

// Entry is a digest user of the access list.
type Entry struct {
	User     string
	Access   string // local, network or any
	Realms   []int  // numbers of AMT_AuthorizationService
	Password Password
}

// Switch is a setting that may be left as it is.
type Switch string

// The positions of a Switch.
const (
	Leave Switch = Keep
	On    Switch = "on"
	Off   Switch = "off"
)

// Redirection are the services that take over screen, keyboard and drives.
type Redirection struct {
	SOL, IDER Switch // serial over LAN, IDE redirection
	Listener  Switch // the port that they listen on
}

// IsZero reports whether nothing is to be set.
func (r Redirection) IsZero() bool { return !r.SOL.set() && !r.IDER.set() && !r.Listener.set() }

func (s Switch) set() bool { return s == On || s == Off }

// Wired are the settings of the wired interface.
type Wired struct {
	IP      string // Keep, DHCP or Static
	Address string // static: empty is the address that the client said hello from
	Mask    string // static
	Gateway string // static; may be empty
	DNS     []string
	Ping    Switch   // ICMP echo is answered
	RMCP    Switch   // the presence ping on UDP 623 is answered
	Link    []string // power states in which the link stays up; nil leaves it
}

// IsZero reports whether nothing is to be set.
func (w Wired) IsZero() bool {
	return (w.IP == "" || w.IP == Keep) && !w.Ping.set() && !w.RMCP.set() && w.Link == nil
}

// DefaultDays is how long a client's certificate is valid unless a profile says otherwise.
const DefaultDays = 365

// Default gives the profile that provisions without further questions: a random password per client,
// TLS off, everything else as the firmware has it.
func Default(name string) Profile {
	return Profile{Name: name, Method: AnyMethod, Network: Password{Rule: Random}, MEBx: Password{Rule: Auto},
		TLS:    TLS{Mode: TLSOff, Authority: OwnAuthority, Days: DefaultDays},
		Others: Keep, Power: Keep, HostName: FromFQDN, Consent: Keep,
		Redirection: Redirection{SOL: Leave, IDER: Leave, Listener: Leave},
		Wired:       Wired{IP: Keep, Ping: Leave, RMCP: Leave}}
}

// For reports whether the profile may be applied to a client that is set up by a method.
func (p Profile) For(m amt.Method) bool { return p.Method == AnyMethod || p.Method == string(m) }
