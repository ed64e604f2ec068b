package lab

import (
	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// plan is what a world is built from. It begins as a healthy world with a client that is just being
// provisioned; each fault changes one thing of it.
type plan struct {
	id     identity
	method amt.Method // by which the client is to be set up
	amt    string     // version of its firmware
	single bool       // this machine has only one loopback address

	// the client
	enabled     bool
	mebx        mebx
	prepared    bool       // PID and PPS are entered, or Remote Configuration is on: Setup Mode
	pair        keys.Pair  // what is entered
	keyedBy     string     // hand, usb or oem
	wrongServer bool       // the address of the wrong host is stored in the MEBx
	expired     bool       // it has sent hellos for its whole window and fell silent
	suffix      string     // DHCP option 15
	unleased    bool       // DHCP gives the client no address
	adapter     bool       // the cable is in a USB adapter, not in AMT's own port
	foreign     bool       // another server has provisioned the client
	blocked     bool       // a packet filter on the way drops the provisioning port
	guarded     bool       // the server's own packet filter does
	oemKeys     bool       // the OEM's key file is at hand
	otp         amt.Secret // one-time password that the server's agent sent; the client has lost it

	// names
	target  string // what the CNAME of the provisioning server leads to; empty: no record
	zone    string // where that CNAME stands
	split   bool   // the client's view has a copy without that CNAME
	mute    bool   // the client's name server does not answer
	pointer bool   // the reverse zone knows the client

	// the server
	running            bool
	port               uint16
	known              []keys.Pair       // rows of the PID map
	mapped             amt.UUID          // UUID of the row in the UUID map, zero when there is none
	works              bool              // the core tries to set the client up from the start
	admin              amt.Secret        // password of the account admin in the row of the pair
	noBack             bool              // a packet filter refuses what comes back from the server
	script             scriptState       // of the service
	nameless           bool              // the list that the script reads is not there
	secured, authority bool              // the profile wants mutual TLS; the certificate authority answers
	config             map[string]string // what csti_configuration has beside its defaults
	cert               certificate       // of the server
}

// mebx is what the MEBx log-in takes.
type mebx int

const (
	mebxFactory mebx = iota // admin
	mebxChanged             // the password that the engineer knows
	mebxLocked              // one that nobody knows
)

func healthy(id identity, m amt.Method) *plan {
	p := &plan{id: id, method: amt.PSK, amt: pskVersion, enabled: true, mebx: mebxChanged, prepared: true, pair: id.pair, keyedBy: "hand", suffix: id.suffix,
		target: id.server, zone: id.suffix, pointer: true, running: true, port: amt.HelloPort,
		known: append([]keys.Pair{id.pair}, id.spare...), mapped: id.uuid, admin: id.password, authority: true}
	if m == amt.PKI { // nobody keyed it: it came with Remote Configuration on
		p.method, p.amt, p.mebx, p.pair, p.keyedBy = amt.PKI, pkiVersion, mebxFactory, keys.Pair{}, ""
	}
	return p
}

// The firmware of the simulated PC, by the way in which it is set up. newVersion is the first line that
// refuses short keys (symptom-catalogue 7.7).
const (
	pskVersion = "3.2.1"
	pkiVersion = "9.0.0"
	newVersion = "16.0.0"
)

func (p *plan) version() amt.Version {
	v, _ := amt.ParseVersion(p.amt) // one of the constants
	return v
}

// scriptState says which properties script the service calls.
type scriptState int

const (
	scriptNone  scriptState = iota // none: names are in the map
	scriptSound                    // the one that is there
	scriptLost                     // one where nothing is any more
)

// oldServer is the name of a host that was the provisioning server before.
func (p *plan) oldServer() string { return "scs-old." + p.id.domain }

// mistype gives a PID that a hand could have made of the right one and that passes its check
// character: two neighbours swapped, or one character changed by a step of 36 (0 for T, 1 for U, to
// 6 for Z). False when this PID has no such place.
func mistype(pid amt.PID, pick func(n int) int) (amt.PID, bool) {
	const checked = keys.PIDLen - 1 // the last one is the check character
	var slips []amt.PID
	for i := range checked {
		b := []byte(pid)
		switch {
		case b[i] >= '0' && b[i] <= '6':
			b[i] += 36
		case b[i] >= 'T':
			b[i] -= 36
		default:
			b = nil
		}
		if b != nil {
			slips = append(slips, amt.PID(b))
		}
		if i+1 < checked && pid[i] != pid[i+1] {
			b := []byte(pid)
			b[i], b[i+1] = b[i+1], b[i]
			slips = append(slips, amt.PID(b))
		}
	}
	if len(slips) == 0 {
		return "", false
	}
	return slips[pick(len(slips))], true
}
